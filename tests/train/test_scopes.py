"""Graphs, name scopes, variable scopes and reuse, without TensorFlow.

tests/compat/test_scopes.py holds the same rules against TensorFlow itself.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tfckpt.errors import GraphStateError, VariableError
from tfckpt.train.getting import get_variable
from tfckpt.train.globalstep import create_global_step, get_global_step, get_or_create_global_step
from tfckpt.train.graphs import (
    Graph,
    GraphKeys,
    add_to_collection,
    executing_eagerly,
    get_collection,
    get_collection_ref,
    get_default_graph,
    get_name_scope,
    global_variables,
    name_scope,
    reset_default_graph,
)
from tfckpt.train.initializers import (
    constant_initializer,
    fixed_size_partitioner,
    ones_initializer,
    zeros_initializer,
)
from tfckpt.train.scopes import get_variable_scope, variable_scope
from tfckpt.train.store import AUTO_REUSE, EagerVariableStore
from tfckpt.train.variables import Variable


@pytest.fixture
def graph():
    with Graph().as_default() as graph:
        yield graph


@pytest.fixture
def eager():
    reset_default_graph()
    yield
    reset_default_graph()


def named(name, shape=(), **options):
    """Name of a variable that get_variable gives."""
    return get_variable(name, shape, **options).name


def var(name="v"):
    return Variable(0.0, name=name).name


def test_taken_names_are_numbered():
    """Behaviour 82."""
    graph = Graph()
    names = ["foo", "foo", "foo_1", "foo", "foo_1"]
    assert [graph.unique_name(name) for name in names] == [
        "foo", "foo_1", "foo_1_1", "foo_2", "foo_1_2"]


def test_numbers_that_are_taken_are_skipped():
    """Behaviour 82."""
    graph = Graph()
    assert [graph.unique_name(name) for name in ("bar_2", "bar", "bar", "bar")] == [
        "bar_2", "bar", "bar_1", "bar_3"]


def test_names_that_differ_in_case_count_as_the_same():
    """Behaviour 82."""
    graph = Graph()
    assert [graph.unique_name(name) for name in ("foo", "Foo", "FOO")] == ["foo", "Foo_1", "FOO_2"]


def test_a_name_can_be_asked_for_without_taking_it():
    """Behaviour 82."""
    graph = Graph()
    assert [graph.unique_name("a", mark_as_used=False), graph.unique_name("a"),
            graph.unique_name("a", mark_as_used=False)] == ["a", "a", "a_1"]


def test_a_slash_at_the_end_takes_the_name_as_it_is(graph):
    """Behaviour 83."""
    with name_scope("a") as a, name_scope("b") as b:
        assert (a, b) == ("a/", "a/b/")
        with name_scope("a/") as again:
            assert (again, get_name_scope(), var()) == ("a/", "a", "a/v:0")
    with name_scope("a") as numbered:
        assert numbered == "a_1/"


@pytest.mark.parametrize("empty", ["", None])
def test_the_empty_name_leads_to_the_root(graph, empty):
    """Behaviour 83."""
    with name_scope("a"), name_scope(empty) as scope:
        assert (scope, var()) == ("", "v:0")


@pytest.mark.parametrize("name", ["a:b", "_a", "-a", "/a", "a b", "é"])
def test_an_invalid_name_is_refused(graph, name):
    """Behaviour 83."""
    for enter in (name_scope, variable_scope):
        with pytest.raises(VariableError, match="not a valid name"), enter(name):
            pass
    with pytest.raises(VariableError, match="not a valid name"):
        var(name)
    assert graph.get_name_scope() == get_variable_scope().name == ""
    assert global_variables() == []


def test_inside_a_scope_an_underscore_may_come_first(graph):
    """Behaviour 83."""
    with name_scope("a"), name_scope("_b") as scope:
        assert scope == "a/_b/"
        with pytest.raises(VariableError), name_scope("a:b"):
            pass


def test_a_name_scope_is_left_after_an_exception(graph):
    """Behaviour 83."""
    with pytest.raises(KeyError), variable_scope("a"), name_scope("b"):
        raise KeyError
    assert (get_name_scope(), get_variable_scope().name) == ("", "")


def test_entering_again_numbers_only_the_name_scope(graph):
    """Behaviour 84."""
    got = []
    for name in ("a", "b"):
        with variable_scope("s") as scope:
            got.append((named(name), var(), scope.name, scope.original_name_scope))
    assert got == [("s/a:0", "s/v:0", "s", "s/"), ("s/b:0", "s_1/v:0", "s", "s_1/")]


def test_a_scope_object_keeps_its_full_name_elsewhere(graph):
    """Behaviour 84."""
    with variable_scope("outer"), variable_scope("inner") as inner:
        pass
    with variable_scope("other"), variable_scope(inner) as again:
        assert (again.name, named("a"), var()) == (
            "outer/inner", "outer/inner/a:0", "other/inner/v:0")
        assert again.original_name_scope == "outer/inner/"
        with variable_scope("below"):
            assert named("b") == "outer/inner/below/b:0"
    with variable_scope("other"):
        assert named("c") == "other/c:0"


def test_name_scopes_are_nothing_to_get_variable(graph):
    """Behaviour 84."""
    with name_scope("n"), variable_scope("s"), name_scope("m"):
        assert (named("a"), var()) == ("s/a:0", "n/s/m/v:0")


def test_a_scope_can_go_without_a_name_scope(graph):
    """Behaviour 84."""
    with name_scope("n"), variable_scope("s", auxiliary_name_scope=False):
        assert (named("a"), var()) == ("s/a:0", "n/v:0")


def test_the_same_context_manager_can_be_entered_again(graph):
    """Behaviour 84; in itself too, where TensorFlow loses its name scope."""
    manager = variable_scope("s")
    with manager, manager:
        assert (named("a"), var()) == ("s/s/a:0", "s/s/v:0")
    with manager:
        assert (named("b"), var()) == ("s/b:0", "s_1/v:0")
    assert (get_name_scope(), get_variable_scope().name) == ("", "")


def opened(*names, **options):
    """Names of the scopes that these default names open, one after the other."""
    got = []
    for name in names:
        with variable_scope(None, name, **options) as scope:
            got.append(scope.name)
    return got


def test_default_names_are_numbered_per_exact_name(graph):
    """Behaviour 85."""
    assert opened("d", "d", "D", "d_1", "d", "dd") == ["d", "d_1", "D", "d_1_1", "d_2", "dd"]


def test_default_names_go_on_after_a_jump(graph):
    """Behaviour 85."""
    assert opened("d") == ["d"]
    with variable_scope("d_1"), variable_scope("x"):
        pass
    with variable_scope("d_3"):
        pass
    assert opened("d", "d", "d") == ["d_2", "d_4", "d_5"]


def test_default_names_start_anew_when_the_outer_scope_is_entered_again(graph):
    """Behaviour 85."""
    for _ in range(2):
        with variable_scope("o", reuse=AUTO_REUSE) as outer:
            assert opened("d", "d") == ["o/d", "o/d_1"]
            assert named("a") == "o/a:0"
    for _ in range(2):
        with variable_scope(outer, reuse=True):
            assert opened("d", "d") == ["o/d", "o/d_1"]
    assert opened("d") == ["d"]


def test_a_default_name_is_only_used_without_a_name(graph):
    """Behaviour 85."""
    with variable_scope("s", "d") as scope:
        assert scope.name == "s"
    with (pytest.raises(VariableError, match="nothing can be reused"),
          variable_scope(None, "d", reuse=True)):
        pass
    with pytest.raises(TypeError):
        variable_scope(None)


def test_a_name_is_made_once(graph):
    """Behaviour 86."""
    get_variable("s/a", [2])
    with variable_scope("s"), pytest.raises(VariableError) as caught:
        get_variable("a", [2])
    assert str(caught.value) == (
        "a variable of this name exists already (tensor 's/a')\nIt is float32 [2]. To take it,"
        " give variable_scope reuse=True or reuse=AUTO_REUSE; to make another, choose another"
        " name.")


def test_reuse_finds_it_from_anywhere(graph):
    """Behaviour 86."""
    with variable_scope("s"):
        made = get_variable("a", [2])
    with variable_scope("s", reuse=True), name_scope("n"):
        assert made is get_variable("a", [2])
        assert made is get_variable("a")
        assert made is get_variable("a", [None])
    with variable_scope("", reuse=True):
        assert made is get_variable("s/a")
    get_variable_scope().reuse_variables()
    assert made is get_variable("s/a")


def test_under_reuse_a_missing_name_is_an_error_that_offers_others(graph):
    """Behaviour 86."""
    get_variable("kernel", [2])
    with variable_scope("", reuse=True), pytest.raises(VariableError) as caught:
        get_variable("kernels", [2])
    assert str(caught.value) == (
        "there is no variable of this name to reuse (tensor 'kernels')\nNearest: kernel."
        " With reuse=AUTO_REUSE it would be made.")
    assert isinstance(caught.value, ValueError)
    Variable(0.0, name="plain")
    with variable_scope("", reuse=True), pytest.raises(VariableError):
        get_variable("plain")


def test_under_reuse_another_shape_or_dtype_is_an_error_that_says_which(graph):
    """Behaviour 86."""
    get_variable("a", [2])
    with variable_scope("", reuse=True):
        with pytest.raises(VariableError, match=r"another shape: expected \[2\], got \[3\]"):
            get_variable("a", [3])
        with pytest.raises(VariableError, match="another dtype: expected float32, got int32"):
            get_variable("a", [2], "int32")


def test_reuse_cant_be_switched_off_below(graph):
    """Behaviour 87."""
    with variable_scope("s"):
        made = get_variable("a", [])
    with variable_scope("s", reuse=True) as scope:
        with variable_scope("t", reuse=False) as below:
            assert below.reuse is True
    with variable_scope(scope, reuse=False) as again:
        assert again.reuse is True
        assert made is get_variable("a")
    with variable_scope(scope), pytest.raises(VariableError):
        get_variable("b", [])
    with variable_scope(scope, reuse=AUTO_REUSE):
        assert named("b") == "s/b:0"


def test_automatic_reuse_makes_first_and_finds_later(graph):
    """Behaviour 87."""
    got = []
    for _ in range(2):
        with variable_scope("s", reuse=AUTO_REUSE), variable_scope("t"):
            got.append(get_variable("a", [2]))
    assert got[0] is got[1]
    with variable_scope("s", reuse=AUTO_REUSE), variable_scope("t"), pytest.raises(VariableError):
        get_variable("a", [3])


@pytest.mark.parametrize("reuse", [1, "yes", 0])
def test_reuse_is_one_of_four(reuse):
    """Behaviour 87."""
    with pytest.raises(VariableError, match="no way to reuse"):
        variable_scope("s", reuse=reuse)


def test_initializers_come_down(graph):
    """Behaviour 88."""
    with variable_scope("s", initializer=ones_initializer()) as scope:
        assert get_variable("a", [2]).numpy().tolist() == [1, 1]
        with variable_scope("t"):
            assert get_variable("a", [1]).numpy().tolist() == [1]
            zeros = get_variable("b", [1], initializer=zeros_initializer)
            assert zeros.numpy().tolist() == [0]
        with variable_scope("u", initializer=constant_initializer(5.0)):
            assert get_variable("a", []).numpy() == 5
        scope.set_initializer(constant_initializer(3.0))
        assert get_variable("c", []).numpy() == 3
    with variable_scope(scope):
        assert get_variable("d", []).numpy() == 3


def test_dtypes_come_down(graph):
    """Behaviour 88."""
    with variable_scope("s", dtype="float64") as scope:
        assert get_variable("a", []).dtype.name == "float64"
        with variable_scope("t"):
            assert get_variable("a", []).dtype.name == "float64"
            assert get_variable("b", [], "int32").dtype.name == "int32"
        scope.set_dtype(np.int64)
        assert get_variable("b", [2]).numpy().tolist() == [0, 0]
    assert get_variable("a", []).dtype.name == "float32"


def test_a_value_fixes_shape_and_dtype(graph):
    """Behaviour 88."""
    value = get_variable("a", initializer=[1, 2])
    assert (value.shape, value.dtype.name) == ((2,), "int32")
    with pytest.raises(VariableError, match="has a shape already"):
        get_variable("b", [2], initializer=[1, 2])
    with pytest.raises(VariableError, match="another dtype than the one asked for:"
                       " expected float32, got int32"):
        get_variable("c", dtype="float32", initializer=[1, 2])
    assert get_variable("d", dtype="int32", initializer=[1, 2]).shape == (2,)


def test_functions_are_called_with_what_they_take(graph):
    """Behaviour 88."""
    assert get_variable("a", [2], initializer=np.ones).dtype.name == "float32"
    assert get_variable("b", [2], "int64", lambda shape, dtype: np.full(shape, 7, dtype)
                        ).numpy().tolist() == [7, 7]
    assert get_variable("c", initializer=lambda: 3).dtype.name == "int32"
    for options in ({}, {"initializer": zeros_initializer()}, {"shape": [None, 2]}):
        with pytest.raises(VariableError, match="needs a shape that is known"):
            get_variable("d", **options)
    with pytest.raises(VariableError, match="needs an initializer"):
        get_variable("d", [2], "complex64")


def test_regularizers_come_down(graph):
    """Behaviour 88."""
    with variable_scope("s", regularizer=lambda variable: variable.name):
        get_variable("a", [])
        get_variable("b", [], regularizer=lambda variable: None)
        with variable_scope("t"):
            get_variable("a", [])
    assert get_collection(GraphKeys.REGULARIZATION_LOSSES) == ["s/a:0", "s/t/a:0"]


def test_custom_getters_are_chained(graph):
    """Behaviour 88."""
    def suffixed(getter, name, *given, **options):
        return getter(name + "_x", *given, **options)

    def old(getter, name, shape, dtype, initializer, regularizer, reuse, trainable, collections,
            caching_device, partitioner, validate_shape, use_resource, synchronization,
            aggregation):
        return getter(name + "_old", shape, dtype)

    with variable_scope("s", custom_getter=suffixed):
        assert named("a") == "s/a_x:0"
        with variable_scope("t", custom_getter=suffixed):
            assert named("a") == "s/t/a_x_x:0"
    assert named("a", custom_getter=old) == "a_old:0"
    with pytest.raises(VariableError):
        named("b", custom_getter="no function")


def test_parts_are_named_by_number(graph):
    """Behaviour 89."""
    with variable_scope("s", partitioner=fixed_size_partitioner(2)):
        whole = get_variable("w", [3], initializer=ones_initializer())
    assert (whole.name, [part.name for part in whole]) == ("s/w", ["s/w/part_0:0", "s/w/part_1:0"])
    assert list(whole) == global_variables()


def test_reuse_with_another_number_of_parts_is_an_error(graph):
    """Behaviour 89."""
    whole = get_variable("w", [4], partitioner=fixed_size_partitioner(2))
    with variable_scope("", reuse=True):
        assert whole is get_variable("w")
        assert whole is get_variable("w", [4], partitioner=fixed_size_partitioner(2))
        with pytest.raises(VariableError, match=r"another number of parts: expected \[2\], got"
                           r" \[3\]"):
            get_variable("w", [4], partitioner=fixed_size_partitioner(3))
        for options in ({"shape": [5]}, {"dtype": "int32"}):
            with pytest.raises(VariableError):
                get_variable("w", **options)
    with pytest.raises(VariableError, match="made in parts"):
        get_variable("w", [4])
    get_variable("v", [4])
    with pytest.raises(VariableError, match="made whole"):
        get_variable("v", [4], partitioner=fixed_size_partitioner(2))


def test_scalars_are_never_cut(graph):
    """Behaviour 89."""
    for shape in ([], ()):
        assert isinstance(get_variable(f"s{shape!r}"[:1] + str(type(shape).__name__), shape,
                                       partitioner=fixed_size_partitioner(2)), Variable)


@pytest.mark.parametrize("answer", [[1], [2, 2], [0, 1], 3, [1, 1, 1]])
def test_a_partitioner_must_cut_one_axis(graph, answer):
    """Behaviour 89."""
    with pytest.raises(VariableError, match="the partitioner returned"):
        get_variable("w", [4, 4], partitioner=lambda shape, dtype: answer)


def test_parts_made_one_by_one_must_be_as_many(graph):
    """Behaviour 89."""
    for number in range(2):
        get_variable(f"w/part_{number}", [2])
    with variable_scope("", reuse=AUTO_REUSE):
        for count in (1, 3):
            with pytest.raises(VariableError, match="another number of them"):
                get_variable("w", [count * 2], partitioner=fixed_size_partitioner(count))
        whole = get_variable("w", [4], partitioner=fixed_size_partitioner(2))
    assert list(whole) == global_variables()


def test_a_scopes_lists_hold_what_is_under_it(graph):
    """Behaviour 90: also where a name would be a pattern, as TensorFlow takes it."""
    with variable_scope("a.b") as scope:
        made = [get_variable("x", []), Variable(0.0, name="y", trainable=False)]
    with variable_scope("a_b"):
        get_variable("x", [])
    with variable_scope("a.b_1"):
        get_variable("x", [])
    with variable_scope(scope):
        made.append(get_variable("c", []))
    # Variable goes by the name scope, which is a.b_1 by now.
    assert made == scope.global_variables()
    assert made[::2] == scope.trainable_variables()
    assert scope.local_variables() == []
    assert len(get_variable_scope().global_variables()) == 5


def test_collections_are_lists_of_the_graph(graph):
    """Behaviour 90."""
    add_to_collection("mine", 1)
    get_collection_ref("mine").append(2)
    get_collection("mine").append(3)
    assert get_collection("mine") == [1, 2]
    assert get_collection("mine", "a") == []
    get_variable("a1", [])
    get_variable("b1", [])
    assert [v.name for v in global_variables("a.")] == ["a1:0"]
    assert graph.get_all_collection_keys() == ["mine", "variables", "trainable_variables"]


def in_thread(work):
    got = []
    thread = threading.Thread(target=lambda: got.append(work()))
    thread.start()
    thread.join()
    return got[0]


def test_a_new_thread_starts_at_the_root_and_shares_the_names(graph):
    """Behaviour 90."""
    with variable_scope("main") as main:
        get_variable("a", [])
        Variable(0.0, name="v")

        def work():
            with graph.as_default():
                got = [get_variable_scope().name, get_name_scope(), named("a"), var("main/v")]
                with variable_scope(main):
                    return [*got, named("b")]

        assert in_thread(work) == ["", "", "a:0", "main/v_1:0", "main/b:0"]
        assert named("c") == "main/c:0"


def test_each_thread_counts_default_names_for_itself(graph):
    """Behaviour 90."""
    def work():
        with graph.as_default():
            return opened("d")

    assert opened("d") + in_thread(work) + opened("d") == ["d", "d", "d_1"]


def test_a_thread_is_in_no_graph_until_it_enters_one(graph):
    """Behaviour 90."""
    assert in_thread(executing_eagerly)
    assert not executing_eagerly()


def test_each_graph_has_its_own_names():
    outer, inner = Graph(), Graph()
    with outer.as_default():
        assert named("a") == "a:0"
        with variable_scope("s"), inner.as_default():
            assert get_default_graph() is inner
            assert (named("a"), var()) == ("a:0", "v:0")
        manager = variable_scope("t")
    with inner.as_default(), manager:  # belongs to the graph it was made in
        assert get_default_graph() is outer


def test_scopes_must_be_left_in_order(graph):
    first, second = variable_scope("a"), variable_scope("b")
    first.__enter__()
    second.__enter__()
    for manager in (first, second):
        with pytest.raises(GraphStateError, match="order"):
            manager.__exit__(None, None, None)


def test_names_inside_a_variable_are_taken(graph):
    """Behaviour 82: TensorFlow gives these to the operations around a variable."""
    assert [var(name) for name in ("a", "a/read", "a/Assign", "a/initial_value", "a/b")] == [
        "a:0", "a/read_1:0", "a/Assign_1:0", "a/initial_value_1:0", "a/b:0"]
    with pytest.raises(VariableError, match="this name is taken in the graph"):
        var("a/")


def test_get_variable_needs_a_name(graph):
    for name in (None, 5):
        with pytest.raises(TypeError):
            get_variable(name, [])
    with pytest.raises(VariableError, match="empty name"):
        get_variable("", [])


def test_outside_a_graph_each_call_makes_a_variable(eager):
    with variable_scope("s", reuse=True) as scope:
        first, second = get_variable("a", []), get_variable("a", [])
        assert (scope.reuse, first.name, var()) == (AUTO_REUSE, "s/a:0", "s/v:0")
    assert first is not second
    assert first.name == second.name
    assert (opened("d", "d"), get_collection("variables")) == (["d", "d_1"], [])


def test_outside_a_graph_names_are_taken_as_they_are(eager):
    with name_scope("a") as a, name_scope("b") as b:
        with name_scope("") as root, name_scope("c/") as c:
            assert (a, b, root, c) == ("a/", "a/b/", "", "c/")
        assert (var("x/y"), var("x:y z"), named("w")) == ("a/b/x/y:0", "a/b/x:y z:0", "w:0")
    assert get_name_scope() == ""


def test_a_store_finds_variables_outside_a_graph(eager):
    store = EagerVariableStore()
    with store.as_default(), variable_scope("s"):
        made = get_variable("a", [2])
        parts = get_variable("w", [2], trainable=False, partitioner=fixed_size_partitioner(2))
    with store.as_default(), variable_scope("s"):
        assert made is get_variable("a", [2])
        assert parts is get_variable("w", [2], partitioner=fixed_size_partitioner(2))
        with pytest.raises(VariableError):
            get_variable("a", [3])
    with variable_scope("s"):
        assert made is not get_variable("a", [2])
    assert [made, *parts] == store.variables()
    assert [made] == store.trainable_variables()


def test_the_global_step_is_one_per_graph():
    for _ in range(2):
        with Graph().as_default() as graph:
            assert get_global_step() is None
            step = get_or_create_global_step()
            assert step is get_or_create_global_step() is get_global_step(graph)
            assert (step.name, step.dtype.name, step.shape, step.trainable) == (
                "global_step:0", "int64", (), False)
            assert [step] == global_variables()
            with pytest.raises(VariableError, match="has a global step already"):
                create_global_step()


def test_the_global_step_outside_a_graph(eager):
    step = get_or_create_global_step()
    assert step is get_or_create_global_step() is get_global_step()
    reset_default_graph()
    assert get_global_step() is None


def test_a_variable_of_that_name_is_the_global_step(graph):
    variable = Variable(3, name="global_step")
    assert variable is get_global_step()


@pytest.mark.parametrize("value", [0.0, [1]])
def test_the_global_step_must_be_one_integer(graph, value):
    Variable(value, name="global_step")
    with pytest.raises(TypeError, match="must be one integer"):
        get_global_step()


def test_an_entered_graph_isnt_reset(graph):
    with pytest.raises(GraphStateError):
        reset_default_graph()
