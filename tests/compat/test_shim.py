"""TF1 model code under the shim, against the same code in TensorFlow 1.15."""

from __future__ import annotations

import re

import numpy as np
import pytest
from live import live

from helpers import ROOT

CASES = ("dense", "conv", "lstm", "batch_norm", "renorm", "reuse", "scopes", "templates",
         "partitioned", "defaults", "collected")
# Every kind of object whose methods may be decorated, where it exists.
HOSTS = [("tf2.15", "module"), ("tf2.15", "keras2"), ("tf2.21", "module"), ("tf2.21", "tf_keras"),
         ("tf2.21", "keras3")]


class Truths(dict):
    """Of each model, once a test asks: what TensorFlow 1.15 says, and its checkpoint."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def __missing__(self, case):
        prefix = self.folder / case
        self[case] = live("tf1.15")("in_tensorflow_1", module="shim_snippets", case=case,
                                    prefix=prefix), prefix
        return self[case]


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return Truths(tmp_path_factory.mktemp("tf1"))


def assert_equal(got: dict, expected: dict) -> None:
    assert got["variables"] == expected["variables"]
    for key in ("outputs", "losses"):
        np.testing.assert_allclose(got[key], expected[key], rtol=1e-5, atol=1e-6, err_msg=key)


def assert_moved(got: dict, expected: dict) -> None:
    """Also in training, and what it leaves."""
    np.testing.assert_allclose(got["trained"], expected["trained"], rtol=1e-5, atol=1e-5)
    assert got["moved"].keys() == expected["moved"].keys()
    for name, moved in expected["moved"].items():
        np.testing.assert_allclose(got["moved"][name], moved, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(("version", "kind"), HOSTS)
@pytest.mark.parametrize("case", CASES)
def test_names_values_and_losses_are_those_of_tensorflow_1(version, kind, case, truth):
    expected, prefix = truth[case]
    for in_function in (False, True):
        got = live(version)("under_the_shim", module="shim_snippets", kind=kind, case=case,
                            prefix=prefix, in_function=in_function)
        assert_equal(got, expected)
        assert got["trainable"] == expected["trainable"]
        assert got["projected"] == pytest.approx(expected["projected"], rel=1e-5)
        np.testing.assert_allclose(got["own losses"], expected["losses"], rtol=1e-5)
        assert_moved(got, expected)


@pytest.mark.parametrize("case", CASES)
def test_tensorflows_own_layers_of_215_run_under_the_shim_too(case, truth):
    expected, prefix = truth[case]
    got = live("tf2.15")("under_the_shim", module="shim_snippets", kind="keras2", case=case,
                         prefix=prefix, in_function=True, theirs=True)
    assert_equal(got, expected)


@pytest.mark.parametrize(("version", "kind"), HOSTS)
def test_a_tf1_checkpoint_waits_for_variables_that_are_made_later(version, kind, truth):
    """In TensorFlow's Checkpoint too, where TensorFlow's own shim leaves them as initialized."""
    expected, prefix = truth["lstm"]
    outputs, report = live(version)("restored_before_the_first_call", module="shim_snippets",
                                    kind=kind, case="lstm", prefix=prefix)
    for got in outputs:
        np.testing.assert_allclose(got, expected["outputs"], rtol=1e-5, atol=1e-6)
    assert report == ("matched 20   missing in checkpoint 0   unused in checkpoint 0"
                      "   differs 0")


@pytest.mark.parametrize(("version", "kind"), HOSTS)
def test_a_saver_restores_and_saves_them_by_their_tf1_names(version, kind, truth, tmp_path):
    expected, prefix = truth["scopes"]
    names, outputs = live(version)("saved_and_restored_by_name", module="shim_snippets", kind=kind,
                                   case="scopes", folder=tmp_path, prefix=prefix)
    assert names == expected["variables"]
    np.testing.assert_allclose(outputs, expected["outputs"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", ["tf2.15", "tf2.21"])
@pytest.mark.parametrize("case", ["dense", "renorm", "templates", "partitioned"])
def test_in_a_tf1_graph_the_code_runs_as_it_is(version, case, truth):
    expected, prefix = truth[case]
    got = live(version)("in_a_tf1_graph", module="shim_snippets", case=case, prefix=prefix)
    assert_equal(got, expected)
    assert_moved(got, expected)


@pytest.mark.parametrize(("version", "kind"), HOSTS)
def test_unnamed_layers_are_numbered_as_in_the_first_call(version, kind):
    names = live(version)("numbered", module="shim_snippets", kind=kind)
    assert names == [f"{layer}/{part}" for layer in ("dense", "dense_1", "dense_2", "dense_3")
                     for part in ("bias", "kernel")]


@pytest.mark.parametrize(("version", "kind"), HOSTS)
def test_templates_that_are_made_with_the_object_belong_to_it(version, kind):
    """Outside of functions TensorFlow's templates ask the store of the method that calls them."""
    expected = [["first/scale/w", "scale/v"], [[[36.0, 36.0]]] * 3]
    assert live(version)("kept_templates", module="shim_snippets", kind=kind) == [expected] * 2


