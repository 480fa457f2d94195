"""Modules of PyTorch and models of TensorFlow with the same weights compute the same.

PyTorch and TensorFlow are the judges, each in its own environment: see torch_snippets.py,
torch_keras_snippets.py and torch_tf1_snippets.py.
"""

from __future__ import annotations

import pytest
from live import live

from helpers import ROOT


@pytest.fixture
def torch(tmp_path):
    """Calls a function of torch_snippets.py where PyTorch is."""
    def call(function, **arguments):
        return live("keras3", "torch")(function, module="torch_snippets", folder=str(tmp_path),
                                       **arguments)

    return call


@pytest.fixture
def keras2(tf215, tmp_path):
    def call(function, **arguments):
        return tf215(function, module="torch_keras_snippets", folder=str(tmp_path), **arguments)

    return call


@pytest.fixture
def tf1(tf115, tmp_path):
    def call(function, **arguments):
        return tf115(function, module="torch_tf1_snippets", folder=str(tmp_path), **arguments)

    return call


@pytest.mark.parametrize("kind", ["ResNet", "Kinds", "Images"])
def test_a_trained_module_is_restored_by_keras_2_and_computes_the_same(torch, keras2, kind):
    tf2, _ = torch("save_all", kind=kind)
    assert keras2("restore", kind=kind, path=tf2) < 1e-5
    assert torch("restore", kind=kind, path=tf2, style="tf2") < 1e-6


@pytest.mark.parametrize("kind", ["ResNet", "Cells"])
def test_a_trained_module_is_restored_by_tensorflow_1_under_its_names(torch, tf1, kind):
    _, path = torch("save_all", kind=kind)
    found = tf1("restore", kind=kind, path=path)
    assert found.pop("far") < 1e-5
    assert found == {"same names": True}
    assert torch("restore", kind=kind, path=path, style="tf1") < 1e-6


@pytest.mark.parametrize("kind", ["ResNet", "Kinds"])
def test_a_model_of_keras_2_is_restored_into_a_module_of_the_same_attributes(torch, keras2, kind):
    path = keras2("save", kind=kind, given=torch("some_inputs", kind=kind))
    assert torch("restore", kind=kind, path=path, style="tf2") < 1e-5


@pytest.mark.parametrize("kind", ["ResNet", "Cells"])
def test_a_graph_of_tensorflow_1_is_restored_into_a_module_of_the_same_names(torch, tf1, kind):
    path = tf1("save", kind=kind, given=torch("some_inputs", kind=kind))
    assert torch("restore", kind=kind, path=path, style="tf1") < 1e-5


def test_what_modules_are_besides_layers(torch):
    assert torch("odd_ones") == {
        "stored": {"net/0/bias": ["bfloat16", 2], "net/0/kernel": ["bfloat16", 2, 2],
                   "net/1/bias": ["float32", 2], "net/1/kernel": ["float32", 2, 2],
                   "net/kept": ["int64", 2], "net/own": ["float8_e4m3fn", 1], "step": ["int64"]},
        "same": True, "in place": True, "requires_grad": [False, True, True, False, False],
        "wrapped": ["key/bias", "key/kernel", "out_proj/bias",
                    "out_proj/parametrizations/weight/original0",
                    "out_proj/parametrizations/weight/original1"],
        "heads": {"q/kernel": [6, 2, 4], "q/bias": [2, 4], "o/kernel": [2, 4, 6], "o/bias": [6],
                  "one/kernel": [1, 1, 2, 3], "one/bias": [3]},
        "by name": ["0/bias", "0/kernel", "1/bias", "1/kernel", "kept", "own"],
        "in a list": ["0/bias", "0/kernel", "1/bias", "1/kernel", "kept", "own"],
        "snapshot": True, "dies": True}


def test_tensors_of_every_dtype_are_set_where_they_are(torch):
    assert torch("every_dtype") == [[], True]


