"""State of optimizers in other layouts: the next step is the one the old program would take."""

from __future__ import annotations

import json
from functools import cache
from itertools import permutations
from pathlib import Path

import live as live_module
import numpy as np
import pytest

from helpers import SHARED, needs_shared
from tfckpt.convert.like import LikeOptions, convert_like
from tfckpt.convert.relayout import convert_optimizer
from tfckpt.keras.convert_h5 import convert_h5

FIXTURES = SHARED / "fixtures" / "optimizers"

# The fixtures of one optimizer with the same hyper-parameters, one for each layout.
FAMILIES = {
    "sgd": ["tf1.15/sgd", "tf2.15/legacy_sgd", "tf2.15/new_sgd", "tf2.21/keras3_sgd"],
    "momentum": ["tf1.15/momentum", "tf1.15/object_momentum", "tf2.15/legacy_sgd_momentum",
                 "tf2.21/tfkeras_legacy_sgd_momentum", "tf2.15/new_sgd_momentum",
                 "tf2.21/tfkeras_new_sgd_momentum", "tf2.21/keras3_sgd_momentum",
                 "tf1.15/momentum_partitioned", "tf1.15/keras_sgd_momentum",
                 "tf1.15/momentum_ema_debias"],
    "nesterov": ["tf1.15/nesterov", "tf2.15/legacy_sgd_nesterov", "tf2.15/new_sgd_nesterov",
                 "tf2.21/keras3_sgd_nesterov"],
    "adagrad": ["tf1.15/adagrad", "tf2.15/legacy_adagrad", "tf2.21/tfkeras_legacy_adagrad",
                "tf2.15/new_adagrad", "tf2.21/tfkeras_new_adagrad", "tf2.21/keras3_adagrad"],
    "adadelta": ["tf1.15/adadelta", "tf2.15/legacy_adadelta", "tf2.21/tfkeras_legacy_adadelta",
                 "tf2.15/new_adadelta", "tf2.21/tfkeras_new_adadelta", "tf2.21/keras3_adadelta"],
    "rmsprop": ["tf1.15/rmsprop", "tf2.15/legacy_rmsprop", "tf2.21/tfkeras_legacy_rmsprop",
                "tf2.15/new_rmsprop", "tf2.21/tfkeras_new_rmsprop", "tf2.21/keras3_rmsprop"],
    "rmsprop_momentum": ["tf1.15/rmsprop_momentum", "tf2.15/legacy_rmsprop_momentum",
                         "tf2.15/new_rmsprop_momentum", "tf2.21/keras3_rmsprop_momentum"],
    "rmsprop_centered": ["tf1.15/rmsprop_centered", "tf1.15/rmsprop_partitioned",
                         "tf2.15/legacy_rmsprop_centered", "tf2.15/new_rmsprop_centered",
                         "tf2.21/keras3_rmsprop_centered"],
    "ftrl": ["tf1.15/ftrl", "tf2.15/legacy_ftrl", "tf2.21/tfkeras_legacy_ftrl",
             "tf2.15/new_ftrl", "tf2.21/tfkeras_new_ftrl", "tf2.21/keras3_ftrl"],
    "adam": ["tf1.15/adam", "tf1.15/adam_resource", "tf1.15/adam_partitioned",
             "tf1.15/object_adam", "tf1.15/keras_adam", "tf2.15/legacy_adam",
             "tf2.21/tfkeras_legacy_adam", "tf2.15/new_adam", "tf2.21/tfkeras_new_adam",
             "tf2.21/keras3_adam", "tf1.15/adam_ema"],
    "adam_repeated": ["tf1.15/adam_repeated", "tf2.15/legacy_adam_repeated",
                      "tf2.15/new_adam_repeated", "tf2.21/keras3_adam_repeated"],
    "adam_amsgrad": ["tf2.15/legacy_adam_amsgrad", "tf2.15/new_adam_amsgrad",
                     "tf2.21/keras3_adam_amsgrad"],
    "adam_frozen": ["tf2.15/legacy_adam_frozen", "tf2.15/new_adam_frozen",
                    "tf2.21/keras3_adam_frozen"],
    "adam_schedule": ["tf2.15/legacy_adam_schedule", "tf2.15/new_adam_schedule",
                      "tf2.21/keras3_adam_schedule"],
    "adam_ema": ["tf2.15/new_adam_ema", "tf2.21/keras3_adam_ema"],
    "lossscale_adam": ["tf2.15/legacy_lossscale_adam", "tf2.21/tfkeras_legacy_lossscale_adam",
                       "tf2.15/new_lossscale_adam", "tf2.21/tfkeras_new_lossscale_adam",
                       "tf2.21/keras3_lossscale_adam"],
    "adamw": ["tf2.15/new_adamw", "tf2.21/tfkeras_new_adamw", "tf2.21/keras3_adamw"],
    "adamax": ["tf1.15/contrib_adamax", "tf2.15/legacy_adamax", "tf2.21/tfkeras_legacy_adamax",
               "tf2.15/new_adamax", "tf2.21/tfkeras_new_adamax", "tf2.21/keras3_adamax"],
    "nadam": ["tf1.15/contrib_nadam", "tf2.15/legacy_nadam", "tf2.21/tfkeras_legacy_nadam",
              "tf2.15/new_nadam", "tf2.21/tfkeras_new_nadam", "tf2.21/keras3_nadam"],
    "lion": ["tf2.15/new_lion", "tf2.21/keras3_lion"],
    "adafactor": ["tf2.15/new_adafactor", "tf2.21/keras3_adafactor"],
    "lamb": ["tf2.21/keras3_lamb"], "muon": ["tf2.21/keras3_muon"],
    "adam_decay": ["tf2.15/legacy_adam_decay"],
    "adam_accumulate": ["tf2.21/keras3_adam_accumulate"],
}


