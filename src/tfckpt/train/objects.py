"""Objects that a `Checkpoint` can save: what they hold, and the values they store themselves.

Two questions are all that saving and restoring ask of an object: which *children* it has
(objects under local names), and which *values* it stores itself (arrays under names, a
variable's being ``VARIABLE_VALUE``). The answers for every kind of object are in this file.
A framework's objects may be anywhere among ours; `children_of` gives their stand-ins
(train/adapters.py), so that what walks a structure sees one kind of objects only.

Source: python/trackable/{base,autotrackable,python_state}.py.
"""

from __future__ import annotations

import collections
from abc import abstractmethod
from typing import Any

from tfckpt.train.adapters import any_framework, stand_in, tree_of
from tfckpt.train.deferred import Waiting, fill_waiting
from tfckpt.train.dicts import TrackedDict
from tfckpt.train.lists import TrackedList
from tfckpt.train.tracking import (
    CONTAINERS,
    NoDependency,
    Parent,
    children_of_tuple,
    is_trackable,
    tracked,
)
from tfckpt.train.variables import Variable

__all__ = ["PYTHON_STATE", "PythonState", "Trackable", "children_of", "values_of"]

PYTHON_STATE = "py_state"

CONTAINERS.update({list: TrackedList, dict: TrackedDict, collections.OrderedDict: TrackedDict})


class Trackable(Parent):
    """An object whose attributes are saved under their names.

    Attributes that hold variables, other such objects, or lists, tuples and dicts of them,
    are its children. Whether they are there when a checkpoint is restored or are set later,
    they get their values. Other containers, subclasses of list and dict among them, aren't, as
    in TensorFlow; a save warns of those that hold something (train/untracked.py).

    Example:
        >>> class Net(Trackable):
        ...     pass
        >>> net = Net()
        >>> net.layers = [Variable(1.0), Variable(2.0)]
        >>> list(children_of(net)), list(children_of(net.layers))
        (['layers'], ['0', '1'])
    """

    # Restores that wait for a child of this name, and those that wait for any child.
    _waiting: dict[str, list[Waiting]]
    _waiting_for_any: list[Waiting]
    _tracked: dict[str, Any]
    _not_saved: frozenset[str] = frozenset()  # attributes that were set as NoDependency

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, NoDependency):
            self._children().pop(name, None)
            self.__dict__["_not_saved"] = self._not_saved | {name}
            object.__setattr__(self, name, value.value)
            return
        if name in self._not_saved:
            self.__dict__["_not_saved"] = self._not_saved - {name}
        if name in self.__dict__ and self.__dict__[name] is value:
            return
        tree = tree_of(value)
        if tree is None:
            value = tracked(value)
        child = value if tree is None else tree  # the attribute stays the structure that was set
        is_child = tree is not None or is_trackable(value)
        if is_child:  # first, as a setter of the user's own may track more
            self._children()[name] = child  # a name keeps its place when it is set again
        else:
            self._children().pop(name, None)
        object.__setattr__(self, name, value)
        if is_child:
            fill_waiting(self, name, child)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._children().pop(name, None)

    def _children(self) -> dict[str, Any]:
        children: dict[str, Any] = self.__dict__.setdefault("_tracked", {})
        return children

    def _trackable_children(self) -> dict[str, Any]:
        """Children by name; a class of the user's own may give others."""
        return dict(self._children())

    def __getstate__(self) -> dict[str, Any]:
        """What `copy` and `pickle` take: a copy waits for nothing."""
        state = {name: value for name, value in self.__dict__.items()
                 if name not in {"_waiting", "_waiting_for_any"}}
        return state | {"_tracked": dict(self._children())}  # not shared with a shallow copy


class PythonState(Trackable):
    """State that is not an array, saved as text or bytes that the object makes itself."""

    @abstractmethod
    def serialize(self) -> str | bytes:
        """Its state."""

    @abstractmethod
    def deserialize(self, string_value: bytes) -> None:
        """Take over a state that `serialize` gave."""


def children_of(value: Any) -> dict[str, Any]:
    """Children of an object by local name, in the order in which they are saved.

    Those that are a framework's are given by their stand-ins.

    Raises:
        VariableError: A container holds tracked objects in a way that can't be saved.
    """
    children: dict[str, Any] = {}
    if isinstance(value, Parent):
        children = value._trackable_children()  # noqa: SLF001 - TensorFlow's name, for overriding
    elif isinstance(value, tuple):
        children = children_of_tuple(value)
    if not any_framework():
        return children
    return {name: child if isinstance(child, (Variable, Parent)) else stand_in(child)
            for name, child in children.items()}


def values_of(value: Any) -> dict[str, Any]:
    """Values that an object stores itself: arrays, or functions that compute them, by name."""
    if isinstance(value, Variable):
        return {"VARIABLE_VALUE": value}
    if isinstance(value, PythonState):
        return {PYTHON_STATE: value.serialize}
    if hasattr(type(value), "is_stand_in"):
        own: dict[str, Any] = value.own_values()
        return own
    serialize = getattr(value, "_serialize_to_tensors", None)
    if serialize is not None and isinstance(value, Trackable):
        values: dict[str, Any] = serialize()
        return values
    return {}