def test_refusals(torch):
    assert torch("refusals") == {
        "images":
            "the order of an image's numbers differs between PyTorch and TensorFlow, and it isn't"
            " known whether these layers have one:\n"
            "  3: Linear of 24 = 6 x 4 numbers, after a layer with 4 channels\n"
            "  4: Linear before an image of 12 x 2 x 2\n"
            "  7: LayerNorm over 1 x 2 x 2\n"
            'Say so with layouts={"3": "flattened(2,3)", "4": "unflattened(2,2)", "7": "image"},'
            ' with the height and width of the image, or with "dense" where there is none ("same"'
            " for a normalization). For Saver and Checkpoint: tfckpt.torch.set_layouts(module,"
            " {...}).",
        "all of them":
            "the order of an image's numbers differs between PyTorch and TensorFlow, and it isn't"
            " known whether these layers have one:\n"
            "  dense: Linear before an image of 4 x 2 x 3\n"
            "  batch: BatchNorm1d before an image of 4 x 2 x 3\n"
            "  norm: LayerNorm over 4 x 2 x 3\n"
            "  layer: LayerNorm of 27 = 9 x 3 numbers, after a layer with 3 channels\n"
            "  head: Linear of 27 = 9 x 3 numbers, after a layer with 3 channels\n"
            'Say so with layouts={"dense": "unflattened(2,3)", "batch": "flattened(2,3)",'
            ' "norm": "image", "layer": "flattened(3,3)", "head": "flattened(3,3)"}, with the'
            ' height and width of the image, or with "dense" where there is none ("same" for a'
            " normalization). For Saver and Checkpoint: tfckpt.torch.set_layouts(module,"
            " {...}).",
        "by view":
            "the order of an image's numbers differs between PyTorch and TensorFlow, and it isn't"
            " known whether these layers have one:\n"
            "  fc: Linear of 32 = 4 x 8 numbers, before a layer that takes 8 channels\n"
            "  bn: BatchNorm1d of 32 = 4 x 8 numbers, before a layer that takes 8 channels\n"
            'Say so with layouts={"fc": "unflattened(2,2)", "bn": "flattened(2,2)"}, with the'
            ' height and width of the image, or with "dense" where there is none ("same" for a'
            " normalization). For Saver and Checkpoint: tfckpt.torch.set_layouts(module,"
            " {...}).",
        "made before":
            "the order of an image's numbers differs between PyTorch and TensorFlow, and it isn't"
            " known whether these layers have one:\n"
            "  fc: Linear of 32 = 4 x 8 numbers, in a module whose last layer gives 8 channels\n"
            'Say so with layouts={"fc": "flattened(2,2)"}, with the height and width of the image,'
            ' or with "dense" where there is none ("same" for a normalization). For Saver and'
            " Checkpoint: tfckpt.torch.set_layouts(module, {...}).",
        "can't be": "a Conv2d can't be this in TensorFlow: expected one of conv, depthwise, same,"
                    " got dense",
        "no module": "the module has none of this name (tensor '33')\nNearest: 3.",
        "none of them": "no module of these 9 can be lstm_cell (tensor '*')",
        "no text": "layouts has a name that isn't text: expected the name of a layer, such as '2',"
                   " got int",
        "no layout": "layouts has a layout that isn't text: expected the name of one, such as"
                     " 'same', got int (tensor '')",
        "lazy": "the parameter has no shape yet (tensor 'weight')\n"
                "Call the module once on an input: its layers are lazy.",
        "meta": "the tensor is on the meta device, where nothing has a value (tensor 'bias')\n"
                "module.to_empty(device='cpu') gives it memory.",
        "no names": "a tensor has no name by itself: got a tensor of shape [4, 3, 3, 3]\n"
                    "Give a dict from names to tensors.",
        "optimizer": "this is nothing that a checkpoint can save: got o=SGD\n"
                     "The state of PyTorch's optimizers isn't saved: TensorFlow has no place for"
                     " it. Keep optimizer.state_dict() beside the checkpoint, with torch.save.",
        "shape": "2 variables differ from the checkpoint's in shape or dtype (file FOLDER/other)\n"
                 "Nothing was loaded.\n"
                 "matched 0   missing in checkpoint 0   unused in checkpoint 0   differs 2\n"
                 "differs:  kernel  program float32 [2, 2], checkpoint float32 [2, 3]\n"
                 "differs:  bias  program float32 [2], checkpoint float32 [3]",
        "unchanged": True}


