"""Warm start of variables, without TensorFlow.

tests/compat/test_warmstart.py holds the same against TensorFlow itself.
"""

from __future__ import annotations

import numpy as np
import pytest

from helpers import SHARED, needs_shared
from tfckpt.convert.api import convert
from tfckpt.errors import CheckpointWarning, GraphStateError, VariableError, VariableTypeError
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.getting import get_variable
from tfckpt.train.graphs import Graph
from tfckpt.train.initializers import constant_initializer, fixed_size_partitioner
from tfckpt.train.loadreport import RestoreError
from tfckpt.train.modules import Module
from tfckpt.train.saver import Saver
from tfckpt.train.variables import Variable
from tfckpt.train.vocabulary import VocabInfo
from tfckpt.train.warmstart import WarmStartSettings, warm_start

EMBEDDING = np.arange(8, dtype="float32").reshape(4, 2)  # apple, orange, guava, one bucket


@pytest.fixture
def graph():
    with Graph().as_default() as graph:
        yield graph


@pytest.fixture
def old(tmp_path):
    """A name-based checkpoint with a kernel, its slot, a bias, a step and an embedding."""
    values = {"d/kernel": 1.0, "d/kernel/Adam": 2.0, "d/bias": 3.0, "step": 4.0,
              "embedding": EMBEDDING}
    with Graph().as_default():  # not the test's own
        return Saver({name: Variable(value) for name, value in values.items()}).save(
            None, tmp_path / "run" / "model", global_step=7)


@pytest.fixture
def words(tmp_path):
    """Writes a vocabulary file."""
    def write(name, *lines, end="\n"):
        path = tmp_path / name
        path.write_bytes("".join(line + end for line in lines).encode())
        return path
    return write


def model(*names):
    """Variables of a graph; slots and the step aren't trainable."""
    return {name: get_variable(name, initializer=0.0,
                               trainable="Adam" not in name and name != "step")
            for name in names}


ALL = ("d/kernel", "d/kernel/Adam", "d/bias", "step")


@pytest.mark.parametrize(("wanted", "filled"), [
    (".*", {"d/kernel", "d/bias"}),
    ("d/kernel", {"d/kernel"}),
    ([".*"], set(ALL)),
    (["d/kernel"], {"d/kernel", "d/kernel/Adam"}),
    (["d/kernel[^/]"], {"d/kernel"}),
    (["d/kernel:0"], {"d/kernel"}),
    (["kernel"], set()),
    (["d/b", "d/bias", "step"], {"d/bias", "step"}),
    ([], set()),
    (None, set()),
], ids=lambda item: str(sorted(item) if isinstance(item, set) else item))
def test_patterns_are_matched_from_the_start_of_the_name_with_its_number(
        graph, old, wanted, filled):
    """Behaviour 47: and one string only looks at what training changes."""
    variables = model(*ALL)
    if filled:
        report = warm_start(None, old, wanted)
    else:
        with pytest.warns(CheckpointWarning, match="no variable was selected"):
            report = warm_start(None, old, wanted)
    assert {name for name, variable in variables.items() if variable.numpy()} == filled
    assert set(report.matched) == filled
    kept = [name for name in ALL if name not in filled]
    assert report.notes == ((f"{len(kept)} variables keep their values: {', '.join(kept)}",)
                            if kept else ())


@pytest.mark.parametrize("given", ["list", "dict", "graph"])
def test_variables_are_given_or_those_of_the_graph(old, given):
    with Graph().as_default():
        variables = model(*ALL)
        if given == "graph":
            warm_start(None, old, [".*"])
    if given != "graph":
        warm_start(list(variables.values()) if given == "list" else variables, old, [".*"])
    assert [variable.numpy() for variable in variables.values()] == [1, 2, 3, 4]
    assert [variable.initial_value for variable in variables.values()] == [1, 2, 3, 4]


@pytest.mark.parametrize(("wanted", "filled"), [
    (["d/kernel[^/]"], [1, 0, 0, 0]), (["d/kernel:0"], [1, 0, 0, 0]), (["d/kernel"], [1, 2, 0, 0])])
