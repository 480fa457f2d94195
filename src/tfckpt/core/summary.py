"""What a checkpoint is, in a few lines: `Summary`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from tfckpt.core.bundle import BundleSource
from tfckpt.core.index import Entry
from tfckpt.core.report import Group, Role, Summary
from tfckpt.core.roles import Assigned, assign_roles
from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY
from tfckpt.format.objectkeys import parse_object_key
from tfckpt.storage.local import file_size

__all__ = ["summarize"]

_ROLES: tuple[Role, ...] = ("model", "optimizer", "ema", "other")
_SCALAR_INTS = {"int32", "int64", "uint64"}


def summarize(source: Source) -> Summary:
    """Count the tensors of a checkpoint by what they are for, and say what its owner may want
    to know.

    Only the index is read, and a few bytes of data: the object graph and the step.
    """
    roles = assign_roles(source)
    members: dict[Role, list[Entry]] = {role: [] for role in _ROLES}
    kinds: dict[Role, dict[str, None]] = {role: {} for role in _ROLES}
    for key, entry in source.index.items():
        role, kind = roles[key]
        members[role].append(entry)
        if kind:
            kinds[role][kind] = None
    groups = {role: _group(role, members[role], tuple(kinds[role])) for role in _ROLES}
    shards = {entry.shard_id for entries in members.values() for entry in entries}
    n_bytes = sum(group.n_bytes for group in groups.values())
    missing = [n for n in sorted(shards) if file_size(source.shard_file(n)) is None]
    return Summary(
        prefix=source.prefix, format=source.format, style=source.style, n_shards=len(shards),
        n_bytes=n_bytes,
        step=find_step(source, roles), groups=tuple(groups[role] for role in _ROLES),
        notes=source.notes, hints=(*_hints(groups, n_bytes, source, missing), *_short(source)))


def _short(source: Source) -> Iterator[str]:
    """A warning of data files that end before what the index has in them."""
    if not isinstance(source, BundleSource):
        return
    ends: dict[int, int] = {}
    for entry in source.index.values():
        if not entry.slices:
            ends[entry.shard_id] = max(ends.get(entry.shard_id, 0), entry.offset + entry.n_bytes)
    files = [(source.shard_file(number), end) for number, end in sorted(ends.items())]
    short = [file for file, end in files if (size := file_size(file)) is not None and size < end]
    if short:
        yield (f"warning: {len(short)} of its data files are cut short, the first is {short[0]};"
               " `tfckpt verify` says what is lost")


def _group(role: Role, entries: list[Entry], kinds: tuple[str, ...]) -> Group:
    dtypes = Counter(entry.dtype.name for entry in entries)
    return Group(role, len(entries), sum(entry.n_elements for entry in entries),
                 sum(entry.n_bytes for entry in entries),
                 tuple(name for name, _ in dtypes.most_common()), kinds)


def _hints(groups: dict[Role, Group], n_bytes: int, source: Source, missing: list[int]
           ) -> list[str]:
    hints = []
    if not groups["model"].n_tensors:
        hints.append("warning: no model tensors here: the object that was saved had nothing"
                     " attached" if source.style == "object-based" else
                     "warning: no model tensors here")
    if missing:
        hints.append(f"warning: {len(missing)} of its data files are missing, the first is"
                     f" {source.shard_file(missing[0])}")
    optimizer = groups["optimizer"].n_bytes
    if n_bytes and optimizer > 0.2 * n_bytes:
        hints.append(f"optimizer state is {100 * optimizer / n_bytes:.0f} % of the tensors' bytes;"
                     " `tfckpt strip` leaves it out")
    if groups["ema"].n_tensors:
        hints.append("it has moving averages beside the raw variables; the averages usually"
                     " predict better; `tfckpt ema --use` puts them in place")
    return hints


def find_step(source: Source, roles: dict[str, Assigned]) -> int | None:
    """The training step that a checkpoint was saved at, or None if nothing says it."""
    def rank(key: str) -> int | None:
        parsed = parse_object_key(key)
        last = parsed.path[-1] if parsed and parsed.path else key.rpartition("/")[2]
        if last == "global_step":
            return 0
        if roles[key].role == "optimizer" and last in ("_iterations", "iterations", "iter"):
            return 1
        return 2 if parsed and parsed.path == ("step",) else None

    for key in sorted((k for k in roles if rank(k) is not None), key=lambda k: rank(k) or 0):
        try:
            entry = source.index[key]
            if not entry.shape and entry.dtype.name in _SCALAR_INTS:
                return int.from_bytes(source.read_bytes(key), source.byte_order, signed=True)
        except CheckpointError:
            continue
    if OBJECT_GRAPH_KEY not in source.index:  # there the number counts saves, not steps
        match = re.search(r"-(\d+)$", source.prefix)
        return int(match[1]) if match else None
    return None
