"""What the layers and cells of TF1 share: each has a variable scope of its own, for ever.

The rules are those of TensorFlow 1.15's ``python/layers/base.py``: the scope is opened at the
first call, under the layer's name or under a name that no other has there, and entered again in
each later one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import variables

from tfckpt.errors import UnsupportedError
from tfckpt.tensorflow.varstore import current_store

__all__ = ["ScopedLayer", "resolve", "unsupported"]


class ScopedLayer:
    """Base of layers and cells.

    Args:
        name: Name of the scope. Without one it is `base_name`, made unique by a number.
        scope: Name of the scope, taken as it is.
        reuse: Whether the variables have to exist; asked in TF1 graphs only.
        trainable: Whether its variables are trained.
        dtype: That of its variables; of its first input if not given.
    """

    base_name = "layer"

    def __init__(self, *, name: str | None = None, scope: Any = None, reuse: Any = None,
                 trainable: bool = True, dtype: Any = None) -> None:
        self.name = name or self.base_name
        self.trainable = trainable
        self.dtype = dtype
        self.built = False
        self._reuse = reuse
        self._scope: Any = None
        self._regularized: list[str] = []  # keys in the store of a method under the shim
        if scope is not None:
            self._open_scope(scope)

    def build(self, shape: Any) -> None:
        """Make the variables, given the static shape of the first input."""

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError

    def __call__(self, inputs: Any, *args: Any, scope: Any = None, **kwargs: Any) -> Any:
        if self._scope is None:
            self._open_scope(scope)
        inputs = tf.convert_to_tensor(inputs)
        reuse = True if self.built or self._reuse else None
        with tf.compat.v1.variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False):
            if not self.built:
                self.dtype = tf.as_dtype(self.dtype or inputs.dtype)
                self.build(inputs.shape)
                self.built = True
            store = current_store()
            if store is not None:
                for key in self._regularized:
                    store.collect(key)
            return self.call(inputs, *args, **kwargs)

    apply = __call__

    def _open_scope(self, scope: Any) -> None:
        if scope is None and self._reuse:
            scope = self.name
        with tf.compat.v1.variable_scope(scope, default_name=self.name) as opened:
            self._scope = opened

    def add_weight(self, name: str, shape: Any, initializer: Any = None,
                   regularizer: Callable[[Any], Any] | None = None, constraint: Any = None,
                   trainable: bool = True, **options: Any) -> Any:
        """A variable in this layer's scope; ``options`` are further ones of ``get_variable``.

        The scope may have a regularizer of its own: as in TF1, both count then.
        """
        v1 = tf.compat.v1
        in_graph = not v1.executing_eagerly_outside_functions()
        known = {v.ref() for v in v1.global_variables()} if in_graph else set()
        variable = v1.get_variable(
            name, shape=shape, dtype=self.dtype, initializer=resolve(initializer, "initializers"),
            constraint=constraint, trainable=trainable and self.trainable, **options)
        if regularizer is not None:
            regularizer = resolve(regularizer, "regularizers")
            store = current_store()
            if store is not None:
                self._regularized.append(store.add_regularizer(variable, regularizer))
            elif in_graph:
                _collect(regularizer, variable, known)
        return variable


def _collect(regularizer: Callable[[Any], Any], variable: Any, known: set[Any]) -> None:
    """Put the losses of a graph's new variable, or of each of its parts, where TF1 has them."""
    is_partitioned = isinstance(variable, variables.PartitionedVariable)
    for part in variable if is_partitioned else (variable,):
        loss = None if part.ref() in known else regularizer(part)
        if loss is not None:
            tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.REGULARIZATION_LOSSES, loss)


def resolve(value: Any, kind: str) -> Any:
    """What a string such as ``"relu"`` names; anything but a string is returned.

    Args:
        value: A function, an initializer, None, or a name.
        kind: ``"initializers"``, ``"activations"`` or ``"regularizers"``.
    """
    if not isinstance(value, str):
        return value
    if kind == "initializers" and hasattr(tf.compat.v1, value + "_initializer"):
        return getattr(tf.compat.v1, value + "_initializer")()
    if kind == "activations" and hasattr(tf.nn, value):
        return getattr(tf.nn, value)
    return getattr(tf.keras, kind).get(value)


def unsupported(layer: str, **arguments: Any) -> None:
    """Raise for arguments of TF1's layers that have no place here.

    Raises:
        UnsupportedError: One of them is given.
    """
    for name, value in arguments.items():
        if value:
            raise UnsupportedError(f"{layer}: {name} is not supported",
                                   hint="Write this layer with tf.compat.v1.get_variable.")
