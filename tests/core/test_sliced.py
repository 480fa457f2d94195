from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfckpt
from helpers import GOLDENS
from tfckpt.core.arrays import array_output
from tfckpt.core.origin import Given, Part, Sliced
from tfckpt.core.plan import Output, Plan
from tfckpt.core.sliced import (
    assemble,
    check_cover,
    contiguous_boxes,
    overlap,
    parse_request,
    stream,
    whole,
)
from tfckpt.core.writer import write_plan
from tfckpt.errors import ChecksumError, FormatError, TruncatedError, UnsupportedError
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.strings import encode_strings


@st.composite
def tilings(draw, most_axes=3):
    """A shape, and boxes that cover it exactly: a box is cut, then any of the boxes."""
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=most_axes))
    boxes = [whole(shape)]
    for _ in range(draw(st.integers(0, 6))):
        n = draw(st.integers(0, len(boxes) - 1))
        axis = draw(st.integers(0, len(shape) - 1))
        start, length = boxes[n][axis]
        if length < 2:
            continue
        cut = draw(st.integers(1, length - 1))
        box = boxes.pop(n)
        boxes += [(*box[:axis], extent, *box[axis + 1:])
                  for extent in ((start, cut), (start + cut, length - cut))]
    return tuple(shape), draw(st.permutations(boxes))


def values(shape) -> np.ndarray:
    return np.arange(math.prod(shape), dtype=np.int32).reshape(shape)


def taken(array, box) -> np.ndarray:
    return array[tuple(slice(start, start + length) for start, length in box)]


def parts_of(array, boxes):
    return [(box, lambda box=box: taken(array, box)) for box in boxes]


@given(tilings(), st.data())
def test_any_range_is_put_together_from_any_parts(tiling, data):
    """Behaviour 104: from one slice, part of one, or several."""
    shape, boxes = tiling
    array = values(shape)
    request = []
    for size in shape:
        start = data.draw(st.integers(0, size - 1))
        request.append((start, data.draw(st.integers(0, size - start))))
    request = tuple(request)
    check_cover(boxes, request, "w")
    got = assemble(parts_of(array, boxes), request, array.dtype)
    assert np.array_equal(got, taken(array, request))


@given(tilings())
def test_a_stream_is_the_tensor_in_c_order(tiling):
    shape, boxes = tiling
    array = values(shape)
    got = b"".join(block.tobytes() for block in
                   stream(parts_of(array, boxes), whole(shape), array.dtype))
    assert got == array.tobytes()


@given(tilings(), st.data())
def test_what_a_missing_or_doubled_part_means_is_said(tiling, data):
    """The element that is named is one that no part has, or several."""
    shape, boxes = tiling
    n = data.draw(st.integers(0, len(boxes) - 1))
    count = np.zeros(shape, int)
    changed = boxes[:n] + boxes[n + 1:] if data.draw(st.booleans()) else [*boxes, boxes[n]]
    for box in changed:
        taken(count, box)[...] += 1
    with pytest.raises((FormatError, TruncatedError)) as caught:
        check_cover(changed, whole(shape), "w")
    element = eval(str(caught.value.got).partition("element ")[2].partition("]")[0] + "]")
    if isinstance(caught.value, TruncatedError):
        assert count[tuple(element)] == 0
        assert len(changed) < len(boxes)
    else:
        assert count[tuple(element)] > 1
        assert len(changed) > len(boxes)


@given(tilings(), st.data())
def test_any_other_cover_is_refused(tiling, data):
    """Parts moved or resized at will pass only if each element is in exactly one."""
    shape, boxes = tiling
    n = data.draw(st.integers(0, len(boxes) - 1))
    axis = data.draw(st.integers(0, len(shape) - 1))
    start = data.draw(st.integers(0, shape[axis]))
    extent = (start, data.draw(st.integers(0, shape[axis] - start)))
    changed = [*boxes[:n], (*boxes[n][:axis], extent, *boxes[n][axis + 1:]), *boxes[n + 1:]]
    count = np.zeros(shape, int)
    for box in changed:
        taken(count, box)[...] += 1
    if (count == 1).all():
        check_cover(changed, whole(shape), "w")
    else:
        with pytest.raises((FormatError, TruncatedError)):
            check_cover(changed, whole(shape), "w")


def test_the_errors_name_the_element():
    with pytest.raises(TruncatedError) as caught:
        check_cover([((0, 2), (0, 3)), ((2, 2), (0, 2))], ((0, 4), (0, 3)), "w")
    assert str(caught.value) == ("slices of the tensor are missing:"
                                 " got none that has element [2, 2] (tensor 'w')")
    with pytest.raises(FormatError) as caught:
        check_cover([((0, 2),), ((1, 2),)], ((0, 3),), "w")
    assert str(caught.value) == ("slices of the tensor overlap:"
                                 " got element [1] in 2 of them (tensor 'w')")


def test_a_lone_part_can_be_asked_for():
    """Behaviour 104: what isn't touched by the request may be missing."""
    check_cover([((2, 2),)], ((2, 2),), "w")
    check_cover([((2, 2),)], ((3, 1),), "w")
    with pytest.raises(TruncatedError):
        check_cover([((2, 2),)], ((1, 2),), "w")


def test_too_many_cut_axes_are_refused_before_any_work():
    shape = (2,) * 9
    boxes = [((0, 1),) * 9, ((1, 1),) * 9]
    with pytest.raises(UnsupportedError, match="the tensor is cut along too many axes"):
        check_cover(boxes, whole(shape), "w")


def test_a_hundred_thousand_parts_are_checked_in_a_moment():
    check_cover([((n, 1), (0, 4)) for n in range(100_000)], ((0, 100_000), (0, 4)), "w")


