from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfckpt
from helpers import GOLDENS, digest, golden_truths
from tfckpt.convert.reshard import Split, parse_size, parse_split, plan_reshard, reshard
from tfckpt.core.arrays import array_output
from tfckpt.core.origin import Reuse
from tfckpt.core.plan import Output, Plan
from tfckpt.core.writer import write_plan
from tfckpt.errors import (
    AmbiguousNamesError,
    ChecksumError,
    TensorNotFoundError,
    UnsupportedError,
)
from tfckpt.format.dtypes import STRING, dtype_named


def save(prefix, **arrays) -> str:
    outputs = tuple(array_output(key, array, STRING if array.dtype == object
                                 else dtype_named(str(array.dtype)))
                    for key, array in arrays.items())
    write_plan(Plan(outputs, "name-based"), str(prefix))
    return str(prefix)


def contents(prefix) -> dict:
    with tfckpt.open(prefix) as source:
        return {key: (source.index[key].dtype.name, source.index[key].shape,
                      digest(source[key])) for key in source
                if source.index[key].dtype.name not in ("variant", "resource")}


def whole(prefix) -> bool:
    with tfckpt.open(prefix) as source:
        return tfckpt.verify(source).ok


def sizes(prefix) -> list[int]:
    prefix = Path(prefix)
    return [file.stat().st_size for file in sorted(prefix.parent.glob(prefix.name + ".data-*"))]


PREFIXES = [prefix for prefix, _ in golden_truths()]


@pytest.mark.parametrize("prefix", [p for p in PREFIXES if not p.endswith(".ckpt")],
                         ids=lambda p: Path(p).name)
@pytest.mark.parametrize("how", [{"shards": 1}, {"shards": 3}, {"max_shard_size": 100},
                                 {"join": True}, {"join": True, "shards": 2}],
                         ids=["one", "three", "small", "joined", "joined-two"])
def test_every_value_stays(tmp_path, prefix, how):
    report = reshard(prefix, tmp_path / "out", **how)
    assert contents(prefix) == contents(tmp_path / "out")
    assert whole(tmp_path / "out")
    assert report.n_values[0] == report.n_values[1] > 0


def test_joining_links_what_it_does_not_touch(tmp_path):
    golden = GOLDENS / "tf1.15" / "sliced"
    report = reshard(golden, tmp_path / "out", join=True)
    with tfckpt.open(tmp_path / "out") as source:
        assert [entry.slices for entry in source.index.values()] == [()]
    assert [file.how for file in report.files] == ["new", "new"]
    mixed = save(tmp_path / "mixed", a=np.arange(4.0), w=np.arange(6.0))
    reshard(mixed, tmp_path / "split", split={"w": Split(2)})
    report = reshard(tmp_path / "split", tmp_path / "joined", join=True)
    assert [file.how for file in report.files[1:]] == ["new", "new"]
    assert report.files[0].how in ("reflink", "hard link")
    assert contents(tmp_path / "joined") == contents(mixed)


def test_one_shard_again_is_byte_for_byte_the_same(tmp_path):
    """Whole tensors in the order of their keys, so that anyone gets the same files."""
    prefix = save(tmp_path / "m", a=np.float32([1, 2]), b=np.arange(5), c=np.int8([[1], [2]]))
    reshard(prefix, tmp_path / "three", shards=3)
    reshard(tmp_path / "three", tmp_path / "one", shards=1)
    for ending in (".index", ".data-00000-of-00001"):
        assert Path(prefix + ending).read_bytes() == (tmp_path / ("one" + ending)).read_bytes()


def test_shards_are_filled_evenly_and_tensors_stay_whole(tmp_path):
    prefix = save(tmp_path / "m", **{f"v{n}": np.zeros(100 + n, np.uint8) for n in range(8)})
    reshard(prefix, tmp_path / "out", shards=4)
    assert sizes(tmp_path / "out") == [207, 207, 207, 207]
    with tfckpt.open(tmp_path / "out") as source:
        assert not any(entry.slices for entry in source.index.values())


def test_more_shards_than_tensors_are_as_many_as_tensors(tmp_path):
    prefix = save(tmp_path / "m", a=np.arange(3), b=np.arange(2))
    reshard(prefix, tmp_path / "out", shards=5)
    assert sizes(tmp_path / "out") == [24, 16]


