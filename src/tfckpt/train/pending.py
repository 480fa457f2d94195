"""A save in two steps: what is saved is taken now, and the files are written later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tfckpt.core.collection import no_collection
from tfckpt.core.plan import Plan

__all__ = ["PendingSave"]


class PendingSave(NamedTuple):
    """A save whose values are taken and whose files aren't written yet.

    The plan refers to arrays that nobody writes to any more: `Variable` gets a new array with
    each assignment, and a framework's variable gives a copy, or a view on a buffer that the
    framework leaves alone as long as the view exists. So nothing is copied here.

    Attributes:
        result: What the save returns: a prefix, or `SavedBoth`.
        plan: What is written.
        write: Writes it, and then what follows: the state file, and the deletion of old saves.
    """

    result: Any
    plan: Plan
    write: Callable[[Plan], object]

    def finish(self) -> Any:
        """Write the files; the result."""
        with no_collection():
            self.write(self.plan)
        return self.result
