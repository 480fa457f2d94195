"""Values on their way into a Keras 3 model: as they are, or out of the layout of cuDNN's layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.core.source import Source
from tfckpt.keras.program import Part, every_layer

if TYPE_CHECKING:
    import numpy as np

__all__ = ["assign_values", "changed_layers", "read_values"]

_GATES = {"LSTMCell": 4, "GRUCell": 3}


def read_values(source: Source, pairs: Sequence[tuple[Part, str]]
                ) -> tuple[list[tuple[Part, np.ndarray[Any, Any]]], list[str]]:
    """The value of each weight, checked against its checksum, and notes on what was changed.

    Raises:
        CheckpointError: A tensor can't be read; nothing was assigned yet.
    """
    cudnn = {id(part.holder) for part, key in pairs
             if part.shape != source.index[key].shape}
    values, casts = [], []
    for part, key in pairs:
        entry = source.index[key]
        value = source.read_array(entry)
        if id(part.holder) in cudnn:
            value = _from_cudnn(part, value)
        dtype = str(part.variable.dtype)
        if entry.dtype.name != dtype:
            casts.append(f"{part.title} is cast from {entry.dtype.name} to {dtype}")
        values.append((part, value))
    if cudnn:
        casts.append(f"{len(cudnn)} cells were cuDNN's; their weights are put into the layout of"
                     " LSTM and GRU")
    return values, casts


def _from_cudnn(part: Part, value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A weight of ``CuDNNLSTM`` or ``CuDNNGRU`` as one of ``LSTM`` or ``GRU(reset_after=True)``.

    Source: _convert_rnn_weights in src/saving/legacy/hdf5_format.py of Keras 2.
    """
    import numpy as np  # deferred: as everywhere

    gates = _GATES[type(part.holder).__name__]
    if part.name == "bias":
        if len(part.shape) == 2:
            return value.reshape(2, -1)
        first, second = np.split(value, 2)
        return np.asarray(first + second)
    blocks = np.split(value, gates, axis=1)
    if part.name == "recurrent_kernel":
        return np.hstack([block.T for block in blocks])
    return np.hstack([block.T.reshape(block.shape, order="F") for block in blocks])


def changed_layers(model: Any) -> list[str]:
    """Notes on layers that Keras 3 computes otherwise than Keras 2, from the same weights."""
    names = [layer.name for layer in every_layer(model) if any(
        getattr(getattr(layer, attribute, None), "__name__", "") == "hard_sigmoid"
        for attribute in ("activation", "recurrent_activation"))]
    if not names:
        return []
    return [(f"{', '.join(names)}: hard_sigmoid is x / 6 + 0.5 in Keras 3 and was x / 5 + 0.5 in"
             " Keras 2; what the model computes will differ")]


def assign_values(model: Any, values: Iterable[tuple[Part, np.ndarray[Any, Any]]]) -> None:
    """Give the weights their values, and have layers compute what follows from them."""
    for part, value in values:
        part.variable.assign(value)
    for layer in every_layer(model):
        if type(layer).__name__ == "Normalization" and layer.input_mean is None and layer.built:
            layer.finalize_state()
