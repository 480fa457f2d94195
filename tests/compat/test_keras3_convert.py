"""`convert --to keras`: models of code and of configs, and their optimizers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from helpers import ROOT, SHARED, far, needs_shared
from tfckpt.convert.strip import strip

ZOO = SHARED / "fixtures" / "keras" / "tf2.15"
ZOO_NAMES = sorted(path.name for path in ZOO.iterdir()) if ZOO.is_dir() else []
OLD_MODELS = ("recurrent", "frames", "attending", "functions", "nested", "deferred", "numbers",
              "volumes", "shared", "half", "mobile")

# --------------------------------------------------------------------------------- optimizers

# Each training that Keras 2 saved, the optimizer that goes on with it, and what isn't stored.
TRAININGS = {
    "Adam": ("Adam", {"amsgrad": True}, {}), "SGD": ("SGD", {"momentum": 0.9}, {}),
    "legacy Adam": ("Adam", {}, {}),
    "RMSprop": ("RMSprop", {"momentum": 0.5, "centered": True}, {}),
    "TF1 Adam": ("Adam", {"learning_rate": 0.01, "epsilon": 1e-8}, {}),
    "TF1 Momentum": ("SGD", {"momentum": 0.9}, {"learning_rate": 0.01})}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of trainings that Keras 2 and TF1's optimizers saved, and each one's next step."""
    import live

    folder = tmp_path_factory.mktemp("trained")
    return folder, live.live("tf2.15")("train_old", "keras_snippets", folder=folder)


def test_a_compiled_model_goes_on_with_the_training(trained, torch_keras):
    folder, wanted = trained
    found = torch_keras("train_on", "keras_snippets", folder=folder, cases=TRAININGS)
    assert list(found) == list(wanted)
    for name, (weights, verified, title, n_values, _) in found.items():
        assert far(weights, wanted[name]) < 1e-6, name
        assert verified == 6 + n_values
        assert title == TRAININGS[name][0]
    assert found["TF1 Adam"][4][-1] == (
        "Not in the source, so the target's own: learning_rate 0.01.")


def test_state_that_another_optimizer_has_no_use_for(trained, torch_keras):
    folder, _ = trained
    plain = folder / "Adam.weights"
    strip(folder / "Adam", plain)
    found = torch_keras("untrained", "keras_snippets", folder=folder, cases=[
        ("Adam", "SGD", {}), ("Adam", "SGD", {"optimizer": "none"}), ("Adam", None, {}),
        (plain, "adam", {}), (plain, "adam", {"given": {"learning_rate": 1}}),
        ("Adam", None, {"optimizer": "bert"}), ("Adam", None, {"optimizer": "adam"}),
        ("Adam", "muon", {}), ("SGD", "adam", {"optimizer": "adam"})])
    assert found == [
        f"the state of Adam can't become that of SGD (file {folder / 'Adam'})\n"
        "Leave it behind with --optimizer none.", None, None, None,
        f"there is no state of an optimizer (file {plain})",
        "the model isn't compiled, so it has no optimizer: got bert\n"
        "Have the function compile it.", "Adam",
        "state can't be carried into this optimizer: got Muon\n"
        "Leave it behind with --optimizer none.",
        f"the state of SGD can't become that of Adam (file {folder / 'SGD'})\n"
        "Leave it behind with --optimizer none."]


def test_weights_are_not_loaded_without_the_state_that_was_asked_for(trained, torch_keras):
    folder, _ = trained
    plain = folder / "SGD.weights"
    strip(folder / "SGD", plain)
    assert torch_keras("load_without_state", "keras_snippets", folder=folder, cases=[
        ("SGD", None), (plain, "sgd"), ("SGD", "adam")]) == [
        ["the model isn't compiled, so it has no optimizer: got functional\n"
         "Compile it before.", True],
        [f"there is no state of an optimizer (file {plain})\n"
         "Nothing was loaded; optimizer=False doesn't ask for it.", True],
        [f"the state of SGD can't become that of Adam (file {folder / 'SGD'})\n"
         "Leave it behind with --optimizer none.", True]]


# ------------------------------------------------------------------------- on the command line

MODULE = '''
"""Models of a user's own, found in the folder that the command is called in."""

import keras
import keras_models


def towers():
    return keras_models.build("towers", keras)[0]


def named():
    return keras_models.build("named_towers", keras)[0]


def unbuilt():
    return keras.Sequential([keras.layers.Dense(3)])


answer = 42
'''


