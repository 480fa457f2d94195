"""tfckpt on live TensorFlow objects: eager variables, modules, tables, iterators.

Everything runs in TensorFlow 2.15 and in 2.21; see live_snippets.py.
"""

from __future__ import annotations

import pytest


@pytest.fixture
def run(tf2, tmp_path):
    """Calls a function of live_snippets.py in each TensorFlow."""
    def call(function, **arguments):
        return tf2(function, module="live_snippets", folder=str(tmp_path), **arguments)

    return call


SAVED = {"w": [[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]], "l0": 6.0, "k": 2, "small": [2.0, 2.0, 2.0],
         "text": ["x", "yy"], "deep": [10.0, True]}


def test_modules_are_saved_byte_for_byte_as_tensorflow_does_and_go_both_ways(run):
    found = run("modules")
    assert found == {"own object": True, "same": True, "same as root": True,
                     "same in containers": True, "saved": SAVED, "ours there": SAVED,
                     "theirs here": SAVED}


def test_what_tensorflow_makes_later_is_restored_then(run):
    found = run("deferred")
    assert found["missing before"] == []
    assert found["unused"] == ["model/small/.ATTRIBUTES/VARIABLE_VALUE",
                               "model/text/.ATTRIBUTES/VARIABLE_VALUE"]
    assert found["values"] == SAVED


def test_the_restore_that_was_asked_last_wins_be_it_ours_or_tensorflows(run):
    assert run("last_restore_wins") == [2.0, 2.0, 2.0]


def test_behaviour_117_a_saver_takes_eager_variables(run):
    assert run("saver") == {"path": "ours-7", "same": True, "values": [[1.0, 2.0], 3]}


def test_init_from_checkpoint_fills_an_eager_variable(run):
    assert run("init_from") == {"matched": ["old/a"], "value": [1.0, 2.0]}


def test_refusals_name_what_is_wrong(run):
    differ, constant, inserted, twice = run("refusals")
    assert differ == ("values of the program and of the checkpoint differ in shape or dtype"
                      " (file FOLDER/ckpt)")
    assert constant.startswith("this is nothing that a checkpoint can save: got v=<tf.Tensor")
    assert inserted.startswith("TensorFlow gives no children of an object: Unable to save the"
                               " object ListWrapper(")
    assert twice == "two variables would be saved under one name (tensor 'n')"


def test_nothing_is_kept_alive(run):
    assert run("nothing_is_kept_alive") == {"module": False, "variable": False, "remembered": 0}


def test_behaviour_96_tables_and_iterators_go_both_ways(run):
    there = {"table": [["a", 1], ["b", 2]], "dense": 6.0, "next": True}
    assert run("objects_with_values") == {"same": True, "theirs here": there, "ours there": there}
