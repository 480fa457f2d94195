"""Parts of checkpoints, and parts put together again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfckpt
from helpers import EXAMPLE, GOLDENS, SHARED, needs_shared
from tfckpt.convert.merge import merge
from tfckpt.convert.rename import variable_names
from tfckpt.convert.select import select
from tfckpt.convert.uniting import unite_graphs
from tfckpt.errors import AmbiguousNamesError, TensorNotFoundError, UnsupportedError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, Attribute, Child, Node

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def contents(prefix) -> dict:
    with tfckpt.open(prefix) as source:
        assert tfckpt.verify(source).problems == ()
        return {key: source.read_bytes(key) for key in source if key != OBJECT_GRAPH_KEY}


def saved(prefix, **held) -> str:
    return tfckpt.Checkpoint(**held).save(str(prefix))


def variables(**values) -> dict:
    return {name: tfckpt.Variable(value) for name, value in values.items()}


def test_slots_stay_and_go_with_their_variable(tmp_path):
    select(EXAMPLE, tmp_path / "a", keep="^dense/")
    assert list(contents(tmp_path / "a")) == [
        "dense/bias", "dense/bias/Adam", "dense/bias/Adam_1",
        "dense/kernel", "dense/kernel/Adam", "dense/kernel/Adam_1"]
    select(EXAMPLE, tmp_path / "b", keep="kernel", drop="^logits")
    assert list(contents(tmp_path / "b")) == [
        "dense/kernel", "dense/kernel/Adam", "dense/kernel/Adam_1"]
    report = select(EXAMPLE, tmp_path / "c", drop="Adam|step", dry_run=True)
    assert [item.key for item in report.plan.left_out] == ["global_step"]


@pytest.mark.parametrize(("options", "message"), [
    ({"keep": "nothing"}, "no tensor would be left"), ({"drop": "."}, "no tensor would be left"),
    ({"drop": "nothing"}, "no tensor would be dropped"),
    ({"keep": "."}, "no tensor would be dropped"), ({}, "say what to keep or what to drop"),
    ({"keep": "("}, "the regular expression is not valid")])
def test_a_selection_of_all_or_nothing_is_refused(tmp_path, options, message):
    with pytest.raises((TensorNotFoundError, UnsupportedError), match=message):
        select(EXAMPLE, tmp_path / "a", **options)
    assert not list(tmp_path.iterdir())


def test_a_packed_selection_has_no_other_bytes(tmp_path):
    report = select(EXAMPLE, tmp_path / "a", keep="^dense/bias$", data="pack")
    assert report.files[0].n_bytes == 3 * 4 * 4
    assert len(contents(tmp_path / "a")) == 3


def test_the_graph_loses_what_is_dropped(tmp_path):
    source = saved(tmp_path / "m", model=variables(a=1.0, b=2.0), step=tfckpt.Variable(3))
    select(source, tmp_path / "a", keep="^model/a")
    assert set(contents(tmp_path / "a")) == {"model/a" + VALUE, "save_counter" + VALUE}
    tfckpt.Checkpoint(model=variables(a=0.0)).restore(str(tmp_path / "a")).assert_consumed()
    select(source, tmp_path / "b", drop="^save_counter$")
    assert "save_counter" + VALUE not in contents(tmp_path / "b")


PATTERN = st.sampled_from(["dense", "kernel", "^b", "logits/", "power", "step", "e"])


@settings(max_examples=20, deadline=None)
@given(pattern=PATTERN)
def test_two_halves_are_the_whole(pattern, tmp_path_factory):
    folder = tmp_path_factory.mktemp("halves")
    select(EXAMPLE, folder / "a", keep=pattern)
    select(EXAMPLE, folder / "b", drop=pattern)
    merge([folder / "a", folder / "b"], folder / "both")
    assert contents(folder / "both") == contents(EXAMPLE)


@needs_shared
@pytest.mark.parametrize("folder", ["optimizers", "keras"])
def test_two_halves_of_every_fixture_are_the_whole(tmp_path, folder):
    """The values, and the paths that lead to them."""
    n_checked = 0
    for index in sorted((SHARED / "fixtures" / folder).rglob("*.index")):
        with tfckpt.open(index) as source:
            names = sorted(set(variable_names(source).values()) - {"save_counter"})
            half = "^(" + "|".join(map(_escaped, names[::2])) + ")$"
            nodes = source.object_graph
        if len(names) < 2:
            continue
        target = tmp_path / str(n_checked)
        select(index, target / "a", keep=half)
        select(index, target / "b", drop=half)
        merge([target / "a", target / "b"], target / "both")
        assert contents(target / "both") == contents(index), index
        with tfckpt.open(target / "both") as both:
            assert edges(both.object_graph) <= edges(nodes)
            assert values(both.object_graph) == values(nodes), index
            assert slots(both.object_graph) == slots(nodes), index
        n_checked += 1
    assert n_checked > 20


def _escaped(name: str) -> str:
    import re

    return re.escape(name)


def edges(nodes) -> set:
    """Every edge, by the keys of what it leads to."""
    return {(child.local_name, tuple(a.checkpoint_key for a in nodes[child.node_id].attributes))
            for node in nodes for child in node.children if nodes[child.node_id].attributes}


def values(nodes) -> set:
    return {attribute for node in nodes for attribute in node.attributes}


def slots(nodes) -> set:
    def key(n):
        return nodes[n].attributes[0].checkpoint_key

    return {(key(slot.original_variable_node_id), slot.slot_name, key(slot.slot_variable_node_id))
            for node in nodes for slot in node.slot_variables}


def test_prefixes_keep_equal_names_apart(tmp_path):
    report = merge([EXAMPLE, EXAMPLE], tmp_path / "both", prefixes={1: "a/", 2: "b/"})
    old = contents(EXAMPLE)
    assert contents(tmp_path / "both") == {p + key: old[key] for p in ("a/", "b/") for key in old}
    assert [file.how == "new" for file in report.files] == [False, False, True]
    merge([EXAMPLE, EXAMPLE], tmp_path / "one", prefixes={2: "b/"})
    assert len(contents(tmp_path / "one")) == 2 * len(old)
    with pytest.raises(AmbiguousNamesError) as caught:
        merge([EXAMPLE, EXAMPLE], tmp_path / "none")
    assert "--prefix-1" in str(caught.value)
    with pytest.raises(UnsupportedError, match="a prefix is for a checkpoint that isn't there"):
        merge([EXAMPLE, EXAMPLE], tmp_path / "none", prefixes={3: "c/"})


def test_sliced_variables_of_two_checkpoints(tmp_path):
    sliced = GOLDENS / "tf1.15" / "sliced"
    merge([sliced, sliced], tmp_path / "both", prefixes={1: "a/", 2: "b/"})
    with tfckpt.open(sliced) as source, tfckpt.open(tmp_path / "both") as both:
        assert all(np.array_equal(source[key], both[p + key]) for key in source
                   for p in ("a/", "b/"))


def test_two_object_based_ones_become_one_under_one_root(tmp_path):
    a = saved(tmp_path / "a", encoder=variables(w=1.0), step=tfckpt.Variable(1))
    b = saved(tmp_path / "b", decoder=variables(w=2.0))
    report = merge([a, b], tmp_path / "both")
    assert [item.key for item in report.plan.left_out] == ["save_counter" + VALUE]
    encoder, decoder, step = variables(w=0.0), variables(w=0.0), tfckpt.Variable(0)
    checkpoint = tfckpt.Checkpoint(encoder=encoder, decoder=decoder, step=step)
    checkpoint.restore(str(tmp_path / "both")).assert_consumed()
    assert [float(encoder["w"].numpy()), float(decoder["w"].numpy())] == [1, 2]


def test_objects_of_one_path_become_one(tmp_path):
    a = saved(tmp_path / "a", model=variables(w=1.0))
    b = saved(tmp_path / "b", model=variables(b=2.0))
    merge([a, b], tmp_path / "both")
    held = variables(w=0.0, b=0.0)
    tfckpt.Checkpoint(model=held).restore(str(tmp_path / "both")).assert_consumed()
    with pytest.raises(AmbiguousNamesError):
        merge([a, a], tmp_path / "none")
    merge([a, a], tmp_path / "twice", prefixes={1: "x/", 2: "y/"})
    assert set(contents(tmp_path / "twice")) == {
        "save_counter" + VALUE, "x/model/w" + VALUE, "y/model/w" + VALUE}


def leaf(key) -> Node:
    return Node(attributes=(Attribute("VARIABLE_VALUE", "", key),), has_checkpoint_values=True)


def test_a_second_name_of_different_objects_stays_that_of_the_first():
    a = [Node((Child(1, "enc"), Child(1, "layer-0")), has_checkpoint_values=True),
         leaf("enc" + VALUE)]
    b = [Node((Child(1, "dec"), Child(1, "layer-0")), has_checkpoint_values=True),
         leaf("dec" + VALUE)]
    nodes, notes = unite_graphs([a, b])
    assert [(child.local_name, child.node_id) for child in nodes[0].children] == [
        ("enc", 1), ("layer-0", 1), ("dec", 2)]
    assert notes == ("layer-0 is the name of different objects in the checkpoints; it stays that"
                     " of the first one",)


def test_one_object_with_two_values_of_one_name_is_refused():
    a = [Node((Child(1, "w"),)), leaf("here" + VALUE)]
    b = [Node((Child(1, "w"),)), leaf("there" + VALUE)]
    with pytest.raises(AmbiguousNamesError):
        unite_graphs([a, b])
