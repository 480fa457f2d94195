"""Layers of equal weights that nothing tells apart: their tensors, and an order that is trusted."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from tfckpt.core.layers import kinds_of
from tfckpt.core.matching import Group, Side

__all__ = ["Members", "members", "pairs_in_order"]

_NUMBER = re.compile(r"(\d+)")
_COUNT = re.compile(r"[-_]?\d+")


class Members(NamedTuple):
    """The layers of a group on both sides, by title; each has a key of each kind of weight.

    Attributes:
        a: Those of the checkpoint, in the natural order of their names.
        b: Those of the module, in its order.
    """

    a: dict[str, dict[str, str]]
    b: dict[str, dict[str, str]]


def members(a: Side, b: Side, group: Group) -> Members:
    """The layers of a group."""
    order = {title: n for n, title in enumerate(kinds_of(_named(b)))}
    return Members(_of(a, sorted(group.a, key=_natural)),
                   _of(b, sorted(group.b, key=lambda title: order.get(title, 0))))


def pairs_in_order(group: Members, named: Collection[str] = ()) -> list[tuple[str, str]]:
    """Keys of both sides, the layers taken one after another; nothing if they don't pair.

    A checkpoint has its tensors in the order of their names. That says when they were made only
    where names differ by nothing but numbers; and only if all that are counted so are there:
    where some were paired by equal numbers, the two sides may have counted otherwise.

    Args:
        group: The group.
        named: Names of the checkpoint's tensors that were paired by their names.
    """
    counted = {_COUNT.sub("", title) for title in group.a}
    others = {_COUNT.sub("", name.rpartition("/")[0]) for name in named}
    if len(group.a) != len(group.b) or len(counted) != 1 or counted & others:
        return []
    both = list(zip(group.a.values(), group.b.values(), strict=True))
    if any(old.keys() != new.keys() for old, new in both):
        return []
    return [(old[kind], new[kind]) for old, new in both for kind in old]


def _of(side: Side, titles: list[str]) -> dict[str, dict[str, str]]:
    known = kinds_of(_named(side))
    return {title: known[title] for title in titles if title in known}


def _named(side: Side) -> Mapping[str, str]:
    return {key: side.name(key) for key in side.heads}


def _natural(title: str) -> list[tuple[int, str]]:
    """Sorts ``conv_10`` behind ``conv_9``, and ``conv`` before ``conv_1``."""
    return [(int(part), "") if part.isdecimal() else (-1, part)
            for part in _NUMBER.split(title)]
