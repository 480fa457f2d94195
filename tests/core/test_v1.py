from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfckpt
from helpers import EXAMPLE, GOLDENS, SHARED, needs_shared
from tfckpt.core.arrays import array_output
from tfckpt.core.origin import Given, Part, Sliced
from tfckpt.core.plan import Output, Plan
from tfckpt.core.v1 import V1Source
from tfckpt.core.writer_v1 import write_v1_plan
from tfckpt.errors import (
    AmbiguousNamesError,
    CheckpointError,
    ChecksumError,
    DestinationExistsError,
    FormatError,
    TensorNotFoundError,
    TruncatedError,
    UnsupportedError,
)
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.savedslices import SavedTensor, encode_meta, encode_saved_slice
from tfckpt.format.slices import slice_key
from tfckpt.format.table import encode_table, parse_footer, parse_table
from tfckpt.format.tensorvalues import encode_values

GOLDEN = GOLDENS / "tf1.15" / "v1.ckpt"
FLOAT = dtype_named("float32")


def save(path, **arrays) -> str:
    outputs = [array_output(key, array, dtype_named("string" if array.dtype == object
                                                    else str(array.dtype)))
               for key, array in arrays.items()]
    write_v1_plan(Plan(tuple(outputs), "name-based"), str(path))
    return str(path)


def as_read(source) -> Plan:
    """The same tensors in the order in which the file lists them."""
    entries = sorted(source.index.values(), key=lambda entry: entry.offset)
    return Plan(tuple(Output(e.key, e.dtype, e.shape, source.origin(e)) for e in entries),
                "name-based")


def table(*tensors: SavedTensor, **values: bytes) -> bytes:
    """A V1 file with this list of tensors and these rows."""
    rows = [(slice_key(tensor.name.encode(), extents),
             encode_saved_slice(tensor.name, extents, values[tensor.name]))
            for tensor in tensors for extents in tensor.slices if tensor.name in values]
    return encode_table([(b"", encode_meta(tensors)), *sorted(rows)])


def test_the_golden_reads_and_is_written_again_byte_for_byte(tmp_path):
    with tfckpt.open(GOLDEN) as source:
        assert isinstance(source, V1Source)
        assert (source.format, source.style, list(source)) == ("V1", "name-based", ["v"])
        write_v1_plan(as_read(source), str(tmp_path / "again"))
    assert GOLDEN.read_bytes() == (tmp_path / "again").read_bytes()


@needs_shared
@pytest.mark.parametrize("file", [
    "fixtures/formats/tf1.15/v1_blocks", "fixtures/formats/tf1.15/v1_dtypes",
    "fixtures/formats/tf1.15/v1_partitioned", "fixtures/formats/tf1.15/v1_slices_mixed",
    "corpus/magenta-rl-tuner-v1/model.ckpt-1994", "corpus/srcnn-v1/SRCNN.model-2550000",
    "corpus/tf-tfprof-v1/ckpt"])
def test_behaviour_109_what_tensorflow_wrote_is_written_again_byte_for_byte(tmp_path, file):
    """Tensors are listed in the order in which they were written."""
    with tfckpt.open(SHARED / file) as source:
        write_v1_plan(as_read(source), str(tmp_path / "again"))
        assert Path(source.files()[0]).read_bytes() == (tmp_path / "again").read_bytes()


def test_v1_to_v2_and_back(tmp_path):
    tfckpt.convert(GOLDEN, tmp_path / "v2", to="tf1")
    with tfckpt.open(tmp_path / "v2") as source, tfckpt.open(GOLDEN) as old:
        assert source.format == "V2"
        assert source["v"].tolist() == old["v"].tolist()
        assert tfckpt.verify(source).ok
    tfckpt.convert(tmp_path / "v2", tmp_path / "v1", to="tf1-v1")
    assert (tmp_path / "v1").read_bytes() == GOLDEN.read_bytes()
    tfckpt.convert(GOLDEN, tmp_path / "tf2", to="tf2")
    tfckpt.convert(tmp_path / "tf2", tmp_path / "v1b", to="tf1-v1")
    assert (tmp_path / "v1b").read_bytes() == GOLDEN.read_bytes()


