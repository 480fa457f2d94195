"""Variables without TensorFlow: values, dtypes, names, parts."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest

from tfckpt.errors import GraphStateError, UnsupportedError, VariableError, VariableTypeError
from tfckpt.format.dtypes import dtype_named
from tfckpt.train.getting import get_local_variable, get_variable
from tfckpt.train.graphs import (
    Graph,
    get_collection,
    global_variables,
    local_variables,
    name_scope,
    trainable_variables,
)
from tfckpt.train.initializers import (
    constant_initializer,
    fixed_size_partitioner,
    glorot_uniform_initializer,
    ones_initializer,
    zeros_initializer,
)
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.values import as_dtype, as_shape, is_compatible
from tfckpt.train.variables import SaveSliceInfo, Variable


def test_importing_it_imports_neither_numpy_nor_tensorflow():
    code = ("import sys, tfckpt.train.scopes, tfckpt.train.variables as v;"
            "print(sorted({'numpy', 'tensorflow'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# value, dtype, value as numpy: what TensorFlow 2.21 makes of it
INFERRED = [
    (1.0, "float32", np.float32(1)), (1, "int32", np.int32(1)), (True, "bool", np.True_),
    (2**40, "int64", np.int64(2**40)), (-2**31, "int32", np.int32(-2**31)),
    (-2**31 - 1, "int64", np.int64(-2**31 - 1)), (2**63, "uint64", np.uint64(2**63)),
    (1j, "complex128", np.complex128(1j)), ("é", "string", "é".encode()), (b"x", "string", b"x"),
    ([1, 2], "int32", np.array([1, 2], np.int32)), ([1, 2.5], "float32", np.float32([1, 2.5])),
    ([], "float32", np.zeros(0, np.float32)), ([[], []], "float32", np.zeros((2, 0), np.float32)),
    (range(3), "int32", np.arange(3, dtype=np.int32)),
    ((1, (2,))[1], "int32", np.array([2], np.int32)),
    ([b"a", "b"], "string", np.array([b"a", b"b"], object)),
    ([["a"], ["b"]], "string", np.array([[b"a"], [b"b"]], object)),
    (np.float64(1.5), "float64", np.float64(1.5)), (np.int64(3), "int64", np.int64(3)),
    (np.float16(1), "float16", np.float16(1)), (np.arange(3), "int64", np.arange(3)),
    (np.array(["a", ""]), "string", np.array([b"a", b""], object)),
    (np.array([b"a"]), "string", np.array([b"a"], object)),
    (np.array(["é", b"x"], object), "string", np.array(["é".encode(), b"x"], object)),
    ([np.float64(1), np.float64(2)], "float64", np.array([1.0, 2.0])),
    ([np.int64(2), 3], "int32", np.array([2, 3], np.int32)),
    (np.array([1, 2], ">i4"), "int32", np.array([1, 2], np.int32)),
]


@pytest.mark.parametrize(("value", "name", "expected"), INFERRED)
def test_the_dtype_is_the_one_tensorflow_chooses(value, name, expected):
    variable = Variable(value)
    assert name == variable.dtype.name
    assert variable.dtype is dtype_named(name)
    got = variable.numpy()
    assert type(expected) is type(got)
    assert np.shape(expected) == variable.shape
    np.testing.assert_array_equal(expected, got)
    if isinstance(got, np.ndarray):
        assert expected.dtype == got.dtype


@pytest.mark.parametrize("value", [
    [True, 1], ["a", 1], [[1], [2, 3]], [1, [2]], object(), {"a": 1}, [None], 2**64, None,
    np.array([1, None], object), [np.zeros(2), np.zeros(3)]])
def test_what_no_tensor_can_hold_is_refused(value):
    with pytest.raises(VariableError):
        Variable(value)


@pytest.mark.parametrize(("value", "dtype", "expected"), [
    (1, "float32", np.float32(1)), (True, "float32", np.float32(1)),
    (0.1, "float64", np.float64(0.1)), (np.float64(1.5), "float32", np.float32(1.5)),
    (np.int64(5), "int32", np.int32(5)), (np.int64(5), "float32", np.float32(5)),
    (1e300, "float32", np.float32(np.inf)), (1, "complex64", np.complex64(1)),
    ([1, 2], "uint8", np.array([1, 2], np.uint8)), ([], "int64", np.zeros(0, np.int64)),
    (2**63, "uint64", np.uint64(2**63)), (np.bool_(1), "int32", np.int32(1))])
def test_numbers_are_taken_in_the_dtype_asked_for(value, dtype, expected):
    for variable in (Variable(value, dtype=dtype),
                     Variable(np.zeros(np.shape(value)), dtype=dtype).assign(value)
                     if dtype not in ("int32", "uint8", "int64", "uint64") else
                     Variable(np.zeros(np.shape(value), dtype)).assign(value)):
        assert dtype == variable.dtype.name
        np.testing.assert_array_equal(expected, variable.numpy())
        assert np.asarray(expected).dtype == np.asarray(variable).dtype


@pytest.mark.parametrize(("value", "dtype"), [
    (1.5, "int32"), (np.float32(1.5), "int32"), (np.float32(2), "int32"), ([1, 2.5], "int32"),
    (1, "bool"), (np.int32(1), "bool"), ("1", "float32"), (1, "string"), (1j, "float32"),
    (300, "uint8"), (-1, "uint8"), (2**40, "int32"), (np.int64(2**40), "int32"),
    (np.array([], object), "float32")])
def test_a_value_is_never_changed_silently(value, dtype):
    with pytest.raises(VariableTypeError) as caught:
        Variable(value, dtype=dtype)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)
    start = {"string": "x", "bool": True}.get(dtype, 0)
    shape = np.shape(value)
    variable = Variable(np.full(shape, start), dtype=dtype)
    with pytest.raises(VariableTypeError):
        variable.assign(value)
    np.testing.assert_array_equal(Variable(np.full(shape, start), dtype=dtype).numpy(),
                                  variable.numpy())


def test_the_message_says_what_was_given_and_what_is_held():
    with pytest.raises(VariableTypeError) as caught:
        Variable(0, name="steps").assign(1.5)
    assert str(caught.value) == (
        "the value can't be taken without changing it: expected int32, got 1.5, which"
        " is float32 (tensor 'steps')\nConvert it first, if that is meant.")


def test_small_floats_are_held_as_ml_dtypes():
    variable = Variable([1.5, 2.0], dtype="bfloat16")
    assert variable.dtype.name == "bfloat16"
    assert variable.numpy().tolist() == [1.5, 2.0]
    assert Variable(variable.numpy()).dtype.name == "bfloat16"
    assert variable.assign_add([1.0, 1.0]).numpy().tolist() == [2.5, 3.0]


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("f8"), np.dtype(">f8"),
                                   dtype_named("float64"), "float64_ref"])
def test_a_dtype_can_be_given_in_many_ways(dtype):
    assert Variable(1, dtype=dtype).dtype is dtype_named("float64")


def test_python_types_are_the_dtypes_that_tensorflow_takes_them_for():
    given = (int, float, bool, str, bytes, complex, object)
    assert [as_dtype(dtype).name for dtype in given] == [
        "int32", "float32", "bool", "string", "string", "complex128", "string"]
    with pytest.raises(UnsupportedError):
        as_dtype("datetime64[ns]")


def test_shapes_may_be_known_in_part():
    assert as_shape([2, None, -1]) == (2, None, None)
    assert is_compatible((2, None), (2, 7))
    assert not is_compatible((2, None), (3, 7))
    assert not is_compatible((2,), (2, 1))
    with pytest.raises(VariableError):
        as_shape([-2])
    with pytest.raises(TypeError):
        as_shape([1.5])


def test_the_value_is_the_variables_own():
    given = np.zeros(2, np.float32)
    variable = Variable(given)
    given[0] = 9
    taken = variable.numpy()
    assert taken.tolist() == [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        taken[0] = 1
    variable.assign([5, 6])
    assert taken.tolist() == [0, 0]
    np.array(variable)[0] = 7  # a copy, as numpy's users expect
    assert variable.numpy().tolist() == [5, 6]


def test_assigning_returns_the_variable():
    variable = Variable([1.0, 2.0])
    assert variable is variable.assign([3, 4])
    assert variable is variable.assign_add([1, 1])
    assert variable is variable.assign_sub(Variable([2.0, 2.0]))
    for value in (variable.numpy(), variable.value(), variable.read_value(), np.asarray(variable)):
        assert value.tolist() == [2, 3]


def test_another_shape_is_refused_even_if_it_would_fill():
    variable = Variable([1.0, 2.0], name="w")
    for change in (variable.assign, variable.assign_add, variable.assign_sub):
        for value in (1.0, [1.0], [[1.0, 2.0]]):
            with pytest.raises(VariableError, match="another shape than the variable: expected"
                               r" \(2,\), got .* \(tensor 'w'\)"):
                change(value)
    assert variable.numpy().tolist() == [1, 2]


def test_another_variable_must_have_the_same_dtype():
    variable = Variable([1.0, 2.0])
    with pytest.raises(VariableTypeError, match="the other variable has another dtype"):
        variable.assign(Variable([1, 2]))
    assert Variable(variable).dtype.name == "float32"


def test_integers_wrap_around_and_text_has_no_sum():
    assert Variable(250, dtype="uint8").assign_add(10).numpy() == 4
    for value in ("a", True):
        with pytest.raises(VariableTypeError, match="nothing can be added"):
            Variable(value).assign_add(value)


def test_a_shape_can_leave_a_dimension_open():
    variable = Variable([1.0, 2.0], shape=[None])
    assert variable.shape == (None,)
    assert variable.assign([1, 2, 3]).numpy().tolist() == [1, 2, 3]
    with pytest.raises(VariableError):
        variable.assign(1.0)
    with pytest.raises(VariableError, match=r"another shape: expected \(3,\), got \(2,\)"):
        Variable([1.0, 2.0], shape=[3])
    assert Variable(0.0, validate_shape=False).assign([1, 2]).shape == (2,)


def test_a_function_gives_the_first_value():
    values = iter([1.0, 2.0])
    variable = Variable(lambda: next(values), dtype="float64")
    assert variable.numpy() == np.float64(1)
    assert variable.initial_value == np.float64(2)
    assert Variable(3).assign(4).initial_value == np.int32(3)


@pytest.mark.parametrize(("value", "text"), [
    (0.0, "<tfckpt.Variable 'v:0' shape=() dtype=float32, numpy=0.0>"),
    ("s", "<tfckpt.Variable 'v:0' shape=() dtype=string, numpy=b's'>"),
    ([[1, 2]], "<tfckpt.Variable 'v:0' shape=(1, 2) dtype=int32,"
               " numpy=array([[1, 2]], dtype=int32)>"),
    ([b"a"], "<tfckpt.Variable 'v:0' shape=(1,) dtype=string, numpy=array([b'a'], dtype=object)>"),
    (np.zeros((2, 1)), "<tfckpt.Variable 'v:0' shape=(2, 1) dtype=float64, numpy=\narray([[0.],\n"
                       "       [0.]])>")])
def test_it_is_shown_as_tensorflow_shows_its_own(value, text):
    assert text == repr(Variable(value, name="v"))


def test_it_equals_only_itself():
    first, second = Variable(1), Variable(1)
    assert first == first  # noqa: PLR0124 - this is what is tested
    assert first != second
    assert len({first, second, first}) == 2


def test_it_counts_as_a_number_where_python_wants_one():
    step = Variable(3)
    assert (int(step), float(step), bool(step), [0, 1, 2, 9][step]) == (3, 3.0, True, 9)
    assert not Variable(0.0)


def test_a_deep_copy_has_a_value_of_its_own():
    variable = Variable([1.0], name="v")
    twin = copy.deepcopy(variable)
    variable.assign([2.0])
    assert (twin.full_name, twin.numpy().tolist()) == ("v", [1.0])


def test_outside_a_graph_names_need_not_be_unique():
    assert [Variable(0).name for _ in range(2)] == ["Variable:0", "Variable:0"]
    with name_scope("scoped"):
        variable = Variable(0, name="c")
    assert variable.name == Variable(0, name="scoped/c").name == "scoped/c:0"
    assert (variable.full_name, variable.op.name) == ("scoped/c", "scoped/c")
    assert global_variables() == []


def test_in_a_graph_everything_is_listed_but_local_variables_apart():
    """Behaviour 10: what can be saved is listed in the graph; local variables aren't part of it."""
    with Graph().as_default():
        kept = [Variable(0.0, name="a"), get_variable("b", []),
                Variable(1, name="c", trainable=False)]
        local = get_local_variable("d", [])
        listed = Variable(0.0, name="e", collections=["mine"], trainable=False)
        assert kept == global_variables()
        assert kept[:2] == trainable_variables()
        assert [local] == local_variables()
        assert [listed] == get_collection("mine")
        assert [variable.trainable for variable in (*kept, local)] == [True, True, False, False]
    assert global_variables() == []


