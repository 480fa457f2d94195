from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from helpers import GOLDENS, SHARED, needs_shared
from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointNotFoundError, CheckpointWarning, FormatError, PathConflictError
from tfckpt.train.state import (
    checkpoint_exists,
    get_checkpoint_mtimes,
    get_checkpoint_state,
    latest_checkpoint,
    relocate,
    remove_and_unlist,
    remove_checkpoint,
    update_checkpoint_state,
    write_state,
)

STATES = sorted(SHARED.glob("fixtures/formats/*/state_*/run/checkpoint"))


def save(prefix, step=1) -> str:
    """A real checkpoint."""
    write_plan(Plan((given_int64("global_step", step, "little"),), "name-based"), str(prefix),
               overwrite=True)
    return str(prefix)


def save_v1(prefix, n_shards=0) -> str:
    """A V1 checkpoint as real TensorFlow wrote it, or files like a sharded one's."""
    data = (GOLDENS / "tf1.15" / "v1.ckpt").read_bytes()
    for name in [f"{prefix}-{n:05d}-of-{n_shards:05d}" for n in range(n_shards)] or [prefix]:
        Path(name).write_bytes(data)
    return f"{prefix}-?????-of-{n_shards:05d}" if n_shards else str(prefix)


def text(folder) -> str:
    return Path(folder, "checkpoint").read_text()


@pytest.fixture
def inside(tmp_path):
    """The test runs in its own folder, so that relative paths are short."""
    before = os.getcwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def test_the_list_of_all_paths_ends_with_the_newest(inside):
    """Behaviour 18."""
    update_checkpoint_state("run", "run/model-3", ["run/model-1", "run/model-2"])
    assert get_checkpoint_state("run").all_model_checkpoint_paths == \
        ("run/model-1", "run/model-2", "run/model-3")
    update_checkpoint_state("run", "run/model-3", ["run/model-2", "run/model-3"])
    assert get_checkpoint_state("run").all_model_checkpoint_paths == ("run/model-2", "run/model-3")
    update_checkpoint_state("run", "run/model-4")
    assert get_checkpoint_state("run").all_model_checkpoint_paths == ("run/model-4",)


def test_absolute_paths_stay_absolute(inside):
    """Behaviour 19."""
    update_checkpoint_state("run", "/abs/model-2", ["/abs/model-1", "run/model-2"])
    assert text("run") == ('model_checkpoint_path: "/abs/model-2"\n'
            'all_model_checkpoint_paths: "/abs/model-1"\n'
            'all_model_checkpoint_paths: "model-2"\n'
            'all_model_checkpoint_paths: "/abs/model-2"\n')
    assert get_checkpoint_state("run").model_checkpoint_path == "/abs/model-2"


def test_a_relative_path_loses_its_folder_and_gets_it_back(inside):
    """Behaviour 19."""
    update_checkpoint_state("run", "run/model-2", ["run/model-1"])
    assert text("run") == ('model_checkpoint_path: "model-2"\n'
            'all_model_checkpoint_paths: "model-1"\n'
            'all_model_checkpoint_paths: "model-2"\n')
    state = get_checkpoint_state("run")
    assert state.model_checkpoint_path == "run/model-2"
    assert state.all_model_checkpoint_paths == ("run/model-1", "run/model-2")


def test_relative_paths_count_from_an_absolute_folder(tmp_path):
    """Behaviour 19."""
    update_checkpoint_state(tmp_path, "model-2", latest_filename="last")
    assert 'model_checkpoint_path: "model-2"\n' in (tmp_path / "last").read_text()
    assert f"{tmp_path}/model-2" == get_checkpoint_state(tmp_path, "last").model_checkpoint_path
    assert get_checkpoint_state(tmp_path) is None


