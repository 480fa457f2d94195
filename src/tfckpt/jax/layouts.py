"""How the weights of one layer lie in TensorFlow, and how in Flax.

Flax keeps kernels as TensorFlow does, so most layouts are ``same``. Where they differ:

    ====================== =====================================================================
    ``reshape``            heads and sizes in one axis or in two; channels and multiplier of a
                           depthwise kernel likewise
    ``transposed``         […, out, in] ↔ […, in, out] with the spatial axes reversed: Flax's
                           ``ConvTranspose`` doesn't take the kernel of the convolution that it
                           is the gradient of, as TensorFlow's does
    ``gates``              a tensor for all gates ↔ one for each gate
    ``lstm1_kernel``       [in + units, 4 × units], gates input, cell, forget, output ↔ kernels of
                           the input and of the state, gates input, forget, cell, output
    ``lstm1_bias(f)``      its bias, with f added to the forget gates: TF1's ``forget_bias``
    ``gru_gates``          Keras's update, reset, candidate ↔ reset, update, candidate
    ``gru_bias``           two biases of each gate in Keras (``reset_after``), which Flax has only
                           for the candidate
    ====================== =====================================================================

They are put together from those of `tfckpt.convert.layouts`, which lead to PyTorch's gates.

Source: rnn_cell_impl.py of TensorFlow 1.15, Keras 2.15, recurrent.py and linear.py of Flax's linen
and nnx, lax.conv_transpose; tests/compat runs both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.convert.layouts import parse_layout
from tfckpt.errors import UnsupportedError

if TYPE_CHECKING:
    import numpy as np

    Arrays = list[np.ndarray[Any, Any]]

__all__ = ["GATES", "GRU_BIAS", "GRU_BIAS_JOINED", "GRU_GATES", "GRU_JOINED", "LSTM1_KERNEL",
           "LSTM1_KERNEL_JOINED", "RESHAPE", "SAME", "TRANSPOSED", "FlaxLayout", "lstm1_bias"]

Shape = tuple[int, ...]


class FlaxLayout(NamedTuple):
    """One layout.

    Attributes:
        name: For reports.
        out: Flax's arrays, of these shapes, of TensorFlow's array.
        back: TensorFlow's array, of this shape, of Flax's.
    """

    name: str
    out: Callable[[Any, Sequence[Shape]], Arrays]
    back: Callable[[Arrays, Shape], Any]


def _concatenated(arrays: Arrays) -> Any:
    import numpy as np  # deferred: as everywhere

    return np.concatenate(arrays, axis=-1)


def _split(array: Any, n: int) -> Arrays:
    import numpy as np  # deferred, as above

    return np.split(array, n, axis=-1)


def _reversed(kernel: Any) -> Any:
    """A kernel with its spatial axes reversed, and its last axes exchanged."""
    spatial = tuple(range(kernel.ndim - 2))
    return kernel[tuple(slice(None, None, -1) for _ in spatial)].swapaxes(-1, -2)


def _lstm1_out(kernel: Any, shapes: Sequence[Shape], *, split: bool) -> Arrays:
    both = [part.T for part in parse_layout("lstm1_kernel").out([kernel])]
    return [gate for part in both for gate in _split(part, 4)] if split else both


def _lstm1_back(arrays: Arrays, shape: Shape, *, split: bool) -> Any:
    both = [_concatenated(arrays[:4]), _concatenated(arrays[4:])] if split else arrays
    return parse_layout("lstm1_kernel").back([part.T for part in both])[0]


def lstm1_bias(numbers: str, *, split: bool) -> FlaxLayout:
    """The layout of a TF1 cell's bias.

    Args:
        numbers: The forget bias in parentheses; nothing is 1.
        split: Whether each gate has its own.
    """
    layout = parse_layout("lstm1_bias" + numbers)

    def out(bias: Any, shapes: Sequence[Shape]) -> Arrays:
        joined = layout.out([bias])[0]
        return _split(joined, 4) if split else [joined]

    def back(arrays: Arrays, shape: Shape) -> Any:
        joined = _concatenated(arrays)
        return layout.back([joined, joined * 0])[0]

    return FlaxLayout(layout.name, out, back)


def _gru_out(kernel: Any, shapes: Sequence[Shape], *, split: bool) -> Arrays:
    joined = parse_layout("gru_kernel").out([kernel])[0].T
    return _split(joined, 3) if split else [joined]


def _gru_back(arrays: Arrays, shape: Shape) -> Any:
    return parse_layout("gru_kernel").back([_concatenated(arrays).T])[0]


def _gru_bias_out(bias: Any, shapes: Sequence[Shape], *, split: bool) -> Arrays:
    of_input, of_state = (_split(part, 3) for part in parse_layout("gru_bias").out([bias]))
    reset, update, candidate = (a + b for a, b in zip(of_input, of_state, strict=True))
    if split:
        return [reset, update, of_input[2], of_state[2]]
    if of_state[2].any():
        raise UnsupportedError(
            "the GRU of flax.nnx has no bias for the state's part of the candidate",
            expected="zeros", got=f"up to {abs(of_state[2]).max()}")
    return [_concatenated([reset, update, candidate])]


def _gru_bias_back(arrays: Arrays, shape: Shape) -> Any:
    of_input = arrays[:3] if len(arrays) == 4 else _split(arrays[0], 3)
    zero = of_input[0] * 0
    of_state = [zero, zero, arrays[3] if len(arrays) == 4 else zero]
    return parse_layout("gru_bias").back([_concatenated(of_input), _concatenated(of_state)])[0]


SAME = FlaxLayout("same", lambda array, shapes: [array], lambda arrays, shape: arrays[0])
RESHAPE = FlaxLayout("reshape", lambda array, shapes: [array.reshape(shapes[0])],
                     lambda arrays, shape: arrays[0].reshape(shape))
TRANSPOSED = FlaxLayout("transposed", lambda array, shapes: [_reversed(array)],
                        lambda arrays, shape: _reversed(arrays[0]))
GATES = FlaxLayout("gates", lambda array, shapes: _split(array, len(shapes)),
                   lambda arrays, shape: _concatenated(arrays))
LSTM1_KERNEL, LSTM1_KERNEL_JOINED = (
    FlaxLayout("lstm1_kernel", partial(_lstm1_out, split=split), partial(_lstm1_back, split=split))
    for split in (True, False))
GRU_GATES, GRU_JOINED = (FlaxLayout("gru_gates", partial(_gru_out, split=split), _gru_back)
                         for split in (True, False))
GRU_BIAS, GRU_BIAS_JOINED = (
    FlaxLayout("gru_bias", partial(_gru_bias_out, split=split), _gru_bias_back)
    for split in (True, False))
