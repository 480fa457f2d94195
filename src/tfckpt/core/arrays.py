"""Arrays as the bytes of tensors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

from tfckpt.core.plan import Given, Output
from tfckpt.format.dtypes import STRING, DType
from tfckpt.format.strings import encode_strings

if TYPE_CHECKING:
    import numpy as np

__all__ = ["array_output", "array_outputs"]

_LITTLE = sys.byteorder == "little"
_SMALL = 256  # bytes
_new = tuple.__new__


def array_output(key: str, array: np.ndarray[Any, Any], dtype: DType) -> Output:
    """A tensor to write from an array; the array isn't copied if its bytes can be written as
    they lie.

    Args:
        key: Its key.
        array: Its values, of the numpy dtype that goes with ``dtype``; of strings, ``bytes``.
        dtype: Its dtype in the file.

    Example:
        >>> import numpy as np
        >>> from tfckpt.format.dtypes import dtype_named
        >>> output = array_output("a", np.float32([1, 2]), dtype_named("float32"))
        >>> output.shape, len(output.origin.data)
        ((2,), 8)
    """
    return array_outputs([key], [array], [dtype])[0]


def array_outputs(keys: Sequence[str], arrays: Sequence[np.ndarray[Any, Any]],
                  dtypes: Sequence[DType]) -> list[Output]:
    """`array_output` of each: a model may have 100,000 small ones.

    Example:
        >>> import numpy as np
        >>> from tfckpt.format.dtypes import dtype_named
        >>> [output.key for output in array_outputs(
        ...     ["a", "b"], [np.float32(1), np.float32(2)], [dtype_named("float32")] * 2)]
        ['a', 'b']
    """
    # A NamedTuple made as a tuple takes half of the time; of small arrays bytes are the quicker
    # form.
    given = [_new(Given, (array.tobytes(), None, 0))
             if array.nbytes <= _SMALL and array.itemsize == dtype[2] and _LITTLE
             else _given(array, dtype) for array, dtype in zip(arrays, dtypes, strict=True)]
    shapes = [array.shape for array in arrays]
    return list(map(_new, repeat(Output), zip(keys, dtypes, shapes, given, strict=True)))


def _given(array: np.ndarray[Any, Any], dtype: DType) -> Given:
    """The bytes of an array of any kind."""
    if dtype is STRING:
        return Given(*encode_strings(array.reshape(-1).tolist()))
    if array.dtype.itemsize != dtype.size:
        array = array.astype(dtype.numpy())
    if not _LITTLE:
        array = array.byteswap()
    import numpy as np  # deferred: converting and listing need no numpy

    stored = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if stored.flags.writeable:
        stored = stored.view()
        stored.flags.writeable = False
    return Given(stored, None)
