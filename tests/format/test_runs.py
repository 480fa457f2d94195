from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import GOLDENS
from tfckpt.errors import CheckpointError
from tfckpt.format import table as table_module
from tfckpt.format.block import encode_block, parse_block, seek_row
from tfckpt.format.bundle import EntryParser, entry_encoder
from tfckpt.format.dtypes import DTYPES
from tfckpt.format.runs import Spans, parse_heads, parse_numbers, parse_runs
from tfckpt.format.table import encode_table, parse_table, table_of

keys = st.lists(st.one_of(st.binary(max_size=8), st.text("ab/", max_size=12).map(str.encode),
                          st.binary(min_size=120, max_size=300)), unique=True, max_size=60)


def blocks_of(rows, most: int) -> list[bytes]:
    """The rows in several blocks, restart points every 16 rows."""
    return [encode_block(rows[n:n + most])[0] for n in range(0, len(rows), most)]


@given(keys, st.integers(1, 70), st.data())
def test_all_rows_at_once_are_those_of_the_plain_parser(names, most, data):
    rows = [(key, data.draw(st.binary(max_size=200))) for key in sorted(names)]
    columns = parse_runs(blocks_of(rows, most)) if rows else None
    if columns is None:  # a key that ends in a zero byte, or nothing but the empty key
        assert not any(rows) or any(key.endswith(b"\0") for key, _ in rows) or names == [b""]
        return
    assert list(zip(columns.keys, columns.values, strict=True)) == rows
    assert columns.values[:] == [value for _, value in rows]


