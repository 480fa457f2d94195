"""Table files: sorted key-value tables in LevelDB's layout, as TensorFlow writes them.

    ============== ==========================================================
    part           contents
    ============== ==========================================================
    data blocks    the rows, in ascending order of their keys
    metaindex      a block without rows
    index block    one row per data block: a separator key and a block handle
    footer         48 bytes: two handles, zeros to byte 40, the magic number
    ============== ==========================================================

Behind each block stand five bytes: its type (0 raw, 1 Snappy) and, as fixed32, the masked
CRC32C of the stored bytes and that type. A block handle is two varints, offset and size;
the size leaves out those five bytes. A separator key is any key between the last of its
block and the first of the next, and is never a key of the table.

Source: tsl/lib/io/{format,table,table_builder}.cc. It is a LevelDB *table*, not a LevelDB
database.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tfckpt.errors import (
    CheckpointError,
    ChecksumError,
    FormatError,
    TruncatedError,
    located,
)
from tfckpt.format.block import (
    BLOCK_SIZE,
    KeyBudget,
    Row,
    encode_block,
    parse_block,
    seek_row,
    shared_prefix,
)
from tfckpt.format.crc32c import crc32c, mask, masked_crc32c
from tfckpt.format.snappy import decompress
from tfckpt.format.varint import encode_varint, parse_varint

if TYPE_CHECKING:
    from tfckpt.format.runs import Spans

__all__ = ["FOOTER_SIZE", "MAGIC", "BlockHandle", "Table", "encode_table", "encode_table_in_parts",
           "has_magic",
           "parse_footer", "parse_table", "read_block", "table_of"]

FOOTER_SIZE = 48
MAGIC = bytes.fromhex("57fb808b247547db")  # 0xdb4775248b80fb57, little-endian
TRAILER_SIZE = 5
_CUT = "It was cut short or is damaged; `tfckpt verify` says what is whole."
_RAW, _SNAPPY = 0, 1
# Bytes of a table from which numpy is quicker; importing it takes as long as parsing 2 MiB.
_WORTH_NUMPY = 64 << 10
_WORTH_IMPORTING_NUMPY = 3 << 20
_MANY_ROWS = 2000


class BlockHandle(NamedTuple):
    """Where a block is: byte offset and byte count, without its trailer."""

    offset: int
    size: int

    def encode(self) -> bytes:
        """The handle as two varints."""
        return encode_varint(self.offset) + encode_varint(self.size)


def has_magic(data: bytes) -> bool:
    """Whether the bytes end as a table file does."""
    return data[-len(MAGIC):] == MAGIC


def parse_table(data: bytes) -> list[Row]:
    """Parse a whole table file into its rows, checking every block's CRC.

    Args:
        data: The file's bytes.

    Returns:
        ``(key, value)`` of each row, ascending by key.

    Raises:
        CheckpointError: As for `Table`.
    """
    return list(zip(*table_of(data).columns(), strict=True))


def table_of(data: bytes) -> Table:
    """A table whose file is in memory."""
    return Table(lambda offset, n_bytes: data[offset:offset + n_bytes], len(data))


class Table:
    """A table file, read a block at a time.

    Args:
        read: Gives these bytes of the file: offset and count.
        size: The file's bytes.

    Attributes:
        metaindex: Where the block without rows is.

    Raises:
        TruncatedError: The file is too short for what it announces.
        ChecksumError: A block's bytes are not those that were written.
        FormatError: It isn't a table, or its rows aren't in ascending order.

    Example:
        >>> table = table_of(encode_table([(b"", b"header"), (b"a", b"1")]))
        >>> table.get(b"a"), table.get(b"b")
        (b'1', None)
    """

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read = read
        self._size = size
        tail = read(max(size - FOOTER_SIZE, 0), min(size, FOOTER_SIZE))
        with located(base=max(size - FOOTER_SIZE, 0)):
            self.metaindex, index = parse_footer(tail)
        self._index = self.read_block(index)
        self._index_base = self._base(index)
        self._last: tuple[int, bytes] = -1, b""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None if there is none; reads only the block it would be in."""
        handle = self._block_of(key)
        row = None if handle is None else self._seek_in(handle, key)
        return row[1] if row is not None and row[0] == key else None

    def seek(self, key: bytes) -> Row | None:
        """The first row whose key isn't below this one, or None behind the last."""
        handle = self._block_of(key)
        if handle is None:
            return None
        row = self._seek_in(handle, key)
        if row is None:  # between the last key of its block and the separator behind that
            following = (h for h in self.handles() if h.offset > handle.offset)
            row = next((row for h in following if (row := self._seek_in(h, key)) is not None), None)
        return row

    def offset_of(self, key: bytes) -> int | None:
        """Byte offset of the block that has this key, or would have it if it weren't damaged."""
        handle = self._block_of(key)
        try:
            return None if handle is None or self.get(key) is None else handle.offset
        except CheckpointError:
            return handle.offset if handle else None

    def columns(self) -> tuple[list[bytes], list[bytes] | Spans]:
        """Keys and values of all rows, every block checked."""
        self.read_block(self.metaindex)  # empty, but its CRC covers bytes that verify must cover
        handles = list(self.handles())
        blocks = [self.read_block(handle) for handle in handles]
        if self._size >= (_WORTH_NUMPY if "numpy" in sys.modules else _WORTH_IMPORTING_NUMPY):
            from tfckpt.format.runs import parse_runs  # deferred: most tables are small

            columns = parse_runs(blocks)
            if columns is not None:
                return columns
        budget = KeyBudget(self._size)
        rows: list[Row] = []
        for handle, block in zip(handles, blocks, strict=True):
            with located(base=self._base(handle)):
                rows += parse_block(block, budget, after=rows[-1][0] if rows else None)
        return [key for key, _ in rows], [value for _, value in rows]

    def handles(self) -> Iterator[BlockHandle]:
        """Where the data blocks are, in the order of their keys."""
        with located(base=self._index_base):
            index_rows = parse_block(self._index, KeyBudget(self._size))
        end = 0
        for _, value in index_rows:
            with located(base=None):
                handle, _ = _parse_handle(value, 0)
            # Blocks that follow one another also can't be read twice, so a small file can't
            # make a reader work for long.
            if handle.offset < end:
                raise FormatError("blocks of the table overlap", expected=f"an offset from {end}",
                                  got=handle.offset, offset=handle.offset)
            end = handle.offset + handle.size + TRAILER_SIZE
            yield handle

    def _block_of(self, key: bytes) -> BlockHandle | None:
        with located(base=self._index_base):
            row = seek_row(self._index, key)
        if row is None:
            return None
        with located(base=None):
            return _parse_handle(row[1], 0)[0]

    def _seek_in(self, handle: BlockHandle, key: bytes) -> Row | None:
        if self._last[0] != handle.offset:  # who asks for one key often asks for its neighbour
            self._last = handle.offset, self.read_block(handle)
        with located(base=self._base(handle)):
            return seek_row(self._last[1], key)

    def _base(self, handle: BlockHandle) -> int | None:
        """Where offsets inside a block count from; nowhere if it is compressed."""
        return None if self._read(handle.offset + handle.size, 1) != b"\0" else handle.offset

    def read_block(self, handle: BlockHandle) -> bytes:
        """Contents of one block; see the function `read_block`."""
        return _contents(self._read, self._size, handle)


