"""Reading all bytes: pieces and threads change nothing, and values are counted."""

from __future__ import annotations

import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import tfckpt
from helpers import GOLDENS, copy_checkpoint, golden_truths
from tfckpt.core import checksums
from tfckpt.core.checksums import usable_cores
from tfckpt.core.plan import Given, Output, Plan
from tfckpt.core.report import ValueCount
from tfckpt.core.writer import write_plan
from tfckpt.format.dtypes import DTYPES, dtype_named
from tfckpt.format.strings import encode_strings


def save(folder, byte_order="little", **arrays) -> str:
    outputs = []
    for name, array in arrays.items():
        dtype = next(d for d in DTYPES if d.numpy_name
                     and d.numpy_name.removeprefix("ml_dtypes.") == array.dtype.name)
        stored = np.ascontiguousarray(array).reshape(-1)
        if byte_order == "big":
            words = stored.view(np.uint8).reshape(-1, dtype.word)[:, ::-1]
            stored = np.ascontiguousarray(words).reshape(-1)
        outputs.append(Output(name, dtype, array.shape, Given(stored.tobytes(), None)))
    write_plan(Plan(tuple(outputs), "name-based", byte_order), str(folder / "m"))
    return str(folder / "m")


def verify(prefix, **how):
    with tfckpt.open(prefix) as source:
        return tfckpt.verify(source, **how)


@pytest.fixture
def _small_pieces(monkeypatch):
    """Every tensor of more than a few bytes is read in many pieces, by threads."""
    monkeypatch.setattr(checksums, "_CHUNK", 16)
    monkeypatch.setattr(checksums, "_PIECE", 48)
    monkeypatch.setattr(checksums, "_ALONE", 0)


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("jobs", [1, 2, 7])
@pytest.mark.parametrize("prefix", [p for p, _ in golden_truths()])
def test_whole_checkpoints_are_whole_in_pieces(prefix, jobs):
    report = verify(prefix, jobs=jobs)
    assert report.problems == ()
    with tfckpt.open(prefix) as source:
        stored = sum(os.path.getsize(source.shard_file(n)) for n in range(report.n_shards))
    assert stored == report.n_bytes


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("jobs", [1, 3])
def test_every_flipped_byte_is_found_in_pieces(tmp_path, jobs):
    rng = np.random.default_rng(0)
    prefix = save(tmp_path, a=rng.random(3), b=rng.random(50, np.float32), c=rng.random(13))
    sizes = {"a": 24, "b": 200, "c": 104}
    data = bytearray(Path(prefix + ".data-00000-of-00001").read_bytes())
    owners = [name for name, size in sizes.items() for _ in range(size)]
    for at, owner in enumerate(owners):
        data[at] ^= 1 << at % 8
        Path(prefix + ".data-00000-of-00001").write_bytes(data)
        assert verify(prefix, jobs=jobs).damaged == (owner,), at
        data[at] ^= 1 << at % 8


@pytest.mark.usefixtures("_small_pieces")
def test_progress_goes_up_to_all_of_it(tmp_path):
    seen = []
    prefix = save(tmp_path, a=np.zeros(500), b=np.ones(3))
    verify(prefix, jobs=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (4024, 4024)
    assert len(seen) > 50


def test_big_strings_are_checked_a_chunk_at_a_time(tmp_path):
    given = Given(*encode_strings([b"x" * 700_000] * 3))
    write_plan(Plan((Output("words", dtype_named("string"), (3,), given),), "name-based"),
               str(tmp_path / "m"))
    assert verify(tmp_path / "m").ok
    with open(tmp_path / "m.data-00000-of-00001", "r+b") as data:
        data.seek(1_500_000)
        data.write(b"y")
    error = verify(tmp_path / "m").problems[0].error
    assert (error.message, error.tensor) == (
        "the tensor's bytes are damaged: their checksum does not match", "words")


def test_a_file_that_is_gone_meanwhile_is_a_problem(tmp_path, monkeypatch):
    from tfckpt.core import verify as module

    prefix = save(tmp_path, a=np.zeros(3), b=np.ones(3))
    real = module.check_tensors

    def removing(*args, **kwargs):
        os.unlink(prefix + ".data-00000-of-00001")
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "check_tensors", removing)
    assert verify(prefix).damaged == ("a", "b")