@pytest.mark.parametrize(("version", "kind", "inner"), [
    *((version, kind, kind) for version, kind in HOSTS if kind != "module"),
    ("tf2.15", "module", "keras2"), ("tf2.21", "module", "keras3"),
    ("tf2.21", "keras3", "tf_keras"), ("tf2.21", "tf_keras", "keras3")])
def test_nested_layers_are_made_once_and_tracked(version, kind, inner, tmp_path):
    got = live(version)("nested_layers", module="shim_snippets", kind=kind, inner=inner,
                        folder=tmp_path)
    assert got["made"] == 1
    assert got["variables"] == 5
    np.testing.assert_allclose([got["loss"], got["own"]], 1, rtol=1e-5)
    keys = [key for key in got["keys"] if "layers/" not in key.replace("_layers/", "")]
    assert "model/_tf1_style_var_store/_vars/outer.Sscale" in keys


@pytest.mark.parametrize(("version", "kind"), HOSTS)
def test_autograph_reaches_the_method_and_gradients_its_variables(version, kind):
    assert live(version)("autograph_and_training", module="shim_snippets", kind=kind) == [
        [1.0 if kind == "keras3" else 2.0] * 3, [-1.0] * 3]


@pytest.mark.parametrize("kind", ["tf_keras", "keras3"])
def test_keras_trains_saves_and_loads_them(kind, tmp_path):
    got = live("tf2.21")("keras_trains_and_saves", module="shim_snippets", kind=kind,
                         folder=tmp_path)
    assert got["weights"] == 18
    assert got["changed"] > 12  # a bias before a normalization has no gradient to speak of
    assert got["losses"] > 0
    assert got["loss"] == pytest.approx(got["errors"] + got["losses"], rel=1e-5)
    assert got["loaded"]


@pytest.mark.parametrize("version", ["tf2.15", "tf2.21"])
def test_what_was_asked_for_in_parts_is_one_variable_that_shows_them(version, tmp_path):
    got = live(version)("seen_in_parts", module="shim_snippets", kind="module", folder=tmp_path)
    assert got == {
        "parts": [[2.0, 3.0, 4.0], [4.0, 5.0]], "length": [2, 1], "name": "s/w", "shape": [5],
        "rows": [4.0, 5.0], "gradient": [0.0, 0.0, 0.0, 1.0, 1.0],
        "variables": ["s/small", "s/w"], "saved": {"of view": [2.0, 3.0, 4.0, 4.0, 5.0]}}


@pytest.mark.parametrize("version", ["tf2.15", "tf2.21"])
def test_what_is_refused_says_why(version):
    got = live(version)("errors", module="shim_snippets")
    assert got == [
        "VariableTypeError: track_tf1_style_variables decorates methods of a tf.Module or a Keras"
        " layer: got NoModule",
        "GraphStateError: get_or_create_layer was called outside of a decorated method: got 'head'"
        "\nDecorate the method that calls it with track_tf1_style_variables.",
        "VariableError: the variable exists with another shape: expected [2], got [3]"
        " (tensor 'v')",
        "VariableError: the variable exists with another dtype: expected float32, got float64"
        " (tensor 'v')",
        "VariableError: the scope says reuse=True, and there is no such variable (tensor 's/v')\n"
        "Open the scope with reuse=tf.compat.v1.AUTO_REUSE to make it.",
        "VariableError: the initial value is computed in a tf.function: got mul:0 (tensor 'v')\n"
        "Give a function as initializer, or call the method once outside of tf.function.",
        "UnsupportedError: dense: activity_regularizer is not supported\n"
        "Write this layer with tf.compat.v1.get_variable.",
        "VariableError: the partitioner's answer is no way to cut the variable: expected 2 numbers"
        " from 1, at most one of them above 1, got [2, 2] (tensor 'v')",
        "VariableError: renorm_clipping has other keys: expected rmin, rmax, dmax, got max",
        "VariableError: virtual batches need a size above 0, no adjustment, and an axis that isn't"
        " the batch's: got size 1, axis [0] (tensor 'batch_normalization')",
    ]


@pytest.mark.parametrize("version", ["tf2.15", "tf2.21"])
def test_an_object_based_checkpoint_of_tensorflows_shim_loads(version, tmp_path):
    prefix, expected = live("tf2.15")("saved_by_tensorflows_shim", module="shim_snippets",
                                      prefix=tmp_path / "theirs")
    got = live(version)("loaded_by_ours", module="shim_snippets", prefix=prefix)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("version", ["tf2.15", "tf2.21"])
def test_the_page_prints_what_it_says(version, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```\n\s*^```text\n(.*?)^```",
                        (ROOT / "docs" / "shim.md").read_text(encoding="utf-8"),
                        re.MULTILINE | re.DOTALL)
    got = live(version)("page", module="shim_snippets", text=[code for code, _ in blocks],
                        folder=tmp_path)
    assert got == [text for _, text in blocks]
