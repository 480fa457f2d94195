from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import GOLDENS
from tfckpt.errors import CheckpointError, ChecksumError, FormatError, TruncatedError
from tfckpt.format.block import BLOCK_SIZE, KeyBudget, encode_block, parse_block
from tfckpt.format.crc32c import masked_crc32c
from tfckpt.format.table import (
    MAGIC,
    BlockHandle,
    encode_table,
    parse_footer,
    parse_table,
    short_successor,
    shortest_separator,
)

EMPTY = bytes.fromhex("0000000001000000")

BLOCKS = [
    ([], "00000000 01000000"),
    ([(b"", b"h")], "00 00 01 68 00000000 01000000"),
    ([(b"a", b"X"), (b"ab", b"Y")], "00 01 01 61 58 01 01 01 62 59 00000000 01000000"),
    ([(b"k", b"v" * 200)], "00 01 c8 01 6b" + "76" * 200 + "00000000 01000000"),
]


@pytest.mark.parametrize(("rows", "data"), BLOCKS)
def test_blocks_both_ways(rows, data):
    assert (bytes.fromhex(data), len(rows)) == encode_block(rows)
    assert rows == parse_block(bytes.fromhex(data))


def test_every_sixteenth_key_is_stored_whole():
    rows = [(b"same/%02d" % n, b"") for n in range(33)]
    block, _ = encode_block(rows)
    assert struct.unpack("<I", block[-4:]) == (3,)
    restarts = struct.unpack("<3I", block[-16:-4])
    assert [block[r + 3:r + 10] for r in restarts] == [b"same/00", b"same/16", b"same/32"]
    assert rows == parse_block(block)


def test_behaviour_114_a_block_that_claims_no_restart_points_is_empty():
    assert parse_block(b"\0\1\1aX" + struct.pack("<I", 0)) == []


SEPARATORS = [
    (b"dense_1/bias", b"dense_3/bias", b"dense_2"),
    (b"dense_1/bias", b"dense_2/bias", b"dense_1/bias"),
    (b"a", b"ab", b"a"),
    (b"a\xff", b"b", b"a\xff"),
    (b"abc", b"abd", b"abc"),
    (b"", b"a", b""),
]


@pytest.mark.parametrize(("last", "following", "separator"), SEPARATORS)
def test_separators_of_the_index_block(last, following, separator):
    assert separator == shortest_separator(last, following)


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_a_separator_lies_between_its_keys(a, b):
    last, following = sorted((a, b))
    if last < following:
        assert last <= shortest_separator(last, following) < following
    assert short_successor(last) >= last


@pytest.mark.parametrize(("key", "successor"), [
    (b"scoped/c", b"t"), (b"\xff\xffa", b"\xff\xffb"), (b"\xff\xff", b"\xff\xff"), (b"", b"")])
def test_successors_of_the_last_key(key, successor):
    assert successor == short_successor(key)


keys = st.binary(max_size=40) | st.sampled_from([b"", b"a", b"a/b", b"\xff" * 5, b"\0\xff\1"])


@given(st.dictionaries(keys, st.binary(max_size=60)))
def test_behaviour_113_any_table_comes_back(table):
    rows = sorted(table.items())
    assert rows == parse_table(encode_table(rows))


def test_behaviour_113_a_value_of_ten_megabytes():
    rows = [(b"", b"h"), (b"a", b"small"), (b"big", bytes(10_000_000)), (b"c", b"small")]
    data = encode_table(rows)
    assert rows == parse_table(data)
    # A row far above the block size has a block of its own.
    _, index = parse_footer(data)
    assert len(parse_block(data[index.offset:index.offset + index.size])) == 3


def test_a_block_is_flushed_when_it_reaches_its_size():
    rows = [(b"%06d" % n, b"v" * 90) for n in range(6000)]
    data = encode_table(rows)
    _, index = parse_footer(data)
    sizes = []
    for _, value in parse_block(data[index.offset:index.offset + index.size]):
        handle = BlockHandle(*_varints(value))
        sizes.append(handle.size)
    assert rows == parse_table(data)
    assert len(sizes) == 3
    assert all(BLOCK_SIZE <= size < BLOCK_SIZE + 120 for size in sizes[:-1])


def _varints(data):
    from tfckpt.format.varint import parse_varint

    first, at = parse_varint(data)
    return first, parse_varint(data, at)[0]


@pytest.mark.parametrize("path", sorted(GOLDENS.glob("*/*.index")), ids=lambda p: p.name)
def test_tables_that_tensorflow_wrote_are_written_again_byte_for_byte(path):
    data = path.read_bytes()
    assert data == encode_table(parse_table(data))


@pytest.mark.parametrize("rows", [[(b"b", b""), (b"a", b"")], [(b"a", b""), (b"a", b"")]])
def test_a_table_is_written_in_ascending_order_only(rows):
    with pytest.raises(FormatError, match="keys of a table must be ascending"):
        encode_table(rows)


def table_of_blocks(*blocks: bytes, kind: int = 0) -> bytes:
    """A table file whose data blocks have these contents, right or wrong."""
    out, index = b"", []
    for n, block in enumerate(blocks):
        handle = BlockHandle(len(out), len(block))
        index.append((b"%03d" % n, handle.encode()))
        stored = block + bytes([kind])
        out += stored + struct.pack("<I", masked_crc32c(stored))
    handles = b""
    for block in (EMPTY, encode_block(index, interval=1)[0]):
        handles += BlockHandle(len(out), len(block)).encode()
        out += block + b"\0" + struct.pack("<I", masked_crc32c(block + b"\0"))
    return out + handles.ljust(40, b"\0") + MAGIC


