"""Different tensors of PyTorch in the same memory, as ``a.data = b.data`` makes them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from tfckpt.errors import VariableError
from tfckpt.torch.tensors import view_of, write_tensor

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["write_overlapping"]


def write_overlapping(writes: Sequence[tuple[torch.Tensor, Array]]) -> None:
    """Set the tensors that lie in memory which another one of them has too.

    Values for one place that are the same are fine: that is what a module with such tensors saves.

    Raises:
        VariableError: They aren't, so that the last one would win. All tensors are as they were.
    """
    in_one: dict[tuple[torch.device, int], dict[int, tuple[torch.Tensor, Array]]] = {}
    for tensor, array in writes:
        place = tensor.device, tensor.untyped_storage().data_ptr()
        if place[1]:
            in_one.setdefault(place, {})[id(tensor)] = tensor, array
    groups = [list(group.values()) for group in in_one.values() if _overlap(group.values())]
    before = [(group[0][0].untyped_storage(), group[0][0].untyped_storage().clone())
              for group in groups]
    for pair in (pair for group in groups for pair in group):
        write_tensor(*pair)
    if all(_has(*pair) for group in groups for pair in group):
        return
    for storage, old in before:
        storage.copy_(old)
    shapes = " and ".join(str(list(tensor.shape)) for group in groups for tensor, _ in group)
    raise VariableError(
        "tensors of the module lie in the same memory, and would get different values",
        got=f"tensors of shape {shapes}", hint="Nothing was loaded. Untie them before, if they"
        " shall be two: module.weight = torch.nn.Parameter(module.weight.clone()).")


def _overlap(group: Any) -> bool:
    """Whether two of the tensors of one storage may have a byte in common."""
    ranges = sorted((tensor.data_ptr(), tensor.data_ptr() + _extent(tensor))
                    for tensor, _ in group if tensor.numel())
    return any(end > start for (_, end), (start, _) in itertools.pairwise(ranges))


def _extent(tensor: torch.Tensor) -> int:
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return int(last + 1) * int(tensor.element_size())


def _has(tensor: torch.Tensor, array: Array) -> bool:
    return bool(view_of(tensor, "").tobytes() == array.tobytes())
