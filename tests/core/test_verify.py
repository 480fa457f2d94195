from __future__ import annotations

import os

import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS, copy_checkpoint, golden_truths
from tfckpt.core.verify import verify_path
from tfckpt.format.objectgraph import Attribute, Child, Node
from tfckpt.format.table import parse_footer


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


@pytest.mark.parametrize("prefix", [p for p, _ in golden_truths()])
def test_every_flipped_bit_of_the_index_is_found_and_its_block_named(tmp_path, prefix):
    copy = copy_checkpoint(prefix, tmp_path)
    with tfckpt.open(prefix) as source:
        names = list(source)
    index = tmp_path / (os.path.basename(prefix) + ".index")
    data = index.read_bytes()
    metaindex, _ = parse_footer(data)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        index.write_bytes(damaged)
        report, _ = verify_path(copy, quick=bit % 16 > 0)
        assert not report.index_whole, bit
        assert report.n_tensors == len(names), bit
        error, tensors = report.problems[0]
        assert error.file == str(index), bit
        # One bit of the footer may spoil both of its handles.
        assert len(report.problems) == 1 or bit // 8 >= len(data) - 48, bit
        if bit // 8 < metaindex.offset:  # in the block that has the tensors
            assert (error.message, error.offset) == ("block checksum does not match", 0), bit
            assert error.hint == (f"One bit is flipped: bit {bit % 8} of byte {bit // 8}."
                                  " `tfckpt salvage` puts it right."), bit
            assert set(tensors) == set(names), bit
        else:
            assert tensors == (), bit


@pytest.mark.parametrize("prefix", [p for p, _ in golden_truths()])
def test_an_index_cut_at_each_length_still_says_what_it_can(tmp_path, prefix):
    copy = copy_checkpoint(prefix, tmp_path)
    with tfckpt.open(prefix) as source:
        names = set(source)
    index = tmp_path / (os.path.basename(prefix) + ".index")
    data = index.read_bytes()
    metaindex, _ = parse_footer(data)
    for length in range(len(data)):
        index.write_bytes(data[:length])
        report, _ = verify_path(copy, quick=True)
        assert not report.ok
        assert not report.index_whole
        assert set(report.damaged) <= names
        if length >= metaindex.offset + 8:
            assert (report.damaged, report.n_tensors) == ((), len(names)), length


def test_rows_of_whole_blocks_are_checked_though_another_is_damaged(tmp_path):
    from tfckpt.core.plan import Plan, given_int64
    from tfckpt.core.writer import write_plan

    names = [f"{n:05d}/" + "x" * 90 for n in range(6000)]
    prefix = str(tmp_path / "m")
    write_plan(Plan(tuple(given_int64(n, 1, "little") for n in names), "name-based"), prefix)
    index = tmp_path / "m.index"
    damaged = bytearray(index.read_bytes())
    damaged[270_000:270_100] = bytes(100)  # in the second of three blocks
    index.write_bytes(damaged)
    with open(prefix + ".data-00000-of-00001", "r+b") as data:
        data.seek(5 * 8)
        data.write(b"\xff")
    report, notes = verify_path(prefix)
    assert notes == ()
    error, lost = report.problems[0]
    assert str(error) == (f"block checksum does not match: expected {error.expected}, got"
                          f" {error.got} (file {index}, byte {error.offset})")
    assert 262_000 < error.offset < 270_000
    assert 1000 < len(lost) < 4000
    assert set(lost) < set(names)
    assert report.problems[1].tensors == (names[5],)
    assert len(report.problems) == 2


def test_a_checkpoint_opened_before_is_verified_as_it_is_now(tf1):
    with tfckpt.open(tf1) as source:
        source["dense/bias"]
        with open(tf1 + ".index", "r+b") as file:
            file.write(b"\xff")
        report = tfckpt.verify(source)
    assert not report.ok
    assert report.problems[0].error.message == "block checksum does not match"


def graph_checkpoint(folder, nodes, *keys) -> str:
    from tfckpt.core.plan import Plan, given_int64, given_string
    from tfckpt.core.writer import write_plan
    from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, encode_object_graph

    outputs = [given_int64(key, 1, "little") for key in keys]
    outputs.append(given_string(OBJECT_GRAPH_KEY, encode_object_graph(nodes), "little"))
    write_plan(Plan(tuple(outputs), "object-based"), str(folder / "m"))
    return str(folder / "m")


VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def test_keys_of_the_object_graph_that_point_nowhere(tmp_path):
    prefix = graph_checkpoint(
        tmp_path, [Node((Child(1, "a"), Child(2, "t"), Child(3, "b"))),
                   Node(attributes=(Attribute("VARIABLE_VALUE", "a", "a" + VALUE),)),
                   Node(attributes=(Attribute("table", "", "t/.ATTRIBUTES/table"),)),
                   Node(attributes=(Attribute("VARIABLE_VALUE", "b", "b" + VALUE),))],
        "a" + VALUE, "t/.ATTRIBUTES/table-keys", "t/.ATTRIBUTES/table-values", "nobody", "else")
    with tfckpt.open(prefix) as source:
        report = tfckpt.verify(source)
        assert tfckpt.verify(source, quick=True).ok
    assert [str(problem.error) for problem in report.problems] == [
        "the object graph names a tensor that the index doesn't have"
        f" (file {prefix}.index, tensor 'b{VALUE}')"]
    assert report.damaged == ("b" + VALUE,)
    assert report.notes == ("2 tensors are of no object in the object graph: else, nobody",)


