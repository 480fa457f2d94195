"""Templates filled, and optimizers in other layouts; TensorFlow judges them in tests/compat."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfckpt
from helpers import EXAMPLE, SHARED, needs_shared
from tfckpt.convert.anatomy import read_anatomy
from tfckpt.convert.like import LikeOptions, convert_like
from tfckpt.convert.optimizers.keras3 import snake_case
from tfckpt.convert.optimizers.state import Slot
from tfckpt.convert.optimizers.table import KINDS, kind_of_title, tf1_order
from tfckpt.convert.optimizers.tf1 import tf1_slot_key
from tfckpt.convert.optimizers.values import find_decay
from tfckpt.convert.relayout import convert_optimizer
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Output, Plan
from tfckpt.core.verify import verify
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointError, MismatchError, UnsupportedError
from tfckpt.format.dtypes import dtype_named

OPTIMIZERS = SHARED / "fixtures" / "optimizers"


def write(prefix, **arrays) -> str:
    outputs = [array_output(key.replace("__", "/"), np.asarray(array), dtype_named(
        np.asarray(array).dtype.name)) for key, array in arrays.items()]
    write_plan(Plan(tuple(outputs), "name-based"), str(prefix))
    return str(prefix)


def read(prefix) -> dict:
    with tfckpt.open(prefix) as source:
        return {key: array for key, array in source.items() if array.dtype != object}


# -------------------------------------------------------------------------------- the values

@pytest.mark.parametrize(("powers", "step", "known", "iterations", "rates"), [
    ((0.9**4, 0.99**4), 3, {}, 3, {"beta_1": 0.9, "beta_2": 0.99}),
    ((0.9**11, 0.999**11), 1000, {}, 10, {"beta_1": 0.9, "beta_2": 0.999}),
    ((0.0, 0.999**5001), None, {}, 5000, {"beta_2": 0.999}),
    ((0.0, 0.999**5001), 8000, {}, 5000, {"beta_2": 0.999}),
    ((0.0, 0.0), 400_000, {}, 400_000, {}),
    ((0.37**3, 0.999**3), None, {}, None, {}),
    ((0.37**3, 0.999**3), 2, {}, 2, {"beta_1": 0.37, "beta_2": 0.999}),
    ((0.37**3, 0.41**3), None, {}, None, {}),
    ((0.37**3, 0.41**3), None, {"beta_1": 0.37, "beta_2": 0.41}, 2,
     {"beta_1": 0.37, "beta_2": 0.41}),
    ((0.9, 0.999), 0, {}, 0, {"beta_1": 0.9, "beta_2": 0.999})])
def test_powers_are_taken_apart(powers, step, known, iterations, rates):
    found = find_decay(dict(zip(("beta1_power", "beta2_power"), powers, strict=True)), step, known)
    assert (found.iterations, dict(found.rates)) == (iterations, rates)


@given(st.integers(0, 60_000), st.sampled_from([0.999, 0.99, 0.98, 0.9999]))
def test_powers_that_float32_rounded_a_thousand_times(iterations, beta_2):
    """TensorFlow multiplies once a step; the count comes back while there are digits left."""
    factors = np.full(iterations + 1, beta_2, np.float32)
    power = float(np.multiply.accumulate(factors, dtype=np.float32)[-1])
    if power < 1e-25:
        return
    assert find_decay({"beta2_power": power}, iterations, {}) == (iterations, {"beta_2": beta_2})


def test_names_of_slots():
    assert tf1_order(KINDS["rmsprop"], 3) == ("velocity", "average_gradient", "momentum")
    order = ("velocity", "momentum")
    assert [tf1_slot_key("rmsprop", order, Slot(name, "w")) for name in order] == [
        "w/RMSProp", "w/RMSProp_1"]
    assert tf1_slot_key("bert", ("momentum", "velocity"), Slot("velocity", "w")) == "w/adam_v"
    assert [kind_of_title(snake_case(kind.keras)) for kind in KINDS.values() if kind.keras] == [
        kind.name for kind in KINDS.values() if kind.keras]


# ------------------------------------------------------------------------------- the layouts

@needs_shared
@pytest.mark.parametrize("folder", sorted(OPTIMIZERS.glob("*/*")), ids=lambda path: path.name)
def test_every_optimizer_is_recognised_with_all_of_its_slots(folder):
    config = json.loads((folder / "config.json").read_text())
    prefix = next(folder / name for name in ("ckpt_both", "ckpt-1", "")
                  if (folder / name).is_dir() or (folder / f"{name}.index").exists())
    with tfckpt.open(prefix) as source:
        found = read_anatomy(source)
        slots = [key for optimizer in found.optimizers for key in optimizer.slots.values()]
        values = [key for optimizer in found.optimizers for key in optimizer.values.values()]
        n_arrays = sum(bool(source.index[key].shape) for key in source)
    assert len(found.variables) == 5
    assert len(slots) == len(set(slots))
    assert n_arrays <= len(found.variables) + len(slots) + len(found.averages) + (
        1 if "debias" in folder.name else 0)
    kind = found.optimizers[0].kind if found.optimizers else "sgd"
    wanted = {"momentum": "sgd", "nesterov": "sgd", "contrib": folder.name.split("_")[-1],
              "bert": "bert"}
    names = folder.name.removeprefix("tfkeras_").removeprefix("keras3_").removeprefix(
        "legacy_").removeprefix("new_").removeprefix("keras_").removeprefix("object_").removeprefix(
        "lossscale_")
    expected = wanted.get(names.split("_")[0], names if names in KINDS else names.split("_")[0])
    assert kind == {"nadam": {"contrib_nadam": "adam"}.get(folder.name, "nadam")}.get(
        expected, expected)
    assert "optimizer" in config
    assert values or not found.optimizers or config["optimizer"].startswith(
        ("Momentum", "Adagrad", "Adadelta", "RMSProp", "Ftrl", "Proximal", "AdamWeightDecay"))


def test_there_and_back_every_bit_is_the_same(tmp_path):
    convert_optimizer(EXAMPLE, tmp_path / "legacy", to="legacy", given={"learning_rate": 0.5})
    convert_optimizer(tmp_path / "legacy", tmp_path / "keras2", to="keras2")
    convert_optimizer(tmp_path / "keras2", tmp_path / "keras3", to="keras3")
    convert_optimizer(tmp_path / "keras3", tmp_path / "back", to="tf1",
                      given={"beta_1": 0.9, "beta_2": 0.999})
    before, after = read(EXAMPLE), read(tmp_path / "back")
    assert set(after) == set(before)
    for key, array in before.items():
        if "power" in key:
            assert np.allclose(after[key], array, rtol=1e-6), key
        else:
            assert np.array_equal(after[key], array), key
    for name in ("legacy", "keras2", "keras3"):
        with tfckpt.open(tmp_path / name) as source:
            assert verify(source).ok
            assert read_anatomy(source).optimizers[0].layout == name


def test_state_that_keeps_its_own_names_is_told(tmp_path):
    convert_optimizer(EXAMPLE, tmp_path / "legacy", to="legacy")
    report = tfckpt.convert(tmp_path / "legacy", tmp_path / "names", to="tf1")
    assert report.plan.notes == (
        "the optimizer's state keeps names of its own; --optimizer auto gives it those of TF1,"
        " which a Saver's optimizer restores",)
    tfckpt.convert(EXAMPLE, tmp_path / "plain", to="tf2")
    assert tfckpt.convert(tmp_path / "plain", tmp_path / "back", to="tf1").plan.notes == ()


def test_momentum_is_scaled_by_the_learning_rate(tmp_path):
    source = write(tmp_path / "m", w=np.float32([1, 2]), w__Momentum=np.float32([3, -4]),
                   global_step=np.int64(9))
    convert_optimizer(source, tmp_path / "legacy", to="legacy", given={"learning_rate": 0.5})
    with tfckpt.open(tmp_path / "legacy") as found:
        assert found["vars/w/.OPTIMIZER_SLOT/optimizer/momentum"].tolist() == [-1.5, 2]
        assert found["optimizer/iter"] == 9
    convert_optimizer(tmp_path / "legacy", tmp_path / "back", to="tf1")
    assert read(tmp_path / "back")["w/Momentum"].tolist() == [3, -4]


def test_what_keras_has_no_optimizer_for(tmp_path):
    source = write(tmp_path / "m", w=np.float32([1]), w__AdamW=np.float32([1]),
                   w__AdamW_1=np.float32([1]), beta1_power=np.float32(0.9),
                   beta2_power=np.float32(0.999))
    with pytest.raises(UnsupportedError) as caught:
        convert_optimizer(source, tmp_path / "out", to="legacy")
    assert str(caught.value) == ("legacy has no optimizer AdamW\n"
                                 "Its state is also that of: adam, adamw, bert, nadam, lamb.")


def test_a_checkpoint_without_state(tmp_path):
    source = write(tmp_path / "m", w=np.float32([1]))
    with pytest.raises(UnsupportedError, match="has no optimizer state that is known"):
        convert_optimizer(source, tmp_path / "out", to="legacy")
    with pytest.raises(UnsupportedError) as caught:
        convert_optimizer(source, tmp_path / "out", to="legacy", kind="sgd")
    assert str(caught.value) == (
        "how many steps the optimizer took can't be told\n"
        "Say it: --iterations N, or the decay rates: --hyper beta_1=0.9.")
    convert_optimizer(source, tmp_path / "out", to="legacy", kind="sgd", given={"iterations": 3})
    with tfckpt.open(tmp_path / "out") as found:
        assert found["optimizer/iter"] == 3


@needs_shared
@pytest.mark.parametrize(("fixture", "template", "suffixes", "note"), [
    ("bert_adamw", "adamw", ("adam_m", "adam_v"), "BERT's optimizer didn't correct the bias"),
    ("contrib_adamw", "adamw", ("AdamW", "AdamW_1"), "contrib's took weight_decay as it is"),
    ("contrib_lazy_adam", "adam", ("Adam", "Adam_1"), "uses one row of an embedding several"),
    ("proximal_adagrad", "adagrad", ("ProximalAdagrad",), "its regularization isn't part of")])
def test_state_of_relatives_is_carried_exactly_and_told(fixture, template, suffixes, note,
                                                        tmp_path):
    """Optimizers of which Keras has another: the same state, another next step."""
    source = OPTIMIZERS / "tf1.15" / fixture
    report = convert_like(source, tmp_path / "out",
                          OPTIMIZERS / f"tf2.21/keras3_{template}/ckpt_both")
    before = read(source)
    with tfckpt.open(tmp_path / "out") as found:
        state = read_anatomy(found).optimizers[0]
        names = ("accumulator",) if len(suffixes) == 1 else ("momentum", "velocity")
        for n, weight in enumerate(("emb/embeddings", "dense_a/kernel", "dense_a/bias",
                                    "dense_b/kernel", "dense_b/bias")):
            variable = f"optimizer/_trainable_variables/{n}/.ATTRIBUTES/VARIABLE_VALUE"
            assert np.array_equal(found[variable], before[weight])
            for name, suffix in zip(names, suffixes, strict=True):
                assert np.array_equal(found[state.slots[Slot(name, variable)]],
                                      before[f"{weight}/{suffix}"])
        assert found[state.values["iterations"]] == 3
    assert any(note in line for line in report.plan.notes), report.plan.notes


@needs_shared
def test_amsgrad_is_left_behind_and_told(tmp_path):
    report = convert_optimizer(OPTIMIZERS / "tf2.15/legacy_adam_amsgrad/ckpt-1", tmp_path / "out",
                               to="tf1")
    assert report.plan.notes[0] == (
        "Adam: TF1 has no AMSGrad; the largest mean of squares is left behind.")
    assert "emb/embeddings/Adam_1" in read(tmp_path / "out")
    assert "emb/embeddings/Adam_2" not in read(tmp_path / "out")


@needs_shared
@pytest.mark.parametrize("to", ["tf1", "legacy", "keras2", "keras3"])
def test_slots_that_are_lost_are_no_crash(to, tmp_path):
    """A damaged checkpoint whose graph names tensors that it doesn't have."""
    prefix = OPTIMIZERS / "tf2.15/new_adam/ckpt-1"
    with tfckpt.open(prefix) as source:
        for lost in source:
            if lost.startswith(("optimizer/_variables/1", "model/layer_with_weights-1/bias")):
                kept = Plan(tuple(Output(key, entry.dtype, entry.shape, source.origin(entry))
                                  for key, entry in source.index.items() if key != lost),
                            "object-based")
                write_plan(kept, str(tmp_path / "damaged"), overwrite=True)
                with contextlib.suppress(CheckpointError):
                    convert_optimizer(tmp_path / "damaged", tmp_path / "out", to=to,
                                      dry_run=True)


