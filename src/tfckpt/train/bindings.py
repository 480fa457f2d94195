"""Which node of a checkpoint's object graph is which object of the program.

Both graphs are walked side by side, by the names of edges. No object is kept alive.

Source: python/checkpoint/restore.py.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

from tfckpt.format.objectgraph import Node, nodes_with_values
from tfckpt.format.objectkeys import escape_local_name
from tfckpt.train.objects import children_of
from tfckpt.train.refusals import warn

__all__ = ["Bindings"]


class Bindings:
    """The objects that the nodes of a checkpoint were matched with.

    Args:
        nodes: The checkpoint's object graph.

    Attributes:
        nodes: It.
        paths: Path of each node, for messages.
        ambiguous: A sentence for each stored object that two of the program's claim.
    """

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.paths = _paths(nodes)
        self.ambiguous: list[str] = []
        self._have_values = nodes_with_values(nodes)
        self._bound: dict[int, _Bound] = {}

    def get(self, node_id: int) -> Any:
        """The object that a node was matched with, or None; it may have died since."""
        found = self._bound.get(node_id)
        return None if found is None else found.value()

    def __contains__(self, node_id: int) -> bool:
        """Whether a node was matched with an object, even if that has died since."""
        return node_id in self._bound

    def walk(self, node_id: int, value: Any, attached: dict[str, Any],
             new: list[tuple[int, Any]], waits: list[tuple[Any, str, int]]) -> None:
        """Match nodes and objects from here on.

        Args:
            node_id: The node to begin with.
            value: The object that it is.
            attached: What the root has beside its own children.
            new: Gets the nodes that are matched only now, and their objects.
            waits: Gets what has to wait: a parent, the name of its child, and the child's node.
        """
        queue = [(node_id, value)]
        for n, current in queue:  # grows while it is walked: breadth first
            if not self.bind(n, current):
                continue
            new.append((n, current))
            found = children_of(current)
            if n == 0:
                found = {**found, **attached}
            for child in self.nodes[n].children:
                if child.local_name in found:
                    queue.append((child.node_id, found[child.local_name]))
                elif child.node_id in self._have_values and not isinstance(current, tuple):
                    waits.append((current, child.local_name, child.node_id))

    def bind(self, node_id: int, value: Any) -> bool:
        """Match a node with an object; False if it is matched already."""
        before = self._bound.get(node_id)
        if before is not None and not before.is_dead():
            if not before.is_for(value):
                note = (f"two objects of the program claim {self.paths[node_id]} of the"
                        " checkpoint; the first keeps it")
                self.ambiguous.append(note)
                warn(note)
            return False
        self.rebind(node_id, value)
        return True

    def rebind(self, node_id: int, value: Any) -> None:
        """Match a node with an object, whatever it was matched with before."""
        self._bound[node_id] = _Bound(value)

    def forget(self, node_ids: Iterable[int]) -> None:
        """Take back what these nodes were matched with."""
        for n in node_ids:
            del self._bound[n]


class _Bound:
    """The object that a node was matched with, not kept alive.

    A tuple can't be referred to weakly. What is in it stands for it, so that another tuple of
    the same things is the same.
    """

    __slots__ = ("_items", "_refer")

    def __init__(self, value: Any) -> None:
        self._items: list[_Bound] | None = None
        self._refer: Callable[[], Any] | None = None
        if isinstance(value, tuple):
            self._items = [_Bound(item) for item in children_of(value).values()]
        else:
            self._refer = (value.refer() if hasattr(type(value), "is_stand_in")
                           else weakref.ref(value))

    def value(self) -> Any:
        """The object, or None if it has died or is a tuple."""
        return None if self._refer is None else self._refer()

    def is_dead(self) -> bool:
        """Whether it has died; a tuple has if something in it has."""
        return self.value() is None if self._items is None else any(
            item.is_dead() for item in self._items)

    def is_for(self, value: Any) -> bool:
        """Whether this is the object that is meant."""
        if self._items is None or not isinstance(value, tuple):
            return self.value() is value
        children = list(children_of(value).values())
        return len(children) == len(self._items) and all(
            item.is_for(child) for item, child in zip(self._items, children, strict=True))


def _paths(nodes: tuple[Node, ...]) -> list[str]:
    """The shortest path of each node for messages, escaped as in keys."""
    paths: dict[int, str] = {0: ""}
    queue = [0]
    for n in queue:
        for child in nodes[n].children:
            if child.node_id not in paths:
                prefix = paths[n] + "/" if paths[n] else ""
                paths[child.node_id] = prefix + escape_local_name(child.local_name)
                queue.append(child.node_id)
    paths[0] = "the root"
    for n, node in enumerate(nodes):
        for original, name, slot in node.slot_variables:
            paths[slot] = (f"slot {name!r} of {paths.get(n, '?')} for {paths.get(original, '?')}")
    return [paths.get(n, "?") for n in range(len(nodes))]
