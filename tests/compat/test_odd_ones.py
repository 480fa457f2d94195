"""Dtypes, shapes and names that few have, written by us and read by real TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

import tfckpt
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.format.dtypes import DTYPES, dtype_named

SINCE = {"tf1.15": 23, "tf2.15": 25, "tf2.21": 30}  # the last dtype that each knows
# Quantized kinds are plain integers here; 2.15 has int4 too, under number 29.
SMALL = ["float8_e5m2", "float8_e4m3fn", "int4", "uint4"]


def packed(array, dtype: str) -> dict:
    return {"dtype": dtype, "shape": list(array.shape), "hex": np.asarray(array).tobytes().hex()}


def save(prefix, **tensors) -> str:
    outputs = tuple(array_output(name, array, dtype_named(dtype))
                    for name, (array, dtype) in tensors.items())
    write_plan(Plan(outputs, "name-based"), str(prefix))
    return str(prefix)


def restored(tf, prefix, tensors) -> list:
    return tf("restore_slices", "slice_snippets", prefix=prefix,
              rows=[(name, "", dtype) for name, (_, dtype) in tensors.items()])


def test_every_dtype_of_numbers_is_read_by_each_tensorflow(tmp_path, tf):
    tensors = {}
    for dtype in DTYPES[:SINCE[tf.version]]:
        if dtype.size and not dtype.name.startswith("float8") and "int4" not in dtype.name:
            array = np.array([[0, 1], [1, 0]]).astype(dtype.numpy())
            tensors[dtype.name] = array, dtype.name
    assert len(tensors) >= 20
    prefix = save(tmp_path / "m", **tensors)
    assert restored(tf, prefix, tensors) == [packed(*value) for value in tensors.values()]


@pytest.mark.parametrize("dtype", SMALL)
def test_small_kinds_are_read_by_tensorflow_2(tmp_path, tf2, dtype):
    array = np.array([1, 2, 3, 7]).astype(dtype_named(dtype).numpy())
    prefix = save(tmp_path / "m", w=(array, dtype))
    assert restored(tf2, prefix, {"w": (array, dtype)}) == [packed(array, dtype)]


@pytest.mark.parametrize("rank", range(9))
def test_ranks_up_to_eight_and_empty_tensors(tmp_path, tf, rank):
    tensors = {"full": (np.arange(2**rank, dtype=np.float32).reshape((2,) * rank), "float32")}
    if rank:
        tensors["empty"] = np.zeros((2,) * (rank - 1) + (0,), np.int64), "int64"
    prefix = save(tmp_path / "m", **tensors)
    assert restored(tf, prefix, tensors) == [packed(*value) for value in tensors.values()]


def test_names_of_64_kib_and_of_any_letters(tmp_path, tf):
    names = ["x" * 65536, "über/größe", "a b", "c:d", "e\tf", "日本/語"]
    tensors = {name: (np.float32([n]), "float32") for n, name in enumerate(names)}
    prefix = save(tmp_path / "m", **tensors)
    assert restored(tf, prefix, tensors) == [packed(*value) for value in tensors.values()]


def test_names_that_are_not_utf8_go_to_tensorflow_and_back(tmp_path, tf):
    """TensorFlow's own listing of them fails; by their bytes they are found."""
    name = b"w\xff/\x80".decode("utf-8", "surrogateescape")
    prefix = save(tmp_path / "m", **{name: (np.float32([1, 2]), "float32")})
    assert tf("restore_bytes_name", "slice_snippets", prefix=prefix, name=b"w\xff/\x80".hex()) == \
        packed(np.float32([1, 2]), "float32")
    with tfckpt.open(prefix) as source:
        assert list(source) == [name]
