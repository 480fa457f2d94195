"""Conversion from end to end: open, plan, write, verify."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from tfckpt.convert.tf1_to_tf2 import plan_tf1_to_tf2
from tfckpt.convert.tf2_to_tf1 import NameChoice, plan_tf2_to_tf1
from tfckpt.core.discovery import as_path
from tfckpt.core.opening import open_source
from tfckpt.core.plan import Output, Plan, Progress, no_progress, packed
from tfckpt.core.report import ConvertReport
from tfckpt.core.source import Source
from tfckpt.core.writer import DataMode, check_destination, check_keys, write_plan

__all__ = ["DataChoice", "Target", "convert", "run_plan"]

DataChoice = Literal["link", "copy", "pack"]
"""What becomes of data files: `DataMode`, or new ones with only what the result has."""

Target = Literal["tf1", "tf2", "tf1-v1"]


def convert(src: str | os.PathLike[str], dst: str | os.PathLike[str], *, to: Target,
            root: str = "vars", names: NameChoice = "auto", data: DataMode = "link",
            overwrite: bool = False, dry_run: bool = False, progress: Progress = no_progress
            ) -> ConvertReport:
    """Convert a checkpoint between TF1 (name-based) and TF2 (object-based).

    The tensors' bytes are neither read nor rewritten: the data files get a second name, and
    a new index beside them new keys. What was written is read back before this returns.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder. It is never changed.
        dst: Prefix of the result, used exactly as it is.
        to: ``"tf2"``: ``tf.train.Checkpoint(vars={name: variable})`` restores it, and
            ``assert_consumed()`` holds. ``"tf1"``: ``tf.compat.v1.train.Saver`` restores it.
            ``"tf1-v1"``: the same in one file of the V1 format, for programs from before 2017;
            its values are encoded anew.
        root: For TF2, the name that is ``vars`` above.
        names: For TF1, where names come from; see `plan_tf2_to_tf1`.
        data: ``"link"`` the data files (reflink, else hard link, else copy) or ``"copy"``.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files, which only a copy moves.

    Returns:
        What was done, with the plan.

    Raises:
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile, tfckpt
        >>> report = tfckpt.convert("examples/tf1", tempfile.mkdtemp() + "/ckpt", to="tf2")
        >>> report.plan.outputs[2].key
        'vars/block..1.Sw/.ATTRIBUTES/VARIABLE_VALUE'
    """
    target = as_path(dst)
    with open_source(src) as source:
        if to == "tf2":
            plan = plan_tf1_to_tf2(source, root)
        elif to == "tf1":
            plan = plan_to_names(source, names)
        elif to == "tf1-v1":
            plan = (plan_tf2_to_tf1(source, names) if source.style == "object-based"
                    else plan_same_names(source))
            return _convert_to_v1(source, plan, target,
                                  overwrite=overwrite, dry_run=dry_run, progress=progress)
        else:
            raise ValueError(f"to must be 'tf1', 'tf1-v1' or 'tf2', not {to!r}")
        return run_plan(source, plan, target, data=data, overwrite=overwrite, dry_run=dry_run,
                        progress=progress)


def plan_to_names(source: Source, names: NameChoice) -> Plan:
    """Plan a name-based checkpoint; one that is name-based already keeps its names.

    Raises:
        UnsupportedError: It is a name-based V2 bundle already.
    """
    if source.style == "object-based" or source.format == "V2":
        return plan_tf2_to_tf1(source, names)
    return plan_same_names(source)


def plan_same_names(source: Source) -> Plan:
    """Plan a checkpoint with the same tensors."""
    return Plan(tuple(Output(entry.key, entry.dtype, entry.shape, source.origin(entry))
                      for entry in source.index.values()), source.style, source.byte_order)


def _convert_to_v1(source: Source, plan: Plan, target: str, *, overwrite: bool, dry_run: bool,
                   progress: Progress) -> ConvertReport:
    from tfckpt.core.writer_v1 import check_v1_destination, write_v1_plan  # deferred: rare by now

    files = source.files()
    if dry_run:
        check_v1_destination(target, files, overwrite=overwrite)
        return ConvertReport(source.prefix, target, plan, notes=source.notes)
    written = write_v1_plan(plan, target, sources=files, overwrite=overwrite, progress=progress)
    return ConvertReport(source.prefix, target, plan, written, source.notes)


def run_plan(source: Source | Sequence[Source], plan: Plan, target: str, *,
             data: DataChoice = "link", overwrite: bool = False, dry_run: bool = False,
             progress: Progress = no_progress) -> ConvertReport:
    """Write what a rule made of one source or several, or only say what would be written.

    Raises:
        CheckpointError: Nothing was written.
    """
    check_keys(plan)
    if data == "pack":
        plan, data = packed(plan), "link"
    sources = [source] if isinstance(source, Source) else source
    prefixes = [item.prefix for item in sources]
    report = ConvertReport(", ".join(prefixes), target, plan,
                           notes=tuple(note for item in sources for note in item.notes))
    # Also what isn't linked but streamed must not be written over.
    check_destination(target, prefixes, overwrite=overwrite)
    if dry_run:
        return report
    files = write_plan(plan, target, data=data, overwrite=overwrite, progress=progress)
    return report._replace(files=files)
