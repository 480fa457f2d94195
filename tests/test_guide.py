"""docs/guide.md runs, and prints what TensorFlow printed in its own guide."""

from __future__ import annotations

import ast
import contextlib
import io
import re

import pytest

from helpers import ROOT, SHARED, needs_shared
from tfckpt.format.objectgraph import encode_object_graph, parse_object_graph

GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\s*^```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(
    r"\(key='([^']*)', shape=(\[[^]]*\]), dtype=(\w+), value=(.*?)\)(?= \(key=|\s|$)")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each block of the guide says that it prints, and what it printed."""
    folder = tmp_path_factory.mktemp("guide")
    names: dict = {}
    found = []
    with contextlib.chdir(folder) if hasattr(contextlib, "chdir") else _chdir(folder):
        for code, expected in BLOCK.findall(GUIDE):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, "docs/guide.md", "exec"), names)
            found.append((code, expected, out.getvalue()))
    return found


@contextlib.contextmanager
def _chdir(folder):
    import os

    before = os.getcwd()
    os.chdir(folder)
    yield
    os.chdir(before)


def test_every_block_prints_what_the_guide_says(outputs):
    assert len(outputs) >= 18
    for code, expected, got in outputs:
        pattern = re.escape(expected).replace("…", ".*")
        assert re.fullmatch(pattern, got), f"{code}\n{got}"


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


@needs_shared
def test_every_printed_value_is_the_one_that_tensorflow_printed(outputs):
    """In any order (TensorFlow's is that of a hash map), and the object graph in the older form."""
    theirs = [item for item in printed((SHARED / "guide.txt").read_text(encoding="utf-8"))
              if not item[0].startswith(("est-", "{"))]
    ours = [item for _, _, got in outputs for item in printed(got)]
    assert len(theirs) >= 10
    for path, keys in theirs:
        candidates = [found for name, found in ours if name == path]
        assert any(same(keys, found, path) for found in candidates), (path, candidates)


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


@needs_shared
def test_every_value_that_the_guide_restores_is_restored(outputs):
    text = (SHARED / "guide.txt").read_text(encoding="utf-8")
    wanted = re.findall(r"Restored \[a, b, c\]: +(\[[\d., ]+\])", text)
    got = re.findall(r"Restored \[a, b, c\]: +(\[[\d., ]+\])", "".join(o for _, _, o in outputs))
    assert wanted == got