def test_behaviour_103_tensors_are_cut_to_fit(tmp_path):
    prefix = save(tmp_path / "m", w=np.arange(35, dtype=np.float32).reshape(5, 7))
    reshard(prefix, tmp_path / "out", max_shard_size=42)  # ten whole elements
    assert max(sizes(tmp_path / "out")) == 40
    assert sum(sizes(tmp_path / "out")) == 140
    assert contents(prefix) == contents(tmp_path / "out")
    with tfckpt.open(tmp_path / "out") as source:
        boxes = [box for box, _ in source.parts(source.index["w"])]
    assert len({box[0] for box in boxes}) > 1
    assert len({box[1] for box in boxes}) > 1  # along both axes


def test_behaviour_103_what_can_not_be_cut_gets_a_file_of_its_own(tmp_path):
    prefix = save(tmp_path / "m", a=np.zeros(3, np.uint8), s=np.array(b"x" * 50, object),
                  w=np.float64(1), z=np.zeros(2, np.uint8))
    reshard(prefix, tmp_path / "out", max_shard_size=6)
    assert sizes(tmp_path / "out") == [5, 55, 8]
    assert contents(prefix) == contents(tmp_path / "out")


def test_parts_that_are_there_are_cut_further(tmp_path):
    """Behaviour 103: the places of the pieces count from the whole tensor's start."""
    prefix = save(tmp_path / "m", w=np.arange(24, dtype=np.int16).reshape(6, 4))
    reshard(prefix, tmp_path / "parts", split={"w": Split(2)})
    reshard(tmp_path / "parts", tmp_path / "out", max_shard_size=14)
    with tfckpt.open(tmp_path / "out") as source:
        boxes = [box for box, _ in source.parts(source.index["w"])]
    assert max(start for (start, _), _ in boxes) >= 3
    assert contents(prefix) == contents(tmp_path / "out")


@given(st.lists(st.lists(st.integers(0, 7), max_size=3), min_size=1, max_size=4),
       st.integers(1, 200), st.booleans())
@settings(max_examples=60)
def test_any_size_gives_files_within_it_and_the_same_values(tmp_path_factory, shapes, limit, split):
    folder = tmp_path_factory.mktemp("any")
    arrays = {f"t{n}": np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
              for n, shape in enumerate(shapes)}
    prefix = save(folder / "m", **arrays)
    if split and any(shape and shape[0] > 1 for shape in shapes):
        cuts = {f"t{n}": Split(2) for n, shape in enumerate(shapes) if shape and shape[0] > 1}
        reshard(prefix, folder / "split", split=cuts)
        prefix = str(folder / "split")
    reshard(prefix, folder / "out", max_shard_size=limit)
    assert contents(folder / "out") == contents(folder / "m")
    assert whole(folder / "out")
    if limit >= 4:
        assert max(sizes(folder / "out")) <= limit


@pytest.mark.parametrize(("cut", "lengths"), [
    (Split(3), [3, 2, 2]), (Split(7), [1] * 7), (Split(1), [7]), (Split(2, -2), [4, 3]),
])
def test_a_tensor_is_split_as_tensorflow_partitions(tmp_path, cut, lengths):
    prefix = save(tmp_path / "m", w=np.arange(28).reshape(7, 4), b=np.arange(3))
    report = reshard(prefix, tmp_path / "out", split={"w": cut})
    with tfckpt.open(tmp_path / "out") as source:
        parts = source.parts(source.index["w"])
    assert [box[0][1] for box, _ in parts] == lengths
    assert report.files[0].how in ("reflink", "hard link")  # b stays where it is
    assert contents(prefix) == contents(tmp_path / "out")


@pytest.mark.parametrize(("cut", "message"), [
    (Split(2, 2), "the tensor to split has no such axis: expected below 2, got 2 (tensor 'w')"),
    (Split(8), "the tensor can't be split into so many parts: expected 1 to 7 along axis 0, got 8"
               " (tensor 'w')"),
    (Split(0), "the tensor can't be split into so many parts: expected 1 to 7 along axis 0, got 0"
               " (tensor 'w')"),
])
def test_splits_that_make_no_sense(tmp_path, cut, message):
    prefix = save(tmp_path / "m", w=np.arange(28).reshape(7, 4))
    with pytest.raises(UnsupportedError) as caught:
        reshard(prefix, tmp_path / "out", split={"w": cut})
    assert str(caught.value) == message
    assert not list(tmp_path.glob("out*"))