def test_a_model_of_keras_2_is_loaded_by_names_and_the_report_says_how(torch, keras2):
    path = keras2("save", kind="ResNet", given=torch("some_inputs", kind="ResNet"))
    found = torch("load_tf", kind="ResNet", path=path)
    assert found["far"] < 1e-5
    assert found["report"] == (
        "32 tensors of ResNet loaded (32 by name). Unused in checkpoint: 2 other.\n"
        "layout:  conv: conv1.weight, blocks.0.conv1.weight, blocks.0.conv2.weight,"
        " blocks.1.conv1.weight, and 2 more\n"
        "layout:  same: conv1.bias, bn1.weight, bn1.bias, bn1.running_mean, and 20 more\n"
        "layout:  dense: fc.weight, head.weight\n"
        "note: bn1, blocks.0.bn1, blocks.0.bn2 and 2 more: eps is 1e-05 here; the checkpoint"
        " doesn't say what it was, and Keras's default is 0.001 (nor does it say momentum)\n"
        "note: bn1, blocks.0.bn1, blocks.0.bn2 and 2 more: num_batches_tracked is as it was;"
        " TensorFlow has nothing like it")


def test_all_kinds_of_layers_are_loaded(torch, keras2):
    path = keras2("save", kind="Kinds", given=torch("some_inputs", kind="Kinds"))
    found = torch("load_tf", kind="Kinds", path=path, layouts={"fc": "flattened(4,4)"})
    assert found["far"] < 1e-5
    lines = found["report"].splitlines()
    assert [line.split(":")[1].strip() for line in lines if line.startswith("layout:")] == [
        "same", "dense", "lstm_bias", "gru_kernel", "gru_bias", "rnn_bias", "qkv", "qkv_bias",
        "heads_out", "heads_in", "conv", "depthwise", "flattened(4,4)"]
    assert lines[-1] == ("note: emb.weight, out.weight are one tensor, which is one variable")


def test_cells_of_tensorflow_1_are_told_by_their_shapes(torch, tf1):
    path = tf1("save", kind="Cells", given=torch("some_inputs", kind="Cells"))
    found = torch("load_tf", kind="Cells", path=path, layouts={"deep": "lstm_cell(0)"})
    assert found["far"] < 1e-5
    notes = [line for line in found["report"].splitlines() if line.startswith("note:")]
    assert notes == [
        f"note: {name} was TF1's {cell}. The file doesn't say its forget_bias: the default, 1, was"
        f' added to the forget gates; layouts={{"{name}": "{cell}(0)"}} adds none'
        for name, cell in (("rnn", "basic_lstm_cell"), ("two", "lstm_cell"))]


def test_keras_3_keeps_kernels_under_other_attributes(torch, tf221, tmp_path):
    def saved(kind):
        return tf221("save", module="torch_keras_snippets", folder=str(tmp_path), kind=kind,
                     given=torch("some_inputs", kind=kind))

    assert torch("load_tf", kind="Images", path=saved("Images"), told=True)["far"] < 1e-5
    # TensorFlow 2.21 leaves the cells in a list of Keras 3's out of the checkpoint.
    found = torch("load_tf", kind="Kinds", path=saved("Kinds"), told=True, allow_missing="^deep")
    missing = [line for line in found["report"].splitlines() if line.startswith("missing:")]
    assert len(missing) == 6
    assert all(line.startswith("missing: deep.") for line in missing)