def read_block(data: bytes, handle: BlockHandle) -> bytes:
    """Contents of one block of a file in memory, checked and uncompressed.

    Raises:
        TruncatedError: The handle points past the end of the file.
        ChecksumError: The stored CRC and the bytes disagree.
        FormatError: The block type is unknown, or the compression damaged.
    """
    return _contents(lambda offset, n_bytes: data[offset:offset + n_bytes], len(data), handle)


def _contents(read: Callable[[int, int], bytes], size: int, handle: BlockHandle) -> bytes:
    end = handle.offset + handle.size
    if end + TRAILER_SIZE > size:
        raise TruncatedError("a block of the table runs past the end of the file",
                             expected=f"{end + TRAILER_SIZE} bytes", got=size,
                             offset=min(handle.offset, size))
    block = read(handle.offset, handle.size)
    trailer = read(end, TRAILER_SIZE)
    stored = int.from_bytes(trailer[1:], "little")
    computed = mask(crc32c(trailer[:1], crc32c(block)))
    if stored != computed:
        raise ChecksumError("block checksum does not match", expected=f"{stored:#010x} as stored",
                            got=f"{computed:#010x} from the bytes", offset=handle.offset)
    kind = trailer[0]
    if kind == _RAW:
        return block
    if kind == _SNAPPY:
        with located(base=None):
            return decompress(block)
    raise FormatError("a block has an unknown compression type", expected="0 (none) or 1 (Snappy)",
                      got=kind, offset=end)


def parse_footer(data: bytes) -> tuple[BlockHandle, BlockHandle]:
    """Handles of the metaindex block and of the index block."""
    if len(data) < FOOTER_SIZE:
        raise TruncatedError("the file is too short for a table", offset=0,
                             expected=f"at least {FOOTER_SIZE} bytes", got=len(data),
                             hint=_CUT)
    start = len(data) - FOOTER_SIZE
    if not has_magic(data):
        raise FormatError("not a table file: the magic number at its end is missing",
                          expected=MAGIC.hex(), got=data[-len(MAGIC):].hex(),
                          offset=len(data) - len(MAGIC), hint=_CUT)
    with located(base=start):
        footer = data[start:start + 40]
        metaindex, at = _parse_handle(footer, 0)
        index, _ = _parse_handle(footer, at)
    return metaindex, index


