"""Comparing what was moved with what it was: pieces of big tensors, many small ones."""

from __future__ import annotations

import numpy as np
import pytest

import tfckpt
from tfckpt.core import moved
from tfckpt.core.arrays import array_output
from tfckpt.core.files.safetensors import read, write
from tfckpt.core.files.writing import FileOptions
from tfckpt.core.opening import open_source
from tfckpt.core.plan import Output, Plan
from tfckpt.core.reload import compare_reloaded
from tfckpt.core.writer import write_plan
from tfckpt.errors import ChecksumError, StorageError
from tfckpt.format.dtypes import dtype_named

CHUNK, TASK = 64, 256
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, TASK - 1, TASK, TASK + 1, 3 * TASK, 5 * TASK + 7, 1, 1]


@pytest.fixture(params=[1, 2])
def pair(request, tmp_path, monkeypatch):
    """A checkpoint, a plan that moves all of it, and the path of what was written."""
    monkeypatch.setattr(moved, "_CHUNK", CHUNK)
    monkeypatch.setattr(moved, "_TASK", TASK)
    monkeypatch.setattr(moved, "_ALONE", 0)
    monkeypatch.setattr(moved, "usable_cores", lambda: request.param)
    rng = np.random.default_rng(0)
    uint8 = dtype_named("uint8")
    outputs = [array_output(f"t{n:02}", rng.integers(0, 256, size, np.uint8), uint8)
               for n, size in enumerate(SIZES)]
    write_plan(Plan(tuple(outputs), "name-based"), str(tmp_path / "m"))
    with open_source(str(tmp_path / "m")) as source:
        plan = Plan(tuple(Output(f"new/{key}", entry.dtype, entry.shape, source.origin(entry))
                          for key, entry in source.index.items()), "name-based")
        write(plan, str(tmp_path / "m.safetensors"), FileOptions(), lambda n: None)
        yield plan, tmp_path / "m.data-00000-of-00001", tmp_path / "m.safetensors"


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_all_is_moved_all_is_equal_and_progress_adds_up(pair):
    plan, _, path = pair
    told: list[tuple[int, int]] = []
    with read(str(path)) as written:
        assert all(moved.find_moved(output, plan, written, written.index[output.key])
                   for output in plan.outputs)
        assert compare_reloaded(plan, written, progress=lambda *now: told.append(now)) == len(SIZES)
    assert told[-1] == (sum(SIZES), sum(SIZES))
    assert [now for now, _ in told] == sorted({now for now, _ in told})


def test_every_flipped_byte_of_the_result_is_found_in_its_tensor(pair):
    plan, _, path = pair
    with read(str(path)) as written:
        entries = [entry for entry in written.index.values() if entry.n_bytes]
    for entry in entries:
        for at in {0, entry.n_bytes // 2, entry.n_bytes - 1}:
            flip(path, entry.offset + at)
            with read(str(path)) as written, pytest.raises(StorageError) as caught:
                compare_reloaded(plan, written)
            assert str(caught.value) == (
                "what was written doesn't read back as it should: expected equal bits "
                f"(file {path}, tensor {entry.key!r})")
            flip(path, entry.offset + at)


def test_every_flipped_byte_of_the_source_is_found_though_it_was_moved_as_it_is(pair, tmp_path):
    plan, data, _ = pair
    for output in plan.outputs:
        entry = output.origin.entry
        for at in {0, entry.n_bytes // 2, entry.n_bytes - 1} if entry.n_bytes else ():
            flip(data, entry.offset + at)
            damaged = tmp_path / f"{entry.key}.safetensors"
            write(plan, str(damaged), FileOptions(), lambda n: None)
            with read(str(damaged)) as written, pytest.raises(ChecksumError) as caught:
                compare_reloaded(plan, written)
            assert caught.value.tensor == entry.key
            assert caught.value.offset == entry.offset
            damaged.unlink()
            flip(data, entry.offset + at)


@pytest.mark.parametrize("name", ["safetensors", "torch", "msgpack", "npz", "npy"])
def test_where_a_tensor_lies_are_the_bytes_that_reading_it_gives(tmp_path, name, monkeypatch):
    monkeypatch.setattr("tfckpt.core.files.msgpack._MOST_AT_ONCE", 32)  # arrays in runs, too
    arrays = {"small": np.arange(4, dtype=np.float32), "none": np.zeros((0, 3), np.int8),
              "large": np.arange(40, dtype=np.float64).reshape(5, 8)}
    tfckpt.save_file(arrays, tmp_path / "m", to=name)
    placed = []
    with tfckpt.open(tmp_path / "m") as source:
        for key, entry in source.index.items():
            place = source.place_of(entry)
            if place is not None:
                file, offset = place
                assert file.read(offset, entry.n_bytes) == b"".join(source.stream(entry)), key
                placed.append(key)
    assert "small" in placed