@cache
def config(fixture: str) -> dict:
    return json.loads((FIXTURES / fixture / "config.json").read_text())


def layout(fixture: str) -> str:
    if "kind" in config(fixture):
        return config(fixture)["kind"]
    if fixture.startswith("tf1.15/keras_"):
        return "keras2-legacy"
    return "tf1-object" if "object_" in fixture else "tf1"


def prefix(fixture: str) -> Path:
    folder = FIXTURES / fixture
    if (folder / "ckpt_both").is_dir():
        return folder / "ckpt_both"
    return folder / "ckpt-1" if (folder / "ckpt-1.index").exists() else folder


def side(fixture: str) -> str:
    return "tf1" if layout(fixture).startswith("tf1") else "keras"


# Built again in a test as the fixture was, but for its partitions and averages.
TARGETS = [fixture for family in FAMILIES.values() for fixture in family
           if "partitioned" not in fixture and fixture not in (
               "tf1.15/adam_ema", "tf1.15/momentum_ema_debias", "tf1.15/keras_adam",
               "tf1.15/keras_sgd_momentum")]
PAIRS = [(source, target) for family in FAMILIES.values()
         for source, target in (*permutations(family, 2), *((one, one) for one in family))
         if target in TARGETS] if SHARED.is_dir() else []


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """What each target's program saves right after it was built."""
    made: dict[str, str] = {}

    def template(fixture: str) -> str:
        if fixture not in made:
            tensorflow = live_module.live(fixture.partition("/")[0])
            folder = tmp_path_factory.mktemp(fixture.replace("/", "_"))
            made[fixture] = tensorflow(f"{side(fixture)}_template", module="optimizer_snippets",
                                       folder=FIXTURES / fixture, prefix=folder / "fresh")
        return made[fixture]
    return template


SEVERAL_TIMES = "uses one row of an embedding several times"
DIFFERENCES = ["the schedule of its momentum", "the product of its momentum's schedule",
               "adds epsilon outside of the root",
               "updates all rows of an embedding", SEVERAL_TIMES]


