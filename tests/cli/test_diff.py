from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest

from helpers import EXAMPLE
from tfckpt.cli.main import run
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.format.dtypes import dtype_named


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


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Writes a checkpoint of these arrays into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(prefix, **tensors):
        outputs = [array_output(key.replace("__", "/"), array, dtype_named(
            "string" if array.dtype == object else array.dtype.name))
            for key, array in tensors.items()]
        write_plan(Plan(tuple(outputs), "name-based"), prefix)
        return prefix
    return write


@pytest.fixture
def pair(make):
    """Two checkpoints that differ in every way."""
    make("base", encoder__w=np.float32([1, 2, 4]), encoder__b=np.float32([0, 0]),
         step=np.int64(1000), names=np.array([b"a", b"b"], object), small=np.float32([1]),
         half=np.float32([1, 2]), cls=np.zeros((2, 3), np.float32), gone=np.float32([1, 2, 3]),
         big=np.float64([1, np.nan]))
    make("tuned", encoder__w=np.float32([1, 2, 5]), encoder__b=np.float32([0, 0]),
         step=np.int64(2000), names=np.array([b"a", b"c"], object), small=np.float32([1.001]),
         half=np.float16([1, 2.5]), cls=np.zeros((2, 5), np.float32),
         new=np.float32(1), big=np.float64([1, 2]))


LINES = """\
A  base (name-based)
B  tuned (name-based)
~  cls  float32 [2,3]  ->  float32 [2,5]
~  half  float32 -> float16 [2]  1 of 2  max |d| 5.00e-01 at [1]  rel 2.00e-01
~  big        float64 [2]  1 of 2, 1 NaN
~  step       int64 []     1 of 1         max |d| 1,000            rel 5.00e-01
~  encoder/w  float32 [3]  1 of 3         max |d| 1.00e+00 at [2]  rel 2.00e-01
~  small      float32 [1]  1 of 1         max |d| 1.00e-03 at [0]  rel 9.99e-04
~  names      string [2]   1 of 2
-  gone  float32 [3]
+  new  float32 []
differ  1 of another shape, 1 of another dtype, 5 of other values, 1 only in A, 1 only in B, \
1 the same
"""


def test_the_biggest_differences_come_first(tool, pair):
    assert tool("diff", "base", "tuned") == (1, LINES, "")


def test_compare_is_the_same_command(tool, pair):
    assert tool("compare", "base", "tuned") == (1, LINES, "")


def test_a_tolerance_lets_small_differences_pass(tool, make):
    make("a", w=np.float32([1, 2]))
    make("b", w=np.float32([1, 2.001]))
    assert tool("diff", "a", "b", "--rtol", "1e-3", "--all") == (0, (
        "A  a (name-based)\nB  b (name-based)\n"
        "=  w  float32 [2]  0 of 2  max |d| 1.00e-03 at [1]  rel 5.00e-04\n"
        "ok    1 within the tolerance\n"), "")
    assert tool("diff", "a", "b", "--rtol", "1e-4")[0] == 1


def test_the_same_needs_four_lines(tool):
    status, out, err = tool("diff", EXAMPLE, EXAMPLE)
    assert (status, err) == (0, "")
    assert out == (f"A  {EXAMPLE} (name-based)\nB  {EXAMPLE} (name-based)\nok    21 the same\n")
    assert tool("diff", EXAMPLE, EXAMPLE, "--quick")[1].endswith("ok    21 the same by checksum\n")


def test_other_styles_are_compared_by_names(tool, tmp_path):
    tool("convert", EXAMPLE, "--to", "tf2", "-o", tmp_path / "ckpt")
    status, out, _ = tool("diff", EXAMPLE, tmp_path / "ckpt", "--ignore-optimizer")
    assert status == 0
    assert out.splitlines()[2:4] == [
        "ok    7 the same", "not compared: 14 tensors of A, 14 tensors of B (optimizer)"]
    status, out, _ = tool("diff", EXAMPLE, tmp_path / "ckpt")
    assert status == 0
    assert out == (
        f"A  {EXAMPLE} (name-based)\nB  {tmp_path / 'ckpt'} (object-based)\nok    21 the same\n"
        "not compared: _CHECKPOINTABLE_OBJECT_GRAPH of B (only object-based checkpoints have an"
        " object graph)\n"
        "not compared: save_counter of B (tf.train.Checkpoint's own count of saves)\n")
    shown = tool("diff", EXAMPLE, tmp_path / "ckpt", "--all")[1].splitlines()
    assert shown[2].split() == ["=", "beta1_power", "=", "vars/beta1_power", "float32", "[]"]
    assert shown[-2] == (".  save_counter                  of B, not compared "
                         " tf.train.Checkpoint's own count of saves")


def test_long_lists_are_cut_unless_all_is_asked_for(tool, make):
    make("a", **{f"w{n:02}": np.float32(n) for n in range(60)})
    make("b", other=np.float32(1))
    _, out, _ = tool("diff", "a", "b")
    lines = out.splitlines()
    assert len(lines) == 2 + 50 + 1 + 1 + 1
    assert lines[52] == "-  … and 10 more (--all shows them)"
    assert len(tool("diff", "a", "b", "--all")[1].splitlines()) == 2 + 60 + 1 + 1


