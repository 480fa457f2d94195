"""Objects that keep variables for other variables.

Source: python/training/optimizer.py, keras/optimizers/optimizer_v2.
"""

from __future__ import annotations

import weakref
from typing import Any

from tfckpt.errors import VariableError
from tfckpt.train.deferred import Waiting, fill
from tfckpt.train.graphs import executing_eagerly, name_scope
from tfckpt.train.objects import Trackable
from tfckpt.train.variables import Variable

__all__ = ["Optimizer"]


class Optimizer(Trackable):
    """An object that keeps *slots*: variables for other variables.

    A slot is saved below the variable it belongs to, and one whose value waits in a
    checkpoint gets that when it is made.

    Example:
        >>> optimizer, w = Optimizer(), Variable(1.0)
        >>> m = optimizer.add_slot(w, "m", 0.0)
        >>> optimizer.get_slot(w, "m") is m, optimizer.get_slot_names()
        (True, ['m'])
    """

    def __init__(self) -> None:
        self.__dict__["_slots"] = {}
        self.__dict__["_waiting_slots"] = []

    _slots: dict[str, dict[int, tuple[Variable, Variable]]]
    _waiting_slots: list[tuple[weakref.ref[Variable], str, Waiting]]

    def get_slot_names(self) -> list[str]:
        """Names of its slots, sorted."""
        return sorted(self._slots)

    def get_slot(self, var: Any, name: str) -> Variable | None:
        """The slot of this name for a variable, or None."""
        found = self._slots.get(name, {}).get(id(var))
        return found[1] if found else None

    def add_slot(self, var: Variable, slot_name: str, initializer: Any = 0.0,
                 name: str | None = None) -> Variable:
        """Make a slot, or find the one that is there, be it that a restore has made it.

        Args:
            var: The variable it belongs to.
            slot_name: Its name.
            initializer: Its value: a number, or an array of the variable's shape.
            name: Its full name, by which it is found in a name-based checkpoint; by default
                the variable's and its own, ``w/m``.

        Raises:
            VariableError: A restored slot has another shape or dtype than the variable.
        """
        found = self.get_slot(var, slot_name)
        if found is not None:
            if (found.shape, found.dtype) != (var.shape, var.dtype):
                raise VariableError(
                    "the slot that was restored is not like its variable",
                    expected=f"{var.dtype} {list(var.shape)}",
                    got=f"{found.dtype} {list(found.shape)}", tensor=found.full_name)
            return found
        import numpy as np  # deferred: making names needs no numpy

        value = np.broadcast_to(np.asarray(initializer, var.dtype.numpy()), var.array.shape)
        slot = self.make_slot(var, slot_name, value, name=name)
        self._fill_slot(var, slot_name, slot)
        return slot

    def make_slot(self, var: Variable, slot_name: str, value: Any, dtype: Any = None,
                  name: str | None = None) -> Variable:
        """Make a slot of any shape, which nothing that waits fills."""
        with name_scope(None):  # the variable's name is a full one
            slot = Variable(value, trainable=False, dtype=dtype,
                            name=name or f"{var.full_name}/{slot_name}")
        self._slots.setdefault(slot_name, {})[id(var)] = var, slot
        return slot

    def _fill_slot(self, var: Variable, slot_name: str, slot: Variable) -> None:
        ours = [waiting for owner, name, waiting in self._waiting_slots
                if owner() is var and name == slot_name]
        self._waiting_slots[:] = [item for item in self._waiting_slots
                                  if item[2] not in ours and item[0]() is not None]
        fill([*ours, *self.__dict__.get("_waiting_for_any", ())], slot)

    def makes_slots(self) -> bool:
        """Whether `make_slot` may be called before the optimizer itself needs the slot."""
        return executing_eagerly()

    def wait_for_slot(self, var: Variable, slot_name: str, waiting: Waiting) -> None:
        """Have a slot filled when it is made."""
        self._waiting_slots.append((weakref.ref(var), slot_name, waiting))

    def __getstate__(self) -> dict[str, Any]:
        slots = [(name, var, slot) for name, kept in self._slots.items()
                 for var, slot in kept.values()]
        return {**super().__getstate__(), "_slots": slots, "_waiting_slots": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__["_slots"] = {}  # anew: variables are known by their ids
        for name, var, slot in state["_slots"]:
            self._slots.setdefault(name, {})[id(var)] = var, slot
