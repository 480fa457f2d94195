from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfckpt.errors import CheckpointError, FormatError
from tfckpt.format.objectgraph import (
    Attribute,
    Child,
    Node,
    SlotVariable,
    encode_object_graph,
    parse_object_graph,
)
from tfckpt.format.objectkeys import (
    escape_local_name,
    object_key,
    parse_object_key,
    unescape_local_name,
)

ESCAPED = [
    ("a", "a"),
    ("scoped/c", "scoped.Sc"),
    ("block.1/w", "block..1.Sw"),
    ("v.Stage/w", "v..Stage.Sw"),
    ("x.S", "x..S"),
    (".ATTRIBUTES", "..ATTRIBUTES"),
    ("/", ".S"),
    (".", ".."),
    ("./.S/.", "...S..S.S.."),
    ("über/größe", "über.Sgröße"),
    ("", ""),
]


@pytest.mark.parametrize(("name", "escaped"), ESCAPED)
def test_behaviour_52_names_are_escaped_and_come_back(name, escaped):
    assert escaped == escape_local_name(name)
    assert name == unescape_local_name(escaped)


@given(st.text(alphabet="./SaATRIBUES_é") | st.text())
def test_any_name_comes_back_and_looks_like_nothing_else(name):
    escaped = escape_local_name(name)
    assert name == unescape_local_name(escaped)
    assert "/" not in escaped
    assert "/.ATTRIBUTES/" not in f"/{escaped}/"


def test_behaviour_57_the_attribute_begins_after_the_last_reserved_part():
    key = "a/.ATTRIBUTES/b/.ATTRIBUTES/VARIABLE_VALUE"
    assert parse_object_key(key) == (("a", ".ATTRIBUTES", "b"), "VARIABLE_VALUE")


def test_behaviour_54_the_root_has_the_empty_path():
    assert object_key("", "VARIABLE_VALUE") == "/.ATTRIBUTES/VARIABLE_VALUE"
    assert parse_object_key("/.ATTRIBUTES/VARIABLE_VALUE") == ((), "VARIABLE_VALUE")


@pytest.mark.parametrize("key", ["a", "a/b", "_CHECKPOINTABLE_OBJECT_GRAPH", "x.ATTRIBUTES/y"])
def test_names_that_are_no_object_keys(key):
    assert parse_object_key(key) is None


GRAPHS = [
    ([Node((Child(1, "var"),)), Node()], "0a090a07080112037661720a00"),
    ([Node((Child(0, "me"),), has_checkpoint_values=False)], "0a080a0412026d652a00"),
    ([Node(attributes=(Attribute("VARIABLE_VALUE", "a", "k"),), has_checkpoint_values=True)],
     "0a1c12160a0e" + b"VARIABLE_VALUE".hex() + "1201611a016b" + "2a020801"),
    ([Node(attributes=(Attribute("C", optional_restore=True),))], "0a0712050a01432001"),
    ([Node(slot_variables=(SlotVariable(1, "m", 2),)), Node(), Node()],
     "0a091a07080112016d18020a000a00"),
    ([Node(registered_saver=("S", "o"))], "0a0822060a015312016f"),
]


@pytest.mark.parametrize(("nodes", "data"), GRAPHS)
def test_object_graphs_both_ways(nodes, data):
    assert data == encode_object_graph(nodes).hex()
    assert tuple(nodes) == parse_object_graph(bytes.fromhex(data))


names = st.text(max_size=12)
ids = st.integers(0, 4)
nodes = st.builds(
    Node, st.lists(st.builds(Child, ids, names)).map(tuple),
    st.lists(st.builds(Attribute, names, names, names | st.text(min_size=130), st.booleans())
             ).map(tuple),
    st.lists(st.builds(SlotVariable, ids, names, ids)).map(tuple),
    st.none() | st.tuples(names, names), st.none() | st.booleans())


@given(st.lists(nodes, min_size=5, max_size=5))
def test_any_object_graph_comes_back(graph):
    assert tuple(graph) == parse_object_graph(encode_object_graph(graph))


@given(st.binary(max_size=80))
def test_any_bytes_give_a_graph_or_an_error(data):
    try:
        parse_object_graph(data)
    except CheckpointError:
        pass


@pytest.mark.parametrize("node", [Node((Child(2, "a"),)), Node((Child(-1, "a"),)),
                                  Node(slot_variables=(SlotVariable(0, "m", 9),))])
def test_an_edge_to_nowhere_is_an_error(node):
    with pytest.raises(FormatError, match="refers to a node that isn't there: expected 0 to 1"):
        parse_object_graph(encode_object_graph([node, Node()]))


def test_a_name_that_is_not_unicode_can_not_be_written():
    with pytest.raises(FormatError, match="must be valid Unicode"):
        encode_object_graph([Node((Child(0, "a\udcff"),))])
