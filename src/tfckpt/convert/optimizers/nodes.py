"""Looking things up in an object graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfckpt.format.objectgraph import VARIABLE_VALUE, Attribute, Node

__all__ = ["Nodes"]


_MOST_DIGITS = 10  # a number of more is no place in a list, and int() may refuse it


class Nodes:
    """An object graph by node number and name.

    Args:
        graph: Its nodes.
    """

    def __init__(self, graph: Sequence[Node]) -> None:
        self.graph = graph

    def child(self, n: int, *path: str) -> int | None:
        """Number of the node at the end of a path from node ``n``, if there is one."""
        at: int | None = n
        for name in path:
            if at is None:
                return None
            at = next((child.node_id for child in self.graph[at].children
                       if child.local_name == name), None)
        return at

    def items(self, n: int | None) -> list[int]:
        """Nodes of a list, in its order; none of no list."""
        if n is None:
            return []
        numbered = [(int(child.local_name), child.node_id) for child in self.graph[n].children
                    if child.local_name.isdecimal() and len(child.local_name) < _MOST_DIGITS]
        return [node for _, node in sorted(numbered)]

    def value(self, n: int | None) -> Attribute | None:
        """What a variable's node stores."""
        if n is None:
            return None
        return next((item for item in self.graph[n].attributes if item.name == VARIABLE_VALUE),
                    None)

    def key(self, n: int | None) -> str | None:
        """Key of a variable's value."""
        found = self.value(n)
        return found.checkpoint_key if found else None

    def full_name(self, n: int) -> str:
        """Full name of a variable."""
        found = self.value(n)
        return found.full_name if found else ""

    def variables(self, n: int) -> Iterator[tuple[str, int]]:
        """The children of a node that are variables, by their local names."""
        for child in self.graph[n].children:
            if self.value(child.node_id):
                yield child.local_name, child.node_id
