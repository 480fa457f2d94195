"""The checks in bounded memory agree with the parsers of `strings` and `variants`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import GOLDENS
from tfckpt.core.opening import open_source
from tfckpt.errors import CheckpointError, FormatError, TruncatedError
from tfckpt.format import regions
from tfckpt.format.crc32c import crc32c, mask, masked_crc32c
from tfckpt.format.dtypes import STRING, VARIANT, dtype_named
from tfckpt.format.regions import check_region
from tfckpt.format.strings import encode_strings
from tfckpt.format.variants import parse_variants
from tfckpt.format.varint import encode_varint


@pytest.fixture(autouse=True, params=[1 << 20, 16], ids=["one chunk", "many chunks"])
def _chunk(request, monkeypatch):
    monkeypatch.setattr(regions, "_CHUNK", request.param)


def check(dtype, data, count, byte_order="little") -> int:
    def read(at: int, n_bytes: int) -> bytes:
        assert at >= 0
        assert at + n_bytes <= len(data)
        return data[at:at + n_bytes]

    return check_region(dtype, read, len(data), count, byte_order)


def encode_variants(elements) -> tuple[bytes, int]:
    out, crc = b"", 0
    for element in elements:
        crc = crc32c(element, crc32c(len(element).to_bytes(8, "little"), crc))
        stored = mask(crc).to_bytes(4, "little")
        crc = crc32c(stored, crc)
        out += encode_varint(len(element)) + element + stored
    return out, mask(crc)


ELEMENTS = st.lists(st.binary(max_size=200), max_size=40)


@given(ELEMENTS, st.sampled_from(["little", "big"]))
def test_strings(elements, byte_order):
    region, masked = encode_strings(elements, byte_order)
    assert masked == check(STRING, region, len(elements), byte_order)


@given(ELEMENTS)
def test_variants(elements):
    region, masked = encode_variants(elements)
    assert masked == parse_variants(region, len(elements)).masked_crc32c
    assert masked == check(VARIANT, region, len(elements))


def test_what_tensorflow_wrote():
    with open_source(GOLDENS / "tf2.21" / "state") as source:
        for entry in source.index.values():
            data = source.read_stored(entry)
            assert entry.masked_crc32c == check(entry.dtype, data, entry.n_elements)


def test_other_dtypes_have_the_checksum_of_their_bytes():
    data = bytes(range(100))
    assert masked_crc32c(data) == check(dtype_named("int8"), data, 100)


@pytest.mark.parametrize(("encode", "dtype"), [
    (encode_strings, STRING), (encode_variants, VARIANT)])
def test_every_flipped_bit_and_every_cut_is_noticed(encode, dtype):
    elements = [b"", b"abc", bytes(150), b"\xff"]
    region, masked = encode(elements)
    for bit in range(8 * len(region)):
        damaged = bytearray(region)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert masked != check(dtype, bytes(damaged), 4), bit
        except FormatError:
            continue
    for length in range(len(region)):
        with pytest.raises(CheckpointError):
            check(dtype, region[:length], 4)
    with pytest.raises(FormatError):
        check(dtype, region + b"\0", 4)


def test_a_shape_of_more_elements_than_bytes_costs_nothing():
    with pytest.raises(TruncatedError) as caught:
        check(STRING, b"\0\0\0\0\0", 2**62)
    assert str(caught.value) == ("a string tensor has fewer bytes than elements: expected at least"
                                 f" {2**62} bytes, got 5 (byte 0)")
    with pytest.raises(FormatError):
        check(VARIANT, b"\0\0\0\0\0", 2**62)


def test_lengths_that_lie_across_two_chunks():
    for n in range(30):
        elements = [b""] * n + [bytes(200)] * 30 + [bytes(70_000)]
        region, masked = encode_strings(elements)
        assert masked == check(STRING, region, len(elements))
