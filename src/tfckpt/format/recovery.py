"""Damaged tables: what is wrong with each block, and the rows that are still proven.

A table's blocks follow one another from byte 0, and each has a checksum of its own, so one
that is damaged says nothing against the others. Even without the footer or the index block
they can be found: the rows of a block lead to its restart points, these to its end, and the
checksum behind it proves that it was a block. (Compressed blocks can't be followed in that
way; TensorFlow has not compressed them since 1.1.)

A block in which one bit is flipped is put right: its checksum says which bit it is.
"""

from __future__ import annotations

from typing import NamedTuple

from tfckpt.errors import CheckpointError, ChecksumError, FormatError, TruncatedError, located
from tfckpt.format.block import KeyBudget, Row, parse_block
from tfckpt.format.blockscan import Scan, legible_rows
from tfckpt.format.crc32c import masked_crc32c
from tfckpt.format.crcmath import flipped_bit
from tfckpt.format.table import (
    FOOTER_SIZE,
    MAGIC,
    TRAILER_SIZE,
    BlockHandle,
    parse_footer,
    read_block,
)
from tfckpt.format.varint import parse_varint

__all__ = ["Damage", "Recovery", "is_whole", "recover_table"]

_MOST_REPAIRED = 1 << 20  # bytes of blocks in which a flipped bit is looked for, bit by bit


class Damage(NamedTuple):
    """One damaged place of a table.

    Attributes:
        error: What is wrong there.
        rows: Rows that it holds; nothing proves them, unless none is lost.
        lost: Whether rows may be lost by it.
    """

    error: CheckpointError
    rows: tuple[Row, ...] = ()
    lost: bool = False


class Recovery(NamedTuple):
    """What a table file still says.

    Attributes:
        rows: Its proven rows, ascending by key.
        damage: Its damaged places; empty if it is whole.
    """

    rows: list[Row]
    damage: tuple[Damage, ...] = ()


def is_whole(data: bytes) -> bool:
    """Whether every block of a table has the bytes that were written, and the footer its form.

    Rows aren't parsed, which makes this the quickest way to know.

    Example:
        >>> from tfckpt.format.table import encode_table
        >>> table = encode_table([(b"a", b"1")])
        >>> is_whole(table), is_whole(table.replace(b"a", b"b", 1))
        (True, False)
    """
    try:
        metaindex, index = parse_footer(data)
        read_block(data, metaindex)
        end = 0
        for _, value in parse_block(read_block(data, index), KeyBudget(len(data))):
            handle = _parse_handle(value)
            if handle.offset < end:
                return False
            end = handle.offset + handle.size + TRAILER_SIZE
            read_block(data, handle)
    except CheckpointError:
        return False
    return _footer_error(data, metaindex, index) is None


def recover_table(data: bytes) -> Recovery:
    """Read what can be read of a table file.

    Args:
        data: The file's bytes, whatever they are.

    Example:
        >>> from tfckpt.format.table import encode_table
        >>> table = encode_table([(b"a", b"1"), (b"b", b"2")])
        >>> recovery = recover_table(table[:-60])  # no footer, no index block
        >>> recovery.rows, [(type(item.error).__name__, item.lost) for item in recovery.damage]
        ([(b'a', b'1'), (b'b', b'2')], [('TruncatedError', False)])
    """
    reader = _Reader(data)
    handles = reader.read_handles()
    if handles is None:
        reader.scan()
    else:
        reader.read_blocks(handles)
    return Recovery(reader.rows, tuple(reader.damage))


def _parse_handle(value: bytes) -> BlockHandle:
    with located(base=None):
        offset, at = parse_varint(value, 0)
        size, at = parse_varint(value, at)
    return BlockHandle(offset, size)


def _footer_error(data: bytes, metaindex: BlockHandle, index: BlockHandle) -> FormatError | None:
    """What is wrong with those bytes of a footer that nobody reads."""
    used = metaindex.encode() + index.encode()
    start = len(data) - FOOTER_SIZE
    rest = data[start:-len(MAGIC)].removeprefix(used)
    if not rest.strip(b"\0"):
        return None
    return FormatError("the footer of the table is damaged", expected="zeros behind its two"
                       " handles", got=rest.hex(" "), offset=start)


