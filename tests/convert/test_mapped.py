"""Conversions by a map: to another framework's names and layouts, and back."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, ROOT
from tfckpt.cli.main import run
from tfckpt.convert.mapfiles import read_map
from tfckpt.convert.mapform import parse_map
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.errors import ChecksumError, MismatchError, UnsupportedError
from tfckpt.format.dtypes import dtype_named

MAP = {
    "tfckpt-map": 1, "name": "mine", "here": "our model", "there": "its port",
    "rules": [
        {"here": "layer_{n}/kernel", "there": "layers.{n-1}.weight", "layout": "dense"},
        {"here": "layer_{n}/bias", "there": "layers.{n-1}.bias"},
        {"here": "embeddings", "there": "[m.]embed.weight", "tied": "head.weight"},
        {"here": "lstm/kernel", "there": ["lstm.weight_ih_l0", "lstm.weight_hh_l0"],
         "layout": "lstm1_kernel"},
        {"here": ["a/q", "a/k", "a/v"], "there": "a.qkv", "layout": "qkv"},
        {"here": "norm/mean", "there": "norm.running_mean"},
        {"here": "words", "there": "words"},
    ],
    "constants": [{"there": "norm.num_batches_tracked", "for": "norm/mean", "value": 3,
                   "dtype": "int64"}],
    "left_out": [{"here": "global_step", "why": "no weight"}],
    "metadata": {"format": "pt"},
}


def numbers(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


HERE = {"layer_1/kernel": numbers(3, 4), "layer_1/bias": numbers(4), "embeddings": numbers(5, 3),
        "lstm/kernel": numbers(5, 8), "a/q": numbers(6, 2, 3), "a/k": numbers(6, 2, 4)[:, :, :3],
        "a/v": numbers(6, 3, 2).reshape(6, 2, 3), "norm/mean": numbers(4)}


@pytest.fixture
def checkpoint(tmp_path):
    tfckpt.save_file({**HERE, "global_step": np.int64(7)}, tmp_path / "source.npz")
    tfckpt.convert(tmp_path / "source.npz", tmp_path / "model.ckpt", to="tf1")
    return tmp_path / "model.ckpt"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(MAP))
    return str(tmp_path / "mine.json")


@pytest.mark.parametrize("target", ["m.safetensors", "m.pt", "m.npz"])
def test_file_has_the_other_frameworks_names_and_layouts(tmp_path, checkpoint, file, target):
    report = tfckpt.convert(checkpoint, tmp_path / target, map=file)
    assert report.verified == (8, 8)
    found = tfckpt.load_file(tmp_path / target)
    kernel = HERE["lstm/kernel"].T.reshape(4, 2, 5)[[0, 2, 1, 3]].reshape(8, 5)
    expected = {
        "layers.0.weight": HERE["layer_1/kernel"].T, "layers.0.bias": HERE["layer_1/bias"],
        "m.embed.weight": HERE["embeddings"], "lstm.weight_ih_l0": kernel[:, :3],
        "lstm.weight_hh_l0": kernel[:, 3:],
        "a.qkv": np.concatenate([HERE[f"a/{x}"].reshape(6, 6).T for x in "qkv"]),
        "norm.running_mean": HERE["norm/mean"], "norm.num_batches_tracked": np.int64(3)}
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].tolist() == array.tolist(), name


@pytest.mark.parametrize("to", ["tf1", "tf2", "tf1-v1"])
def test_file_comes_back(tmp_path, checkpoint, to):
    """Except for how a fused tensor was cut into heads, which the other side doesn't tell."""
    name_map = parse_map({**MAP, "rules": [rule for rule in MAP["rules"]
                                           if rule["there"] != "a.qkv"]})
    tfckpt.convert(checkpoint, tmp_path / "m.safetensors", map=name_map, exclude="^a/")
    report = tfckpt.convert(tmp_path / "m.safetensors", tmp_path / "back" / "ckpt", to=to,
                            map=name_map)
    n = len(HERE) - 3 + 2 * (to == "tf2")
    assert report.verified == (n, n)
    diff = tfckpt.diff(checkpoint, tmp_path / "back" / "ckpt")
    assert diff.counts["same"] == len(HERE) - 3
    assert not diff.only_b


