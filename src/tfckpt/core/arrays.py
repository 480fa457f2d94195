"""Arrays as the bytes of tensors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tfckpt.core.plan import Given, Output
from tfckpt.format.dtypes import STRING, DType
from tfckpt.format.strings import encode_strings

if TYPE_CHECKING:
    import numpy as np

__all__ = ["array_output"]

_LITTLE = sys.byteorder == "little"
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
    if array.nbytes <= 256 and array.dtype.itemsize == dtype[2] and _LITTLE:
        # A model may have 100,000 small ones: bytes are the quicker form for them, and a
        # NamedTuple made as a tuple takes half of the time.
        given = _new(Given, (array.tobytes(), None, 0))
        return _new(Output, (key, dtype, array.shape, given))
    if dtype is STRING:
        return Output(key, dtype, array.shape, Given(*encode_strings(array.reshape(-1).tolist())))
    shape = array.shape
    if array.dtype.itemsize != dtype.size:
        array = array.astype(dtype.numpy())
    if not _LITTLE:
        array = array.byteswap()
    import numpy as np  # deferred: converting and listing need no numpy

    stored = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if stored.flags.writeable:
        stored = stored.view()
        stored.flags.writeable = False
    return Output(key, dtype, shape, Given(stored, None))
