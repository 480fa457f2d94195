"""An old model as a function of arrays, for `tfckpt.convert.proving`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfckpt.errors import UnsupportedError

if TYPE_CHECKING:
    Arrays = Sequence[np.ndarray[Any, Any]]

__all__ = ["function_of", "saved_model_function"]


def function_of(model: Any, pack: Callable[[Sequence[Any]], Any]
                ) -> Callable[[Arrays], list[np.ndarray[Any, Any]]]:
    """What a Keras 2 model, a ``tf.Module``, or any other function computes.

    What is TensorFlow's gets tensors. A plain function gets arrays, which TensorFlow's operations
    take too, so that the old model need not be in TensorFlow.

    Args:
        model: It.
        pack: Puts its inputs into the structure that it takes.
    """
    takes_tensors = isinstance(model, (tf.__internal__.tracking.AutoTrackable,
                                       tf.types.experimental.GenericFunction))
    # Keras, live or from a SavedModel, may be in training otherwise.
    options = {"training": False} if hasattr(model, "keras_api") or hasattr(
        model, "get_config") else {}

    def compute(arrays: Arrays) -> list[np.ndarray[Any, Any]]:
        given = [tf.constant(array) for array in arrays] if takes_tensors else arrays
        found = model(pack(given), **options)
        return [np.asarray(item) for item in tf.nest.flatten(found)]

    return compute


def saved_model_function(folder: str, pack: Callable[[Sequence[Any]], Any]
                         ) -> Callable[[Arrays], list[np.ndarray[Any, Any]]]:
    """What a SavedModel computes: by its call, or by the one signature for serving.

    Raises:
        UnsupportedError: It has neither, or several inputs without an order.
    """
    loaded = tf.saved_model.load(folder)
    if callable(loaded):
        return function_of(loaded, pack)
    serving = loaded.signatures.get("serving_default")
    if serving is None or len(serving.structured_input_signature[1]) != 1 or len(
            serving.structured_outputs) != 1:
        raise UnsupportedError(
            "the SavedModel has no signature of one input and one output", file=folder,
            hint="Name a function that takes SRC and gives the old model:"
                 " --prove package.module:function.")
    (name,) = serving.structured_input_signature[1]

    def compute(arrays: Arrays) -> list[np.ndarray[Any, Any]]:
        found = serving(**{name: tf.constant(arrays[0])})
        return [item.numpy() for item in found.values()]

    # The signature keeps its variables only as long as the model is there.
    compute.model = loaded  # type: ignore[attr-defined]
    return compute
