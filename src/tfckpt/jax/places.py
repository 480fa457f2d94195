"""A place for one value in a tree of JAX's: what is elsewhere a variable."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfckpt.format.dtypes import DType
from tfckpt.jax.arrays import array_of, dtype_of, like, shape_of
from tfckpt.train.adapters import Adapter
from tfckpt.train.standins import LiveVariable
from tfckpt.train.values import Shape

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Place"]


class Place(LiveVariable):
    """The stand-in of a value where it is.

    Args:
        value: The value now.
        holder: What holds it and can be asked for it later; None if the value is all there is.
        name: Its path in the tree.
        adapter: The adapter.
        get: Gives the value that is there now.
        keep: Refers to what has it kept for as long as its tree, once it was restored.
        set_value: Puts another in its place; None if that can't be.
    """

    def __init__(self, value: Any, holder: Any, name: str, adapter: Adapter, *,
                 get: Callable[[], Any] | None = None,
                 keep: Callable[[], Callable[[], None] | None] | None = None,
                 set_value: Callable[[Any], None] | None = None) -> None:
        super().__init__(value if holder is None else holder, {}, adapter)
        self.__dict__.update(set_value=set_value, _name=name, _get=get or (lambda: value),
                             _keep=keep)

    set_value: Callable[[Any], None] | None
    _name: str
    _get: Callable[[], Any]
    _keep: Callable[[], Callable[[], None] | None] | None

    @property
    def now(self) -> Any:
        """The value that is there now."""
        return self._get()

    @property
    def full_name(self) -> str:
        return self._name

    @property
    def dtype(self) -> DType:
        return dtype_of(self._get(), self._name)

    @property
    def shape(self) -> Shape:
        return shape_of(self._get())

    def read(self) -> np.ndarray[Any, Any]:
        return array_of(self._get(), self._name)

    def write(self, array: np.ndarray[Any, Any]) -> None:
        assert self.set_value is not None  # the adapter was asked before
        self.set_value(like(self._get(), array))

    def note_restored(self, number: int) -> None:
        keep = self._keep and self._keep()
        if keep:
            keep()

    def refer(self) -> Callable[[], Any]:
        """A weak reference to itself: it lives as long as its tree is set on something."""
        return weakref.ref(self)
