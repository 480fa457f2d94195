"""The header of ``.npy`` arrays, as `numpy.lib.format` describes it.

numpy itself parses and encodes it; here is which arrays are tensors of which dtype. Arrays of
Python objects are pickles and never opened.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.errors import CheckpointError, FormatError, UnsupportedError
from tfckpt.format.dtypes import STRING, DType, dtype_named

if TYPE_CHECKING:
    import numpy as np

__all__ = ["MOST_HEADER", "NPY_NAMES", "NpyHeader", "encode_npy_header", "parse_npy_header"]

MOST_HEADER = 12_000
"""Bytes that are read to find a header; numpy refuses longer ones."""

NPY_NAMES = frozenset({
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16",
    "float32", "float64", "complex64", "complex128"})
"""TensorFlow's dtypes that are numpy's own; all others would come back as raw bytes."""


class NpyHeader(NamedTuple):
    """What a header says.

    Attributes:
        dtype: TensorFlow's dtype; one without arrays if it has none like it.
        stored: numpy's, in the byte order of the file; None if there are no such arrays.
        shape: The dimensions.
        fortran: Whether the first index varies fastest.
        size: Bytes of the header; data follow.
    """

    dtype: DType
    stored: np.dtype[Any] | None
    shape: tuple[int, ...]
    fortran: bool
    size: int


def parse_npy_header(data: bytes) -> NpyHeader:
    """Parse the header at the start of an array's bytes.

    Raises:
        FormatError: There is none.
        UnsupportedError: It is of a version that only structured arrays need.

    Example:
        >>> parse_npy_header(encode_npy_header("<f4", (2, 3)))[2:]
        ((2, 3), False, 128)
    """
    import numpy as np  # deferred: as everywhere

    stream = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                shape, fortran, stored = np.lib.format.read_array_header_1_0(stream)
            elif version == (2, 0):
                shape, fortran, stored = np.lib.format.read_array_header_2_0(stream)
            else:
                raise UnsupportedError("arrays with named fields are no tensors",
                                       got=f"version {version[0]} of the npy format")
    except CheckpointError:
        raise
    except Exception as error:  # whatever its parser of Python literals stumbles over
        raise FormatError(f"this is no header of a NumPy array ({error})"[:200], offset=0) from None
    if any(type(n) is not int or not 0 <= n < 1 << 63 for n in shape):
        raise FormatError("a shape is a list of sizes", offset=0, got=list(shape))
    dtype = _dtype(stored)
    return NpyHeader(dtype, stored if dtype.numpy_name else None, tuple(shape), fortran,
                     stream.tell())


def _dtype(stored: np.dtype[Any]) -> DType:
    if stored.kind in "SU" and stored.itemsize:
        return STRING
    name = stored.newbyteorder("=").name
    return dtype_named(name) if name in NPY_NAMES else DType(0, stored.str, None)


def encode_npy_header(descr: str, shape: tuple[int, ...]) -> bytes:
    """The header of an array in C order.

    Args:
        descr: numpy's name of the dtype with its byte order, such as ``"<f4"``.
        shape: The dimensions.
    """
    import numpy as np  # deferred: as everywhere

    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()
