"""Two tensors read in step: are their bytes the same, and if not, by how much do they differ."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.core.bundle import BundleSource, check_crc32c
from tfckpt.core.differences import Delta, DiffKind, TensorDiff
from tfckpt.core.elements import Tally, Tolerance, has_numbers
from tfckpt.core.index import Entry
from tfckpt.core.pairing import Pairing
from tfckpt.core.plan import Progress
from tfckpt.core.source import Source, swap_words
from tfckpt.errors import CheckpointError
from tfckpt.format.crc32c import crc32c, mask
from tfckpt.format.dtypes import STRING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BITS", "Comparison", "Rules"]

_Chunk = Any  # bytes, or an array of uint8
_SMALL = 1 << 16  # bytes up to which tensors are read many at once
_AHEAD = 1 << 18


class Rules(NamedTuple):
    """What counts as different; see `tfckpt.convert.comparing.diff`."""

    tolerance: Tolerance = Tolerance()
    ignore_dtype: bool = False
    quick: bool = False


BITS = Rules()
"""Only equal bits are the same."""


class Comparison:
    """Compares pairs of tensors one after another.

    Args:
        a: The one checkpoint.
        b: The other.
        rules: What counts as different.
        progress: Told about bytes of both.
    """

    def __init__(self, a: Source, b: Source, rules: Rules, progress: Progress) -> None:
        self._a = a
        self._b = b
        self._rules = rules
        self._progress = progress
        self._done = self._total = 0
        self._same_order = a.byte_order == b.byte_order
        # Only bundles have a checksum for each tensor, and it depends on the byte order.
        self._bundles = ((a, b) if isinstance(a, BundleSource) and isinstance(b, BundleSource)
                         and self._same_order else None)
        self._windows = [_Window(source) for source in self._bundles or ()]
        # Of big tensors: an index may give any number of them one region of a file.
        self._known: dict[tuple[Any, ...], tuple[DiffKind, Delta | None]] = {}

    def run(self, keys_a: Iterable[str], pairing: Pairing) -> Iterator[TensorDiff]:
        """How each tensor stands: those of A in this order, then those that only B has."""
        partners = dict(pairing.pairs)
        only_a = set(pairing.only_a)
        for index in (self._a.index, self._b.index):
            index.values()  # parses all entries at once, if the index can
        todo = [(key, partners.get(key)) for key in keys_a if key in partners or key in only_a]
        self._total = sum(self._size(self._a, key) + self._size(self._b, partner)
                          for key, partner in todo if partner is not None)
        for key, partner in todo:
            yield self._pair((key, partner))
        for key in pairing.only_b:
            yield self._pair((None, key))

    def _size(self, source: Source, key: str) -> int:
        try:
            return source.index[key].n_bytes
        except CheckpointError:
            return 0

    def _pair(self, keys: tuple[str | None, str | None]) -> TensorDiff:
        a = b = None
        try:
            a = None if keys[0] is None else self._a.index[keys[0]]
            b = None if keys[1] is None else self._b.index[keys[1]]
            if a is None or b is None:
                return TensorDiff("only-b" if a is None else "only-a", keys, a, b)
            before = self._done
            kind, delta = self._compare_once(a, b)
            self._done = before + a.n_bytes + b.n_bytes
            self._progress(self._done, self._total)
        except CheckpointError as error:
            return TensorDiff("unreadable", keys, a, b, error=error)
        return TensorDiff(kind, keys, a, b, delta)

    def _compare_once(self, a: Entry, b: Entry) -> tuple[DiffKind, Delta | None]:
        """As `_compare`; what other keys have said of the same two regions is believed."""
        if a.n_bytes <= _SMALL or a.slices or b.slices:
            return self._compare(a, b)
        regions = *a[1:], *b[1:]
        if regions not in self._known:
            self._known[regions] = self._compare(a, b)
        return self._known[regions]

    def _compare(self, a: Entry, b: Entry) -> tuple[DiffKind, Delta | None]:
        if a.shape != b.shape:
            return "shape", None
        one_dtype = a.dtype == b.dtype
        # Bytes and checksum are the sixth and seventh of an entry.
        if self._rules.quick and one_dtype and self._bundles and a[5:7] == b[5:7] \
                and not (a.slices or b.slices):
            return "same", None
        numbers = has_numbers(a.dtype) and has_numbers(b.dtype)
        if one_dtype and (small := self._read_small(a, b)):
            differ, delta = small[0] != small[1], None
            if differ and numbers:
                differ, delta = self._tally(a, b, [(0, *small)])
        elif numbers or (one_dtype and a.dtype.size is not None):
            differ, delta = self._read_numbers(a, b)
        elif one_dtype:
            differ, delta = self._read_strings(a, b)
        else:
            return "dtype", None
        if not one_dtype and not self._rules.ignore_dtype:
            return "dtype", delta
        if not differ:
            return "same", None
        return "values" if delta is None or delta.n_differ else "close", delta

    def _read_small(self, a: Entry, b: Entry) -> tuple[bytes, bytes] | None:
        """The bytes of two small tensors that are whole; None for all others."""
        if self._bundles is None or a.slices or b.slices or a.n_bytes > _SMALL \
                or a.dtype.size is None or not (
                    a.n_bytes == b.n_bytes == a.dtype.size * a.n_elements):
            return None
        try:
            first, second = self._windows[0].read(a), self._windows[1].read(b)
        except CheckpointError:
            return None  # told with all its circumstances the long way
        crc = crc32c(first)
        whole = mask(crc) == a.masked_crc32c and b.masked_crc32c == (
            a.masked_crc32c if first == second else mask(crc32c(second)))
        return (first, second) if whole else None

    def _read_strings(self, a: Entry, b: Entry) -> tuple[bool, Delta | None]:
        """Of elements without a fixed size: whether any differ, and how many."""
        if a.dtype is not STRING:
            return self._a.read_bytes(a.key) != self._b.read_bytes(b.key), None
        first, second = (source.read_array(entry).reshape(-1).tolist()
                         for source, entry in ((self._a, a), (self._b, b)))
        n_differ = sum(one != other for one, other in zip(first, second, strict=True))
        return bool(n_differ), Delta(a.n_elements, n_differ)

    def _read_numbers(self, a: Entry, b: Entry) -> tuple[bool, Delta | None]:
        """Of elements of fixed size: whether any differ, and by how much."""
        left, right = _Reader(self._a, a), _Reader(self._b, b)
        found = self._tally(a, b, self._unequal(left, right))
        left.check()
        right.check()
        return found

    def _unequal(self, left: _Reader, right: _Reader) -> Iterator[tuple[int, _Chunk, _Chunk]]:
        """Chunks of equally many elements that aren't equal bytes, and the number of the first."""
        comparable = self._same_order and left.entry.dtype == right.entry.dtype
        at = 0
        for n, first, second in _in_step(left, right):
            self._progress(self._done + left.n_read + right.n_read, self._total)
            if not (comparable and _are_equal(first, second)):
                yield at, first, second
            at += n

    def _tally(self, a: Entry, b: Entry, unequal: Iterable[tuple[int, _Chunk, _Chunk]]
               ) -> tuple[bool, Delta | None]:
        tally: Tally | None = None
        for at, first, second in unequal:
            tally = tally or Tally(a.dtype, b.dtype, self._rules.tolerance)
            tally.add(_native(first, self._a, a), _native(second, self._b, b), at)
        return (False, None) if tally is None else (tally.any_differ, tally.delta(a.shape))


