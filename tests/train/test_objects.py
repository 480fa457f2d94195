"""What objects hold: attributes, lists, dicts, tuples, and the names of modules.

tests/compat/test_objects.py and test_restore.py hold the files of all this against TensorFlow's.
"""

from __future__ import annotations

import collections
import copy
import pickle
from typing import Any, NamedTuple

import pytest

import tfckpt
from tfckpt.errors import VariableError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.dicts import TrackedDict
from tfckpt.train.graphs import Graph, get_name_scope, name_scope
from tfckpt.train.lists import TrackedList
from tfckpt.train.modules import Module
from tfckpt.train.objects import Trackable, children_of
from tfckpt.train.optimizer import Optimizer
from tfckpt.train.scopes import variable_scope
from tfckpt.train.tracking import NoDependency, is_trackable
from tfckpt.train.variables import Variable


class Net(Module):
    """A module with these attributes."""

    def __init__(self, **attributes):
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)


def var(value=0.0) -> Variable:
    return Variable(float(value))


def saved_keys(tmp_path, root) -> list[str]:
    """Keys of a checkpoint of this root, without the endings of variables."""
    with tfckpt.open(Checkpoint(root).write(tmp_path / "model")) as source:
        return [key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for key in source
                if key != OBJECT_GRAPH_KEY]


def saved_values(tmp_path, root) -> dict[str, float]:
    with tfckpt.open(Checkpoint(root).write(tmp_path / "model")) as source:
        return {key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): float(source[key])
                for key in source if key != OBJECT_GRAPH_KEY}


# Keys.


def test_keys_come_from_attribute_names_and_not_from_those_of_variables(tmp_path):
    """Behaviour 51."""
    with Graph().as_default(), name_scope("outer"), variable_scope("scope"):
        root = Net(a=Variable(1.0, name="same"), b=Variable(2.0, name="same"))
        assert [v.full_name for v in (root.a, root.b)] == ["outer/scope/same",
                                                           "outer/scope/same_1"]
        assert saved_values(tmp_path, root) == {"a": 1.0, "b": 2.0}


@pytest.mark.parametrize(("name", "escaped"), [
    ("a.b", "a..b"), ("a/b", "a.Sb"), ("a.Sb", "a..Sb"), ("./", "...S"), ("/.", ".S.."),
    (".ATTRIBUTES", "..ATTRIBUTES"), (".ATTRIBUTES/VARIABLE_VALUE",
                                      "..ATTRIBUTES.SVARIABLE_VALUE"), ("", ""), ("é", "é")])
def test_in_keys_a_dot_is_doubled_and_then_a_slash_replaced(tmp_path, name, escaped):
    """Behaviour 52."""
    root = Net(parts={name: var(1)})
    assert saved_values(tmp_path, root) == {f"parts/{escaped}": 1.0}
    root.parts[name].assign(0.0)
    Checkpoint(root).read(tmp_path / "model").assert_consumed()
    assert float(root.parts[name]) == 1.0


def test_lists_give_indexes_and_dicts_their_keys(tmp_path):
    """Behaviour 53."""
    root = Net(parts=[var(1), {"x": var(2), "y": [[var(3)]]}])
    assert saved_values(tmp_path, root) == {
        "parts/0": 1.0, "parts/1/x": 2.0, "parts/1/y/0/0": 3.0}


# Attributes.


def test_deleting_or_replacing_an_attribute_changes_the_children_at_once():
    """Behaviour 80."""
    root = Net(a=var(), b=var(), c=var())
    replaced = var()
    root.a = replaced
    assert list(children_of(root)) == ["a", "b", "c"]
    assert children_of(root)["a"] is replaced
    del root.b
    assert list(children_of(root)) == ["a", "c"]
    root.a = 5
    root.c = None
    assert children_of(root) == {}
    assert (root.a, root.c) == (5, None)
    root.d = root.c = var()
    assert list(children_of(root)) == ["d", "c"]
    with pytest.raises(AttributeError):
        del root.b


