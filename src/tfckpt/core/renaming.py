"""What renaming found out, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tfckpt.core.report import ConvertReport

__all__ = ["RenameReport", "Renaming"]


class Renaming(NamedTuple):
    """What became of a name.

    Attributes:
        old: The name of a variable.
        new: Its new one; None if it was dropped.
        followers: Kinds of the slots that went with it, ``EMA`` for moving averages.
    """

    old: str
    new: str | None
    followers: tuple[str, ...] = ()


class RenameReport(NamedTuple):
    """What was renamed, or would be.

    Attributes:
        done: What was written, with the plan.
        renamings: Every name that changed.
        names: The new name of every variable, as a map file has it.
    """

    done: ConvertReport
    renamings: tuple[Renaming, ...]
    names: Mapping[str, str | None]