class _Window:
    """Reads small tensors of a bundle; those that lie side by side, many at once."""

    def __init__(self, source: BundleSource) -> None:
        self._source = source
        self._shard_id = -1
        self._start = 0
        self._data = b""

    def read(self, entry: Entry) -> bytes:
        """The bytes of a tensor."""
        at = entry.offset - self._start
        if entry.shard_id != self._shard_id or not 0 <= at <= len(self._data) - entry.n_bytes:
            file = self._source.data_file(entry.shard_id)
            follows = entry.shard_id == self._shard_id and 0 <= at <= len(self._data) + _SMALL
            ahead = min(_AHEAD, file.size - entry.offset) if follows else 0
            self._data = file.read(entry.offset, max(ahead, entry.n_bytes))
            self._shard_id, self._start, at = entry.shard_id, entry.offset, 0
        return self._data[at:at + entry.n_bytes]


class _Reader:
    """The bytes of one tensor, and their checksum."""

    def __init__(self, source: Source, entry: Entry) -> None:
        self._source = source
        self.entry = entry
        self._crc = 0
        self._stored: int | None = None
        self.n_read = 0
        self.size = entry.dtype.size or 1

    def chunks(self) -> Generator[bytes | np.ndarray[Any, Any], None, None]:
        """They, some MiB at a time."""
        stream = self._source.stream(self.entry)
        while True:
            try:
                chunk = next(stream)
            except StopIteration as end:
                self._stored = end.value
                return
            self._crc = crc32c(chunk, self._crc)
            self.n_read += len(chunk)
            yield chunk

    def check(self) -> None:
        """Compare the checksum with the stored one, if there is one for all the bytes.

        Raises:
            ChecksumError: They differ.
        """
        if self._stored is not None:
            source, entry = self._source, self.entry
            file = (source.shard_file(entry.shard_id) if isinstance(source, BundleSource)
                    else source.prefix)
            check_crc32c(entry, mask(self._crc), file)


def _in_step(left: _Reader, right: _Reader) -> Iterator[tuple[int, _Chunk, _Chunk]]:
    """Number and bytes of elements of one tensor with those of as many of the other."""
    chunks_a, chunks_b = left.chunks(), right.chunks()
    first: _Chunk = b""
    second: _Chunk = b""
    while True:
        if first is not None and len(first) == 0:
            first = next(chunks_a, None)
        if second is not None and len(second) == 0:
            second = next(chunks_b, None)
        if first is None or second is None:
            return
        n = min(len(first) // left.size, len(second) // right.size)
        end_a, end_b = n * left.size, n * right.size
        yield n, first[:end_a], second[:end_b]
        first, second = first[end_a:], second[end_b:]


def _are_equal(first: _Chunk, second: _Chunk) -> bool:
    if isinstance(first, bytes) and isinstance(second, bytes):
        return first == second
    import numpy as np  # deferred: two checkpoints without slices and differences need none

    return np.array_equal(np.frombuffer(first, np.uint8), np.frombuffer(second, np.uint8))


def _native(chunk: _Chunk, source: Source, entry: Entry) -> np.ndarray[Any, Any]:
    """The bytes as an array of uint8 in this machine's byte order."""
    import numpy as np  # deferred, as above

    array = np.frombuffer(chunk, np.uint8)
    return array if source.byte_order == sys.byteorder else swap_words(array, entry.dtype)
