"""Restoring live objects from an object-based checkpoint, now and as they appear.

A restore walks the checkpoint's object graph and the program's side by side, by the names
of edges. Where the program has no child of a name yet, what is below that edge waits on the
parent, and is restored when the child appears. Nothing that waits keeps an object alive, or
a file open.

Source: python/checkpoint/{checkpoint,restore}.py.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from tfckpt.core.index import Entry
from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError
from tfckpt.format.objectgraph import VARIABLE_VALUE, Attribute, Node, nodes_with_values
from tfckpt.format.objectkeys import escape_local_name
from tfckpt.train.adapters import assign_all, using_session, waits_for_run
from tfckpt.train.claims import claim, is_claimed, is_claimed_since, next_number
from tfckpt.train.deferred import Waiting
from tfckpt.train.fetching import read_values
from tfckpt.train.loadreport import LoadReport, Mismatch, RestoreError
from tfckpt.train.objects import PYTHON_STATE, PythonState, children_of, values_of
from tfckpt.train.optimizer import Optimizer
from tfckpt.train.refusals import mismatch, unreadable, warn
from tfckpt.train.standins import LiveObject
from tfckpt.train.variables import Variable

__all__ = ["Restoration"]

_logger = logging.getLogger("tfckpt")
_MOST = 10


class _Load(NamedTuple):
    """Values that an object takes, by the value's name."""

    node_id: int
    value: Any
    wanted: dict[str, Entry]


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
        nodes: The checkpoint's object graph.
        paths: Path of each node, for messages.
        filled: Nodes whose object has got its values, from here or from a later restore.
        unused: Values that an object of the program didn't take, by node.
        loaded: Keys that were loaded.
        mismatched: Values that differ in shape or dtype, why nothing was loaded.
        ambiguous: A sentence for each stored object that two of the program's claim.
        silent: Whether it says nothing in the end.
    """

    def __init__(self, source: Source) -> None:
        self.silent = True  # until it has begun well
        self.source = source
        self.nodes = source.object_graph
        self.number = next_number()
        self.paths = _paths(self.nodes)
        self.has_values = nodes_with_values(self.nodes)
        self.filled: set[int] = set()
        self.unused: dict[int, list[Attribute]] = {}
        self.loaded: list[str] = []
        self.mismatched: tuple[Mismatch, ...] = ()
        self.ambiguous: list[str] = []
        self._failed = False
        self._bound: dict[int, _Bound] = {}
        self._in_graph: list[_Load] = []
        self._slots: dict[int, list[_Slot]] = {}
        for n, node in enumerate(self.nodes):
            for original, name, slot_id in node.slot_variables:
                slot = _Slot(n, original, name, slot_id)
                self._slots.setdefault(n, []).append(slot)
                self._slots.setdefault(original, []).append(slot)

    def bound(self, node_id: int) -> Any:
        """The object that a node was matched with, or None; it may have died since."""
        found = self._bound.get(node_id)
        return None if found is None else found.value()

    def is_bound(self, node_id: int) -> bool:
        """Whether a node was matched with an object, even if that has died since."""
        return node_id in self._bound

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
            report = LoadReport(tuple(self.loaded), unused=tuple(self.unused_keys()))
            raise unreadable(error, self.source.prefix, report) from None

    def _restore(self, node_id: int, value: Any, attached: dict[str, Any]) -> None:
        """Restore an object and all below it: whole, or not at all."""
        new: list[tuple[int, Any]] = []
        waits: list[tuple[Any, str, int]] = []
        try:
            self._match(node_id, value, attached, new, waits)
            slots = self._slots_of(new)
            missing = [slot for slot in slots if not self._bind_slot(slot, new)]
            planned = self._plan(new)
            loads = [load for load in planned if not waits_for_run(load.value)]
            arrays = self._read(loads)
            made = self._read_new_slots(missing)
        except BaseException:
            if node_id != 0:  # otherwise the report of the error tells what would have matched
                self._forget(new)
            raise
        finally:
            self.source.close()
        for parent, name, child in waits:
            _wait(parent, name, self._waiting(child))
        self._give(loads, arrays)
        self.loaded += [entry.key for load in planned for entry in load.wanted.values()]
        for load in planned:
            if waits_for_run(load.value):
                claim(load.value, self.number)
                self._in_graph.append(load)
        done = {slot.slot for slot, array in made if self._make_slot(slot, array)}
        for slot in missing:
            if slot.slot not in done:  # waits until the optimizer makes it
                self.bound(slot.optimizer).wait_for_slot(
                    self.bound(slot.variable), slot.name, self._waiting(slot.slot))

    def _forget(self, new: list[tuple[int, Any]]) -> None:
        for n, _ in new:
            del self._bound[n]
            self.filled.discard(n)
            self.unused.pop(n, None)

    def _waiting(self, node_id: int) -> Waiting:
        return Waiting(self.number, partial(self._appeared, node_id))

    def _match(self, node_id: int, value: Any, attached: dict[str, Any],
               new: list[tuple[int, Any]], waits: list[tuple[Any, str, int]]) -> None:
        """Match nodes and objects from here on; notes those that are new, and what has to wait."""
        queue = [(node_id, value)]
        for n, current in queue:  # grows while it is walked: breadth first
            if not self._bind(n, current):
                continue
            new.append((n, current))
            found = children_of(current)
            if n == 0:
                found = {**found, **attached}
            for child in self.nodes[n].children:
                if child.local_name in found:
                    queue.append((child.node_id, found[child.local_name]))
                elif child.node_id in self.has_values and not isinstance(current, tuple):
                    waits.append((current, child.local_name, child.node_id))

    def _bind(self, node_id: int, value: Any) -> bool:
        """Match a node with an object; False if it is matched already."""
        before = self._bound.get(node_id)
        if before is not None and not before.is_dead():
            if not before.is_for(value):
                note = (f"two objects of the program claim {self.paths[node_id]} of the"
                        " checkpoint; the first keeps it")
                self.ambiguous.append(note)
                warn(note)
            return False
        self._bound[node_id] = _Bound(value)
        return True

    def _slots_of(self, new: list[tuple[int, Any]]) -> list[_Slot]:
        """Slots whose optimizer and variable are both there, one of them only now."""
        slots = {slot: None for n, _ in new for slot in self._slots.get(n, ())}
        return [slot for slot in slots if isinstance(self.bound(slot.optimizer), Optimizer)
                and _takes_slots(self.bound(slot.variable))]

    def _bind_slot(self, slot: _Slot, new: list[tuple[int, Any]]) -> bool:
        found = self.bound(slot.optimizer).get_slot(self.bound(slot.variable), slot.name)
        if found is not None and self._bind(slot.slot, found):
            new.append((slot.slot, found))
        return found is not None

    def _plan(self, new: list[tuple[int, Any]]) -> list[_Load]:
        """What the newly matched objects take, in the order of the file.

        Raises:
            RestoreError: Something differs in shape or dtype, or in number.
        """
        loads: dict[int, _Load] = {}
        mismatched: list[Mismatch] = []
        for node_id, value in new:
            wanted = self._wanted(node_id, value)
            # An object that is stored twice takes what comes first, as in TensorFlow.
            if not wanted or id(value) in loads or is_claimed(value, self.number):
                continue
            loads[id(value)] = _Load(node_id, value, wanted)
            for name, entry in wanted.items():
                mismatched += mismatch(self._path(node_id, name), value, entry)
        if mismatched:
            self.mismatched = tuple(mismatched)
            raise RestoreError(
                "values of the program and of the checkpoint differ in shape or dtype",
                report=LoadReport(mismatched=self.mismatched), file=self.source.prefix,
                hint="The program is not the one that was saved. Nothing was loaded.")
        return sorted(loads.values(), key=lambda load: _place(load.wanted))

    def _path(self, node_id: int, name: str) -> str:
        path = self.paths[node_id]
        return path if name in {VARIABLE_VALUE, PYTHON_STATE} else f"{path} ({name})"

    def _read(self, loads: list[_Load]) -> list[dict[str, Any]]:
        # All is read before anything is assigned: damage must not leave half of it loaded.
        values = iter(read_values(self.source, [
            (entry, load.value) for load in loads for entry in load.wanted.values()]))
        return [{name: next(values) for name in load.wanted} for load in loads]

    def _read_new_slots(self, missing: list[_Slot]) -> list[tuple[_Slot, Any]]:
        """Slots that can be made here and now, with their values."""
        made: list[tuple[_Slot, Any]] = []
        for slot in missing:
            node = self.nodes[slot.slot]
            if not self.bound(slot.optimizer).makes_slots():
                continue
            if [attribute.name for attribute in node.attributes] == [VARIABLE_VALUE]:
                entry = self.source.index[node.attributes[0].checkpoint_key]
                made += zip([slot], read_values(self.source, [(entry, None)]), strict=True)
        return made

    def _give(self, loads: list[_Load], arrays: list[dict[str, Any]]) -> None:
        # Variables last: they can't fail, but what an object does with its values can.
        both = sorted(zip(loads, arrays, strict=True),
                      key=lambda pair: isinstance(pair[0].value, Variable))
        variables = []
        for (_, value, _), values in both:
            claim(value, self.number)
            if isinstance(value, Variable):
                variables.append((value, values[VARIABLE_VALUE]))
            else:
                _set_values(value, values)
        assign_all(variables)

    def run(self, session: Any) -> None:
        """Restore, in a session, what is in a graph; for it `start` only found what it is.

        What a restore asked for later has restored since stays as it is.
        """
        loads = [load for load in self._in_graph if not is_claimed_since(load.value, self.number)]
        try:
            arrays = self._read(loads)
        finally:
            self.source.close()
        with using_session(session):
            self._give(loads, arrays)

    def _make_slot(self, slot: _Slot, array: Any) -> bool:
        optimizer, variable = self.bound(slot.optimizer), self.bound(slot.variable)
        key = self.nodes[slot.slot].attributes[0].checkpoint_key
        made = optimizer.make_slot(variable, slot.name, array, self.source.index[key].dtype)
        if made is None:  # a framework's optimizer that doesn't make any just now
            return False
        claim(made, self.number)
        self._bound[slot.slot] = _Bound(made)
        self.filled.add(slot.slot)
        self.loaded.append(key)
        return True

    def _wanted(self, node_id: int, value: Any) -> dict[str, Entry]:
        """Entries of the values that an object takes, by the value's name."""
        attributes = self.nodes[node_id].attributes
        if not attributes:
            return {}
        names = values_of(value)
        wanted: dict[str, Entry] = {}
        unused: list[Attribute] = []
        for attribute in attributes:
            found = self._entries(attribute, names)
            wanted |= found
            if not found:
                unused.append(attribute)
        lost = [attribute for attribute in unused if not attribute.optional_restore]
        if wanted and (lost or len(wanted) != len(names)):
            stored = [attribute.name for attribute in attributes]
            raise RestoreError("an object has other values in the program than in the checkpoint",
                               expected=f"{len(names)} ({', '.join(names)})",
                               got=f"{len(stored)} ({', '.join(stored)})",
                               tensor=self.paths[node_id], file=self.source.prefix)
        self.unused[node_id] = unused
        if wanted:
            self.filled.add(node_id)
        for attribute in lost:
            warn(f"nothing takes the value {attribute.name} of {self.paths[node_id]} in the"
                 " checkpoint")
        return wanted

    def _entries(self, attribute: Attribute, names: dict[str, Any]) -> dict[str, Entry]:
        """What an attribute stores for the values of these names.

        For lookup tables and others with names from long ago the key in the object graph is
        only the beginning of several.
        """
        index, key = self.source.index, attribute.checkpoint_key
        entry = index.get(key)
        if entry is not None:
            return {attribute.name: entry} if attribute.name in names else {}
        return {name: index[key + name.removeprefix(attribute.name)] for name in names
                if name.startswith(attribute.name)
                and key + name.removeprefix(attribute.name) in index}

    def _unused(self) -> list[tuple[int, Attribute]]:
        """What nothing took; configuration texts, which are optional, left out."""
        found = [(n, attribute) for n, node in enumerate(self.nodes) if not self.is_bound(n)
                 for attribute in node.attributes]
        found += [(n, attribute) for n, unused in self.unused.items() for attribute in unused]
        # What a saver of the user's own wrote only that could read.
        found += [(n, Attribute(*node.registered_saver)) for n, node in enumerate(self.nodes)
                  if node.registered_saver and not node.attributes]
        return [(n, attribute) for n, attribute in found if not attribute.optional_restore]

    def unused_keys(self) -> list[str]:
        """Keys that nothing took; configuration texts, which are optional, left out."""
        return [attribute.checkpoint_key or self.paths[n] for n, attribute in self._unused()]

    def __del__(self) -> None:
        if self.silent or _logger is None:  # the interpreter is ending, and has cleared modules
            return
        unused = [self._path(n, attribute.name) for n, attribute in self._unused()]
        if unused:
            _logger.warning(
                "%d values of %s were never restored, because no object of the program took them: "
                "%s%s. If that is meant, call expect_partial() on what restore returned.",
                len(unused), self.source.prefix, ", ".join(unused[:_MOST]),
                " …" if len(unused) > _MOST else "")


