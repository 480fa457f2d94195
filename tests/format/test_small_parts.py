from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import GOLDENS
from tfckpt.errors import CheckpointError, FormatError, UnsupportedError
from tfckpt.format.crc32c import crc32c, mask, masked_crc32c, unmask
from tfckpt.format.dtypes import DTYPES, dtype_named, dtype_numbered
from tfckpt.format.naming import data_name, parse_data_name
from tfckpt.format.orderedcode import encode_signed, encode_string
from tfckpt.format.sniff import sniff
from tfckpt.format.state import CheckpointState, encode_state, parse_state

CRCS = [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)]


@pytest.mark.parametrize(("data", "crc"), CRCS)
def test_crc32c_of_known_bytes(data, crc):
    assert crc == crc32c(data)
    assert mask(crc) == masked_crc32c(data)


@given(st.integers(0, 2**32 - 1))
def test_masks_come_off(crc):
    assert crc == unmask(mask(crc))


@given(st.binary(), st.binary())
def test_a_crc_goes_on(a, b):
    assert crc32c(a + b) == crc32c(b, crc32c(a))


def test_dtypes_have_the_numbers_names_and_sizes_of_their_arrays():
    assert list(range(1, 34)) == [dtype.number for dtype in DTYPES]
    assert len({dtype.name for dtype in DTYPES}) == len(DTYPES)
    for dtype in DTYPES:
        assert dtype is dtype_numbered(dtype.number) is dtype_named(dtype.name)
        if dtype.size is not None:
            assert dtype.size == dtype.numpy().itemsize
            assert dtype.size % dtype.word == 0


@pytest.mark.parametrize("name", ["variant", "resource"])
def test_a_dtype_without_arrays_says_so(name):
    with pytest.raises(UnsupportedError, match=f"tensors of dtype {name} have no form"):
        dtype_named(name).numpy()


def test_a_name_that_is_no_dtype_is_an_error():
    with pytest.raises(UnsupportedError, match="TensorFlow has no dtype of this name: got float99"):
        dtype_named("float99")


DATA_NAMES = [
    ("a/model.ckpt-7.data-00003-of-00040", ("a/model.ckpt-7", 3, 40)),
    ("m.data-00000-of-00001.data-00001-of-00002", ("m.data-00000-of-00001", 1, 2)),
    ("7/.data-00000-of-00001", ("7/", 0, 1)),
    ("[v1]*?.data-123456-of-200000", ("[v1]*?", 123456, 200000)),
]


@pytest.mark.parametrize(("path", "parts"), DATA_NAMES)
def test_data_file_names_both_ways(path, parts):
    assert parts == parse_data_name(path)
    assert path == data_name(*parts)


@pytest.mark.parametrize("path", ["a.data", "a.data-0-of-1", "a.data-00000-of-", "a.index",
                                  "a.data-0000x-of-00001", "a.data-٠٠٠٠٠-of-00001"])
def test_names_that_are_no_data_files(path):
    assert parse_data_name(path) is None


STATES = [
    (CheckpointState("m-1"), 'model_checkpoint_path: "m-1"\n'),
    (CheckpointState("/runs/m-2", ("/runs/m-1", "/runs/m-2"), (1.5, 1700000000.25), 3.0),
     'model_checkpoint_path: "/runs/m-2"\n'
     'all_model_checkpoint_paths: "/runs/m-1"\nall_model_checkpoint_paths: "/runs/m-2"\n'
     "all_model_checkpoint_timestamps: 1.5\nall_model_checkpoint_timestamps: 1700000000.25\n"
     "last_preserved_timestamp: 3.0\n"),
    (CheckpointState('a"b\\c\n\'ü'), 'model_checkpoint_path: "a\\"b\\\\c\\n\\\'\\303\\274"\n'),
]


@pytest.mark.parametrize(("state", "text"), STATES)
def test_state_files_both_ways(state, text):
    assert text == encode_state(state).decode()
    assert state == parse_state(text.encode())


@given(st.text(min_size=1), st.lists(st.text()), st.lists(st.floats(0, 1e12)))
def test_any_state_comes_back(path, paths, times):
    state = CheckpointState(path, tuple(paths), tuple(times))
    assert state == parse_state(encode_state(state))


