"""Whatever bytes the files hold, the result is an answer or a CheckpointError."""

from __future__ import annotations

import os
import random
import tracemalloc
from pathlib import Path

import pytest

import tfckpt
from helpers import EXAMPLE, SHARED, copy_checkpoint, golden_truths, needs_shared
from tfckpt.core.summary import summarize
from tfckpt.format.bundle import BundleEntry, BundleHeader, encode_entry, encode_header
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.table import encode_table, parse_table


def use_all(prefix: str) -> None:
    """Do with a checkpoint whatever can be done with one; only our errors may come out."""
    try:
        with tfckpt.open(prefix) as source:
            summarize(source)
            tfckpt.verify(source)
            for key in source:
                try:
                    source[key]
                except tfckpt.CheckpointError:
                    pass
    except tfckpt.CheckpointError:
        return
    for to in ("tf1", "tf2"):
        try:
            tfckpt.convert(prefix, prefix + "-out", to=to, dry_run=True)
        except tfckpt.CheckpointError:
            pass


PREFIXES = [prefix for prefix, _ in golden_truths()] + [str(EXAMPLE)]


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda p: os.path.basename(p))
def test_an_index_cut_at_any_length(tmp_path, prefix):
    copy = copy_checkpoint(prefix, tmp_path)
    index = Path(copy + ".index")
    data = index.read_bytes()
    for length in range(len(data)):
        index.write_bytes(data[:length])
        with pytest.raises(tfckpt.CheckpointError):
            tfckpt.open(copy)


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda p: os.path.basename(p))
def test_every_bit_of_an_index_flipped(tmp_path, prefix):
    copy = copy_checkpoint(prefix, tmp_path)
    index = Path(copy + ".index")
    data = index.read_bytes()
    for at in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8
        index.write_bytes(damaged)
        use_all(copy)


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda p: os.path.basename(p))
def test_a_data_file_cut_at_any_length(tmp_path, prefix):
    copy = copy_checkpoint(prefix, tmp_path)
    for name in sorted(os.listdir(tmp_path)):
        if ".data-" not in name:
            continue
        data = (tmp_path / name).read_bytes()
        for length in range(len(data)):
            (tmp_path / name).write_bytes(data[:length])
            use_all(copy)
        (tmp_path / name).write_bytes(data)


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda p: os.path.basename(p))
def test_rows_changed_under_a_right_checksum(tmp_path, prefix):
    """As an attacker would: the table is sound, its contents are not."""
    draw = random.Random(prefix.encode())
    copy = copy_checkpoint(prefix, tmp_path)
    index = Path(copy + ".index")
    rows = parse_table(index.read_bytes())
    for _ in range(300):
        changed = dict(rows)
        key, value = draw.choice(rows)
        mutated = bytearray(value or b"\0")
        for _ in range(draw.randint(1, 4)):
            mutated[draw.randrange(len(mutated))] = draw.randrange(256)
        changed[key] = bytes(mutated)
        index.write_bytes(encode_table(sorted(changed.items())))
        use_all(copy)