class _Bound:
    """The object that a node was matched with, not kept alive.

    A tuple can't be referred to weakly. What is in it stands for it, so that another tuple of
    the same things is the same.
    """

    __slots__ = ("_items", "_refer")

    def __init__(self, value: Any) -> None:
        self._items: list[_Bound] | None = None
        self._refer: Callable[[], Any] | None = None
        if isinstance(value, tuple):
            self._items = [_Bound(item) for item in children_of(value).values()]
        else:
            self._refer = (value.refer() if hasattr(type(value), "is_stand_in")
                           else weakref.ref(value))

    def value(self) -> Any:
        """The object, or None if it has died or is a tuple."""
        return None if self._refer is None else self._refer()

    def is_dead(self) -> bool:
        """Whether it has died; a tuple has if something in it has."""
        return self.value() is None if self._items is None else any(
            item.is_dead() for item in self._items)

    def is_for(self, value: Any) -> bool:
        """Whether this is the object that is meant."""
        if self._items is None or not isinstance(value, tuple):
            return self.value() is value
        children = list(children_of(value).values())
        return len(children) == len(self._items) and all(
            item.is_for(child) for item, child in zip(self._items, children, strict=True))


def _place(wanted: dict[str, Entry]) -> tuple[int, int]:
    """Where the first of these values is: files are read from their beginning to their end."""
    first = next(iter(wanted.values()))
    return first.shard_id, first.offset


