"""Renaming: what names become, what follows, and what the object graph says then."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfckpt
from helpers import EXAMPLE, GOLDENS, SHARED, copy_checkpoint, files_of, needs_shared
from tfckpt.convert.relabel import Move, relabel
from tfckpt.convert.rename import plan_rename, rename, variable_names
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.rules import (
    AddPrefix,
    Drop,
    Names,
    Regex,
    Replace,
    Scopes,
    StripPrefix,
    apply_rules,
)
from tfckpt.core.writer import write_plan
from tfckpt.errors import (
    AmbiguousNamesError,
    DestinationExistsError,
    FormatError,
    UnsupportedError,
)
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, Child, Node

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
NESTED = GOLDENS / "tf2.21" / "nested"


def save(prefix, **arrays) -> str:
    outputs = tuple(array_output(key, np.asarray(array, np.float32), dtype_named("float32"))
                    for key, array in arrays.items())
    write_plan(Plan(outputs, "name-based"), str(prefix))
    return str(prefix)


def contents(prefix) -> dict:
    with tfckpt.open(prefix) as source:
        return {key: source.read_bytes(key) for key in source}


def saved_model(folder, **names):
    """A checkpoint with a model, an optimizer that has slots, and a second name."""
    layer = tfckpt.Module()
    layer.kernel = tfckpt.Variable([1.0, 2.0], name="dense/kernel")
    layer.bias = tfckpt.Variable([3.0], name="dense/bias")
    empty = tfckpt.Module()
    model = tfckpt.Module()
    setattr(model, names.get("layer", "layer_with_weights-0"), layer)
    setattr(model, "layer-0", layer)
    setattr(model, "layer-1", empty)
    optimizer = tfckpt.Optimizer()
    optimizer.iter = tfckpt.Variable(7, dtype="int64")
    for variable in (layer.kernel, layer.bias):
        optimizer.add_slot(variable, "m", tfckpt.Variable(np.full(variable.shape, 5, "f4")))
    checkpoint = tfckpt.Checkpoint(**{names.get("model", "model"): model,
                                      names.get("optimizer", "optimizer"): optimizer})
    return checkpoint, checkpoint.write(str(folder / "ckpt"))


SPELLINGS = [
    ("w/Adam", "v/Adam"), ("w/Adam_1", "v/Adam_1"), ("w/adam_m", "v/adam_m"),
    ("w_slot_v", "v_slot_v"), ("w_slot_vr", "v_slot_vr"),
    ("training/w/Adam", "training/v/Adam"), ("a/b/w/Momentum", "a/b/v/Momentum"),
    ("w/ExponentialMovingAverage", "v/ExponentialMovingAverage"),
    ("w/ExponentialMovingAverage/biased", "v/ExponentialMovingAverage/biased"),
    ("w/ExponentialMovingAverage/local_step", "v/ExponentialMovingAverage/local_step"),
    ("w/w", "w/w"), ("xw", "xw"), ("beta1_power", "beta1_power"),
]


@pytest.mark.parametrize(("slot", "new"), SPELLINGS)
def test_slots_and_averages_follow_their_variable(tmp_path, slot, new):
    """Only the variable's whole name is mapped; every spelling of a slot goes with it."""
    source = save(tmp_path / "a", w=[1, 2], **{slot: [3, 4]})
    rename(source, tmp_path / "b", [Names({"w": "v"})])
    assert set(contents(tmp_path / "b")) == {"v", new}


def test_averages_without_variables_are_named_after_them_too(tmp_path):
    source = save(tmp_path / "a", **{"a/w/ExponentialMovingAverage": [1],
                                     "a/w/ExponentialMovingAverage/biased": [1]})
    rename(source, tmp_path / "b", [StripPrefix("a/")])
    assert set(contents(tmp_path / "b")) == {"w/ExponentialMovingAverage",
                                             "w/ExponentialMovingAverage/biased"}


def test_rules_see_a_variable_once_and_no_slot(tmp_path):
    seen = []

    def watch(name):
        seen.append(name)
        return name

    with tfckpt.open(EXAMPLE) as source:
        plan_rename(source, watch)
    assert seen == ["beta1_power", "beta2_power", "block.1/w", "dense/bias", "dense/kernel",
                    "global_step", "logits/bias", "logits/kernel", "v.Stage/w"]


def test_what_is_dropped_takes_its_slots_with_it(tmp_path):
    report = rename(EXAMPLE, tmp_path / "b", [Names({"dense/kernel": None})])
    assert [(item.key, item.reason) for item in report.done.plan.left_out] == [
        ("dense/kernel", "dropped"), ("dense/kernel/Adam", "it belongs to dense/kernel"),
        ("dense/kernel/Adam_1", "it belongs to dense/kernel")]


