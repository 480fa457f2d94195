"""Tensors that were saved in slices: where each part belongs, and what they add up to.

A *box* is a range of a tensor's elements: start and length along each dimension. The parts
of one tensor may be cut along any axis, along several, and each along another, so they are
placed by their offsets and never concatenated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, TypeVar

from tfckpt.errors import FormatError, TruncatedError, UnsupportedError
from tfckpt.format.slices import Box

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CHUNK", "STEP", "Box", "assemble", "check_cover", "contiguous_boxes", "overlap",
           "parse_request", "stream", "touching", "whole"]

_MOST_CUT_AXES = 8  # as many as TensorFlow copies; a tiling is checked by 2^axes corners
CHUNK = 8 << 20
"""Bytes that are moved at once."""
STEP = 96 << 10
"""Bytes that are read at once where every one is looked at: few enough to stay in a core's cache,
and for malloc to take them from memory in use, not from new pages (from 128 KiB on)."""

T = TypeVar("T")


def whole(shape: Sequence[int]) -> Box:
    """The box of a whole tensor.

    Example:
        >>> whole((4, 3))
        ((0, 4), (0, 3))
    """
    return tuple((0, size) for size in shape)


def overlap(a: Box, b: Box) -> Box | None:
    """What two boxes have in common, or None if that is nothing.

    Example:
        >>> overlap(((0, 4), (0, 3)), ((2, 5), (0, 3)))
        ((2, 2), (0, 3))
    """
    common = []
    for (start_a, length_a), (start_b, length_b) in zip(a, b, strict=True):
        start = max(start_a, start_b)
        length = min(start_a + length_a, start_b + length_b) - start
        if length <= 0:
            return None
        common.append((start, length))
    return tuple(common)


def parse_request(request: object, shape: Sequence[int], tensor: str
                  ) -> tuple[Box, tuple[int, ...]]:
    """A box from what stands between the brackets of ``array[...]``.

    Args:
        request: An int or slice, or a tuple of them, one per leading dimension.
        shape: The tensor's.
        tensor: Its name, for errors.

    Returns:
        The box, and the axes that an int took away.

    Raises:
        UnsupportedError: A step other than 1, or more items than dimensions.
        IndexError: An int is out of range.

    Example:
        >>> parse_request((slice(1, 3), -1), (4, 3), "w")
        (((1, 2), (2, 1)), (1,))
    """
    items = request if isinstance(request, tuple) else (request,)
    if len(items) > len(shape):
        raise UnsupportedError("the slice has more dimensions than the tensor", tensor=tensor,
                               expected=f"{len(shape)} at most", got=len(items))
    box, dropped = [], []
    for axis, size in enumerate(shape):
        item = items[axis] if axis < len(items) else slice(None)
        if isinstance(item, slice):
            start, stop, step = item.indices(size)
            if step != 1:
                raise UnsupportedError("a slice of a tensor can't have a step", tensor=tensor,
                                       expected="step 1", got=step)
            box.append((start, max(stop - start, 0)))
            continue
        index = _as_index(item, tensor)
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of range for axis {axis} of size {size}"
                             f" of tensor {tensor}")
        box.append((index % size, 1))
        dropped.append(axis)
    return tuple(box), tuple(dropped)


def _as_index(item: Any, tensor: str) -> int:
    try:
        return int(item.__index__())
    except AttributeError:
        raise UnsupportedError("a part of a tensor is named by ints and slices", tensor=tensor,
                               got=repr(item)) from None


def touching(parts: Sequence[tuple[Box, T]], request: Box) -> list[tuple[Box, Box, T]]:
    """The parts that a request needs: what of it, the part's box, and the part."""
    found = []
    for box, part in parts:
        common = overlap(box, request)
        if common is not None:
            found.append((common, box, part))
    return found