@pytest.mark.parametrize(("kind", "style"), [("ResNet", "tf2"), ("Cells", "tf1")])
def test_what_save_writes_is_restored(torch, keras2, tf1, kind, style):
    path = torch("save_tf", kind=kind, style=style)
    if style == "tf2":
        assert keras2("restore", kind=kind, path=path) < 1e-5
    else:
        assert tf1("restore", kind=kind, path=path)["far"] < 1e-5


@pytest.mark.parametrize("style", ["tf1", "tf2"])
def test_a_checkpoint_that_is_there_is_replaced_only_if_told(torch, style):
    assert torch("save_twice", style=style) == [
        "there is already a checkpoint (file FOLDER/m)\n"
        "Give another prefix, or allow it with --overwrite.", True, True]


def test_what_does_not_fit_is_said_and_not_loaded(torch):
    loaded = ("4 tensors of Pair loaded (4 by {}).\n"
              "layout:  dense: first.weight, second.weight\n"
              "layout:  same: first.bias, second.bias")
    assert torch("load_odd_ones") == {
        "alike": "the checkpoint doesn't fill the Pair (file FOLDER/pair)\n"
                 "  alike:   bias [4], kernel [4,4]: which is which?\n"
                 "             left, right\n"
                 "             first, second\n"
                 "Nothing was loaded. names={stored: tensor} names pairs, map= takes rules for"
                 " many. map_to_fill_in() of the error's report makes one to fill in;"
                 " trust_order=True takes in order those that are only counted.",
        "uncounted": True,
        "to fill in": {"left/kernel": "? first.weight, second.weight",
                       "left/bias": "? first.bias, second.bias",
                       "right/kernel": "? first.weight, second.weight",
                       "right/bias": "? first.bias, second.bias"},
        "counted otherwise":
            "the checkpoint doesn't fill the Sequential (file FOLDER/numbers)\n"
            "  alike:   bias [4], kernel [4,4]: which is which?\n"
            "             net/0, net/1, net/2, net/3\n"
            "             0, 2, 4, 6\n"
            "Nothing was loaded. names={stored: tensor} names pairs, map= takes rules for"
            " many. map_to_fill_in() of the error's report makes one to fill in;"
            " trust_order=True takes in order those that are only counted.",
        "counted in order": "8 tensors of Sequential loaded (8 by order).\n"
                            "layout:  dense: 0.weight, 2.weight, 4.weight, 6.weight\n"
                            "layout:  same: 0.bias, 2.bias, 4.bias, 6.bias",
        "in order": loaded.format("order"), "ordered": True,
        "named": loaded.format("map"), "transposed": True,
        "no name": "the module has no tensor of this name (tensor 'second.wait')\n"
                   "Nearest: second.weight, second.bias, second/bias.",
        "rules": loaded.format("rule").replace(".\n", ". Unused in checkpoint: 2 optimizer.\n", 1)
                 + "\nnote: by the rule strip-prefix tower/"
                   "\nnote: by the rule replace biases bias: 2 names"
                   "\nnote: by the rule replace weights kernel: 2 names",
        "does not fit":
            "the checkpoint doesn't fill the Pair: 2 of 4 variables were found (file FOLDER/part)\n"
            "  missing: second.bias [4]: nothing in the checkpoint is like it\n"
            "  differs: second.weight (kernel) float32 [4,4]: second/kernel is float32 [4,3]\n"
            "  unused:  third/gain: nothing in the module is like it\n"
            "Nothing was loaded. names={stored: tensor} names pairs, map= takes rules for many."
            " allow_missing=True keeps the module's own values. allow_unused=True leaves tensors"
            " behind.",
        "partly": "2 tensors of Pair loaded (2 by name).\n"
                  "layout:  dense: first.weight\n"
                  "layout:  same: first.bias\n"
                  "missing: second.weight (kernel) [4,4]: nothing in the checkpoint is like it\n"
                  "missing: second.bias [4]: nothing in the checkpoint is like it\n"
                  "unused:  other: nothing in the module is like it",
        "precision":
            "the checkpoint doesn't fill the Pair: 0 of 4 variables were found (file FOLDER/wide)\n"
            "  differs: first.bias bfloat16 [4]: first/bias is float32 [4]\n"
            "  differs: first.weight (kernel) bfloat16 [4,4]: first/kernel is float32 [4,4]\n"
            "  differs: second.bias bfloat16 [4]: second/bias is float32 [4]\n"
            "  differs: second.weight (kernel) bfloat16 [4,4]: second/kernel is float32 [4,4]\n"
            "Nothing was loaded. cast=True takes another precision.",
        "cast": loaded.format("name") + "\nnote: 4 tensors were cast from float32 to bfloat16",
        "cast is": ["torch.bfloat16", 1.5],
        "out of range": loaded.format("name")
                        + "\nnote: 4 tensors were cast from float32 to float16"
                          "\nnote: first.weight (kernel): 16 numbers are out of the range of"
                          " float16, and became infinite",
        "fixed": "the tensor was made in torch.inference_mode, and can't be set (tensor 'weight')",
        "swapped": "4 tensors of Swapped loaded (4 by rule).\n"
                   "layout:  dense: second.weight, first.weight\n"
                   "layout:  same: second.bias, first.bias\n"
                   "note: by the rule strip-prefix net/: 4 names",
        "not swapped": True,
        "by my map": "4 tensors of Swapped loaded (4 by map).\n"
                     "layout:  same: first.bias, second.bias\n"
                     "layout:  dense: first.weight, second.weight\n"
                     "note: by the map mine, from old to new",
        "map does not fit":
            "the checkpoint doesn't fill the ModuleDict: 0 of 5 variables were found"
            " (file FOLDER/twins)\n"
            "  missing: third.weight [1]: nothing in the checkpoint is like it\n"
            "  differs: first.bias float32 [5]: net/first/bias is float32 [4], in the layout same"
            " [4]\n"
            "  differs: first.weight float32 [5,4]: net/first/kernel is float32 [4,4], in the"
            " layout dense [4,4]\n"
            "  differs: second.bias float16 [4]: net/second/bias is float32 [4], in the layout same"
            " [4]\n"
            "  differs: second.weight float16 [4,4]: net/second/kernel is float32 [4,4], in the"
            " layout dense [4,4]\n"
            "Nothing was loaded. What is missing has no rule in the map. allow_missing=True keeps"
            " the module's own values. cast=True takes another precision.",
        "both": "a map says all names and layouts; names=, layouts= and trust_order= go without",
        "own weights":
            "these weights are of no layer that is known, and their shapes don't tell how they"
            " lie:\n"
            "  x.weight of Own, [4, 4]\n"
            'Say so with layouts={"x": "same"} for one that lies as in TensorFlow, or "dense" or'
            ' "conv" for one that has to be transposed.',
        "own weights told": "2 tensors of ModuleDict loaded (2 by name).\n"
                            "layout:  same: x.weight, x.table",
        "own weights transposed": "2 tensors of ModuleDict loaded (2 by name).\n"
                                  "layout:  dense: x.weight, x.table",
        "own": True,
        "scripted": "a scripted module doesn't say what its layers are: got Pair\n"
                    "Use the module that it was made of, and script it afterwards.",
        "columns":
            "6 tensors of Sequential loaded (5 by name). Unused in checkpoint: 2 other.\n"
            "layout:  conv: 0.weight\n"
            "layout:  same: 0.bias\n"
            "layout:  dense: 1.weight_ih_l0, 1.weight_hh_l0\n"
            "layout:  lstm_bias: 1.bias_ih_l0, 1.bias_hh_l0\n"
            "note: 1 takes 4 = 2 x 2 numbers at once. If they are a column of an image, PyTorch has"
            " them in another order than TensorFlow, and the columns of its kernel were not put"
            " into it\n"
            "note: 1: gates have a sigmoid here, as Keras 2's; the checkpoint doesn't say, and"
            " those of Keras 1 and of TF1's tf.keras had hard_sigmoid by default",
        "old gru":
            "the checkpoint doesn't fill the GRU: 2 of 3 variables were found (file FOLDER/gru)\n"
            "  differs: bias_ih_l0, bias_hh_l0 (cell/bias) float32 [2,9]: bias is float32 [9]; the"
            " saved GRU has reset_after=False, which computes what PyTorch's GRU can't\n"
            "Nothing was loaded.",
        "own file": "the file has PyTorch's names already, and so its layouts: got first.bias,"
                    " first.weight, second.bias, … (file FOLDER/own.safetensors)\n"
                    "module.load_state_dict takes it, with safetensors.torch.load_file or"
                    " torch.load."}


