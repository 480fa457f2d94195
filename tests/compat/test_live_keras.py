"""tfckpt on live Keras models and on variables of strategies; see keras_live_snippets.py.

Keras of TensorFlow 2.15, and on 2.21 tf_keras and Keras 3.
"""

from __future__ import annotations

import pytest
from live import live

KERAS = {"tf.keras": "tf2.15", "tf_keras": "tf2.21", "keras": "tf2.21"}


@pytest.fixture
def run(tmp_path):
    """Calls a function of keras_live_snippets.py in the environment of a Keras."""
    def call(function, which, **arguments):
        return live(KERAS[which])(function, module="keras_live_snippets", folder=str(tmp_path),
                                  which=which, **arguments)

    return call


@pytest.fixture
def run_tf2(tf2, tmp_path):
    def call(function):
        return tf2(function, module="keras_live_snippets", folder=str(tmp_path))

    return call


@pytest.mark.parametrize(("which", "optimizer"), [
    ("tf.keras", "Adam"), ("tf.keras", "legacy Adam"), ("tf.keras", "legacy SGD"),
    ("tf_keras", "RMSprop"), ("tf_keras", "legacy Adam"), ("keras", "Adam")])
def test_models_are_saved_byte_for_byte_and_restored_as_they_are_built(run, which, optimizer):
    assert run("models", which, optimizer=optimizer) == {
        "same": True, "same as root": True, "same beside": True, "weights": True,
        "next step": True, "theirs": True}


@pytest.mark.parametrize("which", list(KERAS))
def test_a_model_saved_as_a_child_is_told_from_one_saved_as_the_root(run, which):
    child, root = run("root_or_child", which)
    assert child.startswith("With Checkpoint(model=…) around it ")
    assert child.endswith(" would match: it was saved below model.")
    assert root.startswith("Without the level model, as in Checkpoint(model), ")


@pytest.mark.parametrize("which", ["tf.keras", "tf_keras"])
def test_save_weights_and_load_weights_in_tensorflows_format_go_both_ways(run, which):
    assert run("save_weights", which) == {
        "same": True, "theirs here": True, "ours there": True, "consumed": True}


@pytest.mark.parametrize("which", list(KERAS))
def test_a_saver_takes_a_models_weights_under_their_names(run, which):
    found = run("names", which)
    assert found["restored"]
    assert [name.partition("first")[2] for name in found["names"]] == ["/bias", "/kernel"]


@pytest.mark.parametrize("which", list(KERAS))
def test_variables_of_mixed_precision_are_saved_as_the_float32_that_they_are(run, which):
    assert run("mixed_precision", which) == {
        "same": True, "dtypes": ["float32"], "restored": [True] * (4 if which == "keras" else 6)}


def test_behaviour_118_slots_wait_for_variable_and_optimizer(run_tf2):
    assert run_tf2("slots") == {
        "same": True, "v first": True, "powers wait, v first": [2, True],
        "optimizer first": True, "powers wait, optimizer first": [2, True]}


def test_behaviour_118_slots_that_are_not_made_early_wait(run_tf2):
    assert run_tf2("slots_later") == {"eager": [True, True], "graph": [True, True]}


def test_variables_in_shards_are_one_tensor_in_slices(run_tf2):
    assert run_tf2("sharded") == {
        "same": True, "values": [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]],
        "in three": [[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]],
        "by name": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(("which", "optimizer"), [("tf.keras", "legacy Adam"),
                                                  ("tf_keras", "Adam")])
def test_a_callback_saves_for_tf1_and_tf2_in_one_pass(run, which, optimizer, background):
    assert run("callback", which, optimizer=optimizer, background=background) == {
        "latest": "e2", "files": ["best", "checkpoint", "e1", "e1-tf1", "e2", "e2-tf1", "theirs"],
        "like save_weights": True, "names": True, "by name": True, "linked": True, "best": True,
        "next step": True}


def test_the_callback_says_what_it_is_not_for(run):
    assert run("callback_refusals", "keras") == [
        "this is no format that a callback can write", "this callback is for Keras 2"]
