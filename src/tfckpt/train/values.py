"""From what people give as values, dtypes and shapes to arrays, `DType` and tuples.

The dtype of a Python value is the one that TensorFlow chooses: float32 for a float, int32
for an integer that fits, string for text. What TensorFlow casts silently and with loss
(a float to an integer, a number that is too large) is refused here.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.errors import VariableError, VariableTypeError
from tfckpt.format.dtypes import STRING, DType, dtype_named

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Shape", "as_array", "as_dtype", "as_shape", "is_compatible", "is_known", "kind_of"]

Shape = tuple[int | None, ...]
"""Dimensions; None for one that isn't known."""

_PYTHON_TYPES = {bool: "bool", int: "int32", float: "float32", complex: "complex128",
                 str: "string", bytes: "string", object: "string"}


def as_dtype(dtype: Any) -> DType:
    """The dtype that is meant.

    Args:
        dtype: A `DType`, the name of one, a numpy dtype or scalar type, a Python type, or
            another library's dtype whose ``name`` is TensorFlow's.

    Raises:
        UnsupportedError: TensorFlow has no such dtype.

    Example:
        >>> as_dtype("float32").name, as_dtype(int).name, as_dtype(float).name
        ('float32', 'int32', 'float32')
    """
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, type) and dtype in _PYTHON_TYPES:
        return dtype_named(_PYTHON_TYPES[dtype])
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    if not isinstance(name, str):
        import numpy as np  # deferred: names need no numpy

        name = np.dtype(dtype).name
    name = name.removesuffix("_ref")  # TensorFlow 1 calls a variable's dtype so
    if name.startswith(("str", "bytes", "object")):  # numpy's names: str96, bytes8, object
        return STRING
    return dtype_named(name)


def kind_of(dtype: DType) -> str:
    """What a dtype holds: ``bool``, ``int``, ``float``, ``complex`` or ``string``.

    Example:
        >>> kind_of(as_dtype("bfloat16")), kind_of(as_dtype("quint8"))
        ('float', 'int')
    """
    for kind in ("bool", "complex", "float", "string", "int"):
        if kind in dtype.name:
            return kind
    return dtype.name


def as_shape(shape: Any) -> Shape | None:
    """A shape as a tuple; None if nothing is known of it.

    Args:
        shape: Dimensions, a single one, or None. Another library's shape with an
            ``as_list`` is taken too. A dimension may be None, or -1, if it isn't known.

    Raises:
        VariableError: A dimension is negative.
        TypeError: A dimension is no whole number.

    Example:
        >>> as_shape([None, 3]), as_shape(5), as_shape(None)
        ((None, 3), (5,), None)
    """
    if shape is None or getattr(shape, "rank", 0) is None:  # TensorFlow's unknown shape
        return None
    dims = shape.as_list() if hasattr(shape, "as_list") else shape
    if not hasattr(dims, "__iter__"):
        dims = (dims,)
    known = tuple(None if dim is None else operator.index(getattr(dim, "value", dim))
                  for dim in dims)
    if any(dim is not None and dim < -1 for dim in known):
        raise VariableError("a dimension is negative", got=list(known))
    return tuple(None if dim == -1 else dim for dim in known)


def is_known(shape: Shape | None) -> bool:
    """Whether every dimension is known."""
    return shape is not None and None not in shape


def is_compatible(shape: Shape | None, found: Shape) -> bool:
    """Whether a shape, as far as it is known, is the one found.

    Example:
        >>> is_compatible((None, 3), (2, 3)), is_compatible((3,), (2, 3))
        (True, False)
    """
    return shape is None or (len(shape) == len(found) and all(
        dim is None or other is None or dim == other
        for dim, other in zip(shape, found, strict=True)))


def as_array(value: Any, dtype: DType | None = None) -> tuple[np.ndarray[Any, Any], DType]:
    """A value as a read-only array of its own, and the array's dtype.

    Args:
        value: A number, text, an array, or rows of these.
        dtype: What it shall be; by default what TensorFlow would choose.

    Raises:
        VariableTypeError: It can't be taken in this dtype without loss.
        VariableError: Its rows differ in length, or mix what doesn't go together.

    Example:
        >>> array, dtype = as_array([1, 2.5])
        >>> array, dtype.name
        (array([1. , 2.5], dtype=float32), 'float32')
    """
    import numpy as np  # deferred: scopes and names need no numpy

    if hasattr(value, "__array__"):
        given = np.asarray(value)
        if given.dtype.kind in "OSU":
            given = _texts(given)
        natural = as_dtype(given.dtype)
    else:
        given, natural = _from_python(value)
    target = dtype or natural
    array = _cast(given, natural, target)
    if array is given:  # never share memory with what the caller may still write to
        array = given.copy()
    array.flags.writeable = False
    return array, target


