"""Variables of TensorFlow that a module of PyTorch stands for, as stand-ins."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tfckpt.convert.layouts import Layout, parse_layout
from tfckpt.errors import VariableError
from tfckpt.format.dtypes import DType
from tfckpt.torch.rows import Weights
from tfckpt.torch.tensors import check_readable, check_writable, dtype_of, snapshot, view_of
from tfckpt.torch.ties import names_of
from tfckpt.torch.walking import tensor_of
from tfckpt.train.adapters import stand_in
from tfckpt.train.standins import LiveObject, LiveVariable
from tfckpt.train.values import Shape

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

__all__ = ["LoneTensor", "TorchVariable"]


class _TorchLeaf(LiveVariable):
    copies = True  # PyTorch's tensors are written to where they are

    def check_settable(self) -> None:
        """See that it can be set.

        Raises:
            VariableError: It has no value yet, or can't have another.
            UnsupportedError: No checkpoint can have it.
        """

    def write(self, array: Array) -> None:
        self.adapter.assign_all([(self, array)])


class LoneTensor(_TorchLeaf):
    """A tensor that was given itself, as it is."""

    @property
    def full_name(self) -> str:
        return ""  # tensors have no names

    @property
    def dtype(self) -> DType:
        return dtype_of(self.live)

    @property
    def shape(self) -> Shape:
        return tuple(self.live.shape)

    @property
    def trainable(self) -> bool:  # type: ignore[override]  # only read
        return bool(self.live.requires_grad)

    def check_settable(self) -> None:
        check_writable(self.live, "")

    def read(self) -> Array:
        # Not a view: an optimizer of PyTorch's writes to its tensors.
        return snapshot(view_of(self.live, ""))

    def __repr__(self) -> str:
        return f"a tensor of shape {list(self.live.shape)}"


class TorchVariable(_TorchLeaf):
    """A variable that a module's tensors are, or are a part of.

    Args:
        parent: The module's stand-in, which this one keeps alive.
        weights: The tensors, and what they are.
        index: Which of the variables this is.
    """

    def __init__(self, parent: LiveObject, weights: Weights, index: int) -> None:
        self.parent, self.weights, self.index = parent, weights, index
        memory = parent.memory.setdefault("variables", {}).setdefault(weights.paths[index], {})
        super().__init__(parent.live, memory, parent.adapter)

    def refer(self) -> Callable[[], Any]:
        module, weights, index = weakref.ref(self.live), self.weights, self.index

        def again() -> Any:
            found = module()
            return None if found is None else stand_in(found).variable(weights, index)

        return again

    @property
    def full_name(self) -> str:
        return "/".join((*names_of(self.live), self.weights.saver_paths[self.index]))

    @property
    def layout(self) -> Layout:
        """How the tensors lie."""
        return parse_layout(self.weights.layout)

    @property
    def tensors(self) -> list[torch.Tensor]:
        """The tensors as the module has them now."""
        return [tensor_of(self.live, name) for name in self.weights.names]

    @property
    def title(self) -> str:
        """What the tensors are called below the module, for messages."""
        return ", ".join(self.weights.names)

    @property
    def dtype(self) -> DType:
        found = {tensor.dtype: dtype_of(tensor) for tensor in self.tensors}
        if len(found) > 1:
            raise VariableError("tensors that are one variable in TensorFlow differ in dtype",
                                got=", ".join(map(str, found.values())), tensor=self.title)
        return next(iter(found.values()))

    @property
    def shape(self) -> Shape:
        for tensor in self.tensors:
            check_readable(tensor, self.title)
        shapes = [tuple(tensor.shape) for tensor in self.tensors]
        return self.layout.shapes_back(shapes, self.weights.shapes)[self.index]

    @property
    def trainable(self) -> bool:  # type: ignore[override]  # only read
        return any(tensor.requires_grad for tensor in self.tensors)

    def check_settable(self) -> None:
        for tensor in self.tensors:
            check_writable(tensor, self.title)

    def read(self) -> Array:
        return snapshot(self.read_together()[self.index])

    def read_together(self) -> list[Array]:
        """The values of all variables that these tensors are."""
        views = [view_of(tensor, self.title) for tensor in self.tensors]
        return self.layout.back(views, self.weights.shapes)

    def __repr__(self) -> str:
        return f"<{self.weights.paths[self.index]} of a {type(self.live).__name__}>"
