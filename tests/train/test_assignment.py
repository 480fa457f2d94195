"""Maps from a checkpoint's names to the program's, without TensorFlow.

tests/compat/test_saver.py holds the same against TensorFlow itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers import EXAMPLE, SHARED, needs_shared
from tfckpt.errors import CheckpointNotFoundError, ChecksumError
from tfckpt.train.assignment import init_from_checkpoint
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.getting import get_variable
from tfckpt.train.graphs import Graph
from tfckpt.train.initializers import fixed_size_partitioner
from tfckpt.train.loadreport import RestoreError
from tfckpt.train.saver import Saver
from tfckpt.train.scopes import variable_scope
from tfckpt.train.store import EagerVariableStore
from tfckpt.train.variables import Variable

W = np.arange(10, dtype="float32").reshape(5, 2)


@pytest.fixture
def graph():
    with Graph().as_default() as graph:
        yield graph


@pytest.fixture
def old(tmp_path):
    """A checkpoint with a root, a scope, one with a number after its name, and one below."""
    values = {"x": 1.0, "y": 2.0, "a/x": 3.0, "a/y": 4.0, "a_1/x": 5.0, "a/b/x": 6.0, "w": W}
    return Saver({name: Variable(value) for name, value in values.items()}).save(
        None, tmp_path / "old")


def made(*names, value=0.0) -> list:
    """Variables of these names, made by get_variable."""
    return [get_variable(name, initializer=value) for name in names]


def values(variables) -> list:
    return [variable.numpy() for variable in variables]


# The map, and the variables it fills: name to value.
FORMS = [
    ("a name to a name", {"a/x": "n/x"}, {"n/x": 3}),
    ("a name at the root", {"x": "top"}, {"top": 1}),
    ("a scope to a scope", {"a/": "n/"}, {"n/x": 3, "n/y": 4, "n/b/x": 6}),
    ("a scope below to a scope", {"a/b/": "n/"}, {"n/x": 6}),
    ("a scope to a scope below", {"a/": "n/b/"}, {"n/b/x": 3}),
    ("everything to a scope", {"/": "n/"}, {"n/x": 1, "n/y": 2, "n/a/x": 3}),
    ("everything as it is", {"/": "/"}, {"x": 1, "a/x": 3, "a_1/x": 5}),
    ("a scope to everything", {"a/": "/"}, {"x": 3, "y": 4, "b/x": 6}),
    ("several entries", {"x": "n/y", "a/": "m/"}, {"n/y": 1, "m/x": 3, "m/b/x": 6}),
    ("pairs", [("x", "n/x"), ("x", "n/y"), ("a/", "m/"), ("a/", "k/")],
     {"n/x": 1, "n/y": 1, "m/x": 3, "k/x": 3}),
]


@pytest.mark.parametrize(("assignment", "expected"), [form[1:] for form in FORMS],
                         ids=[form[0] for form in FORMS])
def test_every_form_of_a_map_loads_what_it_says(graph, old, assignment, expected):
    """Behaviour 42."""
    variables = made(*expected)
    init_from_checkpoint(old, assignment)
    assert values(variables) == list(expected.values())


def test_a_name_to_a_variable_that_has_any_name(graph, old):
    """Behaviour 42: also one that get_variable didn't make, and outside the graph."""
    inside, (outside,) = Variable(0.0, name="inside"), made("outside")
    init_from_checkpoint(old, {"x": inside, "a/x": outside})
    with Graph().as_default():
        init_from_checkpoint(old, [("y", outside)])
    assert values([inside, outside]) == [1, 2]


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("form", ["name", "list", "tuple", "variable", "scope", "root"])
def test_a_whole_fills_parts_in_any_number(graph, old, count, form):
    """Behaviours 42 and 46, the program's side."""
    name = "w" if form == "root" else "n/w"
    whole = get_variable(name, [5, 2], partitioner=fixed_size_partitioner(count))
    assignment = {"name": {"w": name}, "list": {"w": list(whole)}, "tuple": {"w": tuple(whole)},
                  "variable": {"w": whole}, "scope": {"/": "n/"}, "root": {"/": "/"}}[form]
    report = init_from_checkpoint(old, assignment)
    np.testing.assert_array_equal(whole.numpy(), W)
    assert report.matched == ("w",)
    for part in whole:
        np.testing.assert_array_equal(part.initial_value, part.numpy())
        assert not part.numpy().flags.writeable


