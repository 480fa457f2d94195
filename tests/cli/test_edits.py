"""match, convert with optimizers, strip, ema, reset, cast and average on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tfckpt
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
        outputs = [array_output(key.replace("__", "/"), np.asarray(array), dtype_named(
            np.asarray(array).dtype.name)) for key, array in tensors.items()]
        write_plan(Plan(tuple(outputs), "name-based"), prefix)
        return prefix
    return write


NAMES = {"net/a/kernel": [2, 2], "net/a/bias": [2], "net/b/kernel": [2, 3], "net/b/bias": [3],
         "net/head/kernel": {"shape": [2, 5], "dtype": "float32"}, "net/new/gamma": [7]}
MATCHED = """\
matched 4 (4 by a rule)   missing in checkpoint 1   unused in checkpoint 2 (1 other)   shape \
differs 1
missing:  net/new/gamma  [7]
shape:    net/head/kernel  here float32 [2,2]  there float32 [2,5]
unused:   old/thing
rule:     --add-prefix net/   names 5
"""


@pytest.fixture
def model(make):
    return make("m", a__kernel=np.zeros((2, 2), np.float32), a__bias=np.zeros(2, np.float32),
                b__kernel=np.zeros((2, 3), np.float32), b__bias=np.zeros(3, np.float32),
                head__kernel=np.zeros((2, 2), np.float32), old__thing=np.zeros(9, np.float32),
                global_step=np.int64(3))


def test_match_says_what_is_there_and_what_is_not(tool, model, tmp_path):
    (tmp_path / "names.json").write_text(json.dumps(NAMES))
    assert tool("match", model, "--against", "names.json", "-o", "map.json") == (1, MATCHED, "")
    assert json.loads((tmp_path / "map.json").read_text()) == {
        "a/kernel": "net/a/kernel", "a/bias": "net/a/bias", "b/kernel": "net/b/kernel",
        "b/bias": "net/b/bias"}
    assert tool("match", model, "--against", "names.json", "--allow-missing", "new",
                "--skip-mismatch")[0] == 0


def test_match_as_json(tool, model, tmp_path):
    (tmp_path / "names.json").write_text(json.dumps(NAMES))
    status, out, err = tool("match", model, "--against", "names.json", "--json")
    value = json.loads(out)
    assert (status, err, value["ok"]) == (1, "", False)
    assert value["matched"][0] == {"here": "a/kernel", "there": "net/a/kernel", "how": "rule"}
    assert value["missing"] == [{"there": "net/new/gamma", "dtype": None, "shape": [7],
                                 "nearest": []}]
    assert value["rules"] == [{"rule": ["add-prefix", "net/"], "names": 5}]
    assert value["left_aside"] == {"other": {"here": 1, "there": 0}}


def test_match_shows_layers_that_are_alike(tool, make):
    make("a", left__kernel=np.zeros((2, 2), np.float32), right__kernel=np.zeros((2, 2), np.float32))
    make("b", l__kernel=np.zeros((2, 2), np.float32), r__kernel=np.zeros((2, 2), np.float32))
    status, out, _ = tool("match", "a", "--against", "b")
    assert status == 1
    assert out.splitlines()[1:] == [
        "alike:    2 layers of kernel [2,2]; nothing tells them apart:",
        "          here  left, right", "          there l, r"]


def test_what_match_writes_is_taken_by_rename_and_diff(tool, make):
    make("old", m__x__weights=np.float32([[1, 2]]), m__y__weights=np.float32([[3], [4]]))
    make("new", x__kernel=np.float32([[1, 2]]), y__kernel=np.float32([[3], [4]]))
    status, out, _ = tool("match", "old", "--against", "new", "-o", "map.json")
    assert (status, out.splitlines()[1:]) == (0, [
        "rule:     --strip-prefix m/", "rule:     --replace weights=kernel   names 2"])
    assert tool("rename", "old", "--map", "map.json", "-o", "renamed")[0] == 0
    assert tool("diff", "renamed", "new")[0] == 0
    assert tool("diff", "old", "new", "--map", "map.json")[0] == 0


@pytest.mark.parametrize(("text", "message"), [
    ("{", "the file is not JSON"), ("[]", "the list of names has another form"),
    ('{"a": "b"}', "the list of names has another form"),
    ('{"a": [1.5]}', "the list of names has another form"),
    ('{"a": [1], "a": [2]}', "one name stands twice in the map: got 'a'"),
    ('{"a": {"shape": [1], "dtype": "float33"}}', "TensorFlow has no dtype of this name")])
def test_lists_of_names_that_are_none(tool, model, tmp_path, text, message):
    (tmp_path / "names.json").write_text(text)
    status, out, err = tool("match", model, "--against", "names.json")
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")


def test_convert_with_an_optimizer_and_back(tool, tmp_path):
    status, out, _ = tool("convert", EXAMPLE, "--to", "tf2", "--optimizer", "auto", "--lr", "0.01",
                          "-o", tmp_path / "ckpt")
    assert status == 0
    assert "  19 tensors renamed, their bytes untouched; 2 rewritten; 5 new; 2 left out" in out
    assert tool("convert", tmp_path / "ckpt", "--to", "tf1", "--optimizer", "auto", "-o",
                tmp_path / "back")[0] == 0
    assert tool("diff", EXAMPLE, tmp_path / "back", "--rtol", "1e-6")[0] == 0


def test_convert_to_a_template(tool, tmp_path):
    tool("convert", EXAMPLE, "--to", "legacy", "-o", tmp_path / "template")
    assert tool("reset", tmp_path / "template", "--optimizer", "-o", tmp_path / "fresh")[0] == 0
    status, out, _ = tool("convert", EXAMPLE, "--like", tmp_path / "fresh", "--lr", "0.25",
                          "-o", tmp_path / "out")
    assert (status, out.splitlines()[0]) == (
        0, f"{EXAMPLE}, {tmp_path / 'fresh'} -> {tmp_path / 'out'} (object-based)")
    assert "array(0.25" in tool("show", tmp_path / "out", "optimizer/learning_rate")[1] or (
        "value=0.25" in tool("show", tmp_path / "out", "optimizer/learning_rate")[1])


def test_strip_says_what_goes(tool, tmp_path):
    status, out, err = tool("strip", EXAMPLE, "-o", tmp_path / "slim", "--data", "pack")
    note = "note: 14 of 21 tensors are dropped, 472 of 712 bytes\n"
    assert (status, err) == (0, note)
    assert out.splitlines()[1] == ("  0 tensors kept, their bytes untouched; 7 rewritten; 0 new;"
                                   " 14 left out")
    assert tool("strip", EXAMPLE, "-o", tmp_path / "linked")[2] == (
        "note: the data files stay as large as they are; --data pack writes only what is kept\n"
        + note)


def test_the_other_edits_end_well(tool, make):
    make("m-10", w=np.float32([1, 2]), w__ExponentialMovingAverage=np.float32([5, 5]),
         global_step=np.int64(10))
    make("m-20", w=np.float32([3, 70000]), w__ExponentialMovingAverage=np.float32([5, 5]),
         global_step=np.int64(20))
    assert tool("ema", "m-10", "--use", "-o", "e")[2] == (
        "note: 1 variables have the values of their moving averages now\n")
    assert tool("reset", "m-10", "--step", "0", "-o", "r")[0] == 0
    assert tool("cast", "m-20", "--dtype", "float16", "-o", "c")[2].splitlines() == [
        "note: 2 tensors become float16",
        "note: 1 numbers are too large for float16 and became infinite, 0 too small and became"
        " zero, in 1 tensors: w (1 and 0)"]
    assert tool("average", "m-10", "m-20", "--weights", "1,3", "-o", "a")[2] == (
        "note: averaged 2 checkpoints (steps 10, 20); 2 float tensors averaged, 1 taken from the"
        " last, 0 of the optimizer dropped\n")
    assert "value=[2.50000e+00 5.25005e+04]" in tool("show", "a", "w")[1]


@pytest.mark.parametrize(("arguments", "message"), [
    (["ema", EXAMPLE, "-o", "x"], "one of the arguments --use --drop is required"),
    (["reset", EXAMPLE, "-o", "x"],
     "error: nothing says what to reset\nGive --optimizer, --step N, or both.\n"),
    (["convert", EXAMPLE, "-o", "x.weights.h5"],
     "error: a .weights.h5 of Keras 3 needs the model: names in it are those of its layers\n"),
    (["convert", EXAMPLE, "-o", "x.h5"],
     "A .weights.h5 is written for a Keras 3 model: --to keras --model MODULE:FUNCTION.\n"),
    (["cast", EXAMPLE, "--dtype", "int8", "-o", "x"], "invalid choice"),
    (["cast", EXAMPLE, "--dtype", "float16", "--include", "(", "-o", "x"],
     "not a regular expression"),
    (["average", EXAMPLE, "--weights", "a", "-o", "x"], "expected numbers and commas"),
    (["convert", EXAMPLE, "-o", "x"], "nothing says what to convert to"),
    (["convert", EXAMPLE, "--like", EXAMPLE, "--hyper", "a", "-o", "x"], "expected NAME=NUMBER"),
    (["match", EXAMPLE], "the following arguments are required: --against")])
def test_wrong_usage_ends_with_2(tool, arguments, message):
    status, out, err = tool(*arguments)
    assert (status, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("arguments", [
    ["strip"], ["select", "--keep", "dense"], ["cast", "--dtype", "float16"],
    ["rename", "--replace", "kernel=weights"], ["merge"], ["reshard", "--shards", "2"],
    ["salvage"], ["average"]], ids=lambda arguments: arguments[0])
def test_an_edit_does_not_call_a_checkpoint_as_a_file_of_another_format(tool, tmp_path, arguments):
    # It wrote m.safetensors.index, and exit status 0 said that all was well.
    target = tmp_path / "m.safetensors"
    status, out, err = tool(*arguments, EXAMPLE, "-o", target)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1] == (
        f"tfckpt {arguments[0]}: error: argument -o/--output: {target} is no prefix of a"
        " checkpoint, which this command writes; give one, and make a safetensors file of it with:"
        " tfckpt convert")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("called", "name"), [
    ("half", "float16"), ("fp16", "float16"), ("f16", "float16"), ("bf16", "bfloat16"),
    ("float", "float32"), ("fp32", "float32"), ("f32", "float32"),
    ("double", "float64"), ("fp64", "float64"), ("f64", "float64"), ("float64", "float64")])
def test_dtypes_may_be_called_what_people_call_them(tool, tmp_path, called, name):
    status, _, _ = tool("cast", EXAMPLE, "--dtype", called, "-o", tmp_path / "m")
    assert status == 0
    with tfckpt.open(tmp_path / "m") as source:
        assert source.index["dense/kernel"].dtype.name == name
    status, _, _ = tool("convert", EXAMPLE, "--dtype", called, "-o", tmp_path / "m.safetensors")
    assert status == 0
    assert tfckpt.load_file(tmp_path / "m.safetensors")["dense/kernel"].dtype.name == name


def test_an_unknown_dtype_is_told_the_known_ones(tool, tmp_path):
    status, _, err = tool("cast", EXAMPLE, "--dtype", "int8", "-o", tmp_path / "m")
    assert status == 2
    assert "argument --dtype: invalid choice: 'int8' (choose from " in err


@pytest.mark.parametrize(("called", "name"), [("pytorch", "torch"), ("numpy", "npz"),
                                              ("flax", "msgpack")])
def test_formats_may_be_called_by_their_framework(tool, tmp_path, called, name):
    status, out, _ = tool("convert", EXAMPLE, "--to", called, "--skip-optimizer",
                          "-o", tmp_path / "out")
    assert status == 0
    assert out.splitlines()[0].endswith(f" -> {tmp_path}/out ({name})")


def test_jax_is_asked_which_format_it_means(tool, tmp_path):
    status, _, err = tool("convert", EXAMPLE, "--to", "jax", "-o", tmp_path / "out")
    assert status == 2
    assert err.splitlines()[-1] == ("tfckpt convert: error: argument --to: JAX has several"
                                    " formats: say msgpack (Flax), orbax or npz")
