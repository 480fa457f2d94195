"""tfckpt on live TensorFlow objects: eager variables, modules, tables, iterators.

Everything runs in TensorFlow 2.15 and in 2.21; see live_snippets.py.
"""

from __future__ import annotations

import pytest

from helpers import ROOT


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


def test_a_newer_ml_dtypes_than_tensorflow_takes_is_not_advised_beside_it(run, tf2):
    assert run("dtypes_that_are_newer") == ([
        "the installed ml_dtypes has no dtype NAME\nRun: pip install 'ml_dtypes>=0.5'. TensorFlow"
        " takes that from 2.18 on: beside an older one, read the tensor in an environment of its"
        " own."] if tf2.version == "tf2.15" else ["float4_e2m1fn", "int2", "uint2"])


def test_nothing_is_kept_alive(run):
    assert run("nothing_is_kept_alive") == {"module": False, "variable": False, "remembered": 0}


def test_behaviour_96_tables_and_iterators_go_both_ways(run):
    there = {"table": [["a", 1], ["b", 2]], "dense": 6.0, "next": True}
    assert run("objects_with_values") == {"same": True, "theirs here": there, "ours there": there}


@pytest.fixture
def run_in_session(tf2, tmp_path):
    """Calls a function of session_snippets.py in each TensorFlow."""
    def call(function, **arguments):
        return tf2(function, module="session_snippets", folder=str(tmp_path), **arguments)

    return call


@pytest.mark.parametrize("use_resource", [False, True], ids=["reference", "resource"])
def test_behaviour_117_a_saver_in_a_session_and_a_finalized_graph(run_in_session, use_resource):
    assert run_in_session("session_saver", use_resource=use_resource) == {
        "refused": ["a variable of the graph has no value yet", True], "path": "ours-4",
        "same": True, "restored": True, "table": 1, "restored there": True, "added": 0}


def test_behaviour_117_objects_go_both_ways_between_sessions_and_eager_code(run_in_session):
    assert run_in_session("session_checkpoint") == {
        "same": True, "eager": [[3.0, 3.0], 3.0],
        "without a session":
            "the values of graph variables are in a session, and there is none",
        "object": [[3.0, 3.0], 9.0], "name": [[3.0, 3.0], 9.0], "added": 0,
        "load_checkpoint": 9.0}


def test_a_session_is_given_where_tensorflow_1_had_it_or_by_its_name(run_in_session):
    assert run_in_session("given_sessions") == {
        "paths": ["o/a-1", "o/b", "o/c-2", "n/d-7", "n/e-7", "o/f-3", "kept/ckpt-7",
                  "o/g-5", "kept/ckpt-8", "n/h-8", "o/i-7"],
        "values": [True] * 11}


def test_behaviour_119_initialize_or_restore_with_a_file_and_without(run_in_session):
    assert run_in_session("initialize_or_restore") == {
        "no file": [[3.0, 3.0], 3.0], "part of it": [[5.0, 5.0], 3.0],
        "asked later": [[5.0, 5.0], 3.0], "of TensorFlow's, asked later": [5.0, 5.0]}


@pytest.mark.parametrize("use_resource", [False, True], ids=["reference", "resource"])
def test_behaviour_45_the_stored_value_becomes_the_initial_value(run_in_session, use_resource):
    assert run_in_session("init_from_graph", use_resource=use_resource) == {
        "matched": ["old/a", "old/p", "old/t"],
        "values": [[1.0, 2.0], [[1.0], [2.0], [3.0]], 4, 7.0],
        "refused": "1 entries of the map lead nowhere, 1 names of the map are not in the"
                   " checkpoint, 1 variables and stored tensors differ in shape or dtype"}


def test_a_scope_of_get_variable_is_filled_from_a_scope(run_in_session):
    assert run_in_session("scopes") == [[1.0, 2.0], [3.0, 4.0, 5.0], 9.0]


def test_the_page_does_what_it_says(run):
    assert run("page", path=str(ROOT / "docs" / "live.md")) == {
        "blocks": 6, "failed": 0, "said": ""}


def test_behaviour_96_a_datasets_position_in_sessions(run_in_session):
    assert run_in_session("position_in_session") == [True, True]


def test_behaviour_96_a_datasets_position_passes_through_a_rewrite(run):
    assert run("rewritten") == [True, True]


def test_python_state_is_saved_and_what_has_its_own_saver_refused(run):
    assert run("state_and_registered") == {
        "same": True, "state": "so far",
        "refused": "an object has a registered saver of its own, which writes files that only it"
                   " knows"}


def test_eager_variables_are_saved_from_tensorflows_own_memory(run):
    assert run("memory") == {"copied": [], "kept": [1.0, 2.0]}