@given(st.lists(st.integers(0, 5), max_size=4), st.integers(1, 30))
def test_contiguous_boxes_are_the_tensor_in_order(shape, most):
    array = values(shape)
    boxes = list(contiguous_boxes(shape, most))
    got = [x for box in boxes for x in taken(array, box).reshape(-1).tolist()]
    assert got == array.reshape(-1).tolist()
    assert all(math.prod(n for _, n in box) <= most for box in boxes)


@pytest.mark.parametrize(("a", "b", "common"), [
    (((0, 4),), ((2, 4),), ((2, 2),)),
    (((0, 2),), ((2, 2),), None),
    (((0, 4), (1, 1)), ((1, 9), (0, 3)), ((1, 3), (1, 1))),
    ((), (), ()),
])
def test_overlap(a, b, common):
    assert overlap(a, b) == common
    assert overlap(b, a) == common


@pytest.mark.parametrize(("request_", "box", "dropped"), [
    ((), ((0, 4), (0, 3)), ()),
    (slice(1, None), ((1, 3), (0, 3)), ()),
    ((slice(None), -1), ((0, 4), (2, 1)), (1,)),
    ((2, 0), ((2, 1), (0, 1)), (0, 1)),
    (slice(3, 1), ((3, 0), (0, 3)), ()),
    (np.int64(1), ((1, 1), (0, 3)), (0,)),
])
def test_requests(request_, box, dropped):
    assert parse_request(request_, (4, 3), "w") == (box, dropped)


@pytest.mark.parametrize(("request_", "message"), [
    (slice(None, None, 2), "a slice of a tensor can't have a step"),
    ((0, 0, 0), "the slice has more dimensions than the tensor"),
    ("x", "a part of a tensor is named by ints and slices"),
])
def test_requests_that_are_refused(request_, message):
    with pytest.raises(UnsupportedError, match=message):
        parse_request(request_, (4, 3), "w")


def test_an_int_out_of_range_is_an_index_error():
    with pytest.raises(IndexError, match="index 4 is out of range for axis 0 of size 4 of"):
        parse_request(4, (4, 3), "w")


def save_parts(prefix, array, boxes, dtype=None) -> None:
    """A checkpoint with one partitioned variable ``w`` and one in one piece, ``b``."""
    parts = []
    for box in boxes:
        part = np.ascontiguousarray(taken(array, box))
        origin = (Given(*encode_strings(part.reshape(-1).tolist())) if array.dtype == object
                  else Given(part.tobytes(), None))
        parts.append(Part(box, origin))
    dtype = dtype or dtype_named("string" if array.dtype == object else str(array.dtype))
    outputs = (Output("w", dtype, array.shape, Sliced(tuple(parts))),
               array_output("b", np.float32([1, 2, 3]), dtype_named("float32")))
    write_plan(Plan(outputs, "name-based"), str(prefix))


GRID = [((r, 2), (c, 3)) for r in (0, 2) for c in (0, 3)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "complex128", "uint16",
                                   "uint32", "uint64", "bool", "int4", "string"])
@pytest.mark.parametrize("mmap", [True, False])
def test_a_partitioned_variable_of_any_dtype_reads_whole_and_in_ranges(tmp_path, dtype, mmap):
    kind = dtype_named(dtype)
    array = (np.array([b"%d" % n for n in range(24)], object) if dtype == "string"
             else np.arange(24).astype(kind.numpy())).reshape(4, 6)
    save_parts(tmp_path / "m", array, GRID, kind)
    with tfckpt.open(tmp_path / "m", mmap=mmap) as source:
        assert list(source) == ["b", "w"]
        assert source["w"].dtype == array.dtype
        assert source["w"].tolist() == array.tolist()
        assert not source["w"].flags.writeable
        assert source.read_slice("w", (slice(1, 3), slice(2, 5))).tolist() == \
            array[1:3, 2:5].tolist()
        assert source.read_slice("w", (-1, 0)).tolist() == array[-1, 0].tolist() \
            if dtype != "string" else source.read_slice("w", (-1, 0)).item() == array[-1, 0]
        assert source.read_slice("b", slice(1, None)).tolist() == [2, 3]
        assert source.read_bytes("w") == (
            encode_strings(array.reshape(-1).tolist())[0] if dtype == "string"
            else array.tobytes())


def test_reading_one_slice_reads_only_its_bytes(tmp_path):
    """The other parts are damaged, or not there at all."""
    save_parts(tmp_path / "m", values((4, 6)), GRID)
    data = tmp_path / "m.data-00000-of-00001"
    stored = bytearray(data.read_bytes())
    stored[0] ^= 1  # in the first part
    data.write_bytes(stored)
    with tfckpt.open(tmp_path / "m", check_crc="read") as source:
        assert source.read_slice("w", (slice(2, 4), slice(3, 6))).tolist() == \
            values((4, 6))[2:, 3:].tolist()
        with pytest.raises(ChecksumError) as caught:
            source.read_slice("w", (0, 0))
        assert caught.value.tensor == "w"
        assert caught.value.offset == 0
        with pytest.raises(ChecksumError):
            source["w"]
        with pytest.raises(ChecksumError):
            list(source.stream(source.index["w"]))
    source = tfckpt.open(tmp_path / "m", check_crc="close")
    source["w"]
    with pytest.raises(ChecksumError):
        source.close()


def test_the_golden_that_tensorflow_cut(tmp_path):
    with tfckpt.open(GOLDENS / "tf1.15" / "sliced") as source:
        whole_one = source["part"]
        for box, part in source.parts(source.index["part"]):
            rows = slice(box[0][0], sum(box[0]))
            assert part.shape == tuple(n for _, n in box)
            assert np.array_equal(source.read_slice("part", rows), whole_one[rows])
