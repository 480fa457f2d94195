"""Arrays of any kind as the bytes of tensors: small ones at once, others as they lie."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tfckpt.core.arrays import array_output, array_outputs
from tfckpt.format.dtypes import dtype_named

BIG = np.arange(1000, dtype=np.float32)

# Array, dtype in the file, and the bytes.
CASES = [
    (np.float32(1.5), "float32", "0000c03f"),
    (np.zeros([0, 3], np.int64), "int64", ""),
    (np.array([[1, 2], [3, 4]], np.int16).T, "int16", "0100030002000400"),
    (np.array([1, 2, 3, 4], np.uint8)[::-2], "uint8", "0402"),
    (np.array([True, False]), "bool", "0100"),
    (np.array([1.0, 2.0], ml_dtypes.bfloat16), "bfloat16", "803f0040"),
    (np.complex64(1 + 2j), "complex64", "0000803f00000040"),
    (np.array([1, -2], ml_dtypes.int4), "int4", "010e"),
    (np.array([1, 2]), "float32", "0000803f00000040"),  # int64 bytes would be twice as many
    (np.array(b"ab", object), "string", "02d8d810736162"),
]


def data_of(output) -> bytes:
    return bytes(output.origin.data)


@pytest.mark.parametrize(("array", "dtype", "data"), CASES)
def test_one_array(array, dtype, data):
    output = array_output("key", array, dtype_named(dtype))
    assert (output.key, output.dtype.name, output.shape) == ("key", dtype, array.shape)
    assert data_of(output).hex() == data


def test_many_arrays_are_what_each_is_alone():
    arrays = [array for array, _, _ in CASES] + [BIG]
    dtypes = [dtype_named(dtype) for _, dtype, _ in CASES] + [dtype_named("float32")]
    keys = [f"k{n}" for n in range(len(arrays))]
    outputs = array_outputs(keys, arrays, dtypes)
    assert [output.key for output in outputs] == keys
    for output, key, array, dtype in zip(outputs, keys, arrays, dtypes, strict=True):
        alone = array_output(key, array, dtype)
        assert output[:3] == alone[:3]
        assert data_of(output) == data_of(alone)
        assert output.origin[1:] == alone.origin[1:]


def test_a_big_array_is_not_copied_and_not_written_to():
    output = array_output("key", BIG, dtype_named("float32"))
    assert np.shares_memory(output.origin.data, BIG)
    assert not output.origin.data.flags.writeable
    assert BIG.flags.writeable  # that of its owner


def test_a_column_of_a_big_array_becomes_contiguous():
    table = np.arange(4000, dtype=np.float32).reshape(1000, 4)
    assert data_of(array_output("key", table[:, 1], dtype_named("float32"))) == table[
        :, 1].tobytes()


def test_lists_of_other_lengths_are_a_mistake():
    with pytest.raises(ValueError, match="shorter"):
        array_outputs(["a", "b"], [BIG], [dtype_named("float32")])
