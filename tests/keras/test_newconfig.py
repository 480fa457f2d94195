"""What layers of Keras 2 are in Keras 3, without either; tests/compat compares predictions."""

from __future__ import annotations

import pytest

from tfckpt.errors import UnsupportedError
from tfckpt.keras.newconfig import NewLayer, new_layer, plain
from tfckpt.keras.oldops import call_operation

ZEROS = {"class_name": "Zeros", "config": {}}
OLD_ZEROS = {"class_name": "Zeros", "config": {"dtype": "float32"}}  # of TensorFlow 1.15

LAYERS = [
    ({"class_name": "LSTM", "config": {"units": 2, "time_major": False}},
     ("LSTM", {"units": 2})),
    ({"class_name": "CuDNNGRU", "config": {"units": 2}},
     ("GRU", {"units": 2, "reset_after": True})),
    ({"class_name": "GRU", "config": {"units": 2}},
     ("GRU", {"units": 2, "reset_after": False})),
    ({"module": "keras.src.applications.convnext", "class_name": "LayerScale",
      "registered_name": "LayerScale", "config": {"projection_dim": 3}},
     ("LayerScale", {"projection_dim": 3}, "convnext")),
    ({"class_name": "ThresholdedReLU", "config": {"theta": 0.5}}, ("ReLU", {"threshold": 0.5})),
    ({"class_name": "BatchNormalizationV1", "config": {"axis": [3], "fused": True,
                                                       "renorm": False}},
     ("BatchNormalization", {"axis": 3})),
    ({"class_name": "Conv2DTranspose", "config": {"filters": 2, "groups": 1}},
     ("Conv2DTranspose", {"filters": 2})),
    ({"class_name": "Conv2D", "config": {"filters": 2, "groups": 2}},
     ("Conv2D", {"filters": 2, "groups": 2})),
    ({"class_name": "SeparableConv2D", "config": {"kernel_initializer": ZEROS, "filters": 2}},
     ("SeparableConv2D", {"filters": 2})),
    ({"class_name": "Dense", "config": {
        "bias_initializer": OLD_ZEROS, "activation": "softmax_v2",
        "dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}}},
     ("Dense", {"bias_initializer": {"module": "keras.initializers", **ZEROS,
                                     "registered_name": None},
                "activation": "softmax", "dtype": "mixed_float16"})),
    ({"class_name": "Dense", "config": {"activation": {
        "module": "builtins", "class_name": "function", "config": "relu6"}}},
     ("Dense", {"activation": "relu6"})),
    ({"class_name": "Bidirectional", "config": {"layer": {
        "class_name": "LSTM", "config": {"name": "a", "go_backwards": True}}}},
     ("Bidirectional", {
         "layer": {"class_name": "LSTM", "config": {"name": "a", "go_backwards": True}},
         "backward_layer": {"class_name": "LSTM", "config": {
             "name": "backward_a", "go_backwards": False}}})),
]


@pytest.mark.parametrize(("config", "expected"), LAYERS)
def test_layers_and_their_options(config, expected):
    assert new_layer(config) == NewLayer(*expected)


REFUSED = [
    ("LSTM", {"time_major": True}, "time_major=True is nothing that Keras 3 can compute"),
    ("DepthwiseConv2D", {"groups": 2}, "groups=2 is nothing that Keras 3 can compute"),
    ("BatchNormalization", {"renorm": True}, "renorm=True is nothing that Keras 3 can compute"),
    ("BatchNormalization", {"axis": [1, 2]}, "axis=[1, 2] is nothing that Keras 3 can compute"),
    ("InputLayer", {"ragged": True}, "ragged=True is nothing that Keras 3 can compute"),
    ("Lambda", {"function": ["4wEAAAA=", None, None]},
     "a Lambda is Python code, and code of a config is never run"),
    ("Dense", {"activation": {"module": "os", "class_name": "function", "config": "system"}},
     "activation is a function of the program's own"),
    ("Dense", {"kernel_initializer": {"module": "mine", "class_name": "Mine", "config": {}}},
     "kernel_initializer is a class of the program's own (Mine)"),
    ("Dense", {"kernel_regularizer": {"module": None, "class_name": "Mine", "config": {}}},
     "kernel_regularizer is a class of the program's own (Mine)"),
    ("TextVectorization", {"split": {"class_name": "function", "config": "mine"}},
     "split is an object of its own (function)"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_what_keras_3_would_compute_otherwise_is_refused(name, options, message):
    with pytest.raises(UnsupportedError) as caught:
        new_layer({"class_name": name, "config": options})
    assert str(caught.value) == message


@pytest.mark.parametrize("origin", [
    {"registered_name": "pkg>Dense"}, {"module": "os"}, {"module": None}])
def test_a_layer_of_the_programs_own_is_not_looked_for(origin):
    for name in ("Dense", "LayerScale", "CustomScaleLayer"):
        with pytest.raises(UnsupportedError) as caught:
            new_layer({"class_name": name, "config": {}, **origin})
        assert str(caught.value) == "the layer is one of the program's own"


def test_a_name_that_a_published_architecture_has_too_needs_its_module():
    for module in ({}, {"module": "keras.layers"}, {"module": "keras.src.applications.resnet"}):
        with pytest.raises(UnsupportedError) as caught:
            new_layer({"class_name": "LayerScale", "config": {}, **module})
        assert str(caught.value) == "the layer is one of the program's own"


def test_savedmodels_write_tuples_otherwise():
    shape = {"class_name": "TensorShape", "items": [None, 4]}
    assert plain({"shape": shape, "pair": [{"class_name": "__tuple__", "items": [1, shape]}]}) == {
        "shape": [None, 4], "pair": [[1, [None, 4]]]}


@pytest.mark.parametrize(("function", "others", "message"), [
    ("signal.fft", {}, "tf.signal.fft isn't known in Keras 3"),
    ("linalg.matmul", {"b": [[1.0]], "transpose_b": True},
     "tf.linalg.matmul with transpose_b=True isn't known in Keras 3"),
])
def test_functions_that_are_not_known(function, others, message):
    with pytest.raises(UnsupportedError) as caught:
        call_operation(None, function, 1.0, others)
    assert str(caught.value) == message
