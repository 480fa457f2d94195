"""Trees of JAX's as stand-ins: containers whose parts are places for values, and containers."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from tfckpt.jax.containers import (
    Item,
    box_of,
    is_container,
    is_frozen,
    is_leaf,
    is_nnx_module,
    is_nnx_variable,
    is_plain_container,
    items_of,
)
from tfckpt.jax.places import Place
from tfckpt.train.adapters import Adapter
from tfckpt.train.standins import LiveObject
from tfckpt.train.tracking import Parent, is_trackable
from tfckpt.train.variables import Variable

__all__ = ["JaxTree", "place_of_variable"]

# By the id of what they stand for, which they keep alive, and for a plain container by its path:
# the same dict in two places is two things, as two arrays there soon are.
_known: weakref.WeakValueDictionary[tuple[int, str, bool], Any] = weakref.WeakValueDictionary()


class JaxTree(LiveObject):
    """The stand-in of a container."""

    _parts: dict[Any, Any]
    _path: str
    _is_fixed: bool

    @classmethod
    def of(cls, value: Any, adapter: Adapter, path: str = "", *, is_fixed: bool = False
           ) -> JaxTree:
        """The stand-in of a container, the same one as long as anybody has it.

        Args:
            value: The container.
            adapter: The adapter.
            path: Its path in its tree.
            is_fixed: Whether it must not change, as the dicts in a ``FrozenDict``.
        """
        is_fixed = is_fixed or is_frozen(value)
        key = (id(value), "" if is_nnx_module(value) else path, is_fixed)
        found: JaxTree | None = _known.get(key)
        if found is None:
            found = _known[key] = cls(value, {}, adapter)
            found.__dict__.update(_path=path, _parts={}, _is_fixed=is_fixed)
        return found

    def _trackable_children(self) -> dict[str, Any]:
        parts: dict[Any, Any] = {}
        names: dict[str, Any] = {}
        for item in items_of(self.live):
            if item.slot not in parts:
                parts[item.slot] = self._part(item)
            if parts[item.slot] is not None:
                names[item.name] = parts[item.slot]
        self._parts = parts
        return names

    def _part(self, item: Item) -> Any:
        path = f"{self._path}/{item.name}" if self._path else item.name
        value = item.value
        if is_nnx_variable(value):
            return place_of_variable(value, path, self.adapter)
        if is_leaf(value):
            known = self._parts.get(item.slot)  # it stays the same when its value is replaced
            if _is_in(known, self.live):
                return known
            return _place(self.live, item._replace(put=None) if self._is_fixed else item, path,
                          self.adapter)
        if isinstance(value, (Variable, Parent)):
            return value
        if is_plain_container(value) or is_container(value):
            return JaxTree.of(value, self.adapter, path, is_fixed=self._is_fixed)
        return value if is_trackable(value) else None

    def refer(self) -> Callable[[], Any]:
        """A weak reference to itself: it lives as long as it is set on something."""
        return weakref.ref(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> JaxTree:
        import copy  # deferred: hardly anybody copies a checkpoint

        return JaxTree.of(copy.deepcopy(self.live, memo), self.adapter, self._path,
                          is_fixed=self._is_fixed)


def _is_in(part: Any, holder: Any) -> bool:
    return isinstance(part, Place) and part.live is holder


def _place(holder: Any, item: Item, path: str, adapter: Adapter) -> Place:
    """The place of a value in a container."""
    now = item.get or (lambda: item.value)

    def get() -> Any:
        found = now()
        return found if box_of(found) is None else found.unbox()

    def put(value: Any) -> None:
        assert item.put is not None
        found = now()
        item.put(value if box_of(found) is None else found.replace_boxed(value))

    return Place(item.value, holder, path, adapter, get=get,
                 set_value=None if item.put is None else put)


def place_of_variable(variable: Any, path: str, adapter: Adapter) -> Any:
    """The stand-in of a variable of NNX, the same one wherever it is."""
    value = variable.get_value()
    if not is_leaf(value):  # a whole tree in one variable
        return JaxTree.of(value, adapter, path)
    key = (id(variable), "", False)
    found = _known.get(key)
    if found is None:
        found = _known[key] = Place(value, variable, path, adapter,
                                             get=variable.get_value,
                                             set_value=variable.set_value)
    return found
