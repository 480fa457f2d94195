"""Arrays of numpy for JAX's values, without a copy where JAX allows that, and the way back.

    ====================== =============================== ==============================
    value                  is read as                      another one is made
    ====================== =============================== ==============================
    ``jax.Array``          a view, or gathered from its    on the same devices, with the
                           devices                         same sharding
    typed PRNG keys        their data, uint32              with the same implementation
    ``numpy`` arrays       as they are                     arrays of numpy
    numbers of Python      scalars of the dtype that JAX   numbers of Python
                           gives them
    what describes an      nothing: it has no value        arrays of JAX, with its sharding
    array (``eval_shape``)
    ====================== =============================== ==============================

All dtypes that TensorFlow has are kept, bfloat16 and float8 among them.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from tfckpt.errors import UnsupportedError, VariableError, located
from tfckpt.format.dtypes import DType
from tfckpt.train.values import as_dtype

__all__ = ["array_of", "dtype_of", "is_key", "is_value", "like", "shape_of"]

Array = np.ndarray[Any, Any]


def is_value(value: Any) -> bool:
    """Whether this is an array of JAX's, or of PRNG keys, or what describes one."""
    return isinstance(value, (jax.Array, jax.ShapeDtypeStruct))


def is_key(value: Any) -> bool:
    """Whether these are typed PRNG keys."""
    return is_value(value) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)


def dtype_of(value: Any, name: str) -> DType:
    """The dtype that a value is stored with.

    Raises:
        UnsupportedError: TensorFlow has no such dtype.
    """
    if is_key(value):
        return as_dtype("uint32")
    with located(tensor=name):
        return as_dtype(jax.numpy.result_type(value).name if isinstance(
            value, (bool, int, float, complex)) else np.dtype(value.dtype).name)


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape that a value is stored with."""
    if is_key(value):
        return tuple(jax.eval_shape(jax.random.key_data, value).shape)
    return tuple(np.shape(value))


def array_of(value: Any, name: str) -> Array:
    """A value as a read-only array.

    JAX's arrays on a CPU are seen, not copied. JAX doesn't give the memory of an array that is
    seen so to another, even if it is donated: the view is a snapshot.

    Raises:
        VariableError: It has no value here: it is being traced, was donated, or parts of it are
            on other machines.
    """
    if isinstance(value, jax.core.Tracer):
        raise VariableError("inside a function that JAX transforms there are no values to save",
                            tensor=name, hint="Save outside of jit, grad and the like.")
    if isinstance(value, jax.ShapeDtypeStruct):
        raise VariableError("the array is only described, and has no value", tensor=name,
                            hint="What jax.eval_shape gives can be loaded, not saved.")
    if is_key(value):
        return array_of(jax.random.key_data(value), name)
    if isinstance(value, jax.Array):
        if value.is_deleted():
            raise VariableError("the array was given away to a function that may reuse its memory"
                                " (donate_argnums)", tensor=name,
                                hint="Save what that function returned.")
        if not (value.is_fully_addressable or value.is_fully_replicated):
            raise UnsupportedError(
                "parts of the array are on devices of other processes", tensor=name,
                hint="Gather it first, with jax.experimental.multihost_utils.process_allgather.")
    dtype = dtype_of(value, name).numpy()
    array: Array = np.asarray(value, dtype=dtype).view()
    array.flags.writeable = False
    return array


def _is_committed(value: Any) -> bool:
    """Whether an array has to stay on its devices."""
    own = "committed" if hasattr(value, "committed") else "_committed"  # of JAX before 0.4.32 or so
    return bool(getattr(value, own))


def like(old: Any, array: Array) -> Any:
    """A value of the same kind, in the same place of the machine, with other numbers."""
    if is_key(old):
        data = like(jax.random.key_data(old), array) if isinstance(
            old, jax.Array) else jax.device_put(array, old.sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(old))
    if isinstance(old, jax.ShapeDtypeStruct):
        return jax.device_put(array, old.sharding)
    if isinstance(old, jax.Array):
        return jax.device_put(array, old.sharding if _is_committed(old) else None)
    if isinstance(old, np.ndarray):
        return array.copy()
    return array[()] if isinstance(old, np.generic) else type(old)(array.item())