@given(st.lists(st.binary(max_size=40), max_size=4), st.data())
def test_any_bytes_are_parsed_as_the_plain_parser_does_or_declined(blocks, data):
    """With restart points that fit somewhere, so that some get far."""
    blocks = [block + data.draw(st.sampled_from([
        b"", b"\0\0\0\0\1\0\0\0", b"\0\0\0\0" + bytes([len(block) // 2, 0, 0, 0]) + b"\2\0\0\0"]))
        for block in blocks]
    columns = parse_runs(blocks) if blocks else None
    if columns is None:
        return
    rows: list = []
    for block in blocks:
        rows += parse_block(block, after=rows[-1][0] if rows else None)
    assert list(zip(columns.keys, columns.values, strict=True)) == rows


@given(keys.filter(bool), st.integers(1, 20), st.data())
def test_a_changed_byte_is_parsed_alike_or_declined(names, most, data):
    rows = [(key, b"value") for key in sorted(names)]
    blocks = [bytearray(block) for block in blocks_of(rows, most)]
    block = data.draw(st.sampled_from(blocks))
    block[data.draw(st.integers(0, len(block) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = [bytes(block) for block in blocks]
    columns = parse_runs(changed)
    if columns is None:
        return
    plain: list = []
    for part in changed:
        plain += parse_block(part, after=plain[-1][0] if plain else None)
    assert list(zip(columns.keys, columns.values, strict=True)) == plain


@pytest.mark.parametrize("block", [
    b"\0\2\0aa\0\2\0aa\0\0\0\0\1\0\0\0",  # a key twice
    b"\0\2\0bb\0\2\0aa\0\0\0\0\1\0\0\0",  # descending
    b"\0\2\0bb\0\2\0aa\0\0\0\0\5\0\0\0\2\0\0\0",  # descending between runs
    b"\0\1\0a\2\1\0b\0\0\0\0\1\0\0\0",  # repeats more than there is
    b"\1\1\0a\0\0\0\0\1\0\0\0",  # repeats something at a restart point
    b"\0\1\5a\0\0\0\0\1\0\0\0",  # a value that is too long
    b"\0\1\0a\0\1\0b\1\0\0\0\1\0\0\0",  # the first restart point isn't at 0
    b"\0\1\0a\0\0\0\0\0\0\0\0\2\0\0\0",  # restart points that don't ascend
    b"\0\1\0a\0\0\0\0\0\0\0\0",  # none
    b"\0\xff\xff\xff\xff\x7f\0a\0\0\0\0\1\0\0\0",  # a huge length
    b"\0\x01\0\0\0\0\0\0\1\0\0\0",  # a key that ends in a zero byte
])
def test_what_is_unusual_is_left_to_the_plain_parser(block):
    assert parse_runs([block]) is None


def test_many_long_shared_keys_do_not_take_much_memory():
    """65,536 keys of a thousand bytes in 330 kB of rows."""
    row = b"\xe7\7\1\0" + bytes([1])
    block = b"\0\xe7\7\0" + b"a" * 999 + row * 65536 + b"\0\0\0\0\1\0\0\0"
    assert parse_runs([block]) is None


@pytest.mark.parametrize("name", ["tf1.15/names", "tf1.15/dtypes", "tf2.21/vars-1",
                                  "tf2.21/nested"])
def test_the_goldens_with_numpy_and_without(monkeypatch, name):
    data = (GOLDENS / f"{name}.index").read_bytes()
    plain = parse_table(data)
    monkeypatch.setattr(table_module, "_WORTH_NUMPY", 0)
    assert parse_table(data) == plain
    assert isinstance(table_of(data).columns()[1], Spans)


def test_a_small_table_is_parsed_without_numpy():
    data = (GOLDENS / "tf1.15/names.index").read_bytes()
    assert "numpy" in sys.modules
    assert isinstance(table_of(data).columns()[1], list)


entries = st.builds(
    lambda *fields: fields, st.sampled_from(DTYPES),
    st.lists(st.integers(0, 2**40), max_size=4).map(tuple), st.integers(0, 99_999_999),
    st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1))


@given(st.lists(st.one_of(entries.map(lambda e: entry_encoder()(*e)), st.binary(max_size=40)),
                min_size=1, max_size=20))
def test_numbers_of_all_entries_are_those_of_the_plain_parser(encoded):
    buffer = b"".join(encoded) + bytes(64)
    ends = np.cumsum([len(item) for item in encoded], dtype=np.int64)
    values = Spans(buffer, ends - [len(item) for item in encoded], ends)
    parser = EntryParser()
    rows = zip(encoded, parse_heads(values), *parse_numbers(values), strict=True)
    for item, head, shard_id, offset, size, checksum in rows:
        if shard_id < 0:
            continue
        try:
            entry = parser.parse(item)
        except CheckpointError:
            assert parser.parse_head(head) is None or shard_id > 99_999_999
            continue
        assert (shard_id, offset, size, checksum) == entry[2:6]
        assert parser.parse_head(head) == entry[:2]


def test_usual_entries_are_parsed_at_once():
    encode = entry_encoder()
    encoded = [encode(DTYPES[0], (n, 3), n % 2, n * 1000, n * 12, 123456 + n) for n in range(300)]
    ends = np.cumsum([len(item) for item in encoded])
    values = Spans(b"".join(encoded) + bytes(64), ends - [len(e) for e in encoded], ends)
    assert min(parse_numbers(values).shards) == 0


@given(keys, st.lists(st.binary(max_size=10), max_size=5), st.integers(1, 40))
def test_behaviour_115_a_key_is_sought_between_restart_points(names, others, most):
    rows = [(key, b"v" + key) for key in sorted(names)]
    block, _ = encode_block(rows[:most])
    for target in [*names, *others]:
        found = [row for row in rows[:most] if row[0] >= target]
        assert seek_row(block, target) == (found[0] if found else None)


def test_behaviour_115_only_the_block_of_the_key_is_read():
    rows = [(b"", b"header"), *((b"key%06d" % n, bytes(2000)) for n in range(1000))]
    data = encode_table(rows)
    reads = []

    def read(offset: int, n_bytes: int) -> bytes:
        reads.append((offset, n_bytes))
        return data[offset:offset + n_bytes]

    table = table_module.Table(read, len(data))
    handles = list(table.handles())
    assert len(handles) > 5
    reads.clear()
    assert table.get(b"key000700") == bytes(2000)
    assert sum(n_bytes for _, n_bytes in reads) < max(handle.size for handle in handles) + 10
    assert table.get(b"key0007") is None
    assert table.get(b"z") is None
    assert table.seek(b"key0007") == (b"key000700", bytes(2000))
    assert table.seek(b"") == (b"", b"header")
    assert table.seek(b"z") is None
    last_of_first_block = table.seek(b"key000000" + b"\xff")
    assert last_of_first_block[0] == b"key000001"


@given(st.lists(st.binary(max_size=6), unique=True, min_size=1, max_size=300), st.data())
def test_behaviour_115_seeking_lands_on_the_first_that_is_not_smaller(names, data):
    """In tables of many blocks, between them too."""
    rows = [(key, b"x" * 20) for key in sorted(names)]
    limit = data.draw(st.integers(50, 3000))
    original = table_module.encode_block
    table_module.encode_block = (
        lambda rows, start=0, **options: original(rows, start, **{"limit": limit, **options}))
    try:
        table = table_of(encode_table(rows))
    finally:
        table_module.encode_block = original
    for target in [*names, *data.draw(st.lists(st.binary(max_size=7), max_size=10))]:
        later = [row for row in rows if row[0] >= target]
        assert table.seek(target) == (later[0] if later else None)
        assert table.get(target) == (b"x" * 20 if target in names else None)
