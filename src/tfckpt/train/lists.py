"""Lists that are set on an object."""

from __future__ import annotations

from typing import Any, SupportsIndex

from tfckpt.errors import VariableError
from tfckpt.train.deferred import Waiting, fill_waiting
from tfckpt.train.tracking import NoDependency, Parent, among, is_trackable, tracked

__all__ = ["TrackedList"]


class TrackedList(Parent, list[Any]):
    """A list that is set on an object; what is put into it later is tracked too."""

    def __init__(self, items: list[Any]) -> None:
        self._untracked: list[Any] = []
        super().__init__(self._kept(item) for item in items)
        self._original = items
        self._original[:] = self  # whoever holds the list that was set sees the same
        self._snapshot = list(self)

    _waiting: dict[str, list[Waiting]]
    _waiting_for_any: list[Waiting]

    def _kept(self, item: Any) -> Any:
        if isinstance(item, NoDependency):
            self._untracked.append(item.value)
            return item.value
        return tracked(item)

    def _is_child(self, item: Any) -> bool:
        return is_trackable(item) and not among(item, self._untracked)

    def _changed(self) -> None:
        for at, item in enumerate(self):
            list.__setitem__(self, at, self._kept(item))
        self._original[:] = self
        self._snapshot = list(self)
        for at, item in enumerate(self):
            if self._is_child(item):
                fill_waiting(self, str(at), item)

    def _check(self) -> None:
        """Raise if the list that was set was changed behind our back."""
        if len(self._original) != len(self._snapshot) or any(
                a is not b for a, b in zip(self._original, self._snapshot, strict=True)):
            raise VariableError(
                "a list of tracked objects was changed through another name than the attribute it"
                " was set as", hint="Change it through the attribute, or set it anew.")

    def _trackable_children(self) -> dict[str, Any]:
        self._check()
        return {str(at): item for at, item in enumerate(self) if self._is_child(item)}

    def append(self, item: Any) -> None:
        """Append an item and track it."""
        item = self._kept(item)
        super().append(item)
        # One step each, so that a long list can be built. What was changed behind our back
        # stays visible and is found when it matters.
        self._original.append(item)
        self._snapshot.append(item)
        if self._is_child(item):
            fill_waiting(self, str(len(self) - 1), item)

    def extend(self, items: Any) -> None:
        """Append items and track them."""
        for item in list(items):
            self.append(item)

    def insert(self, index: SupportsIndex, item: Any) -> None:
        """Insert an item; what follows is saved under its new indexes."""
        self._check()
        super().insert(index, item)
        self._changed()

    def __setitem__(self, index: Any, item: Any) -> None:
        self._check()
        super().__setitem__(index, item)
        self._changed()

    def __delitem__(self, index: Any) -> None:
        self._check()
        super().__delitem__(index)
        self._changed()

    def __iadd__(self, items: Any) -> TrackedList:  # type: ignore[misc]  # as list's own
        self.extend(items)
        return self

    def __imul__(self, times: SupportsIndex) -> TrackedList:
        self._check()
        super().__imul__(times)
        self._changed()
        return self

    def pop(self, index: SupportsIndex = -1) -> Any:
        """Remove an item; what follows is saved under its new indexes."""
        self._check()
        item = super().pop(index)
        self._changed()
        return item

    def remove(self, item: Any) -> None:
        """Remove an item; what follows is saved under its new indexes."""
        self._check()
        super().remove(item)
        self._changed()

    def clear(self) -> None:
        """Remove all items."""
        self._check()
        super().clear()
        self._changed()

    def reverse(self) -> None:
        """Reverse the order; the items are saved under their new indexes."""
        self._check()
        super().reverse()
        self._changed()

    def sort(self, **options: Any) -> None:
        """Sort the items; they are saved under their new indexes."""
        self._check()
        super().sort(**options)
        self._changed()

    def __deepcopy__(self, memo: dict[int, Any]) -> TrackedList:
        import copy

        twin = TrackedList([])
        memo[id(self)] = twin
        twin._untracked = copy.deepcopy(self._untracked, memo)
        twin.extend(copy.deepcopy(list(self), memo))
        return twin

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return list, (list(self),)
