"""JAX's arrays in TensorFlow's checkpoints; both frameworks are the judges."""

from __future__ import annotations

import live
import pytest

import tfckpt


@pytest.fixture
def jax():
    process = live.live("keras3", "jax")
    return lambda function, **arguments: process(function, "jax_snippets", **arguments)


REFUSED = ("VariableError: arrays of JAX never change, and what holds some of these doesn't either:"
           " expected a dict, a list or a module of flax.nnx around each, got {}\n"
           "Nothing was loaded. tfckpt.jax.load(tree, path) gives a new tree.")


def test_a_tree_is_to_tensorflow_what_the_same_dicts_of_its_variables_are(jax, tf2, tmp_path):
    prefix, values = jax("save_tree", prefix=tmp_path / "jax")
    assert tf2("tf_restore", "jax_snippets", prefix=prefix) == values
    graph = "_CHECKPOINTABLE_OBJECT_GRAPH"
    with tfckpt.open(prefix) as ours, tfckpt.open(prefix + "-again") as theirs:
        assert list(ours.index) == list(theirs.index)
        assert ours.read_bytes(graph) == theirs.read_bytes(graph)
        assert {str(entry.dtype) for entry in ours.index.values()} == {
            "float32", "bfloat16", "int32", "float16", "float8_e4m3fn", "bool", "int64", "string"}

    saved = tf2("tf_save", "jax_snippets", prefix=tmp_path / "tf")
    refused, again = jax("restore_tree", prefix=saved)
    assert refused == REFUSED.format("pair/0, pair/1")
    assert again == values[:-2]  # all but the pair


def test_modules_of_nnx_with_their_optimizers(jax, tmp_path):
    keys, names = jax("nnx_there_and_back", folder=tmp_path)
    assert keys == ["model/drop/rngs/count", "model/drop/rngs/key", "model/layers/0/bias",
                    "model/offset", "model/tied"]
    assert sorted(names) == ["drop/rngs/count", "drop/rngs/key", "layers/0/bias",
                             "layers/0/kernel", "offset"]


def test_what_jax_has_besides_plain_arrays(jax, tmp_path):
    keys, said = jax("kinds", folder=tmp_path)
    assert keys == ["_CHECKPOINTABLE_OBJECT_GRAPH", "fixed/w", "save_counter",
                    "state/opt_state/0/count", "state/opt_state/0/mu/w", "state/opt_state/0/nu/w",
                    "state/params/w", "state/step"]
    assert said == [
        REFUSED.format("w, step, opt_state/0/count"),
        REFUSED.format("the array itself"),
        "VariableTypeError: a Saver takes a list or dict of variables: got"
        " [Array([1., 1.], dtype=float32)]\n"
        "Arrays of JAX have no names of their own; give a dict.",
        "VariableTypeError: the root is nothing that a checkpoint can save: got"
        " Array([1., 1.], dtype=float32)",
        "VariableError: values that never change can't be put into a list or dict that is tracked"
        " already: got ArrayImpl\n"
        "Set the whole list or dict as an attribute, with what it holds.",
        "VariableError: inside a function that JAX transforms there are no values to save"
        " (tensor 'a')\nSave outside of jit, grad and the like.",
        "VariableError: the array was given away to a function that may reuse its memory"
        " (donate_argnums) (tensor 'a')\nSave what that function returned.",
        "VariableError: the keys of a dict give no names for a checkpoint: expected text, or"
        " whole numbers, all different, got (1, 2)",
        "UnsupportedError: TensorFlow has no dtype of this name: got float8_e3m4 (tensor 'a')",
        "RestoreError: values of the program and of the checkpoint differ in shape or dtype"
        f" (file {tmp_path}/other)\nThe program is not the one that was saved. Nothing was"
        " loaded.\nmatched 0   missing in checkpoint 0   unused in checkpoint 0   differs 1\n"
        "differs:  state/w  program float32 [3], checkpoint float32 [2]",
    ]


def test_a_loop_that_gives_its_arrays_away_is_saved_in_the_background(jax, tmp_path):
    assert jax("training", folder=tmp_path) == [[0.0], [1.0], [2.0]] * 2


def test_the_examples_of_the_room(jax):
    assert jax("doctests") == []