def test_no_dependency_keeps_a_value_out_of_the_checkpoint(tmp_path):
    a, b, c, d, e, f = (var(n) for n in range(6))
    root = Net(a=NoDependency(a), parts=[NoDependency(b), c], names={"d": NoDependency(d)},
               both=(NoDependency(e), f))
    assert (root.a, root.parts, root.names, root.both) == (a, [b, c], {"d": d}, (e, f))
    assert saved_keys(tmp_path, root) == ["both/1", "parts/1"]
    root.parts.append(NoDependency(var()))
    root.names["g"] = NoDependency(var())
    root.parts.reverse()
    assert saved_keys(tmp_path, root) == ["both/1", "parts/1"]
    assert saved_keys(tmp_path, copy.deepcopy(root)) == ["both/1", "parts/1"]
    root.names["d"] = d
    root.a = None
    root.a = a
    assert saved_keys(tmp_path, root) == ["a", "both/1", "names/d", "parts/1"]
    del root.names["g"]
    assert root.names == {"d": d}


def test_a_class_may_name_its_children_itself(tmp_path):
    class Own(Trackable):
        def __init__(self):
            self.hidden = var(1)

        def _trackable_children(self):
            return {"shown": self.hidden}

    assert saved_values(tmp_path, Own()) == {"shown": 1.0}


def test_copies_share_no_children_with_their_originals():
    root = Net(a=var(1), parts=[var(2)])
    shallow, deep, loaded = copy.copy(root), copy.deepcopy(root), pickle.loads(pickle.dumps(
        Trackable()))
    assert loaded._trackable_children() == {}
    shallow.b = var()
    deep.c = var()
    assert list(children_of(root)) == ["a", "parts"]
    assert list(children_of(shallow)) == ["a", "parts", "b"]
    assert shallow.a is root.a
    assert deep.a is not root.a
    assert children_of(deep)["parts"][0] is deep.parts[0] is not root.parts[0]


# Lists.


def test_a_list_stays_a_list_and_what_is_appended_is_tracked(tmp_path):
    """Behaviour 76."""
    v = var(1)
    original = [v, 5, "text", None]
    root = Net(parts=original)
    assert root.parts == original
    assert isinstance(root.parts, list)
    assert (root.parts[1:], root.parts * 2, len(root.parts)) == (
        [5, "text", None], [*original, *original], 4)
    root.parts.append(var(2))
    root.parts.extend([7, [var(3)]])
    root.parts += [v]
    assert original == root.parts
    assert saved_values(tmp_path, root) == {
        "parts/0": 1.0, "parts/4": 2.0, "parts/6/0": 3.0}


def test_a_list_may_be_multiplied(tmp_path):
    """Behaviour 76."""
    root = Net(parts=[var(1), var(2)])
    root.parts *= 2
    assert list(children_of(root.parts)) == ["0", "1", "2", "3"]
    assert saved_values(tmp_path, root) == {"parts/0": 1.0, "parts/1": 2.0}
    root.parts *= 0
    assert saved_keys(tmp_path, root) == []