def test_a_name_to_split_that_is_not_there(tmp_path):
    prefix = save(tmp_path / "m", weights=np.arange(4))
    with pytest.raises(TensorNotFoundError, match="Nearest: weights"):
        reshard(prefix, tmp_path / "out", split={"weight": Split(2)})


@pytest.mark.parametrize(("options", "message"), [
    ({"shards": 2, "max_shard_size": 9}, "give a number of shards or their largest size, not both"),
    ({"shards": 0}, "a checkpoint can't have so many shards: expected 1 to 99999, got 0"),
    ({"max_shard_size": 0}, "a data file needs room for a byte: got 0"),
])
def test_sizes_that_make_no_sense(tmp_path, options, message):
    prefix = save(tmp_path / "m", w=np.arange(4))
    with pytest.raises(UnsupportedError) as caught:
        reshard(prefix, tmp_path / "out", **options)
    assert str(caught.value) == message


def test_parts_by_name_become_one_variable_without_moving_a_byte(tmp_path):
    prefix = save(tmp_path / "m", **{
        "emb/part_0": np.arange(6).reshape(2, 3), "emb/part_1": np.arange(6, 9).reshape(1, 3),
        "emb/part_0/Adam": np.zeros((2, 3)), "emb/part_1/Adam": np.ones((1, 3)),
        "wide/part_0": np.zeros((2, 1)), "wide/part_1": np.ones((2, 2)),
        "gap/part_0": np.zeros(2), "gap/part_2": np.zeros(2), "other": np.arange(2)})
    report = reshard(prefix, tmp_path / "out", join_parts=True)
    assert [file.how for file in report.files[:-1]] in (["reflink"], ["hard link"])
    with tfckpt.open(tmp_path / "out") as source:
        assert list(source) == ["emb", "emb/Adam", "gap/part_0", "gap/part_2", "other", "wide"]
        assert source["emb"].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
        assert source["emb/Adam"].tolist() == [[0] * 3, [0] * 3, [1] * 3]
        assert source["wide"].tolist() == [[0, 1, 1], [0, 1, 1]]
    assert report.plan.notes == (
        "emb: 2 parts along axis 0", "emb/Adam: 2 parts along axis 0",
        "not joined: the parts of gap aren't all there, or don't fit together",
        "wide: 2 parts along axis 1")
    reshard(tmp_path / "out", tmp_path / "joined", join=True)
    with tfckpt.open(tmp_path / "joined") as source:
        assert source["emb"].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_a_name_that_is_taken_is_not_given_to_joined_parts(tmp_path):
    prefix = save(tmp_path / "m", **{"w/part_0": np.arange(2), "w": np.arange(3)})
    with pytest.raises(AmbiguousNamesError) as caught:
        reshard(prefix, tmp_path / "out", join_parts=True)
    assert str(caught.value) == "a tensor has the name that the joined parts would get"
    assert caught.value.groups == {"w": ["w/part_0", "w"]}


def test_damaged_bytes_do_not_become_right_by_being_moved(tmp_path):
    prefix = save(tmp_path / "m", a=np.arange(4), w=np.arange(6).reshape(3, 2))
    data = Path(prefix + ".data-00000-of-00001")
    stored = bytearray(data.read_bytes())
    stored[0] ^= 1
    data.write_bytes(stored)
    reshard(prefix, tmp_path / "moved", shards=2)  # whole tensors keep their checksums
    with tfckpt.open(tmp_path / "moved") as source:
        assert tfckpt.verify(source).damaged == ("a",)
    with pytest.raises(ChecksumError):  # pieces need new ones
        reshard(prefix, tmp_path / "cut", max_shard_size=8)
    assert not list(tmp_path.glob("cut*"))


def test_big_endian_numbers_are_moved_as_they_are(tmp_path):
    """Behaviour 97: complex numbers by halves, in pieces too."""
    array = (np.arange(6) + 1j).astype(np.complex64).reshape(3, 2)
    outputs = (array_output("w", array.byteswap(), dtype_named("complex64")),)
    write_plan(Plan(outputs, "name-based", "big"), str(tmp_path / "m"))
    ways = {"cut": {"max_shard_size": 16}, "split": {"split": {"w": Split(3)}}}
    for name, options in ways.items():
        reshard(tmp_path / "m", tmp_path / name, **options)
        with tfckpt.open(tmp_path / name) as source:
            assert source.byte_order == "big"
            assert source["w"].tolist() == array.tolist()
        reshard(tmp_path / name, tmp_path / (name + "-joined"), join=True)
        with tfckpt.open(tmp_path / (name + "-joined")) as source:
            assert source["w"].tolist() == array.tolist()