class _Reader:
    """Collects the rows and the damage of one table."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.rows: list[Row] = []
        self.damage: list[Damage] = []
        self._keys = KeyBudget(len(data))
        self._repairable = _MOST_REPAIRED

    def read_handles(self) -> list[BlockHandle] | None:
        """Where the data blocks are by the index block, or None if that can't be read."""
        try:
            metaindex, index = parse_footer(self.data)
        except CheckpointError as error:
            self.damage.append(Damage(error))  # what is lost by it is told by the scan
            return None
        wrong = _footer_error(self.data, metaindex, index)
        if wrong is not None:
            self.damage.append(Damage(wrong))
        try:
            read_block(self.data, metaindex)  # it holds nothing
        except CheckpointError as error:
            if wrong is None:  # else it is probably the handle that is
                self.damage.append(Damage(error))
        content, problem = self._read(index)
        try:
            if content is not None:
                rows = parse_block(content, KeyBudget(len(self.data)))
                handles = [_parse_handle(value) for _, value in rows]
        except CheckpointError as error:
            content, problem = None, problem or error
        if problem is not None and wrong is None:
            self.damage.append(Damage(problem))
        return None if content is None else handles

    def read_blocks(self, handles: list[BlockHandle]) -> None:
        """The rows of these data blocks."""
        end = 0
        for handle in handles:
            if handle.offset < end:  # and so nothing is read twice
                self.damage.append(Damage(FormatError(
                    "blocks of the table overlap", expected=f"an offset from {end}",
                    got=handle.offset, offset=min(handle.offset, len(self.data))), lost=True))
                continue
            end = min(handle.offset + handle.size, len(self.data)) + TRAILER_SIZE
            content, problem = self._read(handle)
            self._take(self.data[handle.offset:handle.offset + handle.size], handle.offset,
                       content, problem)

    def _take(self, stored: bytes, offset: int, content: bytes | None,
              problem: CheckpointError | None) -> None:
        """Add the rows of one block, or what can be made out of them."""
        lost = content is None
        rows: list[Row] = []
        if content is not None:
            try:
                with located(base=offset):
                    after = self.rows[-1][0] if self.rows else None
                    rows = parse_block(content, self._keys, after)
            except CheckpointError as error:
                problem, lost = problem or error, True
        self.rows += rows
        if problem is not None:
            self.damage.append(Damage(problem, tuple(rows or legible_rows(stored)), lost))

    def _read(self, handle: BlockHandle) -> tuple[bytes | None, CheckpointError | None]:
        """Contents of a block, a flipped bit put right, and what is wrong with it."""
        try:
            return read_block(self.data, handle), None
        except ChecksumError as error:
            return self._repair(handle, error), error
        except CheckpointError as error:
            return None, error

    def _repair(self, handle: BlockHandle, error: ChecksumError) -> bytes | None:
        end = handle.offset + handle.size + 1
        block = bytearray(self.data[handle.offset:end])
        if len(block) > self._repairable:
            return None
        self._repairable -= len(block)
        bit = flipped_bit(bytes(block), int.from_bytes(self.data[end:end + 4], "little"))
        if bit is None:
            return None
        if bit < 8 * len(block):
            block[bit // 8] ^= 1 << bit % 8
        error.hint = (f"One bit is flipped: bit {bit % 8} of byte {handle.offset + bit // 8}."
                      " `tfckpt salvage` puts it right.")
        block += masked_crc32c(bytes(block)).to_bytes(4, "little")
        try:
            return read_block(bytes(block), BlockHandle(0, handle.size))
        except CheckpointError:
            return None

    def scan(self) -> None:
        """The rows of all blocks that can be found without the index block."""
        found, gaps = Scan(self.data).run()
        starts = {start for start, _ in found}
        for start, end in reversed(found):
            handles = _as_handles(self.data[start:end])
            if starts.intersection(handle.offset for handle in handles):
                self.read_blocks(handles)  # only the way to the index block was lost
                return
        for start, end in found:
            content = self.data[start:end]
            if _as_handles(content):
                continue
            self._take(content, start, content, None)
        for start, end in gaps:
            error = TruncatedError("no whole block of the table is here", offset=start,
                                   got=f"{end - start} bytes")
            rows = legible_rows(self.data[start:end])
            self.damage.append(Damage(error, tuple(rows), lost=True))


def _as_handles(block: bytes) -> list[BlockHandle]:
    """The handles in an index block; none if it is a data block."""
    handles = []
    try:
        for _, value in parse_block(block):
            handles.append(_parse_handle(value))
            if handles[-1].encode() != value:
                return []
    except CheckpointError:
        return []
    return handles