def test_a_checkpoint_of_all_kinds_goes_to_v1_and_back(tmp_path):
    tfckpt.convert(EXAMPLE, tmp_path / "v1", to="tf1-v1")
    tfckpt.convert(tmp_path / "v1", tmp_path / "v2", to="tf1")
    with tfckpt.open(EXAMPLE) as old, tfckpt.open(tmp_path / "v2") as new:
        assert list(old) == list(new)
        for key in old:
            assert old[key].dtype == new[key].dtype
            assert np.array_equal(old[key], new[key])


def test_partitioned_variables_keep_their_parts(tmp_path):
    tfckpt.convert(GOLDENS / "tf1.15" / "sliced", tmp_path / "v1", to="tf1-v1")
    with tfckpt.open(tmp_path / "v1") as v1, tfckpt.open(GOLDENS / "tf1.15" / "sliced") as v2:
        assert v1.index["part"].slices == v2.index["part"].slices
        assert np.array_equal(v1["part"], v2["part"])
        rows = v2["part"][1:3]
        assert np.array_equal(v1.read_slice("part", slice(1, 3)), rows)
    tfckpt.convert(tmp_path / "v1", tmp_path / "v2", to="tf1")
    with tfckpt.open(tmp_path / "v2") as again, tfckpt.open(GOLDENS / "tf1.15" / "sliced") as v2:
        assert np.array_equal(again["part"], v2["part"])
        assert len(again.index["part"].slices) == 3


def test_behaviour_108_shards_are_united(tmp_path):
    save(tmp_path / "m-00000-of-00002", a=np.float32([1]), c=np.arange(3))
    save(tmp_path / "m-00001-of-00002", b=np.int8([2]))
    with tfckpt.open(tmp_path / "m-?????-of-00002") as source:
        assert {key: source[key].tolist() for key in source} == {
            "a": [1], "b": [2], "c": [0, 1, 2]}
    with tfckpt.open(tmp_path / "m-00001-of-00002") as source:
        assert list(source) == ["b"]
    os.unlink(tmp_path / "m-00000-of-00002")
    with tfckpt.open(tmp_path / "m-?????-of-00002") as source:
        assert source.notes == ("only 1 of the 2 shards of this V1 checkpoint are here",)
        with pytest.raises(TensorNotFoundError):
            source["a"]


