"""Warm start, held against TensorFlow's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tfckpt.errors import CheckpointError, CheckpointWarning
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.getting import get_variable
from tfckpt.train.graphs import Graph
from tfckpt.train.initializers import constant_initializer, fixed_size_partitioner
from tfckpt.train.saver import Saver
from tfckpt.train.vocabulary import VocabInfo
from tfckpt.train.warmstart import warm_start

# Name, shape, in how many parts, whether it is trained.
STORED = [("d/kernel", [2], 0, True), ("d/kernel/Adam", [2], 0, False), ("d/bias", [], 0, True),
          ("step", [], 0, False), ("embedding", [4, 2], 3, True), ("out", [2, 3], 2, True)]
PLAIN = STORED[:4]
ROWS = ["new", 3, 2, "old", -1, 42.0, 0]  # of VocabInfo; FOLDER/new and FOLDER/old
COLUMNS = ["new", 3, 1, "old", 3, 0.5, 1]

# One stored value for two variables; TensorFlow 1.15 says that it is possible, and fills one.
TWICE = ([("new", [2], 0, True), ("also", [2], 0, True)],
         {"var_name_to_prev_var_name": {"new": "d/kernel", "also": "d/kernel"}})

# Variables of the new model, and settings.
CASES = [
    (PLAIN, {}),
    (PLAIN, {"vars_to_warm_start": "d/kernel"}),
    (PLAIN, {"vars_to_warm_start": [".*"]}),
    (PLAIN, {"vars_to_warm_start": ["d/kernel"]}),
    (PLAIN, {"vars_to_warm_start": ["d/kernel[^/]", "step"]}),
    (PLAIN, {"vars_to_warm_start": ["kernel"]}),
    (PLAIN, {"vars_to_warm_start": None}),
    ([("d/other", [2], 0, True)], {}),
    ([("d/kernel", [3], 0, True)], {}),
    TWICE,
    (PLAIN, {"vars_to_warm_start": "d/bias", "var_name_to_prev_var_name": {"step": "d/bias"}}),
    (PLAIN, {"vars_to_warm_start": "d/bias", "var_name_to_vocab_info": {"embedding": ROWS}}),
    *[([("embedding", [4, 2], parts, True)], {}) for parts in (0, 1, 2, 4)],
    *[([("embedding", [5, 2], parts, True)], {"var_name_to_vocab_info": {"embedding": ROWS}})
      for parts in (0, 2, 5)],
    ([("embedding", [5, 2], 0, True), ("d/bias", [], 0, True)],
     {"vars_to_warm_start": None, "var_name_to_vocab_info": {"embedding": ROWS}}),
    *[([("out", [2, 4], parts, True)], {"var_name_to_vocab_info": {"out": COLUMNS}})
      for parts in (0, 2)],
]


def made(variables, value) -> dict:
    """Variables of a graph."""
    return {name: get_variable(
        name, shape, initializer=constant_initializer(value), trainable=trainable,
        partitioner=fixed_size_partitioner(parts) if parts else None)
        for name, shape, parts, trainable in variables}


@pytest.fixture
def old(tmp_path):
    with Graph().as_default():
        variables = made(STORED, 0)
        for number, variable in enumerate(variables.values(), 1):
            size = int(np.prod(variable.shape))
            variable.assign(np.arange(size).reshape(variable.shape) + 10 * number)
        return Saver().save(None, tmp_path / "old.ckpt")


def ours(path, variables, settings):
    settings = dict(settings)
    vocabularies = {name: VocabInfo(*info[:5], constant_initializer(info[5]), info[6])
                    for name, info in settings.pop("var_name_to_vocab_info", {}).items()}
    with Graph().as_default(), warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        found = made(variables, -1)
        try:
            warm_start(None, path, var_name_to_vocab_info=vocabularies, **settings)
        except CheckpointError:
            return "refused"
        return {name: variable.numpy().tolist() for name, variable in found.items()}


def test_every_setting_does_what_it_does_in_tensorflow(tmp_path, old, tf):
    """Behaviours 46 to 49."""
    (tmp_path / "old").write_text("apple\norange\nguava\n")
    (tmp_path / "new").write_text("guava\nkiwi\napple\npear\n")
    for variables, case in CASES:
        settings = {key: {name: [str(tmp_path / part) if isinstance(part, str) else part
                                 for part in info] if isinstance(info, list) else info
                          for name, info in value.items()} if isinstance(value, dict) else value
                    for key, value in case.items()}
        theirs = tf("warm_started", "warmstart_snippets", path=old, variables=variables,
                    settings=settings)
        if isinstance(theirs, str):
            theirs = "refused"
        if variables is TWICE[0] and tf.version == "tf1.15":
            theirs["new"] = theirs["also"]
        assert ours(old, variables, settings) == theirs, (variables, settings)
        if tf.version != "tf1.15":  # tfckpt on TensorFlow's own variables
            assert tf("warm_started", "training_snippets", path=old, variables=variables,
                      settings=settings) == theirs, (variables, settings)


def test_an_object_based_file_is_read_by_variable_names(tmp_path, tf):
    """Behaviour 50. TensorFlow 1.15 can't."""
    with Graph().as_default():
        children = made(PLAIN, 5)
        path = Checkpoint(**{f"part{n}": value for n, value in enumerate(children.values())}).save(
            tmp_path / "objects")
    missing = [("d/other", [2], 0, True)]
    for variables in (PLAIN, missing):
        mine = ours(path, variables, {})
        assert mine == ("refused" if variables is missing else {
            "d/kernel": [5, 5], "d/kernel/Adam": [-1, -1], "d/bias": 5, "step": -1})
        theirs = tf("warm_started", "warmstart_snippets", path=path, variables=variables,
                    settings={})
        if tf.version != "tf1.15":
            assert mine == ("refused" if isinstance(theirs, str) else theirs)