def test_nothing_is_lost_in_silence(torch):
    one_name = ("VariableError: two of the module's variables would have one name in TensorFlow:"
                " got <kernel of a {}> and <kernel of a {}> (tensor '{}')\n"
                "Give one of them, or its module, another attribute.")
    assert torch("silent_once") == {
        "one memory":
            "VariableError: tensors of the module lie in the same memory, and would get different"
            " values: got tensors of shape [2, 2] and [2, 2]\nNothing was loaded. Untie them"
            " before, if they shall be two: module.weight ="
            " torch.nn.Parameter(module.weight.clone()).",
        "unchanged": True,
        "of its own": "2 tensors of ModuleDict loaded (2 by name). Unused in checkpoint: 2 other.",
        "own tf1": one_name.format("Own", "Own", "fc/kernel"),
        "own tf2": one_name.format("Own", "Own", "kernel"),
        "slash tf1": one_name.format("Linear", "Linear", "a/b/kernel"),
        "twice": "AmbiguousNamesError: the pairs that were given have two tensors for one: got"
                 " a/kernel, b/kernel for c/kernel",
        "ema": "UnsupportedError: there is no such ema: expected ignore or use, got yes",
        "alone": "UnsupportedError: the checkpoint has moving averages without their variables"
                 " (file FOLDER/alone)\n"
                 "Load what `tfckpt ema FOLDER/alone --use -o NEW` writes.",
        "pattern": "UnsupportedError: allow_unused isn't a valid regular expression (missing ),"
                   " unterminated subpattern at position 0): got '('",
        "notes": [
            "conv: PixelShuffle takes channels in another order than TensorFlow's depth_to_space,"
            " and they were not put into it",
            "old.weight_g, old.weight_v: not what such a layer has, and taken as it is",
            "more: what get_extra_state gives is no tensor, and stayed as it was"],
        "extra": ["by the map more, from a to b",
                  "More: what get_extra_state gives is no tensor, and stayed as it was"]}


