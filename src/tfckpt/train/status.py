"""What a restore returns: asserts of TensorFlow's meaning, each a view on one report.

    ================================= =================================== ====================
    assert                            object-based checkpoint             name-based checkpoint
    ================================= =================================== ====================
    assert_consumed                   all of the program and all of the   all of the program
                                      checkpoint matched
    assert_existing_objects_matched   all of the program matched          the same
    assert_nontrivial_match           something but the root matched      the same
    ================================= =================================== ====================

For a name-based checkpoint TensorFlow passes over unused values in all three; they are in
the report all the same. Each looks at the program as it is when it is asked, and a status
keeps the program's objects alive for that, as TensorFlow's does.

Source: python/checkpoint/checkpoint.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from tfckpt.format.objectkeys import object_key
from tfckpt.train.adapters import initialize, using_session
from tfckpt.train.byname import NamedRestoration
from tfckpt.train.claims import ask, is_claimed
from tfckpt.train.graphview import GraphView, Stored
from tfckpt.train.loadreport import LoadReport, MatchError, Missing, nearest_keys
from tfckpt.train.refusals import describe
from tfckpt.train.restoring import Restoration
from tfckpt.train.variables import Variable

__all__ = ["LoadStatus", "NameBasedStatus", "NothingStatus", "ObjectStatus", "RestoreStatus"]


class RestoreStatus(ABC):
    """What `Checkpoint.restore` and `Checkpoint.read` return."""

    _restoration: Any
    _view: Callable[[], GraphView]

    @property
    @abstractmethod
    def report(self) -> LoadReport:
        """What was loaded so far, and what wasn't."""

    @abstractmethod
    def assert_consumed(self) -> RestoreStatus:
        """Raise unless all of the program and of the checkpoint matched."""

    @abstractmethod
    def assert_existing_objects_matched(self) -> RestoreStatus:
        """Raise unless every object of the program got its values."""

    @abstractmethod
    def assert_nontrivial_match(self) -> RestoreStatus:
        """Raise if nothing but the root matched."""

    def expect_partial(self) -> RestoreStatus:
        """Say that parts of the checkpoint may stay unused, and no warning is wanted."""
        return self

    def run_restore_ops(self, session: Any = None) -> None:
        """Give variables of a TensorFlow graph their values; all others have them already.

        Args:
            session: The session; the default one if it is None.
        """
        self._restoration.run(session)

    def initialize_or_restore(self, session: Any = None) -> None:
        """`run_restore_ops`, and initialize what the checkpoint has no value for.

        What has a value from a restore that was asked for later keeps it.
        """
        self.run_restore_ops(session)
        with using_session(session):
            initialize(value for value in self._view().objects
                       if not is_claimed(value, self._restoration.number))


LoadStatus = RestoreStatus


class ObjectStatus(RestoreStatus):
    """Status of a restore from an object-based checkpoint.

    Args:
        restoration: The restore.
        view: Looks at the program's objects as they are now.
    """

    def __init__(self, restoration: Restoration, view: Callable[[], GraphView]) -> None:
        self._restoration = restoration
        self._view = view

    def _missing(self) -> list[Stored]:
        """Values of the program that it didn't get from this restore or a later one."""
        restoration = self._restoration
        view = self._view()  # first: it keeps stand-ins alive, and so known by their ids
        got = {id(value) for value in map(restoration.bindings.get, restoration.taking.filled)
               if value is not None}
        return [item for item in view.stored if id(item.owner) not in got]

    @property
    def report(self) -> LoadReport:
        restoration = self._restoration
        keys = list(restoration.source.index)
        return LoadReport(
            tuple(restoration.loaded), tuple(_missing(item, keys) for item in self._missing()),
            tuple(restoration.taking.unused_keys()), restoration.mismatched,
            notes=tuple(restoration.bindings.ambiguous))

    def assert_existing_objects_matched(self) -> ObjectStatus:
        """Raise unless every value of the program was restored.

        Raises:
            MatchError: With the whole report.
        """
        missing = self._missing()
        if missing:
            raise MatchError(f"{len(missing)} values of the program were not restored",
                             report=self.report, file=self._restoration.source.prefix)
        if self._restoration.bindings.ambiguous:
            raise MatchError("two objects of the program claim one of the checkpoint",
                             report=self.report, file=self._restoration.source.prefix)
        return self

    def assert_consumed(self) -> ObjectStatus:
        """Raise unless everything on both sides was matched.

        Raises:
            MatchError: With the whole report.
        """
        self.assert_existing_objects_matched()
        unused = self._restoration.taking.unused_keys()
        if unused:
            raise MatchError(f"{len(unused)} values of the checkpoint were taken by no object",
                             report=self.report, file=self._restoration.source.prefix)
        return self

    def assert_nontrivial_match(self) -> ObjectStatus:
        """Raise if nothing but the root was matched.

        Raises:
            MatchError: With the whole report.
        """
        bindings = self._restoration.bindings
        if not any(n in bindings for n in range(1, len(bindings.nodes))):
            raise MatchError("nothing but the root object was matched", report=self.report,
                             file=self._restoration.source.prefix)
        return self

    def expect_partial(self) -> ObjectStatus:
        self._restoration.silent = True
        return self


