"""Comparing tensors that were moved from file to file as they were, on all cores.

The work is cut into tasks of a few MiB, many small tensors or a range of a big one, as
`core/checksums.py` does it. What a thread holds is two chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

from tfckpt.core.bundle import check_crc32c, missing_shard
from tfckpt.core.checksums import usable_cores
from tfckpt.core.emit import Range, range_of
from tfckpt.core.index import Entry
from tfckpt.core.origin import Reuse
from tfckpt.core.plan import Output, Plan
from tfckpt.core.source import Source
from tfckpt.core.threads import in_order
from tfckpt.errors import StorageError
from tfckpt.format.crc32c import crc32c, mask
from tfckpt.format.crcmath import combine_crc32c
from tfckpt.storage.local import DataFile

__all__ = ["Moved", "compare_moved", "find_moved"]

_CHUNK = 1 << 20
_TASK = 16 << 20
_ALONE = 8 << 20  # bytes below which starting threads takes longer than they save


class Moved(NamedTuple):
    """A tensor whose bytes lie in two files.

    Attributes:
        key: Its key in what was written.
        entry: It, in the source.
        old: Where it lies there.
        file: The file that was written.
        offset: Where it lies in that.
    """

    key: str
    entry: Entry
    old: Range
    file: DataFile
    offset: int


class _Piece(NamedTuple):
    moved: Moved
    start: int
    stop: int


class _Compared(NamedTuple):
    crc: int
    equal: bool


def find_moved(output: Output, plan: Plan, written: Source, entry: Entry) -> Moved | None:
    """Where a tensor was moved from and to; None if its bytes were made.

    Args:
        output: What was to be written.
        plan: The plan that has it.
        written: What was written, opened.
        entry: The tensor there.
    """
    old = range_of(output, plan)
    place = written.place_of(entry)
    if old is None or place is None or not isinstance(output.origin, Reuse):
        return None
    return Moved(output.key, output.origin.entry, old, *place)


def compare_moved(every: Iterable[Moved], advance: Callable[[int], None]) -> None:
    """Compare tensors with what they were in their source, and these with their checksums.

    Args:
        every: The tensors.
        advance: Told how many more bytes were compared.

    Raises:
        StorageError: One isn't equal bit by bit.
        ChecksumError: The source is damaged.
    """
    tasks = list(_cut(every))
    total = sum(piece.stop - piece.start for task in tasks for piece in task)
    with ExitStack() as stack:
        files = {file: stack.enter_context(_opened(file))
                 for file in sorted({piece.moved.old.file for task in tasks for piece in task})}

        def compare(task: list[_Piece]) -> list[_Compared]:
            return [_compare(piece, files[piece.moved.old.file]) for piece in task]

        found = in_order(compare, tasks, usable_cores() if total >= _ALONE else 1)
        so_far = _Compared(0, True)
        for task, results in zip(tasks, found, strict=True):
            for piece, result in zip(task, results, strict=True):
                so_far = _joined(so_far, result, piece) if piece.start else result
                if piece.stop == piece.moved.old.n_bytes:
                    _check(piece.moved, so_far)
            advance(sum(piece.stop - piece.start for piece in task))


def _cut(every: Iterable[Moved]) -> Iterator[list[_Piece]]:
    task: list[_Piece] = []
    size = 0
    for moved in every:
        for start in range(0, moved.old.n_bytes, _TASK) or (0,):
            stop = min(start + _TASK, moved.old.n_bytes)
            task.append(_Piece(moved, start, stop))
            size += stop - start
            if size >= _TASK:
                yield task
                task, size = [], 0
    if task:
        yield task


def _opened(file: str) -> DataFile:
    try:
        return DataFile(file)
    except FileNotFoundError:
        raise missing_shard(file) from None


def _compare(piece: _Piece, old: DataFile) -> _Compared:
    moved = piece.moved
    crc, equal = 0, True
    for at in range(piece.start, piece.stop, _CHUNK):
        n_bytes = min(_CHUNK, piece.stop - at)
        data = old.read(moved.old.offset + at, n_bytes)
        crc = crc32c(data, crc)
        equal = equal and data == moved.file.read(moved.offset + at, n_bytes)
    return _Compared(crc, equal)


def _joined(before: _Compared, last: _Compared, piece: _Piece) -> _Compared:
    """What comparing a tensor found up to the end of a piece."""
    crc = combine_crc32c(before.crc, last.crc, piece.stop - piece.start)
    return _Compared(crc, before.equal and last.equal)


def _check(moved: Moved, compared: _Compared) -> None:
    # A damaged source is the better reason: what was read of it twice may have been different.
    check_crc32c(moved.entry, mask(compared.crc), moved.old.file)
    if not compared.equal:
        raise StorageError("what was written doesn't read back as it should",
                           expected="equal bits", tensor=moved.key, file=moved.file.path)
