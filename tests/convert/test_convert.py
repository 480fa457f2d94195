from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfckpt
from helpers import EXAMPLE, GOLDENS, SHARED, copy_checkpoint, files_of, needs_shared
from tfckpt.core.plan import Plan, given_int64, given_string
from tfckpt.core.writer import write_plan
from tfckpt.errors import AmbiguousNamesError, UnsupportedError
from tfckpt.format.objectgraph import (
    OBJECT_GRAPH_KEY,
    VARIABLE_VALUE,
    Attribute,
    Child,
    Node,
    encode_object_graph,
)


def values(prefix) -> dict[str, bytes]:
    with tfckpt.open(prefix) as source:
        return {key: source.read_bytes(key) for key in source}


def test_names_become_paths_and_values_stay(tmp_path, tf1):
    report = tfckpt.convert(tf1, tmp_path / "ckpt", to="tf2")
    old, new = values(tf1), values(tmp_path / "ckpt")
    assert "vars/block..1.Sw/.ATTRIBUTES/VARIABLE_VALUE" in new
    assert old == {output.origin.entry.key: new[output.key]
                   for output in report.plan.outputs[:-2]}
    assert new["save_counter/.ATTRIBUTES/VARIABLE_VALUE"] == (1).to_bytes(8, "little")
    assert [os.path.basename(file.file) for file in report.files] == [
        "ckpt.data-00000-of-00002", "ckpt.data-00001-of-00002", "ckpt.index"]


def test_the_object_graph_is_the_guides(tmp_path):
    """As the guide prints it for the same structure, but for the newer has_checkpoint_values."""
    plan = Plan(tuple(given_int64(name, n, "little") for n, name in enumerate(
        ["a", "b", "scoped/c"])), "name-based")
    write_plan(plan, str(tmp_path / "m"))
    tfckpt.convert(tmp_path / "m", tmp_path / "ckpt", to="tf2", root="var_list")
    with tfckpt.open(tmp_path / "ckpt") as source:
        graph = source.object_graph
    assert graph[0].children == (Child(1, "var_list"), Child(2, "save_counter"))
    assert graph[1].children == (Child(3, "a"), Child(4, "b"), Child(5, "scoped/c"))
    older = encode_object_graph(node._replace(has_checkpoint_values=None) for node in graph)
    assert older == (
        b"\n \n\x0c\x08\x01\x12\x08var_list\n\x10\x08\x02\x12\x0csave_counter\n\x1c\n\x05\x08\x03"
        b"\x12\x01a\n\x05\x08\x04\x12\x01b\n\x0c\x08\x05\x12\x08scoped/c\nI\x12G\n\x0eVARIABLE_VALUE"
        b"\x12\x0csave_counter\x1a'save_counter/.ATTRIBUTES/VARIABLE_VALUE\n<\x12:\n"
        b"\x0eVARIABLE_VALUE\x12\x01a\x1a%var_list/a/.ATTRIBUTES/VARIABLE_VALUE\n<\x12:\n"
        b"\x0eVARIABLE_VALUE\x12\x01b\x1a%var_list/b/.ATTRIBUTES/VARIABLE_VALUE\nK\x12I\n"
        b"\x0eVARIABLE_VALUE\x12\x08scoped/c\x1a-var_list/scoped.Sc/.ATTRIBUTES/VARIABLE_VALUE")


@pytest.mark.parametrize("golden", ["names", "dtypes", "strings", "sharded"])
def test_there_and_back_is_the_same_checkpoint(tmp_path, golden):
    source = str(GOLDENS / "tf1.15" / golden)
    tfckpt.convert(source, tmp_path / "ckpt", to="tf2")
    tfckpt.convert(tmp_path / "ckpt", tmp_path / golden, to="tf1")
    assert files_of(source) == files_of(str(tmp_path / golden))


names = st.text(alphabet=st.sampled_from("ab./S_0é "), min_size=1, max_size=6) | st.text(min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(names.filter(lambda n: "\0" not in n), min_size=1, max_size=8))
def test_any_names_come_back_as_they_went_in(tmp_path, some):
    try:
        "".join(some).encode()
    except UnicodeEncodeError:
        return
    plan = Plan(tuple(given_int64(name, n, "little") for n, name in enumerate(sorted(some))),
                "name-based")
    write_plan(plan, str(tmp_path / "m"), overwrite=True)
    tfckpt.convert(tmp_path / "m", tmp_path / "ckpt", to="tf2", overwrite=True)
    tfckpt.convert(tmp_path / "ckpt", tmp_path / "back", to="tf1", overwrite=True)
    assert values(tmp_path / "m") == values(tmp_path / "back")


