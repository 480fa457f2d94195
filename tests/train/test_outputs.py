"""Live values of every kind as tensors to write, in the order that was asked for."""

from __future__ import annotations

import numpy as np

import tfckpt
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.format.dtypes import dtype_named
from tfckpt.train.outputs import value_outputs
from tfckpt.train.variables import Variable


class Making:
    """As a framework's object that makes its tensor itself."""

    def output(self, key):
        return array_output(key, np.int8([7]), dtype_named("int8"))


def test_variables_and_other_values_keep_their_places():
    calls = []

    def compute():
        calls.append(True)
        return np.float64([1.0, 2.0])

    values = [Variable(1.0), "text", Variable([1, 2], dtype="int64"), compute, Making(), b"\xff",
              np.int32(3), lambda: "late", [1, 2]]
    outputs = value_outputs([f"k{n}" for n in range(len(values))], values)
    assert [(output.key, output.dtype.name, output.shape) for output in outputs] == [
        ("k0", "float32", ()), ("k1", "string", ()), ("k2", "int64", (2,)), ("k3", "float64", (2,)),
        ("k4", "int8", (1,)), ("k5", "string", ()), ("k6", "int32", ()), ("k7", "string", ()),
        ("k8", "int32", (2,))]
    assert calls == [True]


def test_variables_alone_are_what_they_are_among_others():
    variables = [Variable(1.0), Variable([1, 2], dtype="int64"), Variable("text")]
    alone = value_outputs(["a", "b", "c"], variables)
    among = value_outputs(["a", "b", "c", "d"], [*variables, 1.0])
    assert [bytes(output.origin.data) for output in alone] == [
        bytes(output.origin.data) for output in among[:3]]


def test_names_that_can_not_be_encoded_at_once_are_encoded_one_by_one(tmp_path):
    """A key with a NUL in it: the keys of a plan are joined by these."""
    keys = ["a", "a\0b", "c\udcff", "é"]
    outputs = [array_output(key, np.float32(n), dtype_named("float32"))
               for n, key in enumerate(keys)]
    write_plan(Plan(tuple(outputs), "name-based"), str(tmp_path / "m"))
    with tfckpt.open(tmp_path / "m") as source:
        assert {key: float(source[key]) for key in source} == {
            key: float(n) for n, key in enumerate(keys)}
