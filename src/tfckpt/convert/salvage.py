"""Salvage: what is whole of a damaged checkpoint, as a checkpoint of its own."""

from __future__ import annotations

import os
from typing import NamedTuple

from tfckpt.convert.regraph import graph_of_keys, without_lost
from tfckpt.core.coverage import overlapping
from tfckpt.core.destination import check_destination
from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry, Style
from tfckpt.core.plan import LeftOut, Output, Plan, Progress, given_string, no_progress
from tfckpt.core.recovery import RecoveredSource, open_damaged
from tfckpt.core.report import SalvageReport, VerifyReport
from tfckpt.core.source import Source
from tfckpt.core.verify import verify
from tfckpt.core.writer import DataMode, write_plan
from tfckpt.errors import CheckpointError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, encode_object_graph
from tfckpt.format.objectkeys import parse_object_key

__all__ = ["plan_salvage", "salvage"]


def salvage(src: str | os.PathLike[str], dst: str | os.PathLike[str], *,
            data: DataMode = "link", overwrite: bool = False, dry_run: bool = False,
            jobs: int | None = None, progress: Progress = no_progress) -> SalvageReport:
    """Write what is whole of a damaged checkpoint, and say what is lost and why.

    Every byte is verified first. Data files are linked, so the result takes no space of its
    own; damaged bytes in them belong to no tensor of it. Of an object-based checkpoint the
    object graph loses the tensors that are lost; if it is lost itself, a new one is made
    from the keys.

    Args:
        src: A checkpoint; its index may be damaged too. It is never changed.
        dst: Prefix of the result, used exactly as it is.
        data: ``"link"`` the data files (reflink, else hard link, else copy) or ``"copy"``.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to write nothing.
        jobs: How many threads may read.
        progress: Told about bytes of tensors that are verified.

    Returns:
        What was done. If nothing is whole, nothing was written, and there are no files.

    Raises:
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile
        >>> report = salvage("examples/tf1", tempfile.mkdtemp() + "/m")
        >>> report.ok, len(report.plan.outputs)
        (True, 21)
    """
    target = as_path(dst)
    with open_damaged(src) as source:
        check_destination(target, [source.prefix], overwrite=overwrite)
        report = verify(source, jobs=jobs, progress=progress)
        plan, unknown = plan_salvage(source, report)
        files = (write_plan(plan, target, data=data, overwrite=overwrite)
                 if plan.outputs and not dry_run else ())
        return SalvageReport(source.prefix, target, plan, unknown, files, source.notes, dry_run)


def plan_salvage(source: Source, report: VerifyReport
                 ) -> tuple[Plan, tuple[CheckpointError, ...]]:
    """Plan a checkpoint of the tensors that verification found whole.

    Args:
        source: The damaged checkpoint.
        report: What verification of it found.

    Returns:
        The plan, and damage to the index by which tensors may be lost that nobody can name.
    """
    damage = source.damage if isinstance(source, RecoveredSource) else ()
    harmless = {id(item.error) for item in damage if not item.lost}
    lost: dict[str, str] = {}
    for problem in report.problems:
        if id(problem.error) not in harmless:
            for name in problem.tensors:
                lost.setdefault(name, problem.error.message.partition(";")[0])
    unknown = tuple(item.error for item in damage if item.lost)
    entries = [source.index[key] for key in source.index if key not in lost]
    moved = _overlapping(source, entries)
    outputs = {entry.key: Output(entry.key, entry.dtype, entry.shape,
                                 source.streamed(entry) if entry.key in moved
                                 else source.origin(entry)) for entry in entries}
    graph = _graph(source, outputs, lost, is_lost=OBJECT_GRAPH_KEY in lost or (
        bool(unknown) and OBJECT_GRAPH_KEY not in source.index))
    if graph.output is not None:
        outputs[OBJECT_GRAPH_KEY] = graph.output
    if set(outputs) == {OBJECT_GRAPH_KEY} and lost:
        outputs = {}  # a graph of nothing
    left_out = tuple(LeftOut(name, reason) for name, reason in sorted(lost.items()))
    style: Style = "object-based" if OBJECT_GRAPH_KEY in outputs else "name-based"
    plan = Plan(tuple(outputs.values()), style, source.byte_order, left_out, graph.notes)
    return plan, unknown


class _Graph(NamedTuple):
    """A new object graph, if one is needed."""

    output: Output | None = None
    notes: tuple[str, ...] = ()


def _graph(source: Source, outputs: dict[str, Output], lost: dict[str, str], *, is_lost: bool
           ) -> _Graph:
    kept = set(outputs) - {OBJECT_GRAPH_KEY}
    if is_lost:
        if not any(parse_object_key(key) for key in kept):
            return _Graph()
        encoded = encode_object_graph(graph_of_keys(kept))
        note = ("the object graph is lost; a new one was made from the keys, without second names"
                " of objects")
        return _Graph(given_string(OBJECT_GRAPH_KEY, encoded, source.byte_order), (note,))
    if OBJECT_GRAPH_KEY not in outputs:
        return _Graph()
    nodes = source.object_graph
    left = without_lost(nodes, kept, lost)
    if left == nodes:
        return _Graph()
    return _Graph(given_string(OBJECT_GRAPH_KEY, encode_object_graph(left), source.byte_order),
                  ("the object graph no longer names what is lost",))


def _overlapping(source: Source, entries: list[Entry]) -> set[str]:
    """Keys of the tensors that are stored over one another, which the result won't be."""
    shards: dict[int, list[Entry]] = {}
    for entry in entries:
        for _, part in source.parts(entry):
            shards.setdefault(part.shard_id, []).append(part)
    keys: set[str] = set()
    for parts in shards.values():
        parts.sort(key=lambda part: (part.offset, part.n_bytes))
        keys.update(second.key for _, second in overlapping(parts))
    return keys
