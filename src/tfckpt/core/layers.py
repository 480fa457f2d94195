"""Layers, told by what they have: the kinds, dtypes and shapes of their weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tfckpt.core.induction import Named
from tfckpt.core.leaves import leaf_kind, split_name

__all__ = ["Layer", "Paired", "kinds_of", "pair_layers", "pair_relatives"]

Head = tuple[str, tuple[int, ...]]
_EVERYWHERE = frozenset({"kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance",
                         "embeddings", "recurrent_kernel"})
_MOST_COMPARED = 4000  # pairs of layers of one structure
Weights = tuple[tuple[str, Head], ...]


class Layer(NamedTuple):
    """Tensors whose names share all but the last part.

    Attributes:
        title: What they share.
        keys: Key of the weight of each kind.
    """

    title: str
    keys: dict[str, str]


class Paired(NamedTuple):
    """What structure alone tells.

    Attributes:
        pairs: Tensors of layers that are the only ones of their structure, on both sides.
        groups: Structures that several layers have, with these layers of A and of B.
    """

    pairs: list[tuple[str, str]]
    groups: list[tuple[Weights, list[Layer], list[Layer]]]


def pair_layers(a: Sequence[Named], b: Sequence[Named], n_by_name: int = 0) -> Paired:
    """Pair the layers of two sides that have the same structure.

    A structure that one layer has on either side is that layer only if all else fits too:
    each structure must be there as often in A as in B. And where other layers have the same
    names on both sides, those that are left are another matter: two models that share a
    backbone may have heads of one shape that have nothing in common. Then their names must
    have a word in common, or a weight must be of a kind that isn't in every layer.

    Args:
        a: Tensors of the one side.
        b: Those of the other.
        n_by_name: How many tensors were paired by their names.

    Example:
        >>> wanted = [("k", "out/kernel", ("float32", (3, 2))), ("b", "out/bias", ("", (2,)))]
        >>> pair_layers([("x", "fc/weights", ("float32", (3, 2))),
        ...              ("y", "fc/biases", ("float32", (2,)))], wanted).pairs
        [('y', 'b'), ('x', 'k')]
    """
    with_dtypes = all(head[0] for _, _, head in (*a, *b))
    here, there = _by_structure(a, with_dtypes), _by_structure(b, with_dtypes)
    if {weights: len(layers) for weights, layers in here.items()} != {
            weights: len(layers) for weights, layers in there.items()}:
        return Paired([], [])
    pairs, groups = [], []
    for weights, layers in here.items():
        if len(layers) == 1:
            old, new = layers[0], there[weights][0]
            if n_by_name >= len(a) and not _is_telling(old, new, weights):
                continue
            pairs += [(old.keys[kind], new.keys[kind]) for kind, _ in weights]
        else:
            groups.append((weights, layers, there[weights]))
    return Paired(pairs, groups)


def _is_telling(old: Layer, new: Layer, weights: Weights) -> bool:
    words = (set(re.split(r"[/_\d]+", layer.title)) - {""} for layer in (old, new))
    return bool(set.intersection(*words)) or any(kind not in _EVERYWHERE for kind, _ in weights)


def pair_relatives(a: Sequence[Named], b: Sequence[Named]) -> list[tuple[str, str]]:
    """Pair what is nearly of one name and alone in that.

    A weight of a layer that both sides have, ``depthwise_kernel`` here and ``kernel`` there;
    and a layer that lies one scope deeper on one side, ``timed/kernel`` in ``timed/each/kernel``.
    """
    pairs = _same_layer(a, b)
    done = {key for pair in pairs for key in pair}
    here = _by_structure([item for item in a if item[0] not in done], with_dtypes=False)
    there = _by_structure([item for item in b if item[0] not in done], with_dtypes=False)
    for weights, layers in here.items():
        if len(weights) < 2:  # one kernel of this shape may be anyone's
            continue
        related = [(old, new) for old in layers for new in there.get(weights, [])
                   if _is_within(old.title, new.title) or _is_within(new.title, old.title)
                   ] if len(layers) * len(there.get(weights, ())) <= _MOST_COMPARED else []
        olds, news = Counter(old.title for old, _ in related), Counter(
            new.title for _, new in related)
        pairs += [(old.keys[kind], new.keys[kind]) for old, new in related
                  if olds[old.title] == news[new.title] == 1 for kind, _ in weights]
    return pairs


def _same_layer(a: Sequence[Named], b: Sequence[Named]) -> list[tuple[str, str]]:
    wanted: dict[tuple[str, tuple[int, ...]], list[tuple[str, str]]] = {}
    for key, name, (_, shape) in b:
        *scope, leaf = split_name(name)
        wanted.setdefault(("/".join(scope), shape), []).append((key, leaf_kind(leaf)))
    found: dict[tuple[str, tuple[int, ...]], list[tuple[str, str]]] = {}
    for key, name, (_, shape) in a:
        *scope, leaf = split_name(name)
        found.setdefault(("/".join(scope), shape), []).append((key, leaf_kind(leaf)))
    return [(olds[0][0], wanted[place][0][0]) for place, olds in found.items()
            if place[0] and len(olds) == len(wanted.get(place, ())) == 1
            and _is_kind_of(olds[0][1], wanted[place][0][1])]


def _is_kind_of(kind: str, other: str) -> bool:
    """Whether one kind of weight is a special case of the other, by its name, or has no name."""
    if kind.isdecimal() or other.isdecimal():
        return True
    return ("_" + kind).endswith("_" + other) or ("_" + other).endswith("_" + kind)


def _is_within(short: str, long: str) -> bool:
    """Whether a name is the other but for one part that it lacks."""
    parts, others = short.split("/"), long.split("/")
    return short != "" and any(others[:n] + others[n + 1:] == parts for n in range(len(others)))


def kinds_of(names: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Layers by title: the key of the weight of each kind.

    Args:
        names: The name of each key.

    Example:
        >>> kinds_of({"x": "fc/weights", "y": "fc/biases"})
        {'fc': {'kernel': 'x', 'bias': 'y'}}
    """
    found: dict[str, dict[str, str]] = {}
    for key, name in names.items():
        *scope, leaf = split_name(name)
        weights = found.setdefault("/".join(scope), {})
        kind = leaf_kind(leaf)
        weights[leaf if kind in weights else kind] = key
    return found


def _by_structure(named: Sequence[Named], with_dtypes: bool) -> dict[Weights, list[Layer]]:
    layers: dict[str, dict[str, tuple[str, Head]]] = {}
    for key, name, (dtype, shape) in named:
        *scope, leaf = split_name(name)
        weights = layers.setdefault("/".join(scope), {})
        kind = leaf_kind(leaf)
        if kind in weights:  # two weights of one kind: their own names must do
            kind = leaf
        weights[kind] = key, (dtype if with_dtypes else "", shape)
    found: dict[Weights, list[Layer]] = {}
    for title, weights in layers.items():
        structure = tuple(sorted((kind, head) for kind, (_, head) in weights.items()))
        found.setdefault(structure, []).append(
            Layer(title, {kind: key for kind, (key, _) in weights.items()}))
    return found
