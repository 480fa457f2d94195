"""The objects whose methods may be decorated, and what each needs to see TF1 variables.

``tf.Module`` and Keras 2 layers find variables in a module among their attributes. Keras 3 knows
only variables of its own kind, in lists that are closed once a layer is built.
"""

# ruff: noqa: SLF001 - neither Keras has a public way to give a layer a variable that exists
from __future__ import annotations

import functools
import sys
from typing import Any

import tensorflow as tf

from tfckpt.errors import UnsupportedError
from tfckpt.tensorflow.varstore import VariableStore

__all__ = ["adopt", "is_host"]


def is_host(host: Any) -> bool:
    """Whether an object can hold TF1 variables.

    Raises:
        UnsupportedError: A layer of Keras 3 on another backend than TensorFlow.
    """
    if not _is_keras3_layer(host):
        return isinstance(host, tf.Module)  # which layers of Keras 2 are
    backend = sys.modules["keras"].backend.backend()
    if backend != "tensorflow":
        raise UnsupportedError("TF1 variables need Keras on TensorFlow", expected="tensorflow",
                               got=backend, hint="Set KERAS_BACKEND=tensorflow.")
    return True


def adopt(host: Any, store: VariableStore) -> None:
    """Show an object what a call has made: variables, nested layers, losses."""
    if _is_keras3_layer(host):
        _adopt_in_keras3(host, store)
        return
    # Modules and Keras 2 don't find the variables of a nested layer of Keras 3.
    nested = [variable.value for layer in store.layers.values() if _is_keras3_layer(layer)
              for variable in layer.variables]
    if nested:  # past the tracking: the layer itself is tracked
        object.__setattr__(store.home, "_of_keras3", tuple(nested))
    if hasattr(host, "add_loss"):
        _adopt_in_keras2(host, store)


def _adopt_in_keras2(layer: Any, store: VariableStore) -> None:
    """Variables are found without this, but not by ``save_weights``: it asks for a layer's own."""
    for name in store.layers.keys() - store.shown:
        _nest(layer, name, store.layers[name])
    for variable in store.variables.values():
        if variable.ref() not in store.shown:
            own = layer._trainable_weights if variable.trainable else layer._non_trainable_weights
            own.append(variable)
            store.shown.add(variable.ref())
    for key in store.regularizers.keys() - store.shown:
        layer.add_loss(store.regularizers[key])  # a callable: Keras 2 asks it each time
    store.shown |= store.layers.keys() | store.regularizers.keys()


def _is_keras3_layer(value: Any) -> bool:
    keras = sys.modules.get("keras")
    return (keras is not None and keras.__version__ >= "3"
            and isinstance(value, keras.layers.Layer))


def _adopt_in_keras3(layer: Any, store: VariableStore) -> None:
    tracker = layer._tracker
    locked = tracker.locked  # a layer that was built refuses further variables
    tracker.unlock()
    try:
        for name, inner in store.layers.items():
            if name not in store.shown and _is_keras3_layer(inner):
                _nest(layer, name, inner)
                store.shown.add(name)
        foreign = [variable for inner in store.layers.values()  # of Keras 2
                   if not _is_keras3_layer(inner) for variable in inner.variables]
        for variable in [*store.variables.values(), *foreign]:
            if variable.ref() not in store.shown:
                layer._track_variable(_keras_variable()(variable))
                store.shown.add(variable.ref())
    finally:
        if locked:
            tracker.lock()
    _show_losses(layer, store)


def _nest(layer: Any, name: str, inner: Any) -> None:
    """Make a layer an attribute, where ``save_weights`` looks for it.

    For TensorFlow it stays where it is in the store, so that its key is the same for all hosts.
    """
    before = getattr(layer, "_self_setattr_tracking", True)
    layer._self_setattr_tracking = False
    try:
        setattr(layer, "tf1_layer_" + name.strip("/").replace("/", "_"), inner)
    finally:
        layer._self_setattr_tracking = before


def _show_losses(layer: Any, store: VariableStore) -> None:
    """Hang losses on the variables, where Keras 3 finds them in and outside of functions.

    It asks only variables that are trained. The first of these speaks for what isn't, and for
    nested layers of Keras 2.
    """
    views = [v for v in layer._trainable_variables if isinstance(v, _keras_variable())]
    losses: dict[int, list[Any]] = {}
    for loss in store.regularizers.values():
        owner = loss.args[0]  # of the variable or layer
        if views and not _is_keras3_layer(owner):
            view = next((v for v in views if v.value is owner), views[0])
            losses.setdefault(id(view), []).append(loss)
    for view in views:
        own = losses.get(id(view))
        view.regularizer = own and functools.partial(_sum_of, own)


def _sum_of(losses: list[Any], _variable: Any) -> Any:
    return sum(loss() for loss in losses)


@functools.cache
def _keras_variable() -> Any:
    """A Keras 3 variable that is a view on a variable of TensorFlow."""
    keras = sys.modules["keras"]

    class TF1Variable(keras.Variable):  # type: ignore[misc,name-defined]
        def __init__(self, variable: Any) -> None:
            self._adopted = variable
            name = variable.name.partition(":")[0]
            super().__init__(
                initializer=lambda *_, **__: variable, shape=tuple(variable.shape),
                dtype=variable.dtype.name, trainable=variable.trainable, autocast=False,
                name=name.rpartition("/")[2])
            self._path = name  # the whole TF1 name; Keras allows no "/" in `name`
            self.constraint = variable.constraint

        def _initialize(self, value: Any) -> None:
            self._value = self._adopted

        def _initialize_with_initializer(self, initializer: Any) -> None:
            self._value = self._adopted

    return TF1Variable
