"""Variables of Keras 3 as stand-ins, on any backend; train/adapters.py says what those are for.

On TensorFlow's backend they are TensorFlow's too, whose adapter comes first. Models are not
here: what TensorFlow would have of them is in `tfckpt.keras.save_weights`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from tfckpt.format.dtypes import DType, dtype_named
from tfckpt.keras.saving import values_of
from tfckpt.train.adapters import Adapter
from tfckpt.train.standins import LiveVariable
from tfckpt.train.values import Shape

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ADAPTER", "KerasAdapter", "KerasVariable"]


class KerasVariable(LiveVariable):
    """A ``keras.Variable``; its name is its path in the model, as ``net/dense/kernel``."""

    @property
    def full_name(self) -> str:
        return str(self.live.path)

    @property
    def dtype(self) -> DType:
        return dtype_named(str(self.live.dtype))

    @property
    def shape(self) -> Shape:
        return tuple(self.live.shape)

    def read(self) -> np.ndarray[Any, Any]:
        array = values_of(self.live)  # a copy, on every backend
        array.flags.writeable = False
        return array

    def write(self, array: np.ndarray[Any, Any]) -> None:
        self.live.assign(array)


class KerasAdapter(Adapter):
    """Stand-ins for variables of Keras 3. Keras 2 has none but TensorFlow's."""

    def stand_in(self, live: Any, memory: dict[str, Any]) -> Any:
        is_variable = hasattr(keras, "Variable") and isinstance(live, keras.Variable)
        return KerasVariable(live, memory, self) if is_variable else None

    def why_not(self, live: Any) -> str | None:
        if isinstance(live, keras.layers.Layer):
            return ("Models of Keras 3 are saved by tfckpt.keras.save_weights. A Saver takes their"
                    " variables: tfckpt.Saver(model.variables).")
        if isinstance(live, keras.optimizers.Optimizer):
            return "A Saver takes an optimizer's variables: tfckpt.Saver(optimizer.variables)."
        return None


ADAPTER = KerasAdapter()
