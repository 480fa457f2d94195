"""Average: the mean of several checkpoints of one training."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.convert.anatomy import read_anatomy
from tfckpt.convert.chunks import FLOATS, encode_numbers, numbers_of
from tfckpt.convert.optimizers.carry import read_value
from tfckpt.convert.running import run_plan
from tfckpt.convert.steps import step_keys
from tfckpt.convert.without import as_it_is, plan_without
from tfckpt.core.catalog import read_catalog
from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.origin import Streamed
from tfckpt.core.pairing import plain_name
from tfckpt.core.plan import Output, Plan, Progress, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.roles import assign_roles
from tfckpt.core.source import Source
from tfckpt.errors import CheckpointNotFoundError, MismatchError, UnsupportedError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY

if TYPE_CHECKING:
    import numpy as np

__all__ = ["average", "last_of_folder", "plan_average"]

Path = str | os.PathLike[str]


class _Member(NamedTuple):
    source: Source
    weight: float
    step: int | None


def average(srcs: Path | Sequence[Path], dst: Path, *, last: int | None = None,
            weights: Sequence[float] | None = None, keep_twins: bool = False,
            keep_optimizer: bool = False, overwrite: bool = False, dry_run: bool = False,
            progress: Progress = no_progress) -> ConvertReport:
    """Write the mean of several checkpoints.

    Floating-point tensors are added up in float64, a few MiB at a time, and rounded once.
    Everything else (counters, strings) is that of the last checkpoint.

    Args:
        srcs: The checkpoints; or one folder, with ``last``.
        dst: Prefix of the result, used exactly as it is.
        last: How many of the newest checkpoints of the folder to take.
        weights: How much each counts; all the same if not given.
        keep_twins: Whether a checkpoint counts that is at most one step after another one,
            as savers write them at the end of a training.
        keep_optimizer: Whether the state of optimizers is averaged too, or left out.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was done, with the plan.

    Raises:
        MismatchError: They don't have the same tensors.
        ChecksumError: A tensor is damaged. Nothing was written.
        CheckpointError: Nothing was written.
    """
    srcs = [srcs] if isinstance(srcs, str | os.PathLike) else srcs
    paths = last_of_folder(srcs, last) if last is not None else list(srcs)
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(path)) for path in paths]
        plan = plan_average(sources, weights, keep_twins=keep_twins,
                            keep_optimizer=keep_optimizer)
        return run_plan(sources, plan, as_path(dst), data="pack", overwrite=overwrite,
                        dry_run=dry_run, progress=progress)


def last_of_folder(srcs: Sequence[Path], last: int) -> list[str]:
    """Prefixes of the newest whole checkpoints of a folder, in the order of their steps.

    Raises:
        UnsupportedError: More than one folder was given.
        CheckpointNotFoundError: It doesn't have as many.
    """
    if len(srcs) != 1:
        raise UnsupportedError("the last checkpoints are those of one folder", got=len(srcs))
    found = [entry.prefix for entry in read_catalog(srcs[0]).checkpoints if not entry.problem]
    if len(found) < last:
        raise CheckpointNotFoundError("the folder has fewer whole checkpoints", file=srcs[0],
                                      expected=last, got=len(found))
    return found[len(found) - last:]


def plan_average(sources: Sequence[Source], weights: Sequence[float] | None = None, *,
                 keep_twins: bool = False, keep_optimizer: bool = False) -> Plan:
    """Plan it.

    Raises:
        MismatchError: The checkpoints don't have the same tensors.
        UnsupportedError: There is nothing to average, or the weights don't go with it.
    """
    if weights is not None and (len(weights) != len(sources) or sum(weights) <= 0
                                or min(weights) < 0):
        raise UnsupportedError("the weights don't go with the checkpoints", got=list(weights),
                               expected=f"{len(sources)} numbers from 0, not all 0")
    members = [_Member(source, weight, _step(source)) for source, weight
               in zip(sources, weights or [1.0] * len(sources), strict=True)]
    members, notes = (members, []) if keep_twins else _without_twins(members)
    if len(members) < 2:
        hint = " ".join(notes) or ("Give several, or a folder and how many of its newest: --last 5"
                                   " (last=5).")
        raise UnsupportedError("averaging takes two checkpoints at least", got=len(members),
                               hint=hint)
    final = members[-1].source
    roles = assign_roles(final)
    dropped = {} if keep_optimizer else {
        key: "optimizer state" for key, assigned in roles.items()
        if assigned.role == "optimizer"}
    _check_same([member.source for member in members], set(dropped))
    total = sum(member.weight for member in members)

    def make(entry: Entry) -> Output:
        if entry.dtype.name not in FLOATS:
            return as_it_is(final, entry)
        return Output(entry.key, entry.dtype, entry.shape, Streamed(
            entry.n_elements * (entry.dtype.size or 0),
            partial(_mean, members, total, entry, final.byte_order), key=entry.key))

    plan = plan_without(final, dropped, make)
    n_mean = sum(output.dtype.name in FLOATS for output in plan.outputs)
    n_last = len(plan.outputs) - n_mean - (OBJECT_GRAPH_KEY in final)
    steps = [str(member.step) for member in members if member.step is not None]
    told = f" (steps {', '.join(steps)})" if steps else ""
    first = (f"averaged {len(members)} checkpoints{told}; {n_mean} float tensors averaged,"
             f" {n_last} taken from the last, {len(dropped)} of the optimizer dropped")
    return plan._replace(notes=(first, *notes))


def _step(source: Source) -> int | None:
    anatomy = read_anatomy(source)
    keys = [*step_keys(source, anatomy), *(optimizer.values["iterations"]
                                           for optimizer in anatomy.optimizers
                                           if "iterations" in optimizer.values)]
    return int(read_value(source, keys[0])) if keys else None


def _without_twins(members: list[_Member]) -> tuple[list[_Member], list[str]]:
    kept: list[_Member] = []
    notes = []
    for member in members:
        near = next((other for other in kept if other.step is not None
                     and member.step is not None and abs(member.step - other.step) <= 1), None)
        if near is None:
            kept.append(member)
            continue
        name = os.path.basename(member.source.prefix)
        notes.append(f"skipped {name}: step {member.step} is"
                     f" {'the same as' if member.step == near.step else 'next to'} {near.step} of"
                     f" {os.path.basename(near.source.prefix)} (--keep-twins takes it)")
    return kept, notes


def _check_same(sources: Sequence[Source], dropped: set[str]) -> None:
    final = sources[-1]
    wanted = {key: head for key, head in final.index.heads() if key not in dropped}
    problems = []
    for source in sources[:-1]:
        heads = dict(source.index.heads())
        for key, (dtype, shape) in wanted.items():
            name = f"{plain_name(key)} of {source.prefix}"
            if key not in heads:
                problems.append(f"{name}: it isn't there")
            elif key != OBJECT_GRAPH_KEY and heads[key] != (dtype, shape):
                problems.append(f"{name}: {heads[key][0]} {list(heads[key][1])} instead of {dtype}"
                                f" {list(shape)}")
    if problems:
        raise MismatchError("the checkpoints don't have the same tensors", problems=problems,
                            file=final.prefix)


def _mean(members: Sequence[_Member], total: float, entry: Entry, byte_order: str
          ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
    import numpy as np  # deferred: only jobs that compute need it

    streams = [numbers_of(member.source, member.source.index[entry.key]) for member in members]
    while True:
        pieces = [piece for stream in streams if (piece := next(stream, None)) is not None]
        if not pieces:
            return None
        mean = np.zeros(len(pieces[0]), np.float64)
        for member, piece in zip(members, pieces, strict=True):
            mean += np.multiply(piece, member.weight / total, dtype=np.float64)
        yield encode_numbers(mean.astype(entry.dtype.numpy()), byte_order)
