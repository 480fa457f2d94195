"""Names for the values of a tree, for a `Saver`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfckpt.train.adapters import tree_of
from tfckpt.train.objects import children_of
from tfckpt.train.standins import LiveObject
from tfckpt.train.variables import Variable

__all__ = ["names_of_tree"]


def names_of_tree(given: Any, tree: Any) -> dict[str, Any]:
    """What is in a tree of a framework's, by names that are paths.

    A value that is directly in a dict which a Saver was given can't be restored: the dict may
    have been made for the Saver only, and whoever has the value wouldn't see another.

    Args:
        given: The tree.
        tree: Its stand-in.
    """
    found: dict[str, Any] = {}
    seen = {id(tree): tree}  # what has two names is there under its first; nothing dies meanwhile
    waiting = []
    for name, child in children_of(tree).items():
        alone = tree_of(given[name]) if isinstance(given, Mapping) and name in given else None
        waiting.append((name, alone if isinstance(alone, Variable) else child))
    waiting.reverse()
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        children = children_of(node)
        if isinstance(node, LiveObject) and (children or not node.own_values()):
            waiting += [(f"{path}/{own}", child) for own, child in reversed(children.items())]
        else:
            found[path] = node
    return found
