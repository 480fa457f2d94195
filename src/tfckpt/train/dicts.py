"""Dicts that are set on an object."""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex

from tfckpt.errors import VariableError
from tfckpt.train.deferred import Waiting, fill_waiting
from tfckpt.train.tracking import NoDependency, Parent, is_trackable, tracked
from tfckpt.train.variables import Variable

__all__ = ["TrackedDict"]


class TrackedDict(Parent, dict[Any, Any]):
    """A dict that is set on an object; what is put into it later is tracked too."""

    def __init__(self, items: dict[Any, Any]) -> None:
        self._untracked: dict[Any, None] = {}  # keys
        super().__init__((key, self._kept(key, value)) for key, value in items.items())
        self._original = items
        self._original.update(self)  # as for lists
        self._snapshot = dict(self)

    _waiting: dict[str, list[Waiting]]
    _waiting_for_any: list[Waiting]

    def _kept(self, key: Any, value: Any) -> Any:
        if isinstance(value, NoDependency):
            self._untracked[key] = None
            return value.value
        self._untracked.pop(key, None)
        return tracked(value)

    def _check(self) -> None:
        """Raise if the dict that was set was changed behind our back."""
        ours, theirs = self._snapshot, self._original
        if len(ours) == len(theirs) and all(map(operator.is_, ours, theirs)) and all(
                map(operator.is_, ours.values(), theirs.values())):
            return  # in this order too, as nearly always: nothing is looked up
        if theirs.keys() != ours.keys() or any(map(
                operator.is_not, map(theirs.__getitem__, ours), ours.values())):
            raise VariableError(
                "a dict of tracked objects was changed through another name than the attribute it"
                " was set as", hint="Change it through the attribute, or set it anew.")

    def _is_child(self, key: Any) -> bool:
        return key not in self._untracked and is_trackable(self[key])

    def _trackable_children(self) -> dict[str, Any]:
        self._check()
        untracked = self._untracked
        if not untracked and set(map(type, self)) == {str} and set(
                map(type, self.values())) == {Variable}:
            return dict(self)  # there may be 100,000
        children = {key: value for key, value in self.items()
                    if (isinstance(value, Variable) or is_trackable(value))
                    and key not in untracked}
        for key in children:
            if not isinstance(key, str):
                raise VariableError("a tracked object is under a dict key that is no text, and so"
                                    " has no place in a checkpoint", got=repr(key))
        return children

    def __setitem__(self, key: Any, value: Any) -> None:
        value = self._kept(key, value)
        super().__setitem__(key, value)
        self._original[key] = value
        self._snapshot[key] = value
        if isinstance(key, str) and self._is_child(key):
            fill_waiting(self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._check()
        super().__delitem__(key)
        self._removed(key)

    def _removed(self, key: Any) -> None:
        for kept in (self._original, self._snapshot, self._untracked):
            kept.pop(key, None)

    def update(self, *others: Any, **more: Any) -> None:
        """Put all items of other mappings in, and track them."""
        for key, value in dict(*others, **more).items():
            self[key] = value

    def __ior__(self, other: Any) -> TrackedDict:  # type: ignore[misc]  # as dict's own
        self.update(other)
        return self

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value of a key, put there if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: Any, *default: Any) -> Any:
        """Remove a key and return its value."""
        self._check()
        value = super().pop(key, *default)
        self._removed(key)
        return value

    def popitem(self) -> tuple[Any, Any]:
        """Remove the last key and return it with its value."""
        self._check()
        item = super().popitem()
        self._removed(item[0])
        return item

    def clear(self) -> None:
        """Remove all keys."""
        self._check()
        super().clear()
        for kept in (self._original, self._snapshot, self._untracked):
            kept.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> TrackedDict:
        import copy

        twin = TrackedDict({})
        memo[id(self)] = twin
        twin.update({key: copy.deepcopy(value, memo) for key, value in self.items()})
        twin._untracked = dict(self._untracked)
        return twin

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return dict, (dict(self),)
