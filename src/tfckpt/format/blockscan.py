"""Damaged parts of a table, read by the form of blocks and rows alone."""

from __future__ import annotations

from itertools import pairwise

from tfckpt.errors import FormatError
from tfckpt.format.block import Row
from tfckpt.format.crc32c import masked_crc32c
from tfckpt.format.table import TRAILER_SIZE
from tfckpt.format.varint import parse_varint

__all__ = ["Scan", "legible_rows"]

_LONGEST_KEY = 1 << 16
_EMPTY = bytes.fromhex("0000000001000000")  # a block without rows


def legible_rows(block: bytes) -> list[Row]:
    """Rows of a damaged block as far as they can be made out, from one restart to the next."""
    rows: list[Row] = []
    restarts = _restarts(block)
    for start, end in pairwise(restarts):
        key, at = b"", start
        while at < end:
            try:
                shared, at = parse_varint(block, at)
                non_shared, at = parse_varint(block, at)
                value_len, at = parse_varint(block, at)
            except FormatError:
                break
            value_end = at + non_shared + value_len
            if shared > len(key) or value_end > end or shared + non_shared > _LONGEST_KEY:
                break
            key = key[:shared] + block[at:at + non_shared]
            if not rows or key > rows[-1][0]:
                rows.append((key, block[at + non_shared:value_end]))
            at = value_end
    return rows


def _restarts(block: bytes) -> list[int]:
    """Where whole keys stand in a block, and where its rows end."""
    count = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * count
    if count and end > 0:
        points = [int.from_bytes(block[at:at + 4], "little")
                  for at in range(end, len(block) - 4, 4)]
        if points[0] == 0 and sorted(set(points)) == points and points[-1] < end:
            return [*points, end]
    return [0, len(block)]


class Scan:
    """Finds the blocks of a table by their own form."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._steps = 100_000 + len(data)  # bounds the work on bytes made to mislead

    def run(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Start and end of each proven block with rows, and of what lies between them.

        Behind the last data block stands one without rows, the metaindex; what follows that
        isn't reported.
        """
        found: list[tuple[int, int]] = []
        gaps: list[tuple[int, int]] = []
        at = free = 0  # `free`: where the last proven block ended
        while 0 <= at < len(self._data) and self._steps > 0:
            end = self._block_end(at)
            if end is None:
                at = self._data.find(b"\0", at + 1)  # a block's first row repeats no key
                continue
            if free < at:
                gaps.append((free, at))
            if self._data[at:end] != _EMPTY:
                found.append((at, end))
            at = free = end + TRAILER_SIZE
        if not any(self._data.startswith(_EMPTY, end + TRAILER_SIZE) for _, end in found[-2:]):
            gaps.append((free, len(self._data)))  # without the metaindex, there may be more
        return found, gaps

    def _block_end(self, start: int) -> int | None:
        """Where the block that begins here ends, if one does."""
        data, at = self._data, start
        if data[at:at + 3] == b"\0\0\0":
            return self._restarts_end(start, at)
        while True:
            self._steps -= 1
            try:
                shared, at = parse_varint(data, at)
                non_shared, at = parse_varint(data, at)
                value_len, at = parse_varint(data, at)
            except FormatError:
                return None
            if not shared | non_shared | value_len:
                return self._restarts_end(start, at - 3)
            at += non_shared + value_len
            if at > len(data) or self._steps < 0 or (shared and at == start):
                return None

    def _restarts_end(self, start: int, restarts: int) -> int | None:
        """The end of a block by its restart points, which begin here with 0, and their count."""
        data = self._data
        before, count = -1, 0
        for at in range(restarts, len(data) - 4 - TRAILER_SIZE + 1, 4):
            self._steps -= 1
            number = int.from_bytes(data[at:at + 4], "little")
            end = at + 4
            if count and number == count and data[end] == 0 and \
                    int.from_bytes(data[end + 1:end + 5], "little") == masked_crc32c(
                        data[start:end + 1]):
                return end
            if number <= before or number > restarts - start or (not count and number):
                return None
            before, count = number, count + 1
        return None
