"""A module of PyTorch as a function of arrays, for `tfckpt.convert.proving`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils import _pytree

from tfckpt.convert.proving import Input
from tfckpt.errors import UnsupportedError
from tfckpt.torch.tensors import view_of

if TYPE_CHECKING:
    import numpy as np

    Arrays = Sequence[np.ndarray[Any, Any]]

__all__ = ["function_of", "inputs_of", "packed"]


def inputs_of(module: nn.Module) -> list[Input]:
    """What a module takes, which it never says.

    Raises:
        UnsupportedError: Always.
    """
    raise UnsupportedError("a module of PyTorch doesn't say what it takes",
                           got=type(module).__name__,
                           hint="Say it for each input: --prove-input 2,3,32,32 or"
                                " --prove-input 2,16:int64:1000.")


def packed(module: nn.Module, values: Sequence[Any]) -> Any:
    """Inputs in the structure that an old model takes: one, or a list."""
    return values[0] if len(values) == 1 else list(values)


def function_of(module: nn.Module) -> Callable[[Arrays], list[np.ndarray[Any, Any]]]:
    """What a module computes when it isn't trained, on the device that it is on."""
    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))

    def compute(arrays: Arrays) -> list[np.ndarray[Any, Any]]:
        was_training = module.training
        module.eval()
        try:
            with torch.no_grad():
                found = module(*[torch.from_numpy(array).to(device) for array in arrays])
        finally:
            module.train(was_training)
        return [view_of(item, "output") for item in _pytree.tree_leaves(found)
                if isinstance(item, torch.Tensor)]

    return compute
