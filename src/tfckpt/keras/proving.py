"""A Keras 3 model as a function of arrays, for `tfckpt.convert.proving`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.convert.proving import Input
from tfckpt.errors import UnsupportedError
from tfckpt.keras.program import every_layer

if TYPE_CHECKING:
    import numpy as np

    Arrays = Sequence[np.ndarray[Any, Any]]

__all__ = ["function_of", "inputs_of", "packed"]

_BATCH, _UNKNOWN = 2, 16  # sizes of axes that may have any


def inputs_of(model: Any) -> list[Input]:
    """The inputs of a functional or sequential model, in its order.

    Integers stay below what its embeddings take.

    Raises:
        UnsupportedError: The model doesn't say what it takes.
    """
    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise UnsupportedError("the model doesn't say what it takes", got=model.name,
                               hint="Say it for each input: --prove-input 2,28,28,1 or"
                                    " --prove-input 2,16:int32:1000.")
    rows = [layer.input_dim for layer in every_layer(model) if type(layer).__name__ == "Embedding"]
    return [Input(tuple(_BATCH if not n and size is None else size or _UNKNOWN
                        for n, size in enumerate(tensor.shape)),
                  str(tensor.dtype), min(rows, default=None), tensor.name) for tensor in tensors]


def packed(model: Any, values: Sequence[Any]) -> Any:
    """Inputs in the structure that a model takes: one, a list, or by name."""
    names = getattr(model, "_inputs_struct", None)
    if isinstance(names, dict):
        return dict(zip(sorted(names), values, strict=True))
    return values[0] if len(values) == 1 else list(values)


def function_of(model: Any) -> Callable[[Arrays], list[np.ndarray[Any, Any]]]:
    """What a model computes when it isn't trained."""
    import numpy as np  # deferred: as everywhere

    import keras

    def compute(arrays: Arrays) -> list[np.ndarray[Any, Any]]:
        inputs = [keras.ops.convert_to_tensor(array) for array in arrays]
        found = model(packed(model, inputs), training=False)
        return [np.array(keras.ops.convert_to_numpy(item)) for item in keras.tree.flatten(found)]

    return compute