def test_conversion_keeps_parts_and_links_them(tmp_path):
    golden = GOLDENS / "tf1.15" / "sliced"
    tfckpt.convert(golden, tmp_path / "tf2" / "ckpt", to="tf2")
    with tfckpt.open(tmp_path / "tf2" / "ckpt") as source, tfckpt.open(golden) as old:
        key = "vars/part/.ATTRIBUTES/VARIABLE_VALUE"
        assert len(source.index[key].slices) == 3
        assert np.array_equal(source[key], old["part"])
    tfckpt.convert(tmp_path / "tf2" / "ckpt", tmp_path / "back" / "m", to="tf1")
    assert (tmp_path / "back" / "m.data-00000-of-00001").stat().st_nlink > 1
    assert contents(tmp_path / "back" / "m") == contents(golden)


def test_the_plan_says_what_moves(tmp_path):
    prefix = save(tmp_path / "m", a=np.arange(4), w=np.arange(6))
    with tfckpt.open(prefix) as source:
        plan = plan_reshard(source, split={"w": Split(2)})
    assert isinstance(plan.outputs[0].origin, Reuse)
    assert [part.extents for part in plan.outputs[1].origin.parts] == [((0, 3),), ((3, 3),)]
    assert isinstance(plan.outputs[1], Output)


@pytest.mark.parametrize(("text", "n_bytes"), [
    ("100", 100), ("2GB", 2 * 10**9), ("2gib", 2 << 30), ("1.5k", 1500), (" 7 MiB ", 7 << 20),
    ("1T", 10**12), ("12B", 12),
])
def test_sizes(text, n_bytes):
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GB", "-1", "1.GB", "1EB", "i", "5i"])
def test_texts_that_are_no_sizes(text):
    with pytest.raises(UnsupportedError, match="this is no size"):
        parse_size(text)


def test_splits_in_words():
    assert parse_split("a=b/w=4:axis0") == ("a=b/w", Split(4, 0))
    assert parse_split("w=2") == ("w", Split(2, 0))
    assert parse_split("w=2:-1") == ("w", Split(2, -1))
    with pytest.raises(UnsupportedError) as caught:
        parse_split("w")
    assert str(caught.value) == ("a tensor to split has another form:"
                                 " expected KEY=N or KEY=N:AXIS, got w")


@pytest.mark.parametrize("align", [2, 3, 7, 64, 4096])
@pytest.mark.parametrize("options", [{}, {"shards": 2}, {"max_shard_size": 50}])
def test_behaviour_102_aligned_tensors_start_at_multiples_and_read_as_before(
        tmp_path, align, options):
    arrays = {f"v{n}": np.arange(n, dtype=np.int8) for n in range(40)}
    prefix = save(tmp_path / "m", **arrays)
    reshard(prefix, tmp_path / "out", align=align, **options)
    with tfckpt.open(tmp_path / "out") as source:
        parts = [part for entry in source.index.values() for _, part in source.parts(entry)]
        assert all(part.offset % align == 0 for part in parts)
        assert {part.offset for part in parts} > {0}
    assert contents(prefix) == contents(tmp_path / "out")
    assert whole(tmp_path / "out")


def test_aligned_tensors_are_views_of_the_file(tmp_path):
    prefix = save(tmp_path / "m", a=np.int8([1]), b=np.float64([1, 2]), c=np.zeros((), np.int64))
    reshard(prefix, tmp_path / "out", align=64)
    with tfckpt.open(prefix) as packed, tfckpt.open(tmp_path / "out") as aligned:
        assert packed["b"].base is None or packed["b"].flags.owndata
        assert not aligned["b"].flags.owndata
    with pytest.raises(UnsupportedError, match="tensors can't be aligned so"):
        reshard(prefix, tmp_path / "x", align=0)


def test_many_aligned_tensors_have_the_entries_of_few(tmp_path):
    """The quick way to encode entries knows the gaps too."""
    prefix = save(tmp_path / "m", **{f"v{n:04d}": np.full(n % 5, n, np.int16)
                                     for n in range(1200)})
    reshard(prefix, tmp_path / "out", align=16)
    assert contents(prefix) == contents(tmp_path / "out")
