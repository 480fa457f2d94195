"""Object graphs of checkpoints that lost tensors, or the graph itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tfckpt.core.graphcheck import keys_of
from tfckpt.format.objectgraph import (
    OBJECT_GRAPH_KEY,
    Attribute,
    Child,
    Node,
    SlotVariable,
    nodes_with_values,
)
from tfckpt.format.objectkeys import (
    OPTIMIZER_SLOT,
    object_key,
    parse_object_key,
    unescape_local_name,
)

__all__ = ["graph_of_keys", "without_lost"]


def without_lost(nodes: Sequence[Node], kept: Collection[str], lost: Collection[str]
                 ) -> tuple[Node, ...]:
    """A graph that names only tensors that are kept.

    Where an object lost all its values, and has nothing below it, no edge leads to it any
    longer: TensorFlow then tells a program that has this object that the checkpoint doesn't.
    An optimizer's slots for a variable that is lost stay as tensors, but nothing restores them.

    Args:
        nodes: The graph.
        kept: Keys of the tensors that are kept.
        lost: Keys of those that are not.
    """
    whole, gone = sorted(kept), sorted(lost)

    def survives(attribute: Attribute) -> bool:
        key = attribute.checkpoint_key
        return not key or key in kept or bool(keys_of(key, whole) and not keys_of(key, gone))

    cut = [node._replace(attributes=tuple(filter(survives, node.attributes))) for node in nodes]
    empty = {n for n, (before, node) in enumerate(zip(nodes, cut, strict=True))
             if before.attributes and not node.attributes and not node.children
             and not node.slot_variables and not node.registered_saver}
    if not empty and list(nodes) == cut:
        return tuple(nodes)
    return _with_flags([node._replace(
        children=tuple(child for child in node.children if child.node_id not in empty),
        slot_variables=tuple(slot for slot in node.slot_variables
                             if slot.slot_variable_node_id not in empty
                             and slot.original_variable_node_id not in empty),
    ) for node in cut])


def _with_flags(nodes: list[Node]) -> tuple[Node, ...]:
    filled = nodes_with_values(nodes)
    return tuple(node if node.has_checkpoint_values is None else
                 node._replace(has_checkpoint_values=n in filled) for n, node in enumerate(nodes))


class _Object:
    """An object on the way to becoming a node."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.children: dict[str, _Object] = {}
        self.attributes: list[Attribute] = []
        self.slots: list[SlotVariable] = []


def graph_of_keys(keys: Iterable[str]) -> tuple[Node, ...]:
    """A graph made anew from the keys of tensors.

    A key is the path to its object, so all edges that lead to values are known. What is lost
    are second names of one object, objects without values, and the variables' full names.

    Example:
        >>> [node.children for node in graph_of_keys(["m/w/.ATTRIBUTES/VARIABLE_VALUE"])][:2]
        [(Child(node_id=1, local_name='m'),), (Child(node_id=2, local_name='w'),)]
    """
    objects = [_Object(0)]

    def at(path: Sequence[str]) -> _Object:
        found = objects[0]
        for part in path:
            child = found.children.get(part)
            if child is None:
                child = found.children[part] = _Object(len(objects))
                objects.append(child)
            found = child
        return found

    for path, attribute in _stored_values(keys):
        if OPTIMIZER_SLOT not in path:
            at(path).attributes.append(_attribute(path, attribute))
            continue
        mark = path.index(OPTIMIZER_SLOT)
        slot = _Object(len(objects))
        objects.append(slot)
        slot.attributes.append(_attribute(path, attribute))
        at(path[mark + 1:-1]).slots.append(SlotVariable(
            at(path[:mark]).number, unescape_local_name(path[-1]), slot.number))
    nodes = [Node(tuple(Child(child.number, unescape_local_name(part))
                        for part, child in item.children.items()),
                  tuple(item.attributes), tuple(item.slots), None, True) for item in objects]
    return _with_flags(nodes)


def _attribute(path: Sequence[str], name: str) -> Attribute:
    return Attribute(name, "", object_key("/".join(path), name))


def _stored_values(keys: Iterable[str]) -> list[tuple[tuple[str, ...], str]]:
    """Path and attribute of each value, also of those whose keys go on after the attribute."""
    values: dict[tuple[tuple[str, ...], str], None] = {}
    given = set(keys) - {OBJECT_GRAPH_KEY}
    for key in sorted(given):
        parsed = parse_object_key(key)
        if parsed is None or (OPTIMIZER_SLOT in parsed.path and parsed.path[-1] == OPTIMIZER_SLOT):
            continue  # written by a saver of the user's own
        path, name = parsed
        stem = key.removesuffix("-keys").removesuffix("-values")
        if {stem + "-keys", stem + "-values"} <= given:  # a lookup table
            name = name.rpartition("-")[0]
        elif name == "ITERATOR_STATE":  # the position in a dataset
            name = "ITERATOR"
        values[path, name] = None
    return list(values)
