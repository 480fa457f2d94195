"""The index of a checkpoint: which tensors it has, and where their bytes are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

from tfckpt.errors import CheckpointError, TensorNotFoundError, TruncatedError, nearest
from tfckpt.format.bundle import BundleEntry, EntryParser
from tfckpt.format.dtypes import DType
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, VARIABLE_VALUE
from tfckpt.format.objectkeys import object_key

__all__ = ["Entry", "Index", "Style"]

Style = Literal["name-based", "object-based"]


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

    def parts(self, entry: Entry) -> list[Entry]:
        """The stored parts of a tensor: one entry for each slice, under the tensor's key.

        Raises:
            TruncatedError: A part has no row, or the parts don't add up to the whole.
        """
        from tfckpt.format.slices import parse_slice, slice_key  # deferred: few have slices

        parts = []
        for extents in map(parse_slice, entry.slices):
            row = self._slices.get(slice_key(entry.key.encode("utf-8", "surrogateescape"), extents))
            if row is None:
                raise TruncatedError("a slice of the tensor is missing from the index",
                                     expected=f"start and length {list(extents)}",
                                     tensor=entry.key)
            parts.append(Entry(entry.key, *self._parser.parse(row)))
        stored = sum(part.n_elements for part in parts)
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


def _slice_keys(rows: list[tuple[bytes, bytes]]) -> set[bytes]:
    """Keys of the rows that are no tensors but the slices that some were saved in.

    A slice's key begins with a zero byte, and so sorts first, but a tensor's name may begin
    with one too; only the tensors' own rows say which keys are slices.
    """
    keys: set[bytes] = set()
    if not rows or not rows[0][0].startswith(b"\0"):
        return keys
    from tfckpt.format.slices import parse_slice, slice_key  # deferred: few have slices

    parser = EntryParser()
    for key, value in rows:
        try:
            keys.update(slice_key(key, parse_slice(part)) for part in parser.parse(value).slices)
        except CheckpointError:  # told when this entry is asked for
            continue
    return keys
