"""Which restore an object has its values from: the one that was asked for last counts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from tfckpt.train.adapters import memory_of

__all__ = ["ask", "claim", "is_claimed", "is_claimed_since", "next_number"]

_numbers = itertools.count(1)


def next_number() -> int:
    """A number for a restore, higher than those of all before."""
    return next(_numbers)


def ask(values: Iterable[Any]) -> int:
    """A number for a restore that gives these objects nothing yet, also to their frameworks."""
    number = next_number()
    for value in values:
        if hasattr(type(value), "is_stand_in"):
            value.note_asked(number)
    return number


def claim(value: Any, number: int) -> None:
    """Note that an object has its values from the restore of this number."""
    memory_of(value)["_restored_by"] = number
    if hasattr(type(value), "is_stand_in"):
        value.note_restored(number)


def is_claimed(value: Any, number: int) -> bool:
    """Whether an object has its values from this restore, or from one asked for later."""
    return memory_of(value).get("_restored_by", 0) == number or is_claimed_since(value, number)


def is_claimed_since(value: Any, number: int) -> bool:
    """Whether an object has its values from a restore that was asked for later than this one."""
    restored_by: int = memory_of(value).get("_restored_by", 0)
    return restored_by > number or (hasattr(type(value), "is_stand_in")
                                    and value.is_restored_since(number))
