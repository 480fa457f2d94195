"""Flat names with slashes, and nested dictionaries as JAX's libraries have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from tfckpt.errors import UnsupportedError

__all__ = ["flatten", "nest"]

T = TypeVar("T")


def nest(flat: Mapping[str, T]) -> dict[str, Any]:
    """Values by names with slashes as nested dictionaries.

    Raises:
        UnsupportedError: A name is the beginning of another, as a variable's is of its slots', or
            has an empty part.

    Example:
        >>> nest({"dense/kernel": 1, "dense/bias": 2, "step": 3})
        {'dense': {'kernel': 1, 'bias': 2}, 'step': 3}
    """
    for name in flat:
        if "" in name.split("/"):
            raise UnsupportedError("a part of the name is empty, as no key of a dictionary is",
                                   tensor=name, hint="`tfckpt rename` gives other names.")
        at = name.find("/")
        while at >= 0:
            if name[:at] in flat:
                raise UnsupportedError(
                    "a dictionary can't have a tensor and other names under one name",
                    expected=f"nothing below {name[:at]}", got=name, hint="--skip-optimizer leaves"
                    " slots out; `tfckpt rename` gives other names; --to safetensors keeps them.")
            at = name.find("/", at + 1)
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split("/")
        inner = nested
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return nested


def flatten(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Values of nested dictionaries by the names on the way, joined by slashes.

    Raises:
        UnsupportedError: A key is no text or has a slash, so that names would be ambiguous.

    Example:
        >>> flatten({"dense": {"kernel": 1, "bias": 2}, "step": 3, "empty": {}})
        {'dense/kernel': 1, 'dense/bias': 2, 'step': 3}
    """
    flat: dict[str, Any] = {}
    todo: list[tuple[str, Any]] = [("", nested)]
    while todo:
        prefix, value = todo.pop()
        if not isinstance(value, Mapping):
            flat[prefix] = value
            continue
        for key, inner in reversed(list(value.items())):
            if not isinstance(key, str) or "/" in key or not key:
                raise UnsupportedError("a key of a nested dictionary is text without slashes",
                                       got=repr(key)[:80])
            todo.append((f"{prefix}/{key}" if prefix else key, inner))
    return flat
