from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfckpt.errors import CheckpointError, FormatError, TruncatedError, UnsupportedError
from tfckpt.format import tensorvalues
from tfckpt.format.dtypes import DTYPES, dtype_named
from tfckpt.format.orderedcode import (
    encode_signed,
    encode_string,
    encode_unsigned,
    parse_signed,
    parse_string,
    parse_unsigned,
)
from tfckpt.format.savedslices import (
    SavedSlice,
    SavedTensor,
    encode_meta,
    encode_saved_slice,
    parse_meta,
    parse_saved_slice,
)
from tfckpt.format.slices import (
    check_slice,
    encode_slice,
    encode_slice_spec,
    parse_slice,
    parse_slice_key,
    parse_slice_spec,
    slice_key,
)
from tfckpt.format.tensorvalues import check_writable, encode_values, parse_values

# As TensorFlow 1.15 wrote them: dtype, values, field in hex.
VALUES = [
    ("float32", [-2, 0, 100], "2a 0c 000000c0 00000000 0000c842"),
    ("float64", [1.5], "32 08 000000000000f83f"),
    ("int32", [-2, 300], "3a 0c feffffffffffffffff01 ac02"),
    ("int16", [-2, 0, 100], "3a 0c feffffffffffffffff01 00 64"),
    ("int8", [-1], "3a 0a ffffffffffffffffff01"),
    ("uint8", [1, 200], "3a 03 01 c801"),
    ("uint16", [65535], "3a 03 ffff03"),
    ("complex64", [1 + 2j], "4a 08 0000803f 00000040"),
    ("int64", [-1, 1], "52 0b ffffffffffffffffff01 01"),
    ("bool", [True, False], "5a 02 01 00"),
    ("complex128", [1j], "62 10 0000000000000000 000000000000f03f"),
    ("float16", [-2, 0, 100], "6a 07 808003 00 c0ac01"),
    ("quint8", [7], "3a 01 07"),
    ("float32", [], ""),
]


@pytest.mark.parametrize(("dtype", "values", "encoded"), VALUES)
def test_values_and_their_bytes(dtype, values, encoded):
    kind = dtype_named(dtype)
    array = np.array(values, kind.numpy())
    assert encode_values(array, kind) == bytes.fromhex(encoded)
    parsed = parse_values(bytes.fromhex(encoded), kind, len(values))
    assert parsed.dtype == array.dtype
    assert parsed.tolist() == array.tolist()


def test_strings_are_a_field_each():
    array = np.array([b"ab", b"", b"xyz"], object)
    encoded = encode_values(array, dtype_named("string"))
    assert encoded == b"\x42\x02ab\x42\x00\x42\x03xyz"
    assert parse_values(encoded, dtype_named("string"), 3).tolist() == [b"ab", b"", b"xyz"]


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "uint16", "float16", "bool"])
@given(data=st.data())
def test_what_is_encoded_is_parsed_again(dtype, data):
    array = data.draw(hnp.arrays(dtype, st.integers(0, 40)))
    parsed = parse_values(encode_values(array, dtype_named(dtype)), dtype_named(dtype), array.size)
    assert parsed.tobytes() == array.tobytes()


def test_long_runs_of_varints_are_parsed_in_chunks(monkeypatch):
    monkeypatch.setattr(tensorvalues, "_CHUNK", 7)
    for values in ([-5] * 20, list(range(1000)), [-1, 0, 2**40, -(2**63), 2**63 - 1] * 3):
        array = np.array(values, np.int64)
        kind = dtype_named("int64")
        if values[0] == -5:  # a number that is longer than a chunk can't be parsed
            with pytest.raises(TruncatedError):
                parse_values(encode_values(array, kind), kind, 20)
            monkeypatch.setattr(tensorvalues, "_CHUNK", 11)
            continue
        assert parse_values(encode_values(array, kind), kind, len(array)).tolist() == values


def test_values_that_are_not_packed_are_read_too():
    kind = dtype_named("int32")
    assert parse_values(bytes.fromhex("3805 3a0101 3807"), kind, 3).tolist() == [5, 1, 7]
    kind = dtype_named("float32")
    assert parse_values(bytes.fromhex("2d0000803f 2d00000040"), kind, 2).tolist() == [1, 2]


