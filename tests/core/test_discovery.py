from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS, SHARED, copy_checkpoint, needs_shared
from tfckpt.core.catalog import read_catalog
from tfckpt.core.discovery import discover
from tfckpt.core.folder import verify_folder
from tfckpt.errors import (
    CheckpointNotFoundError,
    FormatError,
    NotACheckpointError,
    UnsupportedError,
)
from tfckpt.train.state import relocate


def test_a_prefix_is_taken_as_it_is(tf1):
    assert (tf1, ()) == discover(tf1)[:2]
    assert (tf1, ()) == discover(Path(tf1))[:2]
    assert (tf1, ()) == discover("file://" + tf1)[:2]
    assert (tf1, ()) == discover(tf1 + ".index")[:2]


def test_a_data_shard_leads_to_the_prefix(tf1):
    note = f"that is a data shard; using the checkpoint prefix {tf1}"
    assert (tf1, (note,)) == discover(tf1 + ".data-00000-of-00001")[:2]


def test_a_graph_leads_to_the_prefix(tf1):
    Path(tf1 + ".meta").write_bytes(b"\n\x05graph")
    note = f"that is the graph of a checkpoint; using the checkpoint prefix {tf1}"
    assert (tf1, (note,)) == discover(tf1 + ".meta")[:2]
    os.unlink(tf1 + ".meta")
    assert tf1 == discover(tf1 + ".meta").prefix


def test_a_folder_leads_to_its_newest_checkpoint(tf1):
    folder = os.path.dirname(tf1)
    Path(folder, "checkpoint").write_text('model_checkpoint_path: "model.ckpt-7"\n')
    assert (tf1, ()) == discover(folder)[:2]
    found = discover(os.path.join(folder, "checkpoint"))
    assert tf1 == found.prefix
    assert ("that is a state file; using the checkpoint it names, " + tf1,) == found.notes


@pytest.mark.parametrize("stored", ["/old/run/model.ckpt-7", "C:\\old\\run\\model.ckpt-7"])
def test_a_state_file_outlives_a_move(tf1, stored):
    folder = os.path.dirname(tf1)
    quoted = stored.replace("\\", "\\\\")
    Path(folder, "checkpoint").write_text(f'model_checkpoint_path: "{quoted}"\n')
    note = f"the state file points to {stored}, which is gone; using {tf1} beside it"
    assert (tf1, (note,)) == discover(folder)[:2]


def test_a_state_file_that_names_nothing_lists_what_is_there(tf1):
    folder = os.path.dirname(tf1)
    Path(folder, "checkpoint").write_text('model_checkpoint_path: "gone-1"\n')
    with pytest.raises(CheckpointNotFoundError) as caught:
        discover(folder)
    assert str(caught.value) == (
        f"the checkpoint that the state file names is gone (file {folder}/gone-1)\n"
        f"In the folder: {tf1}.")


def test_an_empty_state_file_is_a_value_error(tf1):
    folder = os.path.dirname(tf1)
    Path(folder, "checkpoint").write_text("")
    with pytest.raises(FormatError, match="names no newest checkpoint.*got an empty file") as c:
        discover(folder)
    assert os.path.join(folder, "checkpoint") == c.value.file


def test_a_saved_model_leads_to_its_variables(tmp_path):
    copy_checkpoint(EXAMPLE, tmp_path / "variables", "variables")
    prefix = str(tmp_path / "variables" / "variables")
    note = f"that is a SavedModel; using its variables, {prefix}"
    assert (prefix, (note,)) == discover(tmp_path)[:2]


def test_the_only_checkpoint_of_a_folder_is_meant(tf1):
    folder = os.path.dirname(tf1)
    assert (tf1, (f"using the only checkpoint in that folder, {tf1}",)) == discover(folder)[:2]


def test_several_checkpoints_without_a_state_file_are_listed(tf1):
    folder = Path(tf1).parent
    copy_checkpoint(EXAMPLE, folder, "model.ckpt-8")
    with pytest.raises(CheckpointNotFoundError) as caught:
        discover(folder)
    assert str(caught.value) == (
        "the folder has several checkpoints and no state file that says which is meant"
        f" (file {folder})\nGive one of them: {tf1}, {folder}/model.ckpt-8.")


