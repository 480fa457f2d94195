"""The header of safetensors files: what is written, what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfckpt.errors import CheckpointError, FormatError, TruncatedError, UnsupportedError
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.safetensors import (
    MOST_HEADER,
    SAFETENSORS_NAMES,
    encode_header,
    parse_header,
    parse_length,
    parse_shard_index,
)


def one(dtype="F32", shape=(2,), offsets=(0, 8), **more) -> bytes:
    return json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets},
                       **more}).encode()


HEADERS = [
    (one(), 8, ("a", "float32", (2,), 0, 8)),
    (one("BF16", [], [0, 2]), 2, ("a", "bfloat16", (), 0, 2)),
    (one("F8_E4M3", [3, 0], [0, 0]), 0, ("a", "float8_e4m3fn", (3, 0), 0, 0)),
    (one("F4", [4], [0, 2]), 2, ("a", "F4", (4,), 0, 2)),
]


@pytest.mark.parametrize(("data", "n_data", "tensor"), HEADERS)
def test_a_header_says_what_is_where(data, n_data, tensor):
    found = parse_header(data, n_data).tensors[0]
    assert (found.name, found.dtype.name, *found[2:]) == tensor


def test_what_is_encoded_is_parsed_the_same():
    tensors = [(f"t/{name}", dtype_named(name), (3, 2)) for name in SAFETENSORS_NAMES]
    data, starts = encode_header(tensors, {"step": "7"})
    n_data = starts[-1] + 6
    found = parse_header(data[8:], n_data)
    assert parse_length(data[:8], len(data) + n_data) == len(data) - 8
    assert [(t.name, t.dtype, t.shape) for t in found.tensors] == tensors
    assert [t.start for t in found.tensors] == starts
    assert found.metadata == {"step": "7"}
    assert len(data) % 8 == 0


WRONG = [
    (b"", 0, "the header is not JSON (Expecting value: line 1 column 1 (char 0)) (byte 0)"),
    (b"[]", 0, "the header is not a JSON object (byte 0)"),
    (b"[" * 100_000, 0, "the header is not JSON (maximum recursion depth exceeded"),
    (b"\xff", 0, "the header is not JSON ('utf-8' codec can't decode"),
    (b'{"a": 1, "a": 2}', 0, "a name is there twice: got 'a' (byte 0)"),
    (b'{"a": {"dtype": "F32", "dtype": "I8"}}', 0, "a name is there twice: got 'dtype' (byte 0)"),
    (b'{"a": 1}', 0, "a tensor is described by an object: got 1 (tensor 'a')"),
    (b'{"__metadata__": {"a": 1}}', 0, "the metadata of a safetensors file are text by name"
                                       " (byte 0)"),
    (one(shape=[-1]), 8, "a shape is a list of sizes: got [-1] (tensor 'a')"),
    (one(shape=[True]), 8, "a shape is a list of sizes: got [True] (tensor 'a')"),
    (one(shape=None), 8, "a shape is a list of sizes: got None (tensor 'a')"),
    (one(offsets=[0]), 8, "data_offsets are a start and an end: got 1 (tensor 'a')"),
    (one(offsets=[0, 7]), 8, "the range of the tensor doesn't fit F32 [2]: expected 8 bytes,"
                             " got 7 (tensor 'a')"),
    (one(offsets=[8, 0]), 8, "the range of the tensor doesn't fit F32 [2]: expected 8 bytes,"
                             " got -8 (tensor 'a')"),
    (one(shape=[1 << 40, 1 << 40]), 8, "the range of the tensor doesn't fit F32"),
    (one(offsets=[4, 12]), 12, "bytes between tensors belong to none: expected a start at byte 0"
                               " of the data, got 4 (tensor 'a')"),
    (one(b={"dtype": "I8", "shape": [1], "data_offsets": [7, 8]}), 8,
     "tensors overlap: expected a start at byte 8 of the data, got 7 (tensor 'b')"),
    (one(), 9, "bytes behind the last tensor belong to none: expected 8 bytes of data, got 9"),
]


@pytest.mark.parametrize(("data", "n_data", "message"), WRONG)
def test_a_header_that_lies_is_refused(data, n_data, message):
    with pytest.raises(FormatError) as caught:
        parse_header(data, n_data)
    assert str(caught.value).startswith(message)


def test_data_that_end_too_early_are_told_as_such():
    with pytest.raises(TruncatedError) as caught:
        parse_header(one(), 7)
    assert str(caught.value) == (
        "the data end before the tensors do: expected 8 bytes of data, got 7 (tensor 'a')\n"
        "The file was probably cut off while it was copied.")


def test_a_dtype_that_nobody_knows_is_named():
    with pytest.raises(UnsupportedError) as caught:
        parse_header(one("F7"), 8)
    assert str(caught.value) == "safetensors has no dtype of this name: got 'F7' (tensor 'a')"


def test_a_length_is_held_against_the_file():
    with pytest.raises(TruncatedError, match="expected 108 bytes at least, got 50"):
        parse_length((100).to_bytes(8, "little"), 50)
    with pytest.raises(FormatError, match=f"expected {MOST_HEADER} bytes at most"):
        parse_length(b"\xff" * 8, 50)
    with pytest.raises(TruncatedError, match="begins with 8 bytes"):
        parse_length(b"123", 3)


@pytest.mark.parametrize("file", ["../a.safetensors", "/a", "", ".", "..", "a\0b", "a\\b", 7])
def test_an_index_names_only_files_beside_it(file):
    with pytest.raises(FormatError, match="names a file that isn't beside it"):
        parse_shard_index(json.dumps({"weight_map": {"w": file}}).encode())


@pytest.mark.parametrize(("name", "dtype", "message"), [
    ("a", "string", "safetensors has no such dtype: got string (tensor 'a')"),
    ("__metadata__", "int8", "no tensor of a safetensors file can have this name"
                             " (tensor '__metadata__')"),
    ("\udcff", "int8", "a safetensors file can't hold a name that isn't valid Unicode"
                       " (tensor '\\udcff')"),
])
def test_what_a_header_cant_hold_is_refused(name, dtype, message):
    with pytest.raises(UnsupportedError) as caught:
        encode_header([(name, dtype_named(dtype), (1,))], {})
    assert str(caught.value) == message


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["a", "dtype", "shape", "data_offsets",
                                                       "__metadata__"]), inner, max_size=4)))
def test_any_json_is_a_header_or_an_error(value):
    try:
        parse_header(json.dumps(value).encode(), 8)
    except CheckpointError:
        pass
