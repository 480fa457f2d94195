"""The index of a checkpoint: which tensors it has, and where their bytes are."""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from tfckpt.core.collection import no_collection
from tfckpt.errors import (
    CheckpointError,
    FormatError,
    TensorNotFoundError,
    TruncatedError,
    located,
    nearest,
)
from tfckpt.format.bundle import MOST_SHARDS, BundleEntry, EntryParser
from tfckpt.format.dtypes import DType
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, VARIABLE_VALUE
from tfckpt.format.objectkeys import object_key
from tfckpt.format.slices import Box, Extent, check_slice, parse_slice, slice_key
from tfckpt.format.table import Table

if TYPE_CHECKING:
    from tfckpt.format.runs import Spans

__all__ = ["Entry", "GivenIndex", "Index", "Style", "TableIndex"]

HEADER_NAME = ""  # of the row that is no tensor's
_MANY = 64

Style = Literal["name-based", "object-based"]


Head = tuple[DType, tuple[int, ...]]
"""Dtype and shape."""


class Entry(NamedTuple):
    """One stored tensor.

    Attributes:
        key: Its name in the checkpoint. Bytes that aren't UTF-8 are kept as lone surrogates.
        dtype: Its dtype.
        shape: Its dimensions; empty for a scalar.
        shard_id: Number of the data file that has its bytes.
        offset: Its first byte in that file.
        n_bytes: How many bytes it takes there.
        masked_crc32c: Checksum of these bytes, masked as stored.
        slices: Encoded slice specs, if it was saved in parts; then the four above mean nothing.
    """

    key: str
    dtype: DType
    shape: tuple[int, ...]
    shard_id: int
    offset: int
    n_bytes: int
    masked_crc32c: int
    slices: tuple[bytes, ...] = ()

    @property
    def n_elements(self) -> int:
        """Product of the shape."""
        return math.prod(self.shape)

    def as_bundle_entry(self) -> BundleEntry:
        """The entry as an index file stores it, without the key."""
        return BundleEntry(*self[1:])


class Index(Mapping[str, Entry]):
    """Immutable mapping from key to `Entry`, sorted by the keys' bytes."""

    @property
    def style(self) -> Style:
        """How its keys were made: from variable names (TF1) or object paths (TF2)."""
        return "object-based" if OBJECT_GRAPH_KEY in self else "name-based"

    def __repr__(self) -> str:
        return f"<Index of {len(self)} tensors, {self.style}>"

    def heads(self) -> Iterable[tuple[str, Head]]:
        """Key, and dtype with shape, of every tensor."""
        return [(entry.key, (entry.dtype, entry.shape)) for entry in self.values()]

    def resolve(self, name: str) -> Entry:
        """The entry of a key, or of a name that people use for it.

        Accepted beside the key: ``name:0``, and an object's path without
        ``/.ATTRIBUTES/VARIABLE_VALUE``.

        Raises:
            TensorNotFoundError: There is none; the error offers the nearest names.
        """
        return self.find(name) or self.require(name)

    def find(self, name: str) -> Entry | None:
        """The entry that `resolve` gives, or None if there is none."""
        for key in (name, name.removesuffix(":0"), object_key(name, VARIABLE_VALUE)):
            entry = self.get(key)
            if entry is not None:
                return entry
        return None

    def require(self, name: str) -> Entry:
        """The entry of exactly this key.

        Raises:
            TensorNotFoundError: There is none; the error offers the nearest names.
        """
        entry = self.get(name)
        if entry is not None:
            return entry
        suffix = object_key("", VARIABLE_VALUE)
        near = nearest(name, (key.removesuffix(suffix) for key in self))
        hint = f"Nearest: {', '.join(near)}." if near else f"It has {len(self)} tensors."
        raise TensorNotFoundError("the checkpoint has no such tensor", tensor=name, hint=hint)


