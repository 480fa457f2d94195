"""What a restore says of values that can't be taken."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from tfckpt.core.index import Entry
from tfckpt.errors import CheckpointError, CheckpointWarning
from tfckpt.train.loadreport import LoadReport, Mismatch, RestoreError
from tfckpt.train.variables import Variable

__all__ = ["describe", "mismatch", "unreadable", "warn"]


def warn(text: str) -> None:
    """Warn of something in the line of the program that called us."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("tfckpt."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, CheckpointWarning, stacklevel=level)


def unreadable(error: CheckpointError, file: str, report: LoadReport) -> RestoreError:
    """The error for a value that waited and can't be read any more."""
    return RestoreError(
        f"what waited in the checkpoint for this object can't be read: {error.message}",
        expected=error.expected, got=error.got, file=error.file or file, offset=error.offset,
        tensor=error.tensor, report=report,
        hint="The checkpoint was changed or removed after it was restored, or is damaged."
             " Restore one that is whole.")


def mismatch(path: str, value: Any, entry: Entry) -> list[Mismatch]:
    """How a variable and its stored value differ; nothing if they don't."""
    if not isinstance(value, Variable):
        return []  # what other objects accept is their own business
    if entry.dtype == value.dtype and value.accepts(entry.shape):
        return []
    return [Mismatch(path, describe(value), f"{entry.dtype} {list(entry.shape)}")]


def describe(value: Variable) -> str:
    """Dtype and shape of a variable, for tables."""
    return f"{value.dtype} {list(value.shape)}"
