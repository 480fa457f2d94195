"""Saving and restoring variables by name, without TensorFlow.

tests/compat/test_saver.py holds the same against TensorFlow itself.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, SHARED, digest, files_of, needs_shared
from tfckpt.errors import (
    CheckpointNotFoundError,
    CheckpointWarning,
    ChecksumError,
    GraphStateError,
    PathConflictError,
    StorageError,
    UnsupportedError,
    VariableError,
    VariableTypeError,
)
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.getting import get_local_variable, get_variable
from tfckpt.train.graphs import Graph, GraphKeys, add_to_collection, name_scope
from tfckpt.train.initializers import fixed_size_partitioner
from tfckpt.train.loadreport import Missing, RestoreError
from tfckpt.train.modules import Module
from tfckpt.train.objects import PythonState, Trackable
from tfckpt.train.optimizer import Optimizer
from tfckpt.train.saver import Saver
from tfckpt.train.scopes import variable_scope
from tfckpt.train.state import get_checkpoint_state, latest_checkpoint
from tfckpt.train.values import as_dtype
from tfckpt.train.variables import Variable


@pytest.fixture
def path(tmp_path):
    """Prefix to save under."""
    return str(tmp_path / "model")


def saved(path, **values) -> str:
    """A checkpoint of variables with these names and values."""
    return Saver({name: Variable(value) for name, value in values.items()}).save(None, path)


def stored(prefix) -> dict:
    """Values of a checkpoint by key."""
    with tfckpt.open(prefix) as source:
        return {key: source[key].tolist() for key in source}


def kept(folder) -> list[str]:
    """Names of the checkpoints of a folder."""
    return sorted(name.removesuffix(".index") for name in os.listdir(folder)
                  if name.endswith(".index"))


# Where it is saved.


@pytest.mark.parametrize("step", [None, 7])
def test_save_returns_the_very_prefix_that_was_given_as_text(tmp_path, monkeypatch, step):
    """Behaviour 7."""
    monkeypatch.chdir(tmp_path)
    ending = "" if step is None else "-7"
    for given in ("model", "./model", "sub/../model", f"{tmp_path}/model", Path("sub/model")):
        os.makedirs("sub", exist_ok=True)
        got = Saver([Variable(1.0, name="v")]).save(None, given, step)
        assert isinstance(got, str)
        assert f"{given}{ending}" == got
        assert stored(got) == {"v": 1.0}


@pytest.mark.parametrize("step", [
    7, np.int64(7), np.array(7), Variable(7), Variable(7, dtype="int64")],
    ids=["int", "numpy", "array", "variable", "int64 variable"])
def test_the_step_is_a_number_or_a_variable_and_has_eight_digits_if_asked(path, step):
    """Behaviour 8."""
    v = Variable(1.0, name="v")
    assert Saver([v]).save(None, path, global_step=step) == f"{path}-7"
    padding = Saver([v], pad_step_number=True)
    assert padding.save(None, path, global_step=step) == f"{path}-00000007"
    assert padding.save(None, path, global_step=123456789) == f"{path}-123456789"
    assert padding.save(None, path) == path


@pytest.mark.parametrize("step", [2.7, 2.0, "7", Variable(2.7), [7]])
def test_a_step_that_is_no_integer_is_refused_and_not_cut(path, step):
    """Behaviour 8."""
    with pytest.raises(VariableTypeError) as caught:
        Saver([Variable(1.0, name="v")]).save(None, path, global_step=step)
    assert str(caught.value) == f"the step is no integer: got {step!r}"
    assert os.listdir(os.path.dirname(path)) == []


def test_a_missing_folder_is_made(tmp_path):
    """Behaviour 5."""
    prefix = tmp_path / "a" / "b" / "model"
    assert Saver([Variable(1.0, name="v")]).save(None, prefix) == str(prefix)
    assert latest_checkpoint(tmp_path / "a" / "b") == str(prefix)


def test_a_path_below_a_file_is_refused_and_named(tmp_path):
    """Behaviour 5."""
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(StorageError) as caught:
        Saver([Variable(1.0, name="v")]).save(None, tmp_path / "file" / "model")
    assert f"{tmp_path}/file" in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"kept"


@pytest.mark.parametrize(("name", "step", "options", "made"), [
    ("checkpoint", None, {}, {}),
    ("checkpoint", None, {}, {"sharded": True}),  # V2 files have the same names then
    ("last", None, {"latest_filename": "last"}, {}),
    ("last", 7, {"latest_filename": "last-7"}, {}),
    ("checkpoint", None, {"write_state": False}, {}),
])
def test_a_checkpoint_where_the_state_file_goes_is_refused(tmp_path, name, step, options, made):
    """Behaviour 23."""
    prefix = tmp_path / name
    with pytest.raises(PathConflictError) as caught:
        Saver([Variable(1.0, name="v")], **made).save(None, prefix, step, **options)
    full = prefix if step is None else f"{prefix}-{step}"
    assert str(caught.value) == (
        f"the checkpoint would be where the state file of its folder goes (file {full})\n"
        "Save it under another name, or give the state file another one.")
    assert os.listdir(tmp_path) == []


def test_a_step_or_another_state_file_makes_the_name_possible(tmp_path):
    """Behaviour 23."""
    saver = Saver([Variable(1.0, name="v")])
    assert saver.save(None, tmp_path / "checkpoint", 0) == f"{tmp_path}/checkpoint-0"
    assert latest_checkpoint(tmp_path) == f"{tmp_path}/checkpoint-0"
    prefix = saver.save(None, tmp_path / "other" / "checkpoint", latest_filename="last")
    assert latest_checkpoint(tmp_path / "other", "last") == prefix


def test_the_state_files_name_may_have_no_folder(path):
    with pytest.raises(VariableError) as caught:
        Saver([Variable(1.0, name="v")]).save(None, path, latest_filename="sub/last")
    assert str(caught.value) == "the state file's name may have no folder: got sub/last"
    assert not os.path.exists(path + ".index")


# What is saved.


def test_a_list_is_stored_under_own_names(path):
    """Behaviour 9."""
    with Graph().as_default(), variable_scope("scoped"):
        b, a = get_variable("b", initializer=2.0), get_variable("a", initializer=1.0)
        with name_scope("more"):
            c = Variable(3.0, name="c")
    for given in ([b, a, c], (c, b, a), {a, b, c}, iter([a, b, c])):
        saver = Saver(given)
        assert sorted(saver.variables) == ["scoped/a", "scoped/b", "scoped/more/c"]
        assert stored(saver.save(None, path)) == {
            "scoped/a": 1.0, "scoped/b": 2.0, "scoped/more/c": 3.0}


def test_a_dict_is_stored_under_its_names_and_no_others(path):
    """Behaviour 9."""
    a, b = Variable(1.0, name="a"), Variable(2.0, name="b")
    saver = Saver({"scope/a": a, "a": b})
    assert stored(saver.save(None, path)) == {"a": 2.0, "scope/a": 1.0}
    a.assign(0)
    b.assign(0)
    saver.restore(None, path)
    assert (a.numpy(), b.numpy()) == (1.0, 2.0)


def test_data_lies_in_the_order_of_the_names(path):
    """As in TensorFlow, whatever the order that was given."""
    saved(path, b=np.uint8(2), a=np.uint8(1), c=np.uint8(3))
    assert Path(path + ".data-00000-of-00001").read_bytes() == b"\1\2\3"


def test_values_are_those_at_the_time_of_the_save(path):
    v = Variable([1, 2], name="v")
    saver = Saver([v])
    v.assign([3, 4])
    saver.save(None, path)
    v.assign([5, 6])
    assert stored(path) == {"v": [3, 4]}


def test_without_arguments_everything_global_is_taken(path):
    """Behaviour 10."""
    state = Counter()
    with Graph().as_default():
        Variable(1.0, name="a")
        get_variable("b", initializer=2, trainable=False)
        get_local_variable("local", [])
        get_variable("unlisted", [], collections=[])
        add_to_collection(GraphKeys.SAVEABLE_OBJECTS, state)
        saver = Saver()
        Variable(3.0, name="later")
    assert stored(saver.save(None, path)) == {"a": 1.0, "b": 2, "count": 0}


def test_another_graph_is_another_list():
    """Behaviour 10."""
    with Graph().as_default():
        Variable(1.0, name="a")
        with Graph().as_default():
            Variable(1.0, name="b")
            assert list(Saver().variables) == ["b"]
        assert list(Saver().variables) == ["a"]


def test_outside_a_graph_there_must_be_a_list():
    """Behaviour 10; TensorFlow's error is a RuntimeError too."""
    with pytest.raises(RuntimeError) as caught:
        Saver()
    assert isinstance(caught.value, GraphStateError)
    assert str(caught.value) == "outside of a graph a Saver needs a list of variables"