def test_patterns_see_the_number_of_names_that_were_given_too(old, wanted, filled):
    """Behaviour 47."""
    with Graph().as_default():
        variables = model(*ALL)
    warm_start(variables, old, wanted)
    assert [variable.numpy() for variable in variables.values()] == filled


def test_a_list_of_variables_is_what_it_says(graph, old):
    variables = model(*ALL)
    report = warm_start(None, old, [variables["step"], variables["d/bias"]])
    assert [variable.numpy() for variable in variables.values()] == [0, 0, 3, 4]
    assert report.unused == ("d/kernel", "d/kernel/Adam", "embedding")


@pytest.mark.parametrize("path", ["prefix", "folder", "index", "v1", "object-based"])
def test_from_a_file_or_a_folder_in_either_format(graph, old, path, tmp_path):
    """Behaviour 50: in an object-based file variables are found by their full names."""
    if path == "folder":
        old = tmp_path / "run"
    elif path == "index":
        old += ".index"
    elif path == "v1":
        convert(old, tmp_path / "v1", to="tf1-v1")
        old = tmp_path / "v1"
    elif path == "object-based":
        root = Module()
        with Graph().as_default():
            root.first, root.other = (get_variable(name, initializer=value) for name, value
                                      in (("d/kernel", 1.0), ("d/bias", 3.0)))
        old = Checkpoint(model=root).save(tmp_path / "objects")
    kernel, bias = model("d/kernel", "d/bias").values()
    warm_start(None, old)
    assert (kernel.numpy(), bias.numpy()) == (1, 3)


@needs_shared
@pytest.mark.parametrize(("folder", "value"), [
    ("tf1.15/estimator_tf1/est-tf1", 2), ("tf2.15/estimator_tf1/est-tf1", 2),
    ("tf2.15/estimator_tf2/est-tf2", 4)])
def test_from_the_folder_of_an_estimator(folder, value):
    """The guide's; its third is object-based."""
    variable, step = Variable(0.0, name="var"), Variable(0, name="global_step", dtype="int64",
                                                         trainable=False)
    report = warm_start([variable, step], SHARED / "fixtures" / "guide" / folder)
    assert (variable.numpy(), step.numpy()) == (value, 0)
    assert report.notes == ("1 variables keep their values: global_step",)


def test_names_in_the_checkpoint_may_be_others(graph, old):
    """One stored tensor may fill two variables."""
    a, b = model("a", "b").values()
    settings = WarmStartSettings(old, var_name_to_prev_var_name={"a": "d/bias", "b": "d/bias"})
    report = warm_start(None, *settings)
    assert (a.numpy(), b.numpy(), report.matched) == (3, 3, ("d/bias",))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("stored", [1, 2, 4])
def test_parts_on_either_side_give_the_same_whole(graph, tmp_path, count, stored):
    """Behaviour 46."""
    with Graph().as_default():
        parts = get_variable("w", [4, 2], partitioner=fixed_size_partitioner(stored))
        prefix = Saver(list(parts.assign(EMBEDDING))).save(None, tmp_path / "parts")
    whole = get_variable("w", [4, 2], partitioner=fixed_size_partitioner(count))
    assert warm_start(None, prefix).matched == ("w",)
    np.testing.assert_array_equal(whole.numpy(), EMBEDDING)
    np.testing.assert_array_equal(whole[0].initial_value, whole[0].numpy())


@pytest.mark.parametrize("count", [1, 2, 5])
def test_rows_follow_their_words(graph, old, words, count):
    """Behaviour 49: new words and buckets are made anew, also in a part that has no words."""
    variable = get_variable("embedding", [5, 2], partitioner=fixed_size_partitioner(count))
    info = VocabInfo(words("new", "guava", "kiwi", "apple"), 3, 2,
                     words("old", "apple", "orange", "guava"), -1, constant_initializer(42))
    report = warm_start([variable], old, var_name_to_vocab_info={"embedding": info})
    np.testing.assert_array_equal(variable.numpy(), [[4, 5], [42, 42], [0, 1], [42, 42], [42, 42]])
    assert report.notes == ("embedding: 2 of 3 words of the new vocabulary are in the old one;"
                            " 1 words and 2 buckets come from the initializer",)


