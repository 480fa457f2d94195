from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

import tfckpt
from helpers import GOLDENS, SHARED, needs_shared
from tfckpt.cli.main import run
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.verify import verify_path
from tfckpt.core.writer_v1 import write_v1_plan
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.table import table_of

GOLDEN = GOLDENS / "tf1.15" / "v1.ckpt"


def save(path, **arrays) -> str:
    outputs = tuple(array_output(key, array, dtype_named(str(array.dtype)))
                    for key, array in arrays.items())
    write_v1_plan(Plan(outputs, "name-based"), str(path))
    return str(path)


def test_a_whole_one_is_whole():
    with tfckpt.open(GOLDEN) as source:
        report = tfckpt.verify(source)
    assert (report.ok, report.n_tensors, report.n_shards, report.n_bytes) == (True, 1, 1, 8)


def test_every_flipped_bit_is_found(tmp_path):
    """In the values, in the lists, and in what nobody reads but the footer's zeros."""
    data = GOLDEN.read_bytes()
    for bit in range(8 * (len(data) - 48)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "m").write_bytes(damaged)
        report, _ = verify_path(tmp_path / "m")
        assert not report.ok, bit
        assert report.problems[0].error.file == str(tmp_path / "m")


def test_a_damaged_block_names_its_tensors_and_no_others(tmp_path):
    path = save(tmp_path / "m", **{f"v{n:02d}": np.full(40_000, n, np.float32) for n in range(12)})
    data = bytearray((tmp_path / "m").read_bytes())
    handles = list(table_of(bytes(data)).handles())
    assert len(handles) > 4
    data[handles[2].offset + 1000] ^= 1
    (tmp_path / "m").write_bytes(data)
    with tfckpt.open(path) as source:
        report = tfckpt.verify(source)
        (problem,) = report.problems
        lost = {key for key in source if handles[2].offset == source.tables()[0][1].offset_of(
            source._stored[source.index[key].offset].key)}
    assert problem.error.message == "block checksum does not match"
    assert problem.error.offset == handles[2].offset
    assert set(problem.tensors) == lost
    assert 0 < len(lost) < 12
    salvaged = tfckpt_salvage(path, tmp_path / "out")
    assert set(salvaged) == {f"v{n:02d}" for n in range(12)} - lost


def tfckpt_salvage(path, target) -> list[str]:
    assert run(["salvage", str(path), "-o", str(target)]) == 1
    with tfckpt.open(target) as source:
        assert tfckpt.verify(source).ok
        return list(source)


def test_nan_and_inf_are_counted(tmp_path):
    path = save(tmp_path / "m", a=np.float32([1, np.nan, np.inf]), b=np.arange(3))
    with tfckpt.open(path) as source:
        assert tfckpt.verify(source).ok
        report = tfckpt.verify(source, nan=True)
    assert [(c.tensor, c.n_values, c.n_nan, c.n_inf) for c in report.not_finite] == [("a", 3, 1, 1)]
    assert not report.ok


def test_missing_shards_are_a_problem(tmp_path, capsys):
    save(tmp_path / "m-00000-of-00002", a=np.arange(3))
    assert run(["verify", str(tmp_path / "m")]) == 1
    out = capsys.readouterr().out
    assert "only 1 of the 2 shards of this V1 checkpoint are here" in out


@needs_shared
@pytest.mark.parametrize("name", [
    f"{version}/{name}" for version in ("tf1.15", "tf2.15", "tf2.21")
    for name in ("v1_plain", "v1_dtypes", "v1_partitioned", "v1_sharded", "v1_slices_mixed")
    if (SHARED / "fixtures" / "formats" / version / name).exists()])
def test_those_of_the_fixtures_are_whole(name):
    folder = SHARED / "fixtures" / "formats" / name
    with tfckpt.open(folder) as source:
        assert source.format == "V1"
        assert tfckpt.verify(source, nan=False).problems == ()


def test_inspect_and_ls_know_v1(capsys):
    assert run(["inspect", str(GOLDEN)]) == 0
    assert capsys.readouterr().out.startswith("TensorFlow checkpoint (V1), name-based (TF1), 1")
    assert run(["ls", str(GOLDEN)]) == 0
    assert capsys.readouterr().out == "v  float32  [2]\n"
    assert run(["show", str(GOLDEN), "v"]) == 0
    assert "key='v', shape=[2], dtype=float32" in capsys.readouterr().out


def test_a_folder_of_v1_checkpoints_is_verified(tmp_path, capsys):
    for step in (1, 2):
        shutil.copy(GOLDEN, tmp_path / f"model-{step}")
    data = bytearray(GOLDEN.read_bytes())
    data[5] ^= 1
    (tmp_path / "model-3").write_bytes(data)
    (tmp_path / "checkpoint").write_text("".join(
        [f'model_checkpoint_path: "{tmp_path}/model-3"\n',
         *[f'all_model_checkpoint_paths: "{tmp_path}/model-{n}"\n' for n in (1, 2, 3)]]))
    assert run(["verify", str(tmp_path), "--all"]) == 1
    assert run(["verify", str(tmp_path), "--latest-good"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == os.path.join(tmp_path, "model-2")