def test_all_cores_that_this_process_may_use():
    assert 1 <= usable_cores() <= 32


SPECIAL = [1, float("nan"), float("inf"), float("-inf"), 0, float("nan"), -2]
KINDS = {
    "float16": (2, 2), "float32": (2, 2), "float64": (2, 2), "bfloat16": (2, 2),
    "float8_e5m2": (2, 2), "float8_e4m3fn": (4, 0), "float8_e4m3fnuz": (4, 0),
    "float8_e4m3b11fnuz": (4, 0), "float8_e5m2fnuz": (4, 0), "complex64": (2, 2),
    "complex128": (2, 2)}


def special(name) -> np.ndarray:
    return np.array(SPECIAL).astype(dtype_named(name).numpy())


@pytest.mark.parametrize("byte_order", ["little", "big"])
@pytest.mark.parametrize("name", KINDS)
def test_nan_and_inf_are_counted(tmp_path, name, byte_order):
    prefix = save(tmp_path, byte_order, good=np.ones(5, dtype_named(name).numpy()),
                  bad=special(name))
    report = verify(prefix, nan=True)
    assert report.values == (ValueCount("good", 5), ValueCount("bad", 7, *KINDS[name]))
    assert report.problems == ()
    assert not report.ok
    assert report.not_finite == (report.values[1],)
    assert report.damaged == ()
    assert verify(prefix).ok
    assert verify(prefix).values is None
    assert verify(prefix, quick=True, nan=True).values is None


def test_a_complex_number_may_be_both(tmp_path):
    prefix = save(tmp_path, z=np.array([complex(float("nan"), float("inf")), 1]))
    assert verify(prefix, nan=True).values == (ValueCount("z", 2, 1, 1),)


def test_integers_and_strings_have_none(tmp_path):
    assert verify(GOLDENS / "tf1.15" / "strings", nan=True).not_finite == ()
    prefix = save(tmp_path, n=np.arange(3), four=np.ones(3, ml_dtypes.float4_e2m1fn),
                  small=np.ones(3, ml_dtypes.int4))
    assert verify(prefix, nan=True).values == ()


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("jobs", [1, 2])
def test_values_are_counted_across_pieces(tmp_path, jobs):
    array = np.zeros(1000, np.float32)
    array[::7], array[1::100] = np.nan, -np.inf
    prefix = save(tmp_path, a=array)
    n_nan, n_inf = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    assert verify(prefix, nan=True, jobs=jobs).values == (ValueCount("a", 1000, n_nan, n_inf),)


def test_values_of_slices_are_added_up():
    report = verify(GOLDENS / "tf1.15" / "sliced", nan=True)
    with tfckpt.open(GOLDENS / "tf1.15" / "sliced") as source:
        expected = {key: entry.n_elements for key, entry in source.index.items()
                    if entry.dtype.name.startswith("float")}
    assert expected == {count.tensor: count.n_values for count in report.values}


def test_damaged_tensors_have_no_values(tmp_path):
    prefix = copy_checkpoint(save(tmp_path / "a", a=np.ones(3), b=np.ones(3)), tmp_path / "b")
    with open(prefix + ".data-00000-of-00001", "r+b") as data:
        data.write(b"\xff" * 8)
    report = verify(prefix, nan=True)
    assert (report.damaged, report.values) == (("a",), (ValueCount("b", 3),))


def test_twins_are_each_told(tmp_path):
    from tfckpt.format.table import encode_table, parse_table

    prefix = save(tmp_path, a=np.array([np.nan, 1.0]))
    index = Path(prefix + ".index")
    rows = dict(parse_table(index.read_bytes()))
    index.write_bytes(encode_table(sorted({**rows, b"b": rows[b"a"]}.items())))
    assert verify(prefix, nan=True).values == (ValueCount("a", 2, 1), ValueCount("b", 2, 1))
    with open(prefix + ".data-00000-of-00001", "r+b") as data:
        data.write(b"\xff")
    assert verify(prefix).damaged == ("a", "b")
    assert [problem.error.tensor for problem in verify(prefix).problems] == ["a", "b"]


