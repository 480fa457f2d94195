"""What isn't saved is told; the keys stay TensorFlow's."""

from __future__ import annotations

import warnings
from collections import UserDict, defaultdict, deque
from types import MappingProxyType

import pytest

import tfckpt
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.variables import Variable


class Items(list):
    """A list of a program's own."""


class Table(dict):
    """A dict of a program's own."""


def parts():
    with tfckpt.Graph().as_default():
        return tfckpt.get_variable("w", [4], partitioner=tfckpt.fixed_size_partitioner(2))


NOT_TRACKED = ("branches isn't saved: a {} isn't tracked, and neither are the variables or objects"
               " in it; a dict, a list or a tuple is. Wrap it in tfckpt.NoDependency if that is"
               " meant.")


def said_of(root, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = tfckpt.Checkpoint(root).write(tmp_path / "ckpt")
    with tfckpt.open(path) as source:
        assert list(source) == ["_CHECKPOINTABLE_OBJECT_GRAPH"]
    return [str(item.message) for item in caught if item.category is tfckpt.CheckpointWarning]


@pytest.mark.parametrize("value", [
    defaultdict(list, a=[Variable(1.0)]), Items([Variable(1.0)]), Table(a=(Variable(1.0),)),
    deque([Variable(1.0)]), UserDict(a=Variable(1.0)), MappingProxyType({"a": tfckpt.Module()}),
    Items([Items([Variable(1.0)])])], ids=lambda value: type(value).__name__)
def test_containers_that_tensorflow_passes_over_are_told(tmp_path, value):
    root = tfckpt.Module()
    root.branches = value
    assert said_of(root, tmp_path) == [NOT_TRACKED.format(type(value).__name__)]


def test_what_is_put_in_later_is_told_and_so_is_what_is_in_lists_and_dicts(tmp_path):
    root = tfckpt.Module()
    root.late, root.inner = defaultdict(list), [3, {"x": Table()}]
    assert said_of(root, tmp_path) == []
    root.late["a"].append(Variable(1.0))
    root.inner[1]["x"]["y"] = Variable(2.0)
    assert [text.partition(" ")[0] for text in said_of(root, tmp_path)] == ["late", "inner/1/x"]


def test_a_partitioned_variable_is_told(tmp_path):
    root = tfckpt.Module()
    root.w = parts()
    assert isinstance(root.w, PartitionedVariable)
    assert said_of(root, tmp_path) == [
        "w isn't saved: a PartitionedVariable has no place in an object graph; a list of its parts"
        " has, and a Saver saves it whole. Wrap it in tfckpt.NoDependency if that is meant."]


def test_nothing_is_said_of_what_holds_nothing_or_is_marked(tmp_path):
    root = tfckpt.Module()
    root.numbers, root.names, root.text = Items([1, 2]), {"a", "b"}, "text"
    root.table = tfckpt.NoDependency(Table(a=Variable(1.0)))
    root.items = [tfckpt.NoDependency(Table(a=Variable(1.0)))]
    root.cyclic = Items()
    root.cyclic.append(root.cyclic)
    assert said_of(root, tmp_path) == []
    root.table = Table(a=Variable(1.0))  # set again, and not marked
    assert [text.partition(" ")[0] for text in said_of(root, tmp_path)] == ["table"]


def test_a_tuple_under_two_names_is_two_objects_as_in_tensorflow(tmp_path):
    root, pair = tfckpt.Module(), (Variable(1.0), (Variable(2.0),))
    root.a, root.b = pair, pair
    assert root.a == root.b == pair
    root.b = root.b  # which is one already
    path = tfckpt.Checkpoint(root).write(tmp_path / "ckpt")
    with tfckpt.open(path) as source:
        found = [[(child.local_name, child.node_id) for child in node.children]
                 for node in source.object_graph]
    assert found == [[("a", 1), ("b", 2), ("root", 0)], [("0", 3), ("1", 4)],
                     [("0", 3), ("1", 5)], [], [("0", 6)], [("0", 6)], []]
