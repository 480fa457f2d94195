from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import GOLDENS
from tfckpt.format import layout, table
from tfckpt.format.block import encode_block
from tfckpt.format.layout import lay_out
from tfckpt.format.table import encode_table, parse_table

keys = st.one_of(st.binary(max_size=6), st.text("ab/", max_size=20).map(str.encode),
                 st.binary(min_size=100, max_size=300))
values = st.one_of(st.binary(max_size=30), st.binary(min_size=100, max_size=2000))


def plain(rows, limit: int) -> list[tuple[bytes, int]]:
    blocks, at = [], 0
    while at < len(rows):
        content, at = encode_block(rows, at, limit=limit)
        blocks.append((content, at))
    return blocks


@given(st.dictionaries(keys, values, min_size=1, max_size=120), st.integers(30, 5000))
def test_blocks_laid_out_at_once_are_those_of_the_plain_way(rows, limit):
    rows = sorted(rows.items())
    before = layout.BLOCK_SIZE
    layout.BLOCK_SIZE = limit
    try:
        laid_out = lay_out([key for key, _ in rows], [value for _, value in rows])
        blocks = None if laid_out is None else list(laid_out)
    finally:
        layout.BLOCK_SIZE = before
    if blocks is None:
        assert rows[-1][0] == b""  # nothing to lay out
    else:
        assert blocks == plain(rows, limit)


@pytest.mark.parametrize("names", [
    [b"b", b"a"], [b"a", b"a"], [b"ab", b"a"], [b"a\0", b"a"], [b"", b""],
    [b"a", b"b", b"b\0", b"b"],
])
def test_keys_that_do_not_ascend_are_declined(names):
    assert lay_out(names, [b""] * len(names)) is None


@given(st.lists(keys, min_size=2, max_size=10))
def test_only_ascending_keys_are_laid_out(names):
    ascending = all(a < b for a, b in pairwise(names))
    declined = lay_out(names, [b""] * len(names)) is None
    assert declined == (not ascending)


def test_very_long_keys_are_declined():
    assert lay_out([b"a", b"b" * (1 << 27)], [b"", b""]) is None


@pytest.mark.parametrize("name", ["tf1.15/names", "tf1.15/dtypes", "tf1.15/sliced",
                                  "tf2.21/nested"])
def test_tensorflows_bytes_come_from_either_way(monkeypatch, name):
    data = (GOLDENS / f"{name}.index").read_bytes()
    rows = parse_table(data)
    assert encode_table(rows) == data
    monkeypatch.setattr(table, "_MANY_ROWS", 0)
    assert encode_table(rows) == data


def test_large_rows_have_blocks_of_their_own(monkeypatch):
    rows = [(b"key%04d" % n, b"x" * size) for n, size in enumerate(
        [10, 600_000, 10, 300_000, 524_281, 524_280, *[5000] * 200])]
    once = encode_table(rows)
    monkeypatch.setattr(table, "_MANY_ROWS", 0)
    assert encode_table(rows) == once
