"""Laying out many rows of a table at once: what each repeats of the key before, where blocks end.

The plain way (`block.encode_block`) looks at one row after another. Here numpy compares all
neighbouring keys at once and finds the ends of the blocks in running sums, so that per row only
three slices of bytes remain. Rows that are unusual are left to the plain way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.format.block import BLOCK_SIZE, RESTART_INTERVAL
from tfckpt.format.varint import encode_varint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["lay_out"]

_MOST_KEY_BYTES = 1 << 27  # of all keys, each padded to the longest


def lay_out(keys: Sequence[bytes], values: Sequence[bytes]) -> Iterator[tuple[bytes, int]] | None:
    """Encode the data blocks of a table, byte for byte as TensorFlow does, or decline.

    Args:
        keys: Keys of all rows.
        values: As many values.

    Returns:
        The contents of each block, and the number of the row after its last; None if the keys
        are not ascending or very long.

    Example:
        >>> list(lay_out([b"a", b"ab"], [b"X", b"Y"]))
        [(b'\\x00\\x01\\x01aX\\x01\\x01\\x01bY\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00', 2)]
    """
    import numpy as np  # deferred: small tables are encoded without it

    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    value_lengths = np.fromiter(map(len, values), np.int64, len(values))
    shared = _shared_prefixes(keys, lengths)
    if shared is None:
        return None
    return _blocks(keys, values, lengths, value_lengths, shared)


def _shared_prefixes(keys: Sequence[bytes], lengths: Ints) -> Ints | None:
    """How many leading bytes each key has in common with the one before; None if one isn't
    greater.
    """
    import numpy as np

    width = int(lengths.max(initial=0))
    if not 0 < width * len(keys) <= _MOST_KEY_BYTES:
        return None
    padded = np.array(keys, f"S{width}").view(np.uint8).reshape(len(keys), width)
    before, after = padded[:-1], padded[1:]
    differ = before != after
    first = differ.argmax(axis=1)
    rows = np.arange(len(first))
    same = ~differ[rows, first]
    # Zeros behind the end aren't part of a key: one that is the other's beginning is the lesser.
    shared = np.where(same, lengths[:-1], np.minimum(first, np.minimum(lengths[:-1], lengths[1:])))
    larger = after[rows, first] > before[rows, first]
    longer = lengths[1:] > lengths[:-1]
    if not np.where(same | (shared >= lengths[:-1]), longer, larger).all():
        return None
    result = np.zeros(len(keys), np.int64)
    result[1:] = np.minimum(shared, lengths[1:])
    return result


def _blocks(keys: Sequence[bytes], values: Sequence[bytes], lengths: Ints, value_lengths: Ints,
            shared: Ints) -> Iterator[tuple[bytes, int]]:
    import numpy as np

    start = 0
    while start < len(keys):
        # More rows than this can't be in one block: each takes four bytes at least.
        last = min(len(keys), start + BLOCK_SIZE // 4)
        common = shared[start:last].copy()
        common[::RESTART_INTERVAL] = 0
        non_shared = lengths[start:last] - common
        value_len = value_lengths[start:last]
        sizes = (_varint_sizes(common) + _varint_sizes(non_shared) + _varint_sizes(value_len)
                 + non_shared + value_len)
        ends = np.cumsum(sizes)
        restarts = np.arange(len(sizes)) // RESTART_INTERVAL + 1
        n_rows = int(np.argmax(ends + 4 * restarts + 4 >= BLOCK_SIZE)) + 1
        if ends[n_rows - 1] + 4 * restarts[n_rows - 1] + 4 < BLOCK_SIZE:
            n_rows = len(sizes)  # the last block
        large = np.flatnonzero(lengths[start:start + n_rows] + value_len[:n_rows]
                               >= 2 * BLOCK_SIZE)
        if len(large) and large[-1]:  # a row far larger than a block has one of its own
            n_rows = int(large[large > 0][0])
        end = start + n_rows
        yield b"".join([
            *_pieces(keys[start:end], values[start:end], common[:n_rows], non_shared[:n_rows],
                     value_len[:n_rows]),
            _restarts((ends - sizes)[:n_rows:RESTART_INTERVAL])]), end
        start = end


def _varint_sizes(numbers: Ints) -> Ints:
    sizes = 1 + (numbers > 0x7F).astype("int64")
    if numbers.max(initial=0) > 0x3FFF:
        for bits in (14, 21, 28, 35, 42):
            sizes += numbers >= 1 << bits
    return sizes


def _pieces(keys: Sequence[bytes], values: Sequence[bytes], common: Ints, non_shared: Ints,
            value_len: Ints) -> list[bytes]:
    import numpy as np

    numbers = np.stack([common, non_shared, value_len], axis=1)
    packed = numbers.astype(np.uint8).tobytes()
    headers = [packed[at:at + 3] for at in range(0, len(packed), 3)]
    for n in np.flatnonzero((numbers > 0x7F).any(axis=1)).tolist():
        headers[n] = b"".join(map(encode_varint, numbers[n].tolist()))
    pieces: list[Any] = [None] * (3 * len(headers))
    pieces[0::3] = headers
    pieces[1::3] = [key[n:] for key, n in zip(keys, common.tolist(), strict=True)]
    pieces[2::3] = values
    return pieces


def _restarts(offsets: Ints) -> bytes:
    return offsets.astype("<u4").tobytes() + struct.pack("<I", len(offsets))
