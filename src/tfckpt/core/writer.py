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

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from itertools import accumulate, repeat
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from tfckpt.core.bundle import check_size, missing_shard
from tfckpt.core.index import Entry
from tfckpt.core.origin import Given, Reuse, Sliced, Stored, Streamed
from tfckpt.core.plan import Plan, Progress, no_progress, old_key
from tfckpt.errors import (
    AmbiguousNamesError,
    DestinationExistsError,
    StorageError,
    TruncatedError,
)
from tfckpt.format.bundle import (
    HEADER_KEY,
    BundleHeader,
    encode_entries,
    encode_header,
    entry_encoder,
)
from tfckpt.format.crc32c import crc32c, mask, masked_crc32c, masked_crc32cs
from tfckpt.format.dtypes import DType
from tfckpt.format.naming import DataName, data_name, index_name, parse_data_name
from tfckpt.format.slices import encode_slice, slice_key
from tfckpt.format.table import encode_table
from tfckpt.storage.link import copy_file, link_file
from tfckpt.storage.local import file_size, list_folder, os_errors, read_file
from tfckpt.storage.publish import Staging

if TYPE_CHECKING:
    from tfckpt.core.origin import Linkable

__all__ = ["DataMode", "WrittenFile", "check_destination", "check_keys", "remove_files",
           "write_plan"]

DataMode = Literal["link", "copy"]
_MANY = 1000  # tensors, from which numpy pays
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
    shards = _reused_shards(plan)
    check_destination(prefix, [shard.source.prefix for shard in shards], overwrite=overwrite)
    fresh = _new_shards(plan)
    num_shards = _free_shard_count(prefix, len(shards) + len(fresh))
    files = [data_name(prefix, n, num_shards) for n in range(num_shards)]
    n_new = sum(sum(map(_expected_bytes, items)) for items in fresh.values())
    counter = _Counter(sum(shard.size for shard in shards) + n_new, progress)
    place = link_file if data == "link" else copy_file
    written = []
    stored: dict[int, _NewShard] = {}
    with Staging(index_name(prefix)) as staging:
        for n, shard in enumerate(shards):
            how = place(shard.file, staging.path(f"data-{n}"), counter.advance)
            written.append(WrittenFile(files[n], shard.size, how, shard.file))
        for n, (number, items) in enumerate(fresh.items(), len(shards)):
            sizes, checksums, size = _write_shard(staging, f"data-{n}", items, plan.alignment,
                                                  counter)
            written.append(WrittenFile(files[n], size, "new"))
            stored[number] = _NewShard(n, sizes, checksums)
        for n, file in enumerate(files[len(written):], len(written)):
            # An empty shard gives all of them other names than those of the checkpoint that
            # is being replaced.
            written.append(WrittenFile(file, staging.write(f"data-{n}", []), "new"))
        index = _encode_index(plan, shards, num_shards, stored)
        staging.write("index", [index])
        written.append(WrittenFile(index_name(prefix), len(index), "new"))
        staging.publish([*((f"data-{n}", file) for n, file in enumerate(files)),
                         ("index", index_name(prefix))], replace_last=overwrite)
    _read_back(written, index)
    if overwrite:
        _remove_others(prefix, num_shards)
    return tuple(written)


_New = Given | Streamed


class _NewShard(NamedTuple):
    """A new data file: its number, and size and checksum of each tensor in it."""

    shard_id: int
    sizes: list[int]
    checksums: list[int]


def _new_shards(plan: Plan) -> dict[int, list[_New]]:
    """The new tensors of each data file, in the plan's order."""
    shards: dict[int, list[_New]] = {}
    given = _all_given(plan)
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


def _all_given(plan: Plan) -> list[Given]:
    """The origins of all outputs, if they are all at hand; else none."""
    origins = [output[3] for output in plan.outputs]
    return cast("list[Given]", origins) if set(map(type, origins)) == {Given} else []


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
    from concurrent.futures import ThreadPoolExecutor  # deferred: conversions write little

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(staging.write, name, chunks, counter.advance, at_once=_AT_ONCE)
        checksums = [masked_crc32c(item[0]) if item[1] is None else item[1] for item in given]
        writing.result()
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