@pytest.mark.parametrize("folder", ["run", "{cwd}/run"])
def test_on_request_only_relative_names_are_stored(inside, folder):
    """Behaviour 20."""
    folder = folder.format(cwd=inside)
    first, second = save(inside / "run" / "model-1"), save(inside / "run" / "model-2")
    write_state(folder, second, [first, second], save_relative_paths=True)
    assert text("run") == ('model_checkpoint_path: "model-2"\n'
            'all_model_checkpoint_paths: "model-1"\n'
            'all_model_checkpoint_paths: "model-2"\n')
    os.rename("run", "moved")
    assert latest_checkpoint("moved") == "moved/model-2"
    assert get_checkpoint_state("moved").all_model_checkpoint_paths == \
        ("moved/model-1", "moved/model-2")


def test_entries_by_hand_are_joined_and_not_tidied(tmp_path):
    """Behaviour 21."""
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "./model.ckpt-687529"\n'
                                         'all_model_checkpoint_paths: "./model.ckpt-687500"\n'
                                         'all_model_checkpoint_paths: "./model.ckpt-687529"\n')
    state = get_checkpoint_state(str(tmp_path))
    assert f"{tmp_path}/./model.ckpt-687529" == state.model_checkpoint_path
    assert (f"{tmp_path}/./model.ckpt-687500", f"{tmp_path}/./model.ckpt-687529") == \
        state.all_model_checkpoint_paths
    save(tmp_path / "model.ckpt-687529")
    assert f"{tmp_path}/./model.ckpt-687529" == latest_checkpoint(tmp_path)


@pytest.mark.parametrize("function", [get_checkpoint_state, latest_checkpoint])
def test_an_empty_state_file_is_a_value_error(tmp_path, function):
    """Behaviour 22."""
    file = tmp_path / "checkpoint"
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="names no newest") as error:
        function(tmp_path)
    assert isinstance(error.value, FormatError)
    assert ("the checkpoint state file names no newest checkpoint: expected a line"
            f' model_checkpoint_path: "...", got an empty file (file {file})') == str(error.value)


def test_a_missing_state_file_is_none(tmp_path):
    assert get_checkpoint_state(tmp_path) is None
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "nowhere") is None


def test_times_are_written_as_tensorflow_writes_them(tmp_path):
    update_checkpoint_state(tmp_path, "b", ["a", "b"], None, [10000, 1795420182.7253654], 3)
    assert text(tmp_path) == ('model_checkpoint_path: "b"\n'
            'all_model_checkpoint_paths: "a"\n'
            'all_model_checkpoint_paths: "b"\n'
            "all_model_checkpoint_timestamps: 10000.0\n"
            "all_model_checkpoint_timestamps: 1795420182.7253654\n"
            "last_preserved_timestamp: 3.0\n")
    update_checkpoint_state(tmp_path, "b", last_preserved_timestamp=0.0)
    assert text(tmp_path) == 'model_checkpoint_path: "b"\nall_model_checkpoint_paths: "b"\n'


def test_each_path_needs_one_time(tmp_path):
    with pytest.raises(ValueError, match="one timestamp") as error:
        update_checkpoint_state(tmp_path, "b", ["a"], all_model_checkpoint_timestamps=[1.0])
    assert (str(error.value)
            == "each checkpoint path needs one timestamp: 2 paths ['a', 'b'], 1 timestamps [1.0]")


def test_a_checkpoint_is_not_put_where_the_state_file_goes(inside):
    v1 = save_v1(inside / "checkpoint")
    for folder, path in ((inside, v1), ("", "checkpoint"), (".", "checkpoint")):
        with pytest.raises(PathConflictError) as error:
            update_checkpoint_state(folder, path)
        assert isinstance(error.value, RuntimeError)
        assert isinstance(error.value, ValueError)
    assert str(error.value) == ("the checkpoint would be where the state file of its folder goes"
            " (file ./checkpoint)\n"
            "Save it under another name, or give the state file another one.")
    assert checkpoint_exists(v1)
    # The files of a V2 checkpoint have other names.
    os.unlink(v1)
    save("checkpoint")
    update_checkpoint_state("", "checkpoint")
    assert latest_checkpoint("") == "checkpoint"