def _cast(given: np.ndarray[Any, Any], natural: DType, target: DType) -> np.ndarray[Any, Any]:
    import numpy as np  # deferred, as above

    order = ("bool", "int", "float", "complex")
    have, want = kind_of(natural), kind_of(target)
    same = have == want or (want not in {"bool", "string"} and have in order
                            and order.index(have) <= order.index(want))
    if not same and (given.size or have == "string"):  # [] alone has no kind of its own
        raise VariableTypeError("the value can't be taken without changing it",
                                expected=target, got=f"{_brief(given)}, which is {natural}",
                                hint="Convert it first, if that is meant.")
    wanted = target.numpy()
    if given.dtype == wanted:
        return given
    with np.errstate(over="ignore"):  # a float out of range is infinite, as in TensorFlow
        array = given.astype(wanted)
    if want == "int" and not np.array_equal(array.astype(given.dtype), given):
        raise VariableTypeError("the value is out of range", expected=target, got=_brief(given))
    return array


def _brief(given: np.ndarray[Any, Any]) -> str:
    return repr(given.item()) if given.ndim == 0 else f"an array of shape {given.shape}"


def _texts(given: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np  # deferred, as above

    texts = np.empty(given.size, object)
    for i, item in enumerate(given.reshape(-1).tolist()):
        if not isinstance(item, (str, bytes)):
            raise VariableTypeError("no tensor can hold a Python object like this", got=repr(item))
        texts[i] = item.encode() if isinstance(item, str) else item
    return texts.reshape(given.shape)


def _from_python(value: Any) -> tuple[np.ndarray[Any, Any], DType]:
    """A Python value in the widest dtype of its kind, and the dtype TensorFlow gives it."""
    import numpy as np  # deferred, as above

    leaves = list(_leaves(value))
    if leaves and all(hasattr(leaf, "__array__") for leaf in leaves):
        try:
            array = np.array(value)
        except ValueError as error:
            raise VariableError(f"no array can be made of these rows ({error})") from None
        return array, as_dtype(array.dtype)
    shape = _shape_of(value)
    kinds = {_kind_of_leaf(leaf) for leaf in leaves}
    if len(kinds) > 1 and kinds & {"bool", "string"}:
        raise VariableError(f"values of different kinds can't be in one tensor:"
                            f" {', '.join(sorted(kinds))}")
    if "string" in kinds:
        texts = np.empty(len(leaves), object)
        texts[:] = leaves
        return _texts(texts).reshape(shape), STRING
    wide, natural = _widest(leaves, kinds)
    return np.array(leaves, wide).reshape(shape), dtype_named(natural)


def _widest(leaves: list[Any], kinds: set[str]) -> tuple[str, str]:
    if kinds == {"bool"}:
        return "bool", "bool"
    if kinds == {"int"}:
        low, high = min(leaves), max(leaves)
        for wide, bits in (("int64", 31), ("int64", 63)):
            if -(1 << bits) <= low and high < 1 << bits:
                return wide, "int32" if bits == 31 else "int64"
        if low >= 0 and high < 1 << 64:
            return "uint64", "uint64"
        raise VariableTypeError("no dtype holds so large an integer", got=max(high, -low))
    if "complex" in kinds:
        return "complex128", "complex128"
    return "float64", "float32"


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple, range)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _shape_of(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple, range)):
        return ()
    inner: Sequence[tuple[int, ...]] = [_shape_of(item) for item in value] or [()]
    if any(shape != inner[0] for shape in inner):
        raise VariableError("no array can be made of rows of different length")
    return (len(value), *inner[0])


def _kind_of_leaf(leaf: Any) -> str:
    if hasattr(leaf, "dtype"):
        return kind_of(as_dtype(leaf.dtype))
    for kind, types in (("bool", bool), ("int", int), ("float", float), ("complex", complex),
                        ("string", (str, bytes))):
        if isinstance(leaf, types):
            return kind
    raise VariableTypeError("no tensor can hold a Python object like this", got=repr(leaf))
