"""Trees of JAX's as stand-ins: containers whose parts are places for values, and containers."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
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
    set_value_of,
    value_of,
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
    """The stand-in of a container.

    It keeps the places in its container, and stand-ins of containers in it only once something in
    them was restored: a training loop puts new ones there, and the old arrays must go.
    """

    _parts: dict[Any, Any]
    _kept: dict[Any, JaxTree]
    _owner: Callable[[], JaxTree | None]
    _slot: Any
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
            found.__dict__.update(_path=path, _parts={}, _kept={}, _owner=_nobody, _slot=None,
                                  _is_fixed=is_fixed)
        return found

    def _trackable_children(self) -> dict[str, Any]:
        parts: dict[Any, Any] = {}
        names: dict[str, Any] = {}
        for item in items_of(self.live):
            if item.slot not in parts:
                parts[item.slot] = self._part(item)
            if parts[item.slot] is not None:
                names[item.name] = parts[item.slot]
        self._parts = {slot: part for slot, part in parts.items() if isinstance(part, Place)}
        self._kept = {slot: part for slot, part in self._kept.items() if parts.get(slot) is part}
        return names

    def keep(self) -> None:
        """Have the containers around this one keep it."""
        owner = self._owner()
        if owner is not None:
            owner.keep_part(self._slot, self)

    def keep_part(self, slot: Any, part: JaxTree) -> None:
        """Keep a container in this one, and have this one kept."""
        if self._kept.get(slot) is not part:
            self._kept[slot] = part
            self.keep()

    def _part(self, item: Item) -> Any:
        path = f"{self._path}/{item.name}" if self._path else item.name
        value = item.value
        if is_nnx_variable(value):
            return place_of_variable(value, path, self.adapter, self.keep)
        if is_leaf(value):
            known = self._parts.get(item.slot)  # it stays the same when its value is replaced
            if _is_in(known, self.live):
                return known
            return _place(self, item._replace(put=None) if self._is_fixed else item, path)
        if isinstance(value, (Variable, Parent)):
            return value
        if is_plain_container(value) or is_container(value):
            part = JaxTree.of(value, self.adapter, path, is_fixed=self._is_fixed)
            part.__dict__.update(_owner=weakref.ref(self), _slot=item.slot)
            return part
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


def _nobody() -> None:
    """The owner of what has none."""


def _place(tree: JaxTree, item: Item, path: str) -> Place:
    """The place of a value in a container. It refers to the value itself only if that must stay."""
    value, now, put = item.value if item.get is None else None, item.get, item.put

    def get() -> Any:
        found = value if now is None else now()
        box = box_of(found)
        return found if box is None else box.unbox()

    def replace(new: Any) -> None:
        assert now is not None
        assert put is not None
        box = box_of(now())
        put(new if box is None else box.replace_boxed(new))

    return Place(None, tree.live, path, tree.adapter, get=get, keep=weakref.WeakMethod(tree.keep),
                 set_value=None if put is None else replace)


def place_of_variable(variable: Any, path: str, adapter: Adapter,
                      keep: Callable[[], None] | None = None) -> Any:
    """The stand-in of a variable of NNX, the same one wherever it is."""
    value = value_of(variable)
    if not is_leaf(value):  # a whole tree in one variable
        return JaxTree.of(value, adapter, path)
    key = (id(variable), "", False)
    found = _known.get(key)
    if found is None:
        found = _known[key] = Place(value, variable, path, adapter, get=partial(value_of, variable),
                                    keep=None if keep is None else weakref.WeakMethod(keep),
                                    set_value=partial(set_value_of, variable))
    return found
