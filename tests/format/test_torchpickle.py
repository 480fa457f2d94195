"""The pickle of PyTorch files: what it stands for, and all that is refused in it."""

from __future__ import annotations

import os
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfckpt.errors import FormatError, TruncatedError, UnsupportedError
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.torchpickle import (
    TORCH_NAMES,
    StoredTensor,
    encode_state_dict,
    flatten_state,
    parse_torch_pickle,
)

I8 = dtype_named("int8")


@pytest.mark.parametrize("name", sorted(TORCH_NAMES))
def test_what_is_encoded_is_parsed_the_same(name):
    dtype = dtype_named(name)
    state = parse_torch_pickle(encode_state_dict([("a.w", dtype, (2, 300), "0"),
                                                  ("ü/é", dtype, (), "1")]))
    assert state == {
        "a.w": StoredTensor("0", 600 * dtype.size, dtype, 0, (2, 300), (300, 1)),
        "ü/é": StoredTensor("1", dtype.size, dtype, 0, (), ())}


def test_large_sizes_have_room():
    state = parse_torch_pickle(encode_state_dict([("a", I8, (1 << 33, 0), "0")]))
    assert state["a"].shape == (1 << 33, 0)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-1 << 70, 1 << 70) | st.floats(allow_nan=False)
    | st.text(max_size=5) | st.binary(min_size=1, max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=4))


@given(PLAIN, st.sampled_from([2, 4]))
def test_plain_values_are_what_pickle_makes_of_them(value, protocol):
    assert parse_torch_pickle(pickle.dumps(value, protocol)) == value


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/tfckpt-was-here",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_is_ever_run(protocol):
    with pytest.raises(UnsupportedError) as caught:
        parse_torch_pickle(pickle.dumps({"a": Evil()}, protocol))
    if protocol:
        assert str(caught.value).splitlines() == [
            "the file holds more than tensors, and nothing in a file is ever run: got"
            f" {os.system.__module__}.system (byte {caught.value.offset})",
            "Save only its tensors: torch.save(model.state_dict(), PATH)."]
    assert not os.path.exists("/tmp/tfckpt-was-here")


STORAGE = b"(X\7\0\0\0storagectorch\nCharStorage\nX\1\0\0\0000X\3\0\0\0cpuK\4tQ"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n("
WRONG = [
    (b"", TruncatedError, "the pickle ends too early: expected 1 bytes, got 0 (byte 0)"),
    (b".", FormatError, "the pickle takes a value that isn't there (byte 1)"),
    (b"(.", FormatError, "the pickle takes a value that isn't there (byte 2)"),
    (b"t.", FormatError, "the pickle takes values up to a mark that isn't there (byte 1)"),
    (b"h\7.", FormatError, "the pickle recalls what it never remembered (byte 2)"),
    (b"NNa.", FormatError, "the pickle appends to what is no list (byte 3)"),
    (b"N(u.", FormatError, "the pickle sets items of what is no dictionary (byte 3)"),
    (b"}(Nu.", FormatError, "the pickle sets items of what is no dictionary (byte 4)"),
    (b"})Ns.", UnsupportedError, "a key of a dictionary is neither text nor a number: got tuple"
                                 " (byte 4)"),
    (b"N)R.", FormatError, "the pickle calls what is no function (byte 3)"),
    (b"NNb.", UnsupportedError, "the pickle sets the state of an object: got NoneType (byte 3)"),
    (b"NQ.", FormatError, "the pickle refers to what is no storage (byte 2)"),
    (b"ccollections", FormatError, "the pickle names no global where it should (byte 1)"),
    (b"\xff", UnsupportedError, "the pickle has an opcode that plain tensors don't need: got"
                                " b'\\xff' (byte 0)"),
    (b"ctorch\nSize\n)R.", UnsupportedError,
     "the pickle calls a function in a way that plain tensors don't need: got torch.Size"
     " (byte 14)"),
    (REBUILD + STORAGE + b"K\0(K\5t(K\1ttR.", FormatError,
     "a tensor reaches beyond its storage: expected 4 bytes at most, got 5 (byte 96)"),
    (REBUILD + STORAGE + b"K\0(K\2t(K\4ttR.", FormatError,
     "a tensor reaches beyond its storage: expected 4 bytes at most, got 5 (byte 96)"),
    (REBUILD + STORAGE + b"K\0(K\2t)tR.", FormatError,
     "a tensor's shape and strides contradict each other (byte 93)"),
    (REBUILD + STORAGE + b"K\0(J\xff\xff\xff\xfft(K\1ttR.", FormatError,
     "a tensor's shape and strides contradict each other (byte 99)"),
]


@pytest.mark.parametrize(("data", "kind", "message"), WRONG)
def test_what_plain_tensors_dont_need_is_refused(data, kind, message):
    with pytest.raises(kind) as caught:
        parse_torch_pickle(data)
    assert str(caught.value) == message


def test_values_that_hold_themselves_end():
    loop: list = []
    loop.append(loop)
    with pytest.raises(FormatError, match="deeper or larger than any model's"):
        flatten_state(parse_torch_pickle(pickle.dumps(loop, 2)))
    wide: list = [1]
    for _ in range(40):
        wide = [wide, wide]
    with pytest.raises(FormatError, match="deeper or larger than any model's"):
        flatten_state(parse_torch_pickle(pickle.dumps(wide, 2)))


def test_two_values_of_one_name_are_refused():
    with pytest.raises(FormatError, match="two values of the file have one name"):
        flatten_state({"a": {0: 1, "0": 2}})
