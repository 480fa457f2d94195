"""Pairs of checkpoints whose true map is known, to measure `match` on; used by tests and bench.

Truth comes from values: the fixtures of one model have the same weights in every form, and no
two of their tensors are equal. Where a model has equal tensors, or other values in another
form, names tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

from helpers import SHARED
from tfckpt.core.matching import MatchReport, Side, match, side_of_source
from tfckpt.core.opening import open_source

KERAS = SHARED / "fixtures" / "keras"
OPTIMIZERS = SHARED / "fixtures" / "optimizers"
GUIDE = SHARED / "fixtures" / "guide"


class Case(NamedTuple):
    """Two checkpoints, and what tells which tensor is which."""

    group: str
    a: Path
    b: Path
    identity: Callable[[Path, str], str]


class Score(NamedTuple):
    """How good a match is: tensors that both sides have, pairs that are right and wrong."""

    n_known: int
    n_right: int
    wrong: list[tuple[str, str]]
    report: MatchReport


@cache
def _truth(folder: Path) -> dict:
    return json.loads((folder / "TRUTH.json").read_text())["checkpoints"]


def by_values(prefix: Path, key: str) -> str:
    """A tensor's values; of a count that Keras 2 and 3 keep otherwise, its name."""
    if "/count/" in key:
        return "count"
    folder = prefix.parent
    while not (folder / "TRUTH.json").exists():
        folder = folder.parent
    found = _truth(folder)[str(prefix.relative_to(folder))][key]
    return found["sha256"] + str(found["shape"])


@cache
def _names(prefix: Path) -> dict[str, str]:
    with open_source(prefix) as source:
        side = side_of_source(source)
        return {key: side.name(key) for key in side.heads}


def by_name_of_weight(prefix: Path, key: str) -> str:
    """The weight of the optimizers' fixtures that a tensor is."""
    return next(name for name in ("emb/embeddings", "dense_a/kernel", "dense_a/bias",
                                  "dense_b/kernel", "dense_b/bias")
                if _names(prefix)[key].endswith(name))


def cases() -> Iterator[Case]:
    """All pairs, each in both directions."""
    for version in ("tf2.15", "tf2.21"):
        for folder in sorted((KERAS / version).iterdir()):
            forms = [folder / name for name in ("weights", "ckpt-1", "keras3_ckpt-1")
                     if (folder / f"{name}.index").exists()]
            for a, b in permutations(forms, 2):
                yield Case("Keras 2 save_weights, Checkpoint, Keras 3", a, b, by_values)
    for folder in sorted((KERAS / "tf2.15").iterdir()):
        other = KERAS / "tf2.21" / folder.name
        for a, b in ((folder / "weights", other / "keras3_ckpt-1"),
                     (other / "keras3_ckpt-1", folder / "weights")):
            if a.with_name(a.name + ".index").exists() and b.with_name(
                    b.name + ".index").exists():
                yield Case("Keras 2.15 and Keras 3", a, b, by_values)
    forms = [OPTIMIZERS / name for name in (
        "tf1.15/adam/model.ckpt-3", "tf1.15/adam_partitioned/model.ckpt-3",
        "tf1.15/object_adam/ckpt-1", "tf1.15/keras_adam/ckpt-1", "tf2.15/legacy_adam/ckpt-1",
        "tf2.15/new_adam/weights", "tf2.21/keras3_adam/ckpt_both/ckpt-1",
        "tf2.21/keras3_adam/ckpt_model/ckpt-1", "tf2.21/keras3_lossscale_adam/ckpt_both/ckpt-1")]
    for a, b in permutations(forms, 2):
        yield Case("TF1 names, Keras layers, object paths", a, b, by_name_of_weight)


def score(case: Case) -> Score:
    """Match a pair and compare with the truth."""
    with open_source(case.a) as source, open_source(case.b) as other:
        a, b = side_of_source(source), side_of_source(other)
        report = match(a, b)
    return _score(report, {key: case.identity(case.a, key) for key in a.heads},
                  {key: case.identity(case.b, key) for key in b.heads})


def _score(report: MatchReport, here: dict[str, str], there: dict[str, str]) -> Score:
    wrong = [(pair.a, pair.b) for pair in report.matched if here[pair.a] != there[pair.b]]
    known = set(here.values())
    return Score(sum(what in known for what in there.values()),
                 len(report.matched) - len(wrong), wrong, report)


# ------------------------------------------------ names that people had before, written by rule

def made_up() -> Iterator[tuple[str, dict[str, tuple[int, ...]], dict[str, tuple[int, ...]],
                                Callable[[str], str]]]:
    """Title, names of both sides, and the true map from the one to the other."""
    vgg, channels = {}, 3
    for block, (width, count) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for n in range(1, count + 1):
            vgg[f"vgg_16/conv{block}/conv{block}_{n}/weights"] = 3, 3, channels, width
            vgg[f"vgg_16/conv{block}/conv{block}_{n}/biases"] = (width,)
            channels = width
    yield _renamed("VGG16 of slim and of Keras", vgg, lambda name: _as_keras(
        f"block{name[11]}_conv{name.split('_')[-1][0]}/{name.split('/')[-1]}"))
    bert = {f"bert/encoder/layer_{n}/attention/self/{part}/{leaf}": shape
            for n in range(12) for part in ("query", "key", "value")
            for leaf, shape in (("kernel", (8, 8)), ("bias", (8,)))}
    yield _renamed("BERT, layers as a scope", bert, lambda name: name.removeprefix(
        "bert/").replace("layer_", "layer/"))
    yield _renamed("a prefix", bert, lambda name: "model/" + name)
    resnet = {f"resnet/stage_{s}/unit_{u}/{part}": shape for s in range(4) for u in range(3)
              for part, shape in (("conv1/weights", (1, 1, 8 * s + 8, 8)),
                                  ("conv1/BatchNorm/gamma", (8,)), ("conv1/BatchNorm/beta", (8,)),
                                  ("conv1/BatchNorm/moving_mean", (8,)),
                                  ("conv1/BatchNorm/moving_variance", (8,)))}
    yield _renamed("ResNet, other words", resnet, lambda name: _as_keras(name.replace(
        "resnet/", "backbone/").replace("BatchNorm", "bn").replace("stage_", "block")))
    dense = {f"dense{f'_{n}' if n else ''}/kernel": (4, 4) for n in range(3)}
    yield _renamed("numbers that go on", dense, lambda name: {
        "dense/kernel": "dense_3/kernel", "dense_1/kernel": "dense_4/kernel"}.get(
            name, "dense_5/kernel"))


def _as_keras(name: str) -> str:
    return name.replace("weights", "kernel").replace("biases", "bias")


def _renamed(title, names, true_name):
    return title, names, {true_name(name): shape for name, shape in names.items()}, true_name


def score_made_up(names, others, true_name) -> Score:
    """Match lists of names and compare with the truth."""
    a = Side("a", {name: ("float32", shape) for name, shape in names.items()})
    b = Side("b", {name: ("float32", shape) for name, shape in others.items()})
    return _score(match(a, b), {name: true_name(name) for name in names},
                  {name: name for name in others})
