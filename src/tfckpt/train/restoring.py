"""Restoring live objects from an object-based checkpoint, now and as they appear.

A restore walks the checkpoint's object graph and the program's side by side
(`tfckpt.train.bindings`), and gives the objects that it finds their values
(`tfckpt.train.taking`). Where the program has no child of a name yet, what is below that edge
waits on the parent, and is restored when the child appears. Nothing that waits keeps an object
alive, or a file open.

Source: python/checkpoint/{checkpoint,restore}.py.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, NamedTuple

from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError
from tfckpt.format.objectgraph import VARIABLE_VALUE
from tfckpt.train.adapters import using_session, waits_for_run
from tfckpt.train.bindings import Bindings
from tfckpt.train.claims import claim, is_claimed_since, next_number
from tfckpt.train.deferred import Waiting
from tfckpt.train.fetching import read_values
from tfckpt.train.loadreport import LoadReport, Mismatch, RestoreError
from tfckpt.train.optimizer import Optimizer
from tfckpt.train.refusals import unreadable
from tfckpt.train.standins import LiveObject
from tfckpt.train.taking import Load, Taking, give, read_loads
from tfckpt.train.variables import Variable

__all__ = ["Restoration"]

_logger = logging.getLogger("tfckpt")
_MOST = 10


class _Slot(NamedTuple):
    """What an optimizer keeps for a variable, by the numbers of their nodes."""

    optimizer: int
    variable: int
    name: str
    slot: int


class Restoration:
    """One call of ``restore``: which node of the file is which object of the program.

    When nothing refers to it any more, neither its status nor an object of the program that
    waits, it says through the logger ``tfckpt`` what it never found an object for.

    Args:
        source: The checkpoint. Its files are closed between uses.

    Attributes:
        source: It.
        number: The later a restore was asked for, the higher its number.
        bindings: Which node is which object.
        taking: What these objects take of it.
        loaded: Keys that were loaded.
        mismatched: Values that differ in shape or dtype, why nothing was loaded.
        silent: Whether it says nothing in the end.
    """

    def __init__(self, source: Source) -> None:
        self.silent = True  # until it has begun well
        self.source = source
        self.number = next_number()
        self.bindings = Bindings(source.object_graph)
        self.taking = Taking(source, self.bindings)
        self.loaded: list[str] = []
        self.mismatched: tuple[Mismatch, ...] = ()
        self._failed = False
        self._in_graph: list[Load] = []
        self._slots: dict[int, list[_Slot]] = {}
        for n, node in enumerate(source.object_graph):
            for original, name, slot_id in node.slot_variables:
                slot = _Slot(n, original, name, slot_id)
                self._slots.setdefault(n, []).append(slot)
                self._slots.setdefault(original, []).append(slot)

    def start(self, root: Any, attached: dict[str, Any]) -> None:
        """Restore everything that is there now.

        Raises:
            RestoreError: Values differ in shape or dtype; nothing was loaded.
            CheckpointError: The checkpoint is damaged; nothing was loaded.
        """
        try:
            self._restore(0, root, attached)
        except BaseException:
            self._failed = True
            raise
        self.silent = False

    def _appeared(self, node_id: int, value: Any) -> None:
        """Restore an object that something waited for, and all below it."""
        if self._failed:
            return
        try:
            self._restore(node_id, value, {})
        except RestoreError:
            raise
        except CheckpointError as error:
            report = LoadReport(tuple(self.loaded), unused=tuple(self.taking.unused_keys()))
            raise unreadable(error, self.source.prefix, report) from None

    def _restore(self, node_id: int, value: Any, attached: dict[str, Any]) -> None:
        """Restore an object and all below it: whole, or not at all."""
        new: list[tuple[int, Any]] = []
        waits: list[tuple[Any, str, int]] = []
        try:
            self.bindings.walk(node_id, value, attached, new, waits)
            slots = self._slots_of(new)
            missing = [slot for slot in slots if not self._bind_slot(slot, new)]
            planned = self._plan(new)
            loads = [load for load in planned if not waits_for_run(load.value)]
            arrays = read_loads(self.source, loads)
            made = self._read_new_slots(missing)
        except BaseException:
            if node_id != 0:  # otherwise the report of the error tells what would have matched
                self._forget(new)
            raise
        finally:
            self.source.close()
        for parent, name, child in waits:
            _wait(parent, name, self._waiting(child))
        give(loads, arrays, self.number)
        self.loaded += [entry.key for load in planned for entry in load.wanted.values()]
        for load in planned:
            if waits_for_run(load.value):
                claim(load.value, self.number)
                self._in_graph.append(load)
        done = {slot.slot for slot, array in made if self._make_slot(slot, array)}
        for slot in missing:
            if slot.slot not in done:  # waits until the optimizer makes it
                self.bindings.get(slot.optimizer).wait_for_slot(
                    self.bindings.get(slot.variable), slot.name, self._waiting(slot.slot))

    def _forget(self, new: list[tuple[int, Any]]) -> None:
        node_ids = [n for n, _ in new]
        self.bindings.forget(node_ids)
        self.taking.forget(node_ids)

    def _waiting(self, node_id: int) -> Waiting:
        return Waiting(self.number, partial(self._appeared, node_id))

    def _slots_of(self, new: list[tuple[int, Any]]) -> list[_Slot]:
        """Slots whose optimizer and variable are both there, one of them only now."""
        slots = {slot: None for n, _ in new for slot in self._slots.get(n, ())}
        return [slot for slot in slots if isinstance(self.bindings.get(slot.optimizer), Optimizer)
                and _takes_slots(self.bindings.get(slot.variable))]

    def _bind_slot(self, slot: _Slot, new: list[tuple[int, Any]]) -> bool:
        optimizer, variable = self.bindings.get(slot.optimizer), self.bindings.get(slot.variable)
        found = optimizer.get_slot(variable, slot.name)
        if found is not None and self.bindings.bind(slot.slot, found):
            new.append((slot.slot, found))
        return found is not None

    def _plan(self, new: list[tuple[int, Any]]) -> list[Load]:
        """What the newly matched objects take, in the order of the file.

        Raises:
            RestoreError: Something differs in shape or dtype, or in number.
        """
        loads, mismatched = self.taking.plan(new, self.number)
        if mismatched:
            self.mismatched = tuple(mismatched)
            raise RestoreError(
                "values of the program and of the checkpoint differ in shape or dtype",
                report=LoadReport(mismatched=self.mismatched), file=self.source.prefix,
                hint="The program is not the one that was saved. Nothing was loaded.")
        return loads

    def _read_new_slots(self, missing: list[_Slot]) -> list[tuple[_Slot, Any]]:
        """Slots that can be made here and now, with their values."""
        made: list[tuple[_Slot, Any]] = []
        for slot in missing:
            node = self.bindings.nodes[slot.slot]
            if not self.bindings.get(slot.optimizer).makes_slots():
                continue
            if [attribute.name for attribute in node.attributes] == [VARIABLE_VALUE]:
                entry = self.source.index[node.attributes[0].checkpoint_key]
                made += zip([slot], read_values(self.source, [(entry, None)]), strict=True)
        return made

    def run(self, session: Any) -> None:
        """Restore, in a session, what is in a graph; for it `start` only found what it is.

        What a restore asked for later has restored since stays as it is.
        """
        loads = [load for load in self._in_graph if not is_claimed_since(load.value, self.number)]
        try:
            arrays = read_loads(self.source, loads)
        finally:
            self.source.close()
        with using_session(session):
            give(loads, arrays, self.number)

    def _make_slot(self, slot: _Slot, array: Any) -> bool:
        optimizer, variable = self.bindings.get(slot.optimizer), self.bindings.get(slot.variable)
        key = self.bindings.nodes[slot.slot].attributes[0].checkpoint_key
        made = optimizer.make_slot(variable, slot.name, array, self.source.index[key].dtype)
        if made is None:  # a framework's optimizer that doesn't make any just now
            return False
        claim(made, self.number)
        self.bindings.rebind(slot.slot, made)
        self.taking.filled.add(slot.slot)
        self.loaded.append(key)
        return True

    def __del__(self) -> None:
        if self.silent or _logger is None:  # the interpreter is ending, and has cleared modules
            return
        unused = self.taking.unused_paths()
        if unused:
            _logger.warning(
                "%d values of %s were never restored, because no object of the program took them: "
                "%s%s. If that is meant, call expect_partial() on what restore returned.",
                len(unused), self.source.prefix, ", ".join(unused[:_MOST]),
                " …" if len(unused) > _MOST else "")


def _wait(parent: Any, name: str, waiting: Waiting) -> None:
    if isinstance(parent, LiveObject):
        parent.wait_for_child(name, waiting)
    else:
        parent.__dict__.setdefault("_waiting", {}).setdefault(name, []).append(waiting)


def _takes_slots(value: Any) -> bool:
    return isinstance(value, Variable) or (isinstance(value, LiveObject) and value.takes_slots)
