"""Verification: is every byte of a checkpoint still what was written?"""

from __future__ import annotations

from tfckpt.core.index import Entry
from tfckpt.core.plan import Progress, no_progress
from tfckpt.core.report import Problem, VerifyReport
from tfckpt.core.source import BundleSource, check_crc32c, check_entry, check_size
from tfckpt.errors import CheckpointError, TruncatedError, located
from tfckpt.format.crc32c import crc32c, mask
from tfckpt.format.naming import index_name
from tfckpt.storage.local import DataFile

__all__ = ["verify"]

_CHUNK = 4 << 20


def verify(source: BundleSource, *, quick: bool = False, progress: Progress = no_progress
           ) -> VerifyReport:
    """Check every checksum and size of an opened checkpoint, and collect what is wrong.

    The index's own checksums were checked when it was opened. Nothing is kept in memory
    but one chunk of a few MiB, or one string tensor.

    Args:
        source: The checkpoint.
        quick: Compare only sizes, which takes milliseconds.
        progress: Told about bytes of tensors.
    """
    problems: list[Problem] = []
    shards: dict[int, list[Entry]] = {}
    for key in source.index:
        try:
            entry = source.index[key]
            for _, part in source.parts(entry):
                check_size(part, index_name(source.prefix))
                shards.setdefault(part.shard_id, []).append(part)
        except CheckpointError as error:
            problems.append(Problem(error, (key,)))
    total = sum(entry.n_bytes for entries in shards.values() for entry in entries)
    seen = good = 0
    for shard_id, entries in sorted(shards.items()):
        entries.sort(key=lambda entry: entry.offset)
        try:
            file = source.data_file(shard_id)
        except CheckpointError as error:
            problems.append(Problem(error, tuple(entry.key for entry in entries)))
            continue
        whole, short = _split_by_size(entries, file)
        problems += short
        for entry in whole:
            try:
                if not quick:
                    _check_bytes(source, file, entry)
                good += entry.n_bytes
            except CheckpointError as error:
                problems.append(Problem(error, (entry.key,)))
            seen += entry.n_bytes
            progress(seen, total)
    if not problems and not quick:
        try:
            source.object_graph  # noqa: B018 - parsing it is the check
        except CheckpointError as error:
            problems.append(Problem(error))
    return VerifyReport(source.prefix, len(source.index), len(shards), good, tuple(problems), quick)


def _split_by_size(entries: list[Entry], file: DataFile) -> tuple[list[Entry], list[Problem]]:
    """The tensors that the data file has room for, and one problem for all others."""
    whole = [e for e in entries if e.offset + e.n_bytes <= file.size]
    cut = [e for e in entries if e.offset + e.n_bytes > file.size]
    if not cut:
        return whole, []
    needed = max(e.offset + e.n_bytes for e in cut)
    last = f"; the last whole tensor is {whole[-1].key}" if whole else ""
    error = TruncatedError(f"the data file is {needed - file.size} bytes short{last}",
                           expected=f"{needed} bytes", got=file.size, file=file.path)
    return whole, [Problem(error, tuple(e.key for e in cut))]


def _check_bytes(source: BundleSource, file: DataFile, entry: Entry) -> None:
    if entry.dtype.size is None:
        with located(tensor=entry.key):
            data = file.read(entry.offset, entry.n_bytes)
            check_entry(entry, data, source.byte_order, file.path)
        return
    crc, at, end = 0, entry.offset, entry.offset + entry.n_bytes
    with located(tensor=entry.key):
        while at < end:
            chunk = file.read(at, min(_CHUNK, end - at))
            crc = crc32c(chunk, crc)
            at += len(chunk)
    check_crc32c(entry, mask(crc), file.path)