@pytest.fixture
def convert(tmp_path):
    """`tfckpt convert --to keras` in an environment without TensorFlow."""
    import live

    live.live("keras3", "torch")
    (tmp_path / "mine.py").write_text(MODULE)
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}

    def run(*arguments):
        done = subprocess.run(
            [live.ENVS / "keras3" / "bin" / "python", "-m", "tfckpt.cli.main", "convert", "--to",
             "keras", *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True,
            check=False, env={**environment, "PYTHONPATH": os.pathsep.join(
                [str(ROOT / "src"), str(Path(__file__).parent)])})
        return done.returncode, done.stdout, done.stderr
    return run


def test_the_command_writes_weights_that_keras_3_loads(saved, convert, tmp_path, torch_keras):
    folder, wanted = saved("towers")
    weights, target = folder / "weights", tmp_path / "new" / "towers.weights.h5"
    old = ("--config", folder / "config of the old model.json", "--model", "mine:towers")
    status, out, _ = convert(weights, *old, "-o", target, "--dry-run")
    assert (status, target.exists()) == (0, False)
    assert out.endswith("\nNothing written (--dry-run).\n")
    assert "  layer_with_weights-2/kernel" in out
    assert convert(weights, *old, "-o", target)[:2] == (0, (
        "6 of 6 model weights loaded (6 by config).\n"
        f"{weights} -> {target}\n"
        "verified: 6 of 6 weights bit-equal after reload\n"))
    assert os.listdir(target.parent) == ["towers.weights.h5"]
    got = torch_keras("load_own", "keras_snippets", model="towers", path=target)
    assert far(got, wanted) < 1e-5
    status, out, err = convert(weights, *old, "-o", target)
    assert (status, out) == (2, "")
    assert err == (f"error: something is there already (file {target})\n"
                   "Replace it with --overwrite.\n")
    status, out, _ = convert(weights, *old, "-o", target, "--overwrite", "--json")
    assert status == 0
    assert json.loads(out)["verified"] == 6
    assert {item["how"] for item in json.loads(out)["found"]} == {"config"}


def test_what_cannot_be_told_apart_is_a_map_to_fill_in(saved, convert, tmp_path):
    folder, _ = saved("towers")
    target = tmp_path / "towers.weights.h5"
    status, out, err = convert(folder / "weights", "--model", "mine:towers", "-o", target,
                               "--save-map", tmp_path / "map.json")
    assert (status, out, target.exists()) == (2, "", False)
    assert "which is which?" in err
    assert err.endswith(
        f"Nothing was loaded. Fill in {tmp_path / 'map.json'}, where a question mark stands"
        f" before the weights to choose from, and give it as --map {tmp_path / 'map.json'}.\n")
    lines = json.loads((tmp_path / "map.json").read_text())
    filled = {key: options[2:].split(", ")[int(key[19])] for key, options in lines.items()}
    (tmp_path / "map.json").write_text(json.dumps(filled))
    status, out, err = convert(folder / "weights", "--model", "mine:towers", "-o", target, "--map",
                               tmp_path / "map.json")
    assert (status, err) == (0, "")
    assert "6 of 6 model weights loaded (4 by map, 2 by order)" in out


@pytest.mark.parametrize(("model", "output", "message"), [
    (None, "a.weights.h5",
     "error: a .weights.h5 of Keras 3 needs the model: names in it are those of its layers\n"
     "Give --model package.module:function, a function that makes it, or --model model.json,"
     " what to_json() of the old one gave; or --like FILE.weights.h5, one that it saved.\n"),
    ("mine:towers", "a.h5",
     "error: Keras 3 reads weights only from files with another ending: expected a name that ends"
     " in .weights.h5, got a.h5\n"),
    ("mine", "a.weights.h5",
     "error: this names no model: expected package.module:function, got mine\n"),
    ("mine:none", "a.weights.h5",
     "error: the model can't be found: module 'mine' has no attribute 'none': got mine:none\n"),
    ("mine:answer", "a.weights.h5",
     "error: this is no Keras 3 model: got mine:answer: int\n"),
    ("mine:unbuilt", "a.weights.h5",
     "error: the model isn't built, so it has no weights yet: got mine:unbuilt\n"
     "Have the function call it once, or model.build(input_shape).\n"),
])
def test_models_that_are_none(saved, convert, model, output, message):
    folder, _ = saved("towers")
    chosen = () if model is None else ("--model", model)
    assert convert(folder / "weights", *chosen, "-o", output) == (2, "", message)


@pytest.fixture(scope="module")
def old_models(tmp_path_factory):
    """Folder of models that only Keras 2 builds, and what each computes."""
    import live

    folder = tmp_path_factory.mktemp("configs")
    return folder, live.live("tf2.15")("save_for_configs", "keras_snippets", folder=folder)


# Of numbers around 1. On processors without instructions for bfloat16, PyTorch rounds the sums
# inside a product otherwise than TensorFlow. That the policy isn't lost, TensorFlow's 1e-5 shows.
_BFLOAT16 = 2 ** -8  # with the policy lost, it is more

# JAX compiles every operation of every model; where the others agree, it has nothing to add.
without_jax = pytest.mark.parametrize(
    "keras3", [("keras3", "torch"), ("tf2.21", "tensorflow")], indirect=True,
    ids=lambda item: item[1])


@without_jax
@pytest.mark.parametrize("name", OLD_MODELS)
def test_a_config_of_keras_2_is_a_model_of_keras_3(old_models, keras3, name):
    folder, wanted = old_models[0] / name, old_models[1][name]
    pairs = [("model.json", "weights"), ("saved_model", "saved_model")]
    if name != "frames":  # whose .h5 doesn't say which of two normalizations is inside the other
        pairs.append(("whole.h5", "whole.h5"))
    most = _BFLOAT16 if name == "half" and keras3.version != "tf2.21" else 1e-5
    for file, weights in pairs:
        if (folder / file).exists():
            got = keras3("revive", "keras_snippets", file=folder / file, path=folder / weights)
            assert far(got, wanted) < most, file


@needs_shared
@without_jax
@pytest.mark.parametrize("name", [name for name in ZOO_NAMES if name not in (
    "subclassed",  # to_json() refuses it
    "preprocessing")])  # its vocabulary was adapted, and is in no file
def test_configs_of_the_zoo_are_models_of_keras_3(keras3, name):
    found = keras3("revive_zoo", "keras_snippets", folder=ZOO / name)
    if name == "preprocessing_fixed" and keras3.version == "keras3":
        assert found == (
            "Keras 3 makes no model of this config: StringLookup 'lookup': Layer StringLookup"
            " requires TensorFlow. Install it via `pip install tensorflow`."
            f" (file {ZOO / name / 'model.json'})\n{WRITE_IT}")
    else:
        assert found < 1e-5


WRITE_IT = "Write the model as a function, and name that: --model package.module:function."
START = "Keras 3 makes no model of this config: "


def sequential(*layers):
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [
        {"class_name": name, "config": {"name": f"layer_{n}", **config}}
        for n, (name, config) in enumerate(layers)]}}