def check_destination(prefix: str, sources: list[str], *, overwrite: bool) -> None:
    """Refuse to write over a source, or over anything unless told to.

    Raises:
        DestinationExistsError: Saying what is there.
    """
    if not os.path.basename(prefix):
        raise DestinationExistsError(
            "the output is a folder; a prefix is needed, such as model.ckpt in it", file=prefix,
            hint=f"Try: {os.path.join(prefix, 'model.ckpt')}")
    here = os.path.realpath(index_name(prefix))
    if any(os.path.realpath(index_name(source)) == here for source in sources):
        raise DestinationExistsError("the output would replace its own source", file=prefix,
                                     hint="Give another prefix; the source is never changed.")
    if overwrite:
        return
    if os.path.lexists(index_name(prefix)):
        raise DestinationExistsError("there is already a checkpoint", file=prefix,
                                     hint="Give another prefix, or allow it with --overwrite.")
    if _data_files(prefix):
        raise DestinationExistsError(
            "there are already data files of this prefix, without an index: a save that did not"
            " finish?", file=data_name(prefix, *_data_files(prefix)[0][1:]),
            hint="Give another prefix, or allow it with --overwrite.")


def _data_files(prefix: str) -> list[DataName]:
    folder, stem = os.path.split(prefix)
    parsed = (parse_data_name(name) for name in list_folder(folder))
    return [name for name in parsed if name is not None and name.prefix == stem]


def _free_shard_count(prefix: str, least: int) -> int:
    """How many shards to announce, so that no new data file takes the name of an old one.

    With the names taken, a crash between renaming the data and the index would leave the
    old index pointing into new data. One (empty) shard more gives all of them new names.
    """
    taken = {name.num_shards for name in _data_files(prefix)}
    count = max(least, 1)
    while count in taken:
        count += 1
    return count


def _remove_others(prefix: str, num_shards: int) -> None:
    """Remove the data files of the checkpoint that was replaced.

    The new one is whole already: a file that can't be removed, or that somebody else removed
    meanwhile, is no reason to call its save failed.
    """
    folder = os.path.dirname(prefix)
    for name in _data_files(prefix):
        if name.num_shards != num_shards:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, data_name(*name)))


def remove_files(files: tuple[str, ...]) -> None:
    """Remove files, as far as they are there.

    Raises:
        StorageError: The system refuses.
    """
    for file in files:
        with os_errors(file, "remove"), contextlib.suppress(FileNotFoundError):
            os.unlink(file)


class _Shard:
    """A data file that tensors are reused from."""

    def __init__(self, source: Linkable, shard_id: int) -> None:
        self.source = source
        self.shard_id = shard_id
        self.file = source.shard_file(shard_id)
        self.entries: list[Entry] = []
        self.size = 0


def _reused_shards(plan: Plan) -> list[_Shard]:
    """The data files to link, in the order of their sources and numbers, each checked."""
    if _all_given(plan):
        return []
    shards: dict[tuple[int, int], _Shard] = {}

    def add(reuse: Reuse) -> None:
        source, entry = reuse
        shard = shards.get((id(source), entry.shard_id))
        if shard is None:
            shard = shards[id(source), entry.shard_id] = _Shard(source, entry.shard_id)
        shard.entries.append(entry)

    for output in plan.outputs:
        if isinstance(output[3], Reuse):
            add(output[3])
        elif isinstance(output[3], Sliced):
            for part in output[3].parts:
                if isinstance(part.origin, Reuse):
                    add(part.origin)
    order: dict[int, int] = {}
    for source_id, _ in shards:
        order.setdefault(source_id, len(order))
    ranked = sorted(shards.values(), key=lambda shard: (order[id(shard.source)], shard.shard_id))
    for shard in ranked:
        shard.size = _check_shard(shard)
    return ranked


