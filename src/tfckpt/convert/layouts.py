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

moves.py and gates.py do what the table says.

Source: the layers' own code in TensorFlow 1.15 (rnn_cell_impl.py), Keras 2.15 and PyTorch 2;
tests/compat runs both sides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.convert import gates, moves
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


class _Kind(NamedTuple):
    """A row of the table: what it expects of TensorFlow, how many of each, how, what numbers."""

    what: str
    n_here: int
    n_there: int
    out: Callable[..., Any]
    back: Callable[..., Any]
    n_numbers: tuple[int, int] = (0, 0)


_BOOK: dict[str, _Kind] = {
    "same": _Kind("anything", 1, 1, moves.same, moves.same),
    "dense": _Kind("[in, out]", 1, 1, moves.transposed, moves.transposed),
    "conv": _Kind("[..., in, out]", 1, 1, moves.conv_out, moves.conv_back),
    "depthwise": _Kind("[..., channels, multiplier]", 1, 1,
                       *moves.told(moves.depthwise_out, moves.depthwise_back,
                                   moves.channels), (0, 1)),
    "squeeze": _Kind("[1, ...]", 1, 1, moves.squeeze_out, moves.squeeze_back),
    "pointwise": _Kind("[1, ..., in, out]", 1, 1, moves.pointwise_out, moves.pointwise_back),
    "flattened": _Kind("[height x width x channels, out]", 1, 1,
                       moves.flattened_out, moves.flattened_back, (2, 2)),
    "unflattened": _Kind("[in, height x width x channels]", 1, 1,
                         moves.unflattened_out, moves.unflattened_back, (2, 2)),
    "image": _Kind("[..., channels]", 1, 1, moves.image_out, moves.image_back),
    "heads_in": _Kind("[in, heads, size]", 1, 1,
                      *moves.told(moves.heads_in_out, moves.heads_in_back,
                                  moves.heads_of_rows), (0, 1)),
    "heads_bias": _Kind("[heads, size]", 1, 1,
                        *moves.told(moves.heads_bias_out, moves.heads_bias_back,
                                    moves.heads_of_rows), (0, 1)),
    "heads_out": _Kind("[heads, size, out]", 1, 1,
                       *moves.told(moves.heads_out_out, moves.heads_in_back,
                                   moves.heads_of_columns), (0, 1)),
    "qkv": _Kind("3 x [in, heads, size]", 3, 1,
                 *moves.told(moves.qkv_out, moves.qkv_back, moves.heads_of_rows, 3), (0, 1)),
    "qkv_bias": _Kind("3 x [heads, size]", 3, 1,
                      *moves.told(moves.qkv_bias_out, moves.qkv_bias_back,
                                  moves.heads_of_rows, 3), (0, 1)),
    "rnn_bias": _Kind("[units]", 1, 2, gates.rnn_bias_out, gates.bias_back),
    "lstm_bias": _Kind("[4 x units]", 1, 2, gates.lstm_bias_out, gates.bias_back),
    "lstm1_kernel": _Kind("[in + units, 4 x units]", 1, 2,
                          gates.lstm1_kernel_out, gates.lstm1_kernel_back),
    "lstm1_bias": _Kind("[4 x units]", 1, 2, gates.lstm1_bias_out, gates.lstm1_bias_back, (0, 1)),
    "gru_kernel": _Kind("[in, 3 x units]", 1, 1, gates.gru_kernel_out, gates.gru_kernel_back),
    "gru_bias": _Kind("[2, 3 x units], of a GRU with reset_after", 1, 2,
                      gates.gru_bias_out, gates.gru_bias_back),
    "biased_mean": _Kind("2 x [channels]", 2, 1, moves.biased_mean_out, moves.biased_mean_back),
}
LAYOUT_NAMES = tuple(_BOOK)