def test_configs_that_are_no_model_name_every_layer(torch_keras):
    function = {"class_name": "TFOpLambda", "name": "tf.fft", "inbound_nodes": [["a", 0, 0, {}]],
                "config": {"name": "tf.fft", "function": "signal.fft"}}
    entry = {"class_name": "InputLayer", "name": "a", "inbound_nodes": [],
             "config": {"name": "a", "batch_input_shape": [None, 4]}}
    graph = {"name": "g", "input_layers": [["a", 0, 0]], "output_layers": [["b", 0, 0]]}
    stuck = {"class_name": "Dense", "name": "b", "config": {"name": "b", "units": 2},
             "inbound_nodes": [[["c", 0, 0, {}]]]}
    found = torch_keras("refusals", "keras_snippets", configs=[
        sequential(("LSTM", {"units": 2, "time_major": True}), ("Lambda", {"function": "x"}),
                   ("LocallyConnected1D", {"filters": 2}), ("deserialize", {"config": {}}),
                   ("TFSMLayer", {"filepath": "x"}),
                   ("TimeDistributed", {"layer": {"class_name": "Mine", "config": {}}}),
                   ("Dense", {"units": 2, "bias_initializer": {"class_name": "get",
                                                               "config": {}}})),
        {"class_name": "Functional", "config": {**graph, "layers": [entry, function]}},
        {"class_name": "Functional", "config": {**graph, "layers": [entry, stuck]}},
        {"class_name": "Mine", "config": {**graph, "layers": [entry]}},
        sequential(("InputLayer", {"batch_input_shape": [None, 4]}), ("Dense", {"units": -1})),
        sequential(("InputLayer", {"batch_input_shape": [None, 4]}),
                   ("Dense", {"units": 1, "phase": 2}))])
    assert found == [
        f"{START}LSTM 'layer_0': time_major=True is nothing that Keras 3 can compute;"
        " Lambda 'layer_1': a Lambda is Python code, and code of a config is never run;"
        " LocallyConnected1D 'layer_2': Keras 3 has no such layer;"
        " deserialize 'layer_3': Keras 3 has no such layer;"
        " TFSMLayer 'layer_4': Keras 3 has no such layer;"
        " Mine: Keras 3 has no such layer;"
        f" Dense 'layer_6': Keras 3 has no bias_initializer get\n{WRITE_IT}",
        f"{START}TFOpLambda 'tf.fft': tf.signal.fft isn't known in Keras 3\n{WRITE_IT}",
        f"{START}inputs of b are none of its layers\n{WRITE_IT}",
        f"{START}Mine 'g': the model is a class of the program's own\n{WRITE_IT}",
        f"{START}Dense 'layer_1': Received an invalid value for `units`, expected a positive"
        f" integer. Received: units=-1\n{WRITE_IT}",
        f"{START}Dense 'layer_1': Unrecognized keyword arguments passed to Dense:"
        f" {{'phase': 2}}\n{WRITE_IT}"]


