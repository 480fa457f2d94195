"""Edited checkpoints judged by real TensorFlow and Keras."""

from __future__ import annotations

import live as live_module
import numpy as np
import pytest
from test_optimizers import FAMILIES, FIXTURES, config, layout, prefix, side

import tfckpt
from helpers import SHARED, needs_shared
from tfckpt.convert.cast import cast
from tfckpt.convert.ema import ema
from tfckpt.convert.reset import reset
from tfckpt.convert.strip import strip

ALL = sorted({fixture for family in FAMILIES.values() for fixture in family
              if "object" not in fixture and "tf1.15/keras" not in fixture}
             | {"tf1.15/bert_adamw", "tf1.15/momentum_ema_debias"}) if SHARED.is_dir() else []


def restored(fixture, target) -> dict:
    """What TensorFlow restores of the model alone."""
    tensorflow = live_module.live(fixture.partition("/")[0])
    return tensorflow(f"{side(fixture)}_model_alone", module="optimizer_snippets",
                      folder=FIXTURES / fixture, prefix=target)


def packed(fixture, when) -> dict:
    steps = np.load(FIXTURES / fixture / "steps.npz")
    found = {name: steps[f"{when}/{name}"].tobytes().hex() for name in config(fixture)["weights"]}
    return {**found, "step": 3} if side(fixture) == "tf1" else found


@needs_shared
@pytest.mark.parametrize("data", ["link", "pack"])
@pytest.mark.parametrize("fixture", ALL)
def test_what_strip_leaves_is_restored(fixture, data, tmp_path):
    strip(prefix(fixture), tmp_path / "slim", data=data)
    assert restored(fixture, tmp_path / "slim") == packed(fixture, "weights3")


@needs_shared
@pytest.mark.parametrize("fixture", ["tf1.15/adam_ema", "tf2.15/new_adam_ema",
                                     "tf2.21/keras3_adam_ema"])
def test_averages_are_restored_as_variables(fixture, tmp_path):
    ema(prefix(fixture), tmp_path / "averaged", "use")
    got = restored(fixture, tmp_path / "averaged")
    assert got.keys() == packed(fixture, "weights3").keys()
    assert got["dense_a/kernel"] != packed(fixture, "weights3")["dense_a/kernel"]


@needs_shared
@pytest.mark.parametrize("fixture", ["tf1.15/adam", "tf1.15/rmsprop", "tf2.15/legacy_adam",
                                     "tf2.15/new_adam", "tf2.21/keras3_adam"])
def test_a_reset_optimizer_takes_its_first_step(fixture, tmp_path):
    """From the weights of step 3, as a new optimizer would: Adam's is the sign of the gradient."""
    reset(prefix(fixture), tmp_path / "fresh", step=0)
    tensorflow = live_module.live(fixture.partition("/")[0])
    got = tensorflow(f"{side(fixture)}_step", module="optimizer_snippets",
                     folder=FIXTURES / fixture, prefix=tmp_path / "fresh",
                     batch=FIXTURES / fixture)
    steps = np.load(FIXTURES / fixture / "steps.npz")
    assert got["before"] == {name: steps[f"weights3/{name}"].tobytes().hex()
                             for name in config(fixture)["weights"]}
    if "adam" in fixture:
        name = "dense_b/kernel"
        moved = np.frombuffer(bytes.fromhex(got["after"][name]), "<f4") - steps[
            f"weights3/{name}"].reshape(-1)
        expected = -0.05 * np.sign(steps[f"grads4/{name}"].reshape(-1))
        assert np.abs(moved - expected).max() < 1e-4


@needs_shared
def test_a_cast_checkpoint_is_read(tmp_path, tf221):
    cast(prefix("tf1.15/adam"), tmp_path / "half", "bfloat16")
    with tfckpt.open(tmp_path / "half") as source:
        keys = list(source)
    values = tf221("read_all", prefix=tmp_path / "half")
    assert sorted(values) == keys
    assert {value["dtype"] for value in values.values()} == {"bfloat16", "int64"}


@needs_shared
def test_layouts_are_what_their_names_say():
    assert {layout(fixture) for fixture in ALL} == {"tf1", "keras2-legacy", "keras2", "keras3"}