def test_names_can_be_mapped_and_stripped(tool, make, tmp_path, monkeypatch):
    make("a", model__w=np.float32(1), model__v=np.float32(2))
    make("b", w=np.float32(1), u=np.float32(2))
    status, out, _ = tool("diff", "a", "b")
    assert (status, out.splitlines()[-1]) == (1, (
        "hint: 1 of the tensors that only A has would have a partner with --strip-prefix-1"
        " model/"))
    assert tool("diff", "a", "b", "--strip_prefix_1", "model/")[1].splitlines()[-1] == (
        "differ  1 only in A, 1 only in B, 1 the same")
    names = tmp_path / "map.json"
    names.write_text('{"model/v": "u"}')
    assert tool("diff", "a", "b", "--strip-prefix-1", "model/", "--map", names)[0] == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"model/v": "u", "model/w": "w"}'))
    assert tool("diff", "a", "b", "--map", "-")[0] == 0
    table = tmp_path / "map.csv"
    table.write_text("# A,B\nmodel/v,u\nmodel/w,\n")
    assert tool("diff", "a", "b", "--map", table)[1].splitlines()[-2:] == [
        "differ  1 only in B, 1 the same", "not compared: model/w of A (the map leaves it out)"]


def test_maps_that_are_none(tool, make, tmp_path):
    make("a", w=np.float32(1))
    bad = tmp_path / "map.json"
    bad.write_text("{")
    status, out, err = tool("diff", "a", "a", "--map", bad)
    assert (status, out) == (2, "")
    assert err.startswith("error: the file is not JSON (Expecting property name")
    bad.write_text('["a"]')
    assert tool("diff", "a", "a", "--map", bad)[2] == (
        'error: the map has another form: expected an object of names, {"name in A": "name in B"}'
        f" (file {bad})\n")
    assert tool("diff", "a", "a", "--map", tmp_path / "none")[2] == (
        f"error: cannot read: No such file or directory (file {tmp_path / 'none'})\n")


def test_damage_is_trouble_but_the_rest_is_compared(tool, make, tmp_path):
    make("a", v=np.float32([1]), w=np.float32([1]))
    make("b", v=np.float32([1]), w=np.float32([2]))
    file = tmp_path / "b.data-00000-of-00001"
    file.write_bytes(b"\xff" + file.read_bytes()[1:])
    status, out, err = tool("diff", "a", "b")
    assert (status, err) == (2, "")
    lines = out.splitlines()
    assert lines[2].startswith("!  v  the tensor's bytes are damaged: their checksum does not ma")
    assert lines[3] == "~  w  float32 [1]  1 of 1  max |d| 1.00e+00 at [0]  rel 5.00e-01"
    assert lines[4] == "FAIL  1 unreadable, 1 of other values"
    found = json.loads(tool("diff", "a", "b", "--json")[1])["tensors"][0]
    assert (found["kind"], found["error"]["kind"]) == ("unreadable", "ChecksumError")


def test_json_tells_everything(tool, pair):
    status, out, _ = tool("diff", "base", "tuned", "--json")
    assert status == 1
    value = json.loads(out)
    assert {name: value[name] for name in value if name != "tensors"} == {
        "a": "base", "b": "tuned", "styles": ["name-based", "name-based"], "same": False,
        "quick": False, "not_compared": [], "hints": [],
        "counts": {"values": 5, "shape": 1, "same": 1, "only-a": 1, "dtype": 1, "only-b": 1}}
    by_key = {item["key_a"]: item for item in value["tensors"]}
    assert by_key["encoder/w"] == {
        "kind": "values", "key_a": "encoder/w", "key_b": "encoder/w",
        "a": {"dtype": "float32", "shape": [3], "bytes": 12},
        "b": {"dtype": "float32", "shape": [3], "bytes": 12},
        "n_elements": 3, "n_differ": 1, "max_abs": 1.0, "max_rel": 0.2, "n_nan": 0, "at": [2]}
    assert by_key["gone"] == {
        "kind": "only-a", "key_a": "gone", "key_b": None, "b": None,
        "a": {"dtype": "float32", "shape": [3], "bytes": 12}}
    assert "encoder/b" not in by_key
    everything = json.loads(tool("diff", "base", "tuned", "--json", "--all")[1])
    assert {item["kind"] for item in everything["tensors"]} >= {"same"}


def test_infinite_differences_are_text_in_json(tool, make):
    make("a", w=np.float32([np.inf]))
    make("b", w=np.float32([1]))
    tensor, = json.loads(tool("diff", "a", "b", "--json")[1])["tensors"]
    assert (tensor["max_abs"], tensor["max_rel"]) == ("inf", "inf")


@pytest.mark.parametrize("value", ["-1", "x", "nan", "inf"])
def test_a_tolerance_is_a_number_from_0(tool, value):
    status, _, err = tool("diff", "a", "b", f"--atol={value}")
    assert status == 2
    assert "argument --atol: expected a number from 0" in err


def test_nothing_to_compare_is_told(tool):
    status, out, err = tool("diff", EXAMPLE, "nothing/here")
    assert (status, out) == (2, "")
    assert err == ("error: there is no checkpoint here: its folder doesn't exist"
                   " (file nothing/here)\n")


def test_corrected_paths_are_told(tool):
    _, _, err = tool("diff", EXAMPLE, f"{EXAMPLE}.data-00000-of-00001")
    assert err == f"note: that is a data shard; using the checkpoint prefix {EXAMPLE}\n"


def test_names_are_shown_as_a_terminal_may_see_them(tool, make):
    write_plan(Plan((array_output("a\x1b[31m", np.float32(1), dtype_named("float32")),),
                    "name-based"), "m")
    make("n", w=np.float32(1))
    out = tool("diff", "m", "n")[1]
    assert "-  a\\x1b[31m  float32 []\n" in out


def test_marks_are_coloured_on_a_terminal(tool, pair, capsys, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True, raising=False)
    out = tool("diff", "base", "tuned")[1]
    assert "\x1b[31m-\x1b[0m  gone" in out
    assert "\x1b[32m+\x1b[0m  new" in out
    assert "\x1b[1;31mdiffer\x1b[0m  1 of another shape" in out