def test_moving_averages_are_loaded_if_that_is_asked_for(torch):
    raw, averages = torch("averages")
    assert raw == [
        1.0, 2.0, "the checkpoint has moving averages of 4 variables; what was loaded are the"
                  ' variables themselves (ema="use" takes the averages)']
    assert averages == [3.0, 4.0, "moving averages were taken for 4 variables"]


def test_a_map_that_ships_loads_a_model_of_hugging_face(torch):
    found = torch("by_map")
    assert found.pop("short").startswith(
        "the checkpoint doesn't fill the BertModel: 39 of 39 variables were found"
        " (file FOLDER/bert.ckpt)\n"
        "  unused:  cls/predictions/output_bias: nothing in the module is like it\n")
    assert found == {"same": True, "tied": True, "back": True,
                     "as tf2": "bert/bert.Spooler.Sdense.Skernel/.ATTRIBUTES/VARIABLE_VALUE",
                     "how": {"map": 46}, "layouts": ["dense", "same"],
                     "unchanged": True, "without heads": True}


def test_the_examples_in_the_room_run(torch):
    assert torch("layer_docs") == 0


def test_the_page_says_what_happens(torch, tmp_path):
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "tf1").symlink_to(ROOT / "examples" / "tf1")
    n_examples, failures = torch("page", text=(ROOT / "docs" / "torch.md").read_text("utf-8"))
    assert failures == ""
    assert n_examples > 15