# ------------------------------------------------------------------------------- a template

def test_a_template_of_names_is_filled(tmp_path):
    source = write(tmp_path / "m", net__w=np.float32([1, 2]), net__b=np.float32([3]),
                   net__v=np.float32([9, 9, 9]), global_step=np.int64(5), extra=np.int32(1))
    template = write(tmp_path / "t", w=np.zeros(2, np.float32), b=np.zeros(1, np.float32),
                     v=np.zeros(3, np.float32), global_step=np.int64(0))
    report = convert_like(source, tmp_path / "out", template, names={
        "net/w": "w", "net/b": "b", "net/v": "v"})
    assert {key: array.tolist() for key, array in read(tmp_path / "out").items()} == {
        "w": [1, 2], "b": [3], "v": [9, 9, 9], "global_step": 5}
    assert [(item.key, item.reason) for item in report.plan.left_out] == [
        ("extra", "nothing in the template is like it")]


def test_all_that_does_not_fit_is_told_at_once(tmp_path):
    source = write(tmp_path / "m", a=np.float32([1, 2]), b=np.float32([3]))
    template = write(tmp_path / "t", a=np.zeros(3, np.float32), b=np.zeros(1, np.float32),
                     c=np.zeros((), np.float32))
    with pytest.raises(MismatchError) as caught:
        convert_like(source, tmp_path / "out", template)
    assert str(caught.value) == (
        f"the checkpoint can't fill the template (file {source})\n"
        "  a float32 [3]: a is float32 [2]\n"
        "  c float32 []: nothing in the source\n"
        "Nothing was written. Name pairs with --map FILE, or keep the template's own values with"
        " --allow-missing.")
    assert not list(tmp_path.glob("out*"))


