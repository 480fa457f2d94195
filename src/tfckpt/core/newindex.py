"""The index of a checkpoint that is being written, from its plan and the places of its tensors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import accumulate, repeat
from typing import NamedTuple

from tfckpt.core.origin import Reuse, Sliced, Stored
from tfckpt.core.plan import Plan
from tfckpt.core.reused import ReusedShard
from tfckpt.format.bundle import (
    HEADER_KEY,
    BundleHeader,
    encode_entries,
    encode_header,
    entry_encoder,
)
from tfckpt.format.dtypes import DType
from tfckpt.format.slices import encode_slice, slice_key
from tfckpt.format.table import encode_table

__all__ = ["NewShard", "encode_index"]

_MANY = 1000  # tensors, from which numpy pays


class NewShard(NamedTuple):
    """A new data file: its number, and size and checksum of each tensor in it."""

    shard_id: int
    sizes: list[int]
    checksums: list[int]


def encode_index(plan: Plan, shards: list[ReusedShard], num_shards: int,
                  stored: dict[int, NewShard]) -> bytes:
    """The index file's bytes.

    Args:
        plan: The plan.
        shards: The data files that are reused.
        num_shards: How many data files the result has.
        stored: For each number of a new data file, what was written to it, in the plan's order.
    """
    header = BundleHeader(num_shards=num_shards, byte_order=plan.byte_order)
    keys = _encode_keys(plan)
    n_new = sum(len(shard.sizes) for shard in stored.values())
    if n_new == len(keys) >= _MANY and len(stored) == 1 and "numpy" in sys.modules:
        rows = list(zip(keys, encode_entries(
            [output[1] for output in plan.outputs], [output[2] for output in plan.outputs],
            *stored.popitem()[1], plan.alignment), strict=True))
    else:
        rows = list(_encode_rows(plan, keys, shards, stored))
    rows.append((HEADER_KEY, encode_header(header)))
    rows.sort()
    return encode_table(rows)


def _encode_keys(plan: Plan) -> list[bytes]:
    keys = [output[0] for output in plan.outputs]
    encoded = "\0".join(keys).encode("utf-8", "surrogateescape").split(b"\0")
    if len(encoded) != len(keys):  # a key holds the character that divides them
        return [key.encode("utf-8", "surrogateescape") for key in keys]
    return encoded


def _encode_rows(plan: Plan, keys: list[bytes], shards: list[ReusedShard],
                 stored: dict[int, NewShard]) -> Iterator[tuple[bytes, bytes]]:
    """The rows of all tensors and of their slices."""
    ids = {(id(shard.source), shard.shard_id): n for n, shard in enumerate(shards)}
    padded = {number: [size + -size % plan.alignment for size in shard.sizes]
              for number, shard in stored.items()}
    places = {number: zip(repeat(n), accumulate(padded[number], initial=0), sizes, checksums,
                          strict=False) for number, (n, sizes, checksums) in stored.items()}
    encode = entry_encoder()

    def encode_stored(dtype: DType, shape: tuple[int, ...], origin: Stored) -> bytes:
        if not isinstance(origin, Reuse):
            return encode(dtype, shape, *next(places[origin.shard]))
        source, old = origin
        shard_id = ids[id(source), old.shard_id]
        return encode(dtype, shape, shard_id, old.offset, old.n_bytes, old.masked_crc32c)

    for name, (_, dtype, shape, origin) in zip(keys, plan.outputs, strict=True):
        if isinstance(origin, Sliced):
            yield from _slice_rows(name, dtype, shape, origin, encode_stored)
            slices = tuple(encode_slice(part.extents) for part in origin.parts)
            value = encode(dtype, shape, 0, 0, 0, 0, slices)
        elif isinstance(origin, Reuse) and \
                ids[id(origin.source), origin.entry.shard_id] == origin.entry.shard_id:
            value = origin.source.index.encoded(origin.entry.key)
        else:
            value = encode_stored(dtype, shape, origin)
        yield name, value


def _slice_rows(name: bytes, dtype: DType, shape: tuple[int, ...], origin: Sliced,
                encode: Callable[[DType, tuple[int, ...], Stored], bytes]
                ) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a partitioned variable's parts."""
    for extents, stored in origin.parts:
        lengths = tuple(size if length is None else length
                        for (_, length), size in zip(extents, shape, strict=True))
        yield slice_key(name, extents), encode(dtype, lengths, stored)
