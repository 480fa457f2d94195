"""What unfinished saves leave, by TensorFlow's names for it."""

from __future__ import annotations

import os
import shutil

from helpers import GOLDENS, copy_checkpoint
from tfckpt.core.catalog import read_catalog
from tfckpt.core.residue import find_leftovers, is_temporary_file, residue_of
from tfckpt.storage.publish import Staging

ONE = GOLDENS / "tf2.21" / "vars-1"


def found(folder) -> dict[str, str]:
    return {os.path.basename(item.path): item.what for item in find_leftovers(str(folder))}


def parts(folder, count, *there) -> None:
    """The folder of a sharded save with these parts complete."""
    folder.mkdir()
    for n in there:
        copy_checkpoint(ONE, folder, f"part-{n:05d}-of-{count:05d}")


def test_parts_that_were_not_merged(tmp_path):
    parts(tmp_path / "a-1_temp", 2, 0, 1)
    parts(tmp_path / "b-1_temp_0123456789abcdef", 3, 1)
    parts(tmp_path / "c-1_temp", 12, 0)
    (tmp_path / "d-1_temp").mkdir()
    (tmp_path / "d-1_temp" / "part-00000-of-00002.data-00000-of-00001").write_bytes(b"12345")
    assert found(tmp_path) == {
        "a-1_temp": "of a sharded save that was not merged: 2 of 2 parts have their index",
        "b-1_temp_0123456789abcdef": "of a sharded save that was not merged: 1 of 3 parts have"
                                     " their index; without: 00000, 00002",
        "c-1_temp": "of a sharded save that was not merged: 1 of 12 parts have their index;"
                    " without: 00001, 00002, 00003, 00004, 00005, ...",
        "d-1_temp": "of a sharded save that was not merged: 0 of 2 parts have their index;"
                    " without: 00000, 00001"}
    sizes = {item.path: item.n_bytes for item in find_leftovers(str(tmp_path))}
    assert sizes[f"{tmp_path}/d-1_temp"] == 5
    assert {item.owner for item in find_leftovers(str(tmp_path))} == {
        f"{tmp_path}/{name}-1" for name in "abcd"}


def test_a_part_of_a_part_count_that_is_absurd_costs_nothing(tmp_path):
    (tmp_path / "m_temp").mkdir()
    (tmp_path / "m_temp" / "part-00000-of-99999999999999.index").write_bytes(b"")
    assert found(tmp_path)["m_temp"].startswith(
        "of a sharded save that was not merged: 1 of 99999999999999 parts have their index;")


def test_parts_of_a_storage_without_folders(tmp_path):
    copy_checkpoint(ONE, tmp_path, "m-7.part-00000-of-00002")
    copy_checkpoint(ONE, tmp_path, "whole")
    assert found(tmp_path) == {"m-7.part-00000-of-00002": "a part that was not merged"}
    catalog = read_catalog(tmp_path)
    assert [os.path.basename(entry.prefix) for entry in catalog.checkpoints] == ["whole"]


def test_the_part_of_a_registered_saver(tmp_path):
    copy_checkpoint(ONE, tmp_path, "m-7-Custom.MySaver")
    copy_checkpoint(ONE, tmp_path, "m-final.v2")
    assert found(tmp_path) == {}  # by its name alone it may be any checkpoint
    parts(tmp_path / "m-7_temp", 1, 0)
    assert found(tmp_path)["m-7-Custom.MySaver"] == (
        "the part of the registered saver Custom.MySaver")
    catalog = read_catalog(tmp_path)
    assert [os.path.basename(entry.prefix) for entry in catalog.checkpoints] == ["m-final.v2"]


def test_files_that_were_being_written(tmp_path):
    for name in ("m.index.tempstate123", "m.data-00000-of-00001.tempstate18446744073709551615",
                 "v1.ckpt.tempstate9"):
        (tmp_path / name).write_bytes(b"123")
        assert is_temporary_file(name)
    assert not is_temporary_file("m.index.tempstate")
    assert set(found(tmp_path).values()) == {"a file that was being written"}
    assert [item.owner for item in find_leftovers(str(tmp_path))] == [
        f"{tmp_path}/m", f"{tmp_path}/m", None]


def test_a_save_of_ours(tmp_path):
    crashed = Staging(f"{tmp_path}/m.index")
    crashed.__enter__()
    crashed.write("index", [b"123"])
    assert list(found(tmp_path).values()) == ["of a save by tfckpt"]
    crashed.__exit__()
    assert found(tmp_path) == {}


def test_folders_of_other_things_are_left_alone(tmp_path):
    (tmp_path / "my_temp").mkdir()
    (tmp_path / "my_temp" / "notes.txt").write_bytes(b"mine")
    (tmp_path / "file_temp").write_bytes(b"mine")
    shutil.copytree(GOLDENS / "tf2.21", tmp_path / "others")
    assert found(tmp_path) == {}


def test_only_what_belongs_to_a_checkpoint_is_its_residue(tmp_path):
    parts(tmp_path / "m-7_temp", 1, 0)
    (tmp_path / "m-8.index.tempstate1").write_bytes(b"")
    assert list(residue_of(f"{tmp_path}/m-7")) == [
        "a save of this checkpoint did not finish, or is at work: of a sharded save that was not"
        f" merged: 1 of 1 parts have their index (file {tmp_path}/m-7_temp)"]
    assert list(residue_of(f"{tmp_path}/m")) == []