@pytest.mark.parametrize("name", ["exp [v1]", "run {2}", "with space", "ünï", "a*b?", "x.index",
                                  "x.data-00000-of-00001"])
def test_every_character_of_a_path_stands_for_itself(tmp_path, name):
    prefix = copy_checkpoint(EXAMPLE, tmp_path / name, name)
    assert prefix == discover(prefix).prefix
    assert prefix == discover(tmp_path / name).prefix


def test_a_prefix_may_end_in_a_slash(tmp_path):
    for file in (".index", ".data-00000-of-00001"):
        shutil.copy(str(EXAMPLE) + file, tmp_path / file)
    assert os.path.join(tmp_path, "") == discover(tmp_path).prefix
    assert tfckpt.open(f"{tmp_path}/")["dense/kernel"].shape == (3, 4)


def test_behaviour_1_a_prefix_without_its_step_names_the_newest(tf1):
    """A path without files fails when it is opened, as not found and as a wrong value."""
    copy_checkpoint(EXAMPLE, Path(tf1).parent, "model.ckpt-10")
    with pytest.raises(CheckpointNotFoundError) as caught:
        tfckpt.open(tf1.removesuffix("-7"))
    folder = os.path.dirname(tf1)
    assert str(caught.value) == (
        f"there is no checkpoint here (file {folder}/model.ckpt)\n"
        f"Beside it: {folder}/model.ckpt-10, {folder}/model.ckpt-7."
        f" Did you mean {folder}/model.ckpt-10?")
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is None


def test_behaviour_2_missing_things_are_named(tmp_path):
    with pytest.raises(CheckpointNotFoundError) as caught:
        tfckpt.open(tmp_path / "m")
    assert str(caught.value) == (f"there is no checkpoint here (file {tmp_path}/m)\n"
                                 "No checkpoint is in that folder.")
    with pytest.raises(CheckpointNotFoundError) as caught:
        tfckpt.open(tmp_path / "no" / "m")
    assert str(caught.value) == ("there is no checkpoint here: its folder doesn't exist"
                                 f" (file {tmp_path}/no/m)")
    with pytest.raises(CheckpointNotFoundError) as caught:
        tfckpt.open(tmp_path)
    assert str(caught.value) == (
        f"the folder holds no checkpoint and no SavedModel (file {tmp_path})\n"
        "A checkpoint is a file ending in .index beside one or more .data-* files.")


@pytest.mark.parametrize("given", ["prefix", "data", "folder"])
def test_a_missing_index_is_named(tf1, given):
    os.unlink(tf1 + ".index")
    state = os.path.join(os.path.dirname(tf1), "checkpoint")
    if os.path.exists(state):
        os.unlink(state)
    with pytest.raises(CheckpointNotFoundError) as caught:
        tfckpt.open({"prefix": tf1, "data": tf1 + ".data-00000-of-00001",
                     "folder": os.path.dirname(tf1)}[given])
    assert str(caught.value) == (
        "the index of this checkpoint is missing; without it the data can't be read"
        f" (file {tf1}.index)\n"
        "There is model.ckpt-7.data-00000-of-00001; look for the index where it came from.")


def test_folders_below_that_hold_checkpoints_are_named(tf1, tmp_path):
    runs = tmp_path / "runs"
    (runs / "empty").mkdir(parents=True)
    (runs / "notes.txt").write_text("none")
    exported = runs / "saved" / "variables"
    exported.mkdir(parents=True)
    for name, there in (("a b", "model.ckpt-7"), ("saved/variables", "variables")):
        (runs / name).mkdir(exist_ok=True)
        for ending in (".index", ".data-00000-of-00001"):
            os.link(tf1 + ending, runs / name / (there + ending))
    with pytest.raises(CheckpointNotFoundError) as caught:
        tfckpt.open(runs)
    assert str(caught.value) == (
        f"the folder holds no checkpoint and no SavedModel (file {runs})\n"
        f"Folders in it hold some: {runs}/a b, {runs}/saved.")


