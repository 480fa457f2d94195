"""What was edited, judged by real TensorFlow."""

from __future__ import annotations

import pytest

import tfckpt
from helpers import EXAMPLE
from tfckpt.convert.rename import rename
from tfckpt.core.rules import AddPrefix, Regex, Replace, StripPrefix

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
