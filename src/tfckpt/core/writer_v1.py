"""Executing a plan as a V1 checkpoint: one table file with the values inside.

Values can't be linked here: they are encoded anew, one slice at a time, in the order of the
table's keys.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tfckpt.core.origin import Given, Reuse, Sliced, Stored
from tfckpt.core.plan import Output, Plan, Progress, no_progress
from tfckpt.core.sliced import whole
from tfckpt.core.source import swap_words
from tfckpt.core.writer import WrittenFile, check_keys
from tfckpt.errors import DestinationExistsError, StorageError, located
from tfckpt.format.dtypes import STRING, DType
from tfckpt.format.savedslices import META_KEY, SavedTensor, encode_meta, encode_saved_slice
from tfckpt.format.slices import Extent, check_slice, slice_key
from tfckpt.format.strings import ByteOrder, parse_strings
from tfckpt.format.table import encode_table_in_parts
from tfckpt.format.tensorvalues import check_writable, encode_values
from tfckpt.storage.elsewhere import refuse_target_elsewhere
from tfckpt.storage.local import file_size
from tfckpt.storage.publish import Staging

__all__ = ["check_v1_destination", "write_v1_plan"]


class _Slice(NamedTuple):
    """One slice to write."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    extents: tuple[Extent, ...]
    origin: Stored


def write_v1_plan(plan: Plan, path: str, *, sources: tuple[str, ...] = (), overwrite: bool = False,
                  progress: Progress = no_progress) -> tuple[WrittenFile, ...]:
    """Write a V1 checkpoint, byte for byte as TensorFlow does.

    Nothing is visible at ``path`` until all of it is.

    Args:
        plan: What to write.
        path: The file; its folder is made if need be.
        sources: Files that are read, which must not be replaced.
        overwrite: Whether a file that is there already is replaced.
        progress: Told about bytes of values.

    Returns:
        The file.

    Raises:
        DestinationExistsError: Something is there, and ``overwrite`` wasn't given.
        AmbiguousNamesError: Two outputs have one key.
        UnsupportedError: A dtype has no V1 form, or a slice is too large for one.
        StorageError: The system refuses.
    """
    check_keys(plan)
    check_v1_destination(path, sources, overwrite=overwrite)
    slices = {}
    for output in plan.outputs:
        for part in _slices(output):
            with located(tensor=part.name):
                check_writable(part.dtype, math.prod(part.shape))
            slices[slice_key(part.name.encode("utf-8", "surrogateescape"), part.extents)] = part
    meta = encode_meta(SavedTensor(
        output.key, output.dtype, output.shape, tuple(part.extents for part in _slices(output)))
        for output in plan.outputs)
    total = sum(map(_expected_bytes, slices.values()))
    with Staging(path) as staging:
        rows = _rows(meta, slices, plan.byte_order, lambda done: progress(done, total))
        size = staging.write("table", encode_table_in_parts(rows))
        staging.publish([("table", path)], replace_last=overwrite)
    if file_size(path) != size:
        raise StorageError("a file that was written has another size", file=path,
                           expected=f"{size} bytes", got=file_size(path))
    return (WrittenFile(path, size, "new"),)


def check_v1_destination(path: str, sources: tuple[str, ...], *, overwrite: bool) -> None:
    """Refuse to write over a source, or over anything unless told to.

    Raises:
        DestinationExistsError: Saying what is there.
        UnsupportedError: It is an address of another machine.
    """
    refuse_target_elsewhere(path)
    if not os.path.basename(path) or os.path.isdir(path):
        raise DestinationExistsError("the output is a folder; a V1 checkpoint is a file", file=path,
                                     hint=f"Try: {os.path.join(path, 'model.ckpt')}")
    if os.path.realpath(path) in map(os.path.realpath, sources):
        raise DestinationExistsError("the output would replace its own source", file=path,
                                     hint="Give another path; the source is never changed.")
    if os.path.lexists(path) and not overwrite:
        raise DestinationExistsError("there is already a file", file=path,
                                     hint="Give another path, or allow it with --overwrite.")


def _slices(output: Output) -> Iterator[_Slice]:
    key, dtype, shape, origin = output
    if isinstance(origin, Sliced):
        for extents, stored in origin.parts:
            box = check_slice(extents, shape)
            full = tuple((0, None) if box == whole(shape) else extent for extent in extents)
            yield _Slice(key, dtype, tuple(length for _, length in box), full, stored)
    else:
        yield _Slice(key, dtype, shape, tuple((0, None) for _ in shape), origin)


def _expected_bytes(part: _Slice) -> int:
    if isinstance(part.origin, Given):
        return len(part.origin.data)
    return part.origin.entry.n_bytes if isinstance(part.origin, Reuse) else part.origin.n_bytes


def _rows(meta: bytes, slices: dict[bytes, _Slice], byte_order: ByteOrder,
          advance: Callable[[int], None]) -> Iterator[tuple[bytes, bytes]]:
    yield META_KEY, meta
    done = 0
    for key, part in sorted(slices.items()):
        with located(tensor=part.name):
            values = encode_values(_elements(part, byte_order), part.dtype)
        yield key, encode_saved_slice(part.name, part.extents, values)
        done += _expected_bytes(part)
        advance(done)


def _elements(part: _Slice, byte_order: ByteOrder) -> Any:
    import numpy as np  # deferred: nothing else here needs it

    data = _stored_bytes(part.origin)
    if part.dtype is STRING:
        region = parse_strings(data, math.prod(part.shape), byte_order)
        strings: np.ndarray[Any, Any] = np.empty(len(region.elements), object)
        strings[:] = region.elements
        return strings
    stored = np.frombuffer(data, np.uint8)
    if byte_order != sys.byteorder:
        stored = swap_words(stored, part.dtype)
    return stored.view(part.dtype.numpy())


def _stored_bytes(origin: Stored) -> bytes:
    if isinstance(origin, Given):
        return bytes(origin.data)
    if isinstance(origin, Reuse):  # checked: the file has no checksum of a tensor to carry over
        return origin.source.read_checked(origin.entry)
    chunks = origin.chunks()
    return b"".join(chunk if isinstance(chunk, bytes) else chunk.tobytes() for chunk in chunks)
