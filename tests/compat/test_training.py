"""Scaffold, MonitoredSession and Estimator with `ScaffoldSaver`, in real TensorFlow."""

from __future__ import annotations

import pytest
from live import live

from guide_blocks import COLUMNS, blocks, prints, run_live
from helpers import ROOT

STEP, VAR = "step/.ATTRIBUTES/VARIABLE_VALUE", "var_list/var/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.fixture
def run(tf2, tmp_path):
    """Calls a function of training_snippets.py in each TensorFlow."""
    def call(function, **arguments):
        return tf2(function, module="training_snippets",
                   **{"folder": str(tmp_path), **arguments})

    return call


@pytest.fixture
def run_estimator(tf215, tmp_path):
    """The same where Estimator still is."""
    return lambda function: tf215(function, module="training_snippets", folder=str(tmp_path))


def test_behaviour_120_a_restarted_session_goes_on_whatever_the_formats(run, tmp_path):
    """The Scaffold keeps the saver that it was given, and the graph is finalized."""
    known: list[str] = []
    for start, formats in enumerate((["tf2", "tf1"], ["tf1"], ["tf1", "tf2"], ["tf2"],
                                    ["tf2"])):
        first = 3 * start
        saves = sorted({first, first + 2, first + 3})
        found = run("monitored", formats=formats, steps=3, max_to_keep=2)
        assert found == {
            "begin": [2.0 * first, first], "end": [2.0 * first + 6, first + 3],
            "told": [[when, step] for step in saves for when in ("before", "after")],
            "same saver": True, "finalized": True, "added": 0}
        # Two saves are kept in each folder, the restarts' own among them.
        for folder in ("", *(f"{name}/" for name in formats[1:])):
            names = [f"{folder}model.ckpt-{step}" for step in saves[-2:]]
            known = [name for name in known if not name.startswith(f"{folder}model")] + names
        assert sorted(path.relative_to(tmp_path).as_posix().removesuffix(".index")
                      for path in tmp_path.rglob("*.index")) == sorted(known)
        state = (tmp_path / "checkpoint").read_text().splitlines()
        assert state[0] == f'model_checkpoint_path: "model.ckpt-{first + 3}"'
        assert len(state) == 3


def test_behaviour_120_a_scaffold_finds_one_saver_in_the_graph_and_refuses_two(run):
    assert run("found_in_the_graph") == {
        "found": True, "built": True, "saved": ["model.ckpt-0", "model.ckpt-1"],
        "two": "More than one item in collection savers"}


def test_both_formats_have_the_same_values_and_share_their_data(run, tmp_path, tf2):
    run("monitored", formats=["tf1", "tf2"], steps=2, by="names", beside="objects")
    names, objects = tmp_path / "model.ckpt-2", tmp_path / "objects" / "model.ckpt-2"
    assert tf2("content", "training_snippets", prefix=str(names)) == {
        "global_step": 2, "var": 4.0}
    assert tf2("content", "training_snippets", prefix=str(objects)) == {
        "var_list/global_step/.ATTRIBUTES/VARIABLE_VALUE": 2, VAR: 4.0}
    data = [path.with_name(path.name + ".data-00000-of-00001") for path in (names, objects)]
    assert data[0].read_bytes()[:12] == data[1].read_bytes()[:12]
    assert (tmp_path / "model.ckpt-2.meta").exists()


def test_the_tensors_and_the_object_graph_are_those_of_tensorflows_own_savers(run):
    assert run("same_as_tensorflows") == {"tf1": True, "tf2": True}


def test_parts_tables_and_slots_go_on_in_the_other_format(run):
    found = run("all_kinds", formats=["tf1", "tf2"])
    by_names = ["beta1_power", "beta2_power", "global_step", "table-keys", "table-values", "w"]
    end = "/.ATTRIBUTES/"
    by_objects = ["_CHECKPOINTABLE_OBJECT_GRAPH", f"table{end}table-keys",
                  f"table{end}table-values",
                  *(f"variables/{name}{end}VARIABLE_VALUE" for name in
                    ("beta1_power", "beta2_power", "global_step", "w.Spart_0", "w.Spart_1"))]
    assert found == {"same": True, "table": [1, 2], "step": 3, "keys": [by_names, by_objects]}


def test_training_goes_on_while_a_save_is_written_in_the_background(run):
    """The save of the beginning is held while a step is made; the last one is there at the end."""
    end, saved = "/.ATTRIBUTES/", {"table-keys": [], "table-values": []}
    assert run("in_the_background") == {
        "held": [2.0, False], "at the end": {STEP: 2, VAR: 4.0, **{
            f"table{end}{name}": value for name, value in saved.items()}},
        "names": {"global_step": 2, "var": 4.0, **saved}, "meta": True,
        "kept": ["model.ckpt-0", "model.ckpt-2"], "restored": 4.0,
        "told": ["nothing", "StorageError"]}


def test_tensorflow_restores_an_exported_graph(run):
    assert run("meta_graph") == 2.0


