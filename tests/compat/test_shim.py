"""TF1 model code under the shim, against the same code in TensorFlow 1.15."""

from __future__ import annotations

import numpy as np
import pytest
from live import live

CASES = ("dense", "conv", "lstm", "batch_norm", "reuse", "scopes")
# Every kind of object whose methods may be decorated, where it exists.
HOSTS = [("tf2.15", "module"), ("tf2.15", "keras2"), ("tf2.21", "module"), ("tf2.21", "tf_keras"),
         ("tf2.21", "keras3")]


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """Of each model: what TensorFlow 1.15 says, and its checkpoint."""
    folder = tmp_path_factory.mktemp("tf1")
    tf1 = live("tf1.15")
    return {case: (tf1("in_tensorflow_1", module="shim_snippets", case=case,
                       prefix=folder / case), folder / case) for case in CASES}


def assert_equal(got: dict, expected: dict) -> None:
    assert got["variables"] == expected["variables"]
    for key in ("outputs", "losses"):
        np.testing.assert_allclose(got[key], expected[key], rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize(("version", "kind"), HOSTS)
@pytest.mark.parametrize("case", CASES)
def test_names_values_and_losses_are_those_of_tensorflow_1(version, kind, case, truth):
    expected, prefix = truth[case]
    for in_function in (False, True):
        got = live(version)("under_the_shim", module="shim_snippets", kind=kind, case=case,
                            prefix=prefix, in_function=in_function)
        assert_equal(got, expected)
        assert got["trainable"] == expected["trainable"]
        np.testing.assert_allclose(got["own losses"], expected["losses"], rtol=1e-5)
        np.testing.assert_allclose(got["trained"], expected["trained"], rtol=1e-5, atol=1e-5)
        assert got["moved"].keys() == expected["moved"].keys()
        for name, moved in expected["moved"].items():
            np.testing.assert_allclose(got["moved"][name], moved, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_tensorflows_own_layers_of_215_run_under_the_shim_too(case, truth):
    expected, prefix = truth[case]
    got = live("tf2.15")("under_the_shim", module="shim_snippets", kind="keras2", case=case,
                         prefix=prefix, in_function=True, theirs=True)
    assert_equal(got, expected)


@pytest.mark.parametrize(("version", "kind"), HOSTS)
def test_a_tf1_checkpoint_waits_for_variables_that_are_made_later(version, kind, truth):
    expected, prefix = truth["lstm"]
    got = live(version)("restored_before_the_first_call", module="shim_snippets", kind=kind,
                        case="lstm", prefix=prefix)
    np.testing.assert_allclose(got, expected["outputs"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", ["tf2.15", "tf2.21"])
def test_in_a_tf1_graph_the_code_runs_as_it_is(version, truth):
    expected, prefix = truth["dense"]
    got = live(version)("in_a_tf1_graph", module="shim_snippets", prefix=prefix)
    assert_equal(got, expected)


@pytest.mark.parametrize(("version", "kind"), HOSTS)
def test_unnamed_layers_are_numbered_as_in_the_first_call(version, kind):
    names = live(version)("numbered", module="shim_snippets", kind=kind)
    assert names == [f"{layer}/{part}" for layer in ("dense", "dense_1", "dense_2", "dense_3")
                     for part in ("bias", "kernel")]


@pytest.mark.parametrize(("version", "kind", "inner"), [
    *((version, kind, kind) for version, kind in HOSTS if kind != "module"),
    ("tf2.15", "module", "keras2"), ("tf2.21", "module", "keras3"),
    ("tf2.21", "keras3", "tf_keras"), ("tf2.21", "tf_keras", "keras3")])
def test_nested_layers_are_made_once_and_tracked(version, kind, inner, tmp_path):
    got = live(version)("nested_layers", module="shim_snippets", kind=kind, inner=inner)
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
    assert got == {"weights": 18, "changed": 18, "loaded": True}


@pytest.mark.parametrize("version", ["tf2.15", "tf2.21"])
def test_what_is_refused_says_why(version):
    got = live(version)("errors", module="shim_snippets")
    assert got == []