class NameBasedStatus(RestoreStatus):
    """Status of a restore from a name-based checkpoint into objects, by their full names.

    Args:
        restoration: The restore.
        view: Looks at the program's objects as they are now.
        optional: Variables that the checkpoint need not have.
    """

    def __init__(self, restoration: NamedRestoration, view: Callable[[], GraphView],
                 optional: tuple[Variable, ...] = ()) -> None:
        self._restoration = restoration
        self._view = view
        self._optional = optional

    def leave_out(self, variable: Variable) -> None:
        """Pass over a variable that the checkpoint need not have."""
        self._optional += (variable,)

    def _missing(self) -> list[Stored]:
        return [item for item in self._restoration.missing(self._view())
                if not any(item.owner is variable for variable in self._optional)]

    @property
    def report(self) -> LoadReport:
        restoration = self._restoration
        keys = list(restoration.source.index)
        return LoadReport(
            tuple(restoration.loaded), tuple(_missing(item, keys) for item in self._missing()),
            tuple(restoration.unused(self._view())), restoration.mismatched)

    def assert_consumed(self) -> NameBasedStatus:
        """Raise unless every value of the program was found under its name.

        Raises:
            MatchError: With the whole report.
        """
        missing = self._missing()
        if missing:
            raise MatchError(
                f"{len(missing)} values of the program are not in the name-based checkpoint",
                report=self.report, file=self._restoration.source.prefix)
        return self

    def assert_existing_objects_matched(self) -> NameBasedStatus:
        return self.assert_consumed()

    def assert_nontrivial_match(self) -> NameBasedStatus:
        return self.assert_consumed()


class NothingStatus(RestoreStatus):
    """Status of restoring nothing, because there is no checkpoint yet.

    Args:
        view: Looks at the program's objects as they are now.
    """

    def __init__(self, view: Callable[[], GraphView]) -> None:
        self._view = view
        self._number = ask(view().objects)

    @property
    def report(self) -> LoadReport:
        return LoadReport(notes=("no checkpoint was given to restore from",))

    def run_restore_ops(self, session: Any = None) -> None:
        """Do nothing: there is no checkpoint."""

    def initialize_or_restore(self, session: Any = None) -> None:
        """Initialize variables of a graph that no restore since has given a value."""
        with using_session(session):
            initialize(value for value in self._view().objects
                       if not is_claimed(value, self._number))

    def assert_consumed(self) -> NothingStatus:
        """Raise: nothing was restored.

        Raises:
            MatchError: Always.
        """
        raise MatchError("no checkpoint was restored: the path was None", report=self.report)

    def assert_existing_objects_matched(self) -> NothingStatus:
        return self.assert_consumed()

    def assert_nontrivial_match(self) -> NothingStatus:
        return self.assert_consumed()


def _missing(item: Stored, keys: list[str]) -> Missing:
    path = item.key.removesuffix(object_key("", item.name)).removesuffix(object_key("", ""))
    if not isinstance(item.value, Variable):
        return Missing(path, item.name)
    near = nearest_keys(path, keys) or nearest_keys(item.value.full_name, keys)
    return Missing(path or "the root", describe(item.value), near)
