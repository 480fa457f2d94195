from __future__ import annotations

import os

import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS, copy_checkpoint, golden_truths


@pytest.mark.parametrize("prefix", [p for p, _ in golden_truths()])
def test_whole_checkpoints_are_whole(prefix):
    with tfckpt.open(prefix) as source:
        report = tfckpt.verify(source)
        assert report.ok
        assert len(source) == report.n_tensors
        stored = sum(os.path.getsize(source.shard_file(n)) for n in range(report.n_shards))
        assert stored == report.n_bytes
        report.raise_if_damaged()


@pytest.mark.parametrize("name", ["tf1.15/strings", "tf1.15/sharded", "tf1.15/sliced",
                                  "tf2.21/state", "tf2.21/dtypes"])
def test_every_flipped_bit_of_the_data_is_found_and_named(tmp_path, name):
    prefix = copy_checkpoint(GOLDENS / name, tmp_path)
    with tfckpt.open(prefix) as source:
        entries = [part for entry in source.index.values() for _, part in source.parts(entry)]
        files = {entry.shard_id: source.shard_file(entry.shard_id) for entry in entries}
    for entry in entries:
        for at in range(entry.offset, entry.offset + entry.n_bytes):
            with open(files[entry.shard_id], "r+b") as data:
                data.seek(at)
                byte = data.read(1)[0]
                data.seek(at)
                data.write(bytes([byte ^ 1 << at % 8]))
            with tfckpt.open(prefix) as source:
                report = tfckpt.verify(source)
            assert (entry.key,) == report.damaged
            with open(files[entry.shard_id], "r+b") as data:
                data.seek(at)
                data.write(bytes([byte]))


def test_a_short_file_names_what_is_lost_and_what_is_not(tf1):
    data = tf1 + ".data-00000-of-00001"
    size = os.path.getsize(data)
    os.truncate(data, size - 20)
    with tfckpt.open(tf1) as source:
        quick, full = tfckpt.verify(source, quick=True), tfckpt.verify(source)
        by_offset = sorted(source.index.values(), key=lambda e: e.offset)
    assert not quick.ok
    assert quick.damaged == full.damaged
    error = full.problems[0].error
    lost = set(full.damaged)
    last = next(e.key for e in reversed(by_offset) if e.key not in lost)
    assert str(error) == (f"the data file is 20 bytes short; the last whole tensor is {last}:"
                          f" expected {size} bytes, got {size - 20} (file {data})")
    assert all(e.offset + e.n_bytes > size - 20 for e in by_offset if e.key in lost)
    with pytest.raises(tfckpt.TruncatedError):
        full.raise_if_damaged()


def test_a_missing_shard_names_its_tensors(tmp_path):
    prefix = copy_checkpoint(GOLDENS / "tf1.15" / "sharded", tmp_path)
    os.unlink(prefix + ".data-00002-of-00003")
    with tfckpt.open(prefix) as source:
        report = tfckpt.verify(source)
    assert report.damaged == ("v2",)
    assert report.n_shards == 3


def test_quick_reads_no_tensor(tf1):
    data = tf1 + ".data-00000-of-00001"
    with open(data, "r+b") as file:
        file.write(b"\xff" * os.path.getsize(data))
    with tfckpt.open(tf1) as source:
        assert tfckpt.verify(source, quick=True).ok
        assert len(tfckpt.verify(source).damaged) == 21


def test_one_bad_entry_spoils_no_other(tmp_path):
    from tfckpt.format.table import encode_table, parse_table

    prefix = copy_checkpoint(EXAMPLE, tmp_path)
    index = tmp_path / "model.ckpt-7.index"
    rows = parse_table(index.read_bytes())
    at = next(n for n, (key, _) in enumerate(rows) if key == b"dense/bias")
    rows[at] = (b"dense/bias", bytes.fromhex("0801120d120b08ffffffffffffffffff01"))
    index.write_bytes(encode_table(rows))
    with tfckpt.open(prefix) as source:
        source["dense/kernel"]
        report = tfckpt.verify(source)
    assert report.damaged == ("dense/bias",)
    assert str(report.problems[0].error) == (
        "a tensor's shape has a negative dimension: got -1"
        f" (file {index}, byte 0, tensor 'dense/bias')")


def test_an_entry_whose_size_is_not_its_shapes_is_named(tmp_path):
    from tfckpt.format.bundle import BundleEntry, EntryParser, encode_entry
    from tfckpt.format.table import encode_table, parse_table

    prefix = copy_checkpoint(EXAMPLE, tmp_path)
    index = tmp_path / "model.ckpt-7.index"
    rows = dict(parse_table(index.read_bytes()))
    entry: BundleEntry = EntryParser().parse(rows[b"dense/bias"])
    rows[b"dense/bias"] = encode_entry(entry._replace(shape=(5,)))
    index.write_bytes(encode_table(sorted(rows.items())))
    with tfckpt.open(prefix) as source:
        report = tfckpt.verify(source)
    assert [str(problem.error) for problem in report.problems] == [
        "the entry's size is not that of float32 [5]: expected 20 bytes, got 16"
        f" (file {index}, tensor 'dense/bias')"]


def test_progress_is_told(tf1):
    seen = []
    with tfckpt.open(tf1) as source:
        report = tfckpt.verify(source, progress=lambda done, total: seen.append((done, total)))
    assert (report.n_bytes, report.n_bytes) == seen[-1]
    assert sorted(seen) == seen
