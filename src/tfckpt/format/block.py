"""Blocks: the sorted runs of rows that a table file is made of.

A block is a run of entries and then its restart points:

    =================== ===================================================
    field               meaning
    =================== ===================================================
    shared: varint      how many bytes of the previous key this key repeats
    non_shared: varint  how many key bytes follow
    value_len: varint   how many value bytes follow those
    key, value          the bytes themselves
    ...                 more entries
    restarts: fixed32[] offsets of entries whose ``shared`` is 0
    count: fixed32      how many restarts
    =================== ===================================================

All fixed integers are little-endian on every platform. A block without entries is the
eight bytes ``00000000 01000000``: one restart, at 0.

Source: tsl/lib/io/block.cc, block_builder.cc (LevelDB's table/block.cc).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from tfckpt.errors import FormatError, TruncatedError
from tfckpt.format.varint import encode_varint, parse_varint

__all__ = ["BLOCK_SIZE", "KeyBudget", "Row", "encode_block", "parse_block", "seek_row",
           "shared_prefix"]

Row = tuple[bytes, bytes]


class KeyBudget:
    """How many bytes of keys a table may unfold into, so that a small file stays small.

    Each key may repeat the one before it for the price of three bytes, so a hostile block
    of n bytes could stand for n²/8 bytes of keys. TensorFlow writes a whole key at every
    16th row, so its tables unfold at most 16-fold.
    """

    FLOOR = 16 << 20
    GROWTH = 64

    def __init__(self, file_size: int) -> None:
        self.left = self.FLOOR + self.GROWTH * file_size


def parse_block(block: bytes, budget: KeyBudget | None = None, after: bytes | None = None
                ) -> list[Row]:
    """Parse one block into its rows.

    Args:
        block: Contents without the 5-byte trailer, uncompressed.
        budget: Bound on what the keys of the whole table may unfold into.
        after: Last key of the block before, if there is one.

    Returns:
        ``(key, value)`` of each row, ascending by key.

    Raises:
        TruncatedError: An entry or the restart array runs past the end.
        FormatError: A key repeats more of the previous key than there is, isn't greater
            than the one before it, or the keys unfold beyond the budget.

    Example:
        >>> parse_block(b"\\0\\1\\1aX" + b"\\1\\1\\1bY" + b"\\0\\0\\0\\0\\1\\0\\0\\0")
        [(b'a', b'X'), (b'ab', b'Y')]
    """
    end = _restarts_offset(block)
    return list(_iter_rows(block, 0, end, budget or KeyBudget(len(block)), after))


def seek_row(block: bytes, target: bytes) -> Row | None:
    """The first row whose key isn't below this one, found between the restart points.

    Returns:
        Its key and value, or None if all keys of the block are below.

    Raises:
        TruncatedError, FormatError: As for `parse_block`, of the rows that are looked at.

    Example:
        >>> seek_row(b"\\0\\1\\1aX" + b"\\1\\1\\1bY" + b"\\0\\0\\0\\0\\1\\0\\0\\0", b"aa")
        (b'ab', b'Y')
    """
    end = _restarts_offset(block)
    low, high = 0, (len(block) - 4 - end) // 4 - 1
    at = 0
    while low < high:
        middle = (low + high + 1) // 2
        restart = int.from_bytes(block[end + 4 * middle:end + 4 * middle + 4], "little")
        if restart >= end:
            raise FormatError("a restart point of a block is outside its rows", got=restart,
                              expected=f"below {end}", offset=end + 4 * middle)
        first = next(_iter_rows(block, restart, end, KeyBudget(len(block)), None))
        if first[0] < target:
            low, at = middle, restart
        else:
            high = middle - 1
    rows = _iter_rows(block, at, end, KeyBudget(len(block)), None)
    return next((row for row in rows if row[0] >= target), None)


def _iter_rows(block: bytes, at: int, end: int, budget: KeyBudget, after: bytes | None
               ) -> Iterator[Row]:
    """The rows from a restart point on."""
    left = budget.left
    key = b""
    while at < end:
        start = at
        # At least four bytes (the restart count) follow ``end``, so three can be read.
        shared, non_shared, value_len = block[at:at + 3]
        if (shared | non_shared | value_len) < 128:
            at += 3
        else:
            shared, at = parse_varint(block, at)
            non_shared, at = parse_varint(block, at)
            value_len, at = parse_varint(block, at)
        key_end = at + non_shared
        value_end = key_end + value_len
        if value_end > end:
            raise TruncatedError("a row of the table runs past the end of its block",
                                 expected=f"{non_shared + value_len} bytes", got=max(end - at, 0),
                                 offset=start)
        if shared > len(key):
            raise FormatError("a key repeats more of the previous key than there is",
                              expected=f"at most {len(key)} bytes", got=shared, offset=start)
        left -= shared + non_shared
        if left < 0:
            raise FormatError("the keys of the table unfold into more than its size allows",
                              expected=f"at most {KeyBudget.GROWTH} times its size", offset=start)
        key = key[:shared] + block[at:key_end]
        if after is not None and key <= after:
            what = "a key stands twice in" if key == after else "keys are not sorted in"
            raise FormatError(f"{what} the table", offset=start,
                              got=f"{_shown(after)}, then {_shown(key)}")
        yield key, block[key_end:value_end]
        after = key
        at = value_end
        budget.left = left


def _shown(key: bytes) -> str:
    return repr(key if len(key) <= 200 else key[:200] + b"...")


def _restarts_offset(block: bytes) -> int:
    """Where the rows end and the restart points begin."""
    if len(block) < 4:
        raise TruncatedError("a block is too short for its restart count",
                             expected="4 bytes", got=len(block), offset=0)
    count: int = struct.unpack_from("<I", block, len(block) - 4)[0]
    if not count:
        return 0  # claims no restart points: empty, as TensorFlow reads it
    end = len(block) - 4 - 4 * count
    if end < 0:
        raise TruncatedError("a block is too short for its restart points",
                             expected=f"{4 * count + 4} bytes", got=len(block), offset=0)
    return end


BLOCK_SIZE = 262144
RESTART_INTERVAL = 16


def encode_block(rows: Sequence[Row], start: int = 0, *, interval: int = RESTART_INTERVAL,
                 limit: int | None = BLOCK_SIZE) -> tuple[bytes, int]:
    """Encode one block, byte for byte as TensorFlow does.

    Args:
        rows: Rows of a table, ascending by key.
        start: The first row of the block.
        interval: Every how many rows a key is stored whole: 16 in data blocks, 1 in the
            index block.
        limit: Bytes at which the block ends; the index block has no limit.

    Returns:
        The block's contents without a trailer, and the number of the row after its last: a
        block ends when it has reached its size, and a row far larger than that has one of
        its own.

    Example:
        >>> encode_block([(b"a", b"X"), (b"ab", b"Y")])
        (b'\\x00\\x01\\x01aX\\x01\\x01\\x01bY\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00', 2)
    """
    parts: list[bytes] = []
    restarts = [0]
    size = shared = other = since_restart = 0
    end = start
    last = b""
    for end in range(start, len(rows)):
        key, value = rows[end]
        if limit and end > start and len(key) + len(value) >= 2 * limit:
            break
        if since_restart == interval:
            restarts.append(size)
            since_restart = common = 0
        elif end == start:
            common = 0
        else:
            # Most often as much as in one of the rows just before: names come in groups.
            if last[:shared] != key[:shared] or last[shared:shared + 1] == key[shared:shared + 1]:
                shared, other = other, shared
                if (last[:shared] != key[:shared]
                        or last[shared:shared + 1] == key[shared:shared + 1]):
                    shared = shared_prefix(last, key)
            common = shared
        non_shared, value_len = len(key) - common, len(value)
        if (common | non_shared | value_len) < 128:
            parts.append(bytes((common, non_shared, value_len)) + key[common:] + value)
        else:
            parts.append(encode_varint(common) + encode_varint(non_shared)
                         + encode_varint(value_len) + key[common:] + value)
        size += len(parts[-1])
        since_restart += 1
        last = key
        if limit and size + 4 * len(restarts) + 4 >= limit:
            end += 1  # noqa: PLW2901 - the row after the last
            break
    else:
        end = len(rows)
    tail = struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    return b"".join(parts) + tail, end


def shared_prefix(a: bytes, b: bytes) -> int:
    """How many leading bytes two keys have in common.

    Example:
        >>> shared_prefix(b"dense/bias", b"dense/kernel")
        6
    """
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    # Compared as big numbers: the highest bit in which they differ names the byte. An
    # index of 100,000 keys is written three times faster than with a loop over bytes.
    differ = int.from_bytes(a[:n], "big") ^ int.from_bytes(b[:n], "big")
    return n - (differ.bit_length() + 7) // 8
