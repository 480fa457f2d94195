"""Variables that TF1 code asks for in parts, ``get_variable(partitioner=…)``.

A TF1 checkpoint has such a variable under one name, in slices, so the variable stays whole. But
TF1 code can tell the parts: ``embedding_lookup`` takes rows from them in turn unless it is told
otherwise, and regularizers and constraints see one part at a time. `PartitionedView` is what it
gets to see.

Source: TensorFlow 1.15's ``python/ops/variable_scope.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import variables

from tfckpt.errors import VariableError

__all__ = ["PartitionedView", "part_by_part", "partitions_of"]


def partitions_of(partitioner: Callable[..., Any], shape: Any, dtype: Any, name: str) -> list[int]:
    """How many parts a partitioner wants along each axis.

    Args:
        partitioner: It.
        shape: The whole variable's shape.
        dtype: Its dtype.
        name: Its name, for errors.

    Raises:
        VariableError: It wants what TensorFlow can't do: cuts along several axes, or none at all.
    """
    wanted = partitioner(shape=shape, dtype=dtype)
    counts = [int(count) for count in wanted] if isinstance(wanted, Sequence) else []
    if len(counts) != shape.rank or min(counts) < 1 or sum(count > 1 for count in counts) > 1:
        raise VariableError(
            "the partitioner's answer is no way to cut the variable", tensor=name, got=wanted,
            expected=f"{shape.rank} numbers from 1, at most one of them above 1")
    return counts


class PartitionedView(variables.PartitionedVariable):  # type: ignore[misc]
    """A whole variable, seen in parts.

    The parts are tensors, cut when they are asked for: gradients pass through them, and they
    belong to the function that is being traced. What is assigned to it goes to the whole variable.

    Args:
        whole: The variable.
        partitions: How many parts it has along each axis.
    """

    def __init__(self, whole: Any, partitions: Sequence[int]) -> None:
        self.whole = whole
        self._partitions = list(partitions)
        self._name = whole.name.partition(":")[0]
        self._shape = whole.shape
        self._dtype = whole.dtype

    @property
    def _variable_list(self) -> list[Any]:
        return _parts(self.whole, self._partitions)

    def __len__(self) -> int:
        return max(self._partitions)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._variable_list)

    def as_tensor(self) -> Any:
        """The whole value."""
        return tf.convert_to_tensor(self.whole)

    _concat = as_tensor

    def assign(self, value: Any, *args: Any, **options: Any) -> Any:
        """Give the variable a value: a whole one, or a list of parts."""
        return self.whole.assign(self._joined(value), *args, **options)

    def assign_add(self, value: Any, *args: Any, **options: Any) -> Any:
        """Add a value; see `assign`."""
        return self.whole.assign_add(self._joined(value), *args, **options)

    def assign_sub(self, value: Any, *args: Any, **options: Any) -> Any:
        """Subtract a value; see `assign`."""
        return self.whole.assign_sub(self._joined(value), *args, **options)

    def _joined(self, value: Any) -> Any:
        return tf.concat(value, _axis(self._partitions)) if isinstance(value, list) else value

    def part_by_part(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """See the function of this name, for this variable's parts."""
        return part_by_part(function, self._partitions)


def part_by_part(function: Callable[[Any], Any], partitions: Sequence[int], *, join: bool = False
                 ) -> Callable[[Any], Any]:
    """A function of a whole value that has another look at one part after the other.

    Args:
        function: That of a part: a regularizer or a constraint.
        partitions: How many parts there are along each axis.
        join: Whether its results are parts too, to be put together; otherwise they are added up,
            but for those that are None.
    """
    def of_the_whole(whole: Any) -> Any:
        results = [function(part) for part in _parts(whole, partitions)]
        if join:
            return tf.concat(results, _axis(partitions))
        found = [result for result in results if result is not None]
        return sum(found[1:], found[0]) if found else None

    return of_the_whole


def _axis(partitions: Sequence[int]) -> int:
    return next((axis for axis, count in enumerate(partitions) if count > 1), 0)


def _parts(whole: Any, partitions: Sequence[int]) -> list[Any]:
    """The parts as tensors: the first ones are longer by one if there is a rest."""
    axis = _axis(partitions)
    count = partitions[axis]
    length, rest = divmod(whole.shape[axis], count)
    sizes = [length + (number < rest) for number in range(count)]
    parts: list[Any] = tf.split(tf.convert_to_tensor(whole), sizes, axis)
    return parts