def test_collisions_are_all_named_and_nothing_is_written(tmp_path):
    with pytest.raises(AmbiguousNamesError) as caught:
        rename(EXAMPLE, tmp_path / "b", [Replace("logits", "dense")])
    assert caught.value.groups["dense/kernel"] == ["dense/kernel", "logits/kernel"]
    assert len(caught.value.groups) == 6
    assert not list(tmp_path.iterdir())
    with pytest.raises(AmbiguousNamesError):
        rename(EXAMPLE, tmp_path / "b", [Names({"dense/kernel": ""})])


def test_include_and_exclude(tmp_path):
    report = rename(EXAMPLE, tmp_path / "b", [AddPrefix("p/")], include="kernel|bias",
                    exclude="^logits")
    assert [(item.old, item.new) for item in report.renamings] == [
        ("dense/bias", "p/dense/bias"), ("dense/kernel", "p/dense/kernel")]
    with pytest.raises(UnsupportedError, match="the regular expression is not valid"):
        rename(EXAMPLE, tmp_path / "c", [], include="(")


def test_the_data_is_linked(tmp_path):
    source = copy_checkpoint(EXAMPLE, tmp_path / "src")
    report = rename(source, tmp_path / "b", [AddPrefix("p/")])
    data = report.done.files[0]
    assert data.how in ("hard link", "reflink")
    assert set(report.names) == set(variable_names(tfckpt.open(source)).values())


def test_a_plan_can_be_edited_and_applied(tmp_path):
    first = rename(EXAMPLE, tmp_path / "x", [Replace("kernel", "w")], dry_run=True)
    assert not list(tmp_path.iterdir())
    plan = {**first.names, "global_step": None}
    rename(EXAMPLE, tmp_path / "b", [Names(plan)])
    assert "dense/w/Adam" in contents(tmp_path / "b")
    assert "global_step" not in contents(tmp_path / "b")


def test_in_place_keeps_the_old_one(tmp_path):
    source = copy_checkpoint(EXAMPLE, tmp_path)
    before = files_of(source)
    report = rename(source, None, [AddPrefix("p/")], backup=".bak")
    assert report.done.notes[-1] == f"the old checkpoint is kept as {source}.bak"
    kept = {name.replace(".bak", ""): data for name, data in files_of(source + ".bak").items()}
    assert kept == before
    assert "p/dense/kernel" in contents(source)
    with tfckpt.open(source) as new:
        assert tfckpt.verify(new).ok
    with pytest.raises(DestinationExistsError, match="there is already a checkpoint"):
        rename(source, None, [AddPrefix("q/")], backup=".bak")
    rename(source, None, [AddPrefix("q/")], backup=str(tmp_path / "old" / "m"))
    assert "q/p/dense/kernel" in contents(source)
    assert "p/dense/kernel" in contents(tmp_path / "old" / "m")


def test_in_place_needs_a_backup(tmp_path):
    source = copy_checkpoint(EXAMPLE, tmp_path)
    before = files_of(source)
    with pytest.raises(UnsupportedError, match="replaced only if the old one is kept"):
        rename(source, None, [AddPrefix("p/")])
    with pytest.raises(DestinationExistsError, match="would replace its own source"):
        rename(source, source, [AddPrefix("p/")], overwrite=True)
    rename(source, None, [AddPrefix("p/")], backup=".bak", dry_run=True)
    with pytest.raises(UnsupportedError, match="a V1 checkpoint can't be replaced"):
        rename(GOLDENS / "tf1.15" / "v1.ckpt", None, [], backup=".bak")
    assert files_of(source) == before


def test_v1_files_and_slices_are_renamed_like_any_other(tmp_path):
    rename(GOLDENS / "tf1.15" / "v1.ckpt", tmp_path / "v1", [Replace("v", "w")])
    assert contents(tmp_path / "v1").keys() == {"w"}
    rename(GOLDENS / "tf1.15" / "sliced", tmp_path / "sliced", [AddPrefix("p/")])
    with tfckpt.open(GOLDENS / "tf1.15" / "sliced") as a, tfckpt.open(tmp_path / "sliced") as b:
        assert {"p/" + key for key in a} == set(b)
        assert all(np.array_equal(a[key], b["p/" + key]) for key in a)