def test_object_based_checkpoint_goes_by_its_names(tmp_path, checkpoint, file):
    tfckpt.convert(checkpoint, tmp_path / "tf2" / "ckpt", to="tf2")
    tfckpt.convert(checkpoint, tmp_path / "one.safetensors", map=file)
    tfckpt.convert(tmp_path / "tf2" / "ckpt", tmp_path / "two.safetensors", map=file)
    one, two = (tfckpt.load_file(tmp_path / f"{n}.safetensors") for n in ("one", "two"))
    assert {name: array.tolist() for name, array in one.items()} == {
        name: array.tolist() for name, array in two.items()}


def test_metadata_are_those_of_the_map(tmp_path, checkpoint, file):
    tfckpt.convert(checkpoint, tmp_path / "m.safetensors", map=file)
    with tfckpt.open(tmp_path / "m.safetensors") as source:
        assert source.metadata == {"format": "pt", "tfckpt.style": "name-based",
                                   "tfckpt.step": "7", "tfckpt.map": "mine"}


def test_dtype_and_map_go_together(tmp_path, checkpoint, file):
    report = tfckpt.convert(checkpoint, tmp_path / "m.safetensors", map=file, dtype="bfloat16")
    assert report.plan.notes == (
        "tensors of floating point become bfloat16", "by the map mine, from our model to its port",
        "tied, and so not repeated: head.weight is m.embed.weight")
    found = tfckpt.load_file(tmp_path / "m.safetensors")["layers.0.weight"]
    assert found.dtype.name == "bfloat16"
    assert found.tolist() == HERE["layer_1/kernel"].T.astype(found.dtype).tolist()


def test_tensors_in_parts_and_strings_go_too(tmp_path):
    with tfckpt.open(ROOT / "tests/goldens/tf1.15/sliced") as source:
        name = next(key for key, entry in source.index.items()
                    if entry.slices and len(entry.shape) == 2)
        array = source[name]
    name_map = parse_map({**MAP, "rules": [{"here": name, "there": "w", "layout": "dense"}],
                          "left_out": [{"here": "{*rest}", "why": "others"}]})
    tfckpt.convert(ROOT / "tests/goldens/tf1.15/sliced", tmp_path / "m.safetensors", map=name_map)
    assert tfckpt.load_file(tmp_path / "m.safetensors")["w"].tolist() == array.T.tolist()
    words = np.array([b"one", b"two"], object)
    tfckpt.save_file({"words": words}, tmp_path / "words.npz")
    tfckpt.convert(tmp_path / "words.npz", tmp_path / "out.npz", map=parse_map(MAP))
    assert tfckpt.load_file(tmp_path / "out.npz")["words"].tolist() == words.tolist()
    by_dense = {**MAP, "rules": [{"here": "words", "there": "w", "layout": "dense"}]}
    with pytest.raises(UnsupportedError) as caught:
        tfckpt.convert(tmp_path / "words.npz", tmp_path / "no.npz", map=parse_map(by_dense))
    assert str(caught.value) == ("the layout dense takes numbers of one dtype: got string"
                                 f" (file {tmp_path / 'words.npz'}, tensor 'words')")


def test_big_endian_numbers_are_turned(tmp_path, file):
    kernel = HERE["layer_1/kernel"]
    outputs = tuple(array_output(name, array.byteswap(), dtype_named("float32"))
                    for name, array in (("layer_1/bias", numbers(4)), ("layer_1/kernel", kernel),
                                        ("norm/mean", numbers(4))))
    write_plan(Plan(outputs, "name-based", "big"), str(tmp_path / "big"))
    tfckpt.convert(tmp_path / "big", tmp_path / "m.safetensors", map=file)
    found = tfckpt.load_file(tmp_path / "m.safetensors")
    assert found["layers.0.weight"].tolist() == kernel.T.tolist()
    assert found["norm.num_batches_tracked"] == 3


def test_one_tensor_at_a_time_is_in_memory(tmp_path, file):
    tensors = {f"layer_{n}/kernel": np.full((1024, 1024), n, np.float32) for n in range(1, 7)}
    tfckpt.save_file(tensors, tmp_path / "source.npz")
    tfckpt.convert(tmp_path / "source.npz", tmp_path / "model.ckpt", to="tf1")
    tracemalloc.start()
    tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "m.safetensors", map=file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * tensors["layer_1/kernel"].nbytes


