"""How the gates of recurrent layers are moved between TensorFlow's order and PyTorch's.

Keras's LSTM has input, forget, cell, output, as PyTorch has; TF1's cells have input, cell, forget,
output. Keras's GRU has update, reset, candidate; PyTorch reset, update, candidate.

As in moves.py, what doesn't fit raises a ValueError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.convert.moves import joined, matrix, split

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Arrays = Sequence[Array]

__all__ = ["bias_back", "gru_bias_back", "gru_bias_out", "gru_kernel_back", "gru_kernel_out",
           "lstm1_bias_back", "lstm1_bias_out", "lstm1_kernel_back", "lstm1_kernel_out",
           "lstm_bias_out", "rnn_bias_out"]

Shape = tuple[int, ...]
Shapes = Sequence[Shape] | None


def rnn_bias_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``rnn_bias`` on its way out."""
    (_,) = arrays[0].shape
    import numpy as np  # deferred: a table of names needs none

    return [arrays[0], np.zeros_like(arrays[0])]


def lstm_bias_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``lstm_bias`` on its way out."""
    if arrays[0].shape[0] % 4:
        raise ValueError
    return rnn_bias_out(arrays, shapes)


def bias_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """Two biases that PyTorch adds, as the one that TensorFlow has."""
    return [arrays[0] + arrays[1]]


def _second_and_third(array: Array) -> Array:
    """Rows of four gates, with the middle ones exchanged: one LSTM's order to the other's."""
    first, second, third, fourth = split(array, 4)
    return joined([first, third, second, fourth])


def lstm1_kernel_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``lstm1_kernel`` on its way out."""
    rows, columns = arrays[0].shape
    inputs = rows - columns // 4
    if columns % 4 or inputs < 1:
        raise ValueError
    gates = _second_and_third(arrays[0].T)
    return [gates[:, :inputs], gates[:, inputs:]]


def lstm1_kernel_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``lstm1_kernel`` on its way back."""
    return [joined([_second_and_third(matrix(array)).T for array in arrays])]


def _forget(bias: Array, amount: float) -> Array:
    """A bias in PyTorch's order with something added to its forget gates."""
    units = bias.shape[0] // 4
    changed = bias.copy()
    changed[units:2 * units] += bias.dtype.type(amount)
    return changed


def lstm1_bias_out(*given: Any) -> list[Array]:
    """The layout ``lstm1_bias`` on its way out."""
    *numbers, arrays, _ = given
    (_,) = arrays[0].shape
    return lstm_bias_out([_forget(_second_and_third(arrays[0]), *(numbers or [1.0]))], None)


def lstm1_bias_back(*given: Any) -> list[Array]:
    """The layout ``lstm1_bias`` on its way back."""
    *numbers, arrays, _ = given
    amount = numbers[0] if numbers else 1.0
    return [_second_and_third(_forget(arrays[0] + arrays[1], -amount))]


def _first_and_second(array: Array) -> Array:
    """Rows of three gates, with the first two exchanged: one GRU's order to the other's."""
    first, second, third = split(array, 3)
    return joined([second, first, third])


def gru_kernel_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``gru_kernel`` on its way out."""
    return [_first_and_second(matrix(arrays[0]).T)]


def gru_kernel_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``gru_kernel`` on its way back."""
    return [_first_and_second(matrix(arrays[0])).T]


def gru_bias_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``gru_bias`` on its way out."""
    of_input, of_state = arrays[0].reshape(2, arrays[0].shape[1])
    return [_first_and_second(of_input), _first_and_second(of_state)]


def gru_bias_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``gru_bias`` on its way back."""
    return [joined([_first_and_second(array)[None] for array in arrays])]
