"""The index of a checkpoint: which tensors it has, and where their bytes are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

from tfckpt.errors import (
    CheckpointError,
    FormatError,
    TensorNotFoundError,
    TruncatedError,
    nearest,
)
from tfckpt.format.bundle import BundleEntry, EntryParser
from tfckpt.format.dtypes import DType
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, VARIABLE_VALUE
from tfckpt.format.objectkeys import object_key
from tfckpt.format.slices import Extent, parse_slice, slice_key

__all__ = ["Box", "Entry", "Index", "Style"]

Style = Literal["name-based", "object-based"]
Box = tuple[tuple[int, int], ...]
"""Start and length along each dimension."""


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
    """Immutable mapping from key to `Entry`, sorted by the keys' bytes.

    Entries are parsed when they are asked for, so one damaged entry spoils no other.

    Args:
        rows: ``(key, encoded entry)`` of each tensor, ascending, without the header.
        locate: Completes an error about the entry of this key with file and offset.
    """

    def __init__(self, rows: list[tuple[bytes, bytes]],
                 locate: Callable[[CheckpointError, bytes], None] | None = None) -> None:
        hidden = _slice_keys(rows)
        self._slices = {key: value for key, value in rows if key in hidden}
        self._rows = {key.decode("utf-8", "surrogateescape"): value for key, value in rows
                      if key not in self._slices}
        self._entries: dict[str, Entry] = {}
        self._parser = EntryParser()
        self._locate = locate

    def __getitem__(self, key: str) -> Entry:
        entry = self._entries.get(key)
        if entry is not None:
            return entry
        try:
            entry = Entry(key, *self._parser.parse(self._rows[key]))
        except CheckpointError as error:
            error.tensor, error.offset = key, None  # its offset counted inside the entry
            if self._locate is not None:
                self._locate(error, key.encode("utf-8", "surrogateescape"))
            raise
        self._entries[key] = entry
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __repr__(self) -> str:
        return f"<Index of {len(self)} tensors, {self.style}>"

    def parts(self, entry: Entry) -> list[tuple[Box, Entry]]:
        """The stored parts of a tensor: where each belongs, and its entry under the tensor's key.

        Returns:
            Start and length along each dimension, as numbers, with the entry of each slice.

        Raises:
            TruncatedError: A part has no row, or the parts don't add up to the whole.
            FormatError: A part isn't in the tensor, or of another dtype or shape than it says.
        """
        parts = []
        for extents in map(parse_slice, entry.slices):
            box = _box(entry, extents)
            keys = _forms(entry.key.encode("utf-8", "surrogateescape"), entry.shape, extents)
            row = next((self._slices[key] for key in keys if key in self._slices), None)
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
        stored = sum(part.n_elements for _, part in parts)
        if stored != entry.n_elements:
            raise TruncatedError("the slices of the tensor don't add up to its shape",
                                 expected=f"{entry.n_elements} elements", got=stored,
                                 tensor=entry.key)
        return parts

    def encoded(self, key: str) -> bytes:
        """The entry as it is stored."""
        return self._rows[key]

    @property
    def style(self) -> Style:
        """How its keys were made: from variable names (TF1) or object paths (TF2)."""
        return "object-based" if OBJECT_GRAPH_KEY in self._rows else "name-based"

    def resolve(self, name: str) -> Entry:
        """The entry of a key, or of a name that people use for it.

        Accepted beside the key: ``name:0``, and an object's path without
        ``/.ATTRIBUTES/VARIABLE_VALUE``.

        Raises:
            TensorNotFoundError: There is none; the error offers the nearest names.
        """
        for key in (name, name.removesuffix(":0"), object_key(name, VARIABLE_VALUE)):
            if key in self._rows:
                return self[key]
        return self.require(name)

    def require(self, name: str) -> Entry:
        """The entry of exactly this key.

        Raises:
            TensorNotFoundError: There is none; the error offers the nearest names.
        """
        if name in self._rows:
            return self[name]
        suffix = object_key("", VARIABLE_VALUE)
        near = nearest(name, (key.removesuffix(suffix) for key in self._rows))
        hint = f"Nearest: {', '.join(near)}." if near else f"It has {len(self)} tensors."
        raise TensorNotFoundError("the checkpoint has no such tensor", tensor=name, hint=hint)


def _box(entry: Entry, extents: tuple[Extent, ...]) -> Box:
    """A slice as numbers, made sure to be in the tensor."""
    if len(extents) != len(entry.shape):
        raise FormatError("a slice of the tensor has another rank", expected=len(entry.shape),
                          got=len(extents), tensor=entry.key)
    box = tuple((start, size if length is None else length)
                for (start, length), size in zip(extents, entry.shape, strict=True))
    if any(start < 0 or length < 0 or start + length > size
           for (start, length), size in zip(box, entry.shape, strict=True)):
        raise FormatError("a slice of the tensor isn't in it", tensor=entry.key,
                          expected=f"a range of {list(entry.shape)}",
                          got=f"start and length {list(extents)}")
    return box


def _forms(name: bytes, shape: tuple[int, ...], extents: tuple[Extent, ...]) -> list[bytes]:
    """The keys that a slice may be stored under, the one that its entry names first.

    A range that is all of a dimension is the same with its bounds and without.
    """
    bounded = tuple((start, size if length is None else length)
                    for (start, length), size in zip(extents, shape, strict=False))
    unbounded = tuple((0, None) if extent == (0, size) else extent
                      for extent, size in zip(bounded, shape, strict=False))
    return [slice_key(name, form) for form in dict.fromkeys((extents, unbounded, bounded))]


def _slice_keys(rows: list[tuple[bytes, bytes]]) -> set[bytes]:
    """Keys of the rows that are no tensors but the slices that some were saved in.

    A slice's key begins with a zero byte, and so sorts first, but a tensor's name may begin
    with one too; only the tensors' own rows say which keys are slices.
    """
    keys: set[bytes] = set()
    if not rows or not rows[0][0].startswith(b"\0"):
        return keys
    parser = EntryParser()
    for key, value in rows:
        try:
            entry = parser.parse(value)
            for part in entry.slices:
                keys.update(_forms(key, entry.shape, parse_slice(part)))
        except CheckpointError:  # told when this entry is asked for
            continue
    return keys