HOSTILE = {
    "a string tensor of 2**62 elements": BundleEntry(
        dtype_named("string"), (2**31, 2**31), 0, 0, 10, 0),
    "a float tensor of 2**62 elements": BundleEntry(
        dtype_named("float32"), (2**31, 2**31), 0, 0, 2**63 - 1, 0),
    "an offset and a size that overflow": BundleEntry(
        dtype_named("uint8"), (2**63 - 1,), 0, 2**63 - 1, 2**63 - 1, 0),
    "an empty tensor of an absurd shape": BundleEntry(
        dtype_named("float32"), (0, 2**62, 2**62), 0, 0, 0, 0xA282EAD8),
    "more dimensions than numpy has": BundleEntry(dtype_named("float32"), (1,) * 254, 0, 0, 4, 0),
    "a shard that isn't there": BundleEntry(dtype_named("float32"), (1,), 12345, 0, 4, 0),
    "a variant of 2**62 elements": BundleEntry(dtype_named("variant"), (2**62,), 0, 0, 10, 0),
    "an unknown dtype": BundleEntry(dtype_named("float32")._replace(
        number=99, name="unknown(99)", size=None, numpy_name=None), (2,), 0, 0, 8, 0),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_entries_cost_nothing(tmp_path, what):
    copy = copy_checkpoint(EXAMPLE, tmp_path)
    index = Path(copy + ".index")
    rows = dict(parse_table(index.read_bytes()))
    rows[b"hostile"] = encode_entry(HOSTILE[what])
    index.write_bytes(encode_table(sorted(rows.items())))
    tfckpt.open(copy)["dense/bias"]  # numpy is imported now, and isn't counted below
    tracemalloc.start()
    try:
        with tfckpt.open(copy) as source:
            assert "hostile" in tfckpt.verify(source).damaged or "empty" in what
            with pytest.raises(tfckpt.CheckpointError) as caught:
                source["hostile"]
            assert caught.value.tensor == "hostile"
            assert source["dense/kernel"].shape == (3, 4)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@needs_shared
def test_damaged_checkpoints_of_the_fixtures_say_what_is_wrong():
    folder = SHARED / "fixtures/formats/tf2.21/damaged"
    for case in sorted(path for path in folder.iterdir() if path.is_dir()):
        prefix = case / "model"
        if case.name in ("good", "good_sharded"):
            assert tfckpt.verify(tfckpt.open(prefix)).ok
            continue
        if case.name == "data_longer":  # bytes after the last tensor belong to nobody
            assert tfckpt.verify(tfckpt.open(prefix)).ok
            continue
        try:
            report = tfckpt.verify(tfckpt.open(prefix))
        except tfckpt.CheckpointError as error:
            assert str(prefix) in str(error), case.name
            continue
        if case.name == "entry_unknown_dtype":  # its bytes are whole; nobody can read them
            assert report.ok
            with pytest.raises(tfckpt.UnsupportedError, match="unknown"):
                dict(tfckpt.open(prefix).items())
            continue
        assert not report.ok, case.name
        for problem in report.problems:
            assert str(prefix) in str(problem.error) or problem.error.tensor, case.name


def test_names_of_64_kib_cost_no_more_than_others(tmp_path):
    from tfckpt.core.plan import Plan, given_int64
    from tfckpt.core.writer import write_plan

    names = [f"{n}" + "/" * 65_500 + "Adam" for n in range(20)] + ["x" * 65_536, "y" * 65_536]
    write_plan(Plan(tuple(given_int64(name, 1, "little") for name in names), "name-based"),
               str(tmp_path / "m"))
    use_all(str(tmp_path / "m"))
    with tfckpt.open(tmp_path / "m") as source:
        with pytest.raises(tfckpt.TensorNotFoundError):
            source["x" * 65_535]
        assert sorted(names) == sorted(source)


def test_a_huge_string_shape_in_142_bytes(tmp_path):
    """A string tensor of 2^40 elements, in an index that is reported to end TensorFlow."""
    entry = encode_entry(BundleEntry(dtype_named("string"), (1 << 40,), 0, 0, 1 << 40, 1))
    index = encode_table([(b"", encode_header(BundleHeader())), (b"twelve/bytes", entry)])
    assert len(index) == 142
    (tmp_path / "m.index").write_bytes(index)
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(8))
    tracemalloc.start()
    with tfckpt.open(tmp_path / "m") as source, pytest.raises(tfckpt.TruncatedError) as caught:
        source["twelve/bytes"]
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert str(caught.value) == (
        "the data file ends before the tensor does: expected 1099511627776 bytes, got 8 (file"
        f" {tmp_path}/m.data-00000-of-00001, byte 0, tensor 'twelve/bytes')\n"
        "It was probably cut off while it was copied; fetch it again.")
