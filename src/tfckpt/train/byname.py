"""Restoring live objects from a name-based checkpoint, by the full names of their variables.

Names need no structure, so what appears later anywhere below an object that was there is
restored too, slots included.

Source: python/checkpoint/{checkpoint,restore}.py.
"""

from __future__ import annotations

from typing import Any

from tfckpt.core.index import Entry
from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError
from tfckpt.train.adapters import assign_all, memory_of, using_session, waits_for_run
from tfckpt.train.claims import claim, is_claimed, is_claimed_since, next_number
from tfckpt.train.deferred import Waiting
from tfckpt.train.fetching import read_values
from tfckpt.train.graphview import GraphView, Stored, view_objects
from tfckpt.train.loadreport import LoadReport, Mismatch, RestoreError
from tfckpt.train.refusals import mismatch, unreadable
from tfckpt.train.standins import LiveObject
from tfckpt.train.variables import Variable

__all__ = ["NamedRestoration"]


class NamedRestoration:
    """One call of ``restore`` with a name-based checkpoint. It keeps no object alive.

    Args:
        source: The checkpoint. Its files are closed between uses.

    Attributes:
        loaded: Names that were loaded.
        mismatched: Values that differ in shape or dtype, why nothing was loaded.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.number = next_number()
        self.loaded: dict[str, None] = {}
        self._in_graph: list[tuple[Variable, Entry]] = []
        self.mismatched: tuple[Mismatch, ...] = ()

    def missing(self, view: GraphView) -> list[Stored]:
        """Values that have nothing from this restore or a later one, under their full names."""
        items = [_by_name(item) for item in view.stored
                 if not is_claimed(item.owner, self.number)]
        return [item for item in items if not self.mismatched or item.key not in self.source.index]

    def unused(self, view: GraphView) -> list[str]:
        """Names that nothing took."""
        taken = ({_by_name(item).key for item in view.stored} if self.mismatched  # none is loaded
                 else self.loaded)
        return [key for key in self.source.index if key not in taken]

    def restore(self, view: GraphView) -> None:
        """Restore these objects, and have what appears below them restored: all, or nothing.

        Raises:
            RestoreError: Something differs in shape or dtype; nothing was loaded.
        """
        found = self._find(view)
        self._load([pair for pair in found if not waits_for_run(pair[0])])
        self._in_graph += [pair for pair in found if waits_for_run(pair[0])]
        for variable, entry in found:
            claim(variable, self.number)
            self.loaded[entry.key] = None
        for value in view.objects:
            if not isinstance(value, (tuple, Variable)):  # they never get a new child
                waiting = Waiting(self.number, self._appeared)
                memory_of(value).setdefault("_waiting_for_any", []).append(waiting)
                if isinstance(value, LiveObject):
                    value.wait_for_any(waiting)

    def _load(self, pairs: list[tuple[Variable, Entry]]) -> None:
        try:
            arrays = read_values(self.source, [(entry, variable) for variable, entry in pairs])
        finally:
            self.source.close()
        assign_all((variable, array) for (variable, _), array in zip(pairs, arrays, strict=True))

    def run(self, session: Any) -> None:
        """Restore, in a session, what is in a graph; `restore` only found what it is."""
        with using_session(session):
            self._load([pair for pair in self._in_graph
                        if not is_claimed_since(pair[0], self.number)])

    def _find(self, view: GraphView) -> list[tuple[Variable, Entry]]:
        """Each variable that is in the checkpoint, and has nothing newer, with its entry."""
        found = []
        mismatched: list[Mismatch] = []
        for variable in (item.owner for item in view.stored):
            if not isinstance(variable, Variable) or is_claimed(variable, self.number):
                continue
            entry = self.source.index.get(variable.full_name)
            if entry is not None:
                found.append((variable, entry))
                mismatched += mismatch(variable.full_name, variable, entry)
        if mismatched:
            self.mismatched = tuple(mismatched)
            raise RestoreError(
                "values of the program and of the checkpoint differ in shape or dtype",
                report=LoadReport(mismatched=self.mismatched), file=self.source.prefix,
                hint="Nothing was loaded.")
        return sorted(found, key=lambda pair: (pair[1].shard_id, pair[1].offset))

    def _appeared(self, value: Any) -> None:
        hooked = () if isinstance(value, tuple) else memory_of(value).get("_waiting_for_any", ())
        if any(waiting.number == self.number for waiting in hooked):
            return
        try:
            self.restore(view_objects(value))
        except RestoreError:
            raise
        except CheckpointError as error:
            raise unreadable(error, self.source.prefix, LoadReport(tuple(self.loaded))) from None


def _by_name(item: Stored) -> Stored:
    """A value with its full name in the place of its key; what has none keeps its path."""
    return item._replace(key=item.owner.full_name) if isinstance(item.owner, Variable) else item
