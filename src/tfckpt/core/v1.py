"""An opened V1 checkpoint: one table file, or several shards, with the values inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.core.index import Entry, GivenIndex
from tfckpt.core.origin import Origin, Part, Sliced
from tfckpt.core.sliced import whole
from tfckpt.core.source import Source
from tfckpt.errors import FormatError, TruncatedError, located
from tfckpt.format.savedslices import META_KEY, SavedTensor, parse_meta, parse_saved_slice
from tfckpt.format.slices import Box, Extent, check_slice, encode_slice, slice_key
from tfckpt.format.table import Table
from tfckpt.storage.local import DataFile

if TYPE_CHECKING:
    import numpy as np

__all__ = ["V1Source"]


class _StoredSlice(NamedTuple):
    """Where the values of one slice are."""

    file: int
    key: bytes
    extents: tuple[Extent, ...]


class V1Source(Source):
    """An opened V1 checkpoint.

    The lists of tensors are read at once, values when they are asked for, one slice at a time.
    In the entries of its index, shard numbers count the files, offsets the slices of all files;
    there is no checksum of a tensor, since each block of the file has one.

    Args:
        prefix: Path of the file, or of the shards without their numbers.
        files: The table file, or all shards.
        notes: See `Source`.

    Raises:
        CheckpointError: A file is damaged, no V1 checkpoint, or two shards contradict one
            another.
    """

    format = "V1"

    def __init__(self, prefix: str, files: Sequence[str], *, notes: tuple[str, ...] = ()) -> None:
        self.prefix = prefix
        self._files = tuple(files)
        self.notes = notes
        self._tables = [_open_table(file) for file in self._files]
        self._stored: list[_StoredSlice] = []
        self._index = GivenIndex(self._read_entries())

    def _read_entries(self) -> list[Entry]:
        tensors: dict[str, SavedTensor] = {}
        stored: dict[str, list[_StoredSlice]] = {}
        for n, (file, table) in enumerate(zip(self._files, self._tables, strict=True)):
            with located(file=file):
                first = table.seek(META_KEY)
                if first is None or first[0] != META_KEY:
                    raise FormatError("the table has no row that lists its tensors; this is no V1"
                                      " checkpoint", offset=0)
                with located(base=None):
                    listed = parse_meta(first[1])
            for tensor in listed:
                _check_alike(tensors.setdefault(tensor.name, tensor), tensor, file)
                name = tensor.name.encode("utf-8", "surrogateescape")
                stored.setdefault(tensor.name, []).extend(
                    _StoredSlice(n, slice_key(name, extents), extents)
                    for extents in tensor.slices)
        return [self._entry(tensor, stored[tensor.name]) for tensor in tensors.values()]

    def _entry(self, tensor: SavedTensor, stored: list[_StoredSlice]) -> Entry:
        if not stored:  # listed without a slice: its values may still be there, in one
            extents = tuple((0, None) for _ in tensor.shape)
            name = tensor.name.encode("utf-8", "surrogateescape")
            stored = [_StoredSlice(0, slice_key(name, extents), extents)]
        first = len(self._stored)
        self._stored += stored
        size = (tensor.dtype.size or 0) * math.prod(tensor.shape)
        in_one = len(stored) == 1 and check_slice(stored[0].extents, tensor.shape) == \
            whole(tensor.shape)
        slices = () if in_one else tuple(encode_slice(part.extents) for part in stored)
        return Entry(tensor.name, tensor.dtype, tensor.shape, stored[0].file, first, size, 0,
                     slices)

    @property
    def index(self) -> GivenIndex:
        return self._index

    def files(self) -> tuple[str, ...]:
        return self._files

    def shard_file(self, shard_id: int) -> str:
        return self._files[shard_id]

    def origin(self, entry: Entry) -> Origin:
        if not entry.slices:
            return self.streamed(entry)
        return Sliced(tuple(
            Part(self._stored[part.offset].extents, self.streamed(part))
            for _, part in self.parts(entry)))

    def parts(self, entry: Entry) -> list[tuple[Box, Entry]]:
        if not entry.slices:
            return [(whole(entry.shape), entry)]
        parts = []
        for n in range(entry.offset, entry.offset + len(entry.slices)):
            stored = self._stored[n]
            box = check_slice(stored.extents, entry.shape)
            shape = tuple(length for _, length in box)
            size = (entry.dtype.size or 0) * math.prod(shape)
            parts.append((box, Entry(entry.key, entry.dtype, shape, stored.file, n, size, 0)))
        return parts

    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        from tfckpt.format.tensorvalues import parse_values  # deferred: a listing has no values

        stored = self._stored[part.offset]
        with located(file=self._files[stored.file], tensor=part.key):
            row = self._tables[stored.file].get(stored.key)
            if row is None:
                raise TruncatedError("values of the tensor are missing from the file",
                                     expected=f"start and length {list(stored.extents)}")
            with located(base=None):
                saved = parse_saved_slice(row)
                if saved.name != part.key:
                    raise FormatError("the values are those of another tensor", got=saved.name)
                return parse_values(saved.values, part.dtype, part.n_elements).reshape(part.shape)

    def tables(self) -> list[tuple[str, Table]]:
        """Each file and its table, to be verified."""
        return list(zip(self._files, self._tables, strict=True))

    def __enter__(self) -> V1Source:
        return self


def _open_table(file: str) -> Table:
    opened = DataFile(file)
    with located(file=file):
        return Table(opened.read, opened.size)  # which keeps the file open


def _check_alike(known: SavedTensor, tensor: SavedTensor, file: str) -> None:
    if (known.dtype, known.shape) != (tensor.dtype, tensor.shape):
        raise FormatError("shards of the checkpoint contradict one another",
                          expected=f"{known.dtype} {list(known.shape)}",
                          got=f"{tensor.dtype} {list(tensor.shape)}", file=file, tensor=tensor.name)