OTHERS = {
    "torch.ckpt": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
                   "this is a PyTorch file in the legacy format, not a TensorFlow checkpoint (file"
                   " {})\n"
                   "Open it with torch.load(..., weights_only=True)."),
    "weights.h5": (b"\x89HDF\r\n\x1a\n", "this is an HDF5 file, not a TensorFlow checkpoint"
                   " (file {})\nIf it holds Keras weights, model.load_weights opens it, and tfckpt"
                   " convert FILE --to keras those of Keras 2 for a model of Keras 3."),
    "weights.pkl": (pickle.dumps({"a": 1}), "this is a Python pickle, not a TensorFlow checkpoint"
                    " (file {})\nOpening one runs the code in it; tfckpt never does."),
    "m.meta": (b"\n\xff\x01" + bytes(9), "this is a TF1 graph (MetaGraphDef), not a TensorFlow"
               " checkpoint (file {})\nIt has no values; they are in files beside it, and {}.index"
               " is missing."),
    "m.ckpt": (b"", "this is an empty file, not a TensorFlow checkpoint (file {})\n"
               "It was probably cut off while it was written or copied."),
    "odd": (b"\x01\x02\x03\x04\xf5",
            "this is not a TensorFlow checkpoint, and nothing tells what it"
            " is: got bytes 01 02 03 04 f5 (file {}, byte 0)"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_named_as_what_they_are(tmp_path, name):
    data, message = OTHERS[name]
    file = tmp_path / name
    file.write_bytes(data)
    with pytest.raises(NotACheckpointError) as caught:
        tfckpt.open(file)
    prefix = str(file).removesuffix(".meta")
    assert message.format(file, prefix) == str(caught.value)


def test_an_index_that_was_not_downloaded_is_named(tmp_path):
    (tmp_path / "m.index").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0")
    with pytest.raises(NotACheckpointError, match="Git LFS pointer") as caught:
        tfckpt.open(tmp_path / "m")
    assert "Run: git lfs pull" in str(caught.value)


def test_v1_checkpoints_are_found_by_any_of_their_names(tmp_path):
    """Behaviour 108: one shard alone by its own name, all by the pattern."""
    golden = str(GOLDENS / "tf1.15" / "v1.ckpt")
    assert discover(golden) == (golden, (), (golden,), None)
    shards = []
    for n in range(2):
        shards.append(str(tmp_path / f"m-{n:05d}-of-00002"))
        shutil.copy(golden, shards[-1])
    pattern = str(tmp_path / "m-?????-of-00002")
    assert discover(pattern) == (pattern, (), tuple(shards), None)
    assert discover(shards[1]) == (shards[1], (), (shards[1],), None)
    assert discover(tmp_path / "m") == (pattern, (f"using the V1 shards {pattern}",),
                                        tuple(shards), None)
    note = f"using the only checkpoint in that folder, {pattern}"
    assert discover(tmp_path) == (pattern, (note,), tuple(shards), None)
    os.unlink(shards[0])
    note = "only 1 of the 2 shards of this V1 checkpoint are here"
    assert discover(pattern) == (pattern, (note,), (shards[1],), None)


def test_a_state_file_may_name_a_v1_checkpoint(tmp_path):
    shutil.copy(GOLDENS / "tf1.15" / "v1.ckpt", tmp_path / "m-00000-of-00001")
    for stored in ("m-?????-of-00001", "/gone/m-?????-of-00001"):
        (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{stored}"\n')
        found = discover(tmp_path)
        assert found.prefix == str(tmp_path / "m-?????-of-00001")
        assert len(found.notes) == stored.startswith("/gone")
        with tfckpt.open(tmp_path) as source:
            assert source.format == "V1"


def test_what_is_where_the_state_file_says_comes_before_what_lies_beside_it(tmp_path):
    """To open it as to name it: one rule for both."""
    (tmp_path / "old").mkdir()
    shutil.copy(GOLDENS / "tf1.15" / "v1.ckpt", tmp_path / "old" / "m")
    copy_checkpoint(GOLDENS / "tf1.15" / "names", tmp_path, "m")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "old/m"\n')
    written = str(tmp_path / "old" / "m")
    assert discover(tmp_path) == (written, (), (written,), None)
    assert tfckpt.latest_checkpoint(tmp_path) == written


def test_a_state_file_may_name_its_own_folder(tmp_path):
    """So TensorFlow stores a prefix that ends in a slash."""
    for name in (".index", ".data-00000-of-00001"):
        shutil.copy(GOLDENS / "tf1.15" / f"names{name}", tmp_path / name)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "."\n')
    assert discover(tmp_path)[:2] == (f"{tmp_path}/", ())
    assert tfckpt.latest_checkpoint(tmp_path) == f"{tmp_path}/"


@pytest.mark.parametrize(("address", "hint"), [
    ("gs://bucket/m-1", ": gcloud storage cp 'PREFIX*' ."),
    ("s3://bucket/m-1", ": aws s3 cp --recursive --exclude '*' --include 'NAME*' FOLDER ."),
    ("https://host/m-1.index", ".")])
def test_addresses_elsewhere_are_told_from_missing_folders(address, hint):
    with pytest.raises(UnsupportedError) as caught:
        discover(address)
    assert str(caught.value) == (
        f"checkpoints elsewhere can't be read, only local files (file {address})\n"
        f"Copy all files of its prefix here first{hint}")


@pytest.mark.parametrize(("address", "hint"), [
    ("gs://bucket/run", ": gcloud storage cp -r FOLDER ."),
    (Path("gs://bucket/run"), ": gcloud storage cp -r FOLDER ."),
    ("s3://bucket/run", ": aws s3 cp --recursive FOLDER RUN"),
    ("hdfs://node/run", ": hdfs dfs -get FOLDER ."),
    ("abfs://host/run", ".")])
@pytest.mark.parametrize("look", [tfckpt.latest_checkpoint, tfckpt.get_checkpoint_state,
                                  read_catalog, relocate, verify_folder])
def test_a_folder_elsewhere_is_not_taken_for_an_empty_one(look, address, hint):
    """None would have a program train from scratch."""
    with pytest.raises(UnsupportedError) as caught:
        look(address)
    assert str(caught.value) == (
        f"folders elsewhere can't be read, only local ones (file {address})\n"
        f"Copy it here first{hint}")


def test_a_checkpoint_elsewhere_is_not_said_to_be_missing():
    with pytest.raises(UnsupportedError) as caught:
        tfckpt.checkpoint_exists("gs://bucket/run/ckpt-1")
    assert str(caught.value) == (
        "checkpoints elsewhere can't be read, only local files (file gs://bucket/run/ckpt-1)\n"
        "Copy all files of its prefix here first: gcloud storage cp 'PREFIX*' .")


def test_a_path_with_a_nul_character_is_an_error(tmp_path):
    with pytest.raises(CheckpointNotFoundError):
        tfckpt.open(str(tmp_path) + "/a\0b")


READABLE = {"safetensors": "safetensors", "npz": "npz"}
# Made by hand, and refused by pickletools and msgpack too.
BROKEN = {"pytorch_zip": "the pickle takes values up to a mark",
          "flax": "the msgpack file is damaged"}


@needs_shared
@pytest.mark.parametrize("file", sorted(
    (SHARED / "fixtures/formats/tf2.21/not_checkpoints").glob("*.ckpt")), ids=lambda p: p.name)
def test_no_file_of_another_framework_passes_for_ours(file):
    """What another format is read as is said; what isn't read is named."""
    if any(word in file.name for word in READABLE):
        with tfckpt.open(file) as source:
            assert source.format in READABLE.values()
            assert len(source)
        return
    for part, message in BROKEN.items():
        if part in file.name:
            with pytest.raises(FormatError, match=message):
                tfckpt.open(file)
            return
    with pytest.raises(NotACheckpointError) as caught:
        tfckpt.open(file)
    words = {"hdf5": "HDF5", "numpy_npy": "NumPy array", "pickle": "pickle",
             "pytorch": "PyTorch", "text": "text"}
    expected = next(word for part, word in words.items() if part in file.name)
    assert expected in str(caught.value)
