"""What was edited, judged by real TensorFlow."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE
from tfckpt.convert.merge import merge
from tfckpt.convert.rename import rename, variable_names
from tfckpt.core.rules import AddPrefix, Names, Regex, Replace, StripPrefix

SNIPPETS = "edit_snippets"


def heads(prefix) -> dict:
    with tfckpt.open(prefix) as source:
        return {key: [entry.dtype.name, list(entry.shape)] for key, entry in source.index.items()}


def test_a_saver_restores_renamed_variables_and_slots(tmp_path, tf):
    rename(EXAMPLE, tmp_path / "out", [Replace("kernel", "weights"), AddPrefix("model/")])
    got = tf("restore_by_name", SNIPPETS, prefix=str(tmp_path / "out"),
             shapes=heads(tmp_path / "out"))
    with tfckpt.open(EXAMPLE) as source:
        assert got["model/dense/weights/Adam_1"] == source["dense/kernel/Adam_1"].tolist()
        assert len(got) == len(source)


@pytest.mark.parametrize(("rules", "names"), [
    ([Regex("^model(?=/|$)", "net")], {"model": "net"}),
    ([Regex("^optimizer(?=/|$)", "opt")], {"optimizer": "opt"}),
    ([AddPrefix("outer/")], {"outer": "outer"}),
], ids=["model", "optimizer", "outer"])
def test_a_keras_model_and_optimizer_are_consumed_under_other_names(tmp_path, tf2, rules, names):
    saved = tf2("save_keras", SNIPPETS, prefix=str(tmp_path / "ckpt"))
    rename(saved["path"], tmp_path / "out", rules)
    got = tf2("restore_keras", SNIPPETS, prefix=str(tmp_path / "out"), **names)
    assert got == saved["values"]
    with tfckpt.open(tmp_path / "out") as source:
        assert tfckpt.verify(source).problems == ()


def test_weights_get_a_root_and_lose_it(tmp_path, tf2):
    """What save_weights wrote, for Checkpoint(model=...), and back."""
    saved = tf2("save_weights", SNIPPETS, prefix=str(tmp_path / "ckpt"))
    rename(tmp_path / "ckpt", tmp_path / "out", [AddPrefix("model/")])
    assert tf2("restore_keras", SNIPPETS, prefix=str(tmp_path / "out"), optimizer=None,
               check="assert_nontrivial_match") == saved["values"]
    rename(tmp_path / "out", tmp_path / "back", [StripPrefix("model/")])
    with tfckpt.open(tmp_path / "ckpt") as a, tfckpt.open(tmp_path / "back") as b:
        assert {key: a.read_bytes(key) for key in a} == {key: b.read_bytes(key) for key in b}


def test_halves_of_a_keras_model_are_consumed_after_a_merge(tmp_path, tf2):
    saved = tf2("save_keras", SNIPPETS, prefix=str(tmp_path / "ckpt"))
    with tfckpt.open(saved["path"]) as source:
        names = sorted(set(variable_names(source).values()) - {"save_counter"})
    half = "|".join(re.escape(name) + "$" for name in names[::2])
    tfckpt.select(saved["path"], tmp_path / "a", keep=half)
    tfckpt.select(saved["path"], tmp_path / "b", drop=half)
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert tf2("restore_keras", SNIPPETS, prefix=str(tmp_path / "out")) == saved["values"]


def test_two_models_merged_under_one_root_are_consumed(tmp_path, tf2):
    a = tf2("save_modules", SNIPPETS, prefix=str(tmp_path / "a"), names=["x", "y"], seed=1)
    b = tf2("save_modules", SNIPPETS, prefix=str(tmp_path / "b"), names=["x", "z"], seed=2)
    merge([a, b], tmp_path / "out", prefixes={1: "one/", 2: "two/"})
    got = tf2("restore_modules", SNIPPETS, prefix=str(tmp_path / "out"),
              tree=["one/model/x/w", "one/model/y/w", "two/model/x/w", "two/model/z/w"])
    assert got == {"one/model/x/w": [1, 0], "one/model/y/w": [1, 1],
                   "two/model/x/w": [2, 0], "two/model/z/w": [2, 1]}
    c = tf2("save_modules", SNIPPETS, prefix=str(tmp_path / "c"), names=["z"], seed=3)
    merge([a, c], tmp_path / "united")
    assert tf2("restore_modules", SNIPPETS, prefix=str(tmp_path / "united"),
               tree=["model/x/w", "model/y/w", "model/z/w"]) == {
        "model/x/w": [1, 0], "model/y/w": [1, 1], "model/z/w": [3, 0]}


def test_an_object_that_was_divided_is_consumed(tmp_path, tf2):
    a = tf2("save_modules", SNIPPETS, prefix=str(tmp_path / "a"), names=["x", "y"], seed=1)
    rename(a, tmp_path / "out", [Names({"model/y/w": "other/deep/v"})])
    assert tf2("restore_modules", SNIPPETS, prefix=str(tmp_path / "out"),
               tree=["model/x/w", "other/deep/v"]) == {
        "model/x/w": [1, 0], "other/deep/v": [1, 1]}


def test_values_that_were_set_are_restored(tmp_path, tf2):
    a = tf2("save_modules", SNIPPETS, prefix=str(tmp_path / "a"), names=["x"], seed=1)
    tfckpt.set_values(a, tmp_path / "out", {"model/x/w": np.float32([8, 9]),
                                            "model/new/w": np.float32([5, 6])})
    assert tf2("restore_modules", SNIPPETS, prefix=str(tmp_path / "out"),
               tree=["model/x/w", "model/new/w"]) == {
        "model/x/w": [8, 9], "model/new/w": [5, 6]}


def test_a_saver_restores_what_was_selected_merged_and_set(tmp_path, tf):
    tfckpt.select(EXAMPLE, tmp_path / "a", drop="^dense/")
    merge([tmp_path / "a", EXAMPLE], tmp_path / "b", prefixes={2: "old/"})
    tfckpt.set_values(tmp_path / "b", tmp_path / "c", {"global_step": 41})
    got = tf("restore_by_name", SNIPPETS, prefix=str(tmp_path / "c"),
             shapes=heads(tmp_path / "c"))
    assert got["global_step"] == 41
    assert got["old/global_step"] == 7
    assert "dense/kernel" not in got
