"""How kernels and vectors are moved between TensorFlow's layouts and others; layouts.py names them.

Each function takes arrays and the shapes that are wanted, if they are known, and gives arrays:
views where it can. What doesn't fit raises a ValueError, which layouts.py explains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.errors import UnsupportedError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Arrays = Sequence[Array]
    Move = Callable[[Arrays, "Shapes"], list[Array]]

__all__ = ["biased_mean_back", "biased_mean_out", "channels", "conv_back", "conv_out",
           "depthwise_back", "depthwise_out", "flattened_back", "flattened_out", "heads_bias_back",
           "heads_bias_out", "heads_in_back", "heads_in_out", "heads_of_columns", "heads_of_rows",
           "heads_out_out", "image_back", "image_out", "joined", "matrix", "pointwise_back",
           "pointwise_out", "qkv_back", "qkv_bias_back", "qkv_bias_out", "qkv_out", "same",
           "split", "squeeze_back", "squeeze_out", "told", "transposed", "unflattened_back",
           "unflattened_out"]

Shape = tuple[int, ...]
Shapes = Sequence[Shape] | None


def _wanted(shapes: Shapes, n: int = 1) -> Sequence[Shape]:
    if shapes is None or len(shapes) != n:
        raise UnsupportedError("the shapes don't tell how the tensor is divided here",
                               hint="A model says the shapes that it has in TensorFlow, or a map a"
                                    " number: depthwise(1), heads_in(12).")
    return shapes


def split(array: Array, n: int) -> list[Array]:
    """Equal parts of an array."""
    import numpy as np  # deferred: a table of names needs none

    return np.split(array, n)


def joined(arrays: Arrays) -> Array:
    """Arrays one behind the other."""
    import numpy as np  # deferred, as above

    return np.concatenate(arrays)


def matrix(array: Array) -> Array:
    """An array that is a matrix, or a ValueError."""
    rows, columns = array.shape
    return array.reshape(rows, columns)


def same(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``same``, either way."""
    return list(arrays)