EDITS = {
    "insert": (lambda p: p.insert(0, var(9)), [9, 1, 2, 3]),
    "delete": (lambda p: p.__delitem__(0), [2, 3]),
    "delete some": (lambda p: p.__delitem__(slice(1, None)), [1]),
    "replace": (lambda p: p.__setitem__(1, var(9)), [1, 9, 3]),
    "replace some": (lambda p: p.__setitem__(slice(0, 2), [var(8), var(9), var(7)]), [8, 9, 7, 3]),
    "pop": (lambda p: p.pop(0), [2, 3]),
    "pop last": (lambda p: p.pop(), [1, 2]),
    "remove": (lambda p: p.remove(p[1]), [1, 3]),
    "clear": (lambda p: p.clear(), []),
    "reverse": (lambda p: p.reverse(), [3, 2, 1]),
    "sort": (lambda p: p.sort(key=float, reverse=True), [3, 2, 1]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_list_is_saved_and_restored_in_its_true_order(tmp_path, edit):
    """Behaviour 77."""
    change, values = EDITS[edit]
    original = [var(1), var(2), var(3)]
    root = Net(parts=original)
    change(root.parts)
    assert saved_values(tmp_path, root) == {
        f"parts/{at}": value for at, value in enumerate(values)}
    assert original == root.parts
    twin = Net(parts=[var() for _ in values])
    Checkpoint(twin).read(tmp_path / "model").assert_consumed()
    assert [float(v) for v in twin.parts] == values
    root.parts.append(var(10))
    assert saved_values(tmp_path, root)[f"parts/{len(values)}"] == 10


@pytest.mark.parametrize("change", [
    lambda p: p.append(var()), lambda p: p.pop(), lambda p: p.reverse(),
    lambda p: p.__setitem__(0, var()), lambda p: p.clear()])
@pytest.mark.parametrize("then", [lambda p: None, lambda p: p.append(var())],
                         ids=["and no more", "and then through the attribute"])
def test_a_list_that_was_changed_behind_our_back_is_refused(tmp_path, change, then):
    """Behaviour 77."""
    original = [var(1), var(2)]
    root = Net(parts=original)
    change(original)
    then(root.parts)
    with pytest.raises(VariableError) as caught:
        Checkpoint(root).write(tmp_path / "model")
    assert str(caught.value) == (
        "a list of tracked objects was changed through another name than the attribute it was set"
        " as\nChange it through the attribute, or set it anew.")
    with pytest.raises(VariableError):
        root.parts.insert(0, var())
    root.parts = list(original)
    Checkpoint(root).write(tmp_path / "model")


def test_a_long_list_is_built_and_grows_without_walking_it_each_time():
    """Each step compares and copies nothing of what is there already."""
    walked = 0

    class Counting(TrackedList):
        def _check(self):
            nonlocal walked
            walked += 1
            super()._check()

    parts = Counting([])
    for n in range(1000):
        parts.append(var(n))
    assert walked == 0
    assert list(children_of(parts)) == [str(n) for n in range(1000)]
    assert walked == 1


# Dicts.


def test_a_dict_stays_a_dict_and_what_is_put_into_it_is_tracked(tmp_path):
    """Behaviour 76, for dicts."""
    original = {"a": var(1), "n": 5, 3: "text"}
    root = Net(parts=original)
    assert root.parts == original
    assert isinstance(root.parts, dict)
    root.parts["b"] = var(2)
    root.parts.update({"c": [var(3)]}, d=var(4))
    root.parts |= {"e": var(5)}
    assert root.parts.setdefault("a", 5) is original["a"]
    root.parts.setdefault("f", {})["x"] = var(6)
    assert original == root.parts
    assert saved_values(tmp_path, root) == {
        "parts/a": 1.0, "parts/b": 2.0, "parts/c/0": 3.0, "parts/d": 4.0, "parts/e": 5.0,
        "parts/f/x": 6.0}
    del root.parts["a"], root.parts["n"]
    assert root.parts.pop("b").numpy() == 2.0
    assert root.parts.pop("none", 7) == 7
    assert root.parts.popitem()[0] == "f"
    root.parts["c"] = var(8)
    assert original == root.parts
    assert saved_values(tmp_path, root) == {"parts/c": 8.0, "parts/d": 4.0, "parts/e": 5.0}
    root.parts.clear()
    assert original == {}
    assert saved_keys(tmp_path, root) == []


@pytest.mark.parametrize("key", [1, (2, 3), None, b"x"])
def test_a_tracked_part_under_a_key_that_is_no_text_is_refused_with_the_key(tmp_path, key):
    """Behaviour 79."""
    Checkpoint(Net(parts={key: "plain", "a": var()})).write(tmp_path / "model")
    for parts in ({key: var()}, {key: [5]}):
        root = Net(parts=parts)
        with pytest.raises(VariableError) as caught:
            Checkpoint(root).write(tmp_path / "model")
        assert str(caught.value) == ("a tracked object is under a dict key that is no text, and so"
                                     f" has no place in a checkpoint: got {key!r}")
        root.parts[key] = NoDependency(var())
        Checkpoint(root).write(tmp_path / "model")


def test_a_dict_that_was_changed_behind_our_back_is_refused(tmp_path):
    """Behaviour 77, for dicts."""
    for change in (lambda d: d.update(b=var()), lambda d: d.pop("a"),
                   lambda d: d.update(a=var())):
        original = {"a": var()}
        root = Net(parts=original)
        change(original)
        with pytest.raises(VariableError) as caught:
            Checkpoint(root).write(tmp_path / "model")
        assert str(caught.value) == (
            "a dict of tracked objects was changed through another name than the attribute it was"
            " set as\nChange it through the attribute, or set it anew.")


def test_containers_of_the_users_own_kind_are_left_alone():
    class Own(list):
        pass

    root = Net(own=Own([var()]), default=collections.defaultdict(var), ordered=collections.
               OrderedDict(a=var()))
    assert list(children_of(root)) == ["ordered"]
    assert type(root.own) is Own
    assert isinstance(root.ordered, TrackedDict)


# Tuples.


class Pair(NamedTuple):
    left: Any
    right: Any


class Sub(Pair):
    pass


Plain = collections.namedtuple("Plain", "left right")  # noqa: PYI024 - the older way to make one


@pytest.mark.parametrize("kind", [Pair, Sub, Plain])
def test_named_tuples_give_their_fields_and_indexes(tmp_path, kind):
    """Behaviour 78."""
    root = Net(pair=kind(var(1), [var(2)]))
    assert isinstance(root.pair, kind)
    assert (root.pair.left.numpy(), root.pair.right[0].numpy()) == (1.0, 2.0)
    assert list(children_of(root.pair)) == ["left", "right", "0", "1"]
    assert saved_values(tmp_path, root) == {"pair/left": 1.0, "pair/right/0": 2.0}
    for other in (kind(var(), [var()]), (var(), [var()]), {"left": var(), "right": [var()]},
                  [var(), [var()]]):
        twin = Net(pair=other)
        Checkpoint(twin).read(tmp_path / "model").assert_consumed()


def test_plain_values_in_a_named_tuple_are_no_children():
    """Behaviour 78."""
    assert list(children_of(Net(pair=Pair(5, var())).pair)) == ["right", "1"]
    assert not is_trackable(Pair(5, "text"))


class Summing(Pair):
    def __new__(cls, *values):
        return super().__new__(cls, values[0], sum(map(float, values[1:])))


class Swapping(Pair):
    def __new__(cls, left, right):
        return super().__new__(cls, right, left)


@pytest.mark.parametrize("value", [Summing(var(), 1, 2), Swapping(var(), var())],
                         ids=["refuses its fields", "changes its fields"])
def test_a_named_tuple_that_cannot_be_made_anew_is_refused(tmp_path, value):
    """Behaviour 78."""
    root = Net(pair=value)
    assert root.pair is value
    with pytest.raises(VariableError) as caught:
        Checkpoint(root).write(tmp_path / "model")
    assert str(caught.value) == (
        "a named tuple can't be made anew from its fields, and so not be restored: expected fields"
        f" left, right as arguments, got {type(value).__name__}")


def test_a_named_tuple_with_a_part_left_out_stays_one(tmp_path):
    root = Net(pair=Pair(NoDependency(var(1)), var(2)))
    assert isinstance(root.pair, Pair)
    assert float(root.pair.left) == 1.0
    assert saved_values(tmp_path, root) == {"pair/right": 2.0}
    assert saved_values(tmp_path, copy.deepcopy(root)) == {"pair/right": 2.0}


def test_a_tuple_without_children_is_kept_as_it_is():
    value = (1, ("a", None))
    root = Net(value=value)
    assert root.value is value
    assert children_of(root) == {}


# Modules.


class MyLayer(Module):
    pass


class HTTPServer2Layer(Module):
    pass


class Broken(Module):
    def __init__(self):
        super().__init__()
        with self.name_scope:
            raise RuntimeError("on purpose")


@pytest.mark.parametrize(("kind", "name"), [
    (MyLayer, "my_layer"), (HTTPServer2Layer, "http_server2_layer"), (Net, "net"),
    (Module, "module")])
def test_a_module_is_called_by_its_class_in_snake_case(kind, name):
    """Behaviour 91."""
    assert kind().name == name
    assert kind().name == name


def test_elsewhere_than_in_a_graph_modules_are_not_numbered():
    """Behaviour 91."""
    modules = [MyLayer(), MyLayer(), MyLayer(name="own"), MyLayer(name="own")]
    assert [module.name for module in modules] == ["my_layer", "my_layer", "own", "own"]
    with modules[1].name_scope as scope:
        assert (scope, get_name_scope()) == ("my_layer/", "my_layer")
        assert Variable(1.0, name="w").full_name == "my_layer/w"
        inner = MyLayer()
    with inner.name_scope:
        assert Variable(1.0, name="w").full_name == "my_layer/my_layer/w"


def test_in_a_graph_the_second_module_is_numbered():
    """Behaviour 91."""
    with Graph().as_default():
        modules = [MyLayer(), MyLayer(), MyLayer(name="own"), MyLayer(name="own")]
        assert [module.name for module in modules] == ["my_layer", "my_layer_1", "own", "own_1"]
        with modules[1].name_scope:
            assert Variable(1.0, name="w").full_name == "my_layer_1/w"
            inner = MyLayer()
        assert inner.name == "my_layer"
        with inner.name_scope:
            assert Variable(1.0, name="w").full_name == "my_layer_1/my_layer/w"
    with Graph().as_default():
        assert MyLayer().name == "my_layer"


@pytest.mark.parametrize("eager", [True, False])
def test_an_exception_leaves_no_scope_open(eager):
    """Behaviour 91."""
    def check():
        with name_scope("outer"):
            with pytest.raises(RuntimeError):
                Broken()
            assert get_name_scope() == "outer"
        assert get_name_scope() == ""

    if eager:
        check()
    else:
        with Graph().as_default():
            check()


@pytest.mark.parametrize("name", ["", "1", "a b", "a/b", "a.b", "a-b", "é/"])
def test_a_name_that_is_no_identifier_is_refused(name):
    """Behaviour 91."""
    with pytest.raises(VariableError) as caught:
        Module(name=name)
    assert str(caught.value) == f"a module's name must be a valid Python identifier: got {name!r}"


def test_own_variables_are_listed_before_those_of_submodules():
    """Behaviour 91: sorted by attribute, each once."""
    a, b, c, d = (Variable(float(n), trainable=n != 1) for n in range(4))
    inner, deep = Net(), Net()
    deep.d = d
    inner.c, inner.deep, inner.again = c, deep, a
    root = Net()
    root.early, root.z, root.b, root.parts = inner, a, [b, {"x": a}], (inner,)
    root.up = root
    root.hidden = NoDependency(Net(x=var()))
    assert root.variables[:2] == (b, a)
    assert root.variables[2:] == (c, d, root.hidden.x)
    assert root.trainable_variables == (a, c, d, root.hidden.x)
    assert root.submodules == (inner, root.hidden, deep)


# Optimizers.


def test_an_optimizer_makes_a_slot_once():
    """Behaviour 56."""
    w, optimizer = Variable([1.0, 2.0], name="w"), Optimizer()
    m = optimizer.add_slot(w, "m")
    assert optimizer.add_slot(w, "m", 5.0) is m
    assert (m.numpy().tolist(), m.full_name, m.trainable) == ([0.0, 0.0], "w/m", False)
    with name_scope("elsewhere"):
        v = optimizer.add_slot(w, "v", [3.0, 4.0])
    assert (v.numpy().tolist(), v.full_name) == ([3.0, 4.0], "w/v")
    assert optimizer.get_slot_names() == ["m", "v"]
    assert optimizer.get_slot(var(), "m") is None
    assert optimizer.get_slot(w, "none") is None


def test_a_slot_that_is_also_an_attribute_is_refused(tmp_path):
    w, optimizer = var(), Optimizer()
    m = optimizer.add_slot(w, "m")
    with pytest.raises(VariableError) as caught:
        Checkpoint(w=w, optimizer=optimizer, m=m).write(tmp_path / "model")
    assert str(caught.value) == "a slot is also the child of an object (tensor 'Variable/m')"
