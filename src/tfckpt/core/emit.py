"""The bytes of a plan's tensors, as files of other formats hold them: little-endian, C order."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.core.bundle import check_crc32c
from tfckpt.core.origin import Given, Reuse, Sliced
from tfckpt.core.plan import Output, Plan
from tfckpt.core.source import swap_words
from tfckpt.errors import ChecksumError, FormatError, UnsupportedError
from tfckpt.format.crc32c import crc32c, mask
from tfckpt.format.dtypes import STRING
from tfckpt.format.strings import parse_strings

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Range", "chunks_of", "data_bytes", "range_of", "stored_bytes", "strings_of"]


class Range(NamedTuple):
    """A range of a file.

    Attributes:
        file: Its path.
        offset: Its first byte.
        n_bytes: How many.
    """

    file: str
    offset: int
    n_bytes: int


def data_bytes(output: Output) -> int:
    """How many bytes the elements take; of strings, 0."""
    return (output.dtype.size or 0) * math.prod(output.shape)


def range_of(output: Output, plan: Plan) -> Range | None:
    """Where the bytes lie in a file just as they are wanted; None if they have to be made."""
    origin = output.origin
    if not isinstance(origin, Reuse) or output.dtype.size is None or (
            plan.byte_order != "little" and output.dtype.word > 1):
        return None
    entry = origin.entry
    if entry.n_bytes != data_bytes(output):
        raise FormatError(f"the entry's size is not that of {output.dtype} {list(output.shape)}",
                          expected=f"{data_bytes(output)} bytes", got=entry.n_bytes,
                          tensor=entry.key)
    return Range(origin.source.shard_file(entry.shard_id), entry.offset, entry.n_bytes)


def chunks_of(output: Output, plan: Plan) -> Iterator[bytes | np.ndarray[Any, Any]]:
    """The elements' bytes a few MiB at a time; a stored checksum is checked at the end.

    Raises:
        ChecksumError: The source's bytes are not those that were written. That is known at the
            end, so what was made of them must not be published before.
        FormatError: There are more or fewer than the shape has.
        UnsupportedError: The elements have no fixed size.
    """
    if output.dtype.size is None:
        raise UnsupportedError(f"elements of dtype {output.dtype} have no fixed size",
                               tensor=output.key)
    swap = plan.byte_order != "little" and output.dtype.word > 1
    n_bytes = 0
    for chunk in _checked(output):
        n_bytes += len(chunk)
        if swap:
            import numpy as np  # deferred: rare

            yield swap_words(np.frombuffer(chunk, np.uint8), output.dtype)
        else:
            yield chunk
    if n_bytes != data_bytes(output):
        raise FormatError("the tensor has another size than its shape",
                          expected=f"{data_bytes(output)} bytes", got=n_bytes, tensor=output.key)


def strings_of(output: Output, plan: Plan) -> list[bytes]:
    """The elements of a string tensor.

    Raises:
        CheckpointError: They are damaged.
    """
    if output.dtype is not STRING:
        raise UnsupportedError("the tensor has no strings", tensor=output.key,
                               got=output.dtype.name)
    return parse_strings(stored_bytes(output), math.prod(output.shape), plan.byte_order).elements


def stored_bytes(output: Output) -> bytes:
    """All bytes as a bundle of the plan's byte order has them."""
    return b"".join(chunk if isinstance(chunk, bytes) else chunk.tobytes()
                    for chunk in _stored(output))


def _stored(output: Output) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
    """The bytes as a bundle has them, and the checksum of its entry if one is known."""
    origin = output.origin
    if isinstance(origin, Given):
        yield origin.data
        return origin.masked_crc32c
    if isinstance(origin, Reuse):
        return (yield from origin.source.stream(origin.entry))
    if isinstance(origin, Sliced):
        raise UnsupportedError("a partitioned variable has to be joined first", tensor=output.key)
    return (yield from origin.chunks())


def _checked(output: Output) -> Iterator[bytes | np.ndarray[Any, Any]]:
    chunks = _stored(output)
    crc = 0
    while True:
        try:
            chunk = next(chunks)
        except StopIteration as end:
            if isinstance(output.origin, Reuse):  # whose file and place there are known
                entry = output.origin.entry
                check_crc32c(entry, mask(crc), output.origin.source.shard_file(entry.shard_id))
            elif end.value is not None and end.value != mask(crc):
                raise ChecksumError(
                    "the tensor's bytes are damaged: their checksum does not match",
                    expected=f"{end.value:#010x} as stored",
                    got=f"{mask(crc):#010x} from the bytes", tensor=output.key,
                    hint="`tfckpt verify` lists every damaged tensor.") from None
            return
        crc = crc32c(chunk, crc)
        yield chunk