def _parse_handle(data: bytes, offset: int) -> tuple[BlockHandle, int]:
    block_offset, offset = parse_varint(data, offset)
    size, offset = parse_varint(data, offset)
    return BlockHandle(block_offset, size), offset


def encode_table(rows: Iterable[Row]) -> bytes:
    """Encode rows as a table file, byte for byte as TensorFlow does.

    Args:
        rows: ``(key, value)``, ascending by key.

    Raises:
        FormatError: The keys are not in ascending order.

    Example:
        >>> parse_table(encode_table([(b"", b"header"), (b"a", b"1")]))
        [(b'', b'header'), (b'a', b'1')]
    """
    rows = list(rows)
    out = bytearray()
    index: list[Row] = []
    for content, end in _encode_blocks(rows):
        handle = _write_block(out, content)
        last = rows[end - 1][0]
        separator = (shortest_separator(last, rows[end][0]) if end < len(rows)
                     else short_successor(last))
        index.append((separator, handle.encode()))
    metaindex = _write_block(out, encode_block([])[0])
    index_block, _ = encode_block(index, interval=1, limit=None)
    handles = metaindex.encode() + _write_block(out, index_block).encode()
    return bytes(out) + handles.ljust(FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC


def encode_table_in_parts(rows: Iterable[Row]) -> Iterator[bytes]:
    """Encode rows as a table file, as `encode_table`, without holding more than a few blocks.

    Args:
        rows: ``(key, value)``, ascending by key.

    Yields:
        The file's bytes, one part after another.

    Raises:
        FormatError: The keys are not in ascending order.
    """
    pending: list[Row] = []
    index: list[Row] = []
    at = size = 0

    def next_block() -> bytes:
        nonlocal at, pending, size
        content, end = encode_block(pending)
        key = pending[end - 1][0]
        separator = (shortest_separator(key, pending[end][0]) if end < len(pending)
                     else short_successor(key))
        index.append((separator, BlockHandle(at, len(content)).encode()))
        pending = pending[end:]
        size = sum(len(key) + len(value) for key, value in pending)
        stored = _stored(content)
        at += len(stored)
        return stored

    for row in rows:
        if pending and row[0] <= pending[-1][0]:
            raise FormatError("keys of a table must be ascending",
                              got=f"{pending[-1][0][:200]!r}, then {row[0][:200]!r}")
        pending.append(row)
        size += len(row[0]) + len(row[1])
        # Twice the size of a block: its end is surely among the rows, and more behind it.
        while size >= 2 * BLOCK_SIZE and len(pending) > 1:
            yield next_block()
    while pending:
        yield next_block()
    metaindex = _stored(encode_block([])[0])
    index_block = encode_block(index, interval=1, limit=None)[0]
    handles = (BlockHandle(at, len(metaindex) - TRAILER_SIZE).encode()
               + BlockHandle(at + len(metaindex), len(index_block)).encode())
    yield metaindex + _stored(index_block)
    yield handles.ljust(FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC


def _encode_blocks(rows: list[Row]) -> Iterator[tuple[bytes, int]]:
    """Contents of each data block, and the number of the row after its last."""
    if len(rows) >= (_MANY_ROWS if "numpy" in sys.modules else 100 * _MANY_ROWS):
        from tfckpt.format.layout import lay_out  # deferred: most tables are small

        blocks = lay_out([key for key, _ in rows], [value for _, value in rows])
        if blocks is not None:
            yield from blocks
            return
    for (before, _), (key, _) in pairwise(rows):
        if key <= before:
            raise FormatError("keys of a table must be ascending",
                              got=f"{before[:200]!r}, then {key[:200]!r}")
    at = 0
    while at < len(rows):
        content, at = encode_block(rows, at)
        yield content, at


def _write_block(out: bytearray, content: bytes) -> BlockHandle:
    handle = BlockHandle(len(out), len(content))
    out += _stored(content)
    return handle


def _stored(content: bytes) -> bytes:
    """A block with its type and checksum."""
    stored = content + bytes([_RAW])
    return stored + struct.pack("<I", masked_crc32c(stored))


def shortest_separator(last: bytes, following: bytes) -> bytes:
    """A short key that is not below ``last`` and below ``following``.

    Example:
        >>> shortest_separator(b"dense_1/bias", b"dense_3/bias")
        b'dense_2'
    """
    same = shared_prefix(last, following)
    if same < min(len(last), len(following)):
        byte = last[same]
        if byte < 0xFF and byte + 1 < following[same]:
            return last[:same] + bytes([byte + 1])
    return last


def short_successor(last: bytes) -> bytes:
    """A short key that is not below ``last``.

    Example:
        >>> short_successor(b"scoped/c")
        b't'
    """
    for at, byte in enumerate(last):
        if byte != 0xFF:
            return last[:at] + bytes([byte + 1])
    return last
