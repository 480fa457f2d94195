"""The files of a V1 checkpoint: one table, or shards that are known by a pattern."""

from __future__ import annotations

import os
import re

from tfckpt.errors import CheckpointError
from tfckpt.format.naming import parse_index_name
from tfckpt.format.table import MAGIC, has_magic
from tfckpt.storage.local import is_file, list_folder, read_ends

__all__ = ["PATTERN", "SHARD", "is_table", "v1_checkpoints", "v1_files", "v1_note"]

PATTERN = re.compile(r"(?P<stem>.*)-\?{5}(?P<of>-of-\d{5,})", re.DOTALL)
SHARD = re.compile(r"(?P<stem>.*)-\d{5}(?P<of>-of-\d{5,})", re.DOTALL)


def v1_files(path: str) -> tuple[str, ...]:
    """Files of a V1 checkpoint: the one at this path, or all that its shard pattern means.

    Args:
        path: A path, or what TensorFlow records for a sharded one: ``P-?????-of-00003``.
            The question marks there are the only characters that don't stand for themselves.
    """
    folder, name = os.path.split(path)
    pattern = PATTERN.fullmatch(name)
    if pattern is None:
        # A V2 index is a table too.
        return (path,) if parse_index_name(path) is None and is_table(path) else ()
    shard = re.compile(re.escape(pattern["stem"]) + r"-\d{5}" + re.escape(pattern["of"]))
    files = tuple(os.path.join(folder, n) for n in list_folder(folder) if shard.fullmatch(n))
    # Record files are often sharded under such names too.
    return files if any(map(is_table, files)) else ()


def is_table(path: str) -> bool:
    """Whether a file ends as a table does."""
    if not is_file(path):
        return False
    try:
        return has_magic(read_ends(path, len(MAGIC))[1])
    except CheckpointError:
        return False


def v1_checkpoints(folder: str, stem: str | None = None) -> list[str]:
    """Paths and patterns of the V1 checkpoints in a folder.

    Args:
        folder: It.
        stem: Only those of shards with this name before their numbers.
    """
    found: dict[str, None] = {}
    for name in list_folder(folder):
        shard = SHARD.fullmatch(name)
        if stem is not None and (shard is None or shard["stem"] != stem):
            continue
        path = os.path.join(folder, f"{shard['stem']}-?????{shard['of']}" if shard else name)
        if path not in found and v1_files(path):
            found[path] = None
    return list(found)


def v1_note(path: str, files: tuple[str, ...]) -> tuple[str, ...]:
    """A sentence about shards that aren't there."""
    pattern = PATTERN.fullmatch(path)
    total = int(pattern["of"].removeprefix("-of-")) if pattern else len(files)
    if len(files) >= total:
        return ()
    note = f"only {len(files)} of the {total} shards of this V1 checkpoint are here"
    return (note,)
