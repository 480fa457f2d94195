"""Every file of the shared fixtures, cut short and with flipped bits, through what reads it.

A file of up to 256 bytes is cut at every length and flipped bit by bit; of a longer one as many
cuts and bits are taken, evenly. ``TFCKPT_PROFILE=long`` takes all of every file.
"""

from __future__ import annotations

import os

import pytest

import tfckpt
from helpers import SHARED, needs_shared
from tfckpt.core.v1files import is_table
from tfckpt.errors import CheckpointError
from tfckpt.format.state import parse_state
from tfckpt.format.table import table_of

MOST = 1 << 40 if os.environ.get("TFCKPT_PROFILE") == "long" else 2048
FILES = [path for path in sorted((SHARED / "fixtures").rglob("*")) if path.is_file()]
TABLES = [path for path in FILES if is_table(str(path)) and path.stat().st_size < 1 << 20]
STATES = [path for path in FILES if path.name == "checkpoint"]


def spoiled(data: bytes):
    """The bytes cut at lengths, and with single bits flipped."""
    for length in range(0, len(data), -(-len(data) // MOST) or 1):
        yield data[:length]
    for bit in range(0, 8 * len(data), -(-8 * len(data) // MOST) or 1):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


@needs_shared
@pytest.mark.parametrize("part", range(8))
def test_spoiled_tables_give_a_result_or_an_error(part):
    for path in TABLES[part::8]:
        for data in spoiled(path.read_bytes()):
            try:
                table = table_of(data)
                table.get(b"")
                table.columns()
            except CheckpointError:
                continue


@needs_shared
def test_spoiled_state_files_give_a_result_or_an_error():
    for path in STATES:
        for data in spoiled(path.read_bytes()):
            try:
                parse_state(data)
            except CheckpointError:
                continue


@needs_shared
def test_spoiled_checkpoints_are_opened_and_read_or_refused(tmp_path):
    """Whole jobs, with a few of the cuts and bits of each index."""
    for path in TABLES:
        data = path.read_bytes()
        (tmp_path / "m.index").write_bytes(data)
        for n, spoilt in enumerate(spoiled(data)):
            if n % 101:
                continue
            name = "m.index" if path.suffix == ".index" else "m.ckpt"
            (tmp_path / name).write_bytes(spoilt)
            try:
                with tfckpt.open(tmp_path / name) as source:
                    tfckpt.verify(source)
                    for key in list(source)[:5]:
                        try:
                            source[key]
                        except CheckpointError:
                            continue
            except CheckpointError:
                continue


@needs_shared
def test_there_are_many_of_them():
    assert len(TABLES) > 200
    assert len(STATES) > 10
