"""Object graphs of what is left."""

from __future__ import annotations

import pytest

import tfckpt
from helpers import GOLDENS
from tfckpt.convert.regraph import graph_of_keys, without_lost
from tfckpt.format.objectgraph import Attribute, Child, Node, SlotVariable
from tfckpt.format.objectkeys import escape_local_name, object_key

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def variable(path) -> Node:
    return Node(attributes=(Attribute("VARIABLE_VALUE", path, path + VALUE),),
                has_checkpoint_values=True)


GRAPH = (
    Node((Child(1, "a"), Child(2, "m"), Child(5, "opt")), has_checkpoint_values=True),
    variable("a"),
    Node((Child(3, "b"), Child(1, "again")), has_checkpoint_values=True),
    variable("m/b"),
    variable("slot"),
    Node(slot_variables=(SlotVariable(1, "s", 4), SlotVariable(3, "s", 6)),
         has_checkpoint_values=True),
    variable("slot2"),
)
KEYS = {"a" + VALUE, "m/b" + VALUE, "slot" + VALUE, "slot2" + VALUE}


def test_a_graph_of_which_nothing_is_lost_is_the_same():
    assert without_lost(GRAPH, KEYS, set()) == GRAPH


def test_no_edge_leads_to_an_object_that_lost_its_values():
    left = without_lost(GRAPH, KEYS - {"a" + VALUE}, {"a" + VALUE})
    assert left[0].children == (Child(2, "m"), Child(5, "opt"))
    assert left[1] == Node(has_checkpoint_values=False)
    assert left[2].children == (Child(3, "b"),)
    assert left[5].slot_variables == (SlotVariable(3, "s", 6),)


def test_flags_follow_what_is_left():
    lost = {"m/b" + VALUE, "a" + VALUE, "slot" + VALUE, "slot2" + VALUE}
    left = without_lost(GRAPH, set(), lost)
    assert [node.has_checkpoint_values for node in left] == [False] * 7
    old = tuple(node._replace(has_checkpoint_values=None) for node in GRAPH)
    assert {node.has_checkpoint_values for node in without_lost(old, set(), lost)} == {None}


def test_a_lost_slot_leaves_its_variable():
    left = without_lost(GRAPH, KEYS - {"slot" + VALUE}, {"slot" + VALUE})
    assert left[5].slot_variables == (SlotVariable(3, "s", 6),)
    assert left[1] == GRAPH[1]


def test_half_of_a_lookup_table_is_no_table():
    table = Node(attributes=(Attribute("table", "", "t/.ATTRIBUTES/table"),))
    keys, values = "t/.ATTRIBUTES/table-keys", "t/.ATTRIBUTES/table-values"
    nodes = (Node((Child(1, "t"),)), table)
    assert without_lost(nodes, {keys, values}, {"x"}) == nodes
    assert without_lost(nodes, {keys}, {values}) == (Node(), Node())


def test_a_key_that_another_begins_with_is_not_lost_with_it():
    nodes = (Node((Child(1, "t"),)),
             Node(attributes=(Attribute("VARIABLE_VALUE", "", "t" + VALUE),)))
    assert without_lost(nodes, {"t" + VALUE}, {"t" + VALUE + "2"}) == nodes


@pytest.mark.parametrize("name", ["vars-1", "nested", "state"])
def test_a_graph_of_keys_has_the_paths_of_the_keys(name):
    with tfckpt.open(GOLDENS / "tf2.21" / name) as source:
        keys = set(source) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
        old = source.object_graph
    nodes = graph_of_keys(keys)

    def values(graph, n, path, seen) -> dict[str, set[str]]:
        """Keys of every value, by the path that leads to it."""
        found = {"/".join(path): {(a.name, a.checkpoint_key) for a in graph[n].attributes}}
        for child in graph[n].children:
            if child.node_id not in seen:
                found.update(values(graph, child.node_id,
                                    (*path, escape_local_name(child.local_name)),
                                    seen | {child.node_id}))
        return {path: held for path, held in found.items() if held}

    found, before = values(nodes, 0, (), {0}), values(old, 0, (), {0})
    # Of an object with two names, the one in its key remains.
    assert {path: before[path] for path in found} == found
    assert set().union(*found.values()) == set().union(*before.values())
    assert all(node.has_checkpoint_values for node in nodes)


def test_slots_are_slots_again():
    key = object_key("m/w/.OPTIMIZER_SLOT/my..opt/x/momen.Stum", "VARIABLE_VALUE")
    nodes = graph_of_keys(["m/w" + VALUE, key, "my..opt/x/iter" + VALUE])
    where = {child.local_name: child.node_id for node in nodes for child in node.children}
    optimizer = nodes[where["x"]]
    slot, = optimizer.slot_variables
    assert (slot.original_variable_node_id, slot.slot_name) == (where["w"], "momen/tum")
    assert nodes[slot.slot_variable_node_id].attributes == (Attribute("VARIABLE_VALUE", "", key),)
    assert {"my.opt", "x", "iter", "m", "w"} == set(where)


def test_keys_of_other_making_are_in_no_object():
    nodes = graph_of_keys(["plain/name", "_CHECKPOINTABLE_OBJECT_GRAPH"])
    assert nodes == (Node(has_checkpoint_values=False),)
