"""The weights of one layer, in a file and in a program.

What changed between the generations of Keras within a layer is here: attributes that one of them
doesn't have, and the layers of cuDNN, which Keras 3 doesn't have.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tfckpt.core.leaves import leaf_kind
from tfckpt.keras.program import Part, is_automatic
from tfckpt.keras.saved import Saved

__all__ = ["Leaf", "find_weights", "fits", "is_cudnn"]

# Attributes of wrappers that names of weights leave out.
_TRANSPARENT = frozenset({"layer", "cell", "cells"})


class Leaf(NamedTuple):
    """What was found of a layer's weights.

    Attributes:
        pairs: A weight and its saved variable.
        containers: A functional or sequential model inside, and its saved object.
        missing: Weights that aren't there.
        alike: Variables and weights of equal shape that nothing tells apart.
    """

    pairs: list[tuple[Part, Saved]]
    containers: list[tuple[Saved, Part]]
    missing: list[Part]
    alike: list[tuple[Saved, Part]]


def find_weights(saved: Saved, part: Part, *, trust_order: bool = False) -> Leaf:
    """Find the weights of a part below the saved object that it is."""
    leaf = Leaf([], [], [], [])
    _descend(saved, part, leaf, set())
    if saved.by_name and leaf.missing and part.layer is not None:
        _by_kind(saved, leaf)
        _by_place(saved, part, leaf, trust_order=trust_order)
    return leaf


def _descend(saved: Saved, part: Part, leaf: Leaf, seen: set[int]) -> None:
    if id(part) in seen:
        return
    seen.add(id(part))
    if part.variable is not None:
        if saved.entry is None:
            leaf.missing.append(part)
        else:
            leaf.pairs.append((part, saved))
        return
    if part.layers is not None:
        leaf.containers.append((saved, part))
        return
    for attribute, child in part.attributes.items():
        below = _child(saved, part, attribute, child)
        if below is None:
            leaf.missing.extend(weight for weight in child.weights() if id(weight) not in seen)
        else:
            _descend(below, child, leaf, seen)


def _child(saved: Saved, part: Part, attribute: str, child: Part) -> Saved | None:
    """What an object holds under an attribute."""
    found = saved.children.get(attribute)
    if found is not None:
        return found
    if attribute == "cell" and "recurrent_kernel" in saved.children:
        return saved  # cuDNN's layers have no cell
    if not saved.by_name:
        return None
    if child.layer is not None:
        if not is_automatic(child.layer):
            found = saved.children.get(child.name)
        else:  # the count in a name of Keras's own says nothing
            base = _base(child.name)
            like = [item for name, item in saved.children.items() if _base(name) == base]
            rivals = [other for other in part.attributes.values()
                      if other.layer is not None and _base(other.name) == base]
            found = like[0] if len(like) == len(rivals) == 1 else None
        if found is not None:
            return found
    if child.variable is None and (child.layer is None or attribute in _TRANSPARENT):
        return saved
    return None


def _base(name: str) -> str:
    return re.sub(r"_\d+$", "", name)


def _by_kind(saved: Saved, leaf: Leaf) -> None:
    """Pair weights by their own name and shape, where no other of the layer has both."""
    for weight, variable in _only_ones(_left(saved, leaf), leaf.missing):
        leaf.pairs.append((weight, variable))
        leaf.missing.remove(weight)


def _only_ones(olds: Sequence[Saved], news: Sequence[Part]) -> list[tuple[Part, Saved]]:
    found = []
    for new in news:
        mine = [item for item in news if _what(item.name, item.shape) == _what(
            new.name, new.shape)]
        here = [old for old in olds if _what(_last(old), _shape(old)) == _what(
            new.name, new.shape)]
        if len(here) == len(mine) == 1:
            found.append((new, here[0]))
    return found


def _by_place(saved: Saved, part: Part, leaf: Leaf, *, trust_order: bool) -> None:
    """Pair the rest in the order of the file: a layer of Keras's own makes its weights in one."""
    olds = _left(saved, leaf)
    weights = {id(item.variable): item for item in leaf.missing}
    layer = part.layer
    news = [weights[id(variable)] for variable in
            (*layer.trainable_weights, *layer.non_trainable_weights) if id(variable) in weights]
    if len(olds) != len(news) or not all(map(fits, olds, news)):
        return
    if trust_order or type(layer).__module__.startswith("keras."):
        leaf.pairs.extend(zip(news, olds, strict=True))
    else:
        leaf.alike.extend(zip(olds, news, strict=True))
    leaf.missing.clear()


def _left(saved: Saved, leaf: Leaf) -> list[Saved]:
    taken = {id(variable) for _, variable in leaf.pairs}
    return [item for item in saved.weights if id(item) not in taken]


def _last(saved: Saved) -> str:
    return saved.full_name.rpartition("/")[2]


def _what(name: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    return leaf_kind(name), shape


def _shape(saved: Saved) -> tuple[int, ...]:
    return saved.entry.shape if saved.entry is not None else ()


def fits(saved: Saved, part: Part) -> bool:
    """Whether a variable can fill a weight, as it is or as cuDNN's biases can."""
    return _shape(saved) == part.shape or is_cudnn(saved, part)


def is_cudnn(saved: Saved, part: Part) -> bool:
    """Whether a variable is the bias of a cuDNN layer, with two for each gate, in one row."""
    shape, wanted = _shape(saved), part.shape
    if (part.name != "bias" or len(shape) != 1
            or type(part.holder).__name__ not in ("LSTMCell", "GRUCell")):
        return False
    return (len(wanted) == 1 and shape[0] == 2 * wanted[0]) or (
        len(wanted) == 2 and wanted[0] == 2 and shape[0] == 2 * wanted[1])