def test_columns_follow_their_words(graph, tmp_path, words):
    """Behaviour 49."""
    with Graph().as_default():
        prefix = Saver({"w": Variable([[1.0, 2.0], [3.0, 4.0]])}).save(None, tmp_path / "m")
    variable = get_variable("w", [2, 4], partitioner=fixed_size_partitioner(2))
    info = VocabInfo(words("new", "b", "c", "a", end="\r\n"), 3, 1, words("old", "a", "b"),
                     axis=1)
    warm_start(None, prefix, None, {"w": info})
    np.testing.assert_array_equal(variable.numpy(), [[2, 0, 1, 0], [4, 0, 3, 0]])


def test_only_the_first_words_may_count(graph, old, words):
    """Behaviour 49: a stored row for which the old vocabulary has no word isn't carried over."""
    variable = get_variable("embedding", [2, 2])
    info = VocabInfo(words("new", "orange", "apple", "guava"), 2, 0,
                     words("old", "apple", "orange", "guava"), old_vocab_size=1)
    warm_start(None, old, ".*", {"embedding": info})
    np.testing.assert_array_equal(variable.numpy(), [[0, 0], [0, 1]])


def test_a_vector_of_any_dtype_has_words_too(tmp_path, words):
    prefix = Saver({"bias": Variable([5, 6])}).save(None, tmp_path / "m")
    variable = Variable([0, 0, 0], name="bias")
    info = VocabInfo(words("new", "b", "x", "a"), 3, 0, words("old", "a", "b"))
    warm_start([variable], prefix, None, {"bias": info})
    assert variable.numpy().tolist() == [6, 0, 5]


def test_selecting_nothing_leaves_the_variables_with_a_vocabulary(graph, old, words):
    """Behaviour 48."""
    variables = model(*ALL)
    embedding = get_variable("embedding", [3, 2])
    same = words("words", "apple", "orange", "guava")
    report = warm_start(None, old, None, {"embedding": VocabInfo(same, 3, 0, same)})
    assert not any(variable.numpy() for variable in variables.values())
    np.testing.assert_array_equal(embedding.numpy(), EMBEDDING[:3])
    assert report.matched == ("embedding",)


def test_everything_that_is_wrong_is_said_at_once_and_nothing_is_loaded(graph, old, words):
    """Behaviour 48, and what is missing or differs."""
    variables = model("d/kernel", "d/kernl", "step")
    whole = get_variable("embedding", [2, 2])
    whole_info = VocabInfo(words("words", "a", "b"), 2, 0, words("old", "x", "y", "x"))
    with Graph().as_default():
        variables["d/bias"] = Variable([0.0, 0.0], name="d/bias")
    with pytest.raises(RestoreError) as caught:
        warm_start([*variables.values(), whole], old, ".*",
                   {"embedding": whole_info, "embeding": whole_info}, {"step": "d/bias"})
    assert str(caught.value) == f"""\
3 settings can't be followed, 1 variables are not in the checkpoint, 1 variables differ from the \
checkpoint's in shape or dtype (file {old})
Nothing was loaded.
matched 0   missing in checkpoint 1   unused in checkpoint 0   differs 1
missing:  d/kernl  float32 []   nearest: d/kernel, d/kernel/Adam
differs:  d/bias  program float32 [2], checkpoint float32 []
note: var_name_to_prev_var_name has 'step', which isn't warm-started
note: var_name_to_vocab_info has 'embeding', which isn't warm-started; nearest: embedding
note: embedding: the word 'x' is on line 1 of the vocabulary and on line 3 (file \
{words("old", "x", "y", "x")})"""
    assert not variables["d/kernel"].numpy()


