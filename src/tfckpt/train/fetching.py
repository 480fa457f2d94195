"""Reading the values that live objects are about to take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.core.bundle import BundleSource
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.source import Source
from tfckpt.core.threads import in_order
from tfckpt.format.dtypes import STRING, VARIANT
from tfckpt.train.adapters import any_framework, check_settable
from tfckpt.train.storedvariants import StoredVariants

if TYPE_CHECKING:
    import numpy as np

__all__ = ["open_for_objects", "read_values"]

_MANY_BYTES = 1 << 24  # from here on threads are worth their start


def open_for_objects(path: str | os.PathLike[str]) -> Source:
    """Open a checkpoint for `read_values`.

    Its file is mapped only if a framework may be about to copy out of it.
    """
    return open_source(path, mmap=any_framework())


def read_values(source: Source, wanted: Sequence[tuple[Entry, Any]]) -> list[Any]:
    """Stored values for live objects, each checked against its CRC.

    Args:
        source: The checkpoint, from `open_for_objects`.
        wanted: Each value's entry, and the object that takes it.

    Returns:
        Read-only arrays, or `StoredVariants`. They are views of the file only for an object of
        a framework that copies them; all others own their memory.

    Raises:
        CheckpointError: One of them can't be read.
        VariableError: An object can't take another value where it is.
    """
    if any_framework():
        check_settable(taker for _, taker in wanted)

    def read(item: tuple[Entry, Any]) -> Any:
        return _read_value(source, *item)

    if sum(entry.n_bytes for entry, _ in wanted) < _MANY_BYTES or any(
            entry.slices or entry.dtype in (STRING, VARIANT) for entry, _ in wanted):
        return list(map(read, wanted))
    # The files are opened and mapped here: threads only read and check.
    first = {entry.shard_id: at for at, (entry, _) in reversed(list(enumerate(wanted)))}
    values = {at: read(wanted[at]) for at in first.values()}
    rest = [at for at in range(len(wanted)) if at not in values]
    found = in_order(read, [wanted[at] for at in rest], min(8, os.cpu_count() or 1))
    values.update(zip(rest, found, strict=True))
    return [values[at] for at in range(len(wanted))]


def _read_value(source: Source, entry: Entry, taker: Any) -> Any:
    if entry.dtype is VARIANT and isinstance(source, BundleSource):
        from tfckpt.format.variants import parse_variants  # deferred: rare

        region = parse_variants(source.read_checked(entry), entry.n_elements)
        return StoredVariants(region.elements, entry.shape)
    array = source.read_array(entry)
    copies = hasattr(type(taker), "is_stand_in") and taker.copies
    return array if copies or not any_framework() else _owned(array)


def _owned(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same values in memory of their own: a view of a file dies with the file."""
    if array.dtype.hasobject:
        return array
    own = array.copy()
    own.flags.writeable = False
    return own
