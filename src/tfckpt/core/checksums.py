"""Reading every tensor's bytes once, on all cores: checksums, and NaN and Inf on request.

The work is cut into pieces of a few MiB: many small tensors that lie side by side, or a
range of a big one, whose checksum is put together from those of its ranges. Threads do it:
both reading and google-crc32c (from 1.8 or so) let go of Python's lock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tfckpt.core.bundle import check_crc32c, check_entry
from tfckpt.core.index import Entry
from tfckpt.core.plan import Progress
from tfckpt.core.report import ValueCount
from tfckpt.core.source import swap_words
from tfckpt.core.threads import in_order
from tfckpt.errors import CheckpointError, located
from tfckpt.format.crc32c import crc32c, mask, masked_crc32c
from tfckpt.format.crcmath import combine_crc32c
from tfckpt.format.regions import check_region
from tfckpt.format.strings import ByteOrder
from tfckpt.storage.local import DataFile

__all__ = ["Checked", "check_tensors", "usable_cores"]

_CHUNK = 1 << 20  # fits a core's own cache, which is quicker than bigger ones
_PIECE = 16 << 20
_ALONE = 8 << 20  # bytes below which starting threads takes longer than they save
_MOST_JOBS = 32


class Checked(NamedTuple):
    """What reading one tensor showed.

    Attributes:
        entry: The tensor, or a stored part of it.
        error: What is wrong with its bytes, if anything is.
        values: Its values that are no finite numbers, if they were counted.
    """

    entry: Entry
    error: CheckpointError | None = None
    values: ValueCount | None = None


class _Task(NamedTuple):
    """Tensors that lie side by side, or a range of one."""

    path: str
    start: int
    stop: int
    entries: list[Entry]

    @property
    def is_range(self) -> bool:
        """Whether it is less than a whole tensor."""
        return self.stop - self.start < max(entry.n_bytes for entry in self.entries)


class _Done(NamedTuple):
    """What one task found: results, or the checksum of a range."""

    checked: list[Checked]
    crc: int = 0
    values: ValueCount | None = None


def usable_cores() -> int:
    """How many cores this process may use."""
    if not hasattr(os, "pread"):
        return 1  # without it, threads would move each other's place in a file
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MOST_JOBS)
    return min(os.cpu_count() or 1, _MOST_JOBS)


def check_tensors(shards: Iterable[tuple[str, list[Entry]]], byte_order: ByteOrder, *,
                  jobs: int, count_values: bool, progress: Progress) -> Iterator[Checked]:
    """Check the bytes of tensors, those of equal ranges once.

    Args:
        shards: Path of each data file, and its tensors by offset, all within it.
        byte_order: That of their numbers.
        jobs: How many threads may work.
        count_values: Whether to look for NaN and Inf.
        progress: Told about bytes of tensors.
    """
    twins: dict[tuple[object, ...], list[Entry]] = {}
    tasks: list[_Task] = []
    for path, entries in shards:
        for entry in entries:
            twins.setdefault(entry[1:7], []).append(entry)
        tasks += _cut(path, [entry for entry in entries if twins[entry[1:7]][0] is entry])
    reader = _Reader(byte_order, count_values)
    for checked in _results(tasks, _run(reader, tasks, jobs), progress):
        for entry in twins[checked.entry[1:7]]:
            yield checked if entry is checked.entry else _of(checked, entry)


def _results(tasks: list[_Task], run: Iterator[_Done], progress: Progress) -> Iterator[Checked]:
    """The result of each tensor, those of ranges joined."""
    total = sum(task.stop - task.start for task in tasks)
    seen, pending = 0, _Done([])
    for task, done in zip(tasks, run, strict=True):
        seen += task.stop - task.start
        progress(seen, total)
        if not task.is_range:
            yield from done.checked
            continue
        pending = _joined(pending, task, done)
        entry, = task.entries
        if task.stop == entry.offset + entry.n_bytes:
            yield from pending.checked or [_finish(task.path, entry, pending)]
            pending = _Done([])


def _cut(path: str, entries: list[Entry]) -> Iterator[_Task]:
    batch: list[Entry] = []
    for entry in entries:
        end = entry.offset + entry.n_bytes
        if batch and (end > batch[0].offset + _CHUNK or entry.offset < batch[-1].offset):
            yield _Task(path, batch[0].offset, _end(batch), batch)
            batch = []
        if entry.n_bytes <= _CHUNK:
            batch.append(entry)
        elif entry.dtype.size is None or entry.n_bytes <= 2 * _PIECE:
            yield _Task(path, entry.offset, end, [entry])
        else:
            for start in range(entry.offset, end, _PIECE):
                yield _Task(path, start, min(start + _PIECE, end), [entry])
    if batch:
        yield _Task(path, batch[0].offset, _end(batch), batch)


def _end(batch: list[Entry]) -> int:
    return max(entry.offset + entry.n_bytes for entry in batch)


def _run(reader: _Reader, tasks: list[_Task], jobs: int) -> Iterator[_Done]:
    is_little = sum(task.stop - task.start for task in tasks) < _ALONE
    return in_order(reader.read, tasks, 1 if is_little else jobs)


def _joined(before: _Done, task: _Task, done: _Done) -> _Done:
    """The results of a tensor's ranges up to this one."""
    values = done.values
    if values is not None and before.values is not None:
        values = values.plus(before.values)
    crc = combine_crc32c(before.crc, done.crc, task.stop - task.start)
    return _Done(before.checked or done.checked, crc, values)


