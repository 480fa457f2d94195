"""Edits in place: the result under the name of its source, which is kept under another."""

from __future__ import annotations

import os
from collections.abc import Callable

from tfckpt.convert.running import run_plan
from tfckpt.convert.same_names import plan_same_names
from tfckpt.core.bundle import BundleSource
from tfckpt.core.destination import check_destination
from tfckpt.core.plan import Plan, Progress, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.source import Source
from tfckpt.core.writer import check_keys
from tfckpt.errors import UnsupportedError

__all__ = ["backup_prefix", "replace_source"]


def backup_prefix(prefix: str, backup: str) -> str:
    """Where a checkpoint is kept: a prefix, or its own with something appended.

    Example:
        >>> backup_prefix("runs/m-7", ".bak"), backup_prefix("runs/m-7", "old/m-7")
        ('runs/m-7.bak', 'old/m-7')
    """
    return backup if "/" in backup or os.sep in backup else prefix + backup


def replace_source(source: Source, plan: Plan, backup: str | None, again: Callable[[Source], Plan],
                   *, dry_run: bool = False, progress: Progress = no_progress) -> ConvertReport:
    """Keep a checkpoint under another name, by links, and put the result in its place.

    Until the new index is there, the old one is; after that it is still under the other name.

    Args:
        source: The checkpoint.
        plan: What to write.
        backup: See `backup_prefix`.
        again: The same plan for the checkpoint under its other name.
        dry_run: Whether to write nothing.
        progress: Told about bytes of data files, if they can't be linked.

    Raises:
        UnsupportedError: There is no backup, or the source is a V1 checkpoint.
        CheckpointError: The source is as it was.
    """
    if not backup:
        raise UnsupportedError("a checkpoint is replaced only if the old one is kept",
                               file=source.prefix, hint="Say under which name: --backup .bak")
    if source.format == "V1":
        raise UnsupportedError("a V1 checkpoint can't be replaced in place", file=source.prefix,
                               hint="Write the result elsewhere: -o DST.")
    check_keys(plan)
    kept = backup_prefix(source.prefix, backup)
    check_destination(kept, [source.prefix], overwrite=False)
    notes = (*source.notes, f"the old checkpoint is kept as {kept}")
    if dry_run:
        return ConvertReport(source.prefix, source.prefix, plan, notes=source.notes)
    run_plan(source, plan_same_names(source), kept, progress=progress)
    with BundleSource(kept) as old:
        report = run_plan(old, again(old), source.prefix, overwrite=True, progress=progress)
    return report._replace(source=source.prefix, notes=notes)
