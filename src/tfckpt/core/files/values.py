"""Numbers and text that files have beside their tensors, as scalars."""

from __future__ import annotations

from typing import Any

from tfckpt.errors import UnsupportedError
from tfckpt.format.dtypes import STRING, DType, dtype_named

__all__ = ["plain_value"]


def plain_value(value: Any) -> tuple[Any, DType]:
    """A number, or text as UTF-8, and the dtype of a scalar that holds it.

    Raises:
        UnsupportedError: There is none.

    Example:
        >>> plain_value("a"), plain_value(3)
        ((b'a', <DType string>), (3, <DType int64>))
    """
    if isinstance(value, bool):
        return value, dtype_named("bool")
    if isinstance(value, int):
        if not -1 << 63 <= value < 1 << 63:
            raise UnsupportedError("a number in the file has more than 64 bits", got=value)
        return value, dtype_named("int64")
    if isinstance(value, float):
        return value, dtype_named("float64")
    if isinstance(value, complex):
        return value, dtype_named("complex128")
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass"), STRING
    if isinstance(value, bytes):
        return value, STRING
    raise UnsupportedError("the file holds a value that is no tensor, number or text",
                           got=type(value).__name__)
