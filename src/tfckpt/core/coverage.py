"""Which bytes of the data files belong to which tensors: none twice, and none to nobody.

    ============================== ===================================================
    what                           meaning
    ============================== ===================================================
    two tensors, the same range    legal, a note: they share it
    two ranges that overlap        a problem; the checksums tell which of them is whole
    zeros between tensors          padding, for alignment
    bytes that no tensor has       a note: of keys that were dropped, or nobody's
    an empty data file             legal: tfckpt counts one more when it overwrites
    ============================== ===================================================

Only bytes between tensors are read, and none with ``quick``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tfckpt.core.bundle import BundleSource, missing_shard
from tfckpt.core.index import Entry
from tfckpt.errors import CheckpointError, FormatError, TruncatedError
from tfckpt.format.naming import index_name, parse_data_name
from tfckpt.storage.local import DataFile, file_size, list_folder

__all__ = ["ShardCheck", "check_shard", "other_files", "overlapping"]

_CHUNK = 1 << 20


class ShardCheck(NamedTuple):
    """What the sizes say about one data file.

    Attributes:
        path: The file.
        whole: The tensors that it has room for, by offset.
        problems: Errors, with the names of the tensors that are lost by each.
        notes: What is unusual about it, a sentence each.
        usable: Whether it is there and long enough.
    """

    path: str
    whole: list[Entry]
    problems: list[tuple[CheckpointError, list[str]]]
    notes: list[str]
    usable: bool


def check_shard(source: BundleSource, shard_id: int, entries: list[Entry], *, quick: bool
                ) -> ShardCheck:
    """Compare the places of all tensors of one data file with its size and each other.

    Args:
        source: The checkpoint.
        shard_id: Number of the data file.
        entries: Its tensors, in any order.
        quick: Whether to leave the bytes between tensors unread.
    """
    entries = sorted(entries, key=lambda entry: (entry.offset, entry.n_bytes, entry.key))
    path = source.shard_file(shard_id)
    try:
        if shard_id >= source.header.num_shards:
            raise FormatError("the entry names a shard that doesn't exist",
                              expected=f"below {source.header.num_shards}", got=shard_id,
                              file=index_name(source.prefix))
        with _open(path) as file:
            whole = [e for e in entries if e.offset + e.n_bytes <= file.size]
            problems = [*_short(file, entries, whole), *_overlaps(path, whole)]
            notes = [*_twins(path, whole), *_uncovered(file, entries, quick=quick)]
    except CheckpointError as error:
        return ShardCheck(path, [], [(error, [entry.key for entry in entries])], [], False)
    return ShardCheck(path, whole, problems, notes, len(whole) == len(entries))


def _open(path: str) -> DataFile:
    try:
        return DataFile(path)
    except FileNotFoundError:
        raise missing_shard(path) from None


def _short(file: DataFile, entries: list[Entry], whole: list[Entry]
           ) -> Iterator[tuple[CheckpointError, list[str]]]:
    cut = [entry for entry in entries if entry.offset + entry.n_bytes > file.size]
    if not cut:
        return
    needed = max(entry.offset + entry.n_bytes for entry in cut)
    last = f"; the last whole tensor is {whole[-1].key}" if whole else ""
    yield (TruncatedError(f"the data file is {needed - file.size} bytes short{last}",
                          expected=f"{needed} bytes", got=file.size, file=file.path,
                          hint=_not_downloaded(file)),
           [entry.key for entry in cut])


def _not_downloaded(file: DataFile) -> str | None:
    """What to do if a short data file is what a failed download leaves."""
    from tfckpt.format.sniff import HEAD_SIZE, sniff  # deferred: only for what is too short

    kind = sniff("", file.read(0, min(HEAD_SIZE, file.size)))
    if kind is None or not kind.what.startswith(("a Git LFS", "a web page")):
        return None
    return f"It is {kind.what}. {kind.hint}"


def overlapping(entries: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Pairs of tensors, given by offset, of which the second begins inside the first."""
    pairs = []
    last: Entry | None = None  # of those before, the one that ends last
    for entry in entries:
        if not entry.n_bytes:
            continue
        if last is not None and entry.offset < last.offset + last.n_bytes and (
                entry[4:6] != last[4:6]):
            pairs.append((last, entry))
        if last is None or entry.offset + entry.n_bytes > last.offset + last.n_bytes:
            last = entry
    return pairs


def _overlaps(path: str, entries: list[Entry]) -> Iterator[tuple[CheckpointError, list[str]]]:
    for first, second in overlapping(entries):
        # Their checksums tell which of them are damaged by it.
        yield FormatError(f"tensors overlap: {first.key} and {second.key}", file=path,
                          expected=f"an offset from {first.offset + first.n_bytes}",
                          got=second.offset, offset=second.offset), []


def _twins(path: str, entries: list[Entry]) -> Iterator[str]:
    names: dict[tuple[int, int], list[str]] = {}
    for entry in entries:
        if entry.n_bytes:
            names.setdefault((entry.offset, entry.n_bytes), []).append(entry.key)
    twins = [keys for keys in names.values() if len(keys) > 1]
    if twins:
        more = f", and {len(twins) - 1} more such places" if len(twins) > 1 else ""
        yield (f"{len(twins[0])} tensors share the same bytes: {', '.join(twins[0][:5])}"
               f"{', ...' if len(twins[0]) > 5 else ''}{more} (file {path})")


def _uncovered(file: DataFile, entries: list[Entry], *, quick: bool) -> Iterator[str]:
    """A note for the bytes that no tensor has, unless they are padding."""
    gaps = []
    end = 0
    for entry in entries:
        if entry.n_bytes and entry.offset > end:
            gaps.append((end, min(entry.offset, file.size)))
        end = max(end, entry.offset + entry.n_bytes)
    if file.size > end:
        yield (f"the data file goes on for {file.size - end} bytes after its last tensor"
               f" (file {file.path}, byte {end})")
    if quick:
        return
    gaps = [(start, stop) for start, stop in gaps if not _is_zero(file, start, stop)]
    if gaps:
        places = f"{len(gaps)} places, the first in " if len(gaps) > 1 else ""
        yield (f"{sum(stop - start for start, stop in gaps)} bytes between tensors belong to none"
               f" ({places}file {file.path}, byte {gaps[0][0]})")


def _is_zero(file: DataFile, start: int, stop: int) -> bool:
    while start < stop:
        chunk = file.read(start, min(_CHUNK, stop - start))
        if chunk.strip(b"\0"):
            return False
        start += len(chunk)
    return True


def other_files(source: BundleSource, used: set[int]) -> Iterator[str]:
    """Notes on data files of this prefix that no tensor is in."""
    folder, stem = os.path.split(source.prefix)
    for name in list_folder(folder):
        data = parse_data_name(name)
        if data is None or data.prefix != stem:
            continue
        path = os.path.join(folder, name)
        if data.num_shards != source.header.num_shards:
            yield (f"a data file of another count is beside it; this checkpoint has"
                   f" {source.header.num_shards} (file {path})")
        elif data.shard_id not in used and file_size(path):
            yield f"no tensor is in this data file of {file_size(path)} bytes (file {path})"