def test_arguments_that_contradict_are_refused():
    with pytest.raises(VariableError, match="needs an initial value"):
        Variable()
    with pytest.raises(UnsupportedError):
        Variable(variable_def=object())
    with pytest.raises(VariableError, match="constraint"):
        Variable(0.0, constraint=1)
    with pytest.raises(VariableError, match="collections"):
        Variable(0.0, collections="variables")
    with pytest.raises(TypeError):
        Variable(0.0, name=5)


def test_a_finalized_graph_takes_no_more_variables():
    graph = Graph()
    with graph.as_default():
        Variable(0.0)
        graph.finalize()
        assert graph.finalized
        with pytest.raises(GraphStateError) as caught:
            Variable(0.0)
        assert isinstance(caught.value, RuntimeError)
        assert len(global_variables()) == 1


def test_parts_know_their_place_in_the_whole():
    """Behaviour 89: parts are named by number, the first ones longer."""
    whole = get_variable("w", [2, 5], partitioner=fixed_size_partitioner(3, axis=1),
                         initializer=np.arange(10, dtype=np.float32).reshape(2, 5))
    assert isinstance(whole, PartitionedVariable)
    assert (whole.name, whole.full_name, whole.shape, whole.dtype.name, len(whole)) == (
        "w", "w", (2, 5), "float32", 3)
    assert (whole.axis, whole.partitions) == (1, (1, 3))
    infos = [part.save_slice_info for part in whole]
    assert infos[1] == SaveSliceInfo("w", (2, 5), (0, 2), (2, 2))
    assert [(info.axis, info.offset, info.size, info.spec) for info in infos] == [
        (1, 0, 2, "2 5 0,2:0,2"), (1, 2, 2, "2 5 0,2:2,2"), (1, 4, 1, "2 5 0,2:4,1")]
    assert [part.name for part in whole] == ["w/part_0:0", "w/part_1:0", "w/part_2:0"]
    np.testing.assert_array_equal(np.arange(10).reshape(2, 5), whole)
    assert whole.assign(np.ones((2, 5))) is whole
    assert whole[2].numpy().tolist() == [[1], [1]]
    with pytest.raises(VariableError):
        whole.assign(np.ones((2, 4)))
    assert repr(whole) == "<tfckpt.PartitionedVariable 'w' shape=(2, 5) dtype=float32, 3 parts>"


