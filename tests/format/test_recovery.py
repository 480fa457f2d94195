"""Tables with damage: whatever is whole comes back, and what isn't is told."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfckpt.format.block import encode_block
from tfckpt.format.crc32c import crc32c, masked_crc32c
from tfckpt.format.crcmath import combine_crc32c, flipped_bit
from tfckpt.format.recovery import is_whole, recover_table
from tfckpt.format.table import FOOTER_SIZE, MAGIC, BlockHandle, encode_table

ROWS = [(b"", b"\x08\x01\x1a\x02\x08\x01")] + [
    (b"layer_%03d/kernel" % n, bytes([8, 1, 18, 0, 32, n, 40, 4, 53]) + n.to_bytes(4, "big"))
    for n in range(40)]


def blocks_of(rows, per_block) -> tuple[bytes, list[tuple[int, int]]]:
    """A table of small blocks, and where each begins and ends with its trailer."""
    out, places, index = bytearray(), [], []

    def write(content):
        handle = BlockHandle(len(out), len(content))
        out.extend(content + b"\0" + masked_crc32c(content + b"\0").to_bytes(4, "little"))
        return handle

    for at in range(0, len(rows), per_block):
        part = rows[at:at + per_block]
        handle = write(encode_block(part, limit=None)[0])
        places.append((handle.offset, len(out)))
        index.append((part[-1][0] + b"\xff", handle.encode()))
    handles = write(encode_block([])[0]).encode()
    handles += write(encode_block(index, interval=1, limit=None)[0]).encode()
    return bytes(out) + handles.ljust(FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC, places


SMALL, PLACES = blocks_of(ROWS, 8)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_a_checksum_is_put_together_from_those_of_two_pieces(first, second):
    assert combine_crc32c(crc32c(first), crc32c(second), len(second)) == crc32c(first + second)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_flipped_bit_is_found(data, draw):
    bit = draw.draw(st.integers(0, 8 * len(data) + 31))
    stored = masked_crc32c(data)
    damaged = bytearray(data + stored.to_bytes(4, "little"))
    damaged[bit // 8] ^= 1 << bit % 8
    assert bit == flipped_bit(bytes(damaged[:-4]), int.from_bytes(damaged[-4:], "little"))


def test_two_flipped_bits_are_not_taken_for_one():
    data = bytes(range(200))
    stored = masked_crc32c(data)
    for one, other in [(0, 1), (0, 1599), (7, 800), (300, 301)]:
        damaged = bytearray(data)
        damaged[one // 8] ^= 1 << one % 8
        damaged[other // 8] ^= 1 << other % 8
        assert flipped_bit(bytes(damaged), stored) is None


@pytest.mark.parametrize("table", [SMALL, encode_table(ROWS), encode_table([]),
                                   encode_table(ROWS[:1])], ids=["small", "one", "none", "header"])
def test_a_whole_table_has_no_damage(table):
    assert is_whole(table)
    recovery = recover_table(table)
    assert recovery.damage == ()
    assert recovery.rows == (ROWS if len(table) > 300 else ROWS[:len(recovery.rows)])


def test_every_flipped_bit_is_noticed_and_put_right():
    for bit in range(8 * len(SMALL)):
        damaged = bytearray(SMALL)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not is_whole(bytes(damaged)), bit
        recovery = recover_table(bytes(damaged))
        assert recovery.damage, bit
        assert recovery.rows == ROWS, bit
        assert not any(item.lost for item in recovery.damage), bit


def test_a_damaged_block_costs_its_own_rows_and_their_names_are_legible():
    for n, (start, end) in enumerate(PLACES):
        damaged = bytearray(SMALL)
        damaged[end - 25:end - 22] = b"\xff\xff\xff"  # in the value of the last row
        recovery = recover_table(bytes(damaged))
        lost = ROWS[8 * n:8 * n + 8]
        assert recovery.rows == ROWS[:8 * n] + ROWS[8 * n + 8:]
        damage, = recovery.damage
        assert damage.lost
        assert damage.error.message == "block checksum does not match"
        assert damage.error.offset == start
        assert [key for key, _ in damage.rows][:7] == [key for key, _ in lost][:7]


@pytest.mark.parametrize("n_bytes", [1, 8, 9, 47, 48, 49, 60])
def test_without_footer_or_index_block_the_blocks_are_found(n_bytes):
    recovery = recover_table(SMALL[:-n_bytes])
    assert recovery.rows == ROWS
    assert recovery.damage
    assert not any(item.lost for item in recovery.damage)


def test_cut_at_each_length_the_whole_blocks_remain():
    for length in range(len(SMALL) - FOOTER_SIZE):
        recovery = recover_table(SMALL[:length])
        n_blocks = sum(end <= length for _, end in PLACES)
        assert recovery.rows == ROWS[:8 * n_blocks], length
        assert any(item.lost for item in recovery.damage) == (length < PLACES[-1][1] + 8), length


def test_a_table_without_its_beginning():
    recovery = recover_table(SMALL[PLACES[1][0] + 3:])
    assert recovery.rows == ROWS[16:]
    assert any(item.lost for item in recovery.damage)


def test_a_damaged_block_and_no_footer():
    damaged = bytearray(SMALL[:-60])
    damaged[PLACES[2][0] + 30:PLACES[2][0] + 33] = b"\xff\0\xff"
    recovery = recover_table(bytes(damaged))
    assert recovery.rows == ROWS[:16] + ROWS[24:]
    first, second = recovery.damage
    assert not first.lost
    assert str(second.error) == ("no whole block of the table is here: got"
                                 f" {PLACES[2][1] - PLACES[2][0]} bytes (byte {PLACES[2][0]})")


@given(st.data())
def test_whatever_the_bytes_the_rows_are_of_the_table(draw):
    damaged = bytearray(SMALL)
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(damaged) - 1))
        damaged[at:at + draw.draw(st.integers(0, 9))] = draw.draw(st.binary(max_size=9))
    recovery = recover_table(bytes(damaged))
    assert set(recovery.rows) <= set(ROWS)
    assert recovery.rows == sorted(recovery.rows)


@given(st.binary(max_size=2000))
def test_any_bytes_give_an_answer(data):
    recover_table(data)
    recover_table(data + SMALL[-FOOTER_SIZE:])


def test_bytes_made_to_mislead_take_bounded_work():
    for data in (b"\0\1\1aa" * 40_000, b"\0" * 200_000, b"\0\0\1" * 60_000,
                 random.Random(1).randbytes(100_000).replace(b"\xff", b"\0")):
        assert recover_table(data).rows == []
