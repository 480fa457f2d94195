"""JAX's arrays in TensorFlow's checkpoints; both frameworks are the judges."""

from __future__ import annotations

import sys

import live
import numpy as np
import pytest

import tfckpt
from helpers import ROOT
from tfckpt.errors import MissingDependencyError


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
    assert keys == ["_CHECKPOINTABLE_OBJECT_GRAPH", "fixed/a/w", "save_counter",
                    "state/opt_state/0/count", "state/opt_state/0/mu/w", "state/opt_state/0/nu/w",
                    "state/params/w", "state/step"]
    assert said == [
        REFUSED.format("step, a/w, opt_state/0/count"),
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
        "VariableError: the array is only described, and has no value (tensor 'a')\n"
        "What jax.eval_shape gives can be loaded, not saved.",
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


def far(got, wanted) -> float:
    return float(np.abs(np.array(got) - np.array(wanted)).max())


def test_linen_takes_over_what_tensorflow_1_trained_and_gives_it_back(jax, tf115, tmp_path):
    wanted = tf115("tf1_run", "jax_snippets", path=tmp_path / "tf1", restore=False)
    outputs, notes, unclear = jax("linen_load", path=tmp_path / "tf1")
    assert far(outputs, wanted) < 1e-5
    assert notes == [
        "params/cell/{ii,if,ig,io,hi,hf,hg,ho}/kernel from net/rnn/cell/kernel [17, 20]"
        " (lstm1_kernel)",
        "params/cell/{hi,hf,hg,ho}/bias from net/rnn/cell/bias [20] (lstm1_bias)",
        "params/depth/kernel from net/depth/depthwise_weights [3, 3, 6, 2] (reshape)",
        "params/up/kernel from net/up/kernel [3, 3, 6, 4] (transposed)"]
    assert unclear == (
        f"MismatchError: 14 of 26 values of the tree were found (file {tmp_path}/tf1)\n"
        "  unclear:  cell is a cell of TF1 in the checkpoint, which adds its forget_bias (1.0 by"
        " default) as it runs and doesn't store it; layouts={'cell': 'lstm_cell(1.0)'} says so\n"
        "  unused:   net/rnn/cell/bias\n"
        "  unused:   net/rnn/cell/kernel\n"
        "Nothing was loaded. names={tensor: value} names pairs; allow_unused=True leaves tensors"
        " behind.")
    outputs, notes = jax("linen_save", path=tmp_path / "jax")
    assert notes[-1] == "net/up/kernel [3, 3, 6, 4] from params/up/kernel (transposed)"
    assert far(tf115("tf1_run", "jax_snippets", path=tmp_path / "jax", restore=True),
               outputs) < 1e-5


def test_nnx_takes_over_what_keras_trained_and_gives_it_back(jax, tf2, tmp_path):
    path, wanted = tf2("keras_run", "jax_snippets", path=tmp_path / "keras", restore=False)
    outputs, notes, cast = jax("nnx_load", path=path)
    assert far(outputs, wanted) < 1e-5
    assert sorted(note.partition(" from ")[0] for note in notes) == [
        "depth/kernel", "gru/cell/dense_h/kernel", "gru/cell/dense_i/bias",
        "gru/cell/dense_i/kernel", "up/kernel"]
    assert cast.startswith("32 values are cast from float32 to bfloat16: ")
    outputs = jax("nnx_save", path=tmp_path / "jax")
    _, restored = tf2("keras_run", "jax_snippets", path=tmp_path / "jax", restore=True)
    assert far(restored, outputs) < 1e-5


def test_cells_of_linen_and_heads_that_are_not_split(jax, tf221, tmp_path):
    path, wanted = tf221("keras_run", "jax_snippets", path=tmp_path / "keras", restore=False,
                         model="keras_cells")
    outputs, notes, fresh = jax("cells", path=path, saved=tmp_path / "jax")
    assert far(outputs, wanted) < 1e-5
    assert sum("(reshape)" in note for note in notes) == 7
    assert sum("(gates)" in note or "(gru_" in note for note in notes) == 6
    assert notes[-1] == ("taken for ordinary convolutions, as nothing tells: conv;"
                         " layouts={layer: 'transposed'} says otherwise")
    _, restored = tf221("keras_run", "jax_snippets", path=tmp_path / "jax", restore=True,
                        model="keras_cells")
    assert far(restored, fresh) < 1e-5


def test_names_of_bert_lead_to_those_of_flax(jax, tmp_path):
    matched, stored, notes = jax("bert", folder=tmp_path)
    assert matched == stored == 54
    assert notes == 18  # heads


def test_arrays_in_shards_stay_where_they_are(jax, tmp_path):
    assert jax("sharded", folder=tmp_path) == "2 True\n"


def test_processes_that_train_together(jax, tmp_path):
    refused = ["parts of the array are on devices of other processes (tensor 'halves')",
               "Gather it first, with jax.experimental.multihost_utils.process_allgather."]
    assert jax("two_processes", folder=tmp_path) == [
        ["[0.0, 1.0, 2.0, 3.0]", f"[{half}]", *refused] for half in ([0.0, 1.0], [2.0, 3.0])]


def test_what_is_missing_or_unclear_is_said_and_nothing_changes(jax, tmp_path):
    nothing = "Nothing was loaded. names={tensor: value} names pairs"
    assert jax("refusals", folder=tmp_path) == [
        f"MismatchError: 1 of 4 values of the tree were found (file {tmp_path}/dense)\n"
        "  differs:  dense/kernel is [4, 4], the checkpoint's dense/kernel is [4, 5]\n"
        "  missing:  other/kernel  float32 [4, 3]\n"
        "  missing:  other/bias  float32 [3]\n"
        "  unused:   rest\n"
        f"{nothing}; allow_missing=True keeps values of the tree; allow_unused=True leaves tensors"
        " behind.",
        f"MismatchError: 0 of 4 values of the tree were found (file {tmp_path}/two)\n"
        f"  alike:    left, right: which of them is one, two can't be told\n{nothing}.",
        f"MismatchError: 2 of 3 values of the tree were found (file {tmp_path}/gru)\n"
        "  differs:  gru/bias: the GRU of flax.nnx has no bias for the state's part of the"
        f" candidate: expected zeros, got up to 17.0\n{nothing}.",
        f"MismatchError: 0 of 1 values of the tree were found (file {tmp_path}/up)\n"
        "  unclear:  up/conv2d_transpose/kernel is of a transposed convolution by its name, and"
        " the tree doesn't say what up is; layouts={'up': 'transposed'} says so, and 'same' that"
        f" its kernel is as TensorFlow's (transpose_kernel=True)\n{nothing}.",
        f"MismatchError: 0 of 1 values of the tree were found (file {tmp_path}/gru)\n"
        "  differs:  gru/kernel: the value can't be taken without changing it: expected int32, got"
        f" float32 (tensor 'w')\n{nothing}.",
        f"MismatchError: 0 of 1 values of the tree were found (file {tmp_path}/gru)\n"
        "  differs:  gru/kernel: the value has another precision: expected bfloat16, got"
        f" float32 (tensor 'w')\n{nothing}; cast=True takes another precision.",
        f"UnsupportedError: the checkpoint has no moving averages (file {tmp_path}/dense)",
        "TensorNotFoundError: names has a name that the tree doesn't have (tensor 'dense/kernal')\n"
        "Nearest: dense/kernel, dense/bias.",
        "TensorNotFoundError: layouts names a layer that the tree doesn't have (tensor 'dens')\n"
        "Nearest: dense.",
        "FormatError: a layer can't be this: expected one of same, transposed, depthwise, got"
        " 'upwards' (tensor 'up')",
        "FormatError: no layer of this name can be this: got 'transposed' (tensor 'dense')",
        "FormatError: no layer of this name can be this: got 'lstm_cell' (tensor '*')",
        "VariableTypeError: layouts has a layout that isn't text: expected the name of one, such as"
        " 'same', got int (tensor 'dense')",
        "VariableTypeError: layouts has a name that isn't text: expected the name of a layer, such"
        " as '2', got int",
        "AmbiguousNamesError: two values would get one name: got b\n"
        "names={ours: theirs} gives one of them another.",
        "VariableTypeError: this is no tree with values of JAX in it: got ArrayImpl\n"
        "Give nested dicts of arrays, or a module of flax.nnx.",
        "AmbiguousNamesError: the pairs that were given have two tensors for one: got one/kernel,"
        " two/kernel for a/kernel",
        "UnsupportedError: there is no such ema: expected ignore or use, got yes",
        "UnsupportedError: allow_missing isn't a valid regular expression (missing ), unterminated"
        " subpattern at position 0): got '('",
        "UnsupportedError: there is no such style: expected tf2 or tf1, got tf3",
        "TensorNotFoundError: names has a name that the tree doesn't have (tensor 'b')",
    ]


def test_nothing_is_lost_in_silence(jax, tmp_path):
    assert jax("silent_once", folder=tmp_path) == {
        "two collections": {"a/beta": 1.0, "a/gamma": 1.0, "batch_stats/a/bias": 9.0},
        "out of range": ["1 values are cast from float32 to float16: w",
                         "w: 1 numbers are out of the range of float16"],
        "averages": ['the checkpoint has moving averages of 1 variables; what was loaded are the'
                     ' variables themselves (ema="use" takes the averages)'],
        "taken": ["moving averages were taken for 1 variables"],
        "alone": "UnsupportedError: the checkpoint has moving averages without their variables"
                 f" (file {tmp_path}/alone)\n"
                 f"Load what `tfckpt ema {tmp_path}/alone --use -o NEW` writes.",
        "by map": {"a": 5.0, "a_tied": 5.0, "n": 3},
        "not in the tree": f"MismatchError: 2 of 2 values of the tree were found (file"
                           f" {tmp_path}/more)\n  unused:   b/w\nNothing was loaded."
                           " names={tensor: value} names pairs; allow_unused=True leaves tensors"
                           " behind."}


def test_trees_that_never_change_other_files_and_maps(jax, tmp_path):
    def counts(matched, missing):
        return (f"matched {matched}   missing in checkpoint {missing}   unused in checkpoint 0  "
                " differs 0")

    assert jax("other_ways", folder=tmp_path) == [
        counts(8, 0) + "\nnote: names are those of the tree: values are taken as they lie",
        counts(2, 0), counts(2, 1) + "\nmissing:  new  bfloat16 [2]"]


def test_the_page_does_what_it_says(jax, tmp_path):
    assert jax("page", folder=tmp_path, path=ROOT / "docs" / "jax.md") == {
        "blocks": 3, "failed": 0, "said": ""}


def test_without_jax_the_error_says_what_to_install(monkeypatch):
    import tfckpt.jax

    monkeypatch.setitem(sys.modules, "jax", None)  # as if it weren't installed
    with pytest.raises(MissingDependencyError) as raised:
        tfckpt.jax.load({}, "nowhere")
    assert str(raised.value) == ("trees of JAX's need JAX\nRun: pip install 'tfckpt[jax]'")