def parts_of(name="w", shape=(5, 2), count=2) -> list:
    """Parts of a partitioned variable."""
    return list(get_variable(name, list(shape), partitioner=fixed_size_partitioner(count)))


def refused_lists():
    a, b, again = Variable(1.0, name="a"), Variable(2.0, name="b"), Variable(3.0, name="a")
    part, other = parts_of("a")[0], parts_of("b")
    two = "two variables would be saved under one name"
    yield "names", [a, b, again], f"{two} (tensor 'a')"
    yield "map", {"a": a, "x": b, "y": a}, (
        "one variable would be saved under two names, a and y (tensor 'y')")
    yield "slice", [a, b, part], f"{two} (tensor 'a')"
    yield "slice first", [part, a], f"{two} (tensor 'a')"
    yield "part", {"x": other, "y": other[0]}, (
        "one variable would be saved under two names, x and y (tensor 'y')")
    yield "value", {"ab": Variable(1.0), "a": Named({"b": 1.0})}, f"{two} (tensor 'ab')"
    yield "objects", [Named({"b": 1.0}), Named({"c": 1.0})], (
        f"{two} (tensor '')\n"
        "A list has no names for objects that store values of their own; give a dict.")


class Named(Trackable):
    """Stores the values that it is made with, and keeps what is restored."""

    def __init__(self, values) -> None:
        self.__dict__["values"] = values
        self.__dict__["restored"] = None

    def _serialize_to_tensors(self):
        return self.values

    def _restore_from_tensors(self, restored):
        self.__dict__["restored"] = restored


class Counter(Named):
    """Stores one number."""

    def __init__(self) -> None:
        super().__init__({"count": 0})


@pytest.mark.parametrize(("given", "message"), [case[1:] for case in refused_lists()],
                         ids=[case[0] for case in refused_lists()])
