"""TensorFlow's dtypes: their number in files, their name, and the bytes of an element.

The numbers are those of ``DataType`` in ``core/framework/types.proto`` up to TensorFlow
2.21. The four-bit and two-bit kinds take a whole byte for each element in a bundle.
Strings, resources and variants have no fixed size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.errors import MissingDependencyError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DTYPES", "INT64", "STRING", "VARIANT", "DType", "dtype_named", "dtype_numbered"]


class DType(NamedTuple):
    """One dtype of TensorFlow.

    Attributes:
        number: Value of TensorFlow's ``DataType`` enum, as stored in files.
        name: TensorFlow's name, as ``tf.DType.name`` gives it.
        size: Bytes of one element as stored; None if that differs from element to element.
        numpy_name: The dtype of arrays: a name of numpy's, or after ``ml_dtypes.`` one of
            that package's; None if there are no arrays of it.
        word: Bytes that a file in the other byte order stores in reverse (a complex number
            is two words); 1 if nothing is reversed.
    """

    number: int
    name: str
    size: int | None
    numpy_name: str | None = None
    word: int = 1

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<DType {self.name}>"

    def numpy(self) -> np.dtype[Any]:
        """The dtype of arrays that hold these elements, in this machine's byte order.

        Quantized kinds come as the plain integers they are stored as.

        Raises:
            UnsupportedError: There are no arrays of this dtype.

        Example:
            >>> dtype_named("bfloat16").numpy()
            dtype(bfloat16)
        """
        import numpy as np  # deferred: listing a checkpoint needs no numpy

        if self.numpy_name is None:
            raise UnsupportedError(f"tensors of dtype {self.name} have no form as an array",
                                   hint="Their bytes are carried over untouched by convert, and"
                                        " `Source.read_bytes` gives them as stored.")
        module, _, name = self.numpy_name.rpartition(".")
        if not module:
            return np.dtype(name)
        import ml_dtypes  # deferred for the same reason

        try:
            dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        except AttributeError:
            raise MissingDependencyError(
                f"the installed ml_dtypes has no dtype {name}",
                hint="Run: pip install 'ml_dtypes>=0.5'. TensorFlow takes that from 2.18 on: beside"
                     " an older one, read the tensor in an environment of its own.") from None
        return dtype


_SMALL = "ml_dtypes."

DTYPES: tuple[DType, ...] = (
    DType(1, "float32", 4, "float32", 4),
    DType(2, "float64", 8, "float64", 8),
    DType(3, "int32", 4, "int32", 4),
    DType(4, "uint8", 1, "uint8"),
    DType(5, "int16", 2, "int16", 2),
    DType(6, "int8", 1, "int8"),
    DType(7, "string", None, "object"),
    DType(8, "complex64", 8, "complex64", 4),
    DType(9, "int64", 8, "int64", 8),
    DType(10, "bool", 1, "bool"),
    DType(11, "qint8", 1, "int8"),
    DType(12, "quint8", 1, "uint8"),
    DType(13, "qint32", 4, "int32", 4),
    DType(14, "bfloat16", 2, _SMALL + "bfloat16", 2),
    DType(15, "qint16", 2, "int16", 2),
    DType(16, "quint16", 2, "uint16", 2),
    DType(17, "uint16", 2, "uint16", 2),
    DType(18, "complex128", 16, "complex128", 8),
    DType(19, "float16", 2, "float16", 2),
    DType(20, "resource", None),
    DType(21, "variant", None),
    DType(22, "uint32", 4, "uint32", 4),
    DType(23, "uint64", 8, "uint64", 8),
    DType(24, "float8_e5m2", 1, _SMALL + "float8_e5m2"),
    DType(25, "float8_e4m3fn", 1, _SMALL + "float8_e4m3fn"),
    DType(26, "float8_e4m3fnuz", 1, _SMALL + "float8_e4m3fnuz"),
    DType(27, "float8_e4m3b11fnuz", 1, _SMALL + "float8_e4m3b11fnuz"),
    DType(28, "float8_e5m2fnuz", 1, _SMALL + "float8_e5m2fnuz"),
    DType(29, "int4", 1, _SMALL + "int4"),
    DType(30, "uint4", 1, _SMALL + "uint4"),
    DType(31, "int2", 1, _SMALL + "int2"),
    DType(32, "uint2", 1, _SMALL + "uint2"),
    DType(33, "float4_e2m1fn", 1, _SMALL + "float4_e2m1fn"),
)

_BY_NUMBER = {dtype.number: dtype for dtype in DTYPES}
_BY_NAME = {dtype.name: dtype for dtype in DTYPES}

STRING, INT64, VARIANT = _BY_NAME["string"], _BY_NAME["int64"], _BY_NAME["variant"]


def dtype_numbered(number: int) -> DType:
    """The dtype of a stored number; for one that no TensorFlow knows, a DType without arrays.

    A file with one such tensor can still be listed, and its other tensors read.

    Example:
        >>> dtype_numbered(14).name, dtype_numbered(77).name
        ('bfloat16', 'unknown(77)')
    """
    return _BY_NUMBER.get(number) or DType(number, f"unknown({number})", None)


def dtype_named(name: str) -> DType:
    """The dtype of this name.

    Raises:
        UnsupportedError: TensorFlow has no dtype of this name.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnsupportedError("TensorFlow has no dtype of this name", got=name) from None