def test_names_without_a_rule_are_told_and_nothing_is_written(tmp_path, checkpoint, file, capsys):
    narrow = {**MAP, "rules": MAP["rules"][:3], "left_out": [], "constants": []}
    (tmp_path / "narrow.json").write_text(json.dumps(narrow))
    target = tmp_path / "m.safetensors"
    assert run(["convert", str(checkpoint), "--map", str(tmp_path / "narrow.json"),
                "-o", str(target)]) == 2
    assert capsys.readouterr().err == f"""\
error: the map mine doesn't cover the names, from our model to its port (file {checkpoint})
  a/k: no rule
  a/q: no rule
  a/v: no rule
  global_step: no rule
  lstm/kernel: no rule; the nearest is layer_{{n}}/kernel -> layers.{{n-1}}.weight
  norm/mean: no rule
Every name needs a rule, or a line under left_out that says why it has none.
"""
    assert not target.exists()


def test_shape_without_a_place_in_the_layout_is_told(tmp_path, file):
    tfckpt.save_file({"layer_1/kernel": numbers(2, 3, 4)}, tmp_path / "source.npz")
    with pytest.raises(UnsupportedError) as caught:
        tfckpt.convert(tmp_path / "source.npz", tmp_path / "m.safetensors", map=file)
    assert str(caught.value) == (
        "the shape doesn't fit the layout dense: expected [in, out], got [2, 3, 4]"
        f" (file {tmp_path / 'source.npz'}, tensor 'layer_1/kernel')")


def damage(checkpoint, name):
    with tfckpt.open(checkpoint) as source:
        entry = source.index[name]
        shard = source.shard_file(entry.shard_id)
    data = bytearray(Path(shard).read_bytes())
    data[entry.offset] ^= 1
    Path(shard).write_bytes(data)


def test_damage_is_found_while_a_tensor_is_moved(tmp_path, checkpoint, file):
    damage(checkpoint, "layer_1/kernel")
    with pytest.raises(ChecksumError):
        tfckpt.convert(checkpoint, tmp_path / "m.safetensors", map=file)
    assert not (tmp_path / "m.safetensors").exists()


def test_names_that_are_there_already_are_told(tmp_path, checkpoint, file):
    tfckpt.convert(checkpoint, tmp_path / "m.safetensors", map=file, exclude="global_step")
    with pytest.raises(MismatchError) as caught:
        tfckpt.convert(tmp_path / "m.safetensors", tmp_path / "again.npz", map=file)
    assert str(caught.value) == (
        "the names are those of its port already, and the map mine was to lead there (file"
        f" {tmp_path / 'm.safetensors'})\n"
        "To a file, a map leads out of TensorFlow; with --to tf1 or --to tf2, into it.")
    name_map = read_map(file).inverted
    with pytest.raises(UnsupportedError, match="the shapes don't tell how the tensor is divided"):
        tfckpt.convert(tmp_path / "m.safetensors", tmp_path / "again.npz", map=name_map)
    tfckpt.convert(tmp_path / "m.safetensors", tmp_path / "again.npz", map=name_map,
                   exclude="qkv")
    assert "layer_1/kernel" in tfckpt.load_file(tmp_path / "again.npz")


def test_tied_tensors_that_differ_are_not_one(tmp_path, file):
    weight = numbers(5, 3)
    tfckpt.save_file({"embed.weight": weight, "head.weight": weight}, tmp_path / "same.npz")
    report = tfckpt.convert(tmp_path / "same.npz", tmp_path / "ok.ckpt", to="tf1", map=file)
    assert report.plan.left_out == (("head.weight", "tied to embed.weight"),)
    tfckpt.save_file({"embed.weight": weight, "head.weight": -weight}, tmp_path / "other.npz")
    with pytest.raises(MismatchError) as caught:
        tfckpt.convert(tmp_path / "other.npz", tmp_path / "no.ckpt", to="tf1", map=file)
    assert str(caught.value) == f"""\
the map mine says that two names are of one tensor, but they differ (file {tmp_path / 'other.npz'})
  embed.weight and head.weight
--exclude '^head.weight$' leaves the second one behind."""