def test_two_for_one_name_and_one_for_two_are_refused_when_it_is_made(given, message):
    """Behaviour 11."""
    with pytest.raises(VariableError) as caught:
        Saver(given)
    assert str(caught.value) == message


def test_a_variable_that_is_listed_twice_is_saved_once(path):
    """As in eager TensorFlow: layers may share a variable."""
    v = Variable(1.0, name="v")
    assert stored(Saver([v, v]).save(None, path)) == {"v": 1.0}


@pytest.mark.parametrize(("given", "message"), [
    (["v"], "this is nothing that a Saver can save: got 'v'"),
    ({"v": 1.0}, "this is nothing that a Saver can save: got 1.0 (tensor 'v')"),
    ({1: Variable(1.0)}, "the name of a variable must be text: got 1"),
    (Variable(1.0, name="v"), "a Saver takes a list or dict of variables: got <tfckpt.Variable"
                              " 'v:0' shape=() dtype=float32, numpy=1.0>"),
])
def test_what_is_no_variable_is_refused_when_it_is_made(given, message):
    with pytest.raises(VariableTypeError) as caught:
        Saver(given)
    assert str(caught.value) == message


def test_an_object_without_values_is_refused_and_not_left_out():
    with pytest.raises(VariableTypeError, match="nothing that a Saver can save"):
        Saver({"m": Module()})


@pytest.mark.parametrize("nothing", [[], {}, ()])
def test_no_variables_are_refused(nothing):
    """Behaviour 14."""
    with pytest.raises(VariableError) as caught:
        Saver(nothing)
    assert str(caught.value) == ("there are no variables to save\n"
                                 "Make them first, or allow it with allow_empty=True.")
    with Graph().as_default(), pytest.raises(VariableError):
        Saver()


def test_an_empty_saver_does_nothing(tmp_path):
    """Behaviour 14."""
    with Graph().as_default():
        for saver in (Saver(allow_empty=True), Saver([], allow_empty=True)):
            assert saver.save(None, tmp_path / "model") is None
            saver.restore(None, tmp_path / "nowhere")
            saver.restore(None, None)
            assert saver.last_checkpoints == []
    assert os.listdir(tmp_path) == []


def test_a_deferred_saver_takes_what_is_there_when_it_is_built(path):
    """Behaviour 15."""
    with Graph().as_default():
        Variable(1.0, name="early")
        saver = Saver(defer_build=True)
        Variable(2.0, name="late")
        for act in (lambda: saver.save(None, path), lambda: saver.restore(None, path)):
            with pytest.raises(RuntimeError) as caught:
                act()
            assert str(caught.value) == (
                "build() wasn't called on a Saver made with defer_build=True")
        saver.build()
        Variable(3.0, name="later")
        saver.build()
    assert stored(saver.save(None, path)) == {"early": 1.0, "late": 2.0}


def test_a_deferred_saver_takes_no_list():
    """Behaviour 15."""
    with pytest.raises(VariableError) as caught:
        Saver([Variable(1.0)], defer_build=True)
    assert str(caught.value) == ("a Saver that is built later takes no list of variables\n"
                                 "Variables made until then are included by themselves.")


@pytest.mark.parametrize("options", [{"saver_def": "x"}, {"builder": "x"}, {"write_version": 3}])
def test_what_is_not_supported_says_so(options):
    with pytest.raises(UnsupportedError):
        Saver([Variable(1.0)], **options)


def test_a_refused_save_leaves_the_old_checkpoint(path):
    saved(path, a=1.0)
    before = files_of(path)
    with pytest.raises(ZeroDivisionError):
        Saver({"n": Named({"x": lambda: 1 / 0}), "a": Variable(2.0)}).save(None, path)
    assert files_of(path) == before


# Objects of the user's own.


def test_an_object_gives_one_or_several_values_under_tensorflows_names(path):
    """Behaviour 16: the object's name, and right after it the value's, escaped as in keys."""
    one, several = Named({"": 1.0}), Named({"-a/x": np.float64(2), ".b": Variable([3, 4])})
    saver = Saver({"one": one, "n": several, "v": Variable(5.0)})
    assert stored(saver.save(None, path)) == {
        "one": 1.0, "n-a.Sx": 2.0, "n..b": [3, 4], "v": 5.0}
    saver.restore(None, path)
    assert one.restored == {"": 1.0}
    assert list(several.restored) == ["-a/x", ".b"]
    assert several.restored[".b"].tolist() == [3, 4]
    assert several.restored["-a/x"].dtype == np.float64


def test_in_a_list_an_object_has_no_name_of_its_own(path):
    """Behaviour 16."""
    assert stored(Saver([Named({"a": 1, "b": 2}), Variable(3, name="v")]).save(None, path)) == {
        "a": 1, "b": 2, "v": 3}


class Pair(Trackable):
    """One value that sets two variables."""

    def __init__(self, value):
        self.a, self.b = Variable(value), Variable(value)

    def _serialize_to_tensors(self):
        return {"value": self.a}

    def _restore_from_tensors(self, restored):
        self.a.assign(restored["value"])
        self.b.assign(restored["value"] * 2)


def test_one_value_may_set_two_variables(path):
    """Behaviour 16."""
    Saver({"pair/": Pair(3.0)}).save(None, path)
    assert stored(path) == {"pair/value": 3.0}
    pair = Pair(0.0)
    Saver({"pair/": pair}).restore(None, path)
    assert (pair.a.numpy(), pair.b.numpy()) == (3.0, 6.0)