class GivenIndex(Index):
    """An index of entries that are at hand.

    Args:
        entries: They, in any order.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = {entry.key: entry for entry in sorted(
            entries, key=lambda entry: entry.key.encode("utf-8", "surrogateescape"))}

    def __getitem__(self, key: str) -> Entry:
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class TableIndex(Index):
    """The index of a V2 bundle, read as far as it is asked for.

    One key is looked up without reading more than its block; a listing reads all. Entries are
    parsed when they are asked for, so one damaged entry spoils no other.

    Args:
        table: The index file's.
        file: Its path, for errors.
    """

    def __init__(self, table: Table, file: str) -> None:
        self._table = table
        self._file = file
        self._n_lookups = 0
        self._entries: dict[str, Entry] = {}
        self._parser = EntryParser()

    @cached_property
    def _rows(self) -> _Rows:
        with located(file=self._file), no_collection():
            keys, values = self._table.columns()
        joined = b"\0".join(keys).decode("utf-8", "surrogateescape").split("\0")
        names = (joined if len(joined) == len(keys) else
                 [key.decode("utf-8", "surrogateescape") for key in keys])
        del names[0]  # the header's
        found = _slice_keys(keys, values)
        if not found:
            return _Rows(names, range(1, len(keys)), values, {})
        numbers = [n for n, key in enumerate(keys) if n and key not in found]
        return _Rows([names[n - 1] for n in numbers], numbers, values,
                     {key: n for n, key in enumerate(keys) if key in found})

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The row of each tensor."""
        return dict(zip(self._rows.names, self._rows.numbers, strict=True))

    def _stored(self, key: str) -> bytes | None:
        """A tensor's encoded entry, or None if there is none."""
        if not self._is_loaded:
            self._n_lookups += 1
            # Who asks for many had better have all; and which keys are slices, all rows tell.
            if self._n_lookups <= _MANY and not key.startswith("\0") and key != HEADER_NAME:
                with located(file=self._file):
                    return self._table.get(key.encode("utf-8", "surrogateescape"))
        row = self._numbers.get(key)
        return None if row is None else self._rows.values[row]

    @property
    def _is_loaded(self) -> bool:
        return "_rows" in self.__dict__

    def __getitem__(self, key: str) -> Entry:
        entry = self._entries.get(key)
        if entry is not None:
            return entry
        stored = self._stored(key)
        if stored is None:
            raise KeyError(key)
        entry = self._entries[key] = self._parse(key, stored)
        return entry

    def _parse(self, key: str, stored: bytes) -> Entry:
        try:
            return Entry(key, *self._parser.parse(stored))
        except CheckpointError as error:
            error.tensor, error.file = key, self._file
            # Its own offset counted inside the entry.
            error.offset = self._table.offset_of(key.encode("utf-8", "surrogateescape"))
            raise

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows.names)

    def __len__(self) -> int:
        return len(self._rows.names)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._stored(key) is not None

    def heads(self) -> Iterable[tuple[str, Head]]:
        names, numbers, values, _ = self._rows
        if isinstance(values, list):
            return super().heads()
        from tfckpt.format.runs import parse_heads  # deferred: most indexes are small

        encoded = parse_heads(values)
        known = {head: self._parser.parse_head(head) for head in set(encoded)}
        every = list(map(known.__getitem__, encoded))
        heads = every[1:] if isinstance(numbers, range) else [every[n] for n in numbers]
        if None not in heads:
            return zip(names, heads, strict=True)  # type: ignore[arg-type]  # as was just seen
        return [(name, head or self[name][1:3]) for name, head in zip(names, heads, strict=True)]

    def values(self) -> ValuesView[Entry]:
        self._parse_all()
        return super().values()

    def items(self) -> ItemsView[str, Entry]:
        self._parse_all()
        return super().items()

    def _parse_all(self) -> None:
        """Parse at once what can be; the rest, and what is damaged, when it is asked for."""
        values = self._rows.values
        if isinstance(values, list) or len(self._entries) > len(values) // 2:
            return
        from tfckpt.format.runs import parse_heads, parse_numbers  # deferred, as above

        with no_collection():
            heads = map(self._parser.parse_head, parse_heads(values))
            rows = list(zip(heads, *parse_numbers(values), strict=True))
            for key, row in zip(self._rows.names, self._rows.numbers, strict=True):
                head, shard_id, offset, size, crc = rows[row]
                if head is not None and 0 <= shard_id <= MOST_SHARDS:
                    self._entries[key] = Entry(key, head[0], head[1], shard_id, offset, size, crc)

    def parts(self, entry: Entry) -> list[tuple[Box, Entry]]:
        """The stored parts of a tensor: where each belongs, and its entry under the tensor's key.

        Returns:
            Start and length along each dimension, as numbers, with the entry of each slice.

        Raises:
            TruncatedError: A part has no row.
            FormatError: A part isn't in the tensor, or of another dtype or shape than it says.
        """
        parts = []
        for extents in map(parse_slice, entry.slices):
            with located(tensor=entry.key):
                box = check_slice(extents, entry.shape)
            keys = _forms(entry.key.encode("utf-8", "surrogateescape"), entry.shape, extents)
            row = next((row for key in keys if (row := self._stored_part(key)) is not None), None)
            if row is None:
                raise TruncatedError("a slice of the tensor is missing from the index",
                                     expected=f"start and length {list(extents)}",
                                     tensor=entry.key)
            part = Entry(entry.key, *self._parser.parse(row))
            shape = tuple(length for _, length in box)
            if (part.dtype, part.shape) != (entry.dtype, shape):
                raise FormatError("a slice of the tensor has another dtype or shape than it should",
                                  expected=f"{entry.dtype} {list(shape)}",
                                  got=f"{part.dtype} {list(part.shape)}", tensor=entry.key)
            parts.append((box, part))
        return parts

    def _stored_part(self, key: bytes) -> bytes | None:
        if not self._is_loaded:
            with located(file=self._file):
                return self._table.get(key)
        row = self._rows.slices.get(key)
        return None if row is None else self._rows.values[row]

    def encoded(self, key: str) -> bytes:
        """The entry as it is stored."""
        stored = self._stored(key)
        if stored is None:
            raise KeyError(key)
        return stored


