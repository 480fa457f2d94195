"""TF1 model code on today's Keras: variables with their TF1 names, tracked and reused.

TensorFlow 2.15 has ``tf.compat.v1.keras.utils.track_tf1_style_variables`` and
``get_or_create_layer``; TensorFlow 2.21 has neither. These work in both, on ``tf.Module``, on
layers of Keras 2 (``tf.keras`` of 2.15, ``tf_keras``) and of Keras 3.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

from tfckpt.errors import GraphStateError, VariableTypeError
from tfckpt.tensorflow.hosts import adopt, is_host
from tfckpt.tensorflow.varstore import VariableStore, current_store

__all__ = ["get_or_create_layer", "regularization_losses", "track_tf1_style_variables"]

_ATTRIBUTE = "_tf1_style_var_store"  # as in TensorFlow 2.15: a part of the keys of checkpoints
_STORE = "_tfckpt_store"

Method = TypeVar("Method", bound=Callable[..., Any])


def track_tf1_style_variables(method: Method) -> Method:
    """Let a method of a module or layer make and reuse variables as TF1 code does.

    Inside it ``tf.compat.v1.variable_scope`` and ``get_variable`` mean what they mean in TF1, as
    if reuse were ``AUTO_REUSE``: the first call makes variables with their TF1 names, each later
    one finds them. The object tracks them: ``variables``, ``tf.train.Checkpoint`` and
    ``tfckpt.Checkpoint`` see them, and a layer has their regularization losses in ``losses``.

    Layers without a name are numbered as in the method's first call, and so are found again;
    TensorFlow's own shim made new ones in each call. In a TF1 graph the method runs as it is.

    Args:
        method: A method of a ``tf.Module``, or of a layer or model of Keras 2 or 3.

    Raises:
        VariableTypeError: When called, if its object is none of these.

    Example::

        class Model(tf.Module):
            @track_tf1_style_variables
            def __call__(self, x):
                with tf.compat.v1.variable_scope("dense"):
                    kernel = tf.compat.v1.get_variable("kernel", [x.shape[-1], 10])
                return x @ kernel

        model = Model()
        model(tf.ones([1, 3]))
        model.variables[0].name  # 'dense/kernel:0'
    """
    # AutoGraph goes through the wrapper into the method, whose `if` may be of a tensor; what
    # the wrapper itself calls has nothing to convert.
    plain = tf.autograph.experimental.do_not_convert
    store_for = plain(_store_for)
    adopt_plainly = plain(adopt)
    name = getattr(method, "__qualname__", repr(method))

    def tracked(self: Any, *args: Any, **kwargs: Any) -> Any:
        store = store_for(self)
        if store is None:
            return method(self, *args, **kwargs)
        with store.entered(name):
            result = method(self, *args, **kwargs)
        adopt_plainly(self, store)
        return result

    functools.update_wrapper(tracked, method)
    # Keras looks here for `training`; getfullargspec doesn't follow __wrapped__.
    tracked.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    return tracked  # type: ignore[return-value]


def get_or_create_layer(name: str, create_layer_method: Callable[[], Any]) -> Any:
    """A nested Keras layer or model, made in the first call and tracked by the method's object.

    Args:
        name: Its name; the current variable scope comes before it.
        create_layer_method: Makes it, without arguments. In a TF1 graph that is all that happens.

    Raises:
        GraphStateError: No decorated method is running.

    Example::

        @track_tf1_style_variables
        def call(self, x):
            return get_or_create_layer("head", lambda: keras.layers.Dense(10))(x)
    """
    store = current_store()
    if store is not None:
        scope = tf.compat.v1.get_variable_scope().name
        return store.get_or_create_layer(f"{scope}/{name}", create_layer_method)
    if not tf.compat.v1.executing_eagerly_outside_functions():
        return create_layer_method()
    raise GraphStateError(
        "get_or_create_layer was called outside of a decorated method", got=repr(name),
        hint="Decorate the method that calls it with track_tf1_style_variables.")


def regularization_losses(host: Any) -> list[Any]:
    """The regularization losses of an object's TF1 variables: of those it holds itself.

    For ``tf.Module``, which has no ``losses``; what ``tf.compat.v1.losses`` calls
    ``get_regularization_losses()``. Of a Keras layer these are a part of ``losses``.

    Args:
        host: An object with a decorated method. Empty if that wasn't called yet. Those of modules
            among its attributes are included.
    """
    found = []
    for part in [host, *(host.submodules if isinstance(host, tf.Module) else ())]:
        store = getattr(part, _ATTRIBUTE, None)
        if store is not None:
            losses = (loss() for loss in getattr(store, _STORE).regularizers.values())
            found += [loss for loss in losses if loss is not None]
    return found


def _store_for(host: Any) -> VariableStore | None:
    """The store of an object, made if it has none yet; none in a TF1 graph, which has its own."""
    if not tf.compat.v1.executing_eagerly_outside_functions():
        return None
    home = getattr(host, _ATTRIBUTE, None)
    if home is None:
        if not is_host(host):
            raise VariableTypeError(
                "track_tf1_style_variables decorates methods of a tf.Module or a Keras layer",
                got=type(host).__name__)
        # Attached before it has children: TensorFlow hands a restore by names on to what an
        # object gets later, and not to what that has already.
        home = tf.Module()
        setattr(host, _ATTRIBUTE, home)
        setattr(home, _STORE, VariableStore(home))
    return getattr(home, _STORE)  # type: ignore[no-any-return]
