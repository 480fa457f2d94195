from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers import GOLDENS, SHARED, needs_shared
from tfckpt.core.catalog import (
    bundle_files,
    find_newest,
    has_checkpoint,
    locate,
    means,
    meta_graph_file,
    read_catalog,
    v1_files,
)
from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointNotFoundError
from tfckpt.format.bundle import HEADER_KEY, BundleHeader, encode_header
from tfckpt.format.table import encode_table
from tfckpt.storage.publish import Staging

FORMATS = SHARED / "fixtures" / "formats"
CORPUS = SHARED / "corpus"


def save(prefix, step=1) -> str:
    """A real checkpoint."""
    write_plan(Plan((given_int64("global_step", step, "little"),), "name-based"), str(prefix))
    return str(prefix)


def state(folder, *paths) -> None:
    """A state file."""
    lines = [f'model_checkpoint_path: "{paths[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{path}"' for path in paths]
    Path(folder, "checkpoint").write_text("\n".join(lines))


def states(folder) -> dict[str, str]:
    return {os.path.basename(entry.prefix): entry.state for entry in read_catalog(folder)[1]}


def problems(folder) -> dict[str, str | None]:
    return {os.path.basename(entry.prefix): entry.problem for entry in read_catalog(folder)[1]}


def test_latest_listed_and_orphan(tmp_path):
    for n in (9, 10, 11):
        save(tmp_path / f"model-{n}", step=n + 100)
    state(tmp_path, "model-9", "model-10")
    assert states(tmp_path) == {"model-9": "listed", "model-10": "latest", "model-11": "orphan"}
    entry = read_catalog(tmp_path).checkpoints[1]
    assert entry.step == 110
    assert entry.files == (f"{tmp_path}/model-10.data-00000-of-00001", f"{tmp_path}/model-10.index")
    assert entry.n_bytes == sum(map(os.path.getsize, entry.files))
    assert (entry.latest, entry.listed, entry.problem) == (True, True, None)


def test_they_are_ordered_by_number(tmp_path):
    names = ["best-2", "best-10", "ckpt-9", "ckpt-10", "model"]
    for name in reversed(names):
        save(tmp_path / name)
    assert list(states(tmp_path)) == names


def test_incomplete_ones(tmp_path):
    for n in range(6):
        save(tmp_path / f"model-{n}")
    os.unlink(tmp_path / "model-0.index")
    os.unlink(tmp_path / "model-1.data-00000-of-00001")
    (tmp_path / "model-2.data-00000-of-00001").write_bytes(b"short")
    (tmp_path / "model-3.index").write_bytes(b"")
    (tmp_path / "model-4.index").write_bytes((tmp_path / "model-5.index").read_bytes()[:-60] * 2)
    state(tmp_path, "model-0", "model-1")
    catalog = read_catalog(tmp_path)
    assert {entry.state for entry in catalog.checkpoints[:-1]} == {"incomplete"}
    assert catalog.checkpoints[-1].state == "orphan"
    assert [entry.latest for entry in catalog.checkpoints[:2]] == [False, True]
    assert [entry.listed for entry in catalog.checkpoints[:3]] == [True, True, False]
    assert [entry.step for entry in catalog.checkpoints] == [0, 1, 2, 3, 4, 1]
    found = problems(tmp_path)
    assert found["model-0"] == "the index is missing"
    assert found["model-1"] == ("a data file of the checkpoint is missing"
                                " (model-1.data-00000-of-00001)")
    assert found["model-2"] == ("the data file is 3 bytes short (model-2.data-00000-of-00001)")
    assert found["model-5"] is None
    assert catalog.gone == ()


def test_a_checkpoint_for_newer_readers_is_not_called_incomplete(tmp_path):
    prefix = save(tmp_path / "model-1")
    Path(prefix + ".index").write_bytes(encode_table([
        (HEADER_KEY, encode_header(BundleHeader(min_consumer=9)))]))
    assert states(tmp_path) == {"model-1": "orphan"}


def test_what_is_listed_and_gone(tmp_path):
    save(tmp_path / "model-2")
    state(tmp_path, "model-1", "model-2", "model-3")
    catalog = read_catalog(tmp_path)
    assert catalog.gone == ("model-1", "model-3")
    assert states(tmp_path) == {"model-2": "listed"}