def test_a_state_file_is_replaced_in_one_step(tmp_path):
    update_checkpoint_state(tmp_path, "a")
    with open(tmp_path / "checkpoint", "rb") as reader:
        update_checkpoint_state(tmp_path, "b")
        assert reader.read() == b'model_checkpoint_path: "a"\nall_model_checkpoint_paths: "a"\n'
    assert text(tmp_path) == 'model_checkpoint_path: "b"\nall_model_checkpoint_paths: "b"\n'
    assert os.listdir(tmp_path) == ["checkpoint"]


def test_the_folder_of_a_state_file_may_be_an_address_or_a_path_object(tmp_path):
    """Behaviour 4."""
    prefix = save(tmp_path / "model-1")
    update_checkpoint_state(f"file://{tmp_path}", f"file://{prefix}", [Path(prefix)])
    for folder in (str(tmp_path), tmp_path, f"file://{tmp_path}"):
        assert prefix == latest_checkpoint(folder)
        assert prefix == get_checkpoint_state(folder).model_checkpoint_path
    assert checkpoint_exists(f"file://{prefix}")
    assert checkpoint_exists(Path(prefix))


def test_the_latest_is_found_after_a_move(tmp_path):
    prefix = save(tmp_path / "exp [v1]" / "model-7")
    update_checkpoint_state(tmp_path / "exp [v1]", "/home/old/model-7")
    with pytest.warns(CheckpointWarning) as caught:
        assert prefix == latest_checkpoint(tmp_path / "exp [v1]")
    assert [f"the state file points to /home/old/model-7, which is gone; using {prefix} beside it"
            ] == [str(warning.message) for warning in caught]
    assert __file__ == caught[0].filename


def test_a_latest_that_is_nowhere_is_none_with_a_warning(tmp_path):
    save(tmp_path / "model-6")
    update_checkpoint_state(tmp_path, "model-7")
    with pytest.warns(CheckpointWarning) as caught:
        assert latest_checkpoint(tmp_path) is None
    assert [f"the checkpoint that the state file names is gone (file {tmp_path}/model-7)\n"
            f"In the folder: {tmp_path}/model-6."] == [str(w.message) for w in caught]


def test_a_prefix_that_ends_in_a_slash_is_found(tmp_path):
    prefix = f"{tmp_path}/7/"
    saved = save(tmp_path / "7" / "model")
    for ending in (".index", ".data-00000-of-00001"):
        os.rename(saved + ending, prefix + ending)
    write_state(tmp_path / "7", prefix, save_relative_paths=True)
    assert text(tmp_path / "7") == 'model_checkpoint_path: "."\nall_model_checkpoint_paths: "."\n'
    assert prefix == latest_checkpoint(tmp_path / "7")


@pytest.mark.parametrize("name", ["model", "mo[d]el", "model*"])
def test_existence_and_removal_of_v2(tmp_path, name):
    """Behaviour 24."""
    prefix = save(tmp_path / name)
    for other in ("modelx", "model-1", "mode"):
        save(tmp_path / other)
    Path(prefix + ".data-00001-of-00003").write_bytes(b"another shard")
    Path(prefix + ".meta").write_bytes(b"graph")
    Path(prefix + ".notes").write_bytes(b"the user's own")
    assert checkpoint_exists(prefix)
    assert not checkpoint_exists(prefix + ".index")
    remove_checkpoint(prefix)
    assert not checkpoint_exists(prefix)
    assert [f"{name}.notes"] == [n for n in os.listdir(tmp_path) if n.startswith(name + ".")]
    assert all(checkpoint_exists(tmp_path / other) for other in ("modelx", "model-1", "mode"))
    remove_checkpoint(prefix)  # nothing there is nothing to do


def test_existence_and_removal_of_v1(tmp_path):
    """Behaviour 24."""
    prefix = save_v1(tmp_path / "model-5")
    Path(prefix + ".meta").write_bytes(b"graph")
    assert checkpoint_exists(prefix)
    remove_checkpoint(prefix, 2)  # as in TensorFlow, version 2 leaves a V1 file alone
    assert checkpoint_exists(prefix)
    remove_checkpoint(prefix)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["model-5", "mo[d]el-5"])
