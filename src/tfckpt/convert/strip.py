"""Strip: the model alone, without the state of its optimizer.

What belongs to an optimizer is told by structure and never by a prefix (`tfckpt.core.roles`):
a Keras 3 checkpoint may have its model's kernels under ``optimizer/_trainable_variables``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from tfckpt.convert.running import DataChoice, run_plan
from tfckpt.convert.without import plan_without
from tfckpt.core.discovery import as_path
from tfckpt.core.opening import open_source
from tfckpt.core.plan import Plan, Progress, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.roles import assign_roles
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError

__all__ = ["plan_strip", "strip"]

Path = str | os.PathLike[str]


def strip(src: Path, dst: Path, *, ema: Literal["keep", "drop"] = "keep",
          data: DataChoice = "link", overwrite: bool = False, dry_run: bool = False,
          progress: Progress = no_progress) -> ConvertReport:
    """Write a checkpoint without the state of its optimizer; counters of steps stay.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder. It is never changed.
        dst: Prefix of the result, used exactly as it is.
        ema: Whether moving averages stay.
        data: ``"link"`` the data files, which moves nothing and leaves them as large as they
            are; ``"pack"`` writes new ones with only what is kept; ``"copy"`` copies them.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was done, with the plan.

    Raises:
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile
        >>> report = strip("examples/tf1", tempfile.mkdtemp() + "/slim")
        >>> len(report.plan.outputs), len(report.plan.left_out)
        (7, 14)
    """
    with open_source(src) as source:
        return run_plan(source, plan_strip(source, ema), as_path(dst), data=data,
                        overwrite=overwrite, dry_run=dry_run, progress=progress)


def plan_strip(source: Source, ema: Literal["keep", "drop"] = "keep") -> Plan:
    """Plan a checkpoint without optimizer state.

    Raises:
        UnsupportedError: Nothing of a model would be left.
    """
    roles = assign_roles(source)
    dropped = {}
    for key, assigned in roles.items():
        if assigned.role == "optimizer":
            dropped[key] = f"optimizer state ({assigned.kind})" if assigned.kind \
                else "optimizer state"
        elif assigned.role == "ema" and ema == "drop":
            dropped[key] = "moving average"
    if not any(assigned.role in ("model", "ema") for key, assigned in roles.items()
               if key not in dropped):
        raise UnsupportedError("the checkpoint has no model to keep", file=source.prefix)
    plan = plan_without(source, dropped)
    return plan._replace(notes=(_sizes(source, dropped),)) if dropped else plan


def _sizes(source: Source, dropped: Mapping[str, str]) -> str:
    before = sum(entry.n_bytes for entry in source.index.values())
    without = sum(source.index[key].n_bytes for key in dropped)
    return (f"{len(dropped)} of {len(source.index)} tensors are dropped, {without:,} of"
            f" {before:,} bytes")