def differs(source: str, target: str) -> bool:
    """Whether the target's algorithm is another one; each is told by name in the report."""
    family = next(name for name, members in FAMILIES.items() if source in members)
    before, after = layout(source), layout(target)
    old = {before, after} & {"tf1", "tf1-object"}
    legacy = "keras2-legacy" in (before, after)
    if before == after or {before, after} == {"tf1", "tf1-object"}:
        return False
    if family == "nadam":
        return legacy or bool(old) or (before, after) == ("keras3", "keras2")
    if family == "rmsprop":
        return legacy
    if family == "ftrl":
        return bool({before, after} & {"keras2", "keras3"}) and (legacy or bool(old))
    return family == "adam_repeated" and "keras3" in (before, after)


@needs_shared
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_next_step_is_the_same(source, target, tmp_path, templates):
    options = LikeOptions(optimizer="nadam" if source == "tf1.15/contrib_nadam" else "auto")
    report = convert_like(prefix(source), tmp_path / "out", templates(target), options=options)
    tensorflow = live_module.live(target.partition("/")[0])
    got = tensorflow(f"{side(target)}_step", module="optimizer_snippets",
                     folder=FIXTURES / target, prefix=tmp_path / "out", batch=FIXTURES / source)
    steps = np.load(FIXTURES / source / "steps.npz")
    for when, key in (("before", "weights3"), ("after", "weights4")):
        if when == "after" and differs(source, target):
            continue
        for name in config(source)["weights"]:
            mine = np.frombuffer(bytes.fromhex(got[when][name]), "<f4")
            truth = steps[f"{key}/{name}"].reshape(-1)
            assert np.abs(mine - truth).max() <= 1e-6, (when, name)
    told = [word for word in DIFFERENCES if any(word in note for note in report.plan.notes)]
    assert bool(set(told) - {SEVERAL_TIMES}) or not differs(source, target) or (
        "repeated" in source and told == [SEVERAL_TIMES]), report.plan.notes


# ------------------------------------------------------------------------ without a template

IN_PLACE = [(source, target) for family in FAMILIES.values() for source in family
            for target in family if SHARED.is_dir()
            and {layout(source), layout(target)} == {"keras2-legacy", "keras2"}
            and source.partition("/")[0] == target.partition("/")[0] == "tf2.15"]
TO_NAMES = [(source, target) for family in FAMILIES.values() for source in family
            for target in family if SHARED.is_dir() and layout(target) == "tf1"
            and target in TARGETS and layout(source) in ("keras2-legacy", "keras2")]
TO_DICTIONARY = [(source, target) for family in FAMILIES.values() for source in family
                 for target in family if SHARED.is_dir() and layout(source) == "tf1"
                 and layout(target) in ("keras2-legacy", "keras2", "keras3")
                 and "ema" not in source and "repeated" not in source
                 and not target.startswith("tf1.15")]
LAYOUTS = {"keras2-legacy": "legacy", "keras2": "keras2", "keras3": "keras3", "tf1": "tf1"}


def relayout(source, target, out):
    given = {}
    if "momentum" in config(target).get("hyper", {}):
        given["momentum"] = config(target)["hyper"]["momentum"]
    for name, other in (("learning_rate", "learning_rate"), ("beta1", "beta_1"),
                        ("beta2", "beta_2"), ("beta_1", "beta_1"), ("beta_2", "beta_2")):
        value = config(source)["hyper"].get(name)
        if isinstance(value, float):
            given[other] = value
    given.update({name: value for name, value in config(source)["hyper"].items()
                  if name in ("rho", "l1_regularization_strength", "l2_regularization_strength")})
    if "rmsprop" in source:
        given["rho"] = 0.9
    kind = "nadam" if source == "tf1.15/contrib_nadam" else "sgd" if source.endswith(
        "/sgd") else "auto"
    return convert_optimizer(prefix(source), out, to=LAYOUTS[layout(target)], kind=kind,
                             given=given)


