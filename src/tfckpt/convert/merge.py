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
from collections.abc import Sequence
from contextlib import ExitStack

from tfckpt.convert.api import run_plan
from tfckpt.core.discovery import as_path, beside
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.origin import Part, Sliced
from tfckpt.core.plan import Output, Plan, Progress, common_byte_order, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.source import Source
from tfckpt.core.writer import DataMode, remove_files
from tfckpt.errors import (
    AmbiguousNamesError,
    CheckpointNotFoundError,
    FormatError,
    TruncatedError,
    located,
)

__all__ = ["merge", "parts_of_save", "plan_merge"]

Path = str | os.PathLike[str]
_PART = re.compile(r"part-(\d{5})-of-(\d{5})")


def merge(srcs: Sequence[Path], dst: Path, *, data: DataMode = "link", overwrite: bool = False,
          dry_run: bool = False, allow_missing: bool = False, delete_sources: bool = False,
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
    prefixes: list[Path] = []
    for src in srcs:
        prefixes += parts_of_save(src, allow_missing=allow_missing) or [src]
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(prefix)) for prefix in prefixes]
        plan = plan_merge(sources)
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


def plan_merge(sources: Sequence[Source]) -> Plan:
    """Plan the union of several checkpoints.

    Raises:
        AmbiguousNamesError: A tensor is in several of them, and isn't sliced.
        FormatError: Slices of one name are of different tensors.
        UnsupportedError: The sources are of different byte orders.
    """
    if not sources:
        raise CheckpointNotFoundError("there is nothing to merge")
    found: dict[str, list[tuple[Source, Entry]]] = {}
    for source in sources:
        for entry in source.index.values():
            found.setdefault(entry.key, []).append((source, entry))
    contested = {key: [source.prefix for source, _ in owners] for key, owners in found.items()
                 if len(owners) > 1 and not all(entry.slices for _, entry in owners)}
    if contested:
        raise AmbiguousNamesError("several of the checkpoints have a tensor of one name",
                                  groups=contested)
    # The data of new files, if there are any, stands in the order of the sources.
    outputs = [_united(owners) for owners in found.values()]
    styles = {source.style for source in sources}
    return Plan(tuple(outputs), "object-based" if "object-based" in styles else "name-based",
                common_byte_order(list(sources)))


def _united(owners: list[tuple[Source, Entry]]) -> Output:
    first = owners[0][1]
    parts: list[Part] = []
    for source, entry in owners:
        if (entry.dtype, entry.shape) != (first.dtype, first.shape):
            raise FormatError("slices of one name are of different tensors", tensor=entry.key,
                              expected=f"{first.dtype} {list(first.shape)}", file=source.prefix,
                              got=f"{entry.dtype} {list(entry.shape)}")
        with located(file=source.prefix):
            origin = source.origin(entry)
        if not isinstance(origin, Sliced):
            return Output(entry.key, entry.dtype, entry.shape, origin)
        parts += origin.parts
    return Output(first.key, first.dtype, first.shape, Sliced(tuple(parts)))


def _remove(source: Source) -> None:
    """Remove a source's files, the index first: without it the rest is no checkpoint."""
    remove_files(source.files())
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(source.prefix) or ".")  # only if nothing else is in it
