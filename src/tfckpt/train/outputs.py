"""Live values as tensors to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.core.arrays import array_output, array_outputs
from tfckpt.core.plan import Output
from tfckpt.format.dtypes import STRING
from tfckpt.train.adapters import arrays_of
from tfckpt.train.values import as_array
from tfckpt.train.variables import Variable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["value_outputs", "variable_outputs"]


def value_outputs(keys: Sequence[str], values: Sequence[Any]) -> list[Output]:
    """Values of objects as tensors to write, each computed once.

    Args:
        keys: Their keys.
        values: Variables, arrays, text or bytes, functions that compute such, or objects whose
            ``output`` makes the tensor.

    Example:
        >>> [output.dtype.name for output in value_outputs(["a", "b"], [Variable(1.0), "text"])]
        ['float32', 'string']
    """
    variables = [value for value in values if isinstance(value, Variable)]
    if len(variables) == len(values):
        return variable_outputs(keys, variables)
    made = iter(variable_outputs([key for key, value in zip(keys, values, strict=True)
                                  if isinstance(value, Variable)], variables))
    return [next(made) if isinstance(value, Variable) else _value_output(key, value)
            for key, value in zip(keys, values, strict=True)]


def variable_outputs(keys: Sequence[str], variables: Sequence[Variable]) -> list[Output]:
    """Variables, ours and stand-ins, as tensors to write."""
    return array_outputs(keys, arrays_of(variables), [variable.dtype for variable in variables])


def _value_output(key: str, value: Any) -> Output:
    if hasattr(value, "output"):  # a framework's object makes it itself
        output: Output = value.output(key)
        return output
    if callable(value):
        value = value()
    if isinstance(value, (str, bytes)):
        import numpy as np  # deferred: making names needs no numpy

        text = value.encode() if isinstance(value, str) else value
        scalar: np.ndarray[Any, Any] = np.empty((), object)
        scalar[()] = text
        return array_output(key, scalar, STRING)
    return array_output(key, *as_array(value))
