"""Values of tensors as text and JSON."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

from tfckpt.core.index import Entry
from tfckpt.report.text import printable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["render_tensor", "tensor_json"]


def render_tensor(entry: Entry, array: np.ndarray[Any, Any], *, full: bool = False) -> str:
    """One tensor as the guide's ``print_checkpoint`` shows it.

    Args:
        entry: What it is.
        array: Its values.
        full: Whether every value is shown, however many there are.
    """
    import numpy as np  # deferred: listings need no numpy

    if not array.shape:
        value = _scalar(array[()])
    else:
        with np.printoptions(threshold=2**63 - 1 if full else 30, edgeitems=3,
                             formatter={"object": lambda item: _scalar(item, full=full)}):
            value = str(array)
    return (f"(key='{printable(entry.key)}', shape={list(entry.shape)}, dtype={entry.dtype.name},"
            f" value={value})")


def _scalar(value: object, *, full: bool = False) -> str:
    if isinstance(value, bytes) and len(value) > 200 and not full:
        return f"{value[:200]!r}… ({len(value)} bytes)"
    return str(value)


def tensor_json(entry: Entry, array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """One tensor with all its values; NaN and infinities as text, since JSON has none."""
    return {"key": entry.key, "dtype": entry.dtype.name, "shape": list(entry.shape),
            "value": _plain(array.tolist())}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, (bool, int, str)):
        return value
    number = float(value)  # ml_dtypes scalars too
    return number if math.isfinite(number) else str(number)