def transposed(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``dense``, either way."""
    return [matrix(arrays[0]).T]


def conv_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``conv`` on its way out."""
    spatial = arrays[0].ndim - 2
    if spatial < 1:
        raise ValueError
    return [arrays[0].transpose(spatial + 1, spatial, *range(spatial))]


def conv_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``conv`` on its way back."""
    if arrays[0].ndim < 3:
        raise ValueError
    return [arrays[0].transpose(*range(2, arrays[0].ndim), 1, 0)]


def depthwise_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``depthwise`` on its way out."""
    *spatial, channels, multiplier = arrays[0].shape
    n = len(spatial)
    return [arrays[0].transpose(n, n + 1, *range(n)).reshape(channels * multiplier, 1, *spatial)]


def depthwise_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``depthwise`` on its way back."""
    *spatial, channels, multiplier = _wanted(shapes)[0]
    divided = arrays[0].reshape(channels, multiplier, *spatial)
    return [divided.transpose(*range(2, divided.ndim), 0, 1)]


def squeeze_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``squeeze`` on its way out."""
    return [arrays[0].squeeze(0)]


def squeeze_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``squeeze`` on its way back."""
    return [arrays[0][None]]


def pointwise_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``pointwise`` on its way out."""
    *spatial, inputs, outputs = arrays[0].shape
    if any(length != 1 for length in spatial):
        raise ValueError
    return [arrays[0].reshape(inputs, outputs).T]


def pointwise_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``pointwise`` on its way back."""
    return [matrix(arrays[0]).T.reshape(_wanted(shapes)[0])]


def _channels_first(array: Array, height: float, width: float
                    ) -> Array:
    """Rows of an image, in the order that they have with its channels first."""
    image = array.reshape(int(height), int(width), -1, *array.shape[1:])
    return image.transpose(2, 0, 1, *range(3, image.ndim)).reshape(array.shape)


def _channels_last(array: Array, height: float, width: float
                   ) -> Array:
    image = array.reshape(-1, int(height), int(width), *array.shape[1:])
    return image.transpose(1, 2, 0, *range(3, image.ndim)).reshape(array.shape)


def _vector_or_matrix(array: Array) -> Array:
    return array if array.ndim == 1 else matrix(array)


def flattened_out(height: float, width: float, arrays: Arrays, shapes: Shapes
                   ) -> list[Array]:
    """The layout ``flattened`` on its way out."""
    return [_channels_first(_vector_or_matrix(arrays[0]), height, width).T]


def flattened_back(height: float, width: float, arrays: Arrays, shapes: Shapes
                    ) -> list[Array]:
    """The layout ``flattened`` on its way back."""
    return [_channels_last(_vector_or_matrix(arrays[0]).T, height, width)]


def unflattened_out(height: float, width: float, arrays: Arrays, shapes: Shapes
                     ) -> list[Array]:
    """The layout ``unflattened`` on its way out."""
    return [_channels_first(_vector_or_matrix(arrays[0]).T, height, width)]


def unflattened_back(height: float, width: float, arrays: Arrays, shapes: Shapes
                      ) -> list[Array]:
    """The layout ``unflattened`` on its way back."""
    return [_channels_last(_vector_or_matrix(arrays[0]), height, width).T]


def image_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``image`` on its way out."""
    last = arrays[0].ndim - 1
    if last < 1:
        raise ValueError
    return [arrays[0].transpose(last, *range(last))]


def image_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``image`` on its way back."""
    if arrays[0].ndim < 2:
        raise ValueError
    return [arrays[0].transpose(*range(1, arrays[0].ndim), 0)]


def heads_in_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``heads_in`` on its way out."""
    inputs, heads, size = arrays[0].shape
    return [arrays[0].reshape(inputs, heads * size).T]


def heads_in_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layouts ``heads_in`` and ``heads_out`` on their way back."""
    return [matrix(arrays[0]).T.reshape(_wanted(shapes)[0])]


def heads_bias_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``heads_bias`` on its way out."""
    heads, size = arrays[0].shape
    return [arrays[0].reshape(heads * size)]


def heads_bias_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``heads_bias`` on its way back."""
    return [arrays[0].reshape(_wanted(shapes)[0])]


def heads_out_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``heads_out`` on its way out."""
    heads, size, outputs = arrays[0].shape
    return [arrays[0].reshape(heads * size, outputs).T]


def qkv_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``qkv`` on its way out."""
    return [joined([heads_in_out([array], None)[0] for array in arrays])]


def qkv_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``qkv`` on its way back."""
    return [part.T.reshape(shape)
            for part, shape in zip(split(matrix(arrays[0]), 3), _wanted(shapes, 3), strict=True)]


def qkv_bias_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``qkv_bias`` on its way out."""
    return [joined([heads_bias_out([array], None)[0] for array in arrays])]


def qkv_bias_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``qkv_bias`` on its way back."""
    return [part.reshape(shape)
            for part, shape in zip(split(arrays[0], 3), _wanted(shapes, 3), strict=True)]


def biased_mean_out(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``biased_mean`` on its way out."""
    mean, bias = arrays
    if mean.ndim != 1 or mean.shape != bias.shape:
        raise ValueError
    return [mean - bias]


def biased_mean_back(arrays: Arrays, shapes: Shapes) -> list[Array]:
    """The layout ``biased_mean`` on its way back."""
    import numpy as np  # deferred, as above

    return [arrays[0], np.zeros_like(arrays[0])]


def told(out: Move, back: Move, divide: Callable[[Shape, int], Shape], n_here: int = 1
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

    def checked_out(*given: Any) -> list[Array]:
        *numbers, arrays, shapes = given
        moved = out(arrays, shapes)
        if numbers and [array.shape for array in arrays] != told(moved[0].shape, numbers[0]):
            raise ValueError
        return moved

    def told_back(*given: Any) -> list[Array]:
        *numbers, arrays, shapes = given
        if numbers and shapes is None:
            shapes = told(arrays[0].shape, numbers[0])
        return back(arrays, shapes)

    return checked_out, told_back


def channels(shape: Shape, n: int) -> Shape:
    """TensorFlow's shape of a depthwise kernel with this multiplier."""
    return (*shape[2:], shape[0] // n, n)


def heads_of_rows(shape: Shape, n: int) -> Shape:
    """TensorFlow's shape of rows that are so many heads."""
    return (*shape[1:], n, shape[0] // n)


def heads_of_columns(shape: Shape, n: int) -> Shape:
    """TensorFlow's shape of columns that are so many heads."""
    return (n, shape[1] // n, shape[0])
