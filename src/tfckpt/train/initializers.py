"""First values of variables, and how variables are cut into parts.

An initializer is any function of a shape and a dtype. These have the names, arguments and
answers of TensorFlow 1.
Source: python/ops/init_ops.py and python/ops/partitioned_variables.py of TensorFlow 1.15.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.errors import VariableError
from tfckpt.format.dtypes import DType
from tfckpt.train.graphs import get_default_graph
from tfckpt.train.values import as_array, as_dtype, as_shape, is_known, kind_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["PartitionInfo", "Partitioner", "constant_initializer", "default_initializer",
           "fixed_size_partitioner", "glorot_uniform_initializer", "ones_initializer",
           "zeros_initializer"]

Partitioner = Callable[..., Sequence[int]]
"""Told shape and dtype of a variable, says into how many parts each axis is cut."""


class PartitionInfo(NamedTuple):
    """What an initializer that wants to know is told of the part it makes.

    Attributes:
        full_shape: Shape of the whole.
        var_offset: Where the part begins, along each axis.
    """

    full_shape: tuple[int, ...]
    var_offset: tuple[int, ...]


class zeros_initializer:  # noqa: N801 - TensorFlow's name for it
    """Makes zeros; of strings, empty ones.

    Args:
        dtype: The dtype if none is asked for.

    Example:
        >>> zeros_initializer()([2], "int32")
        array([0, 0], dtype=int32)
    """

    def __init__(self, dtype: Any = "float32") -> None:
        self.dtype = as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None,
                 partition_info: PartitionInfo | None = None) -> np.ndarray[Any, Any]:
        """An array of this shape and dtype."""
        wanted = self.dtype if dtype is None else as_dtype(dtype)
        return _filled(shape, b"" if kind_of(wanted) == "string" else 0, wanted)


class ones_initializer:  # noqa: N801 - TensorFlow's name for it
    """Makes ones.

    Args:
        dtype: The dtype if none is asked for.

    Example:
        >>> ones_initializer()([2], "float64")
        array([1., 1.])
    """

    def __init__(self, dtype: Any = "float32") -> None:
        self.dtype = as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None,
                 partition_info: PartitionInfo | None = None) -> np.ndarray[Any, Any]:
        """An array of this shape and dtype."""
        wanted = self.dtype if dtype is None else as_dtype(dtype)
        return _filled(shape, True if kind_of(wanted) == "bool" else 1, wanted)


class constant_initializer:  # noqa: N801 - TensorFlow's name for it
    """Makes arrays of given values.

    Args:
        value: One value for all elements, or the elements in row order. If there are too
            few of them the last is repeated, as in TensorFlow 1.
        dtype: The dtype if none is asked for.
        verify_shape: Whether the value must have the shape that is asked for.

    Raises:
        VariableError: On a call: there are more values than elements.

    Example:
        >>> constant_initializer([1, 2])([2, 2], "int32")
        array([[1, 2],
               [2, 2]], dtype=int32)
    """

    def __init__(self, value: Any = 0, dtype: Any = "float32", verify_shape: bool = False) -> None:
        self.value = value
        self.dtype = as_dtype(dtype)
        self.verify_shape = verify_shape

    def __call__(self, shape: Any, dtype: Any = None,
                 partition_info: PartitionInfo | None = None) -> np.ndarray[Any, Any]:
        """An array of this shape and dtype."""
        wanted = self.dtype if dtype is None else as_dtype(dtype)
        dims = _dims(shape)
        values = as_array(self.value, wanted)[0]
        if self.verify_shape and values.shape != dims:
            raise VariableError("the constant has another shape", expected=dims, got=values.shape)
        if not values.size or values.size > math.prod(dims):
            raise VariableError("the number of values doesn't fit the shape",
                                expected=f"1 to {math.prod(dims)} values for {dims}",
                                got=values.size)
        array = _filled(dims, values.reshape(-1)[-1], wanted)
        array.reshape(-1)[:values.size] = values.reshape(-1)
        return array


class glorot_uniform_initializer:  # noqa: N801 - TensorFlow's name for it
    """Makes random values between limits that follow from the shape.

    They come from the graph's own seeded generator, or from the one given here: the same
    program gets the same values, but not those of TensorFlow.

    Args:
        seed: Seed of a generator of its own.
        dtype: The dtype if none is asked for.

    Example:
        >>> abs(glorot_uniform_initializer(seed=1)([300, 300])).max() <= 0.1
        np.True_
    """

    def __init__(self, seed: int | None = None, dtype: Any = "float32") -> None:
        self.dtype = as_dtype(dtype)
        self._seed = seed
        self._rng: np.random.Generator | None = None

    def __call__(self, shape: Any, dtype: Any = None,
                 partition_info: PartitionInfo | None = None) -> np.ndarray[Any, Any]:
        """An array of this shape and dtype."""
        import numpy as np  # deferred: making names needs no numpy

        if self._rng is None:
            self._rng = (get_default_graph().rng if self._seed is None
                         else np.random.default_rng(self._seed))
        dims = _dims(shape)
        fan_in, fan_out = _fans(partition_info.full_shape if partition_info else dims)
        limit = math.sqrt(3 / max(1, (fan_in + fan_out) / 2))
        wanted = self.dtype if dtype is None else as_dtype(dtype)
        if wanted.name == "float64":
            array: np.ndarray[Any, Any] = np.asarray(self._rng.uniform(-limit, limit, dims))
        else:
            array = np.asarray(self._rng.random(dims, np.float32))
            array = ((array * 2 - 1) * np.float32(limit)).astype(wanted.numpy(), copy=False)
        return array


def _filled(shape: Any, value: Any, dtype: DType) -> np.ndarray[Any, Any]:
    import numpy as np  # deferred, as above

    filler = as_array(value, dtype)[0]
    if not filler.any() and kind_of(dtype) != "string":
        return np.zeros(_dims(shape), filler.dtype)  # costs no memory until it is written
    return np.full(_dims(shape), filler[()], filler.dtype)


def _dims(shape: Any) -> tuple[int, ...]:
    dims = as_shape(shape)
    if dims is None or not is_known(dims):
        raise VariableError("a value needs a shape that is known", got=shape)
    return tuple(dim for dim in dims if dim is not None)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs and outputs a layer with a kernel of this shape has."""
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


def default_initializer(dtype: DType, name: str) -> Callable[..., Any]:
    """The initializer for a variable that has none: random for floats, otherwise zeros.

    Raises:
        VariableError: The dtype has no default.
    """
    kind = kind_of(dtype)
    if kind == "float":
        return glorot_uniform_initializer()
    if kind in ("int", "bool", "string"):
        return zeros_initializer()
    raise VariableError(f"a variable of dtype {dtype} needs an initializer", tensor=name)


def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Partitioner:
    """A partitioner that cuts one axis into this many parts, or as many as it is long.

    Example:
        >>> fixed_size_partitioner(3)(shape=(2, 5), dtype="float32")
        [2, 1]
    """

    def partitioner(shape: Sequence[int], dtype: Any = None) -> list[int]:
        partitions = [1] * len(shape)
        partitions[axis] = min(num_shards, shape[axis])
        return partitions

    return partitioner
