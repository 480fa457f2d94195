"""Whether an object graph and an index agree about the keys."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from tfckpt.errors import FormatError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, Node

__all__ = ["check_graph_keys", "keys_of"]


def keys_of(checkpoint_key: str, keys: Sequence[str]) -> Sequence[str]:
    """The keys of an index that an attribute's key means.

    An object that stores several tensors (a lookup table: ``-keys``, ``-values``) names only
    what their keys begin with.

    Args:
        checkpoint_key: As it stands in the object graph.
        keys: All keys of the index, ascending.

    Example:
        >>> keys_of("t/.ATTRIBUTES/table", ["t/.ATTRIBUTES/table-keys", "u"])
        ['t/.ATTRIBUTES/table-keys']
    """
    start = bisect_left(keys, checkpoint_key)
    if start < len(keys) and keys[start] == checkpoint_key:
        return keys[start:start + 1]
    # No key holds the highest character after another one: it isn't allowed in UTF-8 names.
    return keys[start:bisect_left(keys, checkpoint_key + "\U0010ffff")] if checkpoint_key else []


def check_graph_keys(nodes: Iterable[Node], index: Iterable[str], known: Iterable[str], file: str
                     ) -> tuple[list[tuple[FormatError, list[str]]], list[str]]:
    """Compare the keys that an object graph names with those that an index has.

    Args:
        nodes: The graph.
        index: Keys of the index.
        known: Names of tensors that were told to be damaged already.
        file: Whose index it is.

    Returns:
        Errors with the keys that each is about, and notes.
    """
    keys = sorted(index)
    named: set[str] = {OBJECT_GRAPH_KEY}
    missing: dict[str, None] = {}
    lost = set(known)
    for node in nodes:
        for attribute in node.attributes:
            found = keys_of(attribute.checkpoint_key, keys)
            named.update(found)
            if not found and attribute.checkpoint_key and attribute.checkpoint_key not in lost:
                missing[attribute.checkpoint_key] = None
    problems = [(FormatError("the object graph names a tensor that the index doesn't have",
                             file=file, tensor=key), [key]) for key in missing]
    extra = [key for key in keys if key not in named]
    notes = []
    if extra:
        notes.append(f"{len(extra)} tensors are of no object in the object graph:"
                     f" {', '.join(extra[:5])}{', ...' if len(extra) > 5 else ''}")
    return problems, notes