def objects(tmp_path, named: dict[str, str]) -> str:
    """An object-based checkpoint: (escaped) path -> full name, each variable a number."""
    nodes = [Node()]
    outputs = []

    def node_of(path: tuple[str, ...]) -> int:
        at = 0
        for part in path:
            child = next((c.node_id for c in nodes[at].children if c.local_name == part), None)
            if child is None:
                nodes.append(Node())
                child = len(nodes) - 1
                nodes[at] = nodes[at]._replace(
                    children=(*nodes[at].children, Child(child, part)))
            at = child
        return at

    for n, (path, full_name) in enumerate(named.items()):
        key = f"{path}/.ATTRIBUTES/{VARIABLE_VALUE}"
        at = node_of(tuple(path.split("/")))
        nodes[at] = nodes[at]._replace(attributes=(Attribute(VARIABLE_VALUE, full_name, key),))
        outputs.append(given_int64(key, n, "little"))
    outputs.append(given_string(OBJECT_GRAPH_KEY, encode_object_graph(nodes), "little"))
    write_plan(Plan(tuple(outputs), "object-based"), str(tmp_path / "objects"))
    return str(tmp_path / "objects")


CHOICES = [
    ({"model/l1/k": "dense/kernel", "model/l1/b": "dense/bias"}, "auto",
     ["dense/kernel", "dense/bias"]),
    ({"model/l1/k": "Variable", "model/l2/k": "Variable"}, "auto", ["l1/k", "l2/k"]),
    ({"model/l1/k": "Variable", "model/l2/k": "w"}, "auto", ["l1/k", "w"]),
    ({"model/l1/k": "kernel", "model/l2/k": "kernel", "opt/iter": "iter"}, "auto",
     ["model/l1/k", "model/l2/k", "iter"]),
    ({"a": "x", "b": "y"}, "path", ["a", "b"]),
    ({"vars/a.Sb": "x", "vars/c..d": "y"}, "path", ["a/b", "c.d"]),
    ({"model/w": "w", "model/w/.OPTIMIZER_SLOT/opt/m": "w/m", "opt/iter": "i"}, "path",
     ["model/w", "model/w/opt/m", "opt/iter"]),
    ({"a": "x", "b": "y"}, "full-name", ["x", "y"]),
    ({"a": "Variable_1"}, "full-name", ["Variable_1"]),
    ({"a": "", "b": "y"}, "auto", ["a", "y"]),
]


@pytest.mark.parametrize(("named", "choice", "expected"), CHOICES)
def test_where_tf1_names_come_from(tmp_path, named, choice, expected):
    prefix = objects(tmp_path, named)
    report = tfckpt.convert(prefix, tmp_path / "m", to="tf1", names=choice)
    got = {output.key: output.origin.entry.key for output in report.plan.outputs}
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert dict(zip(expected, (path + suffix for path in named), strict=True)) == got


AMBIGUOUS = [
    ({"a": "w", "b": "w"}, "full-name", {"w": ["a", "b"]},
     "2 tensors have no name of their own in a name-based checkpoint\n"
     "Nothing was written. Paths are always unique: --names path."),
    ({"a": "", "b": "y"}, "full-name", {"": ["a"]},
     "1 tensors have no name of their own in a name-based checkpoint\n"
     "Nothing was written. Paths are always unique: --names path."),
    ({"v/a": "b", "w/x": "v/a"}, "auto", None, None),
    ({"v/a.Sb": "", "v/a/b": ""}, "auto", {"a/b": ["v/a.Sb", "v/a/b"]},
     "2 tensors have no name of their own in a name-based checkpoint\n"
     "Nothing was written. Their names collide both as full names and as paths."),
]


@pytest.mark.parametrize(("named", "choice", "groups", "message"), AMBIGUOUS)
def test_what_stays_ambiguous_stops_and_writes_nothing(tmp_path, named, choice, groups, message):
    prefix = objects(tmp_path, named)
    if groups is None:  # an odd mix, but every name is its own
        tfckpt.convert(prefix, tmp_path / "m", to="tf1", names=choice)
        return
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(AmbiguousNamesError) as caught:
        tfckpt.convert(prefix, tmp_path / "m", to="tf1", names=choice)
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert caught.value.groups == {
        name: [key + suffix for key in keys] for name, keys in groups.items()}
    assert str(caught.value) == message
    assert before == sorted(os.listdir(tmp_path))