def test_existence_and_removal_of_sharded_v1(tmp_path, name):
    """Behaviour 24."""
    pattern = save_v1(tmp_path / name, 3)
    save_v1(tmp_path / name, 2)
    (tmp_path / f"{name}.meta").write_bytes(b"graph")
    (tmp_path / f"{name}-?????-of-00003.txt").write_bytes(b"the user's own")
    assert checkpoint_exists(pattern)
    remove_checkpoint(pattern, 1)
    assert not checkpoint_exists(pattern)
    assert [f"{name}-00000-of-00002", f"{name}-00001-of-00002", f"{name}-?????-of-00003.txt"] == \
        sorted(os.listdir(tmp_path))


def test_only_checkpoints_are_removed(tmp_path):
    """Behaviour 24."""
    save(tmp_path / "model")
    (tmp_path / "model").write_bytes(b"a file of this very name, of some other kind")
    for n in range(3):
        (tmp_path / f"train-{n:05d}-of-00003").write_bytes(b"records")
    assert not checkpoint_exists(tmp_path / "train-?????-of-00003")
    assert not checkpoint_exists(tmp_path)
    remove_checkpoint(tmp_path / "train-?????-of-00003")
    remove_checkpoint(tmp_path / "model")
    assert ["model", *(f"train-{n:05d}-of-00003" for n in range(3))] == sorted(os.listdir(tmp_path))
    with pytest.raises(ValueError, match="format version") as error:
        remove_checkpoint(tmp_path / "model", 3)
    assert str(error.value) == "the format version must be 1, 2 or None, not 3"


def test_times_of_checkpoints(tmp_path):
    """Behaviour 30."""
    v2, v1 = save(tmp_path / "model-1"), save_v1(tmp_path / "model-2", 2)
    os.utime(v2 + ".index", (100, 100.5))
    os.utime(tmp_path / "model-2-00000-of-00002", (200, 200.25))
    assert get_checkpoint_mtimes([v2, str(tmp_path / "gone"), v1]) == [100.5, 200.25]


def test_relocation_keeps_times_and_drops_what_is_gone(tmp_path):
    save(tmp_path / "model-1")
    save(tmp_path / "model-3")
    update_checkpoint_state(tmp_path, "/old/model-3", ["/old/model-1", "/old/model-2",
                                                       "/old/model-3"], None, [1, 2, 3], 0.5)
    before = text(tmp_path)
    assert relocate(tmp_path, dry_run=True).new.model_checkpoint_path == "model-3"
    assert before == text(tmp_path)
    report = relocate(tmp_path)
    assert report.changes == \
        (("/old/model-1", "model-1"), ("/old/model-2", None), ("/old/model-3", "model-3"))
    assert text(tmp_path) == ('model_checkpoint_path: "model-3"\n'
            'all_model_checkpoint_paths: "model-1"\n'
            'all_model_checkpoint_paths: "model-3"\n'
            "all_model_checkpoint_timestamps: 1.0\n"
            "all_model_checkpoint_timestamps: 3.0\n"
            "last_preserved_timestamp: 0.5\n")
    assert relocate(tmp_path).changes == ()


def test_relocation_prefers_the_folder_over_the_original_of_a_copy(tmp_path):
    first, second = save(tmp_path / "a" / "model-1"), save(tmp_path / "a" / "model-2")
    update_checkpoint_state(tmp_path / "a", second, [first, second])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    os.unlink(tmp_path / "b" / "model-1.index")
    relocate(tmp_path / "b")
    # Only the original has the other one.
    stored = get_checkpoint_state(tmp_path / "b").all_model_checkpoint_paths
    assert stored == (f"{tmp_path}/b/../a/model-1", f"{tmp_path}/b/model-2")


def test_relocation_without_the_newest_takes_the_last_that_is_left(tmp_path):
    save(tmp_path / "model-1")
    save(tmp_path / "model-2")
    update_checkpoint_state(tmp_path, "model-3", ["model-1", "model-2", "model-3"])
    assert relocate(tmp_path).new.model_checkpoint_path == "model-2"
    assert f"{tmp_path}/model-2" == latest_checkpoint(tmp_path)