def check_cover(boxes: Sequence[Box], request: Box, tensor: str) -> None:
    """Check that every element of a request is in exactly one of the boxes.

    Each box, clipped, is written down as its corners with alternating signs. Added up, all
    of them must leave the corners of the request and nothing else: a box is the sum of what
    its corners begin and end, so the smallest corner that is left over is an element that no
    box has, or more than one. That takes time in proportion to the number of boxes.

    Args:
        boxes: Those of the parts.
        request: What they have to cover.
        tensor: Its name, for errors.

    Raises:
        TruncatedError: An element is in no box.
        FormatError: An element is in several.
        UnsupportedError: The tensor is cut along more than 8 axes.

    Example:
        >>> check_cover([((0, 2),), ((2, 2),)], ((0, 4),), "w")
    """
    if not math.prod(length for _, length in request):
        return
    clipped = [common for box in boxes if (common := overlap(box, request)) is not None]
    axes = [axis for axis, extent in enumerate(request)
            if any(box[axis] != extent for box in clipped)]
    if len(axes) > _MOST_CUT_AXES:
        raise UnsupportedError("the tensor is cut along too many axes", tensor=tensor,
                               expected=f"{_MOST_CUT_AXES} at most", got=len(axes))
    corners: Counter[tuple[int, ...]] = Counter()
    for box, weight in [*((box, 1) for box in clipped), (request, -1)]:
        ends = [((box[axis][0], 1), (sum(box[axis]), -1)) for axis in axes]
        for corner in product(*ends):
            corners[tuple(at for at, _ in corner)] += weight * math.prod(s for _, s in corner)
    left = min((point for point, value in corners.items() if value), default=None)
    if left is None:
        return
    element = [start for start, _ in request]
    for axis, at in zip(axes, left, strict=True):
        element[axis] = at
    if corners[left] > 0:
        raise FormatError("slices of the tensor overlap", tensor=tensor,
                          got=f"element {element} in {corners[left] + 1} of them")
    raise TruncatedError("slices of the tensor are missing", tensor=tensor,
                         got=f"none that has element {element}")


def assemble(parts: Sequence[tuple[Box, Callable[[], np.ndarray[Any, Any]]]], request: Box,
             dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The requested range, put together from the parts that have some of it.

    Args:
        parts: The box of each, and how to get its elements in the shape of the box.
        request: What to put together; `check_cover` has passed it.
        dtype: That of the elements.

    Returns:
        An array of the request's shape.
    """
    import numpy as np  # deferred: listing a checkpoint needs no numpy

    out = np.empty([length for _, length in request], dtype)
    for common, box, read in touching(parts, request):
        out[_within(common, request)] = read()[_within(common, box)]
    return out


def _within(box: Box, outer: Box) -> tuple[slice, ...]:
    """The box as it is indexed in an array that begins where ``outer`` does."""
    return tuple(slice(start - begin, start - begin + length)
                 for (start, length), (begin, _) in zip(box, outer, strict=True))


def contiguous_boxes(shape: Sequence[int], most: int) -> Iterator[Box]:
    """Boxes of a bounded number of elements that are the tensor in C order, one after another.

    Example:
        >>> list(contiguous_boxes((2, 3), 2))
        [((0, 1), (0, 2)), ((0, 1), (2, 1)), ((1, 1), (0, 2)), ((1, 1), (2, 1))]
    """
    if not math.prod(shape):
        return
    axis, inner = len(shape), 1  # the axes from here on fit whole
    while axis and inner * shape[axis - 1] <= most:
        axis -= 1
        inner *= shape[axis]
    if not axis:
        yield whole(shape)
        return
    axis -= 1  # of this one, as much as fits
    step = max(most // inner, 1)
    for outer in product(*map(range, shape[:axis])):
        for start in range(0, shape[axis], step):
            yield (*((at, 1) for at in outer), (start, min(step, shape[axis] - start)),
                   *whole(shape[axis + 1:]))


def stream(parts: Sequence[tuple[Box, Callable[[], np.ndarray[Any, Any]]]], request: Box,
           dtype: np.dtype[Any]) -> Generator[np.ndarray[Any, Any], None, None]:
    """The bytes of the requested range, put together a few MiB at a time.

    A part is read when the first of its elements is due and let go after the last.

    Args:
        parts: As for `assemble`.
        request: What to put together; `check_cover` has passed it.
        dtype: That of the elements.

    Yields:
        Arrays of uint8 in C order.
    """
    import numpy as np  # deferred, as above

    held: dict[int, np.ndarray[Any, Any]] = {}

    def reader(n: int) -> Callable[[], np.ndarray[Any, Any]]:
        def read() -> np.ndarray[Any, Any]:
            if n not in held:
                held[n] = parts[n][1]()
            return held[n]
        return read

    numbered = [(box, n) for n, (box, _) in enumerate(parts)]
    for within in contiguous_boxes([length for _, length in request],
                                   max(CHUNK // dtype.itemsize, 1)):
        step = tuple((begin + start, length)
                     for (begin, _), (start, length) in zip(request, within, strict=True))
        needed = [(box, n) for _, box, n in touching(numbered, step)]
        for n in set(held).difference(n for _, n in needed):
            del held[n]
        block = assemble([(box, reader(n)) for box, n in needed], step, dtype)
        block.flags.writeable = False
        yield block.reshape(-1).view(np.uint8)
