"""What TensorFlow printed in its guide, held against what blocks of docs/guide.md print."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from helpers import SHARED
from tfckpt.format.objectgraph import encode_object_graph, parse_object_graph

PRINTED = re.compile(
    r"\(key='([^']*)', shape=(\[[^]]*\]), dtype=(\w+), value=(.*?)\)(?= \(key=|\s|$)")


def assert_tensorflows_values(outputs: list[str], wanted: Callable[[str], bool]) -> None:
    """Every checkpoint that TensorFlow printed was printed by a block too.

    In any order (TensorFlow's is that of a hash map), and the object graph in the older form.
    """
    ours = [item for got in outputs for item in printed(got)]
    theirs = [item for item in printed((SHARED / "guide.txt").read_text(encoding="utf-8"))
              if wanted(item[0])]
    assert len(theirs) >= 10
    for path, keys in theirs:
        candidates = [found for name, found in ours if name == path]
        assert any(same(keys, found, path) for found in candidates), (path, candidates)


def assert_restored_values(outputs: list[str]) -> None:
    """Every value that the guide restores is restored, in its order."""
    text = (SHARED / "guide.txt").read_text(encoding="utf-8")
    wanted = re.findall(r"Restored \[a, b, c\]: +(\[[\d., ]+\])", text)
    assert wanted == re.findall(r"Restored \[a, b, c\]: +(\[[\d., ]+\])", "".join(outputs))


def printed(text: str) -> list[tuple[str, dict]]:
    """Each checkpoint that a text prints: its path, and key to (shape, dtype, value)."""
    found = []
    for part in re.split(r"Checkpoint at '", text)[1:]:
        path, _, rest = part.partition("'")
        rest = re.split(r"\[Converted\]|Restored|Initialized|WARNING|INFO|\n\n", rest)[0]
        keys = {key: (shape, dtype, value) for key, shape, dtype, value in PRINTED.findall(rest)}
        if keys:
            found.append((path, keys))
    return found


def same(theirs: dict, ours: dict, path: str) -> bool:
    if theirs.keys() != ours.keys():
        return False
    for key, (shape, dtype, value) in theirs.items():
        if ours[key][:2] != (shape, dtype):
            return False
        if dtype == "string":
            graph = parse_object_graph(ast.literal_eval(ours[key][2]))
            older = [node._replace(has_checkpoint_values=None) for node in graph]
            expected = parse_object_graph(ast.literal_eval(value))
            if path.startswith("converted"):  # the guide loses the names; the rest is equal
                assert shape_of(older) == shape_of(expected)
            elif encode_object_graph(older) != ast.literal_eval(value):
                return False
        elif ours[key][2] != value:
            return False
    return True


def shape_of(nodes) -> list:
    """An object graph without full names, its dicts in one order."""
    def describe(n, seen):
        if n in seen:
            return "…"
        node = nodes[n]
        return (sorted((c.local_name, describe(c.node_id, seen | {n})) for c in node.children),
                [(a.name, a.checkpoint_key) for a in node.attributes])
    return describe(0, frozenset())