def test_relocation_of_nothing_changes_nothing(tmp_path):
    with pytest.raises(CheckpointNotFoundError) as error:
        relocate(tmp_path)
    assert f"there is no state file in this folder (file {tmp_path})" == str(error.value)
    with pytest.raises(CheckpointNotFoundError) as error:
        relocate(tmp_path / "gone")
    assert f"there is no such folder (file {tmp_path}/gone)" == str(error.value)
    update_checkpoint_state(tmp_path, "model-3")
    before = text(tmp_path)
    with pytest.raises(CheckpointNotFoundError) as error:
        relocate(tmp_path)
    assert ("nothing that the state file names exists; it stays as it is"
            f" (file {tmp_path}/checkpoint)\n"
            f"`tfckpt list {tmp_path}` shows what the folder holds.") == str(error.value)
    assert before == text(tmp_path)


def test_a_removed_checkpoint_leaves_the_list_with_its_time(tmp_path):
    paths = [save(tmp_path / f"model-{n}") for n in range(3)]
    update_checkpoint_state(tmp_path, paths[2], paths, None, [1, 2, 3])
    removal = remove_and_unlist(paths[1])
    assert (paths[1] + ".index", paths[1] + ".data-00000-of-00001") == \
        tuple(file for file, _ in removal.files)
    assert (paths[0], paths[2]) == get_checkpoint_state(tmp_path).all_model_checkpoint_paths
    assert get_checkpoint_state(tmp_path).all_model_checkpoint_timestamps == (1.0, 3.0)
    remove_and_unlist(paths[2])
    assert paths[0] == latest_checkpoint(tmp_path)
    remove_and_unlist(paths[0])
    assert os.listdir(tmp_path) == []  # an empty state file would be an error


def test_a_damaged_state_file_does_not_keep_a_checkpoint_from_being_removed(tmp_path):
    prefix = save(tmp_path / "model")
    (tmp_path / "checkpoint").write_bytes(b"")
    removal = remove_and_unlist(prefix)
    assert len(removal.notes) == 1
    assert os.listdir(tmp_path) == ["checkpoint"]


@needs_shared
@pytest.mark.parametrize("file", STATES, ids=lambda file: "-".join(file.parts[-4:-2]))
def test_state_files_of_real_tensorflow(file):
    """Behaviours 18 to 21."""
    truth = json.loads((file.parents[1] / "TRUTH.json").read_text())["state"]
    state = get_checkpoint_state(file.parent)
    assert truth["model_checkpoint_path"] == state.model_checkpoint_path.removeprefix(
        f"{file.parents[1]}/")
    assert truth["all_model_checkpoint_paths"] == [
        path.removeprefix(f"{file.parents[1]}/") for path in state.all_model_checkpoint_paths]


@needs_shared
@pytest.mark.parametrize("file", STATES, ids=lambda file: "-".join(file.parts[-4:-2]))
@pytest.mark.filterwarnings("ignore::tfckpt.CheckpointWarning")
def test_the_latest_of_real_folders(file):
    truth = json.loads((file.parents[1] / "TRUTH.json").read_text())
    found = latest_checkpoint(file.parent)
    if "moved" in str(file):  # TensorFlow finds nothing there
        assert {os.path.relpath(found, file.parents[1])} <= set(truth["checkpoints"])
    else:
        assert truth["latest_checkpoint"] == (found and os.path.relpath(found, file.parents[1]))


@needs_shared
def test_the_latest_of_the_corpus():
    for truth in sorted(SHARED.glob("corpus/*/STATE.json")):
        for folder, state in json.loads(truth.read_text()).items():
            path = os.path.normpath(truth.parent / folder)
            wanted = state["latest_checkpoint"]
            if wanted is None:
                continue
            # A prefix that ends in a slash is a dot for TensorFlow, which then finds no files.
            wanted = wanted.replace("<folder>", str(truth.parent)).removesuffix("/.")
            assert os.path.normpath(wanted) == os.path.normpath(latest_checkpoint(path))
