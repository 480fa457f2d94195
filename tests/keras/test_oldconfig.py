"""What the config of an old model says of its layers, without Keras."""

from __future__ import annotations

import pytest

from tfckpt.errors import MismatchError
from tfckpt.keras.oldconfig import colours_of
from tfckpt.keras.saved import Saved
from tfckpt.keras.wiring import layer_kind


def layer(name, *nodes, kind="Dense", **config):
    return {"class_name": kind, "name": name, "config": {"name": name, **config},
            "inbound_nodes": list(nodes)}


def functional(*layers, outputs):
    return {"class_name": "Functional", "config": {
        "layers": [layer("x", kind="InputLayer"), *layers], "input_layers": [["x", 0, 0]],
        "output_layers": [[name, 0, 0] for name in outputs]}}


def colours(config, n_layers):
    """The colour of each saved layer."""
    root = Saved("")
    root.every_layer = [Saved(str(n)) for n in range(n_layers)]
    known = colours_of(config, root)
    return [known.get(id(item)) for item in root.every_layer]


@pytest.mark.parametrize(("old", "new"), [
    (("DepthwiseConv2D", {"groups": 1, "strides": [1, 1]}), ("DepthwiseConv2D", {
        "strides": [1, 1], "dilation_rate": [1, 1]})),
    (("Activation", {"activation": "swish"}), ("Activation", {"activation": "silu"})),
    (("CuDNNLSTM", {"units": 3}), ("LSTM", {"units": 3})),
])
def test_generations_describe_a_layer_in_their_ways(old, new):
    assert layer_kind(*old) == layer_kind(*new)


def test_options_that_compute_something_else():
    assert layer_kind("Conv2D", {"groups": 2}) != layer_kind("Conv2D", {"groups": 1})
    assert layer_kind("Conv2D", {"dilation_rate": [1, 2]}) != layer_kind("Conv2D", {})


def test_a_constant_before_a_tensor_hides_nothing_of_what_is_behind_it():
    """`1 - a(x)` and `1 - b(x)` are told by what is made of them, so a and b are too."""
    config = functional(
        layer("a", [["x", 0, 0, {}]]), layer("b", [["x", 0, 0, {}]]),
        layer("less", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["a", 0, 0]}], kind="TFOpLambda",
              function="math.subtract"),
        layer("p", [["less", 0, 0, {}]], units=2), layer("q", [["b", 0, 0, {}]], units=3),
        outputs=("p", "q"))
    found = colours(config, 6)
    assert None not in found
    assert len(set(found)) == 6


def test_a_mask_is_no_input():
    def masked(**options):
        return functional(layer("a", [["x", 0, 0, {}]]), layer("m", [["x", 0, 0, {}]], units=2),
                          layer("b", [["a", 0, 0, options]]), outputs=("b", "m"))

    assert colours(masked(mask=["m", 0, 0]), 4) == colours(masked(), 4)
    assert colours(masked(value=["m", 0, 0]), 4) != colours(masked(), 4)


def test_tensorflow_1_saved_the_input_of_a_sequential_that_its_config_does_not_have():
    config = {"class_name": "Sequential", "config": {"layers": [
        layer("a", units=2), layer("b", units=3)]}}
    first, a, b = colours(config, 3)
    assert first is None
    assert [a, b] == colours(config, 2)
    with pytest.raises(MismatchError) as caught:
        colours(config, 4)
    assert str(caught.value) == (
        "the config is that of another model: expected 4 layers, got 2")
