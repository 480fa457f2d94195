"""Which values of an object are its children, and containers that notice what is put into them.

Lists and dicts that are set on an object stay lists and dicts for their users, but ones
that notice what is put into them, so that a value which waits for a new element finds it.
A tuple becomes one of its own, as TensorFlow's wrappers are: set twice it is two objects.

Source: python/trackable/data_structures.py.
"""

from __future__ import annotations

import copy
import functools
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

from tfckpt.errors import VariableError
from tfckpt.train.adapters import stand_in, tree_of
from tfckpt.train.variables import Variable

__all__ = ["CONTAINERS", "NoDependency", "Parent", "among", "children_of_tuple", "is_trackable",
           "tracked"]

# What takes the place of a value of exactly this kind when it is set on an object. The kinds are
# in train/objects.py: they track what is put into them, and so know this module.
CONTAINERS: dict[type, Callable[[Any], Any]] = {}


class Parent:
    """What has children: objects under local names."""

    @abstractmethod
    def _trackable_children(self) -> dict[str, Any]:
        """Children by name, in the order in which they are saved."""


class NoDependency:
    """Wraps a value that is set on an object and is not to be saved with it.

    Args:
        value: What the attribute will be.
    """

    def __init__(self, value: Any) -> None:
        self.value = value


def tracked(value: Any) -> Any:
    """A value as it is kept on a tracked object: lists and dicts as ones that notice changes.

    Raises:
        VariableError: It is a tree of a framework's (`tree_of`), which only an object can hold.
    """
    if tree_of(value) is not None:
        raise VariableError(
            "values that never change can't be put into a list or dict that is tracked already",
            got=type(value).__name__, hint="Set the whole list or dict as an attribute, with"
                                           " what it holds.")
    container = CONTAINERS.get(type(value))
    if container is not None:
        return container(value)
    if issubclass(type(value), tuple) and is_trackable(value):  # TensorFlow's proxies aren't
        return _tracked_tuple(value)
    return value


def _tracked_tuple(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """A tuple of its own for each time that one is set: two objects, as in TensorFlow."""
    if hasattr(value, "_untracked"):  # it is one of these already
        return value
    untracked = [item.value for item in value if isinstance(item, NoDependency)]
    items = [item.value if isinstance(item, NoDependency) else tracked(item) for item in value]
    if getattr(value, "__dict__", None):  # more than its items, which would be lost
        return value
    try:
        again = _made_tuple(_tracked_kind(type(value)), items, untracked)
    except TypeError:
        return value  # refused when it is saved
    return again if tuple(again) == tuple(items) else value


def _made_tuple(kind: Any, items: list[Any], untracked: list[Any]) -> tuple[Any, ...]:
    fields = getattr(kind, "_fields", None)
    made: tuple[Any, ...] = (kind(items) if fields is None
                             else kind(**dict(zip(fields, items, strict=True))))
    made.__dict__["_untracked"] = untracked
    return made


@functools.cache
def _tracked_kind(kind: type[tuple[Any, ...]]) -> type[tuple[Any, ...]]:
    """A kind of tuple that also notes which of its items aren't to be saved."""
    def copied(self: Any, memo: dict[int, Any]) -> tuple[Any, ...]:
        return _made_tuple(type(self), copy.deepcopy(list(self), memo),
                           copy.deepcopy(self._untracked, memo))

    def reduced(self: tuple[Any, ...], _: SupportsIndex) -> tuple[Any, ...]:
        return getattr(kind, "_make", kind), (tuple(self),)  # pickled as what it was

    return type(kind.__name__, (kind,), {"__deepcopy__": copied, "__reduce_ex__": reduced})


def is_trackable(value: Any) -> bool:
    """Whether a value can be a child: a variable, an object of ours or of a framework, or a
    container of such.
    """
    if isinstance(value, (Variable, Parent)) or isinstance(stand_in(value), (Variable, Parent)):
        return True
    if isinstance(value, tuple):  # other containers change; a tuple without children never will
        return hasattr(value, "_untracked") or any(
            is_trackable(item) or type(item) in CONTAINERS or isinstance(item, NoDependency)
            for item in value)
    return False


def children_of_tuple(value: tuple[Any, ...]) -> dict[str, Any]:
    """Children of a tuple: by field if it has names for them, and by index.

    Raises:
        VariableError: It is a named tuple that can't be made anew from its fields.
    """
    fields = getattr(value, "_fields", ())
    if fields:
        try:
            again = type(value)(**dict(zip(fields, value, strict=True)))
        except (TypeError, ValueError):
            again = None
        if again is None or tuple(again) != tuple(value):
            raise VariableError(
                "a named tuple can't be made anew from its fields, and so not be restored",
                expected=f"fields {', '.join(fields)} as arguments", got=type(value).__name__)
    untracked = getattr(value, "_untracked", ())
    children = [(at, item) for at, item in enumerate(value)
                if is_trackable(item) and not among(item, untracked)]
    by_field = {fields[at]: item for at, item in children if at < len(fields)}
    return by_field | {str(at): item for at, item in children}


def among(item: Any, items: Sequence[Any]) -> bool:
    """Whether an object itself, and not one that is equal to it, is among others."""
    return any(item is other for other in items)