def test_a_computed_value_is_computed_once_in_a_save_and_never_in_a_restore(path):
    """Behaviour 16."""
    calls = []

    def compute():
        calls.append(1)
        return np.float32(len(calls))

    state = Named({"value": compute})
    saver = Saver({"n/": state, "v": Variable(1.0)})
    assert calls == []
    saver.save(None, path)
    assert calls == [1]
    saver.restore(None, path)
    assert calls == [1]
    assert state.restored == {"value": 1.0}
    saver.save(None, path)
    assert calls == [1, 1]


def test_an_objects_values_are_not_cast_either(path):
    """Behaviours 12 and 16."""
    saved(path, nx=1.5, ny=1.5, nz=1.5)
    state = Named({"x": 1, "y": np.float64(1), "z": Variable(1)})
    with pytest.raises(RestoreError) as caught:
        Saver({"n": state}).restore(None, path)
    assert caught.value.report.mismatched == tuple(
        (key, "Named", "float32 []") for key in ("nx", "ny", "nz"))
    assert state.restored is None


def test_an_object_decides_what_becomes_of_another_shape(path):
    """Behaviour 16: as in TensorFlow, even where its value is a variable."""
    saved(path, nx=[1.0, 2.0])
    state = Named({"x": Variable(0.0)})
    Saver({"n": state}).restore(None, path)
    assert state.restored["x"].tolist() == [1, 2]


class State(PythonState):
    """Text that the object makes itself."""

    text = "first"

    def serialize(self):
        return self.text

    def deserialize(self, string_value):
        self.__dict__["text"] = string_value.decode()


def test_python_state_is_saved_and_restored(path):
    """Under TensorFlow's name for it; TensorFlow's own Saver saves it but can't restore it."""
    state = State()
    saver = Saver({"iterator": state})
    saver.save(None, path)
    assert stored(path) == {"iterator_py_state": b"first"}
    state.deserialize(b"second")
    saver.restore(None, path)
    assert state.text == "first"


# Restoring.


def report_of(variables, path) -> str:
    """Message of a restore that is refused."""
    before = [variable.numpy() for variable in variables.values()]
    with pytest.raises(RestoreError) as caught:
        Saver(variables).restore(None, path)
    assert [variable.numpy() for variable in variables.values()] == before
    return str(caught.value)


def test_another_dtype_is_an_error_and_never_cast(path):
    """Behaviour 12: also where a cast would lose nothing."""
    saved(path, a=np.float32(1), b=np.int32(2))
    variables = {"a": Variable(0.0, dtype="float64"), "b": Variable(0, dtype="int32")}
    assert report_of(variables, path) == (
        f"1 variables differ from the checkpoint's in shape or dtype (file {path})\n"
        "Nothing was loaded.\n"
        "matched 1   missing in checkpoint 0   unused in checkpoint 0   differs 1\n"
        "differs:  a  program float64 [], checkpoint float32 []")


@pytest.mark.parametrize(("dtype", "other"), [
    ("bool", "uint8"), ("int32", "int64"), ("float32", "bfloat16"), ("int8", "uint8"),
    ("complex64", "complex128"), ("float16", "bfloat16")])
def test_no_two_dtypes_are_taken_for_each_other(path, dtype, other):
    """Behaviour 12."""
    saved(path, v=Variable(1, dtype=dtype) if dtype != "bool" else True)
    assert (f"program {other} [], checkpoint {dtype} []"
            in report_of({"v": Variable(0, dtype=other)}, path))


def test_another_shape_is_an_error_that_blames_both_sides(path):
    """Behaviour 13."""
    saved(path, a=np.float32([[1, 2, 3], [4, 5, 6]]), b=1.0)
    given = Variable(np.zeros((3, 2), "float32"))
    with pytest.raises(RestoreError) as caught:
        Saver({"a": given, "b": Variable(0.0)}).restore(None, path)
    assert str(caught.value) == (
        f"1 variables differ from the checkpoint's in shape or dtype (file {path})\n"
        "Nothing was loaded.\n"
        "matched 1   missing in checkpoint 0   unused in checkpoint 0   differs 1\n"
        "differs:  a  program float32 [3, 2], checkpoint float32 [2, 3]")
    assert not given.numpy().any()


def test_on_request_values_are_poured_into_another_shape_row_by_row(path):
    """Behaviour 13."""
    saved(path, a=np.float32([[1, 2, 3], [4, 5, 6]]), b=[b"x"])
    a, b = Variable(np.zeros((3, 2), "float32")), Variable(b"")
    Saver({"a": a, "b": b}, reshape=True).restore(None, path)
    assert a.numpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    assert b.numpy() == b"x"
    with pytest.raises(RestoreError):
        Saver({"a": Variable(np.zeros(5, "float32"))}, reshape=True).restore(None, path)
    with pytest.raises(RestoreError):
        Saver({"a": Variable(np.zeros((3, 2)))}, reshape=True).restore(None, path)


def test_a_variable_takes_every_shape_that_it_allows(path):
    """Behaviour 13."""
    saved(path, a=np.float32([[1, 2], [3, 4], [5, 6]]))
    for variable in (Variable([[0.0, 0.0]], shape=[None, 2]), Variable(0.0, validate_shape=False)):
        Saver({"a": variable}).restore(None, path)
        assert variable.numpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(RestoreError) as caught:
        Saver({"a": Variable([[0.0] * 3], shape=[None, 3])}).restore(None, path)
    assert caught.value.report.mismatched == (("a", "float32 [None, 3]", "float32 [3, 2]"),)


