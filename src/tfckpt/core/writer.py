"""Executing a plan: the one place where checkpoints are written.

Data files from which tensors are reused get a second name instead of being read, new
tensors go into new data files (one, unless the plan says otherwise), and the index is
written last:

    source            result
    a.data-0-of-1 ──▶ b.data-0-of-2    linked: no byte is read
                      b.data-1-of-2    new tensors
    a.index       ──▶ b.index          new keys, the same places and checksums
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, NamedTuple

from tfckpt.core.destination import check_destination, free_shard_count, remove_others
from tfckpt.core.newindex import NewShard, encode_index
from tfckpt.core.origin import Given, Reuse, Sliced, Streamed
from tfckpt.core.plan import Plan, Progress, no_progress, old_key
from tfckpt.core.reused import all_given, reused_shards
from tfckpt.core.threads import meanwhile
from tfckpt.errors import (
    AmbiguousNamesError,
    StorageError,
)
from tfckpt.format.crc32c import crc32c, mask, masked_crc32c, masked_crc32cs
from tfckpt.format.naming import data_name, index_name
from tfckpt.storage.link import copy_file, link_file
from tfckpt.storage.local import file_size, read_file
from tfckpt.storage.publish import Staging

__all__ = ["DataMode", "WrittenFile", "check_keys", "write_plan"]

DataMode = Literal["link", "copy"]
_SOON_SUMMED = 16 << 20  # bytes, below which a thread doesn't pay
_AT_ONCE = 64 << 20  # bytes to write without waiting for the thread that makes checksums


class WrittenFile(NamedTuple):
    """One file of a written checkpoint.

    Attributes:
        file: Its path.
        n_bytes: Its size.
        how: ``"new"``, or how the bytes of an old file came to it.
        origin: That old file.
    """

    file: str
    n_bytes: int
    how: Literal["new", "reflink", "hard link", "copy"]
    origin: str | None = None


def write_plan(plan: Plan, prefix: str, *, data: DataMode = "link", overwrite: bool = False,
               progress: Progress = no_progress) -> tuple[WrittenFile, ...]:
    """Write a checkpoint.

    Nothing is visible at ``prefix`` until all of it is, and a checkpoint that is
    overwritten stays whole until that same instant.

    Args:
        plan: What to write.
        prefix: Where; its folder is made if need be.
        data: ``"link"`` gives reused data files a second name (reflink, hard link, or a
            copy where neither is possible); ``"copy"`` always copies.
        overwrite: Whether a checkpoint that is there already is replaced.
        progress: Told about bytes of data files.

    Returns:
        The files that were written, the index last.

    Raises:
        DestinationExistsError: Something is there, and ``overwrite`` wasn't given, or it is
            a source of the plan.
        AmbiguousNamesError: Two outputs have one key.
        TruncatedError: A data file of the source is missing or too short.
        StorageError: The system refuses.
    """
    check_keys(plan)
    shards = reused_shards(plan)
    check_destination(prefix, [shard.source.prefix for shard in shards], overwrite=overwrite)
    fresh = _new_shards(plan)
    num_shards = free_shard_count(prefix, len(shards) + len(fresh))
    files = [data_name(prefix, n, num_shards) for n in range(num_shards)]
    n_new = sum(sum(map(_expected_bytes, items)) for items in fresh.values())
    counter = _Counter(sum(shard.size for shard in shards) + n_new, progress)
    place = link_file if data == "link" else copy_file
    written = []
    stored: dict[int, NewShard] = {}
    with Staging(index_name(prefix)) as staging:
        for n, shard in enumerate(shards):
            how = place(shard.file, staging.path(f"data-{n}"), counter.advance)
            written.append(WrittenFile(files[n], shard.size, how, shard.file))
        for n, (number, items) in enumerate(fresh.items(), len(shards)):
            sizes, checksums, size = _write_shard(staging, f"data-{n}", items, plan.alignment,
                                                  counter)
            written.append(WrittenFile(files[n], size, "new"))
            stored[number] = NewShard(n, sizes, checksums)
        for n, file in enumerate(files[len(written):], len(written)):
            # An empty shard gives all of them other names than those of the checkpoint that
            # is being replaced.
            written.append(WrittenFile(file, staging.write(f"data-{n}", []), "new"))
        index = encode_index(plan, shards, num_shards, stored)
        staging.write("index", [index])
        written.append(WrittenFile(index_name(prefix), len(index), "new"))
        staging.publish([*((f"data-{n}", file) for n, file in enumerate(files)),
                         ("index", index_name(prefix))], replace_last=overwrite)
    _read_back(written, index)
    if overwrite:
        remove_others(prefix, num_shards)
    return tuple(written)


_New = Given | Streamed


def _new_shards(plan: Plan) -> dict[int, list[_New]]:
    """The new tensors of each data file, in the plan's order."""
    shards: dict[int, list[_New]] = {}
    given = all_given(plan)
    if len({item[2] for item in given}) == 1:  # as in nearly every save
        return {given[0][2]: list(given)}
    for output in plan.outputs:
        origin = output[3]
        if isinstance(origin, Sliced):
            for part in origin.parts:
                if not isinstance(part.origin, Reuse):
                    shards.setdefault(part.origin.shard, []).append(part.origin)
        elif not isinstance(origin, Reuse):
            shards.setdefault(origin.shard, []).append(origin)
    return dict(sorted(shards.items()))