def test_some_parts_of_a_whole_take_their_own(graph, old):
    """Behaviour 46."""
    whole = get_variable("n", [5, 2], partitioner=fixed_size_partitioner(5))
    before = whole[0].numpy()
    init_from_checkpoint(old, {"w": [whole[3], whole[1]]})
    np.testing.assert_array_equal(whole.numpy()[[1, 3]], W[[1, 3]])
    np.testing.assert_array_equal(whole[0].numpy(), before)


def test_a_part_by_its_own_name_is_a_variable_like_any_other(graph, tmp_path):
    """As in TensorFlow."""
    whole = get_variable("n", [4, 2], partitioner=fixed_size_partitioner(2))
    prefix = Saver({"half": Variable(W[:2])}).save(None, tmp_path / "m")
    init_from_checkpoint(prefix, {"half": "n/part_1"})
    np.testing.assert_array_equal(whole.numpy()[2:], W[:2])


def test_a_variable_that_is_only_called_a_part_is_loaded_by_its_name(graph, tmp_path):
    """TensorFlow asks the file for "a" here."""
    prefix = Saver({"a/part_time": Variable(1.0), "a/part_0": Variable(2.0)}).save(
        None, tmp_path / "m")
    variables = made("n/part_time", "n/part_0")
    init_from_checkpoint(prefix, {"a/": "n/"})
    assert values(variables) == [1, 2]


def test_a_scope_ends_at_its_slash(graph, old):
    """Behaviour 43: n_1 isn't part of n, and isn't asked of the file."""
    variables = made("n/x", "n_1/unknown", "nx", "n")
    report = init_from_checkpoint(old, {"a/": "n/"})
    assert values(variables) == [3, 0, 0, 0]
    assert report.matched == ("a/x",)


def test_the_guides_example(graph, old):
    with variable_scope("new_scope"):
        a, b = made("x", "y")
        with variable_scope("a"):
            c, = made("x")
    report = init_from_checkpoint(old, {"/": "new_scope/"})
    assert values([a, b, c]) == [1, 2, 3]
    assert report.matched == ("a/x", "x", "y")
    assert report.unused == ("a/b/x", "a/y", "a_1/x", "w")


def test_of_several_entries_for_one_variable_the_last_by_name_wins(graph, tmp_path):
    """As in TensorFlow, wherever in the file the tensors are and however the map is ordered."""
    prefix = Saver({"b": Variable(1.0), "a": Variable(2.0), "c/v": Variable(3.0)}).save(
        None, tmp_path / "m")
    for pairs in ([("a", "v"), ("b", "v")], [("b", "v"), ("a", "v")]):
        with Graph().as_default():
            v, = made("v")
            init_from_checkpoint(prefix, pairs)
            assert v.numpy() == 1
    with Graph().as_default():
        v, = made("v")
        init_from_checkpoint(prefix, {"c/": "/", "b": "v"})
        assert v.numpy() == 3


def test_the_value_becomes_the_initial_value(graph, old):
    """Behaviour 45."""
    v, = made("v", value=9.0)
    init_from_checkpoint(old, {"x": "v"})
    v.assign(5.0)
    assert v.initial_value == 1.0


def test_a_folder_and_a_path_object_will_do(graph, old):
    v, = made("v")
    for path in (Path(old), Path(old).parent, old + ".index"):
        v.assign(0)
        init_from_checkpoint(path, {"x": "v"})
        assert v.numpy() == 1


def test_an_object_based_checkpoint_is_known_by_its_keys(graph, tmp_path):
    prefix = Checkpoint(model={"x": Variable(1.0)}).write(tmp_path / "m")
    v, = made("v")
    init_from_checkpoint(prefix, {"model/x/.ATTRIBUTES/VARIABLE_VALUE": "v"})
    assert v.numpy() == 1


def test_an_eager_store_is_searched_too(old):
    store = EagerVariableStore()
    with store.as_default():
        v = get_variable("n/x", initializer=0.0)
        init_from_checkpoint(old, {"a/": "n/"})
    assert v.numpy() == 3