def test_everything_that_is_wrong_is_told_at_once_with_nearest_names(path):
    """Behaviour 2."""
    saved(path, **{"dense/kernel": [1.0, 2.0], "dense/bias": 1.0, "step": 3, "old": 4.0})
    variables = {"kernel": Variable(0.0), "dense/biases": Variable(0.0), "step": Variable(0.0),
                 "old": Variable(0.0)}
    assert report_of(variables, path) == (
        "2 variables are not in the checkpoint, 1 variables differ from the checkpoint's in shape"
        f" or dtype (file {path})\n"
        "Nothing was loaded.\n"
        "matched 1   missing in checkpoint 2   unused in checkpoint 2   differs 1\n"
        "missing:  kernel  float32 []   nearest: dense/kernel\n"
        "missing:  dense/biases  float32 []   nearest: dense/bias\n"
        "differs:  step  program float32 [], checkpoint int32 []\n"
        "unused:   dense/bias\n"
        "unused:   dense/kernel")


def test_nearest_names_are_looked_for_only_where_they_are_printed(path):
    """Each takes milliseconds, and a model has thousands of names."""
    saved(path, **{f"layer_{n:02}/kernel": 0.0 for n in range(30)})
    variables = {f"layer_{n:02}/kernels": Variable(0.0) for n in range(30)}
    with pytest.raises(RestoreError) as caught:
        Saver(variables).restore(None, path)
    missing = caught.value.report.missing
    assert "layer_19/kernel" in missing[19].nearest
    assert missing[20:] == tuple(
        Missing(f"layer_{n}/kernels", "float32 []", ()) for n in range(20, 30))
    assert str(caught.value).endswith("… and 10 more missing\n… and 10 more unused")


def test_a_restore_is_all_or_nothing_even_when_a_tensor_is_damaged(path):
    a, b, state = Variable(1.0, name="a"), Variable(2.0, name="b"), Counter()
    saver = Saver({"a": a, "b": b, "s": state})
    saver.save(None, path)
    data = Path(path + ".data-00000-of-00001")
    content = data.read_bytes()
    data.write_bytes(content[:4] + b"\xff" + content[5:])  # b is the second of the three
    for variable in (a, b):
        variable.assign(0)
    with pytest.raises(ChecksumError):
        saver.restore(None, path)
    assert (a.numpy(), b.numpy(), state.restored) == (0, 0, None)


def test_variables_keep_their_values_when_an_object_refuses_its_own(path):
    class Refusing(Counter):
        def _restore_from_tensors(self, restored):
            raise ZeroDivisionError

    a = Variable(1.0)
    saver = Saver({"a": a, "z": Refusing()})
    saver.save(None, path)
    a.assign(0)
    with pytest.raises(ZeroDivisionError):
        saver.restore(None, path)
    assert a.numpy() == 0


def test_no_file_stays_open_after_a_restore(path):
    """Behaviour 6."""
    saver = Saver([Variable(1.0, name="v")])
    saver.save(None, path)
    saver.restore(None, path)
    files = Path("/proc/self/fd")
    if files.is_dir():
        targets = [os.readlink(fd) for fd in files.iterdir() if fd.is_symlink()]
        assert [target for target in targets if target.startswith(path)] == []


def test_a_prefix_that_is_written_again_is_read_again(path):
    """Behaviour 3."""
    v = Variable(1.0, name="v")
    saver = Saver([v])
    for value in (1.0, 2.0):
        v.assign(value)
        saver.save(None, path)
        v.assign(0)
        saver.restore(None, path)
        assert v.numpy() == value


def test_any_path_to_a_checkpoint_will_do(path):
    """Behaviour 4."""
    v = Variable(1.0, name="v")
    saver = Saver([v])
    saver.save(None, path)
    for given in (path, Path(path), os.path.dirname(path), path + ".index", f"file://{path}"):
        v.assign(0)
        saver.restore(None, given)
        assert v.numpy() == 1


def test_no_path_and_no_checkpoint_are_clean_errors(tmp_path):
    """Behaviours 1 and 2."""
    saver = Saver([Variable(1.0, name="v")])
    with pytest.raises(VariableError) as caught:
        saver.restore(None, None)
    assert str(caught.value) == (
        "a Saver can't restore from None\n"
        "latest_checkpoint gives None if there is no checkpoint yet.")
    with pytest.raises(CheckpointNotFoundError) as missing:
        saver.restore(None, tmp_path / "nowhere")
    assert f"{tmp_path}/nowhere" in str(missing.value)
    assert missing.value.__cause__ is None


def test_what_tensorflow_115_wrote_is_restored_by_name():
    step, kernel = Variable(0, dtype="int64"), Variable(np.zeros((3, 4), "float32"))
    Saver({"global_step": step, "dense/kernel": kernel}).restore(None, EXAMPLE)
    assert step.numpy() == 7
    assert kernel.numpy().any()


# Object-based checkpoints.


