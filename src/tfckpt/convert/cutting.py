"""Cutting tensors to data files of a largest size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tfckpt.core.index import Entry
from tfckpt.core.sliced import Box, whole
from tfckpt.format.dtypes import DType
from tfckpt.format.slices import Extent

__all__ = ["Cutter", "Piece", "Tensor", "with_extent"]


class Piece(NamedTuple):
    """What is stored of a tensor in one place.

    Attributes:
        entry: What it is read from: a whole tensor, a stored part, or the tensor it is cut
            from.
        request: The range of ``entry`` that it is; None is all of it.
        extents: Where it belongs, as a slice is named; None for a tensor in one piece.
        shape: Its own.
        moved: Whether its bytes go to a new data file.
        shard: Which one.
    """

    entry: Entry
    request: Box | None
    extents: tuple[Extent, ...] | None
    shape: tuple[int, ...]
    moved: bool = False
    shard: int = 0

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes, as far as the index tells."""
        size = self.entry.dtype.size
        return self.entry.n_bytes if size is None else size * math.prod(self.shape)


class Tensor(NamedTuple):
    """A tensor of the result, and the pieces that it is stored in."""

    key: str
    dtype: DType
    shape: tuple[int, ...]
    pieces: list[Piece]


class Cutter:
    """Fills one data file after another and cuts what doesn't fit.

    Args:
        limit: Bytes that a data file may have.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.room = limit
        self.shard = 0
        self.n_large = 0

    def cut_all(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """Every tensor in the pieces it is cut to; what fits nowhere goes to the last files."""
        done = [tensor._replace(pieces=list(self._cut_tensor(tensor))) for tensor in tensors]
        return [tensor._replace(pieces=[
            piece if piece.shard >= 0 else piece._replace(shard=self.shard - piece.shard)
            for piece in tensor.pieces]) for tensor in done]

    def _cut_tensor(self, tensor: Tensor) -> Iterator[Piece]:
        for piece in tensor.pieces:
            cuts = list(self._cut(_box(piece), tensor.dtype.size, piece))
            if len(cuts) == 1 and piece.extents is None:
                yield cuts[0]._replace(extents=None)
            else:
                yield from cuts

    def _cut(self, box: Box, itemsize: int | None, piece: Piece) -> Iterator[Piece]:
        while True:
            n_bytes = piece.n_bytes if itemsize is None else itemsize * count(box)
            if n_bytes <= self.room:
                break
            if (n_bytes if itemsize is None else itemsize) > self.limit:
                self.n_large += 1  # not even alone
                yield _cut_out(piece, box, -self.n_large)
                return
            axis, length = self._most_that_fits(box, itemsize)
            if length:
                first = with_extent(box, axis, (box[axis][0], length))
                yield _cut_out(piece, first, self.shard)
                self.room -= (itemsize or 0) * count(first)
                box = with_extent(box, axis, (box[axis][0] + length, box[axis][1] - length))
                if not self.room:
                    self._next()
            elif self.room < self.limit:
                self._next()
            else:  # not even one row, or column, fits
                axis = next(axis for axis, (_, length) in enumerate(box) if length > 1)
                start, length = box[axis]
                yield from self._cut(with_extent(box, axis, (start, 1)), itemsize, piece)
                box = with_extent(box, axis, (start + 1, length - 1))
        yield _cut_out(piece, box, self.shard)
        self.room -= n_bytes

    def _most_that_fits(self, box: Box, itemsize: int | None) -> tuple[int, int]:
        """The axis along which the box falls into the fewest pieces that fit, and how long they
        are there; 0 if none fits.
        """
        best: tuple[int, int] | None = None
        for axis, (_, length) in enumerate(box):
            fit = self.room // ((itemsize or 0) * count(box) // length) if itemsize else 0
            if fit:
                n_pieces = -(-length // fit)
                if best is None or n_pieces < best[0]:
                    best = n_pieces, axis
        if best is None:
            return 0, 0
        n_pieces, axis = best
        return axis, -(-box[axis][1] // n_pieces)

    def _next(self) -> None:
        self.shard += 1
        self.room = self.limit


def _box(piece: Piece) -> Box:
    """Where a piece is in its tensor."""
    starts = [start for start, _ in piece.extents] if piece.extents else [0] * len(piece.shape)
    return tuple(zip(starts, piece.shape, strict=True))


def _cut_out(piece: Piece, box: Box, shard: int) -> Piece:
    """The range of a piece that is this box of the tensor."""
    # What the piece is read from begins where the tensor does, unless it is a stored part.
    begin = [0] * len(box) if piece.request else [start for start, _ in _box(piece)]
    request = tuple((start - first, length) for (start, length), first
                    in zip(box, begin, strict=True))
    return piece._replace(request=None if request == whole(piece.entry.shape) else request,
                          extents=box, shape=tuple(length for _, length in box), moved=True,
                          shard=shard)


def count(box: Box) -> int:
    return math.prod(length for _, length in box)


def with_extent(box: Box, axis: int, extent: tuple[int, int]) -> Box:
    """The box with another start and length along one axis."""
    return (*box[:axis], extent, *box[axis + 1:])
