"""Moving averages in place of the variables, or none of them.

A variable's average is ``w/ExponentialMovingAverage`` in TF1, an item of
``_model_variables_moving_average`` in Keras, a slot ``average`` in TensorFlow Addons. With
``zero_debias`` TF1 keeps two helpers beside it, ``biased`` and ``local_step``.
"""

from __future__ import annotations

import os
from typing import Literal

from tfckpt.convert.anatomy import Anatomy, read_anatomy
from tfckpt.convert.running import DataChoice, run_plan
from tfckpt.convert.without import as_it_is, plan_without
from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.pairing import plain_name
from tfckpt.core.plan import Output, Plan, Progress, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.roles import EMA_SUFFIX, assign_roles
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError

__all__ = ["EmaAction", "averages_of", "ema", "lone_averages", "plan_ema"]

Path = str | os.PathLike[str]
EmaAction = Literal["use", "drop"]


def ema(src: Path, dst: Path, action: EmaAction, *, data: DataChoice = "link",
        overwrite: bool = False, dry_run: bool = False, progress: Progress = no_progress
        ) -> ConvertReport:
    """Write a checkpoint in which moving averages are the variables, or one without averages.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder. It is never changed.
        dst: Prefix of the result, used exactly as it is.
        action: ``"use"`` gives each variable the bytes of its average; variables without one
            stay as they are, and are told in the notes. ``"drop"`` leaves the averages out.
        data: ``"link"`` the data files, ``"copy"`` them, or ``"pack"`` what is kept of them.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was done, with the plan.

    Raises:
        UnsupportedError: The checkpoint has no moving averages.
        CheckpointError: Nothing was written.
    """
    with open_source(src) as source:
        return run_plan(source, plan_ema(source, action), as_path(dst), data=data,
                        overwrite=overwrite, dry_run=dry_run, progress=progress)


def plan_ema(source: Source, action: EmaAction) -> Plan:
    """Plan it.

    Raises:
        UnsupportedError: The checkpoint has no moving averages.
    """
    anatomy = read_anatomy(source)
    averages = averages_of(anatomy)
    alone = lone_averages(source)
    helpers = [key for key, assigned in assign_roles(source).items()
               if assigned.role == "ema" and key not in averages.values() and key not in alone]
    if not averages and not alone:
        raise UnsupportedError("the checkpoint has no moving averages", file=source.prefix)
    dropped = dict.fromkeys((*averages.values(), *helpers), "moving average")
    if action == "drop":
        dropped.update(dict.fromkeys(alone, "moving average"))
        return plan_without(source, dropped)
    dropped.update(dict.fromkeys(averages.values(), "it is the variable now"))

    def make(entry: Entry) -> Output:
        average = averages.get(entry.key)
        if average is not None:
            taken = source.index[average]
            return Output(entry.key, taken.dtype, taken.shape, source.origin(taken))
        return as_it_is(source, entry)._replace(key=alone.get(entry.key, entry.key))

    plan = plan_without(source, dropped, make)
    raw = [plain_name(key) for key in anatomy.variables if key not in averages]
    notes = [f"{len(averages) + len(alone)} variables have the values of their moving averages now"]
    if raw:
        notes.append(f"{len(raw)} have no average and stay as they are: {', '.join(raw[:5])}"
                     + (", ..." if len(raw) > 5 else ""))
    return plan._replace(notes=tuple(notes))


def averages_of(anatomy: Anatomy) -> dict[str, str]:
    """Key of the average of each variable."""
    found = dict(anatomy.averages)
    for optimizer in anatomy.optimizers:
        found.update({slot.variable: key for slot, key in optimizer.slots.items()
                      if slot.name == "average"})
    return found


def lone_averages(source: Source) -> dict[str, str]:
    """Averages whose variable isn't in the checkpoint, and the names of these variables."""
    if source.style == "object-based":
        return {}
    suffix = "/" + EMA_SUFFIX
    return {key: key.removesuffix(suffix) for key in source.index
            if key.endswith(suffix) and key.removesuffix(suffix) not in source.index}