def test_children_that_are_no_node(tmp_path):
    prefix = graph_checkpoint(tmp_path, [Node((Child(7, "a"),))])
    with tfckpt.open(prefix) as source:
        report = tfckpt.verify(source)
    assert [str(problem.error) for problem in report.problems] == [
        "the object graph refers to a node that isn't there: expected 0 to 0, got 7"
        f" (file {prefix}, tensor '_CHECKPOINTABLE_OBJECT_GRAPH')"]


def test_the_object_graph_is_looked_at_though_another_tensor_is_damaged(tmp_path):
    prefix = graph_checkpoint(
        tmp_path, [Node((Child(1, "b"),)),
                   Node(attributes=(Attribute("VARIABLE_VALUE", "b", "b" + VALUE),))], "a" + VALUE)
    with open(prefix + ".data-00000-of-00001", "r+b") as file:
        file.write(b"\xff")
    with tfckpt.open(prefix) as source:
        assert tfckpt.verify(source).damaged == ("a" + VALUE, "b" + VALUE)


def test_slices_that_overlap_and_slices_that_lack(tmp_path):
    from tfckpt.format.bundle import BundleEntry, EntryParser, encode_entry
    from tfckpt.format.dtypes import dtype_named
    from tfckpt.format.slices import encode_slice, slice_key
    from tfckpt.format.table import encode_table, parse_table

    prefix = copy_checkpoint(EXAMPLE, tmp_path)
    index = tmp_path / "model.ckpt-7.index"
    rows = dict(parse_table(index.read_bytes()))
    part: BundleEntry = EntryParser().parse(rows[b"dense/bias"])  # float32 [4]
    for name, starts in (("over", (0, 2)), ("hole", (0, 6))):
        extents = [((start, 4),) for start in starts]
        rows[name.encode()] = encode_entry(BundleEntry(
            dtype_named("float32"), (8,), 0, 0, 0, 0, tuple(map(encode_slice, extents))))
        for extent in extents:
            rows[slice_key(name.encode(), extent)] = encode_entry(part)
    index.write_bytes(encode_table(sorted(rows.items())))
    with tfckpt.open(prefix) as source:
        report = tfckpt.verify(source)
    assert [str(problem.error) for problem in report.problems] == [
        "a slice of the tensor isn't in it: expected a range of [8], got start and length [(6, 4)]"
        f" (file {index}, tensor 'hole')",
        "slices of the tensor overlap: got element [2] in 2 of them"
        f" (file {index}, tensor 'over')"]


def test_big_endian_checkpoints_are_whole_too(tmp_path):
    from tfckpt.core.plan import Plan, given_int64, given_string
    from tfckpt.core.writer import write_plan

    write_plan(Plan((given_int64("n", 5, "big"), given_string("s", b"text", "big")), "name-based",
                    "big"), str(tmp_path / "m"))
    with tfckpt.open(tmp_path / "m") as source:
        assert tfckpt.verify(source).ok
    with open(tmp_path / "m.index", "r+b") as file:
        file.seek(20)
        byte = file.read(1)[0]
        file.seek(20)
        file.write(bytes([byte ^ 1]))
    report, _ = verify_path(tmp_path / "m")
    assert len(report.problems) == 1


def test_verifying_imports_no_numpy_unless_asked_for_values():
    import subprocess
    import sys

    code = ("import sys; from tfckpt.cli.main import run; run(['verify', {!r}, *{!r}]);"
            "print('numpy' in sys.modules, 'concurrent.futures' in sys.modules)")
    for flags, numpy in (([], "False"), (["--nan"], "True")):
        done = subprocess.run([sys.executable, "-c", code.format(str(EXAMPLE), flags)],
                              capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1].split()[0] == numpy
        assert numpy == "True" or done.stdout.splitlines()[-1].split()[1] == "False"


def test_a_path_is_verified_also_if_what_is_there_does_not_open(tmp_path):
    assert tfckpt.verify(EXAMPLE.parent, quick=True) == tfckpt.verify(tfckpt.open(EXAMPLE),
                                                                      quick=True)
    prefix = copy_checkpoint(EXAMPLE, tmp_path)
    index = tmp_path / f"{EXAMPLE.name}.index"
    index.write_bytes(index.read_bytes()[:-1])
    with pytest.raises(tfckpt.FormatError), tfckpt.open(prefix) as source:
        len(source)
    report = tfckpt.verify(prefix)
    assert not report.ok
    assert [problem.error.message for problem in report.problems] == [
        "not a table file: the magic number at its end is missing"]
    with pytest.raises(tfckpt.CheckpointNotFoundError):
        tfckpt.verify(tmp_path / "nowhere")
