"""State of optimizers is compared across layouts: what is kept for the same variable is a pair."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE
from tfckpt.convert.relayout import convert_optimizer
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.format.dtypes import dtype_named

LAYOUTS = ("tf1", "legacy", "keras2", "keras3")


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    """The example in each layout of its Adam."""
    folder = tmp_path_factory.mktemp("layouts")
    for to in LAYOUTS[1:]:
        convert_optimizer(EXAMPLE, folder / to, to=to, given={"learning_rate": 0.5})
    return {"tf1": EXAMPLE, **{to: folder / to for to in LAYOUTS[1:]}}


@pytest.mark.parametrize(("one", "other"), list(combinations(LAYOUTS, 2)))
def test_an_optimizer_is_the_same_in_any_layout(laid_out, one, other):
    report = tfckpt.diff(laid_out[one], laid_out[other])
    shaped = [tensor.kind for tensor in report.tensors if tensor.a and tensor.a.shape]
    assert shaped == ["same"] * len(shaped)
    assert len(shaped) >= 12
    rest = {key.partition("/.ATTR")[0].rpartition("/")[2]
            for key in (*report.only_a, *report.only_b)}
    # What the one layout keeps and the other doesn't.
    assert rest <= {"beta1_power", "beta2_power", "beta_1", "beta_2", "decay", "iter",
                    "_iterations", "_learning_rate", "learning_rate", "_current_learning_rate"}
    assert all(tensor.b is None or not tensor.b.shape for tensor in report.of("only-b"))


def test_names_alone_pair_no_slots(laid_out):
    report = tfckpt.diff(laid_out["legacy"], laid_out["keras3"], by="name")
    assert len(report.only_a) >= 6


def test_a_slot_of_another_value_is_a_difference_and_no_missing_tensor(laid_out, tmp_path):
    tfckpt.set_values(laid_out["tf1"], tmp_path / "m",
                      {"dense/kernel/Adam_1": np.full([3, 4], 7, np.float32)})
    kinds = {tensor.keys[0]: tensor.kind
             for tensor in tfckpt.diff(tmp_path / "m", laid_out["keras3"]).tensors}
    assert kinds["dense/kernel/Adam_1"] == "values"
    assert kinds["dense/kernel/Adam"] == "same"


def test_two_optimizers_that_keep_the_same_are_not_told_apart(laid_out, tmp_path):
    one = {"w": 1, "w/Adam": 2, "w/Adam_1": 3, "v": 4, "v/adam_m": 5, "v/adam_v": 6}
    write_plan(Plan(tuple(array_output(key, np.float32([value]), dtype_named("float32"))
                          for key, value in one.items()), "name-based"), str(tmp_path / "two"))
    renamed = tmp_path / "one"
    write_plan(Plan(tuple(array_output(key, np.float32([value]), dtype_named("float32"))
                          for key, value in (("w", 1), ("w/AdamW", 2), ("w/AdamW_1", 3))),
                    "name-based"), str(renamed))
    report = tfckpt.diff(tmp_path / "two", renamed)
    assert report.only_b == ["w/AdamW", "w/AdamW_1"]
    tfckpt.select(tmp_path / "two", tmp_path / "w", keep="^w")
    report = tfckpt.diff(tmp_path / "w", renamed)
    assert [(tensor.keys, tensor.kind) for tensor in report.tensors][1:] == [
        (("w/Adam", "w/AdamW"), "same"), (("w/Adam_1", "w/AdamW_1"), "same")]


def test_dir_lists_what_is_not_imported_yet():
    assert {"diff", "Saver", "strip"} <= set(dir(tfckpt))
