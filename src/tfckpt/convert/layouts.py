"""How the weights of one layer lie in TensorFlow, and how elsewhere.

A layout turns the tensors of TensorFlow for one thing (a kernel; a kernel and what stands fused in
it) into those of another framework, and back. Map files and live modules call them by name:

    ================== ==========================================================================
    ``same``           unchanged
    ``dense``          [in, out]                  ↔ [out, in]
    ``conv``           […, in, out]               ↔ [out, in, …], and transposed convolutions
    ``depthwise``      […, channels, multiplier]  ↔ [channels × multiplier, 1, …]
    ``squeeze``        [1, …]                     ↔ […]
    ``pointwise``      [1, …, in, out]            ↔ [out, in]
    ``flattened(h,w)`` [h × w × c, out]           ↔ [out, c × h × w], after a flattened image;
                                                    a vector of that length likewise
    ``unflattened(h,w)`` [in, h × w × c]          ↔ [c × h × w, in], before an image is made of it;
                                                    its bias likewise
    ``image``          […, channels]              ↔ [channels, …], of a normalization over an image
    ``heads_in``       [in, heads, size]          ↔ [heads × size, in]
    ``heads_bias``     [heads, size]              ↔ [heads × size]
    ``heads_out``      [heads, size, out]         ↔ [out, heads × size]
    ``qkv``            3 × ``heads_in``           ↔ [3 × heads × size, in]
    ``qkv_bias``       3 × ``heads_bias``         ↔ [3 × heads × size]
    ``rnn_bias``       [units]                    ↔ one of the input, one of the state (zeros)
    ``lstm_bias``      [4 × units]                ↔ one of the input, one of the state (zeros)
    ``lstm1_kernel``   [in + units, 4 × units]    ↔ [4 × units, in], [4 × units, units]
    ``lstm1_bias(f)``  [4 × units]                ↔ as ``lstm_bias``, with f (1 if none is given)
                                                    added: TF1's ``forget_bias``
    ``gru_kernel``     [in, 3 × units]            ↔ [3 × units, in]
    ``gru_bias``       [2, 3 × units]             ↔ [3 × units], [3 × units]
    ``biased_mean``    mean, bias [channels]      ↔ mean − bias: of a normalization behind a
                                                    convolution that has no bias there
    ================== ==========================================================================

``depthwise(1)`` says the multiplier, ``heads_in(12)`` and its like the number of heads. Then the
way back needs no shapes, and the way out refuses others.

Gates: Keras's LSTM has input, forget, cell, output, as PyTorch has; TF1's cells have input, cell,
forget, output. Keras's GRU has update, reset, candidate; PyTorch reset, update, candidate.

Source: the layers' own code in TensorFlow 1.15 (rnn_cell_impl.py), Keras 2.15 and PyTorch 2;
tests/compat runs both sides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np

    Arrays = Sequence[np.ndarray[Any, Any]]
    Move = Callable[[Arrays, "Shapes"], list[np.ndarray[Any, Any]]]

__all__ = ["LAYOUT_NAMES", "Layout", "Shapes", "parse_layout"]

Shape = tuple[int, ...]
Shapes = Sequence[Shape] | None


class Layout(NamedTuple):
    """One layout.

    Attributes:
        name: As map files write it.
        n_here: How many tensors of TensorFlow it takes together.
        n_there: How many tensors of the other framework they are.
        moves: What `out` and `back` do, after and before their checks.
    """

    name: str
    n_here: int
    n_there: int
    moves: tuple[Move, Move]

    def out(self, arrays: Arrays, shapes: Shapes = None) -> list[np.ndarray[Any, Any]]:
        """The other framework's tensors for these of TensorFlow.

        Args:
            arrays: ``n_here`` arrays of one dtype. They aren't changed; results may be views.
            shapes: The shapes that are wanted, where they are known.

        Raises:
            UnsupportedError: Arrays of such shapes have no place in this layout, or the results
                have other shapes than are wanted.

        Example:
            >>> import numpy as np
            >>> parse_layout("conv").out([np.zeros([3, 3, 8, 16])])[0].shape
            (16, 8, 3, 3)
        """
        return self._moved(self.moves[0], arrays, shapes, self.n_here)

    def back(self, arrays: Arrays, shapes: Shapes = None) -> list[np.ndarray[Any, Any]]:
        """TensorFlow's tensors for these of the other framework.

        Args:
            arrays: ``n_there`` arrays.
            shapes: The shapes that are wanted. ``depthwise`` and the heads of an attention need
                them, or a number in the layout's name: the other framework's shapes don't tell how
                they are divided.

        Raises:
            UnsupportedError: As for `out`; or shapes are needed.

        Example:
            >>> import numpy as np
            >>> parse_layout("depthwise").back([np.zeros([8, 1, 3, 3])], [(3, 3, 4, 2)])[0].shape
            (3, 3, 4, 2)
        """
        return self._moved(self.moves[1], arrays, shapes, self.n_there)

    def shapes_out(self, shapes: Sequence[Shape]) -> list[Shape]:
        """The shapes that tensors of these shapes get.

        Raises:
            UnsupportedError: As for `out`.

        Example:
            >>> parse_layout("lstm1_kernel").shapes_out([(12, 32)])
            [(32, 4), (32, 8)]
        """
        import numpy as np  # deferred: a table of names needs none

        # One byte that is everywhere: only results that are put together take memory.
        return [array.shape for array in
                self.out([np.broadcast_to(np.int8(0), shape) for shape in shapes])]

    def shapes_back(self, shapes: Sequence[Shape], wanted: Shapes = None) -> list[Shape]:
        """The shapes in TensorFlow of tensors that have these elsewhere.

        Args:
            shapes: Shapes in the other framework.
            wanted: As for `back`.

        Raises:
            UnsupportedError: As for `back`.

        Example:
            >>> parse_layout("lstm1_kernel").shapes_back([(32, 4), (32, 8)])
            [(12, 32)]
        """
        import numpy as np  # deferred, as above

        return [array.shape for array in
                self.back([np.broadcast_to(np.int8(0), shape) for shape in shapes], wanted)]

    def _moved(self, move: Move, arrays: Arrays, shapes: Shapes, n_expected: int
               ) -> list[np.ndarray[Any, Any]]:
        got = ", ".join(_text(array.shape) for array in arrays)
        if len(arrays) != n_expected:
            raise UnsupportedError(f"the layout {self.name} takes {n_expected} tensors together",
                                   got=f"{len(arrays)}: {got}")
        try:
            moved = move(arrays, shapes)
        except (ValueError, IndexError, OverflowError):  # reshape and unpacking say what fits
            raise UnsupportedError(f"the shape doesn't fit the layout {self.name}", got=got,
                                   expected=_BOOK[self.name.partition("(")[0]].what) from None
        if shapes is not None and [array.shape for array in moved] != list(map(tuple, shapes)):
            raise UnsupportedError(
                f"the layout {self.name} gives another shape",
                expected=", ".join(map(_text, shapes)),
                got=", ".join(_text(array.shape) for array in moved))
        return moved


def parse_layout(text: str) -> Layout:
    """The layout of this name.

    Args:
        text: A name of the table above, with numbers in parentheses where it takes them.

    Raises:
        FormatError: There is none of this name, or it takes other numbers.

    Example:
        >>> parse_layout("lstm1_bias(0)").n_there
        2
    """
    found = re.fullmatch(r"(\w+)(?:\(([^()]*)\))?", text)
    kind = _BOOK.get(found[1]) if found else None
    if found is None or kind is None:
        raise FormatError("no layout has this name", got=repr(text),
                          expected=f"one of {', '.join(LAYOUT_NAMES)}")
    try:
        numbers = [float(item) for item in found[2].split(",")] if found[2] else []
    except ValueError:
        numbers = [float("nan")] * 9
    if not kind.n_numbers[0] <= len(numbers) <= kind.n_numbers[1]:
        raise FormatError(f"the layout {found[1]} takes other numbers", got=repr(text),
                          expected=f"between {kind.n_numbers[0]} and {kind.n_numbers[1]}"
                                   " numbers in parentheses")
    return Layout(text, kind.n_here, kind.n_there,
                  (partial(kind.out, *numbers), partial(kind.back, *numbers)))


def _text(shape: Shape) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _wanted(shapes: Shapes, n: int = 1) -> Sequence[Shape]:
    if shapes is None or len(shapes) != n:
        raise UnsupportedError("the shapes don't tell how the tensor is divided here",
                               hint="A model says the shapes that it has in TensorFlow, or a map a"
                                    " number: depthwise(1), heads_in(12).")
    return shapes


def _split(array: np.ndarray[Any, Any], n: int) -> list[np.ndarray[Any, Any]]:
    import numpy as np  # deferred, as above

    return np.split(array, n)


def _joined(arrays: Arrays) -> np.ndarray[Any, Any]:
    import numpy as np  # deferred, as above

    return np.concatenate(arrays)


def _matrix(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    rows, columns = array.shape
    return array.reshape(rows, columns)


def _same(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return list(arrays)


def _transposed(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [_matrix(arrays[0]).T]


def _conv_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    spatial = arrays[0].ndim - 2
    if spatial < 1:
        raise ValueError
    return [arrays[0].transpose(spatial + 1, spatial, *range(spatial))]


def _conv_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    if arrays[0].ndim < 3:
        raise ValueError
    return [arrays[0].transpose(*range(2, arrays[0].ndim), 1, 0)]


def _depthwise_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    *spatial, channels, multiplier = arrays[0].shape
    n = len(spatial)
    return [arrays[0].transpose(n, n + 1, *range(n)).reshape(channels * multiplier, 1, *spatial)]


def _depthwise_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    *spatial, channels, multiplier = _wanted(shapes)[0]
    divided = arrays[0].reshape(channels, multiplier, *spatial)
    return [divided.transpose(*range(2, divided.ndim), 0, 1)]


def _squeeze_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [arrays[0].squeeze(0)]


def _squeeze_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [arrays[0][None]]


def _pointwise_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    *spatial, inputs, outputs = arrays[0].shape
    if any(length != 1 for length in spatial):
        raise ValueError
    return [arrays[0].reshape(inputs, outputs).T]


def _pointwise_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [_matrix(arrays[0]).T.reshape(_wanted(shapes)[0])]


def _channels_first(array: np.ndarray[Any, Any], height: float, width: float
                    ) -> np.ndarray[Any, Any]:
    """Rows of an image, in the order that they have with its channels first."""
    image = array.reshape(int(height), int(width), -1, *array.shape[1:])
    return image.transpose(2, 0, 1, *range(3, image.ndim)).reshape(array.shape)


def _channels_last(array: np.ndarray[Any, Any], height: float, width: float
                   ) -> np.ndarray[Any, Any]:
    image = array.reshape(-1, int(height), int(width), *array.shape[1:])
    return image.transpose(1, 2, 0, *range(3, image.ndim)).reshape(array.shape)


def _vector_or_matrix(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array if array.ndim == 1 else _matrix(array)


def _flattened_out(height: float, width: float, arrays: Arrays, shapes: Shapes
                   ) -> list[np.ndarray[Any, Any]]:
    return [_channels_first(_vector_or_matrix(arrays[0]), height, width).T]


def _flattened_back(height: float, width: float, arrays: Arrays, shapes: Shapes
                    ) -> list[np.ndarray[Any, Any]]:
    return [_channels_last(_vector_or_matrix(arrays[0]).T, height, width)]


def _unflattened_out(height: float, width: float, arrays: Arrays, shapes: Shapes
                     ) -> list[np.ndarray[Any, Any]]:
    return [_channels_first(_vector_or_matrix(arrays[0]).T, height, width)]


def _unflattened_back(height: float, width: float, arrays: Arrays, shapes: Shapes
                      ) -> list[np.ndarray[Any, Any]]:
    return [_channels_last(_vector_or_matrix(arrays[0]), height, width).T]


def _image_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    last = arrays[0].ndim - 1
    if last < 1:
        raise ValueError
    return [arrays[0].transpose(last, *range(last))]


def _image_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    if arrays[0].ndim < 2:
        raise ValueError
    return [arrays[0].transpose(*range(1, arrays[0].ndim), 0)]


def _heads_in_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    inputs, heads, size = arrays[0].shape
    return [arrays[0].reshape(inputs, heads * size).T]


def _heads_in_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [_matrix(arrays[0]).T.reshape(_wanted(shapes)[0])]


def _heads_bias_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    heads, size = arrays[0].shape
    return [arrays[0].reshape(heads * size)]


def _heads_bias_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [arrays[0].reshape(_wanted(shapes)[0])]


def _heads_out_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    heads, size, outputs = arrays[0].shape
    return [arrays[0].reshape(heads * size, outputs).T]


def _qkv_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [_joined([_heads_in_out([array], None)[0] for array in arrays])]


def _qkv_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [part.T.reshape(shape)
            for part, shape in zip(_split(_matrix(arrays[0]), 3), _wanted(shapes, 3), strict=True)]


def _qkv_bias_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [_joined([_heads_bias_out([array], None)[0] for array in arrays])]


def _qkv_bias_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [part.reshape(shape)
            for part, shape in zip(_split(arrays[0], 3), _wanted(shapes, 3), strict=True)]


def _rnn_bias_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    (_,) = arrays[0].shape
    import numpy as np  # deferred, as above

    return [arrays[0], np.zeros_like(arrays[0])]


def _lstm_bias_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    if arrays[0].shape[0] % 4:
        raise ValueError
    return _rnn_bias_out(arrays, shapes)


def _bias_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [arrays[0] + arrays[1]]


def _second_and_third(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Rows of four gates, with the middle ones exchanged: one LSTM's order to the other's."""
    first, second, third, fourth = _split(array, 4)
    return _joined([first, third, second, fourth])