OBJECTS = [
    ([Replace("model", "net")], {"model": "net"}),
    ([AddPrefix("outer/")], {"model": "outer/model", "optimizer": "outer/optimizer"}),
    ([AddPrefix("a/b/")], {"model": "a/b/model", "optimizer": "a/b/optimizer"}),
    ([StripPrefix("model/")], {"model/": ""}),
    ([Scopes("model/", "/")], {"model/": ""}),
    ([Replace("layer_with_weights-0", "dense")], {"layer_with_weights-0": "dense"}),
    ([Regex("^optimizer", "opt")], {"optimizer": "opt"}),
]


@pytest.mark.parametrize(("rules", "renamed"), OBJECTS)
def test_object_keys_and_graph_agree_after_a_rename(tmp_path, rules, renamed):
    _, source = saved_model(tmp_path)
    report = rename(source, tmp_path / "b", rules)
    with tfckpt.open(tmp_path / "b") as new:
        assert tfckpt.verify(new).problems == ()
        keys = set(new)
        paths = {attribute.checkpoint_key for node in new.object_graph
                 for attribute in node.attributes}
    assert paths == keys - {OBJECT_GRAPH_KEY}
    assert report.done.plan.notes == ()
    old = contents(source)
    assert len(keys) == len(old)


def test_slots_name_the_new_path_of_both(tmp_path):
    _, source = saved_model(tmp_path)
    rename(source, tmp_path / "b", [Replace("model", "net"), Replace("optimizer", "opt")])
    slots = {key for key in contents(tmp_path / "b") if ".OPTIMIZER_SLOT" in key}
    assert slots == {f"net/layer-0/{name}/.OPTIMIZER_SLOT/opt/m{VALUE}"
                     for name in ("kernel", "bias")} or slots == {
        f"net/layer_with_weights-0/{name}/.OPTIMIZER_SLOT/opt/m{VALUE}"
        for name in ("kernel", "bias")}


@pytest.mark.parametrize("change", [{"model": "net"}, {"optimizer": "opt"}])
def test_a_program_with_the_new_names_consumes_it(tmp_path, change):
    _, source = saved_model(tmp_path)
    (old, new), = change.items()
    rename(source, tmp_path / "b", [Regex(f"^{old}(?=/|$)", new)])
    (tmp_path / "other").mkdir()
    checkpoint, _ = saved_model(tmp_path / "other", **change)
    checkpoint.read(str(tmp_path / "b")).assert_consumed()


def test_an_object_can_be_divided(tmp_path):
    """Two tensors of one object get two: the graph has a place for each."""
    _, source = saved_model(tmp_path)
    with tfckpt.open(source) as opened:
        prefix = next(key for key in opened if key.endswith("kernel" + VALUE))
        prefix = prefix.removesuffix("kernel" + VALUE)
    rename(source, tmp_path / "b", [Names({prefix + "bias": "model/apart/bias"})])
    with tfckpt.open(tmp_path / "b") as new:
        assert tfckpt.verify(new).problems == ()
        assert "model/apart/bias" + VALUE in new
    reader = tfckpt.Module()
    reader.apart = tfckpt.Module()
    reader.apart.bias = tfckpt.Variable([0.0])
    status = tfckpt.Checkpoint(model=reader).read(str(tmp_path / "b"))
    status.assert_existing_objects_matched()
    assert reader.apart.bias.numpy().tolist() == [3.0]


def test_save_counter_stays_at_the_root(tmp_path):
    checkpoint = tfckpt.Checkpoint(v=tfckpt.Variable(1.0))
    source = checkpoint.save(str(tmp_path / "ckpt"))
    rename(source, tmp_path / "b", [AddPrefix("outer/")])
    assert set(contents(tmp_path / "b")) == {
        OBJECT_GRAPH_KEY, "save_counter" + VALUE, "outer/v" + VALUE}
    inner = tfckpt.Module()
    inner.v = tfckpt.Variable(0.0)
    tfckpt.Checkpoint(outer=inner).restore(str(tmp_path / "b")).assert_consumed()
    rename(source, tmp_path / "c", [Drop("^save_counter$")])
    assert "save_counter" + VALUE not in contents(tmp_path / "c")


def test_slots_beside_variables_of_a_dictionary_follow_them(tmp_path):
    tfckpt.convert(EXAMPLE, tmp_path / "a", to="tf2")
    report = rename(tmp_path / "a", tmp_path / "b", {"vars/dense/kernel": "vars/dense/w"})
    assert report.renamings == (
        ("vars/dense/kernel", "vars/dense/w", ("Adam", "Adam_1")),)
    assert "vars/dense.Sw.SAdam_1" + VALUE in contents(tmp_path / "b")
    with tfckpt.open(tmp_path / "b") as source:
        assert tfckpt.verify(source).problems == ()


