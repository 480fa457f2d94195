"""What the layers of a tree are in TensorFlow: names, shapes and layouts of their weights.

A tree of parameters has no classes, so layers are told by what they hold:

    ================================= ===========================================================
    what a layer holds                TensorFlow's variables
    ================================= ===========================================================
    kernel, bias                      kernel, bias: Dense, Conv
    the same, kernel split in heads   kernel, bias: as split, or in one axis, as the other side
    scale, bias, mean, var            gamma, beta, moving_mean, moving_variance
    embedding                         embeddings; or as the layer, if the other side has that
    ii, if, …, ho; dense_i, dense_h   an LSTM, GRU or SimpleRNN: recurrent.py
    all others                        what they hold, as it is
    ================================= ===========================================================

What can't be told so, a *choice* says: ``layouts={"up": "transposed"}``. NNX's modules have
classes, and need fewer of them.

    ================== ==========================================================================
    choice             what it means for the layer of that name
    ================== ==========================================================================
    ``same``           a kernel as it is: an ordinary convolution
    ``transposed``     a ``ConvTranspose``. One that Flax named itself is known by its name
    ``flat``           a kernel and a bias split in heads that TensorFlow has in one axis
    ``depthwise(m)``   a depthwise kernel with m (1 if none is given) outputs for a channel
    ``lstm_cell(f)``   TF1's ``LSTMCell`` with ``forget_bias`` f (1 if none is given);
                       ``basic_lstm_cell(f)`` likewise. ``keras`` is the default
    ================== ==========================================================================

The parts of a layer that stand in linen's collections ``params`` and ``batch_stats`` are put
together, and the names of these left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from tfckpt.errors import FormatError
from tfckpt.jax.grouping import Choices, Layer, Path, Shape, Weight
from tfckpt.jax.layouts import RESHAPE, TRANSPOSED
from tfckpt.jax.recurrent import recurrent_weights

__all__ = ["weights_of"]

_NORM = {"scale": "gamma", "bias": "beta", "mean": "moving_mean", "var": "moving_variance"}


def _number(text: str) -> int:
    """A whole number in parentheses; 1 if there is nothing."""
    return int(float(text[1:-1])) if text else 1


def weights_of(layers: Mapping[Path, Layer], choices: Choices) -> list[Weight]:
    """TensorFlow's variables for all values of the layers.

    Raises:
        TensorNotFoundError: Something was said of a layer that there isn't.
        FormatError: A layer can't be what was said.
    """
    found: list[Weight] = []
    done: set[Path] = set()
    for path, layer in layers.items():
        if path in done:
            continue
        cell = recurrent_weights(layer, layers, choices)
        if cell is not None:
            found += cell
            done.update((*path, name) for name in layer.below)
        found += _plain_weights(layer, layers, choices)
    choices.check_used(layer.name for layer in layers.values())
    return found


def _plain_weights(layer: Layer, layers: Mapping[Path, Layer], choices: Choices
                   ) -> Iterator[Weight]:
    values = layer.values
    if "kernel" in values and len(values["kernel"][1]) > 2:
        yield from _spatial(layer, layers, choices)
        return
    is_norm = "scale" in values or "mean" in values or "var" in values
    for leaf in values:
        if leaf == "embedding":
            # TF1's are often called as the layer is here: "bert/embeddings/word_embeddings".
            alone = layer.path and choices.ends_in(layer.path[-1])
            yield layer.weight(leaf, "embeddings")._replace(name=layer.name) if alone else (
                layer.weight(leaf, "embeddings"))
        elif is_norm and set(values) <= set(_NORM) and not _is_rms(layer, choices):
            yield layer.weight(leaf, _NORM[leaf])
        else:
            yield layer.weight(leaf, leaf)


def _is_rms(layer: Layer, choices: Choices) -> bool:
    """Whether a layer has only a scale, as it is called in TensorFlow too."""
    kind = choices.classes.get(layer.path, layer.path[-1] if layer.path else "")
    return set(layer.values) == {"scale"} and "rms" in kind.lower()


def _renamed(layer: Layer, layers: Mapping[Path, Layer], choices: Choices) -> Layer:
    """The output of an attention has another name in Keras."""
    keras = "attention_output"
    if choices.has_word(keras) and _is_output(layer, layers):
        return layer._replace(path=(*layer.path[:-1], keras))
    return layer


def _is_output(layer: Layer, layers: Mapping[Path, Layer]) -> bool:
    return layer.path[-1:] == ("out",) and {"query", "key", "value"} <= set(
        layers[layer.path[:-1]].below)


def _spatial(layer: Layer, layers: Mapping[Path, Layer], choices: Choices) -> Iterator[Weight]:
    """Weights of a layer whose kernel has three axes or more."""
    named = _renamed(layer, layers, choices)
    shape = layer.values["kernel"][1]
    flat = _in_heads(layer, shape, is_output=_is_output(layer, layers))
    given = choices.pick(layer, ("same", "flat"))[0] if flat is not None else ""
    for leaf, (_, own) in layer.values.items():
        if flat is not None:
            yield _headed(named, leaf, flat if leaf == "kernel" else (math.prod(own),), given,
                          choices)
        elif leaf == "kernel":
            yield _convolution(layer, shape, choices)
        else:
            yield layer.weight(leaf, leaf)


def _headed(layer: Layer, leaf: str, flat: Shape, given: str, choices: Choices) -> Weight:
    """A kernel or bias that is split in heads, and may not be in TensorFlow."""
    own = layer.values[leaf][1]
    if flat != own and (given == "flat" or (not given and choices.prefers(flat, own))):
        return layer.weight(leaf, leaf, RESHAPE, flat)
    return layer.weight(leaf, leaf)


def _in_heads(layer: Layer, shape: Shape, *, is_output: bool) -> Shape | None:
    """The shape of a kernel that is split in heads if it weren't; None if it isn't split."""
    bias = layer.values.get("bias")
    if bias is not None and 1 < len(bias[1]) < len(shape) and shape[-len(bias[1]):] == bias[1]:
        rest = math.prod(bias[1])
        return (math.prod(shape) // rest, rest)
    if layer.path and len(shape) == 3:
        if layer.path[-1] in ("query", "key", "value"):
            return (shape[0], shape[1] * shape[2])
        if is_output:
            return (shape[0] * shape[1], shape[2])
    return None


def _convolution(layer: Layer, shape: Shape, choices: Choices) -> Weight:
    *spatial, inputs, outputs = shape
    swapped = (*spatial, outputs, inputs)
    given, number = choices.pick(layer, ("same", "transposed", "depthwise"))
    kind = given or _told(layer, shape, choices)
    if kind == "transposed":
        return layer.weight("kernel", "kernel", TRANSPOSED, swapped)
    if kind == "depthwise":
        multiplier = _number(number) if given else _multiplier(shape, choices)
        if inputs != 1 or multiplier < 1 or outputs % multiplier:
            raise FormatError("a kernel can't be a depthwise one", got=f"{list(shape)}",
                              expected=f"[…, 1, channels × {multiplier}]", tensor=layer.name)
        return layer.weight("kernel", "depthwise_kernel", RESHAPE,
                            (*spatial, outputs // multiplier, multiplier))
    return layer.weight("kernel", "kernel")


def _told(layer: Layer, shape: Shape, choices: Choices) -> str:
    """What a kernel is by its layer's class or name, and by shapes that the other side has."""
    kind = choices.classes.get(layer.path)
    if kind is not None and kind != "ConvTranspose":
        return "depthwise" if _multiplier(shape, choices) else "same"
    *spatial, inputs, outputs = shape
    swapped = (*spatial, outputs, inputs)
    if kind == "ConvTranspose" or re.match(r"ConvTranspose_\d+$", layer.path[-1]):
        return "same" if choices.prefers(shape, swapped) else "transposed"
    if inputs != outputs and choices.prefers(swapped, shape):
        return "transposed" if inputs != 1 else "depthwise"
    return "depthwise" if _multiplier(shape, choices) else "same"


def _multiplier(shape: Shape, choices: Choices) -> int:
    """How many outputs a depthwise kernel of the other side has for a channel; 0 if it has none."""
    *spatial, inputs, outputs = shape
    if inputs != 1 or outputs == 1 or choices.shapes is None or shape in choices.shapes:
        return 0
    found = {other[-1] for other in choices.shapes if len(other) == len(shape)
             and other[:-2] == tuple(spatial) and other[-2] * other[-1] == outputs
             and other not in choices.own}
    return found.pop() if len(found) == 1 else 0