def _check_shard(shard: _Shard) -> int:
    """Size of a data file, after making sure that it can hold what is reused from it."""
    size = file_size(shard.file)
    if size is None:
        error = missing_shard(shard.file)
        error.tensor = shard.entries[0].key
        raise error
    for entry in shard.entries:
        check_size(entry, index_name(shard.source.prefix))
        if entry.offset + entry.n_bytes > size:
            raise TruncatedError(
                "the data file ends before the tensor does", file=shard.file, offset=entry.offset,
                expected=f"{entry.offset + entry.n_bytes} bytes", got=size, tensor=entry.key,
                hint="`tfckpt verify` lists every damaged tensor.")
    return size


def _encode_index(plan: Plan, shards: list[_Shard], num_shards: int,
                  stored: dict[int, _NewShard]) -> bytes:
    """The index file's bytes.

    Args:
        plan: The plan.
        shards: The data files that are reused.
        num_shards: How many data files the result has.
        stored: For each number of a new data file, what was written to it, in the plan's order.
    """
    header = BundleHeader(num_shards=num_shards, byte_order=plan.byte_order)
    keys = _encode_keys(plan)
    n_new = sum(len(shard.sizes) for shard in stored.values())
    if n_new == len(keys) >= _MANY and len(stored) == 1 and "numpy" in sys.modules:
        rows = list(zip(keys, encode_entries(
            [output[1] for output in plan.outputs], [output[2] for output in plan.outputs],
            *stored.popitem()[1], plan.alignment), strict=True))
    else:
        rows = list(_encode_rows(plan, keys, shards, stored))
    rows.append((HEADER_KEY, encode_header(header)))
    rows.sort()
    return encode_table(rows)


def _encode_keys(plan: Plan) -> list[bytes]:
    keys = [output[0] for output in plan.outputs]
    encoded = "\0".join(keys).encode("utf-8", "surrogateescape").split(b"\0")
    if len(encoded) != len(keys):  # a key holds the character that divides them
        return [key.encode("utf-8", "surrogateescape") for key in keys]
    return encoded


def _encode_rows(plan: Plan, keys: list[bytes], shards: list[_Shard],
                 stored: dict[int, _NewShard]) -> Iterator[tuple[bytes, bytes]]:
    """The rows of all tensors and of their slices."""
    ids = {(id(shard.source), shard.shard_id): n for n, shard in enumerate(shards)}
    padded = {number: [size + -size % plan.alignment for size in shard.sizes]
              for number, shard in stored.items()}
    places = {number: zip(repeat(n), accumulate(padded[number], initial=0), sizes, checksums,
                          strict=False) for number, (n, sizes, checksums) in stored.items()}
    encode = entry_encoder()

    def encode_stored(dtype: DType, shape: tuple[int, ...], origin: Stored) -> bytes:
        if not isinstance(origin, Reuse):
            return encode(dtype, shape, *next(places[origin.shard]))
        source, old = origin
        shard_id = ids[id(source), old.shard_id]
        return encode(dtype, shape, shard_id, old.offset, old.n_bytes, old.masked_crc32c)

    for name, (_, dtype, shape, origin) in zip(keys, plan.outputs, strict=True):
        if isinstance(origin, Sliced):
            yield from _slice_rows(name, dtype, shape, origin, encode_stored)
            slices = tuple(encode_slice(part.extents) for part in origin.parts)
            value = encode(dtype, shape, 0, 0, 0, 0, slices)
        elif isinstance(origin, Reuse) and \
                ids[id(origin.source), origin.entry.shard_id] == origin.entry.shard_id:
            value = origin.source.index.encoded(origin.entry.key)
        else:
            value = encode_stored(dtype, shape, origin)
        yield name, value


def _slice_rows(name: bytes, dtype: DType, shape: tuple[int, ...], origin: Sliced,
                encode: Callable[[DType, tuple[int, ...], Stored], bytes]
                ) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a partitioned variable's parts."""
    for extents, stored in origin.parts:
        lengths = tuple(size if length is None else length
                        for (_, length), size in zip(extents, shape, strict=True))
        yield slice_key(name, extents), encode(dtype, lengths, stored)