def test_names_with_slashes_stay_one_name(tmp_path):
    tfckpt.convert(EXAMPLE, tmp_path / "a", to="tf2")
    rename(tmp_path / "a", tmp_path / "b", [Replace("dense/", "encoder/dense/")])
    assert "vars/encoder.Sdense.Skernel" + VALUE in contents(tmp_path / "b")


def test_an_empty_part_of_a_path_is_refused(tmp_path):
    _, source = saved_model(tmp_path)
    with pytest.raises(UnsupportedError, match="has a part without a name"):
        rename(source, tmp_path / "b", [StripPrefix("model")])


def test_a_damaged_graph_is_told(tmp_path):
    source = copy_checkpoint(GOLDENS / "tf2.21" / "vars-1", tmp_path)
    with tfckpt.open(source) as opened:
        entry = opened.index[OBJECT_GRAPH_KEY]
        file = opened.shard_file(entry.shard_id)
    with open(file, "r+b") as data:
        data.seek(entry.offset + 4)
        data.write(b"\xff\xff\xff")
    with pytest.raises(FormatError):
        rename(source, tmp_path / "b", [AddPrefix("p/")])


@pytest.mark.parametrize("golden", ["vars-1", "nested", "state"])
def test_there_and_back_is_bit_equal(tmp_path, golden):
    source = GOLDENS / "tf2.21" / golden
    rename(source, tmp_path / "b", [AddPrefix("p/q/")])
    rename(tmp_path / "b", tmp_path / "c", [StripPrefix("p/q/")])
    assert contents(tmp_path / "c") == contents(source)


TEXT = st.text("abw/._", min_size=1, max_size=4)
RULES = st.one_of(
    st.builds(Replace, st.sampled_from(["dense", "kernel", "w", "block.1"]), TEXT),
    st.builds(AddPrefix, TEXT), st.builds(StripPrefix, st.sampled_from(["dense/", "v.", "l"])))


@settings(max_examples=40, deadline=None)
@given(rules=st.lists(RULES, max_size=3))
def test_any_rules_and_their_inverse_give_the_same_bytes(rules, tmp_path_factory):
    """A map of the names that came out, the other way round, leads back."""
    folder = tmp_path_factory.mktemp("rename")
    try:
        report = rename(EXAMPLE, folder / "b", rules)
    except AmbiguousNamesError:
        return
    assert report.names == {name: apply_rules(rules, name) for name in report.names}
    back = {new: old for old, new in report.names.items()}
    again = rename(folder / "b", folder / "c", [Names(back)])
    slots_recognised = {old for old, new in again.names.items()} == set(back)
    if slots_recognised:
        assert contents(folder / "c") == contents(EXAMPLE)


@needs_shared
@pytest.mark.parametrize("folder", ["optimizers", "keras", "guide"])
def test_every_fixture_there_and_back(tmp_path, folder):
    n_checked = 0
    for index in sorted((SHARED / "fixtures" / folder).rglob("*.index")):
        target = tmp_path / str(n_checked)
        rename(index, target / "b", [AddPrefix("p/")])
        rename(target / "b", target / "c", [StripPrefix("p/")])
        assert contents(target / "c") == contents(index), index
        n_checked += 1
    assert n_checked > 5
    assert os.listdir(tmp_path)


def test_a_graph_that_is_nested_without_end_is_refused():
    nodes = [Node((Child(n + 1, "x"),)) for n in range(100_000)] + [Node()]
    with pytest.raises(UnsupportedError, match="nested too deep"):
        relabel(nodes, [])
    with pytest.raises(UnsupportedError, match="too long"):
        relabel(nodes, [Move(("x",) * 50_000, ("y",) * 50_000)])


def test_objects_without_a_place_are_told():
    """a/b/w becomes x/w: nothing is a any more, nor what else was in it."""
    nodes = [Node((Child(1, "a"),)), Node((Child(2, "b"), Child(4, "empty"))),
             Node((Child(3, "w"),)), Node(), Node()]
    moved = relabel(nodes, [Move(("a", "b", "w"), ("x", "w"))])
    assert moved.lost == (("a",), ("a", "empty"))
    assert moved.nodes[0].children == (Child(1, "x"),)


def test_circles_stay_circles():
    nodes = [Node((Child(1, "m"),)), Node((Child(0, "parent"), Child(2, "w"))), Node()]
    moved = relabel(nodes, [Move(("m", "w"), ("p", "net", "w"))])
    at = {child.local_name: child.node_id for node in moved.nodes for child in node.children}
    assert set(at) == {"p", "net", "w", "parent"}
    assert [child.local_name for child in moved.nodes[at["net"]].children] == ["parent", "w"]
