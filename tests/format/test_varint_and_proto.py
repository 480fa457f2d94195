from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfckpt.errors import FormatError, TruncatedError
from tfckpt.format import proto
from tfckpt.format.varint import encode_varint, parse_varint

VARINTS = [
    (0, "00"),
    (1, "01"),
    (127, "7f"),
    (128, "80 01"),
    (300, "ac 02"),
    (2**32, "80 80 80 80 10"),
    (2**64 - 1, "ff ff ff ff ff ff ff ff ff 01"),
]


@pytest.mark.parametrize(("value", "data"), VARINTS)
def test_varints_both_ways(value, data):
    assert bytes.fromhex(data) == encode_varint(value)
    assert (value, len(bytes.fromhex(data)) + 1) == parse_varint(b"\xff" + bytes.fromhex(data), 1)


@given(st.integers(0, 2**64 - 1))
def test_any_varint_comes_back(value):
    assert (value, len(encode_varint(value))) == parse_varint(encode_varint(value))


@pytest.mark.parametrize("data", ["", "80", "ff ff ff"])
def test_a_cut_varint_is_an_error(data):
    with pytest.raises(TruncatedError, match=r"^a varint runs past the end \(byte 0\)$"):
        parse_varint(bytes.fromhex(data))


@pytest.mark.parametrize("data", ["ff" * 10, "80" * 10 + "01", "ff" * 9 + "02"])
def test_a_varint_beyond_64_bits_is_an_error(data):
    with pytest.raises(FormatError, match=r"^a varint is longer than 64 bits \(byte 0\)$"):
        parse_varint(bytes.fromhex(data))


@pytest.mark.parametrize("value", [-1, 2**64])
def test_only_unsigned_64_bit_integers_are_encoded(value):
    with pytest.raises(FormatError, match="is not an unsigned 64-bit integer"):
        encode_varint(value)


FIELDS = [
    (proto.Field(1, proto.VARINT, 150), "08 96 01"),
    (proto.Field(2, proto.BYTES, b"abc"), "12 03 61 62 63"),
    (proto.Field(6, proto.FIXED32, 0xA282EAD8), "35 d8 ea 82 a2"),
    (proto.Field(200, proto.BYTES, b"x" * 200), "c2 0c c8 01" + "78" * 200),
    (proto.Field(17, proto.VARINT, 5), "88 01 05"),
]


@pytest.mark.parametrize(("field", "data"), FIELDS)
def test_fields_both_ways(field, data):
    encode = {proto.VARINT: proto.encode_int, proto.BYTES: proto.encode_bytes,
              proto.FIXED32: proto.encode_fixed32}[field.wire_type]
    assert bytes.fromhex(data) == encode(field.number, field.value)
    assert [field] == list(proto.parse_fields(bytes.fromhex(data)))


def test_a_negative_number_takes_ten_bytes_and_comes_back():
    data = proto.encode_int(1, -2)
    assert data.hex(" ") == "08 fe ff ff ff ff ff ff ff ff 01"
    assert proto.signed(next(proto.parse_fields(data)).as_int()) == -2


def test_zero_is_not_stored():
    assert b"" == proto.encode_int(1, 0) == proto.encode_fixed32(6, 0)


def test_a_double_is_read_as_its_bits():
    assert [proto.Field(4, proto.FIXED64, 1)] == list(proto.parse_fields(b"\x21\x01" + bytes(7)))


BAD = [
    ("00 00", "a message has a field without a number (byte 0)"),
    ("0b", "a message has an unknown wire type: got 3 (byte 0)"),
    ("08 01 12 05 61", "field 2 of a message runs past its end: expected 5 bytes, got 1 (byte 2)"),
    ("35 00 00", "field 6 of a message runs past its end: expected 4 bytes, got 2 (byte 0)"),
]


@pytest.mark.parametrize(("data", "message"), BAD)
def test_bad_messages_say_what_and_where(data, message):
    with pytest.raises(FormatError) as caught:
        list(proto.parse_fields(bytes.fromhex(data)))
    assert message == str(caught.value)


def test_a_field_of_another_wire_type_is_an_error():
    with pytest.raises(FormatError, match="expected 0, got 2"):
        proto.Field(1, proto.BYTES, b"").as_int()
    with pytest.raises(FormatError, match="expected 2, got 0"):
        proto.Field(1, proto.VARINT, 1).as_bytes()
