"""Verification of whole folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers import EXAMPLE, GOLDENS, copy_checkpoint
from tfckpt.core.folder import find_newest_good, verify_folder
from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.verify import verify_path
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointNotFoundError, NotACheckpointError


def save(prefix, step=1) -> str:
    write_plan(Plan((given_int64("global_step", step, "little"),), "name-based"), str(prefix))
    return str(prefix)


def spoil(prefix) -> None:
    Path(f"{prefix}.data-00000-of-00001").write_bytes(b"\xff" * 8)


@pytest.fixture
def folder(tmp_path):
    """Checkpoints of steps 1 to 4; the third is damaged, the fourth has no data."""
    for n in (1, 2, 3, 4):
        save(tmp_path / f"model-{n}", step=n)
    spoil(tmp_path / "model-3")
    os.unlink(tmp_path / "model-4.data-00000-of-00001")
    return tmp_path


def test_every_checkpoint_is_reported(folder):
    told = []
    os.unlink(folder / "model-1.index")
    report = verify_folder(folder, tell=told.append)
    assert tuple(told) == report.reports
    assert [(os.path.basename(item.prefix), item.ok) for item in report.reports] == [
        ("model-1", False), ("model-2", True), ("model-3", False), ("model-4", False)]
    assert not report.ok
    assert report.newest_good == f"{folder}/model-2"
    assert [str(item.problems[0].error).splitlines()[0] for item in report.reports if
            not item.ok] == [
        "the index of this checkpoint is missing; without it the data can't be read"
        f" (file {folder}/model-1.index)",
        "the tensor's bytes are damaged: their checksum does not match: expected"
        f" {report.reports[2].problems[0].error.expected}, got"
        f" {report.reports[2].problems[0].error.got}"
        f" (file {folder}/model-3.data-00000-of-00001, byte 0, tensor 'global_step')",
        f"a data file of the checkpoint is missing (file {folder}/model-4.data-00000-of-00001)"]


def test_leftovers_are_reported_and_no_damage(tmp_path):
    save(tmp_path / "model-1")
    (tmp_path / "model-2_temp").mkdir()
    report = verify_folder(tmp_path)
    assert report.ok
    assert report.leftovers == (
        (f"{tmp_path}/model-2_temp", 0, "of a sharded save: no part yet"),)


def test_the_newest_good_one_and_no_more_is_read(folder):
    told = []
    assert find_newest_good(folder, tell=told.append) == f"{folder}/model-2"
    assert [os.path.basename(item.prefix) for item in told] == ["model-4", "model-3", "model-2"]
    assert find_newest_good(folder, quick=True) == f"{folder}/model-3"  # its size is right


def test_of_equal_steps_the_one_written_last_is_the_newest(tmp_path):
    for n, name in enumerate(("best", "last", "other")):
        prefix = save(tmp_path / name, step=5)
        for file in tmp_path.glob(f"{name}.*"):
            os.utime(file, (0, (n * 7) % 3))
    assert find_newest_good(tmp_path) == f"{tmp_path}/other"
    save(tmp_path / "best-9", step=6)
    assert find_newest_good(tmp_path) == f"{tmp_path}/best-9"
    assert prefix == f"{tmp_path}/other"


def test_where_none_is_good(tmp_path):
    assert find_newest_good(tmp_path) is None
    assert verify_folder(tmp_path).reports == ()
    save(tmp_path / "model-1")
    spoil(tmp_path / "model-1")
    assert find_newest_good(tmp_path) is None
    with pytest.raises(CheckpointNotFoundError):
        verify_folder(tmp_path / "nowhere")


def test_a_checkpoint_with_nan_is_not_good_if_that_is_asked(tmp_path):
    import numpy as np

    from tfckpt.core.arrays import array_output
    from tfckpt.format.dtypes import dtype_named

    save(tmp_path / "model-1")
    write_plan(Plan((array_output("w", np.float32([np.nan]), dtype_named("float32")),),
                    "name-based"), str(tmp_path / "model-2"))
    assert find_newest_good(tmp_path) == f"{tmp_path}/model-2"
    assert find_newest_good(tmp_path, nan=True) == f"{tmp_path}/model-1"


def test_all_kinds_of_checkpoints_in_one_folder(tmp_path):
    copy_checkpoint(EXAMPLE, tmp_path)
    copy_checkpoint(GOLDENS / "tf2.21" / "vars-1", tmp_path)
    (tmp_path / "old.ckpt").write_bytes((GOLDENS / "tf1.15" / "v1.ckpt").read_bytes())
    report = verify_folder(tmp_path)
    assert report.ok
    assert [os.path.basename(item.prefix) for item in report.reports] == [
        "model.ckpt-7", "old.ckpt", "vars-1"]


def test_what_is_no_checkpoint_is_an_error_and_no_report(tmp_path):
    (tmp_path / "m.index").write_bytes(b"<html>404</html>")
    with pytest.raises(NotACheckpointError):
        verify_path(tmp_path / "m")
    with pytest.raises(CheckpointNotFoundError):
        verify_path(tmp_path / "nowhere")


def test_a_header_that_makes_no_sense_is_a_report(tmp_path):
    from tfckpt.format.bundle import HEADER_KEY
    from tfckpt.format.table import encode_table

    (tmp_path / "m.index").write_bytes(encode_table([(HEADER_KEY, b"\x10\x07")]))
    report, _ = verify_path(tmp_path / "m")
    assert [str(problem.error) for problem in report.problems] == [
        "the header has an unknown byte order: expected 0 or 1, got 7"
        f" (file {tmp_path}/m.index)"]