def test_options_that_have_no_meaning_with_a_map_are_refused(tmp_path, checkpoint, file, capsys):
    for options, told in (
            (["--to", "tf2", "--optimizer", "auto"],
             "--map can't be given with state of an optimizer that is converted"),
            (["--to", "tf1", "--max-shard-size", "1MB"], "--max-shard-size goes with safetensors"),
            (["--to", "tf1", "--allow-missing"],
             "--allow-missing can't be given with anything but --like and --to keras"),
            ([], "nothing says what to convert to")):
        target = str(tmp_path / "out")
        assert run(["convert", str(checkpoint), "--map", file, "-o", target, *options]) == 2
        assert told in capsys.readouterr().err


def test_what_becomes_of_each_tensor_is_shown(tmp_path, checkpoint, file, capsys):
    target = str(tmp_path / "m.safetensors")
    assert run(["convert", str(checkpoint), "--map", file, "-o", target, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out == f"""\
  a/q, a/k, a/v   ->  a.qkv                     qkv
  embeddings      ->  m.embed.weight
  layer_1/bias    ->  layers.0.bias
  layer_1/kernel  ->  layers.0.weight           dense
  lstm/kernel     ->  lstm.weight_ih_l0         lstm1_kernel
  lstm/kernel     ->  lstm.weight_hh_l0         lstm1_kernel
  norm/mean       ->  norm.running_mean
  (new)           ->  norm.num_batches_tracked
  global_step     --  left out: no weight
{checkpoint} -> {target} (safetensors)
  8 tensors; 1 left out
  layouts: 2 tensors lstm1_kernel, 1 tensor qkv, 1 tensor dense
  left out: global_step (no weight)
Nothing written (--dry-run).
"""
    assert run(["convert", str(checkpoint), "--map", file, "-o", target, "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)["outputs"]}
    assert rows["a.qkv"] == {"key": "a.qkv", "dtype": "float32", "shape": [18, 6], "from": "a/q",
                             "made_of": ["a/q", "a/k", "a/v"], "layout": "qkv"}
    assert "layout" not in rows["norm.running_mean"]


def test_maps_lists_prints_and_compares(tmp_path, checkpoint, file, capsys):
    assert run(["maps"]) == 0
    assert "hf-bert" in capsys.readouterr().out
    assert run(["maps", file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == MAP
    assert run(["maps", file]) == 0
    assert capsys.readouterr().out == """\
mine: our model -> its port
  layer_{n}/kernel  ->  layers.{n-1}.weight                   dense
  layer_{n}/bias    ->  layers.{n-1}.bias
  embeddings        ->  [m.]embed.weight (tied: head.weight)
  lstm/kernel       ->  lstm.weight_ih_l0, lstm.weight_hh_l0  lstm1_kernel
  a/q, a/k, a/v     ->  a.qkv                                 qkv
  norm/mean         ->  norm.running_mean
  words             ->  words
  (new)             ->  norm.num_batches_tracked              int64 3, for each norm/mean
  global_step       --  left out: no weight
"""
    assert run(["maps", file, str(checkpoint)]) == 0
    assert capsys.readouterr().out == """\
mine: from our model to its port
ok    8 of 9 tensors become 8; 1 left out
      global_step: no weight
"""
    assert run(["maps", "hf-bert", str(checkpoint), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"][0] == "a/k: no rule"


def test_state_of_an_optimizer_is_left_out_by_structure(tmp_path):
    name_map = parse_map({**MAP, "rules": [{"here": "{*name}", "there": "{*name}"}],
                          "constants": [], "left_out": []})
    report = tfckpt.convert(EXAMPLE, tmp_path / "m.safetensors", map=name_map)
    assert {item.reason for item in report.plan.left_out} == {"optimizer state"}
    assert len(report.plan.outputs) == 7


def test_inspect_and_convert_say_which_map_fits(tmp_path, capsys):
    tensors = {"model/wte": numbers(5, 4), "model/wpe": numbers(6, 4),
               "model/h0/attn/c_attn/w": numbers(1, 4, 12), "model/h0/attn/c_attn/b": numbers(12)}
    tfckpt.save_file(tensors, tmp_path / "source.npz")
    tfckpt.convert(tmp_path / "source.npz", tmp_path / "model.ckpt", to="tf2")
    told = ("hint: its names are those of OpenAI's GPT-2; `tfckpt convert --map hf-gpt2 -o"
            " DST.safetensors` gives them the names and layouts of Hugging Face's GPT-2\n")
    for name in ("source.npz", "model.ckpt"):
        assert run(["inspect", str(tmp_path / name)]) == 0
        assert capsys.readouterr().out.endswith(told)
    report = tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "plain.safetensors")
    assert report.plan.notes == (
        "names and layouts are those of OpenAI's GPT-2; --map hf-gpt2 gives those of Hugging Face's"
        " GPT-2",)
    assert tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "plain.npz").plan.notes == ()
    tfckpt.convert(tmp_path / "model.ckpt", tmp_path / "m.safetensors", map="hf-gpt2")
    assert run(["inspect", str(tmp_path / "m.safetensors"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hints"] == [
        "its names are those of Hugging Face's GPT-2; `tfckpt convert --map hf-gpt2 --to tf1 -o"
        " DST` gives them the names and layouts of OpenAI's GPT-2"]
    tfckpt.save_file({**tensors, "more": numbers(1)}, tmp_path / "other.npz")
    assert run(["inspect", str(tmp_path / "other.npz")]) == 0
    assert "hint" not in capsys.readouterr().out


def test_diff_compares_what_a_file_of_the_other_framework_has(tmp_path, checkpoint, file, capsys):
    """As it has it: without text that may be missing, and what is tied under both names."""
    tfckpt.convert(checkpoint, tmp_path / "m.safetensors", map=file)
    theirs = {name.removeprefix("m."): array
              for name, array in tfckpt.load_file(tmp_path / "m.safetensors").items()}
    theirs["head.weight"] = theirs["embed.weight"]
    tfckpt.save_file(theirs, tmp_path / "theirs.pt")
    assert run(["diff", str(checkpoint), str(tmp_path / "theirs.pt"), "--map", file]) == 0
    out = capsys.readouterr()
    assert out.out.splitlines()[-1] == "ok    9 the same"
    assert out.err == ("note: by the map mine, from our model to its port\n"
                       "note: left out: global_step (no weight)\n")
    del theirs["layers.0.bias"]
    theirs["layers.0.weight"] = theirs["layers.0.weight"] + np.float32(1)
    tfckpt.save_file(theirs, tmp_path / "other.pt")
    report = tfckpt.diff(checkpoint, tmp_path / "other.pt", map=file)
    assert list(report.only_a) == ["layers.0.bias"]
    assert [item.key for item in report.of("values")] == ["layers.0.weight"]
    assert report.counts["same"] == 7
    damage(checkpoint, "layer_1/kernel")
    report = tfckpt.diff(checkpoint, tmp_path / "other.pt", map=file)
    assert [item.key for item in report.of("unreadable")] == ["layers.0.weight"]
    assert report.counts["same"] == 7


@pytest.mark.parametrize("to", ["tf1", "tf2"])
def test_diff_leads_back_where_the_other_side_is_tensorflow(tmp_path, checkpoint, file, to):
    without = {"rules": [rule for rule in MAP["rules"] if rule["there"] != "a.qkv"]}
    name_map = parse_map({**MAP, **without})
    tfckpt.convert(checkpoint, tmp_path / "m.safetensors", map=name_map, exclude="^a/")
    tfckpt.convert(tmp_path / "m.safetensors", tmp_path / "back" / "ckpt", to=to, map=name_map)
    report = tfckpt.diff(tmp_path / "m.safetensors", tmp_path / "back" / "ckpt", map=name_map)
    assert report.counts["same"] == len(HERE) - 3
    assert report.same


@pytest.mark.parametrize("shape", [(600, 300), (300, 600), (1, 700), (700, 1), (256, 256)])
def test_matrices_of_several_tiles_are_transposed_whole(file, tmp_path, shape):
    kernel = numbers(*shape)
    tfckpt.save_file({"layer_1/kernel": kernel}, tmp_path / "big.npz")
    tfckpt.convert(tmp_path / "big.npz", tmp_path / "big.safetensors", map=file)
    assert np.array_equal(tfckpt.load_file(tmp_path / "big.safetensors")["layers.0.weight"],
                          kernel.T)