def test_a_moved_folder(tmp_path):
    save(tmp_path / "model-1")
    save(tmp_path / "model-2")
    state(tmp_path, "/home/old/model-1", "C:\\\\old\\\\model-2")
    assert states(tmp_path) == {"model-1": "listed", "model-2": "latest"}
    assert read_catalog(tmp_path).gone == ()


def test_a_copied_folder_whose_state_file_points_to_the_original(tmp_path):
    original = save(tmp_path / "a" / "model-1")
    save(tmp_path / "b" / "model-1")
    state(tmp_path / "b", original)
    catalog = read_catalog(tmp_path / "b")
    assert [entry.state for entry in catalog.checkpoints] == ["orphan"]
    assert catalog.notes == (f"the state file lists {original}, which is not in this folder",)
    assert find_newest(tmp_path / "b")[:2] == (original, ())


def test_leftovers(tmp_path):
    save(tmp_path / "model-1")
    (tmp_path / "model-2_temp").mkdir()
    (tmp_path / "model-2_temp" / "part-00000-of-00001.index").write_bytes(b"12345")
    (tmp_path / "model-3_temp_0123abcd").mkdir()
    (tmp_path / "my_temp").mkdir()
    (tmp_path / "my_temp" / "notes.txt").write_bytes(b"mine")
    (tmp_path / "model-4.index.tempstate123").write_bytes(
        (tmp_path / "model-1.index").read_bytes())
    crashed = Staging(f"{tmp_path}/model-5.index")
    crashed.__enter__()
    crashed.write("index", [b"123"])
    index_size = os.path.getsize(tmp_path / "model-1.index")
    found = {os.path.basename(item.path): item.n_bytes
             for item in read_catalog(tmp_path).leftovers}
    staging = next(name for name in os.listdir(tmp_path) if name.startswith(".tfckpt-"))
    assert found == {staging: 3, "model-2_temp": 5, "model-3_temp_0123abcd": 0,
                     "model-4.index.tempstate123": index_size}
    assert states(tmp_path) == {"model-1": "orphan"}


def test_files_of_other_software_are_no_checkpoints(tmp_path):
    for name in ("faiss.index", "train-00000-of-00010", "notes.txt", "graph.meta"):
        (tmp_path / name).write_bytes(b"something else")
    (tmp_path / "folder.index").mkdir()
    assert read_catalog(tmp_path).checkpoints == ()
    state(tmp_path, "faiss")  # but if it is listed, it is a damaged one
    assert states(tmp_path) == {"faiss": "incomplete"}
    assert problems(tmp_path) == {
        "faiss": "this is a text file, not the index of a checkpoint (faiss.index)"}


def test_v1_checkpoints(tmp_path):
    data = (GOLDENS / "tf1.15" / "v1.ckpt").read_bytes()
    for name in ("model-5", "model-6-00000-of-00002", "model-6-00001-of-00002",
                 "model-7-00001-of-00003"):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "model-6.meta").write_bytes(b"graph")
    state(tmp_path, "model-5", "model-6-?????-of-00002")
    assert states(tmp_path) == {"model-5": "listed", "model-6-?????-of-00002": "latest",
                                "model-7-?????-of-00003": "incomplete"}
    entries = read_catalog(tmp_path).checkpoints
    assert [entry.step for entry in entries] == [5, 6, 7]
    assert entries[1].files == tuple(f"{tmp_path}/model-6{ending}" for ending in (
        "-00000-of-00002", "-00001-of-00002", ".meta"))
    assert entries[2].problem == "2 of 3 shards are missing"
    assert find_newest(tmp_path)[:2] == (f"{tmp_path}/model-6-?????-of-00002", ())


def test_a_folder_without_a_state_file_or_with_a_damaged_one(tmp_path):
    save(tmp_path / "model-1")
    assert read_catalog(tmp_path).notes == ("there is no state file, so nothing here is listed",)
    (tmp_path / "checkpoint").write_bytes(b"")
    catalog = read_catalog(tmp_path)
    assert catalog.notes == (
        "the state file can't be used: the checkpoint state file names no newest checkpoint:"
        f' expected a line model_checkpoint_path: "...", got an empty file (file {tmp_path}/'
        "checkpoint)",)
    assert [entry.state for entry in catalog.checkpoints] == ["orphan"]