def test_state_files_that_people_edited_are_read():
    text = ("# mine\nmodel_checkpoint_path : 'a' \"b\"\n  all_model_checkpoint_paths:\"x\";"
            "all_model_checkpoint_timestamps: 1e3f\n")
    assert CheckpointState("ab", ("x",), (1000.0,)) == parse_state(text.encode())


BAD_STATES = [
    (b"", 'the checkpoint state file names no newest checkpoint: expected a line'
          ' model_checkpoint_path: "...", got an empty file'),
    (b'all_model_checkpoint_paths: "a"',
     'the checkpoint state file names no newest checkpoint: expected a line'
     ' model_checkpoint_path: "...", got none'),
    (b"model_checkpoint_path: m-1", "the checkpoint state file is not in protobuf's text format:"
                                    " got 'm-1' (byte 23)"),
    (b'"loose"', "the checkpoint state file is not in protobuf's text format: got '\"loose\"'"
                 " (byte 0)"),
    (b"\x80\x02}", "the checkpoint state file is not in protobuf's text format:"
                   " got '\\udc80\\x02}' (byte 0)"),
]


@pytest.mark.parametrize(("data", "message"), BAD_STATES)
def test_behaviour_22_bad_state_files_say_why(data, message):
    with pytest.raises(FormatError) as caught:
        parse_state(data)
    assert message == str(caught.value)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_state_or_an_error(data):
    try:
        parse_state(data)
    except CheckpointError:
        pass


KINDS = [
    (b"PK\x03\x04..archive/data.pkl", "a PyTorch zip archive"),
    (b"PK\x03\x04..a.npy", "a NumPy archive (.npz)"),
    (b"PK\x03\x04..metadata.json", "a Keras 3 model archive"),
    (b"PK\x03\x04..", "a zip archive"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file in the legacy format"),
    (b"\x80\x04\x95....", "a Python pickle"),
    (b'\x20\0\0\0\0\0\0\0{"a":', "a safetensors file"),
    (b"\x93NUMPY\x01\0", "a NumPy array"),
    (b"version https://git-lfs.github.com/spec/v1\n",
     "a Git LFS pointer, which stands for a file that was not downloaded"),
    (b"<!DOCTYPE html>", "a web page"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"GGUF\3\0\0\0", "a GGUF model"),
    (b"\x81\xa6params", "a msgpack file, as Flax saves"),
    (b"just words\n", "a text file"),
    (b"", "an empty file"),
]


@pytest.mark.parametrize(("head", "what"), KINDS)
def test_files_of_other_kinds_are_named(head, what):
    assert what == sniff("m.ckpt", head).what


@given(st.binary(max_size=520), st.binary(max_size=8))
def test_sniffing_never_fails(head, tail):
    sniff("m.ckpt", head, tail)


SIGNED = [(0, "80"), (63, "bf"), (64, "c040"), (70, "c046"), (-1, "7f"), (-64, "40"),
          (-65, "3fbf"), (8191, "dfff"), (8192, "e02000"), (2**63 - 1, "ffc07fffffffffffffff"),
          (-(2**63), "003f8000000000000000")]


@pytest.mark.parametrize(("value", "data"), SIGNED)
def test_behaviour_116_signed_numbers_have_these_bytes(value, data):
    assert data == encode_signed(value).hex()


signed_numbers = st.integers(-(2**63), 2**63 - 1)


@given(signed_numbers, signed_numbers)
def test_behaviour_116_bytes_of_numbers_sort_as_the_numbers(a, b):
    assert (a < b) == (encode_signed(a) < encode_signed(b))


@given(st.binary(), st.binary())
def test_behaviour_116_bytes_of_strings_sort_as_the_strings(a, b):
    assert (a < b) == (encode_string(a) < encode_string(b))


def test_a_slice_has_the_key_that_tensorflow_gives_it():
    from tfckpt.format.bundle import EntryParser
    from tfckpt.format.slices import parse_slice, slice_key
    from tfckpt.format.table import parse_table

    rows = dict(parse_table((GOLDENS / "tf1.15" / "sliced.index").read_bytes()))
    entry = EntryParser().parse(rows[b"part"])
    keys = {slice_key(b"part", parse_slice(part)) for part in entry.slices}
    assert {b"", b"part"} == set(rows) - keys
    assert len(keys) == 3
