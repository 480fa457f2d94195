"""What Flax's recurrent cells are in TensorFlow.

Linen, and NNX's ``LSTMCell``, have a layer for each gate of the input and of the state; other
cells of NNX one for all gates of each. A bias is there only once.

    ============ ========================================== ===================================
    cell         of linen                                   of NNX, ``dense_i`` and ``dense_h``
    ============ ========================================== ===================================
    LSTM         ii, if, ig, io; hi, hf, hg, ho with bias   the bias in ``dense_h``
    GRU          ir, iz, in with bias; hr, hz; hn with bias the bias in ``dense_i``
    SimpleRNN    i with bias; h                             the bias in ``dense_i``
    ============ ========================================== ===================================

In TensorFlow they are Keras's: kernel, recurrent_kernel, bias; a GRU with ``reset_after=True``. An
LSTM may also be one of TF1, with one kernel for input and state, if that was chosen: then its
``forget_bias`` is in the bias, which TF1 doesn't store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tfckpt.jax.grouping import Choices, Layer, Path, Shape, Weight, named
from tfckpt.jax.layouts import (
    GATES,
    GRU_BIAS,
    GRU_BIAS_JOINED,
    GRU_GATES,
    GRU_JOINED,
    LSTM1_KERNEL,
    LSTM1_KERNEL_JOINED,
    SAME,
    FlaxLayout,
    lstm1_bias,
)

__all__ = ["fused_shape", "recurrent_weights"]

_TF1 = ("lstm_cell", "basic_lstm_cell")


class _Cell(NamedTuple):
    """A cell that was found.

    Attributes:
        kind: ``"lstm"``, ``"gru"`` or ``"simple"``.
        of_input: Path and shape of the input's kernels.
        of_state: Of the state's.
        biases: Of the biases.
    """

    kind: str
    of_input: list[tuple[Path, Shape]]
    of_state: list[tuple[Path, Shape]]
    biases: list[tuple[Path, Shape]]


def _lstm_gates(below: set[str]) -> tuple[list[str], list[str]] | None:
    for forget in ("if", "if_"):  # one is a word of Python's
        of_input, of_state = ["ii", forget, "ig", "io"], ["hi", "hf", "hg", "ho"]
        if below == {*of_input, *of_state}:
            return of_input, of_state
    return None


def _find(layer: Layer, layers: Mapping[Path, Layer]) -> _Cell | None:
    below = set(layer.below)
    inside = {name: layers[(*layer.path, name)].values for name in below}
    lstm = _lstm_gates(below)
    if lstm is not None:
        kind, of_input, of_state, biases = "lstm", *lstm, lstm[1]
    elif below == {"ir", "iz", "in", "hr", "hz", "hn"}:
        kind, of_input, of_state = "gru", ["ir", "iz", "in"], ["hr", "hz", "hn"]
        biases = [*of_input, "hn"]
    elif below == {"i", "h"}:
        kind, of_input, of_state, biases = "simple", ["i"], ["h"], ["i"]
    elif below == {"dense_i", "dense_h"} and "kernel" in inside["dense_h"]:
        units, width = inside["dense_h"]["kernel"][1]
        kind = {4: "lstm", 3: "gru", 1: "simple"}.get(width // units, "")
        of_input, of_state = ["dense_i"], ["dense_h"]
        biases = of_state if kind == "lstm" else of_input
    else:
        return None
    has_bias = {name for name in below if "bias" in inside[name]}
    if not kind or has_bias not in ({*biases}, set()) or any(
            set(values) - {"bias"} != {"kernel"} or len(values["kernel"][1]) != 2
            for values in inside.values()):
        return None
    return _Cell(kind, [inside[name]["kernel"] for name in of_input],
                 [inside[name]["kernel"] for name in of_state],
                 [inside[name]["bias"] for name in biases if has_bias])


def fused_shape(layer: Layer, layers: Mapping[Path, Layer]) -> Shape | None:
    """The shape that the kernel of an LSTM would have in TF1; None if it is none."""
    cell = _find(layer, layers)
    if cell is None or cell.kind != "lstm":
        return None
    units = cell.of_state[0][1][0]
    return (cell.of_input[0][1][0] + units, 4 * units)


def recurrent_weights(layer: Layer, layers: Mapping[Path, Layer], choices: Choices
                      ) -> list[Weight] | None:
    """TensorFlow's variables of a cell; None if a layer is none.

    Raises:
        FormatError: It can't be what was chosen.
    """
    cell = _find(layer, layers)
    if cell is None:
        return None
    chosen, numbers = choices.pick(layer, ("keras", *_TF1) if cell.kind == "lstm" else ("keras",))
    split = len(cell.of_input) > 1
    units = cell.of_state[0][1][0]

    def weight(name: str, rows: tuple[int, ...], parts: list[tuple[Path, Shape]],
               layout: FlaxLayout) -> Weight:
        width = units * {"lstm": 4, "gru": 3, "simple": 1}[cell.kind]
        return Weight(named(layer.path, name), (*rows, width), tuple(path for path, _ in parts),
                      layout)

    n_inputs = cell.of_input[0][1][0]
    if chosen in _TF1:
        return [weight("kernel", (n_inputs + units,), [*cell.of_input, *cell.of_state],
                       LSTM1_KERNEL if split else LSTM1_KERNEL_JOINED),
                weight("bias", (), cell.biases, lstm1_bias(numbers, split=split))]
    kernel, bias = _KERAS[cell.kind, split]
    weights = [weight("kernel", (n_inputs,), cell.of_input, kernel),
               weight("recurrent_kernel", (units,), cell.of_state, kernel)]
    if cell.biases:
        rows = (2,) if cell.kind == "gru" else ()
        weights.append(weight("bias", rows, cell.biases, bias))
    return weights


# Layouts of kernels and of the bias, for a tensor for each gate or for all.
_KERAS = {
    ("lstm", True): (GATES, GATES), ("lstm", False): (SAME, SAME),
    ("gru", True): (GRU_GATES, GRU_BIAS), ("gru", False): (GRU_JOINED, GRU_BIAS_JOINED),
    ("simple", False): (SAME, SAME),
}