VOCABULARY_MISTAKES = [
    ({"new_vocab_size": 4}, "the vocabulary has fewer words than the settings say: expected"
                            " new_vocab_size of 3 at most, got 4 (file FOLDER/new)"),
    ({"old_vocab_size": 4}, "the vocabulary has fewer words than the settings say: expected"
                            " old_vocab_size of 3 at most, got 4 (file FOLDER/old)"),
    ({"num_oov_buckets": 1}, "the variable has another size than words and buckets together:"
                             " expected 3 + 1 along axis 0, got [3, 2]"),
    ({"old_vocab": "long"}, "the old vocabulary has more words than the stored value: expected 4"
                            " at most for [4, 2], got 5 words; old_vocab_size says how many of"
                            " them the stored value has."),
    ({"old_vocab": "gaps"}, "line 2 of the vocabulary is empty (file FOLDER/gaps)"),
    ({"new_vocab": "none"}, "there is no such vocabulary file (file FOLDER/none)"),
    ({"axis": 1, "new_vocab_size": 2}, "the stored value differs along another axis than the"
                                       " vocabulary's: expected [3, 2], got [4, 2]"),
    ({"backup_initializer": lambda shape, dtype: np.zeros(5)},
     "the backup initializer returned another shape: expected (1, 2), got (5,)"),
    ({"backup_initializer": lambda shape: np.zeros([*shape, 1])},
     "the backup initializer returned another shape: expected (1, 2), got (1, 2, 1)"),
]


@pytest.mark.parametrize(("change", "message"), VOCABULARY_MISTAKES,
                         ids=[next(iter(case[0].items()))[0] + str(n) for n, case
                              in enumerate(VOCABULARY_MISTAKES)])
def test_a_vocabulary_that_can_not_be_is_told(graph, old, words, tmp_path, change, message):
    variable = get_variable("embedding", [3, 2])
    before = variable.numpy()
    for name, lines in {"new": "cax", "old": "abc", "long": "abcde", "gaps": ("a", "", "c")
                        }.items():
        words(name, *lines)
    settings = {"new_vocab": "new", "new_vocab_size": 3, "num_oov_buckets": 0, "old_vocab": "old",
                **change}
    for name in ("new_vocab", "old_vocab"):
        settings[name] = tmp_path / settings[name]
    if "axis" in change:
        words("old", "a", "b")
    with pytest.raises(RestoreError) as caught:
        warm_start(None, old, ".*", {"embedding": VocabInfo(**settings)})
    assert str(caught.value).splitlines()[-1] == (
        f"note: embedding: {message.replace('FOLDER', str(tmp_path))}")
    assert variable.numpy() is before


@pytest.mark.parametrize(("arguments", "kind", "message"), [
    ((None, "m"), GraphStateError, "outside of a graph warm_start needs a list of variables"),
    (("m", "m"), VariableTypeError, "warm_start takes a list or dict of variables: got 'm'\n"
     "The checkpoint comes second: warm_start(variables, path)."),
    (([1], "m"), VariableTypeError, "this is no variable: got 1"),
    (([], "m", ["a", 1]), VariableTypeError, "this is no variable: got 'a'"),
    (([], "m", 1), VariableTypeError, "vars_to_warm_start is neither a pattern nor a list of"
     " patterns or variables: got 1"),
    (([Variable(0.0)], "m", "("), VariableError, "vars_to_warm_start has a pattern that is none:"
     " missing ), unterminated subpattern at position 0: got '('"),
    (([Variable(0.0), Variable(1.0)], "m"), VariableError, "several variables have one name"
     " (tensor 'Variable')\nGive warm_start a dict from names to variables."),
])
def test_what_is_no_settings_is_refused(arguments, kind, message):
    with pytest.raises(kind) as caught:
        warm_start(*arguments)
    assert str(caught.value) == message


def test_an_axis_is_of_rows_or_of_columns():
    with pytest.raises(ValueError, match=r"expected axis 0 or 1, got 2"):
        VocabInfo("new", 1, 0, "old", axis=2)
