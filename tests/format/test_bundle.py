from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfckpt.errors import CheckpointError, FormatError, UnsupportedError
from tfckpt.format import proto
from tfckpt.format.bundle import (
    BundleEntry,
    BundleHeader,
    EntryParser,
    encode_entry,
    encode_header,
    parse_header,
)
from tfckpt.format.dtypes import DTYPES, dtype_named, dtype_numbered

HEADERS = [
    (BundleHeader(1), "08 01 1a 02 08 01"),
    (BundleHeader(40), "08 28 1a 02 08 01"),
    (BundleHeader(1, "big"), "08 01 10 01 1a 02 08 01"),
    (BundleHeader(0, producer=0), "1a 00"),
    (BundleHeader(2, bad_consumers=(7, 300)), "08 02 1a 07 08 01 1a 03 07 ac 02"),
]


@pytest.mark.parametrize(("header", "data"), HEADERS)
def test_headers_both_ways(header, data):
    assert bytes.fromhex(data) == encode_header(header)
    assert header == parse_header(bytes.fromhex(data))


REFUSED = [
    ("08 01 1a 04 08 02 10 02", UnsupportedError,
     "the checkpoint asks for a newer reader: expected format version 1 or less, got 2"),
    ("08 01 1a 0b 08 ff ff ff ff ff ff ff ff ff 01", UnsupportedError,
     "the checkpoint is of a version that is too old: expected format version 0 or more, got -1"),
    ("08 01 1a 05 08 01 1a 01 01", UnsupportedError,
     "the checkpoint forbids readers of format version 1"),
    ("08 01 1a 04 08 01 18 01", UnsupportedError,
     "the checkpoint forbids readers of format version 1"),
    ("08 01 10 02", FormatError, "the header has an unknown byte order: expected 0 or 1, got 2"),
    ("08 ff ff ff ff 0f", FormatError,
     "the header has an impossible number of shards: got 4294967295"),
]


@pytest.mark.parametrize(("data", "kind", "message"), REFUSED)
def test_behaviour_101_headers_that_are_refused_say_why(data, kind, message):
    with pytest.raises(kind) as caught:
        parse_header(bytes.fromhex(data))
    assert message == str(caught.value)


FLOAT, STRING = dtype_named("float32"), dtype_named("string")
ENTRIES = [
    (BundleEntry(FLOAT, (2, 3), 0, 16, 24, 0x04030201),
     "08 01 12 08 12 02 08 02 12 02 08 03 20 10 28 18 35 01 02 03 04"),
    (BundleEntry(FLOAT, (), 0, 0, 4, 0x04030201), "08 01 12 00 28 04 35 01 02 03 04"),
    (BundleEntry(FLOAT, (0, 4), 3, 7, 0, 0xA282EAD8),
     "08 01 12 06 12 00 12 02 08 04 18 03 20 07 35 d8 ea 82 a2"),
    (BundleEntry(STRING, (300,), 200, 70_000, 1000, 1),
     "08 07 12 05 12 03 08 ac 02 18 c8 01 20 f0 a2 04 28 e8 07 35 01 00 00 00"),
    (BundleEntry(FLOAT, (10, 2), 0, 0, 0, 0, (b"\x0a\x02\x10\x04",)),
     "08 01 12 08 12 02 08 0a 12 02 08 02 3a 04 0a 02 10 04"),
    (BundleEntry(FLOAT, (2,) * 40, 0, 0, 4, 1), "08 01 12 a0 01" + "12020802" * 40
     + "28 04 35 01 00 00 00"),
]


@pytest.mark.parametrize(("entry", "data"), ENTRIES)
def test_entries_both_ways(entry, data):
    assert bytes.fromhex(data) == encode_entry(entry)
    parser = EntryParser()
    assert entry == parser.parse(bytes.fromhex(data))
    assert entry == parser.parse(bytes.fromhex(data))  # now with the shape remembered


@given(st.builds(
    BundleEntry, st.sampled_from(DTYPES),
    st.lists(st.integers(0, 2**40), max_size=9).map(tuple), st.integers(0, 99_999),
    st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 2**32 - 1)))
def test_any_entry_comes_back(entry):
    assert entry == EntryParser().parse(encode_entry(entry))


def test_fields_in_another_order_mean_the_same():
    entry = ENTRIES[0][0]
    data = bytes.fromhex("35 01 02 03 04 28 18 20 10 12 08 12 02 08 02 12 02 08 03 08 01")
    assert entry == EntryParser().parse(data)


def test_unknown_fields_are_passed_over():
    assert ENTRIES[1][0] == EntryParser().parse(encode_entry(ENTRIES[1][0]) + b"\x7a\x01x")


BAD = [
    ("08 01 12 0d 12 0b 08 ff ff ff ff ff ff ff ff ff 01",
     "a tensor's shape has a negative dimension: got -1"),
    ("08 01 12 02 18 01", "a stored tensor's shape has an unknown rank"),
    ("08 01 12 00 20 f8 ff ff ff ff ff ff ff ff 01 28 04",
     "an entry has an impossible number: got shard 0, offset -8, size 4"),
    ("08 01 12 00 18 ff ff ff ff 07",
     "an entry has an impossible number: got shard 2147483647, offset 0, size 0"),
    ("08 01 12 09 12 02",
     "field 2 of a message runs past its end: expected 9 bytes, got 2 (byte 2)"),
    ("08 01 12 00 35 01 02",
     "field 6 of a message runs past its end: expected 4 bytes, got 2 (byte 4)"),
    ("08 01 12 00 28", "a varint runs past the end (byte 5)"),
    ("08 01 12 00 28 ff ff ff ff ff ff ff ff ff 7f 35 00 00 00 00",
     "a varint is longer than 64 bits (byte 5)"),
]


@pytest.mark.parametrize(("data", "message"), BAD)
def test_bad_entries_say_why(data, message):
    with pytest.raises(FormatError) as caught:
        EntryParser().parse(bytes.fromhex(data))
    assert message == str(caught.value)


@given(st.binary(max_size=60))
def test_any_bytes_give_an_entry_or_an_error(data):
    for parse in (EntryParser().parse, parse_header, lambda d: list(proto.parse_fields(d))):
        try:
            parse(data)
        except CheckpointError:
            pass


@given(st.sampled_from([bytes.fromhex(data) for _, data in ENTRIES]), st.integers(0, 400),
       st.integers(0, 255))
def test_the_quick_way_and_the_plain_way_agree(data, at, byte):
    """A changed byte may make another entry or none, but both ways say the same."""
    changed = bytearray(data)
    changed[at % len(data)] = byte
    parser = EntryParser()

    def outcome(raw):
        try:
            return parser.parse(raw)
        except CheckpointError as error:
            return type(error)

    # An unknown field in front forces the plain way.
    assert outcome(bytes(changed)) == outcome(b"\x7a\x00" + bytes(changed))


def test_an_unknown_dtype_is_kept_by_its_number():
    entry = EntryParser().parse(bytes.fromhex("08 4d 12 00 28 04"))
    assert dtype_numbered(77) == entry.dtype
    assert entry.dtype.name == "unknown(77)"
    assert bytes.fromhex("08 4d 12 00 28 04") == encode_entry(entry)
