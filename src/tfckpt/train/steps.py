"""Steps: numbers in the names of checkpoints, which a program may have as variables."""

from __future__ import annotations

import operator
from typing import Any

from tfckpt.errors import VariableTypeError
from tfckpt.train.adapters import stand_in

__all__ = ["step_of"]


def step_of(given: Any) -> int:
    """The value of a number, of an array, or of a variable, ours or a framework's.

    Raises:
        VariableTypeError: It is no integer.

    Example:
        >>> step_of(7)
        7
    """
    known = stand_in(given)
    try:
        return operator.index(known.numpy() if hasattr(known, "numpy") else known)
    except TypeError:
        raise VariableTypeError("the step is no integer", got=repr(given)) from None