def test_a_variable_takes_every_shape_that_it_allows(graph, old):
    v = Variable([[0.0, 0.0]], shape=[None, 2])
    free = get_variable("free", initializer=0.0, validate_shape=False)
    init_from_checkpoint(old, [("w", v), ("w", "free")])
    np.testing.assert_array_equal(v.numpy(), W)
    np.testing.assert_array_equal(free.numpy(), W)


def test_an_empty_map_loads_nothing(graph, old):
    assert init_from_checkpoint(old, {}).matched == ()


def refused(path, assignment, variables=()) -> str:
    """Message of a map that is refused; nothing is loaded."""
    before = values(variables)
    with pytest.raises(RestoreError) as caught:
        init_from_checkpoint(path, assignment)
    assert isinstance(caught.value, ValueError)
    assert values(variables) == before
    return str(caught.value)


def test_no_folder_is_an_error(graph, tmp_path):
    """Behaviour 44."""
    with pytest.raises(CheckpointNotFoundError) as caught:
        init_from_checkpoint(tmp_path / "nowhere", {})
    assert f"{tmp_path}/nowhere" in str(caught.value)


def head(what, path, counts="matched 0   missing in checkpoint 0   unused in checkpoint 0"
         "   differs 0") -> str:
    return f"{what} (file {path})\nNothing was loaded.\n{counts}\n"


def test_a_name_that_is_not_stored(graph, old):
    """Behaviour 44."""
    v, = made("v")
    assert refused(old, {"b/y": "v"}, [v]) == head(
        "1 names of the map are not in the checkpoint", old,
        "matched 0   missing in checkpoint 1   unused in checkpoint 0   differs 0") + (
        "missing:  b/y  float32 [] for v   nearest: y, a/y")


@pytest.mark.parametrize(("assignment", "note"), [
    ({"x": "kernle"}, "'x' leads to 'kernle', and the program has no such variable;"
                      " nearest: kernels, n/kernel"),
    ({"x": "n"}, "'x' leads to 'n', and the program has no such variable;"
                 " there is a scope of that name, written 'n/'"),
    ({"x": "zzz"}, "'x' leads to 'zzz', and the program has no such variable;"
                   " names are those of variables made by get_variable in the current graph"),
    ({"a/": "n"}, "'a/' leads to 'n', and the program has no such variable;"
                  " there is a scope of that name, written 'n/'"),
    ({"a/": "n/q"}, "'a/' leads to 'n/q', and the program has no such variable;"
                    " names are those of variables made by get_variable in the current graph"),
    ({"a": "n/"}, "the name 'a' leads to the scope 'n/';"
                  " a scope is filled from a scope, such as 'a/'"),
    ({"": "n/"}, "the name '' leads to the scope 'n/';"
                 " a scope is filled from a scope, such as '/'"),
    ({"a/": "scop/"}, "'a/' leads to the scope 'scop/', and the program has no variables there;"
                      " nearest: scope/"),
    ({"x": 7}, "'x' leads to something that is no variable: got 7"),
    ({"x": []}, "these are not the parts of a partitioned variable: got []"),
])
def test_what_the_program_does_not_have(graph, old, assignment, note):
    """Behaviour 44."""
    variables = made("n/kernel", "kernels", "scope/v")
    assert refused(old, assignment, variables) == head(
        "1 entries of the map lead nowhere", old) + f"note: {note}"


def test_parts_of_two_wholes_are_refused(graph, old):
    parts = [get_variable(name, [5, 2], partitioner=fixed_size_partitioner(2))[0]
             for name in ("n", "m")]
    assert refused(old, {"w": parts}, []).endswith(
        "note: the variable is no part of this whole: expected a part of (5, 2), got"
        " SaveSliceInfo(full_name='m', full_shape=(5, 2), var_offset=(0, 0), var_shape=(3, 2))"
        " (tensor 'n')")