def _expected_bytes(item: _New) -> int:
    return len(item.data) if isinstance(item, Given) else item.n_bytes


def _write_shard(staging: Staging, name: str, items: list[_New], alignment: int,
                 counter: _Counter) -> tuple[list[int], list[int], int]:
    """Write new tensors one after another; size and masked checksum of each, size of the file."""
    given = [item for item in items if isinstance(item, Given)]
    if len(given) == len(items) and alignment == 1:
        sizes = [len(item[0]) for item in given]
        return sizes, _write_given(staging, name, given, counter), sum(sizes)
    sizes = []
    checksums: list[int] = []
    size = staging.write(name, _run(items, alignment, sizes, checksums), counter.advance)
    return sizes, checksums, size


def _run(items: list[_New], alignment: int, sizes: list[int], checksums: list[int]
         ) -> Iterator[Any]:
    """The bytes of all tensors; their sizes and checksums are known when the last is through."""
    for item in items:
        if sizes:
            yield bytes(-sizes[-1] % alignment)
        size, crc, masked = 0, 0, None
        chunks = iter([item.data]) if isinstance(item, Given) else item.chunks()
        while True:
            try:
                chunk = next(chunks)
            except StopIteration as end:
                masked = item.masked_crc32c if isinstance(item, Given) else end.value
                break
            size += len(chunk)
            crc = crc32c(chunk, crc)
            yield chunk
        sizes.append(size)
        checksums.append(mask(crc) if masked is None else masked)


def _write_given(staging: Staging, name: str, given: list[Given], counter: _Counter) -> list[int]:
    """Write tensors that are at hand; their checksums.

    Those that aren't known yet are made while the system writes.
    """
    chunks = [item[0] for item in given]
    unknown = [item[0] for item in given if item[1] is None]
    if not unknown or sum(map(len, unknown)) < _SOON_SUMMED:
        staging.write(name, chunks, counter.advance)
        made = masked_crc32cs(unknown)
        if len(made) == len(given):
            return made
        rest = iter(made)
        return [next(rest) if item[1] is None else item[1] for item in given]
    with meanwhile(partial(staging.write, name, chunks, counter.advance, at_once=_AT_ONCE)
                   ) as written:
        checksums = [masked_crc32c(item[0]) if item[1] is None else item[1] for item in given]
        written()
        return checksums


class _Counter:
    """Adds up the bytes of several files for one progress."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.total = total
        self.progress = progress
        self.done = 0

    def advance(self, n_bytes: int) -> None:
        self.done += n_bytes
        self.progress(self.done, self.total)


def _read_back(written: list[WrittenFile], index: bytes) -> None:
    """Compare what is on disk now with what was to be written.

    Raises:
        StorageError: They differ.
    """
    for file in written:
        if file_size(file.file) != file.n_bytes:
            raise StorageError("a file that was written has another size", file=file.file,
                               expected=f"{file.n_bytes} bytes", got=file_size(file.file))
    if read_file(written[-1].file) != index:
        raise StorageError("the index doesn't read back as it was written", file=written[-1].file)


def check_keys(plan: Plan) -> None:
    """Refuse a plan in which two tensors have one key, or one has none.

    Raises:
        AmbiguousNamesError: With all such keys.
    """
    keys = {output[0] for output in plan.outputs}
    if len(keys) == len(plan.outputs) and "" not in keys:
        return
    groups: dict[str, list[str]] = {}
    for output in plan.outputs:
        groups.setdefault(output.key, []).append(old_key(output) or "(new)")
    contested = {key: keys for key, keys in groups.items() if len(keys) > 1 or not key}
    raise AmbiguousNamesError("several tensors would get one name", groups=contested)
