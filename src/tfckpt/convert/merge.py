"""Merge: several checkpoints as one, their data linked.

The same as TensorFlow does at the end of a sharded save, where each worker has written a part
``P_temp/part-SSSSS-of-NNNNN``: the sorted union of all tensors, slices of one variable put
under one name, and data files renumbered in the order of the parts.
Source: MergeBundles in core/util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import repeat
from typing import NamedTuple

from tfckpt.convert.rename import plan_rename
from tfckpt.convert.running import run_plan
from tfckpt.convert.same_names import plan_same_names
from tfckpt.convert.uniting import unite_graphs
from tfckpt.core.destination import remove_files
from tfckpt.core.discovery import as_path, beside
from tfckpt.core.opening import open_source
from tfckpt.core.origin import Given, Part, Sliced
from tfckpt.core.plan import (
    LeftOut,
    Output,
    Plan,
    Progress,
    common_byte_order,
    given_string,
    no_progress,
)
from tfckpt.core.report import ConvertReport
from tfckpt.core.rules import AddPrefix
from tfckpt.core.source import Source
from tfckpt.core.writer import DataMode
from tfckpt.errors import (
    AmbiguousNamesError,
    CheckpointNotFoundError,
    FormatError,
    TruncatedError,
    UnsupportedError,
    located,
)
from tfckpt.format.objectgraph import (
    OBJECT_GRAPH_KEY,
    VARIABLE_VALUE,
    Node,
    encode_object_graph,
    parse_object_graph,
)
from tfckpt.format.objectkeys import object_key
from tfckpt.format.strings import parse_strings

__all__ = ["merge", "parts_of_save", "plan_merge"]

Path = str | os.PathLike[str]
_SAVE_COUNTER = object_key("save_counter", VARIABLE_VALUE)
_PART = re.compile(r"part-(\d{5})-of-(\d{5})")


def merge(srcs: Path | Sequence[Path], dst: Path, *, data: DataMode = "link",
          overwrite: bool = False, dry_run: bool = False, allow_missing: bool = False,
          delete_sources: bool = False, prefixes: Mapping[int, str] | None = None,
          progress: Progress = no_progress) -> ConvertReport:
    """Write several checkpoints as one; none of their bytes are moved.

    Args:
        srcs: The checkpoints, or one folder of parts that a sharded save left behind.
        dst: Prefix of the result, used exactly as it is.
        data: ``"link"`` the data files (reflink, else hard link, else copy) or ``"copy"``.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        allow_missing: Whether parts of a sharded save may be missing.
        delete_sources: Whether the sources are removed after that, and their folder if it is
            empty then.
        prefixes: What is put before the names of a source, by its number in ``srcs`` from 1;
            see `plan_merge`.
        progress: Told about bytes of data files, which only a copy moves.

    Returns:
        What was done, with the plan.

    Raises:
        AmbiguousNamesError: A tensor is in several of them, and isn't sliced.
        TruncatedError: A part is missing.
        CheckpointError: Nothing was written, and nothing removed.

    Example:
        >>> import tempfile, tfckpt
        >>> folder = tempfile.mkdtemp()
        >>> parts = [tfckpt.Saver({name: tfckpt.Variable(1.0)}).save(None, folder + "/" + name)
        ...          for name in ("a", "b")]
        >>> [output.key for output in merge(parts, folder + "/both").plan.outputs]
        ['a', 'b']
    """
    srcs = [srcs] if isinstance(srcs, str | os.PathLike) else srcs
    paths: list[Path] = []
    added: list[str] = []
    given = dict(prefixes or {})
    for number, src in enumerate(srcs, 1):
        found: list[Path] = [*parts_of_save(src, allow_missing=allow_missing)] or [src]
        paths += found
        added += [given.pop(number, "")] * len(found)
    if given:
        raise UnsupportedError("a prefix is for a checkpoint that isn't there",
                               expected=f"1 to {len(srcs)}", got=", ".join(map(str, given)))
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(path)) for path in paths]
        plan = plan_merge(sources, added)
        report = run_plan(sources, plan, as_path(dst), data=data, overwrite=overwrite,
                          dry_run=dry_run, progress=progress)
    if delete_sources and not dry_run:
        for source in sources:
            _remove(source)
    return report


def parts_of_save(folder: Path, *, allow_missing: bool = False) -> list[str]:
    """Prefixes of the parts in the folder of a sharded save; none if it is no such folder.

    Raises:
        TruncatedError: Some are missing.
    """
    path = as_path(folder)
    if not os.path.isdir(path):
        return []
    found = {prefix: match for prefix in beside(os.path.join(path, ""))
             if (match := _PART.fullmatch(os.path.basename(prefix)))}
    if not found:
        return []
    total = max(int(match[2]) for match in found.values())
    there = {int(match[1]) for match in found.values()}
    missing = [n for n in range(total) if n not in there]
    if missing and not allow_missing:
        raise TruncatedError(
            f"{len(missing)} of the {total} parts of the save are missing", file=path,
            expected=f"part-{missing[0]:05d}-of-{total:05d}",
            hint="Merge what is there with --allow-missing.")
    return sorted(found)


def plan_merge(sources: Sequence[Source], prefixes: Sequence[str] = ()) -> Plan:
    """Plan the union of several checkpoints.

    Objects of object-based ones that have one path become one, each with the values of all of
    them. tf.train.Checkpoint's own count of saves is that of the first that has one.

    Args:
        sources: The checkpoints.
        prefixes: What is put before the names of each, such as ``encoder/``; before the paths of
            object-based ones.

    Raises:
        AmbiguousNamesError: A tensor is in several of them, and isn't sliced.
        FormatError: Slices of one name are of different tensors.
        UnsupportedError: The sources are of different byte orders.
    """
    if not sources:
        raise CheckpointNotFoundError("there is nothing to merge")
    members = [_Member(source, _renamed(source, prefix)) for source, prefix
               in zip(sources, prefixes or repeat(""), strict=False)]
    graphs = [_graph_of(member) for member in members if member.plan.style == "object-based"]
    found: dict[str, list[tuple[Source, Output]]] = {}
    left_out = []
    for member in members:
        for output in member.plan.outputs:
            if output.key == OBJECT_GRAPH_KEY and len(graphs) > 1:
                continue
            if output.key == _SAVE_COUNTER and output.key in found and len(graphs) > 1:
                reason = f"the count of saves of {member.source.prefix}"
                left_out.append(LeftOut(output.key, reason))
                continue
            found.setdefault(output.key, []).append((member.source, output))
    contested = {key: [source.prefix for source, _ in owners] for key, owners in found.items()
                 if len(owners) > 1 and not all(isinstance(output.origin, Sliced)
                                                for _, output in owners)}
    if contested:
        raise AmbiguousNamesError(
            "several of the checkpoints have a tensor of one name", groups=contested,
            hint="Give each names of its own: --prefix-1 encoder/ --prefix-2 decoder/")
    # The data of new files, if there are any, stands in the order of the sources.
    outputs = [_united(owners) for owners in found.values()]
    byte_order = common_byte_order(list(sources))
    notes: tuple[str, ...] = ()
    if len(graphs) > 1:
        graph, notes = unite_graphs(graphs)
        outputs.append(given_string(OBJECT_GRAPH_KEY, encode_object_graph(graph), byte_order))
    return Plan(tuple(outputs), "object-based" if graphs else "name-based", byte_order,
                tuple(left_out), notes)


class _Member(NamedTuple):
    """One of the checkpoints, and what it would be alone under its new names."""

    source: Source
    plan: Plan


def _renamed(source: Source, prefix: str) -> Plan:
    with located(file=source.prefix):
        if not prefix:
            return plan_same_names(source)
        return plan_rename(source, AddPrefix(prefix).apply)[0]


def _graph_of(member: _Member) -> Sequence[Node]:
    """The object graph, with the keys that its tensors get."""
    output = next(output for output in member.plan.outputs if output.key == OBJECT_GRAPH_KEY)
    if not isinstance(output.origin, Given):
        return member.source.object_graph
    region = parse_strings(bytes(output.origin.data), 1, member.source.byte_order)
    return parse_object_graph(region.elements[0])


def _united(owners: list[tuple[Source, Output]]) -> Output:
    first = owners[0][1]
    parts: list[Part] = []
    for source, output in owners:
        if (output.dtype, output.shape) != (first.dtype, first.shape):
            raise FormatError("slices of one name are of different tensors", tensor=output.key,
                              expected=f"{first.dtype} {list(first.shape)}", file=source.prefix,
                              got=f"{output.dtype} {list(output.shape)}")
        if not isinstance(output.origin, Sliced):
            return output
        parts += output.origin.parts
    return first._replace(origin=Sliced(tuple(parts)))


def _remove(source: Source) -> None:
    """Remove a source's files, the index first: without it the rest is no checkpoint."""
    remove_files(source.files())
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(source.prefix) or ".")  # only if nothing else is in it
