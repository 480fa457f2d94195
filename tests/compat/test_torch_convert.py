"""`tfckpt convert --model` by way of modules of PyTorch, without TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess

import live
import numpy as np
import pytest

import tfckpt
from helpers import ROOT

MODULE = '''
import numpy as np
import torch
from torch import nn

import tfckpt


class Net(nn.Module):
    def __init__(self, seen=5):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4, eps=1e-3)
        self.last = nn.Linear(4, seen)

    def forward(self, x):
        return self.last(self.norm(self.first(x)).relu())


class Twins(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)


def wider():
    return Net(6)


def old(path):
    """What the program of old computed."""
    w = {name: array.astype("float64") for name, array in tfckpt.open(path).items()}

    def compute(x):
        x = x @ w["first/kernel"] + w["first/bias"]
        x = (x - w["norm/moving_mean"]) / np.sqrt(w["norm/moving_variance"] + 1e-3)
        x = np.maximum(x * w["norm/gamma"] + w["norm/beta"], 0)
        return x @ w["last/kernel"] + w["last/bias"]
    return compute


def untrue(path):
    return lambda x: old(path)(x) + 0.1


answer = 42
'''


@pytest.fixture
def convert(tmp_path):
    live.live("keras3", "torch")  # that it is there
    (tmp_path / "mine.py").write_text(MODULE)

    def run(*arguments, status=0):
        done = subprocess.run(
            [live.ENVS / "keras3" / "bin" / "python", "-m", "tfckpt.cli.main", "convert", "old/m",
             *arguments], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
        assert done.returncode == status, done.stderr
        return done.stderr if status else done.stdout
    return run


@pytest.fixture
def weights(tmp_path):
    numbers = np.random.default_rng(3)
    shapes = {"first/kernel": (3, 4), "first/bias": (4,), "norm/gamma": (4,), "norm/beta": (4,),
              "norm/moving_mean": (4,), "norm/moving_variance": (4,), "last/kernel": (4, 5),
              "last/bias": (5,)}
    made = {name: numbers.uniform(0.5, 1.5, shape).astype(np.float32)
            for name, shape in shapes.items()}
    tfckpt.Saver({name: tfckpt.Variable(value) for name, value in made.items()}).save(
        None, tmp_path / "old" / "m", write_state=False)
    return made


def test_a_file_that_the_module_loads_and_proof(convert, weights, tmp_path):
    out = convert("--model", "mine:Net", "-o", "new/net.safetensors", "--prove", "mine:old",
                  "--prove-input", "7,3")
    first, *lines = out.splitlines()
    assert first == "8 tensors of Net loaded (8 by name)."
    assert lines[-3].startswith("largest difference: ")
    assert float(lines[-3].split()[2]) < 1e-5
    assert lines[-3].endswith(" (output of [7, 5], random input [7, 3])")
    assert lines[-2:] == ["old/m -> new/net.safetensors",
                          "verified: 9 of 9 tensors bit-equal after reload"]
    with tfckpt.open(tmp_path / "new" / "net.safetensors") as written:
        assert written.metadata == {"format": "pt"}
        assert sorted(written) == sorted([
            "first.bias", "first.weight", "last.bias", "last.weight", "norm.bias",
            "norm.num_batches_tracked", "norm.running_mean", "norm.running_var", "norm.weight"])
        assert np.array_equal(written["first.weight"], weights["first/kernel"].T)
        assert np.array_equal(written["norm.running_var"], weights["norm/moving_variance"])


def test_dry_run_json_and_pt(convert, weights, tmp_path):
    out = convert("--model", "mine:Net", "-o", "net.pt", "--dry-run")
    assert "  last/kernel           ->  last.weight" in out
    assert out.endswith("Nothing written (--dry-run).\n")
    assert not (tmp_path / "net.pt").exists()
    found = json.loads(convert("--model", "mine:Net", "-o", "net.pt", "--json"))
    assert (found["module"], found["verified"], found["written"]) == ("Net", 9, True)
    assert min(tfckpt.load_file(tmp_path / "net.pt")) == "first.bias"


def test_what_does_not_fit_or_agree_leaves_nothing(convert, weights, tmp_path):
    proof = ("--prove", "mine:untrue", "--prove-input", "7,3")
    message = convert("--model", "mine:Net", "-o", "net.pt", *proof, status=1)
    assert message.startswith("error: the models compute different things; largest difference: 0.1")
    assert convert("--model", "mine:Net", "-o", "net.pt", "--prove", "mine:old", status=2) == (
        "error: a module of PyTorch doesn't say what it takes: got Net\n"
        "Say it for each input: --prove-input 2,3,32,32 or --prove-input 2,16:int64:1000.\n")
    assert convert("--model", "mine:Net", "-o", "net.pt", "--prove", status=2) == (
        "error: --prove runs the old model, which needs TensorFlow\n"
        "Run: pip install 'tfckpt[tensorflow]'\n")
    message = convert("--model", "mine:wider", "-o", "net.pt", status=2)
    assert message.startswith("error: the checkpoint doesn't fill the Net: ")
    assert convert("--model", "mine:answer", "-o", "net.pt", status=2) == (
        "error: this is no module of PyTorch: got mine:answer: int\n"
        "Models of Keras 3 go with --to keras.\n")
    assert convert("--model", "mine:Net", "--to", "tf2", "-o", "x", status=2) == (
        "error: --model is for --to keras and for files of PyTorch: expected an output that ends in"
        " .safetensors, .pt or .pth, or --to keras (file x)\n")
    assert {item.name for item in tmp_path.iterdir()} - {"__pycache__"} == {"mine.py", "old"}


def test_equal_layers_become_a_map_to_fill_in(convert, tmp_path):
    numbers = np.arange(32, dtype=np.float32).reshape(2, 4, 4)
    tfckpt.Saver({f"{name}/{part}": tfckpt.Variable(value) for name, n in (("x", 0), ("y", 1))
                  for part, value in (("kernel", numbers[n]), ("bias", numbers[n][0]))}).save(
        None, tmp_path / "old" / "m", write_state=False)
    ask = ("--model", "mine:Twins", "-o", "twins.safetensors")
    message = convert(*ask, "--save-map", "map.json", status=2)
    assert message.endswith("Nothing was loaded. Fill in map.json, where a question mark stands"
                            " before the weights to choose from, and give it as --map map.json.\n")
    pairs = json.loads((tmp_path / "map.json").read_text())
    chosen = {name: ("b" if name.startswith("x") else "a") + (
        ".weight" if "kernel" in name else ".bias") for name in pairs}
    (tmp_path / "map.json").write_text(json.dumps(chosen))
    convert(*ask, "--map", "map.json")
    assert np.array_equal(tfckpt.load_file(tmp_path / "twins.safetensors")["b.weight"],
                          numbers[0].T)
