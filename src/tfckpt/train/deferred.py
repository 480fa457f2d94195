"""Restores that wait for an object which the program makes later.

What waits for a child is kept with its parent, and holds nothing alive.

Source: python/checkpoint/restore.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tfckpt.train.adapters import memory_of, stand_in

__all__ = ["SAVE_COUNTER", "Waiting", "fill", "fill_waiting"]

SAVE_COUNTER = "save_counter"
"""The child that a `Checkpoint` adds to its root, once it is needed."""


class Waiting(NamedTuple):
    """A restore that waits for an object.

    Attributes:
        number: The later a restore was asked for, the higher its number.
        fill: Gives the object its values.
    """

    number: int
    fill: Callable[[Any], None]


def fill_waiting(parent: Any, name: str, child: Any) -> None:
    """Give a child that has just appeared the values that wait for it."""
    memory = memory_of(parent)
    waiting = memory.get("_waiting")
    ours = waiting.pop(name, ()) if waiting else ()
    fill([*ours, *memory.get("_waiting_for_any", ())], stand_in(child))


def fill(waiting: Iterable[Waiting], child: Any) -> None:
    """Give an object, or the stand-in of one, the values that wait for it."""
    # The last first: what an earlier restore then finds done it need not even read.
    for item in sorted(waiting, key=lambda item: item.number, reverse=True):
        item.fill(child)