def _lstm1_kernel_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    rows, columns = arrays[0].shape
    inputs = rows - columns // 4
    if columns % 4 or inputs < 1:
        raise ValueError
    gates = _second_and_third(arrays[0].T)
    return [gates[:, :inputs], gates[:, inputs:]]


def _lstm1_kernel_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [_joined([_second_and_third(_matrix(array)).T for array in arrays])]


def _forget(bias: np.ndarray[Any, Any], amount: float) -> np.ndarray[Any, Any]:
    """A bias in PyTorch's order with something added to its forget gates."""
    units = bias.shape[0] // 4
    changed = bias.copy()
    changed[units:2 * units] += bias.dtype.type(amount)
    return changed


def _lstm1_bias_out(*given: Any) -> list[np.ndarray[Any, Any]]:
    *numbers, arrays, _ = given
    (_,) = arrays[0].shape
    return _lstm_bias_out([_forget(_second_and_third(arrays[0]), *(numbers or [1.0]))], None)


def _lstm1_bias_back(*given: Any) -> list[np.ndarray[Any, Any]]:
    *numbers, arrays, _ = given
    amount = numbers[0] if numbers else 1.0
    return [_second_and_third(_forget(arrays[0] + arrays[1], -amount))]


def _first_and_second(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Rows of three gates, with the first two exchanged: one GRU's order to the other's."""
    first, second, third = _split(array, 3)
    return _joined([second, first, third])


def _gru_kernel_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [_first_and_second(_matrix(arrays[0]).T)]


def _gru_kernel_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [_first_and_second(_matrix(arrays[0])).T]


def _gru_bias_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    of_input, of_state = arrays[0].reshape(2, arrays[0].shape[1])
    return [_first_and_second(of_input), _first_and_second(of_state)]


def _gru_bias_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    return [_joined([_first_and_second(array)[None] for array in arrays])]


def _biased_mean_out(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    mean, bias = arrays
    if mean.ndim != 1 or mean.shape != bias.shape:
        raise ValueError
    return [mean - bias]


def _biased_mean_back(arrays: Arrays, shapes: Shapes) -> list[np.ndarray[Any, Any]]:
    import numpy as np  # deferred, as above

    return [arrays[0], np.zeros_like(arrays[0])]


def _told(out: Move, back: Move, divide: Callable[[Shape, int], Shape], n_here: int = 1
          ) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Both ways of a layout whose number may say how an axis is divided in TensorFlow.

    Args:
        out: The way out.
        back: The way back, which needs shapes.
        divide: The shape in TensorFlow of one that the other framework has, divided so.
        n_here: How many tensors are together there, one behind the other.
    """
    def told(shape: Shape, number: float) -> list[Shape]:
        if number < 1 or shape[0] % n_here:
            raise ValueError
        return [divide((shape[0] // n_here, *shape[1:]), int(number))] * n_here

    def checked_out(*given: Any) -> list[np.ndarray[Any, Any]]:
        *numbers, arrays, shapes = given
        moved = out(arrays, shapes)
        if numbers and [array.shape for array in arrays] != told(moved[0].shape, numbers[0]):
            raise ValueError
        return moved

    def told_back(*given: Any) -> list[np.ndarray[Any, Any]]:
        *numbers, arrays, shapes = given
        if numbers and shapes is None:
            shapes = told(arrays[0].shape, numbers[0])
        return back(arrays, shapes)

    return checked_out, told_back


def _channels(shape: Shape, n: int) -> Shape:
    return (*shape[2:], shape[0] // n, n)


def _heads_of_rows(shape: Shape, n: int) -> Shape:
    return (*shape[1:], n, shape[0] // n)


def _heads_of_columns(shape: Shape, n: int) -> Shape:
    return (n, shape[1] // n, shape[0])


class _Kind(NamedTuple):
    """A row of the table: what it expects of TensorFlow, how many of each, how, what numbers."""

    what: str
    n_here: int
    n_there: int
    out: Callable[..., Any]
    back: Callable[..., Any]
    n_numbers: tuple[int, int] = (0, 0)


_BOOK: dict[str, _Kind] = {
    "same": _Kind("anything", 1, 1, _same, _same),
    "dense": _Kind("[in, out]", 1, 1, _transposed, _transposed),
    "conv": _Kind("[..., in, out]", 1, 1, _conv_out, _conv_back),
    "depthwise": _Kind("[..., channels, multiplier]", 1, 1,
                       *_told(_depthwise_out, _depthwise_back, _channels), (0, 1)),
    "squeeze": _Kind("[1, ...]", 1, 1, _squeeze_out, _squeeze_back),
    "pointwise": _Kind("[1, ..., in, out]", 1, 1, _pointwise_out, _pointwise_back),
    "flattened": _Kind("[height x width x channels, out]", 1, 1, _flattened_out, _flattened_back,
                       (2, 2)),
    "unflattened": _Kind("[in, height x width x channels]", 1, 1, _unflattened_out,
                         _unflattened_back, (2, 2)),
    "image": _Kind("[..., channels]", 1, 1, _image_out, _image_back),
    "heads_in": _Kind("[in, heads, size]", 1, 1,
                      *_told(_heads_in_out, _heads_in_back, _heads_of_rows), (0, 1)),
    "heads_bias": _Kind("[heads, size]", 1, 1,
                        *_told(_heads_bias_out, _heads_bias_back, _heads_of_rows), (0, 1)),
    "heads_out": _Kind("[heads, size, out]", 1, 1,
                       *_told(_heads_out_out, _heads_in_back, _heads_of_columns), (0, 1)),
    "qkv": _Kind("3 x [in, heads, size]", 3, 1,
                 *_told(_qkv_out, _qkv_back, _heads_of_rows, 3), (0, 1)),
    "qkv_bias": _Kind("3 x [heads, size]", 3, 1,
                      *_told(_qkv_bias_out, _qkv_bias_back, _heads_of_rows, 3), (0, 1)),
    "rnn_bias": _Kind("[units]", 1, 2, _rnn_bias_out, _bias_back),
    "lstm_bias": _Kind("[4 x units]", 1, 2, _lstm_bias_out, _bias_back),
    "lstm1_kernel": _Kind("[in + units, 4 x units]", 1, 2, _lstm1_kernel_out, _lstm1_kernel_back),
    "lstm1_bias": _Kind("[4 x units]", 1, 2, _lstm1_bias_out, _lstm1_bias_back, (0, 1)),
    "gru_kernel": _Kind("[in, 3 x units]", 1, 1, _gru_kernel_out, _gru_kernel_back),
    "gru_bias": _Kind("[2, 3 x units], of a GRU with reset_after", 1, 2, _gru_bias_out,
                      _gru_bias_back),
    "biased_mean": _Kind("2 x [channels]", 2, 1, _biased_mean_out, _biased_mean_back),
}
LAYOUT_NAMES = tuple(_BOOK)
