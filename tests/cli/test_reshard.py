from __future__ import annotations

import json

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS
from tfckpt.cli.main import run


@pytest.fixture
def tool(capsys):
    def call(*arguments):
        try:
            status = run([str(argument) for argument in arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err
    return call


def test_reshard_says_what_moved_and_that_nothing_is_lost(tool, tmp_path):
    out = tmp_path / "out"
    status, text, err = tool("reshard", EXAMPLE, "--shards", 2, "-o", out)
    assert (status, err) == (0, "")
    assert text == (
        f"{EXAMPLE} -> {out} (name-based)\n"
        "  0 tensors kept, their bytes untouched; 21 rewritten; 0 new; 0 left out\n"
        f"  {out}.data-00000-of-00002  356 B  new\n"
        f"  {out}.data-00001-of-00002  356 B  new\n"
        f"  {out}.index                722 B  new\n"
        "  177 values in, 177 values out\n")
    with tfckpt.open(out) as source, tfckpt.open(EXAMPLE) as old:
        assert all(np.array_equal(source[key], old[key]) for key in old)


def test_a_dry_run_writes_nothing(tool, tmp_path):
    status, text, _ = tool("reshard", EXAMPLE, "--split", "dense/kernel=2:axis1", "--dry_run",
                           "-o", tmp_path / "out")
    assert status == 0
    assert "  dense/kernel          ->  dense/kernel          in 2 parts\n" in text
    assert "  dense/bias            ->  dense/bias\n" in text
    assert text.endswith("Nothing written (--dry-run).\n")
    assert not list(tmp_path.iterdir())


def test_parts_are_joined_and_told(tool, tmp_path):
    status, text, err = tool("reshard", GOLDENS / "tf1.15" / "sliced", "--join", "--json",
                             "-o", tmp_path / "out")
    assert (status, err) == (0, "")
    told = json.loads(text)
    assert told["values"][0] == told["values"][1]
    assert [output["from"] for output in told["outputs"]] == ["part"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["--max-shard-size", "lots"], "this is no size: expected a number of bytes, KB, MB, GB, KiB,"
                                   " MiB or GiB, got lots"),
    (["--split", "dense/kernel"], "a tensor to split has another form: expected KEY=N or"
                                  " KEY=N:AXIS, got dense/kernel"),
    (["--shards", "2", "--max-shard-size", "1GB"], "not allowed with argument"),
])
def test_wrong_usage_is_status_2(tool, tmp_path, arguments, message):
    status, out, err = tool("reshard", EXAMPLE, *arguments, "-o", tmp_path / "out")
    assert (status, out) == (2, "")
    assert message in err
