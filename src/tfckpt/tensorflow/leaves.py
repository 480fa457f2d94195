"""Variables of TensorFlow as stand-ins: one class for each way in which they are read and set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.python.checkpoint import util

from tfckpt.errors import VariableError
from tfckpt.format.dtypes import DType
from tfckpt.tensorflow.order import Ordered
from tfckpt.tensorflow.saveables import specs_for_saver
from tfckpt.tensorflow.tensors import array_of, tensor_of
from tfckpt.train.standins import LiveVariable
from tfckpt.train.values import Shape, as_dtype, as_shape, is_compatible
from tfckpt.train.variables import SaveSliceInfo

if TYPE_CHECKING:
    import numpy as np

__all__ = ["EagerVariable", "SavingVariable", "TensorFlowVariable"]


class TensorFlowVariable(Ordered, LiveVariable):
    """What all of them have in common."""

    @property
    def full_name(self) -> str:
        name: str = util.get_full_name(self.live)
        info = self.save_slice_info
        # That is the whole's name for a part of a partitioned variable.
        return name if info is None else self.live.op.name

    @property
    def dtype(self) -> DType:
        return as_dtype(self.live.dtype.base_dtype.name)

    @property
    def shape(self) -> Shape:
        shape = as_shape(self.live.shape)
        return self.array.shape if shape is None else shape

    def accepts(self, shape: Shape) -> bool:
        return is_compatible(as_shape(self.live.shape), shape)

    @property
    def save_slice_info(self) -> SaveSliceInfo | None:  # type: ignore[override]  # only read
        info = getattr(self.live, "_save_slice_info", None)
        if info is None:
            return None
        return SaveSliceInfo(info.full_name, tuple(info.full_shape), tuple(info.var_offset),
                             tuple(info.var_shape))


class EagerVariable(TensorFlowVariable):
    """A resource variable outside a graph."""

    copies = True  # an eager tensor that is made of an array

    def read(self) -> np.ndarray[Any, Any]:
        try:
            tensor = self.live._read_variable_op()  # noqa: SLF001 - value() may be overridden
        except tf.errors.FailedPreconditionError:
            raise VariableError("the variable has no value yet", tensor=self.full_name) from None
        return array_of(tensor)

    def write(self, array: np.ndarray[Any, Any]) -> None:
        self.live.assign(tensor_of(array, self.live.dtype), read_value=False)


class SavingVariable(TensorFlowVariable):
    """A variable that isn't just one value in one place, as those of a MirroredStrategy, or that
    stands for another, as those of Keras 3 and, with mixed precision, of Keras 2.

    TensorFlow's own saving code says what is stored, and spreads what is restored.
    """

    def saveable(self, name: str = "value") -> Any:
        """What TensorFlow's saving code makes of it: a SaveableObject."""
        (made,) = specs_for_saver(self.live, name)
        return made.saveable

    @property
    def dtype(self) -> DType:
        # Not its own: that of an AutoCastVariable changes with the scope that it is used in, and
        # that of a Keras 3 variable is text.
        return as_dtype(self.saveable().specs[0].dtype.base_dtype.name)

    def read(self) -> np.ndarray[Any, Any]:
        tensor = self.saveable().specs[0].tensor
        if tensor is None:
            raise VariableError("the variable has no value yet", tensor=self.full_name)
        return array_of(tensor)

    def write(self, array: np.ndarray[Any, Any]) -> None:
        saveable = self.saveable()
        saveable.restore([tensor_of(array, saveable.specs[0].dtype)], None)
