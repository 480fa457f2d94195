"""What was renamed, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tfckpt.core.renaming import RenameReport
from tfckpt.report.json import convert_json
from tfckpt.report.text import columns, human_bytes, printable

__all__ = ["rename_json", "render_rename"]

_MOST_ROWS = 20


def render_rename(report: RenameReport, *, everything: bool = False) -> Iterator[str]:
    """A line for each name that changed, and what was written.

    Args:
        report: What was renamed.
        everything: Whether all names are shown, however many there are.
    """
    shown = report.renamings if everything else report.renamings[:_MOST_ROWS]
    yield from ("  " + line for line in columns(
        [printable(item.old), "--" if item.new is None else "->",
         "dropped" if item.new is None else printable(item.new), _followers(item.followers)]
        for item in shown))
    if len(shown) < len(report.renamings):
        yield f"  … and {len(report.renamings) - len(shown)} more (--verbose shows them)"
    for note in report.done.plan.notes:
        yield f"note  {printable(note)}"
    n_dropped = sum(item.new is None for item in report.renamings)
    counts = [f"{len(report.renamings) - n_dropped:,} renamed",
              *([f"{n_dropped:,} dropped"] if n_dropped else []),
              f"{len(report.names) - len(report.renamings):,} unchanged", "0 collisions"]
    if not report.done.files:
        yield f"{', '.join(counts)}. Nothing written (--dry-run)."
        return
    yield f"{', '.join(counts)}. {report.done.source} -> {report.done.target}"
    yield from ("  " + line for line in columns(
        ([file.file, human_bytes(file.n_bytes),
          file.how if file.how == "new" else "copied" if file.how == "copy" else
          f"linked ({file.how})"] for file in report.done.files), right=[1]))


def _followers(kinds: Sequence[str]) -> str:
    """Slots and averages that go with a variable.

    Example:
        >>> _followers(["Adam", "Adam_1", "EMA"]), _followers(["m", "v"])
        ('(+ 2 Adam slots, 1 EMA)', '(+ 2 slots: m, v)')
    """
    slots = [kind for kind in kinds if kind != "EMA"]
    parts = []
    stems = Counter(kind.rstrip("0123456789").removesuffix("_") or kind for kind in slots)
    noun = "slot" if len(slots) == 1 else "slots"
    if len(stems) == 1:
        parts.append(f"{len(slots)} {next(iter(stems))} {noun}")
    elif slots:
        parts.append(f"{len(slots)} {noun}: {', '.join(slots)}")
    if len(slots) < len(kinds):
        parts.append(f"{len(kinds) - len(slots)} EMA")
    return f"(+ {', '.join(parts)})" if parts else ""


def rename_json(report: RenameReport) -> dict[str, Any]:
    """What was renamed."""
    return {
        "renamed": {item.old: item.new for item in report.renamings},
        "followers": {item.old: list(item.followers) for item in report.renamings
                      if item.followers},
        "unchanged": len(report.names) - len(report.renamings),
        **convert_json(report.done),
    }