def test_a_config_beside_the_weights_is_the_model_and_tells_its_layers_apart(
        old_models, convert, tmp_path):
    folder = old_models[0] / "shared"
    assert convert(folder / "weights", "-o", tmp_path / "a.weights.h5") == (0, (
        f"model: made from the config in {folder / 'model.json'}\n"
        "5 of 5 model weights loaded (5 by config).\n"
        f"{folder / 'weights'} -> {tmp_path / 'a.weights.h5'}\n"
        "verified: 5 of 5 weights bit-equal after reload\n"), "")


def test_the_config_that_a_model_was_made_from_tells_its_layers_apart(
        saved, convert, tmp_path, torch_keras):
    folder, wanted = saved("towers")
    target = tmp_path / "a.weights.h5"
    status, out, err = convert(folder / "weights", "--model",
                               folder / "config of the old model.json", "-o", target)
    assert (status, out.partition("\n")[0], err) == (
        0, "6 of 6 model weights loaded (6 by config).", "")
    assert far(torch_keras("load_own", "keras_snippets", model="towers", path=target),
               wanted) < 1e-5


def test_a_file_without_a_config_is_no_model(saved, convert):
    folder, _ = saved("towers")
    assert convert(folder / "weights", "--model", folder / "weights.h5", "-o", "a.weights.h5") == (
        2, "", "error: no config of a model is in the file or beside it"
               f" (file {folder / 'weights.h5'})\n{WRITE_IT}\n")


def test_the_command_takes_the_optimizer_along(trained, convert, tmp_path):
    source, target = trained[0] / "TF1 Adam", tmp_path / "a.weights.h5"
    assert convert(source, "--model", "mine:named", "--optimizer", "adam", "--lr", "0.02", "-o",
                   target) == (0, (
        "6 of 6 model weights loaded (6 by name). Unused in checkpoint: 1 other.\n"
        "note: 14 values of the optimizer, Adam, are loaded\n"
        "note: Keras 3 on TensorFlow adds up the squares of a gradient's parts where a batch uses"
        " one row of an embedding several times; the others square the sum.\n"
        f"{source} -> {target}\n"
        "verified: 20 of 20 weights and values of the optimizer bit-equal after reload\n"), "")


def test_a_config_of_tensorflow_1(tmp_path, torch_keras, tf115):
    wanted = tf115("save_in_tf1", "keras_snippets", folder=tmp_path)
    for file in ("weights", "weights.h5"):
        got = torch_keras("revive", "keras_snippets", file=tmp_path / "tf1" / "model.json",
                          path=tmp_path / "tf1" / file)
        assert far(got, wanted) < 1e-5, file


def test_weights_of_cudnn_become_what_keras_2_makes_of_them(tmp_path, torch_keras, tf215):
    wanted = tf215("save_cudnn", "keras_snippets", folder=tmp_path)
    for file in ("weights", "weights.h5"):
        got = torch_keras("revive", "keras_snippets", file=tmp_path / "cudnn" / "model.json",
                          path=tmp_path / "cudnn" / file)
        assert far(got, wanted) < 1e-5, file


# --------------------------------------------------------------------------------------- proof

