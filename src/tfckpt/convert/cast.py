"""Cast: floating-point tensors in another dtype, with what doesn't fit counted."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tfckpt.convert.chunks import FLOATS, encode_numbers, numbers_of
from tfckpt.convert.running import run_plan
from tfckpt.convert.without import plan_without
from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.origin import Streamed
from tfckpt.core.pairing import plain_name
from tfckpt.core.plan import Output, Plan, Progress, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.roles import assign_roles
from tfckpt.core.source import Source
from tfckpt.format.dtypes import DType, dtype_named

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CastTo", "Lost", "cast", "cast_output", "lost_notes", "plan_cast"]

Path = str | os.PathLike[str]
CastTo = Literal["float16", "bfloat16", "float32", "float64"]


class Lost(NamedTuple):
    """What a dtype couldn't hold of one tensor.

    Attributes:
        n_overflow: Finite numbers that became infinite.
        n_underflow: Numbers that became zero.
    """

    n_overflow: int = 0
    n_underflow: int = 0


def cast(src: Path, dst: Path, dtype: CastTo, *, include: str | None = None,
         exclude: str | None = None, skip_optimizer: bool = False, overwrite: bool = False,
         dry_run: bool = False, progress: Progress = no_progress) -> ConvertReport:
    """Write a checkpoint whose floating-point tensors have another dtype.

    Integers, strings and all that isn't float16, bfloat16, float32 or float64 stay as they are.
    Numbers are rounded to the nearest; those that don't fit become
    infinite or zero, and the notes of the report count them.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder. It is never changed.
        dst: Prefix of the result, used exactly as it is.
        dtype: ``"float16"``, ``"bfloat16"``, ``"float32"`` or ``"float64"``.
        include: Only tensors in whose names this regular expression is found.
        exclude: Not those in whose names this one is found.
        skip_optimizer: Whether the state of optimizers stays as it is.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was done, with the plan.

    Raises:
        ChecksumError: A tensor is damaged. Nothing was written.
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile, tfckpt
        >>> target = tempfile.mkdtemp() + "/half"
        >>> _ = cast("examples/tf1", target, "bfloat16", skip_optimizer=True)
        >>> with tfckpt.open(target) as source:
        ...     source.index["dense/kernel"].dtype.name, source.index["beta1_power"].dtype.name
        ('bfloat16', 'float32')
    """
    lost: dict[str, Lost] = {}
    with open_source(src) as source:
        plan = plan_cast(source, dtype, lost, include=include, exclude=exclude,
                         skip_optimizer=skip_optimizer)
        report = run_plan(source, plan, as_path(dst), data="pack", overwrite=overwrite,
                          dry_run=dry_run, progress=progress)
    return report._replace(plan=plan._replace(notes=(*plan.notes, *lost_notes(lost, dtype))))


def plan_cast(source: Source, dtype: CastTo, lost: dict[str, Lost], *, include: str | None = None,
              exclude: str | None = None, skip_optimizer: bool = False) -> Plan:
    """Plan it.

    Args:
        source: The checkpoint.
        dtype: What its floating-point tensors become.
        lost: Filled when the plan is executed: what didn't fit, by key.
        include: As for `cast`.
        exclude: As for `cast`.
        skip_optimizer: As for `cast`.
    """
    target = dtype_named(dtype)
    roles = assign_roles(source) if skip_optimizer else {}

    def make(entry: Entry) -> Output:
        name = plain_name(entry.key)
        if (entry.dtype.name not in FLOATS or entry.dtype is target
                or (include is not None and not re.search(include, name))
                or (exclude is not None and re.search(exclude, name))
                or (skip_optimizer and roles[entry.key].role == "optimizer")):
            return Output(entry.key, entry.dtype, entry.shape, source.origin(entry))
        return cast_output(source, entry, target, lost)

    plan = plan_without(source, {}, make)
    n_cast = sum(isinstance(output.origin, Streamed) for output in plan.outputs)
    return plan._replace(notes=(f"{n_cast} tensors become {dtype}",))


def cast_output(source: Source, entry: Entry, dtype: DType, lost: dict[str, Lost]) -> Output:
    """A tensor in another dtype.

    Args:
        source: Where it is.
        entry: Its entry.
        dtype: What it becomes.
        lost: Filled when the output is written; see `plan_cast`.
    """
    n_bytes = entry.n_elements * (dtype.size or 0)
    return Output(entry.key, dtype, entry.shape, Streamed(
        n_bytes, partial(_cast, source, entry, dtype, lost), key=entry.key))


def _cast(source: Source, entry: Entry, dtype: DType, lost: dict[str, Lost]
          ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
    import numpy as np  # deferred: only jobs that compute need it

    target = dtype.numpy()
    n_overflow = n_underflow = 0
    for numbers in numbers_of(source, entry):
        with np.errstate(over="ignore", under="ignore"):
            new = numbers.astype(target)
        n_overflow += int(np.count_nonzero(np.isinf(new)) - np.count_nonzero(np.isinf(numbers)))
        n_underflow += int(np.count_nonzero(numbers) - np.count_nonzero(new))
        yield encode_numbers(new, source.byte_order)
    if n_overflow or n_underflow:
        lost[entry.key] = Lost(n_overflow, n_underflow)
    return None


def lost_notes(lost: dict[str, Lost], dtype: str) -> list[str]:
    """What didn't fit, in a sentence; nothing if all did."""
    if not lost:
        return []
    overflow = sum(item.n_overflow for item in lost.values())
    underflow = sum(item.n_underflow for item in lost.values())
    worst = sorted(lost, key=lambda key: lost[key], reverse=True)[:5]
    said = ", ".join(f"{plain_name(key)} ({lost[key].n_overflow:,} and {lost[key].n_underflow:,})"
                     for key in worst)
    return [f"{overflow:,} numbers are too large for {dtype} and became infinite, {underflow:,} too"
            f" small and became zero, in {len(lost)} tensors: {said}"
            + (", ..." if len(lost) > len(worst) else "")]
