"""A module and those in it, in order, as TensorFlow would have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from tfckpt.errors import VariableError
from tfckpt.torch.choices import choice_of
from tfckpt.torch.layers import see
from tfckpt.torch.rows import Seen

__all__ = ["Place", "modules_in", "seen", "tensor_of", "unwrapped", "walk"]

# What stands around a module, and where it has it.
_WRAPPERS = {"OptimizedModule": "_orig_mod", "DataParallel": "module",
             "DistributedDataParallel": "module"}


class Place(NamedTuple):
    """A module in another.

    Attributes:
        names: The attributes that lead to it.
        module: It.
        seen: What it is in TensorFlow.
    """

    names: tuple[str, ...]
    module: nn.Module
    seen: Seen

    @property
    def title(self) -> str:
        """Its name as PyTorch has it; the root's is its class."""
        return ".".join(self.names) or type(self.module).__name__


def unwrapped(module: Any) -> Any:
    """A module without what PyTorch put around it to compile or to distribute it."""
    kind = type(module)
    attribute = _WRAPPERS.get(kind.__name__) if kind.__module__.startswith("torch.") else None
    return module if attribute is None else unwrapped(getattr(module, attribute))


def seen(module: nn.Module) -> Seen:
    """What a module is in TensorFlow, with what was chosen for it.

    Raises:
        UnsupportedError: It can't be what was chosen.
    """
    return see(module, choice_of(module))


def modules_in(module: nn.Module, hidden: frozenset[str] = frozenset()) -> dict[str, nn.Module]:
    """The modules that are a module's attributes, by name."""
    return {name: unwrapped(child) for name, child in module._modules.items()  # noqa: SLF001 - also those named twice
            if child is not None and name not in hidden}


def walk(root: nn.Module) -> Iterator[Place]:
    """A module and all in it, in the order in which they were made; each once."""
    waiting: list[tuple[tuple[str, ...], nn.Module]] = [((), unwrapped(root))]
    done: set[int] = set()
    while waiting:
        names, module = waiting.pop()
        if id(module) in done:
            continue
        done.add(id(module))
        place = Place(names, module, seen(module))
        yield place
        below = modules_in(module, place.seen.hidden)
        waiting += reversed([((*names, name), child) for name, child in below.items()])


def tensor_of(module: nn.Module, name: str) -> torch.Tensor:
    """A parameter or buffer of a module, or of one in it.

    Raises:
        VariableError: There is none any more.
    """
    *path, last = name.split(".")
    value: Any = module
    for part in path:
        value = value._modules.get(part)  # noqa: SLF001 - as above
    found = None if value is None else getattr(value, last, None)
    if not isinstance(found, torch.Tensor):
        raise VariableError(f"the {type(module).__name__} doesn't have this tensor any more",
                            tensor=name)
    return found
