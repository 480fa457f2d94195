from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfckpt.errors import CheckpointError, ChecksumError, FormatError, TruncatedError
from tfckpt.format.crc32c import crc32c, mask
from tfckpt.format.strings import encode_strings, parse_strings
from tfckpt.format.variants import encode_variants, parse_variants

STRINGS = [
    ([], "little", "d8 ea 82 a2", None),
    ([b"abc", b"", b"\xff\x00"], "little", "03 00 02 03 7a 9c 77 61 62 63 ff 00", 0x355F1687),
    ([b"abc", b"", b"\xff\x00"], "big", None, None),
]


@pytest.mark.parametrize(("elements", "order", "data", "masked_crc32c"), STRINGS)
def test_strings_both_ways(elements, order, data, masked_crc32c):
    region, masked = encode_strings(elements, order)
    assert data is None or bytes.fromhex(data) == region
    assert masked_crc32c in (None, masked)
    assert (elements, masked) == parse_strings(region, len(elements), order)


@given(st.lists(st.binary(max_size=300)), st.sampled_from(["little", "big"]))
def test_behaviour_95_any_strings_come_back(elements, order):
    region, masked = encode_strings(elements, order)
    assert (elements, masked) == parse_strings(region, len(elements), order)


def test_behaviour_95_no_elements_may_be_no_bytes_at_all():
    assert parse_strings(b"", 0) == ([], 0xA282EAD8)


def test_behaviour_98_each_flipped_bit_of_a_string_tensor_is_found():
    elements = [b"some", b"", b"x" * 130]
    region, masked = encode_strings(elements)
    for at in range(8 * len(region)):
        damaged = bytearray(region)
        damaged[at // 8] ^= 1 << at % 8
        try:
            found = parse_strings(bytes(damaged), len(elements)).masked_crc32c
        except FormatError:
            continue
        assert masked != found


BAD_STRINGS = [
    ("", 1, "a string tensor has fewer bytes than elements: expected at least 1 bytes, got 0"
            " (byte 0)"),
    ("03 00 02 03 7a 9c", 3, "a string tensor is shorter than its lengths add up to:"
                             " expected 12 bytes, got 6 (byte 3)"),
    ("03 00 02 03 7a 9c 77 61 62 63 ff 00 00", 3,
     "a string tensor is longer than its lengths add up to: expected 12 bytes, got 13 (byte 3)"),
    ("03 00 02 04 7a 9c 77 61 62 63 ff 00", 3,
     "the checksum of a string tensor's lengths does not match: expected 0x779c7a04 as stored,"
     " got 0x779c7a03 from the bytes (byte 3)"),
    ("01 02", 2**62, "a string tensor has fewer bytes than elements:"
                     " expected at least 4611686018427387904 bytes, got 2 (byte 0)"),
]


@pytest.mark.parametrize(("data", "count", "message"), BAD_STRINGS)
def test_bad_strings_say_what_and_where(data, count, message):
    with pytest.raises(FormatError) as caught:
        parse_strings(bytes.fromhex(data), count)
    assert message == str(caught.value)


@given(st.binary(max_size=60), st.integers(0, 2**63))
def test_any_bytes_give_strings_or_an_error(data, count):
    for parse in (parse_strings, parse_variants):
        try:
            parse(data, count)
        except CheckpointError:
            pass


@given(st.lists(st.binary(max_size=200)))
def test_behaviour_96_variants_are_taken_apart_and_checked(elements):
    region, masked = encode_variants(elements)
    assert (elements, masked) == parse_variants(region, len(elements))


def test_variants_are_stored_as_tensorflow_stores_them():
    # Length, contents, masked CRC of the length as eight bytes and of the contents.
    assert encode_variants([b"ab"])[0].hex(" ") == "02 61 62 " + mask(
        crc32c(b"ab", crc32c(b"\x02" + bytes(7)))).to_bytes(4, "little").hex(" ")


def test_damaged_variants_say_what_and_where():
    region, _ = encode_variants([b"one", b"two"])
    damaged = bytearray(region)
    damaged[10] ^= 1
    with pytest.raises(ChecksumError, match="the checksum of a variant's element does not match"):
        parse_variants(bytes(damaged), 2)
    with pytest.raises(TruncatedError) as caught:
        parse_variants(region[:-1], 2)
    assert str(caught.value) == ("an element of a variant tensor runs past its end:"
                                 " expected 16 bytes, got 15 (byte 8)")
    with pytest.raises(FormatError, match="a variant tensor is longer than its elements"):
        parse_variants(region + b"x", 2)