def test_a_stranger_is_no_part():
    with pytest.raises(VariableError, match="no part of this whole"):
        PartitionedVariable("w", [1], dtype_named("float32"), [Variable([1.0])], [1])


def test_initializers_make_what_they_are_asked_for():
    assert zeros_initializer()([2], "string").tolist() == [b"", b""]
    assert zeros_initializer("int64")([]).dtype == np.int64
    assert ones_initializer()([1], "bool").tolist() == [True]
    assert constant_initializer([1, 2])([4]).tolist() == [1, 2, 2, 2]
    assert constant_initializer("x")([2], "string").tolist() == [b"x", b"x"]
    for values, shape, verify in (([1, 2, 3], [2], False), ([], [2], False), ([1], [2], True)):
        with pytest.raises(VariableError):
            constant_initializer(values, verify_shape=verify)(shape)


def test_random_values_are_the_same_in_each_run_and_within_their_limits():
    def made(seed):
        with Graph(seed).as_default():
            return [get_variable(name, [3, 4], dtype).numpy()
                    for name, dtype in (("a", "float32"), ("b", "float64"), ("c", "bfloat16"))]

    for first, second, other in zip(made(0), made(0), made(1), strict=True):
        np.testing.assert_array_equal(first, second)
        assert (first != other).any()
        assert (np.abs(first.astype("f8")) <= np.sqrt(6 / 7) + 1e-2).all()
    array = glorot_uniform_initializer(seed=3)([2, 3, 10, 20])
    assert np.sqrt(6 / 180) * 0.9 < np.abs(array).max() <= np.sqrt(6 / 180)