def _wait(parent: Any, name: str, waiting: Waiting) -> None:
    if isinstance(parent, LiveObject):
        parent.wait_for_child(name, waiting)
    else:
        parent.__dict__.setdefault("_waiting", {}).setdefault(name, []).append(waiting)


def _takes_slots(value: Any) -> bool:
    return isinstance(value, Variable) or (isinstance(value, LiveObject) and value.takes_slots)


def _set_values(value: Any, arrays: dict[str, Any]) -> None:
    if isinstance(value, PythonState):
        (array,) = arrays.values()
        value.deserialize(array[()])
    elif isinstance(value, LiveObject):
        value.set_own_values(arrays)
    else:
        value._restore_from_tensors(arrays)  # noqa: SLF001 - TensorFlow's name, for overriding


def _paths(nodes: tuple[Node, ...]) -> list[str]:
    """The shortest path of each node for messages, escaped as in keys."""
    paths: dict[int, str] = {0: ""}
    queue = [0]
    for n in queue:
        for child in nodes[n].children:
            if child.node_id not in paths:
                prefix = paths[n] + "/" if paths[n] else ""
                paths[child.node_id] = prefix + escape_local_name(child.local_name)
                queue.append(child.node_id)
    paths[0] = "the root"
    for n, node in enumerate(nodes):
        for original, name, slot in node.slot_variables:
            paths[slot] = (f"slot {name!r} of {paths.get(n, '?')} for {paths.get(original, '?')}")
    return [paths.get(n, "?") for n in range(len(nodes))]
