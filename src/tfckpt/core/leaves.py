"""What a weight is called: the same kind of weight under its many names."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["leaf_kind", "mixed_kinds", "split_name"]

# The last part of a name, and the kind of weight that it says.
_KINDS = {
    "weights": "kernel", "weight": "kernel", "w": "kernel", "kernel": "kernel",
    "depthwise_weights": "depthwise_kernel", "pointwise_weights": "pointwise_kernel",
    "biases": "bias", "bias": "bias", "b": "bias",
    "gamma": "gamma", "beta": "beta",
    "moving_mean": "moving_mean", "running_mean": "moving_mean",
    "moving_variance": "moving_variance", "moving_var": "moving_variance",
    "running_var": "moving_variance",
    "embeddings": "embeddings", "embedding": "embeddings", "embedding_table": "embeddings",
    "word_embeddings": "word_embeddings",
}
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def split_name(name: str) -> list[str]:
    """The parts of a name.

    Example:
        >>> split_name("net/dense/kernel:0")
        ['net', 'dense', 'kernel']
    """
    return name.removesuffix(":0").split("/")


def leaf_kind(leaf: str) -> str:
    """The kind of weight that the last part of a name says.

    Example:
        >>> leaf_kind("weights"), leaf_kind("_kernel"), leaf_kind("movingMean"), leaf_kind("pos")
        ('kernel', 'kernel', 'moving_mean', 'pos')
    """
    plain = _CAPITAL.sub("_", leaf.lstrip("_")).lower()
    return _KINDS.get(plain, plain)


def mixed_kinds(names: Iterable[str]) -> frozenset[str]:
    """Kinds of weights that these names say in several words.

    Where one model has both ``w`` and ``kernel``, these are two things to it.

    Example:
        >>> sorted(mixed_kinds(["a/w", "a/kernel", "a/bias", "b/bias"]))
        ['kernel']
    """
    words: dict[str, str] = {}
    mixed = set()
    for name in names:
        leaf = split_name(name)[-1]
        kind = leaf_kind(leaf)
        if words.setdefault(kind, leaf) != leaf:
            mixed.add(kind)
    return frozenset(mixed)
