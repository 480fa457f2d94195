"""``tfckpt verify`` and ``tfckpt salvage`` as people see them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS, copy_checkpoint
from tfckpt.cli.main import run
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.writer import write_plan
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.state import CheckpointState, encode_state


@pytest.fixture
def tool(capsys):
    """Runs the command line in this process; returns status, output and error lines."""
    def call(*arguments):
        try:
            status = run([str(argument) for argument in arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err
    return call


def save(prefix, step=1, *, good=True) -> str:
    write_plan(Plan((given_int64("global_step", step, "little"),), "name-based"), str(prefix))
    if not good:
        Path(f"{prefix}.data-00000-of-00001").write_bytes(b"\xff" * 8)
    return str(prefix)


@pytest.fixture
def nan(tmp_path):
    """A checkpoint with a NaN."""
    outputs = [array_output(name, np.array(values, np.float32), dtype_named("float32"))
               for name, values in (("a", [1, 2]), ("b", [np.nan, np.inf, -np.inf]))]
    write_plan(Plan(tuple(outputs), "name-based"), str(tmp_path / "m"))
    return tmp_path / "m"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three checkpoints, the last one damaged, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for n in (1, 2, 3):
        save(f"m-{n}", n, good=n < 3)
    Path("checkpoint").write_bytes(encode_state(CheckpointState("m-3", ("m-1", "m-3"))))
    return tmp_path


def test_a_whole_checkpoint(tool):
    assert tool("verify", EXAMPLE) == (
        0, "ok    index; 21 of 21 tensors in 1 shard (checksums, 712 B)\n", "")
    assert tool("verify", "--quick", EXAMPLE) == (
        0, "ok    index; 21 of 21 tensors in 1 shard (sizes)\n", "")
    assert tool("verify", "--nan", "--jobs", 2, EXAMPLE)[1].splitlines()[1] == (
        "ok    no NaN, no Inf in 176 values")


def test_missing_and_short_shards(tool, tmp_path):
    """User story F8."""
    prefix = copy_checkpoint(GOLDENS / "tf1.15" / "sharded", tmp_path)
    os.unlink(prefix + ".data-00001-of-00003")
    os.truncate(prefix + ".data-00002-of-00003", 3)
    assert tool("verify", prefix) == (1, (
        f"FAIL  a data file of the checkpoint is missing (file {prefix}.data-00001-of-00003)\n"
        "      1 tensor: v1\n"
        "      Beside it: sharded.data-00000-of-00003, sharded.data-00002-of-00003.\n"
        "FAIL  the data file is 13 bytes short: expected 16 bytes, got 3"
        f" (file {prefix}.data-00002-of-00003)\n"
        "      1 tensor: v2\n"
        "ok    index; 1 of 3 shards; 1 of 3 tensors (checksums, 8 B)\n"
        f"hint: `tfckpt salvage {prefix} -o DST` writes what is whole\n"), "")


def test_the_hint_is_a_command_that_a_shell_takes(tool, tmp_path):
    folder = tmp_path / "exp [v1]"
    prefix = copy_checkpoint(GOLDENS / "tf1.15" / "sharded", folder)
    os.unlink(prefix + ".data-00001-of-00003")
    assert tool("verify", prefix)[1].splitlines()[-1] == (
        f"hint: `tfckpt salvage '{prefix}' -o DST` writes what is whole")
    os.unlink(prefix + ".data-00000-of-00003")
    os.unlink(prefix + ".data-00002-of-00003")
    assert "hint:" not in tool("verify", prefix)[1]  # nothing is
    assert "hint:" not in tool("verify", "--all", folder)[1]


def test_every_damaged_tensor_is_named_however_many(tool, tmp_path):
    outputs = tuple(given_int64(f"layer_{n:03d}/kernel", n, "little") for n in range(100))
    write_plan(Plan(outputs, "name-based"), str(tmp_path / "m"))
    os.unlink(tmp_path / "m.data-00000-of-00001")
    status, out, _ = tool("verify", tmp_path / "m")
    assert status == 1
    assert all(f"layer_{n:03d}/kernel" in out for n in range(100))
    assert out.splitlines()[1:3] == [
        "      100 tensors: layer_000/kernel, layer_001/kernel, layer_002/kernel,"
        " layer_003/kernel,",
        "        layer_004/kernel, layer_005/kernel, layer_006/kernel, layer_007/kernel,"
        " layer_008/kernel,"]
    assert "ok" not in out.split()


def test_a_damaged_index(tool, tf1):
    index = Path(tf1 + ".index")
    data = bytearray(index.read_bytes())
    data[100] ^= 16
    index.write_bytes(data)
    status, out, err = tool("verify", tf1)
    lines = out.splitlines()
    assert (status, err) == (1, "")
    assert lines[0].startswith("FAIL  block checksum does not match: expected 0x")
    assert lines[0].endswith(f" (file {index}, byte 0)")
    assert lines[1].startswith("      21 tensors: beta1_power, beta2_power, block.1/w,")
    assert lines[-1] == ("      One bit is flipped: bit 4 of byte 100. `tfckpt salvage` puts it"
                         " right.")


def test_notes(tool, tf1):
    with open(tf1 + ".data-00000-of-00001", "ab") as data:
        data.write(b"more")
    assert tool("verify", tf1) == (0, (
        "note  the data file goes on for 4 bytes after its last tensor"
        f" (file {tf1}.data-00000-of-00001, byte 712)\n"
        "ok    index; 21 of 21 tensors in 1 shard (checksums, 712 B)\n"), "")


def test_nan_and_inf_are_a_no_if_they_were_asked_for(tool, nan):
    assert tool("verify", nan)[0] == 0
    expected = (1, ("FAIL  1 NaN and 2 Inf in 3 values (tensor 'b')\n"
                    "ok    index; 2 of 2 tensors in 1 shard (checksums, 20 B)\n"), "")
    assert tool("verify", "--nan", nan) == expected
    assert tool("verify", "--finite", nan) == expected
    report = json.loads(tool("verify", "--nan", "--json", nan)[1])
    assert (report["ok"], report["damaged"], report["problems"]) == (False, [], [])
    assert report["values"] == [{"tensor": "a", "values": 2, "nan": 0, "inf": 0},
                                {"tensor": "b", "values": 3, "nan": 1, "inf": 2}]


def test_json_says_all(tool, tmp_path):
    prefix = copy_checkpoint(GOLDENS / "tf1.15" / "sharded", tmp_path)
    os.unlink(prefix + ".data-00001-of-00003")
    status, out, _ = tool("verify", "--json", prefix)
    assert status == 1
    assert json.loads(out) == {
        "prefix": prefix, "ok": False, "quick": False, "index_whole": True, "tensors": 3,
        "shards": 3, "bad_shards": 1, "bytes": 24, "damaged": ["v1"], "notes": [],
        "problems": [{
            "kind": "TruncatedError", "message": "a data file of the checkpoint is missing",
            "expected": None, "got": None, "file": prefix + ".data-00001-of-00003",
            "offset": None, "tensor": None, "tensors": ["v1"],
            "hint": "Beside it: sharded.data-00000-of-00003, sharded.data-00002-of-00003."}]}


@pytest.mark.parametrize("jobs", ["0", "-1", "many"])
def test_jobs_must_be_a_number(tool, jobs):
    status, _, err = tool("verify", f"--jobs={jobs}", EXAMPLE)
    assert status == 2
    assert err.splitlines()[-1].endswith("argument -j/--jobs: expected 1 or more")


@pytest.mark.usefixtures("folder")
def test_all_of_a_folder(tool):
    os.mkdir("m-4_temp")
    status, out, err = tool("verify", ".", "--all")
    lines = out.splitlines()
    assert (status, err) == (1, "")
    assert lines[:3] == ["ok    m-1  1 tensor, 8 B", "ok    m-2  1 tensor, 8 B",
                         "FAIL  m-3  1 problem, 1 of 1 tensor damaged"]
    assert lines[3].startswith("      FAIL  the tensor's bytes are damaged: their checksum does")
    assert lines[4:] == ["note  leftover m-4_temp, 0 B: of a sharded save: no part yet"]
    answer = json.loads(tool("verify", ".", "--all", "--json")[1])
    assert (answer["ok"], answer["latest_good"]) == (False, "./m-2")
    assert [item["ok"] for item in answer["checkpoints"]] == [True, True, False]
    assert answer["leftovers"] == [{"path": "./m-4_temp", "bytes": 0,
                                    "what": "of a sharded save: no part yet"}]


@pytest.mark.usefixtures("folder")
def test_the_latest_good_one(tool):
    """User story F8."""
    assert tool("verify", ".", "--latest-good") == (
        0, "./m-2\n", "note: FAIL  m-3  1 problem, 1 of 1 tensor damaged\n")
    assert tool("verify", ".", "--all", "--latest-good")[:2] == (0, "./m-2\n")
    answer = json.loads(tool("verify", ".", "--latest-good", "--json")[1])
    assert answer["prefix"] == "./m-2"
    assert [item["damaged"] for item in answer["damaged"]] == [["global_step"]]
    for n in (1, 2):
        os.truncate(f"m-{n}.data-00000-of-00001", 3)
    assert tool("verify", ".", "--latest-good")[:2] == (1, "")


@pytest.mark.usefixtures("folder")
def test_the_state_file_is_put_right(tool):
    before = Path("checkpoint").read_bytes()
    status, out, _ = tool("verify", ".", "--fix-state", "--dry-run")
    told = ["./checkpoint",
            "  m-3  --  dropped: the tensor's bytes are damaged: their checksum does not match",
            "  latest: m-1"]
    assert status == 1
    assert out.splitlines()[4:] == [*told, "Nothing written (--dry-run)."]
    assert Path("checkpoint").read_bytes() == before
    out = tool("verify", ".", "--fix-state", "--latest-good")[1]
    assert out.splitlines()[4:] == [
        *told, "  the old one is kept as ./checkpoint.bak", "./m-2"]
    assert tfckpt.latest_checkpoint(".") == "./m-1"
    assert Path("checkpoint.bak").read_bytes() == before
    answer = json.loads(tool("verify", ".", "--fix-state", "--json")[1])
    assert answer["state"] == {
        "state_file": "./checkpoint", "dry_run": False, "backup": None, "dropped": [],
        "old": {"latest": "m-1", "all": ["m-1"]}, "new": {"latest": "m-1", "all": ["m-1"]}}
    assert tool("verify", ".", "--fix-state")[1].splitlines()[-1] == (
        "  Nothing to change: all that it names is good.")


def spoil(prefix, key) -> None:
    with tfckpt.open(prefix) as source:
        entry = source.index[key]
    with open(prefix + ".data-00000-of-00001", "r+b") as data:
        data.seek(entry.offset)
        data.write(b"\xff\xff")


def test_salvage_lists_what_is_lost(tool, tf1, tmp_path):
    spoil(tf1, "dense/kernel")
    out = str(tmp_path / "out" / "m")
    status, text, err = tool("salvage", tf1, "-o", out)
    lines = text.splitlines()
    assert (status, err) == (1, "")
    assert lines[:3] == [
        f"{tf1} -> {out}",
        "lost  dense/kernel: the tensor's bytes are damaged: their checksum does not match",
        "ok    20 of 21 tensors"]
    assert [line.split()[0] for line in lines[3:]] == [f"{out}.data-00000-of-00001",
                                                      f"{out}.index"]
    answer = json.loads(tool("salvage", tf1, "-o", out, "--overwrite", "--json")[1])
    assert answer["lost"] == [{"key": "dense/kernel", "reason": "the tensor's bytes are damaged:"
                               " their checksum does not match"}]
    assert (answer["ok"], len(answer["saved"]), answer["unknown"]) == (False, 20, [])
    assert tool("verify", out)[0] == 0


def test_salvage_of_a_whole_one_has_status_0(tool, tmp_path):
    status, text, _ = tool("salvage", EXAMPLE, "-o", tmp_path / "m")
    assert (status, text.splitlines()[1]) == (0, "ok    21 of 21 tensors")


def test_salvage_dry_run_writes_nothing(tool, tf1, tmp_path):
    spoil(tf1, "dense/kernel")
    status, text, _ = tool("salvage", tf1, "-o", tmp_path / "out", "--dry-run")
    assert status == 1
    assert text.splitlines()[-2:] == ["ok    20 of 21 tensors", "Nothing written (--dry-run)."]
    assert not list(tmp_path.glob("out*"))


def test_salvage_where_nothing_is_whole(tool, tf1, tmp_path):
    index = Path(tf1 + ".index")
    index.write_bytes(index.read_bytes()[:300])
    status, text, err = tool("salvage", tf1, "-o", tmp_path / "out")
    lines = text.splitlines()
    assert status == 1
    assert err == ("note: the header of the index is lost; numbers are taken to be"
                   " little-endian\n")
    assert lines[1] == "lost  beta1_power: no whole block of the table is here"
    assert lines[-2:] == [
        "lost  what else was here: no whole block of the table is here: got 300 bytes"
        f" (file {index}, byte 0)",
        "Nothing written: no tensor is whole."]
    assert not list(tmp_path.glob("out*"))


def test_salvage_never_writes_over_its_source(tool, tf1):
    status, _, err = tool("salvage", tf1, "-o", tf1, "--overwrite")
    assert status == 2
    assert err == (f"error: the output would replace its own source (file {tf1})\n"
                   "Give another prefix; the source is never changed.\n")


def test_salvage_without_an_index_has_status_2(tool, tf1, tmp_path):
    os.unlink(tf1 + ".index")
    assert tool("salvage", tf1, "-o", tmp_path / "out")[0] == 2