def objects():
    """A net with an optimizer that keeps slots."""
    net, optimizer = Module(), Optimizer()
    net.w = Variable([1.0, 2.0], name="dense/w")
    net.layers = [Variable(3, name="dense/b")]
    optimizer.add_slot(net.w, "m", 5.0)
    optimizer.rate = Variable(0.5, name="opt/rate")
    return Checkpoint(net=net, optimizer=optimizer), net, optimizer


def test_an_object_based_file_is_restored_by_full_names_slots_included(path):
    """Behaviour 17."""
    checkpoint, _, _ = objects()
    prefix = checkpoint.save(path)
    twins = {"dense/w": Variable([0.0, 0.0]), "dense/b": Variable(0),
             "dense/w/m": Variable([0.0, 0.0]), "opt/rate": Variable(0.0),
             "save_counter": Variable(0, dtype="int64")}
    Saver(twins).restore(None, prefix)
    assert {name: twin.numpy().tolist() for name, twin in twins.items()} == {
        "dense/w": [1, 2], "dense/b": 3, "dense/w/m": [5, 5], "opt/rate": 0.5, "save_counter": 1}


def test_keys_of_an_object_based_file_are_names_too(path):
    """Behaviour 17; TensorFlow tries these first."""
    prefix = objects()[0].save(path)
    slot = Variable([0.0, 0.0])
    Saver({"net/w/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE": slot}).restore(
        None, prefix)
    assert slot.numpy().tolist() == [5, 5]


def test_a_name_that_is_missing_in_an_object_based_file_has_nearest_names(path):
    """Behaviour 17."""
    prefix = objects()[0].write(path)
    assert report_of({"w": Variable(0.0), "dense/b": Variable(0)}, prefix) == (
        f"1 variables are not in the checkpoint (file {path})\n"
        "Nothing was loaded.\n"
        "matched 1   missing in checkpoint 1   unused in checkpoint 3   differs 0\n"
        "missing:  w  float32 []   nearest: dense/w, net/w\n"
        "unused:   net/w\n"
        "unused:   net/w/.OPTIMIZER_SLOT/optimizer/m\n"
        "unused:   optimizer/rate")


def test_of_two_variables_with_one_name_the_last_is_taken_but_not_silently(path):
    """Behaviour 17: TensorFlow takes the last and says nothing."""
    prefix = Checkpoint(a=Variable(1.0, name="same"), b=Variable(2.0, name="same"),
                        c=Variable(3.0, name="other")).write(path)
    same, other = Variable(0.0), Variable(0.0)
    with pytest.warns(CheckpointWarning) as caught:
        Saver({"same": same, "other": other}).restore(None, prefix)
    assert [str(warning.message) for warning in caught] == [
        "the checkpoint has 2 variables named 'same', and TensorFlow takes the last:"
        " a/.ATTRIBUTES/VARIABLE_VALUE, b/.ATTRIBUTES/VARIABLE_VALUE"]
    assert caught[0].filename == __file__
    assert (same.numpy(), other.numpy()) == (2.0, 3.0)


# Parts of a whole.


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_behaviour_106_what_is_saved_in_parts_restores_whole_and_in_any_parts(
        tmp_path, count, version, sharded):
    array = np.arange(10, dtype="float32").reshape(5, 2)
    options = {"write_version": version, "sharded": sharded}
    with Graph().as_default():
        whole = get_variable("w", [5, 2], partitioner=fixed_size_partitioner(count))
        whole.assign(array)
        savers = [Saver([whole], **options), Saver(list(whole), **options),
                  Saver({"w": list(whole)}, **options), Saver(**options)]
    for n, saver in enumerate(savers):
        path = saver.save(None, tmp_path / f"model{n}")
        with tfckpt.open(path) as source:
            assert len(source.index["w"].slices) == (count if count > 1 else 0)
            np.testing.assert_array_equal(source["w"], array)
        for other in (None, 1, 2, 3, 5):
            with Graph().as_default():
                again = get_variable("w", [5, 2], partitioner=other and fixed_size_partitioner(
                    other))
                Saver(**options).restore(None, path)
            np.testing.assert_array_equal(again.numpy(), array)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_whole_is_restored_into_any_number_of_parts(path, count):
    """Behaviour 46, the program's side."""
    array = np.arange(10, dtype="float32").reshape(5, 2)
    saved(path, w=array)
    with Graph().as_default():
        whole = get_variable("w", [5, 2], partitioner=fixed_size_partitioner(count))
        Saver().restore(None, path)
    np.testing.assert_array_equal(whole.numpy(), array)
    for part in whole:
        assert not part.numpy().flags.writeable
        assert part.numpy().base is None  # it doesn't keep the whole in memory
    last = Variable(np.zeros((5, 2), "float32"))
    Saver({"w": last}).restore(None, path)
    np.testing.assert_array_equal(last.numpy(), array)


def test_one_part_alone_takes_its_part_of_the_whole(path):
    array = np.arange(10, dtype="float32").reshape(5, 2)
    saved(path, w=array)
    parts = parts_of(count=3)
    before = parts[0].numpy()
    Saver([parts[1]]).restore(None, path)
    np.testing.assert_array_equal(parts[1].numpy(), array[2:4])
    np.testing.assert_array_equal(parts[0].numpy(), before)


def test_parts_in_a_dict_are_variables_like_any_other(path):
    """As in TensorFlow."""
    parts = parts_of()
    Saver({part.full_name: part for part in parts}).save(None, path)
    assert stored(path) == {part.full_name: part.numpy().tolist() for part in parts}


