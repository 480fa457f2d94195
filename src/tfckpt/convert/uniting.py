"""Object graphs of several checkpoints as one, under one root."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tfckpt.convert.relabel import Path, Walker, object_paths
from tfckpt.errors import AmbiguousNamesError
from tfckpt.format.objectgraph import Attribute, Child, Node, SlotVariable, nodes_with_values
from tfckpt.format.objectkeys import OPTIMIZER_SLOT, parse_object_key, unescape_local_name

__all__ = ["unite_graphs"]


def unite_graphs(graphs: Sequence[Sequence[Node]]) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    """One graph that has the objects of several; those of one path become one object.

    An object's path is the one that its tensors are named after, else the shortest.

    Args:
        graphs: They, each with the keys that its tensors have in the result.

    Returns:
        The graph, and notes.

    Raises:
        AmbiguousNamesError: Two of them store a value of one name in one object, under other
            keys.

    Example:
        >>> a = [Node((Child(1, "enc"),)), Node()]
        >>> b = [Node((Child(1, "dec"),)), Node()]
        >>> unite_graphs([a, b])[0][0].children
        (Child(node_id=1, local_name='enc'), Child(node_id=2, local_name='dec'))
    """
    united = _United()
    for graph in graphs:
        united.add(graph)
    return united.nodes(), tuple(united.notes)


class _United:
    def __init__(self) -> None:
        self._at: dict[Path, int] = {}
        self._children: list[dict[str, int]] = []
        self._attributes: list[dict[str, Attribute]] = []
        self._slots: list[dict[SlotVariable, None]] = []
        self._savers: list[tuple[str, str] | None] = []
        self._flags: list[bool | None] = []
        self.notes: list[str] = []

    def add(self, graph: Sequence[Node]) -> None:
        """Take in a graph."""
        paths = _object_names(graph)
        number = [self._place(paths.get(n)) for n in range(len(graph))]
        for n, node in enumerate(graph):
            at = number[n]
            if node.has_checkpoint_values is None:
                self._flags[at] = None
            self._savers[at] = self._savers[at] or node.registered_saver
            for attribute in node.attributes:
                self._add_attribute(at, attribute)
            for slot in node.slot_variables:
                original = number[slot.original_variable_node_id]
                self._slots[at][slot._replace(
                    original_variable_node_id=original,
                    slot_variable_node_id=number[slot.slot_variable_node_id])] = None
            for child in node.children:
                self._add_child(at, child.local_name, number[child.node_id], paths.get(n, ()))

    def _place(self, path: Path | None) -> int:
        at = len(self._children) if path is None else self._at.setdefault(
            path, len(self._children))
        if at == len(self._children):
            self._children.append({})
            self._attributes.append({})
            self._slots.append({})
            self._savers.append(None)
            self._flags.append(True)
        return at

    def _add_attribute(self, at: int, attribute: Attribute) -> None:
        known = self._attributes[at].setdefault(attribute.name, attribute)
        if known.checkpoint_key != attribute.checkpoint_key:
            raise AmbiguousNamesError(
                "one object has a value of one name in several of the checkpoints",
                groups={attribute.name: [known.checkpoint_key, attribute.checkpoint_key]})

    def _add_child(self, at: int, local_name: str, target: int, path: Path) -> None:
        known = self._children[at].setdefault(local_name, target)
        if known != target:  # a second name, such as layer-0: the path of no tensor
            self.notes.append(f"{'/'.join((*path, local_name))} is the name of different objects"
                              " in the checkpoints; it stays that of the first one")

    def nodes(self) -> tuple[Node, ...]:
        """The graph of all that was taken in."""
        nodes = [Node(tuple(Child(at, name) for name, at in children.items()),
                      tuple(attributes.values()), tuple(slots), saver, flag)
                 for children, attributes, slots, saver, flag
                 in zip(self._children, self._attributes, self._slots, self._savers, self._flags,
                        strict=True)]
        filled = nodes_with_values(nodes)
        return tuple(node if node.has_checkpoint_values is None else
                     node._replace(has_checkpoint_values=n in filled)
                     for n, node in enumerate(nodes))


def _object_names(graph: Sequence[Node]) -> dict[int, Path]:
    """One path of each object that edges lead to; no two have the same."""
    walker = Walker(graph)
    paths: dict[int, Path] = {0: ()}
    taken: dict[Path, int] = {(): 0}
    for path in _paths_of_keys(graph):
        steps = walker.walk(path) or ()
        for depth, n in enumerate(steps):
            if n not in paths and path[:depth] not in taken:
                paths[n] = path[:depth]
                taken[path[:depth]] = n
    for n, shortest in object_paths(graph).items():
        if n not in paths and shortest not in taken:
            paths[n] = shortest
            taken[shortest] = n
    return paths


def _paths_of_keys(graph: Iterable[Node]) -> Collection[Path]:
    found: dict[Path, None] = {}
    for node in graph:
        for attribute in node.attributes:
            parsed = parse_object_key(attribute.checkpoint_key)
            if parsed is not None and OPTIMIZER_SLOT not in parsed.path:
                found[tuple(map(unescape_local_name, parsed.path))] = None
    return sorted(found)