@pytest.mark.parametrize(("dtype", "encoded", "count", "error", "message"), [
    ("float32", "2a0400000000", 2, TruncatedError,
     "values of the tensor are missing: expected 2, got 1"),
    ("float32", "2a0800000000 00000000", 1, FormatError,
     "there are more values than the tensor has elements: expected 1, got 2"),
    ("float32", "2a03000000", 1, TruncatedError,
     "packed values end within a number: expected a multiple of 4 bytes, got 3"),
    ("complex64", "4a0c0000000000000000 00000000", 1, FormatError,
     "half of a complex number is missing"),
    ("int8", "3a02c801", 1, FormatError, "a value doesn't fit into int8"),
    ("uint8", "3a02ac02", 1, FormatError, "a value doesn't fit into uint8"),
    ("bool", "5a0102", 1, FormatError, "a value doesn't fit into bool"),
    ("float16", "6a04 80808001", 1, FormatError, "a value doesn't fit into float16"),
    ("int32", "3a0180", 1, TruncatedError, "packed values end within a number (byte 0)"),
    ("int64", "520b ffffffffffffffffffff01", 1, FormatError,
     "a varint is longer than 64 bits (byte 0)"),
    ("variant", "", 1, UnsupportedError,
     "values of dtype variant are not stored in V1 checkpoints"),
])
def test_damaged_values(dtype, encoded, count, error, message):
    with pytest.raises(error) as caught:
        parse_values(bytes.fromhex(encoded), dtype_named(dtype), count)
    assert str(caught.value) == message


def test_behaviour_110_dtypes_without_a_v1_form_are_refused_by_name():
    for dtype in DTYPES:
        writable = dtype.name in {name for name, _, _ in VALUES} | {
            "string", "qint8", "qint32"}
        if writable:
            check_writable(dtype, 1000)
            continue
        with pytest.raises(UnsupportedError) as caught:
            check_writable(dtype, 1)
        assert str(caught.value).startswith(
            f"a V1 checkpoint can't hold values of dtype {dtype.name}: expected float32, ")


@pytest.mark.parametrize(("dtype", "most"), [("float32", 4), ("int32", 10), ("uint8", 2),
                                             ("bool", 1), ("float16", 3), ("complex128", 16)])
def test_behaviour_110_the_largest_possible_size_is_checked_before_encoding(dtype, most):
    limit = ((1 << 31) - (1 << 20)) // most
    check_writable(dtype_named(dtype), limit)
    with pytest.raises(UnsupportedError, match="can't hold a slice as large as this one may"):
        check_writable(dtype_named(dtype), limit + 1)


# Values and their OrderedCode, of each kind.
UNSIGNED = [(0, "00"), (1, "0101"), (255, "01ff"), (256, "020100"), (2**64 - 1, "08" + "ff" * 8)]
SIGNED = [(0, "80"), (1, "81"), (63, "bf"), (64, "c040"), (-1, "7f"), (-64, "40"), (-65, "3fbf"),
          (70, "c046"), (8191, "dfff"), (8192, "e02000"), (2**63 - 1, "ffc07fffffffffffffff"),
          (-(2**63), "003f8000000000000000")]
STRINGS = [(b"", "0001"), (b"a", "610001"), (b"a\0b\xff", "6100ff62ff000001")]


@pytest.mark.parametrize(("encode", "parse", "value", "encoded"), [
    *[(encode_unsigned, parse_unsigned, *row) for row in UNSIGNED],
    *[(encode_signed, parse_signed, *row) for row in SIGNED],
    *[(encode_string, parse_string, *row) for row in STRINGS]])