@pytest.mark.parametrize("stored_as", [np.zeros((4, 2), "float32"), np.zeros((5, 2))])
def test_a_whole_of_another_shape_or_dtype_is_refused(path, stored_as):
    saved(path, w=stored_as)
    with pytest.raises(RestoreError) as caught:
        Saver({"w": parts_of()}).restore(None, path)
    dtype, shape = stored_as.dtype.name, list(stored_as.shape)
    assert caught.value.report.mismatched == (("w", "float32 [5, 2]", f"{dtype} {shape}"),)


@pytest.mark.parametrize("given", [{"w": []}, {"w": [Variable(1.0)]}])
def test_a_list_of_what_are_no_parts_is_refused(given):
    with pytest.raises(VariableError, match="these are not the parts of a partitioned variable"):
        Saver(given)


# Keeping and deleting.


def test_the_oldest_is_deleted_with_all_its_files(tmp_path):
    """Behaviour 26."""
    v = Variable(0.0, name="v")
    saver = Saver([v], max_to_keep=2)
    paths = []
    for n in range(4):
        Path(f"{tmp_path}/m-{n}.meta").write_bytes(b"graph")
        paths.append(saver.save(None, tmp_path / "m", global_step=n))
        assert saver.last_checkpoints == paths[-2:]
    assert kept(tmp_path) == ["m-2", "m-3"]
    assert not (tmp_path / "m-1.meta").exists()
    state = get_checkpoint_state(tmp_path)
    assert list(state.all_model_checkpoint_paths) == paths[2:]
    assert state.model_checkpoint_path == paths[3]


def test_five_are_kept_by_default(tmp_path):
    """Behaviour 26."""
    saver = Saver([Variable(0.0, name="v")])
    for n in range(7):
        saver.save(None, tmp_path / "m", global_step=n)
    assert kept(tmp_path) == [f"m-{n}" for n in range(2, 7)]


def test_a_name_that_is_saved_again_moves_to_the_end(tmp_path):
    """Behaviour 27."""
    saver = Saver([Variable(0.0, name="v")], max_to_keep=2)
    for name in ("a", "b", "a", "c"):
        saver.save(None, tmp_path / name)
    assert saver.last_checkpoints == [f"{tmp_path}/a", f"{tmp_path}/c"]
    assert kept(tmp_path) == ["a", "c"]
    assert stored(tmp_path / "a") == {"v": 0}


def test_another_saver_leaves_older_files_alone(tmp_path):
    """Behaviour 28."""
    v = Variable(0.0, name="v")
    for name in ("old-1", "old-2"):
        Saver([v], max_to_keep=1).save(None, tmp_path / name)
    saver = Saver([v], max_to_keep=1)
    for name in ("new-1", "new-2"):
        saver.save(None, tmp_path / name)
    assert kept(tmp_path) == ["new-2", "old-1", "old-2"]
    assert get_checkpoint_state(tmp_path).all_model_checkpoint_paths == (f"{tmp_path}/new-2",)


@pytest.mark.parametrize("limit", [None, 0])
def test_no_limit_keeps_every_file(tmp_path, limit):
    """Behaviour 29."""
    saver = Saver([Variable(0.0, name="v")], max_to_keep=limit)
    for n in range(7):
        path = saver.save(None, tmp_path / "m", global_step=n)
        assert saver.last_checkpoints == []
        assert get_checkpoint_state(tmp_path).all_model_checkpoint_paths == (path,)
    assert len(kept(tmp_path)) == 7


def test_an_earlier_programs_list_is_taken_over_without_what_is_gone(tmp_path):
    """Behaviour 30."""
    v = Variable(0.0, name="v")
    before = Saver([v])
    paths = [before.save(None, tmp_path / "m", global_step=n) for n in range(3)]
    os.unlink(paths[1] + ".index")
    os.unlink(paths[1] + ".data-00000-of-00001")
    saver = Saver([v], max_to_keep=2)
    saver.recover_last_checkpoints(before.last_checkpoints)
    assert saver.last_checkpoints == [paths[0], paths[2]]
    last = saver.save(None, tmp_path / "m", global_step=3)
    assert saver.last_checkpoints == [paths[2], last]
    assert kept(tmp_path) == ["m-2", "m-3"]


def test_lists_with_and_without_times_can_be_set(tmp_path):
    """Behaviour 30: those without are never deleted."""
    v = Variable(0.0, name="v")
    paths = [Saver([v]).save(None, tmp_path / name) for name in ("a", "b")]
    saver = Saver([v], max_to_keep=1)
    saver.set_last_checkpoints([Path(paths[0])])
    assert saver.last_checkpoints == [paths[0]]
    saver.save(None, tmp_path / "c")
    assert kept(tmp_path) == ["a", "b", "c"]
    saver.set_last_checkpoints_with_time([(paths[1], 0.0)])
    saver.save(None, tmp_path / "d")
    assert kept(tmp_path) == ["a", "c", "d"]


def test_one_is_kept_for_good_if_enough_hours_have_passed(tmp_path):
    """Behaviour 31."""
    v = Variable(0.0, name="v")
    for hours, expected in ((1.0, ["new", "old"]), (math.inf, ["new"])):
        folder = tmp_path / str(hours)
        old = Saver([v]).save(None, folder / "old")
        saver = Saver([v], max_to_keep=1, keep_checkpoint_every_n_hours=hours)
        saver.set_last_checkpoints_with_time([(old, time.time() + 2 * 3600)])
        saver.save(None, folder / "new")
        assert kept(folder) == expected


