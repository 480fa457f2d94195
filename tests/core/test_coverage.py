"""Bytes that belong to several tensors, to none, and files beside a checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS, copy_checkpoint
from tfckpt.core.plan import Given, Output, Plan
from tfckpt.core.writer import write_plan
from tfckpt.format.bundle import (
    HEADER_KEY,
    BundleEntry,
    BundleHeader,
    encode_entry,
    encode_header,
)
from tfckpt.format.crc32c import masked_crc32c
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.table import encode_table

BYTES = bytes(range(1, 101))
UINT8 = dtype_named("uint8")


def bundle(folder, places, data=BYTES, num_shards=1) -> str:
    """A checkpoint whose tensors are these ranges of one data file: name to start and end."""
    rows = [(HEADER_KEY, encode_header(BundleHeader(num_shards=num_shards)))]
    for name, (start, end) in places.items():
        rows.append((name.encode(), encode_entry(BundleEntry(
            UINT8, (end - start,), 0, start, end - start, masked_crc32c(data[start:end])))))
    Path(folder, "m.index").write_bytes(encode_table(sorted(rows)))
    Path(folder, f"m.data-00000-of-{num_shards:05d}").write_bytes(data)
    return os.path.join(folder, "m")


def verify(prefix, **how):
    with tfckpt.open(prefix) as source:
        return tfckpt.verify(source, **how)


def test_tensors_one_after_another(tmp_path):
    report = verify(bundle(tmp_path, {"a": (0, 60), "b": (60, 60), "c": (60, 100)}))
    assert (report.problems, report.notes) == ((), ())


def test_two_names_of_the_same_bytes_are_a_note(tmp_path):
    prefix = bundle(tmp_path, {"a": (0, 60), "b": (0, 60), "c": (60, 100)})
    report = verify(prefix)
    assert report.ok
    assert report.notes == (
        f"2 tensors share the same bytes: a, b (file {prefix}.data-00000-of-00001)",)
    assert report.n_bytes == 160


@pytest.mark.parametrize("places", [
    {"a": (0, 60), "b": (50, 100)}, {"a": (0, 100), "b": (50, 60)}, {"b": (0, 60), "a": (0, 100)}])
def test_ranges_that_overlap_are_a_problem(tmp_path, places):
    prefix = bundle(tmp_path, places)
    report = verify(prefix)
    (first, (_, end)), (second, (other, _)) = sorted(places.items(), key=lambda p: p[1])
    assert [str(problem.error) for problem in report.problems] == [
        f"tensors overlap: {first} and {second}: expected an offset from {end}, got {other}"
        f" (file {prefix}.data-00000-of-00001, byte {other})"]
    assert report.damaged == ()  # the bytes of both are what their checksums say
    assert [str(problem.error) for problem in verify(prefix, quick=True).problems] == [
        str(problem.error) for problem in report.problems]


def test_of_overlapping_tensors_the_damaged_one_is_named(tmp_path):
    prefix = bundle(tmp_path, {"a": (0, 60), "b": (50, 100)})
    with open(prefix + ".data-00000-of-00001", "r+b") as data:
        data.write(b"\xff")
    assert verify(prefix).damaged == ("a",)


def test_padding_is_nothing_and_other_bytes_are_a_note(tmp_path):
    data = bytes(8) + BYTES[:20] + bytes(12) + BYTES[:60] + b"rest" + bytes(8) + BYTES[:8]
    prefix = bundle(tmp_path, {"a": (8, 28), "b": (40, 100), "c": (112, 120)}, data)
    report = verify(prefix)
    assert report.ok
    assert report.notes == (
        "12 bytes between tensors belong to none (file"
        f" {prefix}.data-00000-of-00001, byte 100)",)
    assert verify(prefix, quick=True).notes == ()


def test_a_longer_file_is_a_note(tmp_path):
    prefix = bundle(tmp_path, {"a": (0, 60)})
    note = (f"the data file goes on for 40 bytes after its last tensor"
            f" (file {prefix}.data-00000-of-00001, byte 60)")
    assert verify(prefix).notes == (note,)
    assert verify(prefix, quick=True).notes == (note,)


def test_a_short_file_that_was_not_downloaded_says_so(tmp_path):
    prefix = bundle(tmp_path, {"a": (0, 100)})
    Path(prefix + ".data-00000-of-00001").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\nsize 9\n")
    report = verify(prefix)
    assert str(report.problems[0].error).splitlines()[1] == (
        "It is a Git LFS pointer, which stands for a file that was not downloaded."
        " Run: git lfs pull")


def test_other_data_files_are_notes(tmp_path):
    prefix = bundle(tmp_path, {"a": (0, 100)}, num_shards=3)
    Path(prefix + ".data-00001-of-00003").write_bytes(b"")  # an empty shard is legal
    Path(prefix + ".data-00002-of-00003").write_bytes(b"12345")
    Path(prefix + ".data-00000-of-00002").write_bytes(b"old")
    report = verify(prefix)
    assert report.ok
    assert report.notes == (
        "a data file of another count is beside it; this checkpoint has 3"
        f" (file {prefix}.data-00000-of-00002)",
        f"no tensor is in this data file of 5 bytes (file {prefix}.data-00002-of-00003)")


def test_what_a_conversion_leaves_is_a_note_and_no_damage(tmp_path):
    """The data file is linked whole, with the bytes of the object graph in it."""
    tfckpt.convert(GOLDENS / "tf2.21" / "vars-1", tmp_path / "one", to="tf1")
    report = verify(tmp_path / "one")
    assert report.ok
    data = f"{tmp_path}/one.data-00000-of-00001"
    assert report.notes == (
        f"the data file goes on for 657 bytes after its last tensor (file {data}, byte 56)",
        f"8 bytes between tensors belong to none (file {data}, byte 0)")


def test_an_overwritten_checkpoint_has_no_notes(tmp_path):
    for _ in range(3):
        tfckpt.convert(EXAMPLE, tmp_path / "two", to="tf2", overwrite=True)
        assert (verify(tmp_path / "two").ok, verify(tmp_path / "two").notes) == (True, ())


def test_unfinished_saves_of_this_checkpoint_are_notes(tmp_path):
    prefix = copy_checkpoint(EXAMPLE, tmp_path)
    parts = tmp_path / "model.ckpt-7_temp"
    parts.mkdir()
    (parts / "part-00001-of-00003.index").write_bytes(b"12345")
    (parts / "part-00001-of-00003.data-00000-of-00001").write_bytes(b"12345")
    (tmp_path / "model.ckpt-7.index.tempstate9").write_bytes(b"123")
    (tmp_path / "other.index.tempstate9").write_bytes(b"123")
    report = verify(prefix)
    assert report.ok
    assert report.notes == (
        "a save of this checkpoint did not finish, or is at work: a file that was being written"
        f" (file {prefix}.index.tempstate9)",
        "a save of this checkpoint did not finish, or is at work: of a sharded save that was not"
        " merged: 1 of 3 parts have their index; without: 00000, 00002"
        f" (file {prefix}_temp)")


def test_ranges_made_to_be_read_again_and_again_are_not(tmp_path):
    """100,000 tensors in one range of a big file would take hours."""
    data = bytes(1 << 20)
    crc = {n: masked_crc32c(data[n:]) for n in (0, 1, 2, 3, 4, 5, 6)}
    rows = [(HEADER_KEY, encode_header(BundleHeader()))]
    rows += [(b"t%03d" % n, encode_entry(BundleEntry(
        UINT8, (len(data) - n % 7,), 0, n % 7, len(data) - n % 7, crc[n % 7]))) for n in range(99)]
    (tmp_path / "m.index").write_bytes(encode_table(rows))
    (tmp_path / "m.data-00000-of-00001").write_bytes(data)
    report = verify(tmp_path / "m")
    error, tensors = report.problems[-1]
    assert str(error) == ("so many tensors overlap that these weren't read"
                          f" (file {tmp_path}/m.data-00000-of-00001)")
    assert len(tensors) == 42  # three of the seven ranges
    assert report.damaged == tensors


def test_an_output_of_our_writer_has_no_notes(tmp_path):
    outputs = tuple(Output(f"t{n}", UINT8, (n,), Given(BYTES[:n], None)) for n in range(9))
    write_plan(Plan(outputs, "name-based"), str(tmp_path / "m"))
    assert verify(tmp_path / "m").notes == ()
