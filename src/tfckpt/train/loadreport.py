"""What a restore loaded, and what it did not: `LoadReport`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tfckpt.errors import CheckpointError, nearest
from tfckpt.format.objectgraph import VARIABLE_VALUE
from tfckpt.format.objectkeys import object_key

__all__ = ["MOST_SHOWN", "LoadReport", "MatchError", "Mismatch", "Missing", "RestoreError",
           "loaded_line", "nearest_keys"]

_VALUE = object_key("", VARIABLE_VALUE)
MOST_SHOWN = 20
"""How many of each kind a report prints; further ones need no nearest names."""


class Missing(NamedTuple):
    """A value of the program that the checkpoint doesn't have.

    Attributes:
        name: Its path or name.
        what: Its dtype and shape.
        nearest: Names in the checkpoint that are most like it.
    """

    name: str
    what: str
    nearest: tuple[str, ...] = ()


class Mismatch(NamedTuple):
    """A value that is on both sides, but not the same kind of thing.

    Attributes:
        name: Its path or name.
        program: Its dtype and shape in the program.
        checkpoint: Its dtype and shape in the checkpoint.
    """

    name: str
    program: str
    checkpoint: str


class LoadReport(NamedTuple):
    """What a restore loaded.

    Attributes:
        matched: Keys that were loaded.
        missing: Values of the program that the checkpoint doesn't have.
        unused: Keys of the checkpoint that nothing took.
        mismatched: Values whose shape or dtype differs.
        notes: What else a reader should know: suggestions, ambiguities.
    """

    matched: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    unused: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def missing_keys(self) -> list[str]:
        """Names that are missing, as PyTorch calls them."""
        return [item.name for item in self.missing]

    @property
    def unexpected_keys(self) -> list[str]:
        """Keys that are unused, as PyTorch calls them."""
        return list(self.unused)

    def __str__(self) -> str:
        counts = (f"matched {len(self.matched)}", f"missing in checkpoint {len(self.missing)}",
                  f"unused in checkpoint {len(self.unused)}", f"differs {len(self.mismatched)}")
        lines = ["   ".join(counts)]
        lines += [f"missing:  {name}  {what}" + (f"   nearest: {', '.join(near)}" if near else "")
                  for name, what, near in self.missing[:MOST_SHOWN]]
        lines += [f"differs:  {name}  program {program}, checkpoint {checkpoint}"
                  for name, program, checkpoint in self.mismatched[:MOST_SHOWN]]
        lines += [f"unused:   {key.removesuffix(_VALUE)}" for key in self.unused[:MOST_SHOWN]]
        for name in ("missing", "unused", "mismatched"):
            more = len(getattr(self, name)) - MOST_SHOWN
            if more > 0:
                lines.append(f"… and {more} more {name}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


class RestoreError(CheckpointError, ValueError):
    """A restore can't do what was asked.

    Attributes:
        report: What it found.
    """

    _FACTS = ("expected", "got", "file", "offset", "tensor", "hint", "report")

    def __init__(self, message: str = "", *, report: LoadReport | None = None,
                 **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]  # facts are those of the root
        self.report = report or LoadReport()

    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.report}"


class MatchError(RestoreError, AssertionError):
    """What a status was asked to assert isn't so; the message has the whole table."""


def loaded_line(what: str, evidence: Mapping[str, int], left_aside: Mapping[str, int]) -> str:
    """The first line of a report on a model that was loaded.

    Args:
        what: What was loaded.
        evidence: How much of it was found by which evidence.
        left_aside: How many tensors of the checkpoint aren't a model's, by what they are.

    Example:
        >>> loaded_line("2 of 3 weights", {"map": 1, "name": 1}, {"optimizer": 4})
        '2 of 3 weights loaded (1 by map, 1 by name). Unused in checkpoint: 4 optimizer.'
    """
    by = ", ".join(f"{n} by {how}" for how, n in evidence.items())
    aside = ", ".join(f"{n} {kind}" for kind, n in left_aside.items())
    return (f"{what} loaded" + (f" ({by})." if by else ".")
            + (f" Unused in checkpoint: {aside}." if aside else ""))


def nearest_keys(name: str, keys: list[str]) -> tuple[str, ...]:
    """Names in a checkpoint most like one of the program, as people say them."""
    return tuple(nearest(name, [key.removesuffix(_VALUE) for key in keys]))