def test_without_state_nothing_is_listed_and_nothing_deleted(tmp_path):
    saver = Saver([Variable(0.0, name="v")], max_to_keep=1)
    for n in range(3):
        saver.save(None, tmp_path / "m", global_step=n, write_state=False)
    assert saver.last_checkpoints == []
    assert kept(tmp_path) == ["m-0", "m-1", "m-2"]
    assert not (tmp_path / "checkpoint").exists()


def test_another_state_file_can_be_named(tmp_path):
    path = Saver([Variable(0.0, name="v")]).save(None, tmp_path / "m", latest_filename="last")
    assert latest_checkpoint(tmp_path, "last") == path
    assert latest_checkpoint(tmp_path) is None


def test_relative_paths_survive_that_the_folder_is_renamed(tmp_path):
    """Behaviour 20."""
    v = Variable(1.0, name="v")
    saver = Saver([v], save_relative_paths=True)
    for n in range(2):
        saver.save(None, tmp_path / "old" / "m", global_step=n)
    assert (tmp_path / "old" / "checkpoint").read_text() == (
        'model_checkpoint_path: "m-1"\n'
        'all_model_checkpoint_paths: "m-0"\n'
        'all_model_checkpoint_paths: "m-1"\n')
    os.rename(tmp_path / "old", tmp_path / "new")
    assert latest_checkpoint(tmp_path / "new") == f"{tmp_path}/new/m-1"
    v.assign(0)
    saver.restore(None, latest_checkpoint(tmp_path / "new"))
    assert v.numpy() == 1


def test_graphs_with_another_ending_are_deleted_too(tmp_path):
    """Behaviour 26."""
    saver = Saver([Variable(0.0, name="v")], max_to_keep=1)
    for n in range(2):
        Path(f"{tmp_path}/m-{n}.graph").write_bytes(b"graph")
        saver.save(None, tmp_path / "m", global_step=n, meta_graph_suffix="graph")
    assert sorted(os.listdir(tmp_path)) == [
        "checkpoint", "m-1.data-00000-of-00001", "m-1.graph", "m-1.index"]


# The guide's checkpoints, written by TensorFlow 1.15, 2.15 and 2.21.


def guide_checkpoints() -> list[tuple[Path, dict]]:
    """Prefix of each, and what TensorFlow read from it."""
    found = []
    for truth in sorted((SHARED / "fixtures" / "guide").rglob("TRUTH.json")):
        for name, tensors in json.loads(truth.read_text()).get("checkpoints", {}).items():
            found.append((truth.parent / name, tensors))
    return found


def empty(facts) -> Variable:
    """A variable of the dtype and shape that a tensor has."""
    dtype, shape = facts["dtype"], facts["shape"]
    value = np.full(shape, b"", object) if dtype == "string" else np.zeros(shape)
    if dtype not in ("string", "float64"):
        value = value.astype(as_dtype(dtype).numpy())
    return Variable(value, dtype=dtype)


@needs_shared
def test_every_name_based_checkpoint_of_the_guide_is_restored_by_name():
    count = 0
    for prefix, tensors in guide_checkpoints():
        if "_CHECKPOINTABLE_OBJECT_GRAPH" in tensors:
            continue
        variables = {name: empty(facts) for name, facts in tensors.items()}
        Saver(variables).restore(None, prefix)
        assert {name: facts["sha256"] for name, facts in tensors.items()} == {
            name: digest(np.asarray(variable)) for name, variable in variables.items()}
        count += 1
    assert count >= 30


@needs_shared
def test_every_object_based_checkpoint_of_the_guide_is_restored_by_full_names():
    """Behaviour 17."""
    count = 0
    for prefix, tensors in guide_checkpoints():
        if "_CHECKPOINTABLE_OBJECT_GRAPH" not in tensors:
            continue
        with tfckpt.open(prefix) as source:
            keys = {attribute.full_name: attribute.checkpoint_key for node in source.object_graph
                    for attribute in node.attributes if attribute.full_name}
            names = [attribute.full_name for node in source.object_graph
                     for attribute in node.attributes]
        facts = {name: tensors[key] for name, key in keys.items()
                 if names.count(name) == 1 and tensors[key]["dtype"] != "string"}
        variables = {name: empty(fact) for name, fact in facts.items()}
        if not variables:
            continue
        Saver(variables).restore(None, prefix)
        assert {name: fact["sha256"] for name, fact in facts.items()} == {
            name: digest(np.asarray(variable)) for name, variable in variables.items()}
        count += 1
    assert count >= 30


@needs_shared
def test_the_guides_example_restores_what_it_prints():
    text = (SHARED / "guide.txt").read_text(encoding="utf-8")
    assert re.search(r"Restored \[a, b, c\]: +\[1\.0, 2\.0, 3\.0\]", text)
    a, b, c = (Variable(0.0, name=name) for name in ("new_a", "new_b", "new_c"))
    folder = SHARED / "fixtures" / "guide" / "tf1.15" / "tf1_saver"
    Saver({"a": a, "b": b, "scoped/c": c}).restore(None, folder / "tf1-ckpt")
    assert [a.numpy(), b.numpy(), c.numpy()] == [1.0, 2.0, 3.0]
