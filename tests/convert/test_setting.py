"""Other values for some tensors."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS
from tfckpt.convert.setting import set_values
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.errors import UnsupportedError, VariableError
from tfckpt.format.dtypes import dtype_named

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
KERNEL = np.arange(12, dtype=np.float32).reshape(3, 4)


def save(prefix, byte_order="little", **arrays) -> str:
    outputs = tuple(array_output(key, np.asarray(array), dtype_named(str(np.asarray(array).dtype)))
                    for key, array in arrays.items())
    write_plan(Plan(outputs, "name-based", byte_order), str(prefix))
    return str(prefix)


def read(prefix) -> dict:
    with tfckpt.open(prefix) as source:
        assert tfckpt.verify(source).problems == ()
        return dict(source)


def test_what_is_set_is_new_and_the_rest_linked(tmp_path):
    report = set_values(EXAMPLE, tmp_path / "b", {"dense/kernel": KERNEL, "global_step:0": 9})
    before, after = read(EXAMPLE), read(tmp_path / "b")
    assert after.pop("dense/kernel").tolist() == KERNEL.tolist()
    assert after.pop("global_step") == 9
    assert all(np.array_equal(after[key], before[key]) for key in after)
    assert len(after) == len(before) - 2
    assert report.files[0].how != "new"


@pytest.mark.parametrize(("key", "value", "message"), [
    ("dense/kernel", KERNEL.T, r"expected float32 \[3, 4\], got float32 \[4, 3\]"),
    ("dense/kernel", KERNEL.astype("f8"), r"expected float32 \[3, 4\], got float64 \[3, 4\]"),
    ("dense/kernel", 1.0, r"expected float32 \[3, 4\], got float64 \[\]"),
    ("global_step", 1.5, r"can't hold this number: expected int64 \[\], got 1.5"),
    ("global_step", 1 << 70, "can't hold this number"),
    ("dense/kernel", np.array([b"a"]), r"got string \[1\]"),
])
def test_what_does_not_fit_is_refused(tmp_path, key, value, message):
    with pytest.raises(VariableError, match=message):
        set_values(EXAMPLE, tmp_path / "b", {key: value})
    assert not list(tmp_path.iterdir())


def test_force_stores_what_does_not_fit(tmp_path):
    set_values(EXAMPLE, tmp_path / "b", {"dense/kernel": KERNEL.T.astype("f8")}, force=True)
    array = read(tmp_path / "b")["dense/kernel"]
    assert (array.dtype, array.shape) == (np.float64, (4, 3))
    assert array.tolist() == KERNEL.T.tolist()


def test_a_new_name_that_is_nearly_an_old_one_is_told(tmp_path):
    report = set_values(EXAMPLE, tmp_path / "b", {"dense/kernl": 1}, dry_run=True)
    assert report.plan.notes[0] == (
        "there was no dense/kernl: it is a new tensor; did you mean dense/kernel?")


def test_a_new_name_is_a_new_tensor(tmp_path):
    report = set_values(EXAMPLE, tmp_path / "b", {"extra/w": KERNEL, "n": 3, "x": 0.5})
    assert report.plan.notes[0] == "there was no extra/w: it is a new tensor"
    got = read(tmp_path / "b")
    assert (got["n"].dtype, got["x"].dtype) == (np.int64, np.float32)
    assert got["extra/w"].tolist() == KERNEL.tolist()


def test_new_variables_hang_in_the_graph(tmp_path):
    source = tfckpt.Checkpoint(model={"w": tfckpt.Variable(1.0)}).save(str(tmp_path / "a"))
    set_values(source, tmp_path / "b", {"model/w": 2.0, "model/b": KERNEL, "head/x/w": 1.0})
    assert {"model/b" + VALUE, "head/x/w" + VALUE} < set(read(tmp_path / "b"))
    model = {"w": tfckpt.Variable(0.0), "b": tfckpt.Variable(np.zeros_like(KERNEL))}
    head = {"x": {"w": tfckpt.Variable(0.0)}}
    tfckpt.Checkpoint(model=model, head=head).restore(str(tmp_path / "b")).assert_consumed()
    assert model["b"].numpy().tolist() == KERNEL.tolist()
    with pytest.raises(UnsupportedError, match="has a part without a name"):
        set_values(source, tmp_path / "c", {"/x": 1})
    with pytest.raises(UnsupportedError, match="one tensor is set twice"):
        set_values(source, tmp_path / "c", {"model/w": 1.0, "model/w" + VALUE: 1.0})
    with pytest.raises(UnsupportedError, match="the object graph can't be set"):
        set_values(source, tmp_path / "c", {"_CHECKPOINTABLE_OBJECT_GRAPH": 1})


def test_big_endian_checkpoints_get_big_endian_values(tmp_path):
    source = save(tmp_path / "a", "big", a=np.arange(3, dtype="f4").byteswap(),
                  n=np.int64(5).byteswap())
    set_values(source, tmp_path / "b", {"n": 7, "a": np.float32([1, 2, 3]),
                                        "s": np.array(["x", "yz"])})
    got = read(tmp_path / "b")
    assert (got["n"], got["a"].tolist(), got["s"].tolist()) == (7, [1, 2, 3], [b"x", b"yz"])


def test_bfloat16_that_numpy_saved_as_raw_bytes(tmp_path):
    source = save(tmp_path / "a", w=np.zeros(2, ml_dtypes.bfloat16))
    raw = np.array([1.5, -2], ml_dtypes.bfloat16)
    np.save(tmp_path / "w.npy", raw)
    set_values(source, tmp_path / "b", {"w": np.load(tmp_path / "w.npy")})
    assert read(tmp_path / "b")["w"].tolist() == [1.5, -2]


def test_strings_and_kinds_that_cannot_be_stored(tmp_path):
    source = save(tmp_path / "a", w=np.zeros(2, np.float32))
    with pytest.raises(UnsupportedError, match="a tensor of strings needs bytes or text"):
        set_values(source, tmp_path / "b", {"s": np.array([None])})
    with pytest.raises(UnsupportedError, match="no dtype of this name"):
        set_values(source, tmp_path / "b", {"t": np.array(["2020"], "M8[Y]")})


def test_a_sliced_tensor_is_set_in_one_piece(tmp_path):
    with tfckpt.open(GOLDENS / "tf1.15" / "sliced") as source:
        key = next(key for key in source if source.index[key].slices)
        array = np.asarray(source[key]) + 1
    set_values(GOLDENS / "tf1.15" / "sliced", tmp_path / "b", {key: array})
    assert np.array_equal(read(tmp_path / "b")[key], array)
