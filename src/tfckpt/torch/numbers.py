"""Numbers of layers that two sides have counted otherwise.

PyTorch's Sequential counts activations too, so its Linears are 0, 2 and 4, where a list of a
TensorFlow program has 0, 1 and 2. That both have a 2 then proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tfckpt.core.matching import Side

__all__ = ["MARK", "mark_numbers"]

Scope = tuple[str, ...]
MARK = "#"
"""Stands before a number that proves nothing."""


def mark_numbers(side: Side, names: Iterable[str]) -> dict[str, str]:
    """Names of a module's variables, with numbers marked that prove nothing.

    Args:
        side: The checkpoint.
        names: Names of the module's variables.

    Returns:
        The marked name of each.
    """
    wanted = list(names)
    here = _numbers(wanted)
    doubtful = set()
    for kind in ("plain", "full name", "path", "tail"):
        there = _numbers(name for _, name in side.names.of(kind, side.heads))
        doubtful |= {scope for scope, own in here.items()
                     if any(not (own <= others or others <= own)
                            for others in _like(scope, there))}
    return {name: _marked(name, doubtful) for name in wanted}


def _like(scope: Scope, there: Mapping[Scope, set[str]]) -> list[set[str]]:
    """The numbers in a scope of the checkpoint, or in those that only have more before it."""
    if scope in there:
        return [there[scope]]
    if not scope:
        return list(there.values()) if len(there) == 1 else []
    return [numbers for other, numbers in there.items() if other[-len(scope):] == scope]


def _numbers(names: Iterable[str]) -> Mapping[Scope, set[str]]:
    found: dict[Scope, set[str]] = {}
    for name in names:
        parts = name.split("/")
        for n, part in enumerate(parts[:-1]):
            if part.isdecimal():
                found.setdefault(tuple(parts[:n]), set()).add(part)
    return found


def _marked(name: str, doubtful: set[Scope]) -> str:
    parts = name.split("/")
    return "/".join(MARK + part if part.isdecimal() and tuple(parts[:n]) in doubtful else part
                    for n, part in enumerate(parts))
