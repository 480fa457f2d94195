"""docs/format.md says what the code does: every example, table of dtypes and constant in it."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest

from helpers import ROOT
from tfckpt.format import proto
from tfckpt.format.block import encode_block, parse_block
from tfckpt.format.bundle import (
    BundleEntry,
    BundleHeader,
    EntryParser,
    encode_entry,
    encode_header,
    parse_header,
)
from tfckpt.format.crc32c import masked_crc32c
from tfckpt.format.dtypes import DTYPES, dtype_named
from tfckpt.format.objectkeys import escape_local_name, unescape_local_name
from tfckpt.format.slices import encode_slice, parse_slice, parse_slice_key, slice_key
from tfckpt.format.state import CheckpointState, encode_state, parse_state
from tfckpt.format.strings import encode_strings, parse_strings
from tfckpt.format.tensorvalues import _FORMS, encode_values, parse_values
from tfckpt.format.varint import encode_varint, parse_varint

TEXT = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
EXAMPLES = [(kind, *line.split(" = ", 1))
            for kind, body in re.findall(r"^```example (.+?)\n(.*?)^```$", TEXT,
                                         re.MULTILINE | re.DOTALL)
            for line in body.splitlines()]


def extents(text: str):
    return tuple((0, None) if part == "*" else tuple(
        None if n == "*" else int(n) for n in part.split(",")) for part in text.split())


def check_varint(value, data):
    assert encode_varint(int(value)) == data
    assert parse_varint(data) == (int(value), len(data))


def check_masked_crc32c(value, data):
    assert masked_crc32c(value.strip('"').encode()).to_bytes(4, "little") == data


def check_block(value, data):
    rows = [] if value == "(nothing)" else [tuple(part.encode() for part in row.split(":"))
                                            for row in value.split()]
    assert encode_block(rows)[0] == data
    assert parse_block(data) == rows


def check_header(value, data):
    shards, order = value.split()
    header = BundleHeader(int(shards), order)
    assert encode_header(header) == data
    assert parse_header(data) == header


def check_entry(value, data):
    found = re.fullmatch(r"(\w+) \[(.*)\] shard (\d+) offset (\d+) size (\d+) crc (\w+)", value)
    dtype, shape, *numbers = found.groups()
    entry = BundleEntry(dtype_named(dtype), tuple(map(int, filter(None, shape.split(",")))),
                        *map(int, numbers[:3]), int(numbers[3], 16))
    assert encode_entry(entry) == data
    assert EntryParser().parse(data) == entry


def check_strings(value, data):
    elements = [] if value == "(none)" else [item.encode() for item in value.split(",")]
    assert encode_strings(elements)[0] == data
    assert parse_strings(data, len(elements)).elements == elements


def check_slice(value, data):
    parts = tuple((int(start), None if length == "*" else int(length))
                  for start, length in (part.split(",") for part in value.split()))
    assert encode_slice(parts) == data
    assert parse_slice(data) == parts


def check_slice_key(value, data):
    name, _, rest = value.partition(" ")
    assert slice_key(name.encode(), extents(rest)) == data
    assert parse_slice_key(data) == (name.encode(), extents(rest))


def check_values(value, data):
    dtype, numbers = value.split()
    kind = dtype_named(dtype)
    array = np.array([float(n) for n in numbers.split(",")]).astype(kind.numpy())
    assert encode_values(array, kind) == data
    assert parse_values(data, kind, len(array)).tolist() == array.tolist()


def check_local_name(value, data):
    assert escape_local_name(value) == data
    assert unescape_local_name(data) == value


def check_state(value, data):
    paths = tuple(value.split())
    text = data.replace("\\n", "\n").encode()
    state = CheckpointState(paths[-1], paths)
    assert encode_state(state) == text
    assert parse_state(text) == state


@pytest.mark.parametrize(("kind", "value", "data"), EXAMPLES)
def test_every_example_is_parsed_and_encoded(kind, value, data):
    check = globals()["check_" + kind.replace(" ", "_")]
    check(value, data if kind in ("local name", "state") else bytes.fromhex(data))


def test_there_are_examples_of_every_kind():
    assert {kind for kind, _, _ in EXAMPLES} == {
        name.removeprefix("check_").replace("_", " ") for name in globals()
        if name.startswith("check_")}


@pytest.mark.parametrize(("name", "value"), re.findall(r"^\| `(\w+\.\w+)` \| `(.+)` \|$", TEXT,
                                                       re.MULTILINE))
def test_every_constant_is_the_codes(name, value):
    module, _, attribute = name.partition(".")
    found = getattr(importlib.import_module(f"tfckpt.format.{module}"), attribute)
    assert (found.hex() if isinstance(found, bytes) else str(found)) == value


def test_the_table_of_dtypes_is_the_codes():
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (.+) \|$", TEXT.partition("## 7.")[2].partition(
        "## 8.")[0], re.MULTILINE)
    assert len(rows) == len(DTYPES) == 33
    for (number, name, size), dtype in zip(rows, DTYPES, strict=True):
        stored = ("none" if name == "resource" else "section 3" if dtype.size is None
                  else f"{dtype.size}/{dtype.word}" if dtype.word > 1 else str(dtype.size))
        assert (int(number), name, size) == (dtype.number, dtype.name, stored)


def test_the_table_of_v1_fields_is_the_codes():
    part = TEXT.partition("## 6.")[2].partition("## 7.")[0]
    rows = {int(field): set(names.split(", ")) for field, names in
            re.findall(r"^\| (\d+) \| ([\w, ]+) \| [\w ]+ \|$", part, re.MULTILINE)}
    del rows[8]  # strings
    assert rows == {form.field: {name for name, other in _FORMS.items()
                                 if other.field == form.field} for form in _FORMS.values()}


def test_negative_numbers_and_zeros_are_stored_as_it_says():
    assert proto.encode_int(1, -1) == bytes.fromhex("08 ffffffffffffffffff01")
    assert proto.encode_int(1, 0) == b""