def test_missing_values_may_stay_the_templates(tmp_path):
    source = write(tmp_path / "m", a=np.float32([1]))
    template = write(tmp_path / "t", a=np.float32([5]), c=np.float32(7))
    report = convert_like(source, tmp_path / "out", template,
                          options=LikeOptions(allow_missing=True))
    assert {key: array.tolist() for key, array in read(tmp_path / "out").items()} == {
        "a": [1], "c": 7}
    assert report.plan.notes == ("1 values are the template's own: c",)


def test_layers_that_cannot_be_told_apart_stop_it(tmp_path):
    source = write(tmp_path / "m", left__kernel=np.ones((2, 2), np.float32),
                   right__kernel=np.ones((2, 2), np.float32))
    template = write(tmp_path / "t", l__kernel=np.zeros((2, 2), np.float32),
                     r__kernel=np.zeros((2, 2), np.float32))
    with pytest.raises(MismatchError) as caught:
        convert_like(source, tmp_path / "out", template)
    assert "  l, r: which of them is left, right can't be told" in str(caught.value).splitlines()
    convert_like(source, tmp_path / "out", template,
                 names={"left/kernel": "l/kernel", "right/kernel": "r/kernel"})


def test_averages_may_fill_the_template(tmp_path):
    source = write(tmp_path / "m", w=np.float32([1]), w__ExponentialMovingAverage=np.float32([2]))
    template = write(tmp_path / "t", w=np.float32([0]))
    report = convert_like(source, tmp_path / "raw", template)
    assert read(tmp_path / "raw")["w"].tolist() == [1]
    assert report.plan.notes == (
        "The source has moving averages of 1 variables; the result has the variables themselves"
        " (--ema use takes the averages).",)
    convert_like(source, tmp_path / "ema", template, options=LikeOptions(ema="use"))
    assert read(tmp_path / "ema")["w"].tolist() == [2]


def test_another_optimizer_is_refused_or_left_behind(tmp_path):
    source = write(tmp_path / "m", w=np.float32([1]), w__Adagrad=np.float32([2]))
    template = write(tmp_path / "t", w=np.float32([0]), w__Adam=np.float32([3]),
                     w__Adam_1=np.float32([4]), beta1_power=np.float32(0.9),
                     beta2_power=np.float32(0.999))
    with pytest.raises(UnsupportedError) as caught:
        convert_like(source, tmp_path / "out", template)
    assert str(caught.value) == (f"the state of Adagrad can't become that of Adam (file {source})\n"
                                 "Leave it behind with --optimizer none.")
    convert_like(source, tmp_path / "out", template, options=LikeOptions(optimizer="none"))
    assert {key: array.tolist() for key, array in read(tmp_path / "out").items()
            if array.shape} == {"w": [1], "w/Adam": [3], "w/Adam_1": [4]}