ENDS = struct.pack("<II", 0, 1)
DAMAGED_BLOCKS = [
    (b"\0\1\1aX\0\1\1aY" + ENDS, FormatError,
     "a key stands twice in the table: got b'a', then b'a' (byte 5)"),
    (b"\0\1\1bX\0\1\1aY" + ENDS, FormatError,
     "keys are not sorted in the table: got b'b', then b'a' (byte 5)"),
    (b"\0\1\1aX\2\1\1bY" + ENDS, FormatError,
     "a key repeats more of the previous key than there is: expected at most 1 bytes, got 2"
     " (byte 5)"),
    (b"\0\5\1aX" + ENDS, TruncatedError,
     "a row of the table runs past the end of its block: expected 6 bytes, got 2 (byte 0)"),
    (b"\0", TruncatedError,
     "a block is too short for its restart count: expected 4 bytes, got 1 (byte 0)"),
    (b"\0\1\1aX" + struct.pack("<I", 99), TruncatedError,
     "a block is too short for its restart points: expected 400 bytes, got 9 (byte 0)"),
]


@pytest.mark.parametrize(("block", "kind", "message"), DAMAGED_BLOCKS)
def test_damaged_blocks_say_what_and_where(block, kind, message):
    with pytest.raises(kind) as caught:
        parse_table(table_of_blocks(block))
    assert message == str(caught.value)


def test_offsets_in_messages_count_from_the_start_of_the_file():
    good, _ = encode_block([(b"a", b"1")])
    bad = b"\0\1\1cX\0\1\1bY" + ENDS
    with pytest.raises(FormatError) as caught:
        parse_table(table_of_blocks(good, bad))
    assert len(good) + 5 + 5 == caught.value.offset


def test_order_holds_across_blocks():
    first, second = (encode_block([(key, b"")])[0] for key in (b"b", b"a"))
    with pytest.raises(FormatError, match="keys are not sorted in the table"):
        parse_table(table_of_blocks(first, second))


def test_an_unknown_compression_is_an_error():
    with pytest.raises(FormatError, match=r"expected 0 \(none\) or 1 \(Snappy\), got 7"):
        parse_table(table_of_blocks(EMPTY, kind=7))


def test_snappy_blocks_are_read():
    import cramjam

    rows = [(b"name/%03d" % n, b"value") for n in range(100)]
    block = bytes(cramjam.snappy.compress_raw(encode_block(rows)[0]))
    assert rows == parse_table(table_of_blocks(block, kind=1))


def test_a_snappy_block_can_not_claim_gigabytes():
    with pytest.raises(FormatError, match="claims more than Snappy can hold"):
        parse_table(table_of_blocks(b"\xff\xff\xff\xff\x0f" + bytes(20), kind=1))


def test_a_damaged_snappy_block_is_an_error():
    with pytest.raises(FormatError, match="a compressed block is damaged"):
        parse_table(table_of_blocks(b"\x05\xff\xff", kind=1))


def test_a_block_can_not_be_read_twice():
    content = encode_block([(b"a", b"1")])[0] + b"\0"
    out = content + struct.pack("<I", masked_crc32c(content))
    index = [(b"%d" % n, BlockHandle(0, len(content) - 1).encode()) for n in range(3)]
    handles = b""
    for part in (EMPTY, encode_block(index, interval=1)[0]):
        handles += BlockHandle(len(out), len(part)).encode()
        out += part + b"\0" + struct.pack("<I", masked_crc32c(part + b"\0"))
    with pytest.raises(FormatError, match="blocks of the table overlap"):
        parse_table(out + handles.ljust(40, b"\0") + MAGIC)


def test_keys_can_not_unfold_without_bound():
    # Each row repeats the key before it and adds a byte: n rows stand for n²/2 bytes.
    block = b"\0\x0a\0" + b"k" * 10
    length = 10
    for _ in range(40_000):
        shared = length.to_bytes(1, "little") if length < 128 else bytes(
            [length & 0x7F | 0x80, length >> 7]) if length < 1 << 14 else bytes(
            [length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14])
        block += shared + b"\1\0z"
        length += 1
    budget = KeyBudget(0)
    with pytest.raises(FormatError, match="unfold into more than its size allows"):
        parse_block(block + ENDS, budget)


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_every_flipped_bit_of_a_block_is_found(bit):
    data = (GOLDENS / "tf1.15" / "names.index").read_bytes()
    _, index = parse_footer(data)
    covered = index.offset + index.size + 5
    for at in range(covered):
        damaged = bytearray(data)
        damaged[at] ^= 1 << bit
        with pytest.raises(CheckpointError):
            parse_table(bytes(damaged))


def test_a_flipped_bit_names_both_checksums_and_the_block():
    data = bytearray((GOLDENS / "tf1.15" / "names.index").read_bytes())
    data[20] ^= 1
    with pytest.raises(ChecksumError) as caught:
        parse_table(bytes(data))
    assert str(caught.value).startswith("block checksum does not match: expected 0x")
    assert caught.value.offset == 0


@pytest.mark.parametrize("path", sorted(GOLDENS.glob("*/*.index")), ids=lambda p: p.name)
def test_an_index_cut_at_any_length_is_an_error(path):
    data = path.read_bytes()
    for length in range(len(data)):
        with pytest.raises(FormatError):
            parse_table(data[:length])