def test_what_is_no_folder(tmp_path):
    prefix = save(tmp_path / "model")
    with pytest.raises(CheckpointNotFoundError) as error:
        read_catalog(prefix)
    assert str(error.value) == (
        f"there is no such folder (file {prefix})\n"
        f"That is a checkpoint: `tfckpt ls {prefix}` lists its tensors.")
    with pytest.raises(CheckpointNotFoundError) as error:
        read_catalog(tmp_path / "gone")
    assert str(error.value) == f"there is no such folder (file {tmp_path}/gone)"


def test_every_character_of_a_prefix_stands_for_itself(tmp_path):
    """Behaviour 24."""
    for name in ("m[o]del", "model", "m?del", "m*"):
        prefix = save(tmp_path / "exp [v1]" / name)
        assert has_checkpoint(prefix)
        assert bundle_files(prefix) == (prefix + ".index", prefix + ".data-00000-of-00001")
        assert v1_files(prefix) == ()
        assert locate(str(tmp_path / "exp [v1]"), name)[:2] == (prefix, ())
    os.unlink(tmp_path / "exp [v1]" / "model.index")
    assert not has_checkpoint(str(tmp_path / "exp [v1]" / "model"))
    assert set(states(tmp_path / "exp [v1]").values()) == {"orphan", "incomplete"}


def test_a_folder_written_in_two_ways_is_one(tmp_path):
    prefix = save(tmp_path / "run" / "model")
    assert means(f"{tmp_path}/run", "./model", prefix)
    assert means(f"{tmp_path}/run", prefix, f"{tmp_path}/./run/model")
    assert not means(f"{tmp_path}/run", "model-1", prefix)


def test_the_graph_of_a_sharded_checkpoint_has_its_name_without_the_shards():
    assert meta_graph_file("a/model-3-?????-of-00003") == "a/model-3.meta"
    assert meta_graph_file("a/model-3", "graph") == "a/model-3.graph"


@needs_shared
@pytest.mark.parametrize("version", ["tf1.15", "tf2.21"])
def test_a_real_crash(version):
    folder = FORMATS / version / "crash_temp" / "run"
    catalog = read_catalog(folder)
    assert states(folder) == {"model.ckpt-10": "latest", "model.ckpt-30": "incomplete"}
    assert sorted(os.path.basename(item.path).partition("_temp_")[0].removesuffix("_temp")
                  for item in catalog.leftovers) == [
        "model.ckpt-20", "model.ckpt-30.index.tempstate1234567890123456789"]


@needs_shared
@pytest.mark.parametrize("folder", [
    "tf2.21/sharded_12", "tf2.21/partitioned_sharded", "tf1.15/slices_mixed", "tf2.21/v1_sharded",
    "tf1.15/v1_plain", "tf2.15/state_manager/run", "tf2.21/big_endian", "tf2.21/snappy_index"])
def test_whole_ones_are_not_called_incomplete(folder):
    catalog = read_catalog(FORMATS / folder)
    assert catalog.checkpoints
    assert [entry.problem for entry in catalog.checkpoints if entry.problem] == []


@needs_shared
def test_a_missing_shard_of_the_corpus():
    entry, = read_catalog(CORPUS / "t5x-bfloat16-missing-shard").checkpoints
    assert (entry.state, entry.latest) == ("incomplete", True)
    assert entry.problem == ("a data file of the checkpoint is missing"
                             " (model.ckpt-0.data-00001-of-00002)")


@needs_shared
def test_a_prefix_that_ends_in_a_slash():
    folder = CORPUS / "maddpg-dotfiles" / "7"
    entry, = read_catalog(folder).checkpoints
    assert (entry.prefix, entry.state) == (f"{folder}/", "latest")
    assert [os.path.basename(file) for file in entry.files] == [
        ".data-00000-of-00001", ".index", ".meta"]
    assert read_catalog(folder).gone == tuple(f"..\\{n}" for n in (3, 4, 5, 6))