def test_another_shape_or_dtype(graph, old):
    """Behaviour 44; nothing is cast."""
    variables = [get_variable("s", initializer=[0.0]), get_variable("d", initializer=0)]
    whole = get_variable("p", [4, 2], partitioner=fixed_size_partitioner(2))
    assert refused(old, {"x": "s", "y": "d", "w": whole}, variables) == head(
        "3 variables and stored tensors differ in shape or dtype", old,
        "matched 0   missing in checkpoint 0   unused in checkpoint 0   differs 3") + (
        "differs:  p from w  program float32 [4, 2], checkpoint float32 [5, 2]\n"
        "differs:  s from x  program float32 [1], checkpoint float32 []\n"
        "differs:  d from y  program int32 [], checkpoint float32 []")


def test_a_scope_whose_variables_are_not_stored(graph, old):
    """Behaviour 44."""
    variables = made("n/x", "n/z")
    assert refused(old, {"a/": "n/"}, variables).endswith("missing:  a/z  float32 [] for n/z"
                                                          "   nearest: a/y, a/x")


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_loaded(graph, old):
    """Behaviour 44."""
    variables = made("good", "n/x", "n/kernel")
    assert refused(old, {
        "x": "good", "y": "goood", "kernel": "n/kernel", "w": "n/x", "a": "n/"}, variables) == head(
        "2 entries of the map lead nowhere, 1 names of the map are not in the checkpoint,"
        " 1 variables and stored tensors differ in shape or dtype", old,
        "matched 0   missing in checkpoint 1   unused in checkpoint 0   differs 1") + (
        "missing:  kernel  float32 [] for n/kernel\n"
        "differs:  n/x from w  program float32 [], checkpoint float32 [5, 2]\n"
        "note: the name 'a' leads to the scope 'n/'; a scope is filled from a scope, such as 'a/'\n"
        "note: 'y' leads to 'goood', and the program has no such variable; nearest: good")


def test_nothing_is_loaded_when_a_tensor_is_damaged(graph, tmp_path):
    prefix = Saver({"a": Variable(1.0), "b": Variable(2.0)}).save(None, tmp_path / "m")
    data = Path(prefix + ".data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:4] + bytes(4))
    variables = made("a", "b", value=9.0)
    with pytest.raises(ChecksumError):
        init_from_checkpoint(prefix, {"/": "/"})
    assert values(variables) == [9, 9]
    assert variables[0].initial_value == 9


def test_variables_of_another_graph_have_no_names_here(old):
    with Graph().as_default():
        made("x")
    with Graph().as_default(), pytest.raises(RestoreError):
        init_from_checkpoint(old, {"x": "x"})


def test_outside_a_graph_there_are_no_names(old):
    variable = get_variable("only_here", initializer=0.0)
    with pytest.raises(RestoreError):
        init_from_checkpoint(old, {"x": "only_here"})
    init_from_checkpoint(old, {"x": variable})
    assert variable.numpy() == 1


def test_an_example_that_tensorflow_115_wrote(graph):
    with variable_scope("n"):
        kernel = get_variable("kernel", [3, 4])
        bias = get_variable("bias", [4])
    report = init_from_checkpoint(EXAMPLE, {"dense/": "n/"})
    assert report.matched == ("dense/bias", "dense/kernel")
    assert kernel.numpy().shape == (3, 4)
    assert bias.numpy().shape == (4,)
    assert "global_step" in report.unused


@needs_shared
@pytest.mark.parametrize("version", ["tf1.15", "tf2.15", "tf2.21"])
def test_the_guides_checkpoints_are_loaded_by_every_form(version):
    """What TRUTH.json says that TensorFlow loaded by these maps: 1, 2 and 3."""
    prefix = SHARED / "fixtures" / "guide" / version / "tf1_saver" / "tf1-ckpt"
    for names, assignment in (
            (("new_scope/a", "new_scope/b", "new_scope/scoped/c"), {"/": "new_scope/"}),
            (("a", "b", "scoped/c"), {"/": "/"}),
            (("n/a", "m", "s/c"), {"a": "n/a", "b": "m", "scoped/": "s/"})):
        with Graph().as_default():
            variables = made(*names)
            init_from_checkpoint(prefix, assignment)
            assert values(variables) == [1, 2, 3]
    with Graph().as_default():
        a, b, c = made("k/a", "k/b", "k/c")
        init_from_checkpoint(prefix, {"a": a, "b": b, "scoped/c": c})
        assert values([a, b, c]) == [1, 2, 3]