class _Rows(NamedTuple):
    """All rows of a table: each tensor's name and row, the values, and each slice's row."""

    names: list[str]
    numbers: Sequence[int]
    values: list[bytes] | Spans
    slices: dict[bytes, int]


def _forms(name: bytes, shape: tuple[int, ...], extents: tuple[Extent, ...]) -> list[bytes]:
    """The keys that a slice may be stored under, the one that its entry names first.

    A range that is all of a dimension is the same with its bounds and without.
    """
    bounded = tuple((start, size if length is None else length)
                    for (start, length), size in zip(extents, shape, strict=False))
    unbounded = tuple((0, None) if extent == (0, size) else extent
                      for extent, size in zip(bounded, shape, strict=False))
    return [slice_key(name, form) for form in dict.fromkeys((extents, unbounded, bounded))]


def _slice_keys(keys: list[bytes], values: Sequence[bytes]) -> set[bytes]:
    """Keys of the rows that are no tensors but the slices that some were saved in.

    A slice's key begins with a zero byte, and so comes first behind the header, but a tensor's
    name may begin with one too; only the tensors' own rows say which keys are slices.
    """
    if len(keys) < 2 or not keys[1].startswith(b"\0"):
        return set()
    found: set[bytes] = set()
    parser = EntryParser()
    for key, value in zip(keys[1:], values[1:], strict=True):
        try:
            entry = parser.parse(value)
            for part in entry.slices:
                found.update(_forms(key, entry.shape, parse_slice(part)))
        except CheckpointError:  # told when this entry is asked for
            continue
    return found.intersection(keys)