TO_PROVE = """
import keras
import keras_models
import keras_old_models


def towers():
    return keras_models.build("named_towers", keras)[0]


def otherwise():
    model = towers()
    model.get_layer("left").activation = keras.activations.hard_sigmoid
    return model


def pieces():
    return keras_models.build("pieces", keras)[0]


def old_attending(path):
    import tf_keras

    model = keras_old_models.build("attending", tf_keras)[0]
    model.load_weights(path)
    return model


def plain(path):
    import numpy as np
    import tensorflow as tf

    model = tf.saved_model.load(path)

    def compute(x):  # no TensorFlow in what it takes and gives
        assert type(x) is np.ndarray
        return model(tf.constant(x)).numpy()
    return compute
"""


def test_proof_runs_both_models_on_the_same_input(saved, old_models, tmp_path, tf221_keras3):
    (tmp_path / "proven.py").write_text(TO_PROVE)
    folder, _ = saved("named_towers")
    saved_model, nested = folder / "saved_model", old_models[0] / "nested" / "saved_model"
    attending = old_models[0] / "attending"

    def prove(source, *arguments):
        target = tmp_path / "out" / "a.weights.h5"
        status, out, err = tf221_keras3(
            "command", "keras_snippets", folder=tmp_path, arguments=[
                "convert", str(source), "--to", "keras", "-o", str(target), *map(str, arguments)])
        assert target.exists() == (status == 0)
        target.unlink(missing_ok=True)
        return status, out.partition("largest difference: ")[2] or err

    def shown(status, text, rest):
        assert status == 0
        number, _, other = text.partition(" ")
        assert float(number) < 1e-5
        assert other.partition("\n")[0] == rest

    towers = (saved_model, "--model", "proven:towers", "--prove")
    shown(*prove(*towers), "(output of [2, 4], random input [2, 4])")
    shown(*prove(*towers, "proven:plain"), "(output of [2, 4], random input [2, 4])")
    shown(*prove(*towers, "--prove-input", "5,4"), "(output of [5, 4], random input [5, 4])")
    pieces = (saved("pieces")[0] / "saved_model", "--model", "proven:pieces", "--prove")
    shown(*prove(*pieces, "--prove-input", "3,4"), "(output of [3, 2], random input [3, 4])")
    shown(*prove(nested, "--prove"), "(output of [2, 2], random inputs [2, 4], [2, 4])")
    shown(*prove(attending / "weights", "--model", attending / "model.json", "--prove",
                 "proven:old_attending"), "(output of [2, 5, 3], random input [2, 5])")

    status, text = prove(saved_model, "--model", "proven:otherwise", "--prove")
    assert status == 1
    assert text.startswith("error: the models compute different things; largest difference: 0.")
    assert " (output of [2, 4], random input [2, 4]): expected at most 1e-05 of " in text
    assert text.endswith(
        "\nnote: left: hard_sigmoid is x / 6 + 0.5 in Keras 3 and was x / 5 + 0.5 in Keras 2; what"
        " the model computes will differ\n--tolerance X accepts larger differences.\n")
    assert prove(saved_model, "--model", "proven:otherwise", "--prove", "--tolerance", 5)[0] == 0

    assert prove(*pieces) == (2, (
        "error: the model doesn't say what it takes: got whole\n"
        "Say it for each input: --prove-input 2,28,28,1 or --prove-input 2,16:int32:1000.\n"))
    status, text = prove(*towers, "--prove-input", "2,7")
    assert status == 2
    assert text.startswith("error: a model doesn't run on random input: ")
    assert text.endswith(": got [2, 7] of float32\nSay what it takes: --prove-input 2,28,28,1 or"
                         " --prove-input 2,16:int32:1000.\n")
    status, text = prove(folder / "weights", "--model", "proven:towers", "--prove")
    assert (status, text) == (2, (
        f"error: only a SavedModel can be run by itself (file {folder / 'weights'})\n"
        "Name a function that takes SRC and gives the old model: --prove"
        " package.module:function.\n"))


def test_proof_needs_tensorflow(saved, tmp_path, torch_keras):
    (tmp_path / "unproven.py").write_text(TO_PROVE)
    folder, _ = saved("named_towers")
    assert torch_keras("command", "keras_snippets", folder=tmp_path, arguments=[
        "convert", str(folder / "saved_model"), "--to", "keras", "-o", "a.weights.h5", "--model",
        "unproven:towers", "--prove"]) == [2, "", (
            "error: --prove runs the old model, which needs TensorFlow\n"
            "Run: pip install 'tfckpt[tensorflow]'\n")]
    assert not (tmp_path / "a.weights.h5").exists()