def test_what_can_not_be_saved_is_told(run):
    assert run("refusals") == [
        'there are no such formats to save in: expected "tf1", "tf2" or both, got [\'tf3\']',
        'there are no such formats to save in: expected "tf1", "tf2" or both, got []',
        "beside is no name of a folder: got 'a/b'",
        "a ScaffoldSaver saves what is in a graph, and there is none",
        "the graph is finalized, and its saver wasn't built before",
        "1 variables are not in the checkpoint (file FOLDER/model.ckpt-1)"]


def test_the_guides_estimator_story(run_estimator):
    """Train with a TF1 checkpoint, warm-start with the TF2 scaffold, and go on."""
    assert run_estimator("estimator_story") == {
        "old": {"global_step": 1, "var": 2.0}, "new": {STEP: 1, VAR: 4.0}, "value": 4.0,
        "later": {STEP: 3, VAR: 8.0}, "beside": {"global_step": 3, "var": 8.0},
        "evaluated": {"loss": 1.0, "global_step": 3.0}}


def test_the_guides_sixteen_and_then_a_plain_keras_model(run_estimator):
    """16 is the 6 of three steps, and five steps more; the count of steps isn't warm-started."""
    assert run_estimator("sixteen") == {
        "old": {"global_step": 3, "var": 6.0}, "new": {STEP: 5, VAR: 16.0},
        "tf1": {"global_step": 5, "var": 16.0}, "keras": [16.0, 5, 2, []],
        "keras from names": [16.0, 5, 2, []]}


@pytest.mark.parametrize(("version", "which"), [("tf2.15", "tf.keras"), ("tf2.21", "keras"),
                                                ("tf2.21", "tf_keras")])
def test_a_keras_model_is_warm_started(tmp_path, version, which):
    found = live(version)("warm_started_keras", "training_snippets", folder=str(tmp_path),
                          which=which)
    assert found == {
        "embedding": [[6, 7], [9, 9], [0, 1]], "kernel": [[1] * 3] * 2, "bias": [2] * 3,
        "head": True, "matched": ["dense/bias", "dense/kernel", "emb"],
        "notes": ["embedding: 2 of 3 words of the new vocabulary are in the old one; 1 words and"
                  " 0 buckets come from the initializer",
                  "1 variables keep their values: head/kernel"]}


def test_an_estimator_that_saves_in_the_background_predicts_and_exports(run_estimator):
    assert run_estimator("exported") == {"predicted": 12.0, "served": [30.0]}


SLOTS = [name + slot for name in ("hidden/bias", "hidden/kernel", "out/bias", "out/kernel")
         for slot in ("", "/Adam", "/Adam_1")]


@pytest.mark.parametrize(("version", "trainer", "which", "optimizer", "compiled"), [
    ("tf2.15", "estimator", "tf.keras", "Adam", True),
    ("tf2.15", "session", "tf.keras", "legacy Adam", False),
    ("tf2.21", "session", "keras", "Adam", False),
    ("tf2.21", "session", "tf_keras", "Adam", True),
])
def test_the_next_step_in_keras_is_the_one_that_estimator_would_take(
        tmp_path, version, trainer, which, optimizer, compiled):
    found = live(version)("leave", "training_snippets", folder=str(tmp_path), trainer=trainer,
                          which=which, optimizer=optimizer, compiled=compiled)
    assert found.pop("apart") <= 1e-6
    assert found.pop("notes")[-1].startswith("Not in the source, so the target's own: ")
    assert found == {"same": True, "before": True, "iterations": 4, "unused": [],
                     "matched": sorted([*SLOTS, "beta1_power", "beta2_power", "global_step"])}


def test_the_next_step_is_the_same_with_other_optimizers(run):
    found = run("leave_with_each")
    assert len(found) in {8, 12}
    for name, (iterations, unused, apart) in found.items():
        assert (iterations, unused) == (5, []), name
        assert apart <= 1e-6, name


def test_a_module_takes_over_what_it_has(run):
    found = run("leave_for_a_module")
    refused = found.pop("refused")
    assert found == {"same": True, "step": 2, "unused": 10, "unchanged": True}
    assert refused[0].splitlines()[0] == (
        "the checkpoint can't fill the template (file FOLDER/model.ckpt-2)")
    assert refused[0].splitlines()[-1] == (
        "Nothing was loaded. Name pairs with names={stored: live}, where live begins with model/,"
        " or keep the model's own values with allow_missing=True.")
    assert refused[1] == ("the model has no variables yet: got Module\nBuild it, or call it once on"
                          " an input.")


@pytest.mark.parametrize("column", COLUMNS)
def test_the_page_on_training_prints_what_it_says(tmp_path, column):
    live(COLUMNS[column][0])  # skips without it
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    results = run_live(column, tmp_path, text)
    for block, result in zip(blocks(text), results, strict=True):
        assert result["lacks"] == (block.needs if column != "TensorFlow 2.15" else "")
        if not result["lacks"]:
            assert not result["error"], result["error"]
            assert prints(block, result["printed"]), result["printed"]
