"""The last step of a conversion: what was written is read again and compared, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfckpt.core.emit import chunks_of, data_bytes, stored_bytes, strings_of
from tfckpt.core.index import Entry
from tfckpt.core.moved import Moved, compare_moved, find_moved
from tfckpt.core.origin import Sliced
from tfckpt.core.plan import Output, Plan, Progress, no_progress
from tfckpt.core.sliced import STEP, Box, whole
from tfckpt.core.source import Source, swap_words
from tfckpt.errors import StorageError
from tfckpt.format.dtypes import STRING
from tfckpt.format.slices import check_slice

__all__ = ["compare_reloaded", "equal_bytes"]


def compare_reloaded(plan: Plan, written: Source, *, progress: Progress = no_progress) -> int:
    """Compare every tensor of a plan with what a reader finds in the file made of it.

    The plan's bytes are read or made a second time and held against their stored checksums; a
    few MiB are in memory at once.

    Args:
        plan: What was to be written.
        written: What was written, opened.
        progress: Told about bytes.

    Returns:
        How many tensors there are, all equal in dtype, shape and bits.

    Raises:
        StorageError: One isn't; nothing of it must be published.
        ChecksumError: The source is damaged.
    """
    total = sum(map(data_bytes, plan.outputs))
    done = 0

    def advance(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        progress(done, total)

    strangers = set(written.index).difference(output.key for output in plan.outputs)
    if strangers:
        raise StorageError("what was written has a tensor that nobody asked for",
                           tensor=min(strangers), file=written.prefix)
    moved: list[Moved] = []
    for output in plan.outputs:
        entry = _found(output, written)
        place = find_moved(output, plan, written, entry)
        if place is not None:
            moved.append(place)
            continue
        _compare(output, plan, written, entry)
        advance(data_bytes(output))
    compare_moved(moved, advance)
    return len(plan.outputs)


def _found(output: Output, written: Source) -> Entry:
    entry = written.index.get(output.key)
    wanted = f"{output.dtype} {list(output.shape)}"
    got = "nothing" if entry is None else f"{entry.dtype} {list(entry.shape)}"
    if entry is None or got != wanted:
        raise StorageError("what was written doesn't read back as it should", expected=wanted,
                           got=got, tensor=output.key, file=written.prefix)
    return entry


def _compare(output: Output, plan: Plan, written: Source, entry: Entry) -> None:
    if output.dtype is STRING:
        equal = all(strings_of(part, plan) == _strings(written, entry, box)
                    for part, box in _in_one_piece(output))
    elif output.dtype.size is None:  # variants: they are compared as they are stored
        equal = stored_bytes(output) == written.read_bytes(output.key)
    else:
        equal = all(equal_bytes(chunks_of(part, plan), _little(written, entry, box))
                    for part, box in _in_one_piece(output))
    if not equal:
        raise StorageError("what was written doesn't read back as it should",
                           expected="equal bits", tensor=output.key, file=written.prefix)


def _strings(source: Source, entry: Entry, box: Box | None) -> list[bytes]:
    request = tuple(slice(start, start + length) for start, length in box or whole(entry.shape))
    found: list[bytes] = source.read_slice(entry.key, request).reshape(-1).tolist()
    return found


def _in_one_piece(output: Output) -> Iterator[tuple[Output, Box | None]]:
    """The tensor, or each part that it is stored in with its place."""
    if not isinstance(output.origin, Sliced):
        yield output, None
        return
    for extents, stored in output.origin.parts:
        box = check_slice(extents, output.shape)
        yield output._replace(shape=tuple(length for _, length in box), origin=stored), box


def _little(source: Source, entry: Entry, box: Box | None) -> Iterator[Any]:
    if source.byte_order == "little" or entry.dtype.word == 1:
        yield from source.stream(entry, box)
        return
    import numpy as np  # deferred: rare

    for chunk in source.stream(entry, box):
        yield swap_words(np.frombuffer(chunk, np.uint8), entry.dtype)


def equal_bytes(one: Iterator[Any], other: Iterator[Any]) -> bool:
    """Whether both are the same bytes, however they are cut; each is read to its end."""
    first: Any = b""
    second: Any = b""
    equal = True
    while True:
        while first is not None and len(first) == 0:
            first = _next(one)
        while second is not None and len(second) == 0:
            second = _next(other)
        if first is None or second is None:
            for _ in one:  # to its checksum
                equal = False
            return equal and first is second
        n = min(len(first), len(second))
        if isinstance(first, bytes) and isinstance(second, bytes) and len(first) == len(second):
            equal = equal and first == second
        else:
            for at in range(0, n, STEP):
                # As bytes: comparing memoryviews looks at one element after another.
                end = min(at + STEP, n)
                equal = equal and bytes(first[at:end]) == bytes(second[at:end])
        first, second = first[n:], second[n:]


def _next(chunks: Iterator[Any]) -> Any:
    """Some bytes, or a view of more; None at the end."""
    chunk = next(chunks, None)
    if chunk is None or (isinstance(chunk, bytes) and len(chunk) <= STEP):
        return chunk
    return memoryview(chunk).cast("B")
