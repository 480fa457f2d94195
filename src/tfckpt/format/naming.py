"""File names of a checkpoint: ``PREFIX.index``, ``PREFIX.data-SSSSS-of-NNNNN``, ``PREFIX.meta``.

Both numbers have at least five digits. A prefix is a path and not a pattern: TensorFlow
takes ``[v1]`` in it for a glob and finds nothing; here every character stands for itself.
Source: core/util/tensor_bundle/naming.h.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DataName", "data_name", "index_name", "parse_data_name", "parse_index_name",
           "parse_meta_name"]



class DataName(NamedTuple):
    """What the name of a data file says."""

    prefix: str
    shard_id: int
    num_shards: int


def index_name(prefix: str) -> str:
    """Path of a checkpoint's index.

    Example:
        >>> index_name("runs/model.ckpt-7")
        'runs/model.ckpt-7.index'
    """
    return prefix + ".index"


def data_name(prefix: str, shard_id: int, num_shards: int) -> str:
    """Path of one data file ("shard").

    Example:
        >>> data_name("model", 0, 1)
        'model.data-00000-of-00001'
    """
    return f"{prefix}.data-{shard_id:05d}-of-{num_shards:05d}"


def parse_data_name(path: str) -> DataName | None:
    """What the path of a data file says, or None if it isn't one's.

    Example:
        >>> parse_data_name("a/model.data-00003-of-00040")
        DataName(prefix='a/model', shard_id=3, num_shards=40)
    """
    prefix, mark, numbers = path.rpartition(".data-")
    shard_id, of, num_shards = numbers.partition("-of-")
    if not (mark and of and _is_number(shard_id) and _is_number(num_shards)):
        return None
    return DataName(prefix, int(shard_id), int(num_shards))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and 5 <= len(text) <= 8


def parse_index_name(path: str) -> str | None:
    """Prefix of the path of an index, or None if it isn't one's."""
    return path[:-len(".index")] if path.endswith(".index") else None


def parse_meta_name(path: str) -> str | None:
    """Prefix of the path of a graph file, or None if it isn't one's.

    Example:
        >>> parse_meta_name("model.ckpt-7.meta")
        'model.ckpt-7'
    """
    return path[:-len(".meta")] if path.endswith(".meta") else None
