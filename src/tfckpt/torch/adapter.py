"""PyTorch's objects as stand-ins; train/adapters.py says what those are for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tfckpt.torch.leaves import LoneTensor, TorchVariable
from tfckpt.torch.overlaps import write_overlapping
from tfckpt.torch.parents import TorchModule
from tfckpt.torch.tensors import write_tensor
from tfckpt.torch.walking import unwrapped
from tfckpt.train.adapters import Adapter, stand_in

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["ADAPTER", "TorchAdapter"]


class TorchAdapter(Adapter):
    """Stand-ins for modules and tensors of PyTorch."""

    def stand_in(self, live: Any, memory: dict[str, Any]) -> Any:
        if isinstance(live, torch.Tensor):
            return LoneTensor(live, memory, self)
        if not isinstance(live, nn.Module) or _is_of_keras(live):
            return None
        inner = unwrapped(live)
        return TorchModule(live, memory, self) if inner is live else stand_in(inner)

    def why_not(self, live: Any) -> str | None:
        if isinstance(live, torch.optim.Optimizer):
            return ("The state of PyTorch's optimizers isn't saved: TensorFlow has no place for"
                    " it. Keep optimizer.state_dict() beside the checkpoint, with torch.save.")
        return None

    def check_settable(self, leaves: Sequence[Any]) -> None:
        for leaf in leaves:
            if isinstance(leaf, (LoneTensor, TorchVariable)):
                leaf.check_settable()

    def assign_all(self, pairs: Sequence[tuple[Any, Array]]) -> None:
        # Everything that may not fit comes before the first tensor is changed.
        writes: list[tuple[torch.Tensor, Array]] = []
        together: dict[tuple[int, tuple[str, ...]], tuple[TorchVariable, dict[int, Array]]] = {}
        for leaf, array in pairs:
            if isinstance(leaf, LoneTensor):
                writes.append((leaf.live, array))
            else:
                key = id(leaf.live), leaf.weights.names
                together.setdefault(key, (leaf, {}))[1][leaf.index] = array
        for leaf, arrays in together.values():
            writes += zip(leaf.tensors, _moved(leaf, arrays), strict=True)
        write_overlapping(writes)
        for tensor, array in writes:
            write_tensor(tensor, array)


def _moved(leaf: TorchVariable, arrays: dict[int, Array]) -> list[Array]:
    """What becomes of the tensors of a module when some of their variables get these values."""
    values = [arrays[0]] if len(leaf.weights.paths) == 1 else [
        arrays.get(n, own) for n, own in enumerate(leaf.read_together())]
    return leaf.layout.out(values, [tuple(tensor.shape) for tensor in leaf.tensors])


def _is_of_keras(live: Any) -> bool:
    return any(kind.__module__.partition(".")[0] == "keras" for kind in type(live).__mro__)


ADAPTER = TorchAdapter()
