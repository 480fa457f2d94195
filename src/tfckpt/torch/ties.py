"""Tensors that several modules have: one variable, which is what the first of them sees in it.

The weights of a language model's last layer are often those of its embedding. TensorFlow has one
variable then, [words, length], though PyTorch's Linear alone would have a kernel, [length, words].
Who walks modules from a root down notes such ties before those below are asked for what they have.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import torch
from torch import nn

from tfckpt.torch.rows import Weights
from tfckpt.torch.walking import tensor_of, walk

__all__ = ["Owner", "names_of", "note_ties", "owner_of"]


class Owner(NamedTuple):
    """Who has a tensor first.

    Attributes:
        tensor: Refers to the tensor.
        module: Refers to the module.
        weights: What the tensor is there.
    """

    tensor: weakref.ref[torch.Tensor]
    module: weakref.ref[nn.Module]
    weights: Weights


_owners: dict[int, Owner] = {}
_names: weakref.WeakKeyDictionary[nn.Module, tuple[str, ...]] = weakref.WeakKeyDictionary()


def names_of(module: nn.Module) -> tuple[str, ...]:
    """The attributes that lead to a module from the outermost one that it was seen below."""
    return _names.get(module, ())


def note_ties(root: nn.Module) -> None:
    """Note the tensors that several modules below a root have, or one has by several names.

    And where modules are, so that their variables have whole names.
    """
    if not root._modules and len(root._parameters) < 2:  # noqa: SLF001 - most modules are layers
        return
    is_top = root not in _names
    first: dict[int, tuple[nn.Module, Weights]] = {}
    for place in walk(root):
        if is_top and place.names:
            _names[place.module] = place.names
        for weights in place.seen.weights:
            for name in weights.names:
                tensor = tensor_of(place.module, name)
                module, known = first.setdefault(id(tensor), (place.module, weights))
                if known is not weights or module is not place.module:
                    _note(tensor, module, known)


def _note(tensor: torch.Tensor, module: nn.Module, weights: Weights) -> None:
    number = id(tensor)

    def forget(_: object) -> None:
        _owners.pop(number, None)

    _owners[number] = Owner(weakref.ref(tensor, forget), weakref.ref(module), weights)


def owner_of(module: nn.Module, weights: Weights) -> tuple[Any, Weights] | None:
    """The module that has these tensors first, and what they are there; None if it is this one."""
    found = None
    for name in weights.names:
        tensor = tensor_of(module, name)
        owner = _owners.get(id(tensor))
        other = None if owner is None or owner.tensor() is not tensor else owner.module()
        if owner is None or other is None or found not in (None, (other, owner.weights)):
            return None
        found = other, owner.weights
    if found is None or found == (module, weights) or len(found[1].paths) != len(weights.paths):
        return None
    still = [tensor_of(found[0], name) for name in found[1].names]
    mine = [tensor_of(module, name) for name in weights.names]
    return found if list(map(id, still)) == list(map(id, mine)) else None
