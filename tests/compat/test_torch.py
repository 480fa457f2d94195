"""Modules of PyTorch and models of TensorFlow with the same weights compute the same.

PyTorch and TensorFlow are the judges, each in its own environment: see torch_snippets.py,
torch_keras_snippets.py and torch_tf1_snippets.py.
"""

from __future__ import annotations

import pytest
from live import live


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


@pytest.mark.parametrize("kind", ["ResNet", "Kinds"])
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
        "snapshot": True, "dies": True}


def test_refusals(torch):
    assert torch("refusals") == {
        "images":
            "the order of a flattened image differs between PyTorch and TensorFlow, and it isn't"
            " known whether these layers have one:\n"
            "  3: Linear of 24 = 6 x 4 numbers, after a layer with 4 channels\n"
            "  4: Linear before an image of 12 x 2 x 2\n"
            'Say so with layouts={"3": "flattened(2,3)", "4": "unflattened(2,2)"}, with the height'
            ' and width of the image, or with "dense" where there is none ("same" for a'
            " normalization). For Saver and Checkpoint: tfckpt.torch.set_layouts(module, {...}).",
        "can't be": "a Conv2d can't be this in TensorFlow: expected one of conv, depthwise, same,"
                    " got dense",
        "no module": "the module has none of this name (tensor '33')\nNearest: 3.",
        "none of them": "no module of these 8 can be lstm_cell (tensor '*')",
        "lazy": "the parameter has no shape yet (tensor 'weight')\n"
                "Call the module once on an input: its layers are lazy.",
        "meta": "the tensor is on the meta device, where nothing has a value (tensor 'bias')\n"
                "module.to_empty(device='cpu') gives it memory.",
        "optimizer": "this is nothing that a checkpoint can save: got o=SGD\n"
                     "The state of PyTorch's optimizers isn't saved: TensorFlow has no place for"
                     " it. Keep optimizer.state_dict() beside the checkpoint, with torch.save.",
        "shape": "2 variables differ from the checkpoint's in shape or dtype (file FOLDER/other)\n"
                 "Nothing was loaded.\n"
                 "matched 0   missing in checkpoint 0   unused in checkpoint 0   differs 2\n"
                 "differs:  kernel  program float32 [2, 2], checkpoint float32 [2, 3]\n"
                 "differs:  bias  program float32 [2], checkpoint float32 [3]",
        "unchanged": True}
