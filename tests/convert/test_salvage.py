from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS, copy_checkpoint, files_of
from tfckpt.cli.main import run
from tfckpt.convert.salvage import salvage
from tfckpt.errors import DestinationExistsError


def flip(prefix, key) -> None:
    """Flip a bit in the middle of a tensor."""
    with tfckpt.open(prefix) as source:
        entry = source.index[key]
        _, part = source.parts(entry)[0]
        file = source.shard_file(part.shard_id)
    with open(file, "r+b") as data:
        data.seek(part.offset + part.n_bytes // 2)
        byte = data.read(1)[0]
        data.seek(-1, 1)
        data.write(bytes([byte ^ 1]))


def whole(prefix) -> bool:
    with tfckpt.open(prefix) as source:
        return tfckpt.verify(source).ok


@pytest.mark.parametrize(("name", "key"), [
    ("tf1.15/names", "scoped/c"), ("tf1.15/dtypes", "complex128"), ("tf1.15/strings", "words"),
    ("tf1.15/sliced", "part"), ("tf1.15/sharded", "v1")])
def test_a_damaged_tensor_is_left_out_and_all_others_are_there(tmp_path, name, key):
    prefix = copy_checkpoint(GOLDENS / name, tmp_path / "src")
    with tfckpt.open(prefix) as source:
        keys = list(source)
        key = key if key in keys else keys[0]
        values = {name: source.read_bytes(name) for name in keys}
    flip(prefix, key)
    before = files_of(prefix)
    report = salvage(prefix, tmp_path / "out")
    assert not report.ok
    assert [item.key for item in report.plan.left_out] == [key]
    assert files_of(prefix) == before
    if len(keys) == 1:
        assert report.files == ()
        return
    assert whole(tmp_path / "out")
    with tfckpt.open(tmp_path / "out") as source:
        assert {name: source.read_bytes(name) for name in source} == {
            name: data for name, data in values.items() if name != key}


def test_a_whole_checkpoint_is_salvaged_whole(tmp_path):
    report = salvage(EXAMPLE, tmp_path / "out")
    assert report.ok
    assert Path(f"{EXAMPLE}.index").read_bytes() == (tmp_path / "out.index").read_bytes()


def test_a_short_data_file_loses_only_its_end(tmp_path):
    prefix = copy_checkpoint(EXAMPLE, tmp_path / "src")
    with tfckpt.open(prefix) as source:
        ends = {key: entry.offset + entry.n_bytes for key, entry in source.index.items()}
        values = {key: source[key] for key in source}
    file = Path(prefix + ".data-00000-of-00001")
    cut = sorted(ends.values())[len(ends) // 2]
    file.write_bytes(file.read_bytes()[:cut])
    salvage(prefix, tmp_path / "out")
    assert whole(tmp_path / "out")
    with tfckpt.open(tmp_path / "out") as source:
        assert set(source) == {key for key, end in ends.items() if end <= cut}
        assert all(np.array_equal(source[key], values[key]) for key in source)


def test_a_flipped_bit_of_the_index_is_put_right(tmp_path):
    prefix = copy_checkpoint(EXAMPLE, tmp_path / "src")
    index = Path(prefix + ".index")
    data = bytearray(index.read_bytes())
    data[100] ^= 16
    index.write_bytes(data)
    report = salvage(prefix, tmp_path / "out")
    assert len(report.plan.outputs) == 21
    assert Path(f"{EXAMPLE}.index").read_bytes() == (tmp_path / "out.index").read_bytes()


def test_an_index_without_its_end_still_gives_its_tensors(tmp_path):
    prefix = copy_checkpoint(EXAMPLE, tmp_path / "src")
    index = Path(prefix + ".index")
    index.write_bytes(index.read_bytes()[:-50])
    salvage(prefix, tmp_path / "out")
    with tfckpt.open(tmp_path / "out") as source, tfckpt.open(EXAMPLE) as old:
        assert list(source) == list(old)


@pytest.mark.parametrize("key", ["vars/scoped.Sc/.ATTRIBUTES/VARIABLE_VALUE",
                                 "_CHECKPOINTABLE_OBJECT_GRAPH"])
def test_the_object_graph_names_only_what_is_there(tmp_path, key):
    prefix = copy_checkpoint(GOLDENS / "tf2.21" / "vars-1", tmp_path / "src")
    with tfckpt.open(prefix) as source:
        keys = set(source)
    flip(prefix, key)
    report = salvage(prefix, tmp_path / "out")
    assert report.plan.notes
    assert whole(tmp_path / "out")
    with tfckpt.open(tmp_path / "out") as source:
        named = {attribute.checkpoint_key for node in source.object_graph
                 for attribute in node.attributes}
        assert set(source) == named | {"_CHECKPOINTABLE_OBJECT_GRAPH"}
        assert set(source) == (keys - {key} | {"_CHECKPOINTABLE_OBJECT_GRAPH"})


def test_nothing_is_overwritten_and_a_dry_run_writes_nothing(tmp_path):
    prefix = copy_checkpoint(EXAMPLE, tmp_path / "src")
    with pytest.raises(DestinationExistsError):
        salvage(prefix, prefix, overwrite=True)
    assert salvage(prefix, tmp_path / "out", dry_run=True).files == ()
    assert not list(tmp_path.glob("out*"))


def test_the_command_says_what_is_lost(tmp_path, capsys):
    prefix = copy_checkpoint(EXAMPLE, tmp_path / "src")
    flip(prefix, "dense/kernel")
    assert run(["salvage", prefix, "-o", str(tmp_path / "out"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert "dense/kernel" in json.dumps(told)
    assert run(["salvage", prefix, "-o", str(tmp_path / "out2")]) == 1
    out = capsys.readouterr().out
    assert "dense/kernel" in out
    assert run(["salvage", str(EXAMPLE), "-o", str(tmp_path / "out3")]) == 0


def test_tensors_that_overlap_are_written_apart(tmp_path):
    from tfckpt.format.bundle import EntryParser, encode_entry
    from tfckpt.format.crc32c import masked_crc32c
    from tfckpt.format.table import encode_table, parse_table

    prefix = copy_checkpoint(EXAMPLE, tmp_path / "src")
    data = Path(prefix + ".data-00000-of-00001").read_bytes()
    index = Path(prefix + ".index")
    rows = dict(parse_table(index.read_bytes()))
    entry = EntryParser().parse(rows[b"dense/bias"])
    for name, offset in (("over", entry.offset + 4), ("twin", entry.offset)):
        stored = data[offset:offset + entry.size]
        rows[name.encode()] = encode_entry(entry._replace(
            offset=offset, masked_crc32c=masked_crc32c(stored)))
    index.write_bytes(encode_table(sorted(rows.items())))
    assert not whole(prefix)
    report = salvage(prefix, tmp_path / "out")
    assert report.ok
    with tfckpt.open(prefix) as old, tfckpt.open(tmp_path / "out") as new:
        assert {key: old.read_bytes(key) for key in old} == {key: new.read_bytes(key)
                                                             for key in new}
        assert tfckpt.verify(new).ok