def test_behaviour_116_ordered_code_in_bytes(encode, parse, value, encoded):
    assert encode(value).hex() == encoded
    assert parse(bytes.fromhex(encoded) + b"more") == (value, len(encoded) // 2)
    for length in range(len(encoded) // 2):
        with pytest.raises(TruncatedError):
            parse(bytes.fromhex(encoded)[:length])


@given(st.lists(st.integers(-2**63, 2**63 - 1), min_size=2, max_size=2))
def test_behaviour_116_byte_order_is_value_order(values):
    a, b = values
    assert (a < b) == (encode_signed(a) < encode_signed(b))


@given(st.binary(max_size=14))
def test_behaviour_116_only_the_shortest_form_is_taken(data):
    for encode, parse in ((encode_signed, parse_signed), (encode_unsigned, parse_unsigned),
                          (encode_string, parse_string)):
        try:
            value, end = parse(data)
        except CheckpointError:
            continue
        assert encode(value) == data[:end]


@pytest.mark.parametrize(("parse", "encoded", "message"), [
    (parse_unsigned, "020001", "an ordered number is longer than it had to be (byte 0)"),
    (parse_unsigned, "09" + "01" * 9, "an ordered number is longer than 64 bits (byte 0)"),
    (parse_signed, "c001", "an ordered number is longer than it had to be (byte 0)"),
    (parse_signed, "ffe0" + "00" * 9, "an ordered number is longer than 64 bits (byte 0)"),
    (parse_signed, "ffc08000000000000000", "an ordered number is longer than 64 bits (byte 0)"),
    (parse_string, "610002", "an ordered string is damaged: expected 00 01, 00 ff or ff 00,"
                             " got 00 02 (byte 1)"),
])
def test_behaviour_116_overflow_and_longer_forms_are_refused(parse, encoded, message):
    with pytest.raises(FormatError) as caught:
        parse(bytes.fromhex(encoded))
    assert str(caught.value) == message


extents = st.lists(st.tuples(st.integers(0, 2**40), st.one_of(st.none(), st.integers(0, 2**40))),
                   max_size=4).map(tuple)


@given(st.binary(max_size=12), extents)
def test_slice_keys_and_messages_come_back(name, parts):
    assert parse_slice_key(slice_key(name, parts)) == (name, parts)
    assert parse_slice(encode_slice(parts)) == parts


@given(st.binary(max_size=20))
def test_any_bytes_are_a_slice_key_or_an_error(data):
    try:
        name, parts = parse_slice_key(data)
    except CheckpointError:
        return
    assert slice_key(name, parts) == data


@pytest.mark.parametrize(("text", "shape", "parts"), [
    ("10 4 4,3:0,4", (10, 4), ((4, 3), (0, 4))),
    ("10 4 -:1,2", (10, 4), ((0, None), (1, 2))),
    ("", (), ()),
])
def test_slices_in_words(text, shape, parts):
    assert parse_slice_spec(text) == (shape, parts)
    assert encode_slice_spec(shape, parts) == text


@pytest.mark.parametrize("text", [
    "10 -1,3", "10 0,-3", "10 4", "10 4,", "10 0,4:0,4", "-10 0,1", "10 0,11", "ten 0,1",
    "10 1,2,3",
    f"10 {2**63 - 1},2", f"{2**64} 0,1", f"10 0,{2**64}", "10 ٣,1", "10  0,1"])
def test_behaviour_107_slices_in_words_that_are_refused(text):
    with pytest.raises(FormatError):
        parse_slice_spec(text)


@pytest.mark.parametrize("parts", [
    ((-1, 2),), ((0, -2),), ((2**63 - 1, 2),), ((0, 5),), ((0, 1), (0, 1)), (),
    ((5, None),)])
def test_behaviour_107_slices_in_messages_that_are_refused(parts):
    """Also a start without a length where nothing is left."""
    if parts == ((5, None),):
        assert check_slice(((4, None),), (4,)) == ((4, 0),)
    with pytest.raises(FormatError):
        check_slice(parts, (4,))


def test_behaviour_105_an_absent_length_is_all_and_an_absent_start_is_zero():
    assert parse_slice(bytes.fromhex("0a00")) == ((0, None),)
    assert parse_slice(bytes.fromhex("0a021000")) == ((0, 0),)
    assert check_slice(((0, None),), (4,)) == check_slice(((0, 4),), (4,)) == ((0, 4),)


META = [SavedTensor("t", dtype_named("int16"), (3,), (((0, None),),)),
        SavedTensor("scalar", dtype_named("string"), (), ((),)),
        SavedTensor("w\udcff", dtype_named("float32"), (4, 0), (((0, 2), (0, None)),
                                                                 ((2, 2), (0, None))))]


def test_the_list_of_tensors_comes_back():
    assert parse_meta(encode_meta(META)) == META
    assert encode_meta(META[:1]).hex() == "0a150a0f0a0174120412020803180522020a0012020801"


def test_the_row_of_a_slice_comes_back():
    row = encode_saved_slice("t", ((1, 2),), b"values")
    assert parse_saved_slice(row) == SavedSlice("t", ((1, 2),), b"values")


@pytest.mark.parametrize(("data", "error", "message"), [
    ("", FormatError, "the row of the empty key lists no tensors; this is no V1 checkpoint"),
    ("0a0d0a0b0a01741207120508ffffffff0f", CheckpointError, None),
    # tensor t, shape [-1]
    ("0a150a130a0174120f120d08ffffffffffffffffff011805", CheckpointError, None),
    ("0a0412021002", UnsupportedError,
     "the checkpoint asks for a newer reader: expected format version 1 or less, got 2"),
    ("0a0d120b08ffffffffffffffffff01", UnsupportedError,
     "the checkpoint is of a version that is too old: expected format version 0 or more, got -1"),
    ("0a0412021801", UnsupportedError, "the checkpoint forbids readers of format version 1"),
])
def test_behaviours_111_and_112_lists_that_are_refused(data, error, message):
    with pytest.raises(error) as caught:
        parse_meta(bytes.fromhex(data))
    if message is not None:
        assert str(caught.value) == message


def test_behaviour_111_a_slice_that_is_not_in_its_tensor_is_refused_at_opening():
    meta = encode_meta([SavedTensor("t", dtype_named("int16"), (3,), (((0, 4),),))])
    with pytest.raises(FormatError) as caught:
        parse_meta(meta)
    assert str(caught.value) == ("a slice of the tensor isn't in it: expected a range of [3],"
                                 " got start and length [(0, 4)] (tensor 't')")