def test_tables_and_datasets_keep_their_paths(tmp_path):
    report = tfckpt.convert(GOLDENS / "tf2.21" / "state", tmp_path / "m", to="tf1")
    assert [output.key for output in report.plan.outputs] == [
        "iterator/ITERATOR_STATE", "table/table-keys", "table/table-values", "w"]
    assert [item.key for item in report.plan.left_out] == [OBJECT_GRAPH_KEY]
    with tfckpt.open(tmp_path / "m") as source:
        assert source["table/table-keys"].tolist() in ([b"one", b"two"], [b"two", b"one"])
        assert tfckpt.verify(source).ok


def test_a_shared_object_is_stored_once(tmp_path):
    tfckpt.convert(GOLDENS / "tf2.21" / "nested", tmp_path / "m", to="tf1", names="path")
    assert sorted(values(tmp_path / "m")) == ["model/again", "model/layers/1/deep.er", "step"]


@pytest.mark.parametrize(("source", "to"), [(EXAMPLE, "tf1"), (GOLDENS / "tf2.21/vars-1", "tf2")])
def test_what_is_converted_already_is_refused(tmp_path, source, to):
    with pytest.raises(UnsupportedError, match="already") as caught:
        tfckpt.convert(source, tmp_path / "m", to=to)
    assert str(source) == caught.value.file
    assert os.listdir(tmp_path) == []


def test_a_name_that_is_not_unicode_can_not_become_a_path(tmp_path):
    write_plan(Plan((given_int64("a\udcff", 1, "little"),), "name-based"), str(tmp_path / "m"))
    with pytest.raises(UnsupportedError, match="can't hold a name that isn't valid Unicode"):
        tfckpt.convert(tmp_path / "m", tmp_path / "ckpt", to="tf2")


@pytest.mark.parametrize("root", ["", "save_counter"])
def test_the_root_needs_a_name_of_its_own(tmp_path, root):
    with pytest.raises(UnsupportedError, match="the root needs a name of its own"):
        tfckpt.convert(EXAMPLE, tmp_path / "ckpt", to="tf2", root=root)


def test_an_unknown_target_is_a_value_error(tmp_path):
    with pytest.raises(ValueError, match="to must be one of tf1, tf1-v1, tf2, safetensors"):
        tfckpt.convert(EXAMPLE, tmp_path / "m", to="tf3")


def test_a_dry_run_writes_nothing_and_tells_everything(tmp_path):
    report = tfckpt.convert(EXAMPLE, tmp_path / "new" / "ckpt", to="tf2", dry_run=True)
    assert len(report.plan.outputs) == 23
    assert report.files == ()
    assert os.listdir(tmp_path) == []


def test_the_source_is_not_changed(tmp_path, tf1):
    before = files_of(tf1)
    times = {name: os.stat(os.path.join(os.path.dirname(tf1), name)).st_mtime_ns for name in before}
    tfckpt.convert(tf1, tmp_path / "ckpt", to="tf2")
    tfckpt.convert(tf1, tmp_path / "copy", to="tf2", data="copy")
    assert before == files_of(tf1)
    assert times == {name: os.stat(os.path.join(os.path.dirname(tf1), name)).st_mtime_ns
                     for name in before}


def test_the_same_input_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        copy_checkpoint(EXAMPLE, tmp_path / name)
        tfckpt.convert(tmp_path / name, tmp_path / name / "out" / "ckpt", to="tf2")
    assert files_of(str(tmp_path / "a/out/ckpt")) == files_of(str(tmp_path / "b/out/ckpt"))


@needs_shared
def test_the_guides_checkpoints_convert_as_the_guide_prints(tmp_path):
    """Both converters of the guide, on files that TensorFlow 1.15 to 2.21 wrote."""
    for version in ("tf1.15", "tf2.15", "tf2.21"):
        folder = SHARED / "fixtures" / "guide" / version
        there = tmp_path / version
        tfckpt.convert(folder / "tf1_saver" / "tf1-ckpt", there / "ckpt", to="tf2")
        with tfckpt.open(there / "ckpt") as source:
            assert [source[key] for key in ("vars/a", "vars/b", "vars/scoped.Sc")] == [1, 2, 3]
        session = folder / "tf2_saved_in_session"
        tfckpt.convert(session, there / "back", to="tf1")
        with tfckpt.open(there / "back") as source:
            assert {key: float(source[key]) for key in source} == {"a": 1, "b": 2, "scoped/c": 3}


@needs_shared
def test_the_edge_cases_keep_the_names_that_the_guides_converter_breaks(tmp_path):
    folder = SHARED / "fixtures/guide/tf2.21/converter_edge_cases"
    tfckpt.convert(folder / "edge-1", tmp_path / "m", to="tf1", names="path")
    with tfckpt.open(tmp_path / "m") as source:
        assert {"var_list/block.1/w", "var_list/v.Stage/w", "var_list/x.S"} <= set(source)
        assert np.isfinite(source["var_list/x.S"]).all()