def test_slices_of_one_tensor_may_be_in_different_shards(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    for n, box in enumerate([((0, 2), (0, 3)), ((2, 2), (0, 3))]):
        part = array[box[0][0]:sum(box[0])]
        write_v1_plan(Plan((Output("w", FLOAT, (4, 3), Sliced((
            Part(box, Given(part.tobytes(), None)),))),), "name-based"),
            str(tmp_path / f"m-{n:05d}-of-00002"))
    with tfckpt.open(tmp_path / "m") as source:
        assert np.array_equal(source["w"], array)
    with tfckpt.open(tmp_path / "m-00001-of-00002") as source:
        with pytest.raises(TruncatedError, match="slices of the tensor are missing"):
            source["w"]
        assert np.array_equal(source.read_slice("w", slice(2, 4)), array[2:])


def test_shards_that_contradict_one_another_are_refused(tmp_path):
    save(tmp_path / "m-00000-of-00002", a=np.float32([1]))
    save(tmp_path / "m-00001-of-00002", a=np.float32([1, 2]))
    with pytest.raises(FormatError) as caught:
        tfckpt.open(tmp_path / "m")
    assert str(caught.value) == (
        "shards of the checkpoint contradict one another: expected float32 [1],"
        f" got float32 [2] (file {tmp_path}/m-00001-of-00002, tensor 'a')")


@pytest.mark.parametrize(("tensor", "message"), [
    (SavedTensor("w", dtype_named("variant"), (2,), (((0, None),),)),
     "tensors of dtype variant have no form as an array"),
    (SavedTensor("w", FLOAT, (3,), (((0, None),),)),
     "values of the tensor are missing: expected 3, got 2"),
])
def test_behaviour_111_what_can_be_listed_may_fail_when_it_is_read(tmp_path, tensor, message):
    values = encode_values(np.float32([1, 2]), FLOAT)
    (tmp_path / "m").write_bytes(table(tensor, w=values))
    with tfckpt.open(tmp_path / "m") as source:
        assert list(source) == ["w"]
        with pytest.raises(CheckpointError) as caught:
            source["w"]
    assert caught.value.message + (f": expected {caught.value.expected}, got {caught.value.got}"
                                   if caught.value.got is not None else "") == message
    assert caught.value.tensor == "w"


def test_behaviour_111_missing_values_and_missing_dtype(tmp_path):
    unknown = SavedTensor("w", tfckpt.format.dtypes.dtype_numbered(0), (1,), (((0, None),),))
    (tmp_path / "m").write_bytes(table(unknown, SavedTensor("x", FLOAT, (1,), (((0, None),),)),
                                       w=b""))
    with tfckpt.open(tmp_path / "m") as source:
        assert [entry.dtype.name for entry in source.index.values()] == ["unknown(0)", "float32"]
        with pytest.raises(UnsupportedError, match=r"dtype unknown\(0\) have no form"):
            source["w"]
        with pytest.raises(TruncatedError) as caught:
            source["x"]
    assert str(caught.value) == (
        "values of the tensor are missing from the file: expected start and length [(0, None)]"
        f" (file {tmp_path}/m, tensor 'x')")


def test_a_table_of_another_kind_is_refused(tmp_path):
    shutil.copy(str(EXAMPLE) + ".index", tmp_path / "m")
    with pytest.raises(FormatError, match="another wire type"):
        tfckpt.open(tmp_path / "m")
    (tmp_path / "m").write_bytes(encode_table([(b"a", b"b")]))
    with pytest.raises(FormatError, match="the table has no row that lists its tensors"):
        tfckpt.open(tmp_path / "m")


@pytest.mark.parametrize("at", range(0, 150, 7))
def test_a_flipped_bit_is_found_by_the_checksum_of_its_block(tmp_path, at):
    data = bytearray(GOLDEN.read_bytes())
    end = data.index(b"\0\1\0\0\0")  # the restart points of the only block
    data[at % end] ^= 4
    (tmp_path / "m").write_bytes(data)
    with pytest.raises(ChecksumError, match="block checksum does not match"):
        tfckpt.open(tmp_path / "m")


def read_all(path) -> None:
    with tfckpt.open(path) as source:
        for key in source:
            source[key]


def test_every_cut_and_every_flipped_bit_is_an_error(tmp_path):
    data = GOLDEN.read_bytes()
    path = tmp_path / "m"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            read_all(path)
    metaindex, index = parse_footer(data)
    unread = {*range(metaindex.offset, index.offset), *range(len(data) - 48, len(data))}
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            read_all(path)
        except CheckpointError:
            continue
        assert bit // 8 in unread  # the empty block and the footer's zeros, for `verify` to check


@given(st.data())
@settings(max_examples=200)
def test_changed_rows_under_right_checksums_give_a_result_or_an_error(tmp_path_factory, data):
    rows = parse_table(GOLDEN.read_bytes())
    n = data.draw(st.integers(0, len(rows) - 1))
    which = data.draw(st.integers(0, 1))
    changed = bytearray(rows[n][which])
    for _ in range(data.draw(st.integers(1, 3))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    rows[n] = (bytes(changed), rows[n][1]) if which == 0 else (rows[n][0], bytes(changed))
    path = tmp_path_factory.mktemp("v1") / "m"
    try:
        path.write_bytes(encode_table(sorted(rows)))
        read_all(path)
    except CheckpointError:
        pass


def test_nothing_is_overwritten_and_no_source(tmp_path):
    path = save(tmp_path / "m", a=np.arange(3))
    before = Path(path).read_bytes()
    with pytest.raises(DestinationExistsError) as caught:
        save(path, b=np.arange(2))
    assert str(caught.value) == (f"there is already a file (file {path})\n"
                                 "Give another path, or allow it with --overwrite.")
    with pytest.raises(DestinationExistsError, match="the output would replace its own source"):
        tfckpt.convert(path, path, to="tf1-v1", overwrite=True)
    with pytest.raises(DestinationExistsError, match="a V1 checkpoint is a file"):
        tfckpt.convert(path, tmp_path, to="tf1-v1")
    assert Path(path).read_bytes() == before
    tfckpt.convert(EXAMPLE, path, to="tf1-v1", overwrite=True)
    with tfckpt.open(path) as source:
        assert "dense/kernel" in source
    assert os.listdir(tmp_path) == ["m"]


def test_a_name_twice_is_refused(tmp_path):
    output = array_output("a", np.arange(3), dtype_named("int64"))
    with pytest.raises(AmbiguousNamesError):
        write_v1_plan(Plan((output, output), "name-based"), str(tmp_path / "m"))


def test_behaviour_110_nothing_is_written_of_what_v1_can_not_hold(tmp_path):
    import ml_dtypes

    with pytest.raises(UnsupportedError) as caught:
        save(tmp_path / "m", a=np.arange(3), b=np.ones(2, ml_dtypes.bfloat16))
    assert caught.value.tensor == "b"
    assert not os.listdir(tmp_path)


def test_damaged_values_do_not_become_right_by_being_moved(tmp_path):
    from helpers import copy_checkpoint

    prefix = copy_checkpoint(EXAMPLE, tmp_path / "src")
    with open(prefix + ".data-00000-of-00001", "r+b") as data:
        data.write(b"\xff")
    with pytest.raises(ChecksumError):
        tfckpt.convert(prefix, tmp_path / "v1", to="tf1-v1")
    assert os.listdir(tmp_path) == ["src"]


def test_large_files_are_written_block_by_block(tmp_path):
    """A table of many blocks, with values larger than a block among them."""
    rng = np.random.default_rng(0)
    arrays = {f"v{n:03d}": rng.random(size).astype(np.float32)
              for n, size in enumerate([10, 200_000, 3, *[20_000] * 30, 140_000, 5])}
    path = save(tmp_path / "m", **arrays)
    rows = parse_table(Path(path).read_bytes())
    assert encode_table(rows) == Path(path).read_bytes()
    with tfckpt.open(path) as source:
        assert all(np.array_equal(source[key], array) for key, array in arrays.items())


def test_a_saver_may_write_v1(tmp_path):
    held = {"a": tfckpt.Variable([1.0, 2.0]), "b": tfckpt.Variable(3)}
    saver = tfckpt.Saver(held, write_version=1, sharded=True, max_to_keep=1)
    for step in (1, 2):
        path = saver.save(None, tmp_path / "m", global_step=step)
    assert path == str(tmp_path / "m-2-?????-of-00001")
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "m-2-00000-of-00001"]
    assert tfckpt.latest_checkpoint(tmp_path) == path
    held["a"].assign([0.0, 0.0])
    saver.restore(None, path)
    assert held["a"].numpy().tolist() == [1, 2]
    plain = tfckpt.Saver(held, write_version=1).save(None, tmp_path / "plain")
    assert plain == str(tmp_path / "plain")
    assert tfckpt.load_variable(plain, "b") == 3
    assert tfckpt.load_checkpoint(tmp_path).get_variable_to_shape_map() == {"a": [2], "b": []}
