"""First values of TensorFlow's variables that were computed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tfckpt.tensorflow.saveables import specs_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["begin_with", "computed"]


def begin_with(variable: Any, array: np.ndarray[Any, Any]) -> None:
    """Have a graph variable begin with an array when it is initialized.

    The array stays out of the graph: as a constant it would be in every file that the graph is
    written to.
    """
    with variable.graph.as_default(), tf.control_dependencies(None), tf.device("/cpu:0"):
        value = tf.numpy_function(lambda: array, [], variable.dtype.base_dtype, stateful=True)
        value.set_shape(array.shape)
        # Its own saving code knows all places of a variable that is in several.
        assigned = specs_of(variable)[0].saveable.restore([value], None)
        variable._initializer_op = assigned.op if tf.is_tensor(assigned) else assigned  # noqa: SLF001 - as TensorFlow does
        variable._initial_value = value  # noqa: SLF001 - likewise


def computed(make: Callable[[], Any]) -> Any:
    """What an initializer returns, as an array, whether TensorFlow runs eagerly or not."""
    with tf.init_scope():
        if tf.executing_eagerly():
            return _as_array(make())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        value = make()
        return session.run(value) if tf.is_tensor(value) else _as_array(value)


def _as_array(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else value
