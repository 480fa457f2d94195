from __future__ import annotations

import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS, SHARED, needs_shared
from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.roles import assign_roles
from tfckpt.core.summary import summarize
from tfckpt.core.writer import write_plan


def counts(path) -> dict[str, int]:
    with tfckpt.open(path) as source:
        return {group.role: group.n_tensors for group in summarize(source).groups}


def test_slots_are_told_from_variables_by_name(tmp_path):
    names = ["w", "w/Adam", "w/Adam_1", "w/ExponentialMovingAverage", "global_step", "beta1_power",
             "training/w/Momentum", "Adam", "loose/Adam", "w_slot_v"]
    write_plan(Plan(tuple(given_int64(name, 1, "little") for name in names), "name-based"),
               str(tmp_path / "m"))
    with tfckpt.open(tmp_path / "m") as source:
        roles = {key: assigned.role for key, assigned in assign_roles(source).items()}
    assert roles == {
        "w": "model", "w/Adam": "optimizer", "w/Adam_1": "optimizer",
        "w/ExponentialMovingAverage": "ema", "global_step": "other", "beta1_power": "optimizer",
        "training/w/Momentum": "optimizer", "Adam": "model", "loose/Adam": "model",
        "w_slot_v": "optimizer"}


def test_slots_of_an_optimizer_that_was_given_a_name(tmp_path):
    """`AdamOptimizer(name="dqn_adam")`: what counts is the variable before it."""
    names = ["q/w", "q/w/dqn_adam", "q/w/dqn_adam_1", "train/q/w/MyMomentum", "q/b",
             "q/b/rms_prop_q", "q/b/critic_optimizer_3", "adam/w", "q/w/mask", "model/my_adam",
             "dqn_adam"]
    write_plan(Plan(tuple(given_int64(name, 1, "little") for name in names), "name-based"),
               str(tmp_path / "m"))
    with tfckpt.open(tmp_path / "m") as source:
        roles = assign_roles(source)
    assert {key: assigned.kind for key, assigned in roles.items()
            if assigned.role == "optimizer"} == {
        "q/w/dqn_adam": "dqn_adam", "q/w/dqn_adam_1": "dqn_adam_1",
        "train/q/w/MyMomentum": "MyMomentum", "q/b/rms_prop_q": "rms_prop_q",
        "q/b/critic_optimizer_3": "critic_optimizer_3"}


def test_the_example_and_the_goldens():
    assert counts(EXAMPLE) == {"model": 6, "optimizer": 14, "ema": 0, "other": 1}
    assert counts(GOLDENS / "tf2.21" / "state") == {
        "model": 1, "optimizer": 0, "ema": 0, "other": 4}


LAYOUTS = [
    ("optimizers/tf1.15/adam_ema", {"model": 5, "optimizer": 12, "ema": 5, "other": 1}),
    ("optimizers/tf2.15/legacy_adam/ckpt-1", {"model": 5, "optimizer": 15, "ema": 0, "other": 3}),
    ("optimizers/tf2.15/new_adam/ckpt-1", {"model": 5, "optimizer": 12, "ema": 0, "other": 3}),
    # Here the kernels themselves are keyed below optimizer/_trainable_variables.
    ("optimizers/tf2.21/keras3_adam/ckpt_both", {"model": 5, "optimizer": 12, "ema": 0,
                                                 "other": 2}),
    ("optimizers/tf2.21/keras3_adam_ema/ckpt_both", {"model": 5, "optimizer": 12, "ema": 5,
                                                     "other": 2}),
]


@needs_shared
@pytest.mark.parametrize(("path", "expected"), LAYOUTS, ids=[path for path, _ in LAYOUTS])
def test_each_layout_of_adam_is_told_from_the_model(path, expected):
    assert counts(SHARED / "fixtures" / path) == expected


@needs_shared
def test_metrics_of_a_saved_model_are_no_model():
    assert counts(SHARED / "corpus" / "rust-keras-multi-in") == {
        "model": 4, "optimizer": 13, "ema": 0, "other": 5}
