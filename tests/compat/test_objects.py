"""Checkpoints of object structures, held against TensorFlow 2.15 and 2.21."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import files_of
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.modules import Module
from tfckpt.train.variables import Variable


class Objects:
    """The same as in object_snippets.py, with our objects."""

    def __init__(self):
        self.known = {}

    def build(self, what, name="v"):
        if isinstance(what, (int, float)):
            return Variable(np.float32(what), name=name)
        if "ref" in what:
            return self.known[what["ref"]]
        kind, items = what["kind"], what["items"]
        if kind == "module":
            made = Module()
            self.known[what["id"]] = made
            for key, item in items:
                setattr(made, key, self.build(item, key))
            return made
        if kind == "list":
            return [self.build(item, "item") for _, item in items]
        if kind == "tuple":
            self.known[what["id"]] = tuple(self.build(item, "item") for _, item in items)
            return self.known[what["id"]]
        return {key: self.build(item, "entry") for key, item in items}


def checkpoint_of(what, rooted):
    built = Objects().build(what)
    if rooted:
        return Checkpoint(built), built
    return Checkpoint(**{key: getattr(built, key) for key, _ in what["items"]}), built


MODULE = {"kind": "module", "id": 0, "items": [
    ["w", 1.5], ["layers", {"kind": "list", "id": 1, "items": [
        ["", 2.0], ["", {"kind": "dict", "id": 2, "items": [["block.1/w", 3.0], ["x.S", 4.0]]}]]}],
    ["inner", {"kind": "module", "id": 3, "items": [
        ["deep", {"kind": "tuple", "id": 4, "items": [["", 5.0], ["", 6.0]]}],
        ["up", {"ref": 0}]]}],
    ["pair", {"kind": "tuple", "id": 6, "items": [
        ["", 7.0], ["", {"kind": "tuple", "id": 7, "items": [["", 8.0]]}]]}],
    ["same", {"ref": 6}], ["again", {"ref": 3}], ["empty", {"kind": "list", "id": 5, "items": []}]]}

names = st.text(alphabet="aB_", min_size=1, max_size=3).filter(
    lambda n: n.isidentifier() and not n.startswith("_") and n not in ("B_", "root"))
keys = st.text(alphabet="ab./S_é0", min_size=1, max_size=4)


def with_items(children):
    lists = st.lists(st.tuples(st.just(""), children).map(list), max_size=3)
    tuples = st.lists(st.tuples(st.just(""), children).map(list), min_size=1, max_size=3)
    dicts = st.lists(st.tuples(keys, children).map(list), max_size=3, unique_by=lambda i: i[0])
    modules = st.lists(st.tuples(names, children).map(list), max_size=3, unique_by=lambda i: i[0])
    return st.one_of(
        st.builds(lambda i: {"kind": "list", "id": 0, "items": i}, lists),
        st.builds(lambda i: {"kind": "tuple", "id": None, "items": i}, tuples),
        st.builds(lambda i: {"kind": "dict", "id": 0, "items": i}, dicts),
        st.builds(lambda i: {"kind": "module", "id": 0, "items": i}, modules))


structures = st.recursive(st.integers(0, 99).map(float), with_items, max_leaves=8)
roots = st.lists(st.tuples(names, structures).map(list), min_size=1, max_size=4,
                 unique_by=lambda i: i[0]).map(
    lambda items: {"kind": "module", "id": "root", "items": items})


def with_cycles(what, rng):
    """Number the modules, and let some hold another, shared or in a circle."""
    modules = []

    def number(part):
        if isinstance(part, dict) and "items" in part:
            if part["kind"] == "module":
                part["id"] = len(modules)
                modules.append(part)
            for item in part["items"]:
                number(item[1])

    number(what)
    for n, module in enumerate(modules):
        if n and rng.random() < 0.5:
            module["items"].append([f"ref{n}", {"ref": rng.randrange(n + 1)}])
    return what


def check_both_ways(folder, tf, what, rooted, counter):
    ours, theirs = os.path.join(folder, "ours"), os.path.join(folder, "theirs")
    for path in (ours, theirs):
        os.makedirs(path, exist_ok=True)
    checkpoint, _keep = checkpoint_of(what, rooted)
    prefix = checkpoint.save(ours + "/m") if counter else checkpoint.write(ours + "/m")
    their_prefix = tf("save", module="object_snippets", prefix=theirs + "/m", what=what,
                      rooted=rooted, counter=counter)
    if tf.version == "tf2.21":
        assert files_of(their_prefix) == files_of(prefix)
    restored, _keep = checkpoint_of(what, rooted)
    for variable in restored.view().stored:
        variable.value.assign(-1) if counter or variable.value.dtype.name != "int64" else None
    status = restored.restore(their_prefix) if counter else restored.read(their_prefix)
    status.assert_consumed().assert_existing_objects_matched()
    assert {i.key: i.value.numpy() for i in checkpoint.view().stored} == {
        i.key: i.value.numpy() for i in restored.view().stored}
    tf("restore", module="object_snippets", prefix=prefix, what=what, rooted=rooted,
       counter=counter)


@pytest.mark.parametrize("rooted", [True, False])
@pytest.mark.parametrize("counter", [True, False])
def test_a_structure_is_saved_as_tensorflow_saves_it(tmp_path, tf2, rooted, counter):
    check_both_ways(str(tmp_path), tf2, MODULE, rooted, counter)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture,
                                                  HealthCheck.too_slow])
@given(roots, st.booleans(), st.booleans(), st.randoms(use_true_random=False))
def test_any_structure_is_saved_as_tensorflow_saves_it(tmp_path_factory, tf2, what, rooted,
                                                       counter, rng):
    check_both_ways(str(tmp_path_factory.mktemp("any")), tf2, with_cycles(what, rng), rooted,
                    counter)
