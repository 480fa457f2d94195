"""Data files from which a plan reuses tensors, and whether they can hold these."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tfckpt.core.bundle import check_size, missing_shard
from tfckpt.core.index import Entry
from tfckpt.core.origin import Given, Reuse, Sliced
from tfckpt.core.plan import Plan
from tfckpt.errors import TruncatedError
from tfckpt.format.naming import index_name
from tfckpt.storage.local import file_size

if TYPE_CHECKING:
    from tfckpt.core.origin import Linkable

__all__ = ["ReusedShard", "all_given", "reused_shards"]


class ReusedShard:
    """A data file that tensors are reused from."""

    def __init__(self, source: Linkable, shard_id: int) -> None:
        self.source = source
        self.shard_id = shard_id
        self.file = source.shard_file(shard_id)
        self.entries: list[Entry] = []
        self.size = 0


def reused_shards(plan: Plan) -> list[ReusedShard]:
    """The data files to link, in the order of their sources and numbers, each checked."""
    if all_given(plan):
        return []
    shards: dict[tuple[int, int], ReusedShard] = {}

    def add(reuse: Reuse) -> None:
        source, entry = reuse
        shard = shards.get((id(source), entry.shard_id))
        if shard is None:
            shard = shards[id(source), entry.shard_id] = ReusedShard(source, entry.shard_id)
        shard.entries.append(entry)

    for output in plan.outputs:
        if isinstance(output[3], Reuse):
            add(output[3])
        elif isinstance(output[3], Sliced):
            for part in output[3].parts:
                if isinstance(part.origin, Reuse):
                    add(part.origin)
    order: dict[int, int] = {}
    for source_id, _ in shards:
        order.setdefault(source_id, len(order))
    ranked = sorted(shards.values(), key=lambda shard: (order[id(shard.source)], shard.shard_id))
    for shard in ranked:
        shard.size = _check_shard(shard)
    return ranked


def _check_shard(shard: ReusedShard) -> int:
    """Size of a data file, after making sure that it can hold what is reused from it."""
    size = file_size(shard.file)
    if size is None:
        error = missing_shard(shard.file)
        error.tensor = shard.entries[0].key
        raise error
    for entry in shard.entries:
        check_size(entry, index_name(shard.source.prefix))
        if entry.offset + entry.n_bytes > size:
            raise TruncatedError(
                "the data file ends before the tensor does", file=shard.file, offset=entry.offset,
                expected=f"{entry.offset + entry.n_bytes} bytes", got=size, tensor=entry.key,
                hint="`tfckpt verify` lists every damaged tensor.")
    return size


def all_given(plan: Plan) -> list[Given]:
    """The origins of all outputs, if they are all at hand; else none."""
    origins = [output[3] for output in plan.outputs]
    return cast("list[Given]", origins) if set(map(type, origins)) == {Given} else []
