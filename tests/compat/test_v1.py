"""V1 checkpoints, judged by real TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

import tfckpt
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.writer_v1 import write_v1_plan
from tfckpt.format.dtypes import dtype_named

DTYPES = ["float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "bool",
          "uint16", "complex128", "float16", "string"]


def values(dtype: str) -> np.ndarray:
    if dtype == "string":
        return np.array([[b"ab", b""], [b"\0\xff", b"x" * 300]], object)
    numbers = {"bool": [1, 0, 1, 1], "uint8": [0, 1, 200, 255], "uint16": [0, 1, 300, 65535]}
    array = np.array(numbers.get(dtype, [-2, 0, 100, 7]))
    return array.astype(dtype_named(dtype).numpy()).reshape(2, 2)


def packed(array, dtype: str) -> dict:
    data = ([item.hex() for item in array.reshape(-1)] if dtype == "string"
            else array.tobytes().hex())
    return {"dtype": dtype, "shape": list(array.shape), "hex": data}


ARRAYS = {f"{dtype}/{name}": (dtype, array) for dtype in DTYPES
          for name, array in {"matrix": values(dtype), "scalar": values(dtype)[1, 0],
                              "none": values(dtype)[:0]}.items()}


def ours(path, **chosen) -> None:
    outputs = tuple(array_output(name, np.asarray(array, object if dtype == "string" else None),
                                 dtype_named(dtype)) for name, (dtype, array) in chosen.items())
    write_v1_plan(Plan(outputs, "name-based"), str(path))


def packs(**chosen) -> dict:
    return {name: packed(np.asarray(array, object if dtype == "string" else None), dtype)
            for name, (dtype, array) in chosen.items()}


def test_the_same_values_give_tensorflows_bytes(tmp_path, tf):
    tf("save_v1", "v1_snippets", path=str(tmp_path / "theirs"), tensors=packs(**ARRAYS))
    ours(tmp_path / "ours", **dict(sorted(ARRAYS.items())))  # as the operation sorts them
    assert (tmp_path / "theirs").read_bytes() == (tmp_path / "ours").read_bytes()
    with tfckpt.open(tmp_path / "theirs") as source:
        for name, (_, array) in ARRAYS.items():
            assert np.array_equal(source[name], array), name
            assert source[name].dtype == np.asarray(array).dtype or source[name].dtype == object


def test_tensorflow_restores_what_we_write(tmp_path, tf):
    ours(tmp_path / "m", **ARRAYS)
    assert tf("restore_v1", "v1_snippets", pattern=str(tmp_path / "m"),
              dtypes={name: dtype for name, (dtype, _) in ARRAYS.items()}) == packs(**ARRAYS)


def test_behaviour_108_shards_by_pattern_and_one_alone(tmp_path, tf):
    first = dict(list(ARRAYS.items())[:5])
    second = dict(list(ARRAYS.items())[5:9])
    ours(tmp_path / "m-00000-of-00002", **first)
    ours(tmp_path / "m-00001-of-00002", **second)
    for pattern, chosen in (("m-?????-of-00002", first | second), ("m-00001-of-00002", second)):
        assert tf("restore_v1", "v1_snippets", pattern=str(tmp_path / pattern),
                  dtypes={name: dtype for name, (dtype, _) in chosen.items()}) == packs(**chosen)


def test_behaviour_106_partitioned_variables_go_both_ways(tmp_path, tf):
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    rows = [("w", "4 6 0,2:0,6", packed(array[:2], "float32")),
            ("w", "4 6 2,2:0,6", packed(array[2:], "float32"))]
    tf("save_v1_slices", "v1_snippets", path=str(tmp_path / "theirs"), rows=rows)
    with tfckpt.open(tmp_path / "theirs") as source:
        assert np.array_equal(source["w"], array)
        assert source.read_slice("w", (slice(1, 3), 2)).tolist() == array[1:3, 2].tolist()
    tfckpt.convert(tmp_path / "theirs", tmp_path / "ours", to="tf1-v1")
    assert (tmp_path / "theirs").read_bytes() == (tmp_path / "ours").read_bytes()
    tfckpt.convert(tmp_path / "theirs", tmp_path / "v2", to="tf1")
    wanted = [("w", spec, "float32") for spec in ("", "4 6 1,2:0,6", "4 6 3,1:2,3")]
    got = tf("restore_slices", "slice_snippets", prefix=str(tmp_path / "v2"), rows=wanted)
    assert got == [packed(part, "float32") for part in (array, array[1:3], array[3:, 2:5])]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("sharded", [False, True])
def test_a_partitioned_saver_writes_what_tensorflows_writes(tmp_path, tf115, version, sharded):
    """Behaviours 89 and 106: one name in parts, and what is beside it."""
    array = np.arange(10, dtype=np.float32).reshape(5, 2)
    tf115("save_partitioned", "v1_snippets", path=str(tmp_path / "theirs" / "m"), version=version,
          sharded=sharded, value=array.tolist(), parts=3)
    with tfckpt.Graph().as_default():
        w = tfckpt.get_variable("w", [5, 2], partitioner=tfckpt.fixed_size_partitioner(3))
        b = tfckpt.get_variable("b", [2])
        w.assign(array)
        b.assign([7, 8])
        saver = tfckpt.Saver(write_version=version, sharded=sharded)
        path = saver.save(None, tmp_path / "ours" / "m")
    theirs = {file.name: file for file in (tmp_path / "theirs").iterdir()
              if file.name != "checkpoint"}
    for name, file in theirs.items():
        assert file.read_bytes() == (tmp_path / "ours" / name).read_bytes(), name
    assert path.startswith(str(tmp_path / "ours" / "m"))
    state = (tmp_path / "theirs" / "checkpoint").read_text().replace("theirs", "ours")
    assert state == (tmp_path / "ours" / "checkpoint").read_text()
