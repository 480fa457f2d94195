"""docs/security.md names a test for each abuse, and each of them exists."""

from __future__ import annotations

import ast
import re

import pytest

from helpers import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| .+ \| `(tests/[\w/]+\.py)::(\w+)` \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("number", "file", "name"), ROWS)
def test_every_abuse_has_a_test(number, file, name):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_abuses_are_numbered_without_a_gap():
    assert [int(number) for number, _, _ in ROWS] == list(range(1, len(ROWS) + 1))
    assert len(re.findall(r"^\| \d+ \|", TEXT, re.MULTILINE)) == len(ROWS) > 20


def test_the_long_run_is_on_record():
    last = re.search(r"^([\d,]+) mutations of (\d+) targets, .*: (\d+) findings$", TEXT,
                     re.MULTILINE)
    assert last is not None
    assert int(last[1].replace(",", "")) >= 1_000_000
    assert int(last[3]) == 0