def _finish(path: str, entry: Entry, done: _Done) -> Checked:
    try:
        check_crc32c(entry, mask(done.crc), path)
    except CheckpointError as error:
        return Checked(entry, error)
    return Checked(entry, None, done.values)


class _Reader:
    """Does tasks; may do several at the same time."""

    def __init__(self, byte_order: ByteOrder, count_values: bool) -> None:
        self._byte_order = byte_order
        self._count_values = count_values

    def read(self, task: _Task) -> _Done:
        try:
            with DataFile(task.path) as file:
                if len(task.entries) > 1 or task.entries[0].n_bytes <= _CHUNK:
                    return self._read_batch(file, task)
                entry, = task.entries
                if entry.dtype.size is None:
                    return self._read_region(file, entry)
                done = self._read_range(file, task, entry)
                return done if task.is_range else \
                    done._replace(checked=[_finish(task.path, entry, done)])
        except CheckpointError as error:
            return _Done([Checked(entry, _named(error, entry)) for entry in task.entries])

    def _read_batch(self, file: DataFile, task: _Task) -> _Done:
        try:
            window = file.read(task.start, task.stop - task.start)
        except CheckpointError:  # a bad sector, say: find out whose it is
            window = None
        return _Done([self._check_small(file, e, window, task.start) for e in task.entries])

    def _check_small(self, file: DataFile, entry: Entry, window: bytes | None, start: int
                     ) -> Checked:
        try:
            at = entry.offset - start
            data = (file.read(entry.offset, entry.n_bytes) if window is None
                    else window[at:at + entry.n_bytes])
            if entry.dtype.size is None:
                check_entry(entry, data, self._byte_order, file.path)
            else:
                check_crc32c(entry, masked_crc32c(data), file.path)
        except CheckpointError as error:
            return Checked(entry, _named(error, entry))
        return Checked(entry, None, self._count(entry, data))

    def _read_region(self, file: DataFile, entry: Entry) -> _Done:
        """A big tensor whose elements have no fixed size, a chunk at a time."""
        with located(file=file.path, base=entry.offset, tensor=entry.key):
            def read(at: int, n_bytes: int) -> bytes:
                return file.read(entry.offset + at, n_bytes)

            computed = check_region(entry.dtype, read, entry.n_bytes, entry.n_elements,
                                    self._byte_order)
        check_crc32c(entry, computed, file.path)
        return _Done([Checked(entry)])

    def _read_range(self, file: DataFile, task: _Task, entry: Entry) -> _Done:
        crc, at = 0, task.start
        values: ValueCount | None = None
        while at < task.stop:
            # A multiple of every element's size, so no element is cut.
            chunk = file.read(at, min(_CHUNK, task.stop - at))
            crc = crc32c(chunk, crc)
            count = self._count(entry, chunk)
            values = count.plus(values) if count and values else count or values
            at += len(chunk)
        return _Done([], crc, values)

    def _count(self, entry: Entry, data: bytes) -> ValueCount | None:
        return count_values(entry, data, self._byte_order) if self._count_values else None


def _of(checked: Checked, entry: Entry) -> Checked:
    """The result for a tensor that shares another's bytes."""
    error, values = checked.error, checked.values
    if error is not None:
        error = type(error)(error.message, expected=error.expected, got=error.got,
                            file=error.file, offset=error.offset, tensor=entry.key,
                            hint=error.hint)
    return Checked(entry, error, values and values._replace(tensor=entry.key))


def _named(error: CheckpointError, entry: Entry) -> CheckpointError:
    if error.tensor is None:
        error.tensor = entry.key
    return error


def count_values(entry: Entry, data: bytes, byte_order: ByteOrder) -> ValueCount | None:
    """How many NaN and Inf are among the bytes of a tensor, or None if its dtype has none.

    Of a complex number that is NaN in one part and Inf in the other, each counts.
    """
    if not _has_nan(entry.dtype.name):
        return None
    import numpy as np  # deferred: checksums need no numpy

    stored = np.frombuffer(data, np.uint8)
    if byte_order != sys.byteorder:
        stored = swap_words(stored, entry.dtype)
    array = stored.view(entry.dtype.numpy())
    n = len(array)
    if array.dtype.kind == "c":
        array = array.view(array.real.dtype)
    if bool(np.isfinite(array).all()):
        return ValueCount(entry.key, n)
    return ValueCount(entry.key, n, int(np.isnan(array).sum()), int(np.isinf(array).sum()))


def _has_nan(name: str) -> bool:
    return name.startswith(("float", "bfloat", "complex")) and not name.startswith("float4")
