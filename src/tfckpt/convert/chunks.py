"""Tensors as runs of numbers, a few MiB at a time, for jobs that compute."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfckpt.core.bundle import check_crc32c
from tfckpt.core.index import Entry
from tfckpt.core.source import Source
from tfckpt.format.crc32c import crc32c, mask

if TYPE_CHECKING:
    import numpy as np

__all__ = ["AT_ONCE", "FLOATS", "encode_numbers", "numbers_of"]

AT_ONCE = 1 << 20
FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


def numbers_of(source: Source, entry: Entry) -> Iterator[np.ndarray[Any, Any]]:
    """The elements of a tensor, in this machine's byte order; `AT_ONCE` of them, the last fewer.

    Raises:
        ChecksumError: The bytes are not those that were written. That is known at the end, so
            what was made of them must not be published before.
    """
    dtype = entry.dtype.numpy()
    n_bytes = AT_ONCE * dtype.itemsize
    held = bytearray()
    for chunk in _checked(source, entry):
        held += memoryview(chunk)
        while len(held) >= n_bytes:
            yield _as_numbers(held[:n_bytes], dtype, source.byte_order)
            del held[:n_bytes]
    if held:
        yield _as_numbers(held, dtype, source.byte_order)


def _as_numbers(data: bytearray, dtype: np.dtype[Any], byte_order: str) -> np.ndarray[Any, Any]:
    import numpy as np  # deferred: see above

    numbers = np.frombuffer(data, dtype)
    return numbers if byte_order == sys.byteorder else numbers.byteswap()


def _checked(source: Source, entry: Entry) -> Iterator[Any]:
    """The bytes of a tensor; at the end they are held against the stored checksum."""
    stream = source.stream(entry)
    crc = 0
    while True:
        try:
            chunk = next(stream)
        except StopIteration as end:
            if end.value is not None:
                check_crc32c(entry, mask(crc), source.shard_file(entry.shard_id))
            return
        crc = crc32c(chunk, crc)
        yield chunk


def encode_numbers(numbers: np.ndarray[Any, Any], byte_order: str) -> np.ndarray[Any, Any]:
    """Numbers as a checkpoint of this byte order stores them: an array of uint8."""
    import numpy as np  # deferred: see above

    stored = numbers if byte_order == sys.byteorder else numbers.byteswap()
    data = np.ascontiguousarray(stored).view(np.uint8)
    data.flags.writeable = False
    return data