def check(source, target, got, *, before=True):
    steps = np.load(FIXTURES / source / "steps.npz")
    for when, key in (("before", "weights3"), ("after", "weights4")):
        if (when == "after" and differs(source, target)) or (when == "before" and not before):
            continue
        for name in set(config(source)["weights"]) & set(got[when]):
            mine = np.frombuffer(bytes.fromhex(got[when][name]), "<f4")
            assert np.abs(mine - steps[f"{key}/{name}"].reshape(-1)).max() <= 1e-6, (when, name)


@needs_shared
@pytest.mark.parametrize(("source", "target"), [*IN_PLACE, *TO_NAMES])
def test_another_layout_in_the_same_place(source, target, tmp_path):
    relayout(source, target, tmp_path / "out")
    tensorflow = live_module.live(target.partition("/")[0])
    got = tensorflow(f"{side(target)}_step", module="optimizer_snippets",
                     folder=FIXTURES / target, prefix=tmp_path / "out", batch=FIXTURES / source)
    check(source, target, got)


@needs_shared
@pytest.mark.parametrize(("source", "target"), TO_DICTIONARY)
def test_names_become_a_dictionary_and_an_optimizer(source, target, tmp_path):
    relayout(source, target, tmp_path / "out")
    tensorflow = live_module.live(target.partition("/")[0])
    got = tensorflow("dictionary_step", module="optimizer_snippets", folder=FIXTURES / target,
                     prefix=tmp_path / "out", batch=FIXTURES / source, kind=layout(target))
    assert got["step"] == 3
    if "ftrl" in source:  # gradients are dense here: rows without one become 0
        del got["emb/embeddings"]
    check(source, target, {"after": got}, before=False)


# ----------------------------------------------------------------------- .weights.h5 of Keras 3

TO_H5 = [(source, target) for family in FAMILIES.values() for source in family
         for target in family if SHARED.is_dir() and layout(target) == "keras3"
         and "muon" not in target]
FROM_H5 = [(source, target) for family in FAMILIES.values() for source in family
           for target in family if SHARED.is_dir() and layout(source) == "keras3"
           and target in TARGETS and "muon" not in source]


@pytest.fixture(scope="module")
def h5_templates(tmp_path_factory):
    """What Keras 3 saves of each target right after it was built."""
    made: dict[str, str] = {}

    def template(fixture: str) -> str:
        if fixture not in made:
            file = tmp_path_factory.mktemp(fixture.replace("/", "_")) / "fresh.weights.h5"
            made[fixture] = live_module.live("tf2.21")(
                "h5_template", module="optimizer_snippets", folder=FIXTURES / fixture, path=file)
        return made[fixture]
    return template


@needs_shared
@pytest.mark.parametrize(("source", "target"), TO_H5)
def test_keras_3_loads_weights_and_optimizer(source, target, tmp_path, tf221, h5_templates):
    fresh = h5_templates(target)
    options = LikeOptions(optimizer="nadam" if source == "tf1.15/contrib_nadam" else "auto")
    convert_h5(prefix(source), tmp_path / "out.weights.h5", fresh, options=options)
    got = tf221("h5_step", module="optimizer_snippets", folder=FIXTURES / target,
                path=tmp_path / "out.weights.h5", batch=FIXTURES / source)
    assert got["iterations"] == 3
    check(source, target, got)


@needs_shared
@pytest.mark.parametrize(("source", "target"), FROM_H5)
def test_a_weights_file_of_keras_3_is_taken_over(source, target, tmp_path, templates):
    convert_h5(FIXTURES / source / "model.weights.h5", tmp_path / "out", templates(target))
    tensorflow = live_module.live(target.partition("/")[0])
    got = tensorflow(f"{side(target)}_step", module="optimizer_snippets",
                     folder=FIXTURES / target, prefix=tmp_path / "out", batch=FIXTURES / source)
    check(source, target, got)
