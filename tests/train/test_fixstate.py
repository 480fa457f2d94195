"""State files that name good checkpoints and no others, and nothing of the old one lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfckpt.core.folder import verify_folder
from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointNotFoundError
from tfckpt.format.state import CheckpointState, encode_state, parse_state
from tfckpt.train.fixstate import fix_state


def save(prefix, *, good=True) -> str:
    write_plan(Plan((given_int64("global_step", 1, "little"),), "name-based"), str(prefix))
    if not good:
        Path(f"{prefix}.data-00000-of-00001").write_bytes(b"\xff" * 8)
    return str(prefix)


def write(folder, *paths, times=()) -> bytes:
    data = encode_state(CheckpointState(paths[-1], paths, times))
    Path(folder, "checkpoint").write_bytes(data)
    return data


def state(folder) -> CheckpointState:
    return parse_state(Path(folder, "checkpoint").read_bytes())


def fix(folder, **how):
    return fix_state(folder, verify_folder(folder).reports, **how)


@pytest.fixture
def folder(tmp_path):
    for n, good in ((1, True), (2, True), (3, False)):
        save(tmp_path / f"m-{n}", good=good)
    return tmp_path


def test_damaged_ones_leave_and_the_last_good_one_is_the_latest(folder):
    before = write(folder, "m-0", "m-1", "m-2", "m-3", times=(1.0, 2.0, 3.0, 4.0))
    report = fix(folder)
    assert state(folder) == report.new == CheckpointState("m-2", ("m-1", "m-2"), (2.0, 3.0))
    assert report.old == parse_state(before)
    assert report.dropped == (
        ("m-0", "nothing is there"),
        ("m-3", "the tensor's bytes are damaged: their checksum does not match"))
    assert report.backup == f"{folder}/checkpoint.bak"
    assert Path(report.backup).read_bytes() == before


def test_paths_stay_as_they_were_written(folder):
    write(folder, str(folder / "m-1"), "m-2", str(folder / "m-3"))
    assert fix(folder).new.all_model_checkpoint_paths == (str(folder / "m-1"), "m-2")


def test_a_good_state_file_is_left_alone(folder):
    before = write(folder, "m-1", "m-2")
    report = fix(folder)
    assert (report.old, report.backup, report.dropped) == (report.new, None, ())
    assert (folder / "checkpoint").read_bytes() == before
    assert not list(folder.glob("*.bak*"))


def test_a_dry_run_changes_nothing(folder):
    before = write(folder, "m-2", "m-3")
    report = fix(folder, dry_run=True)
    assert report.new.model_checkpoint_path == "m-2"
    assert (folder / "checkpoint").read_bytes() == before
    assert not list(folder.glob("*.bak*"))


def test_no_backup_is_ever_written_over(folder):
    for n, paths in enumerate((("m-1", "m-3"), ("m-2", "m-3"), ("m-1", "m-2", "m-3")), 1):
        before = write(folder, *paths)
        report = fix(folder)
        assert report.backup == f"{folder}/checkpoint.bak{n if n > 1 else ''}"
        assert Path(report.backup).read_bytes() == before
    write(folder, "m-2", "m-3")  # what the second backup says already
    assert fix(folder).backup == f"{folder}/checkpoint.bak2"
    assert sorted(path.name for path in folder.glob("*.bak*")) == [
        "checkpoint.bak", "checkpoint.bak2", "checkpoint.bak3"]


def test_where_no_listed_one_is_good_those_of_the_folder_are_named(folder):
    write(folder, "m-3")
    assert fix(folder).new == CheckpointState("m-2", ("m-1", "m-2"))


def test_without_a_state_file_one_is_made(folder):
    report = fix(folder)
    assert (report.old, report.backup) == (None, None)
    assert state(folder) == CheckpointState("m-2", ("m-1", "m-2"))


def test_a_damaged_state_file_is_kept_aside(folder):
    (folder / "checkpoint").write_bytes(b"\xff\xfe garbage")
    report = fix(folder)
    assert report.dropped == (
        (f"{folder}/checkpoint", "the checkpoint state file is not in protobuf's text format"),)
    assert (folder / "checkpoint.bak").read_bytes() == b"\xff\xfe garbage"
    assert state(folder).model_checkpoint_path == "m-2"


def test_where_nothing_is_good_all_stays(tmp_path):
    save(tmp_path / "m-1", good=False)
    before = write(tmp_path, "m-1")
    with pytest.raises(CheckpointNotFoundError) as caught:
        fix(tmp_path)
    assert str(caught.value) == (
        "no checkpoint here is good; the state file stays as it is"
        f" (file {tmp_path}/checkpoint)\n`tfckpt salvage` takes out what is whole.")
    assert (tmp_path / "checkpoint").read_bytes() == before


def test_what_is_listed_elsewhere_is_verified_there(tmp_path):
    (tmp_path / "a").mkdir()
    good, bad = save(tmp_path / "b" / "m-1"), save(tmp_path / "b" / "m-2", good=False)
    write(tmp_path / "a", good, bad)
    report = fix(tmp_path / "a")
    assert report.new == CheckpointState(good, (good,))
    assert [path for path, _ in report.dropped] == [bad]


def test_what_we_cannot_read_is_not_dropped(folder):
    from tfckpt.format.bundle import HEADER_KEY, BundleHeader, encode_header
    from tfckpt.format.table import encode_table

    (folder / "m-9.index").write_bytes(encode_table([
        (HEADER_KEY, encode_header(BundleHeader(min_consumer=9)))]))
    write(folder, "m-2", "m-3", "m-9")
    assert fix(folder).new == CheckpointState("m-9", ("m-2", "m-9"))


def test_a_moved_folder(folder):
    write(folder, "/home/old/m-1", "/home/old/m-3")
    assert fix(folder).new == CheckpointState("/home/old/m-1", ("/home/old/m-1",))
    assert os.path.exists(folder / "checkpoint.bak")
