"""What a folder holds: its checkpoints, whole or not, and what crashes left behind.

Told from names, sizes and indexes. Of the data only the step is read, so a folder of many
big checkpoints is as quick as one of small ones:

    ============ =======================================================================
    state        meaning
    ============ =======================================================================
    latest       whole, and the one that the state file calls the newest
    listed       whole, and in the state file
    orphan       whole, but the state file doesn't know it
    incomplete   an index without all its data, or data without their index
    ============ =======================================================================
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from tfckpt.core.bundle import BundleSource
from tfckpt.core.discovery import (
    STATE_FILE,
    Found,
    as_path,
    beside_state_file,
    find_latest,
    read_state,
    stored_places,
)
from tfckpt.core.residue import Leftover, find_leftovers, is_temporary_file
from tfckpt.core.roles import assign_roles
from tfckpt.core.summary import find_step
from tfckpt.core.v1files import PATTERN, SHARD, is_table, v1_files
from tfckpt.core.verify import check_sizes
from tfckpt.errors import CheckpointError, CheckpointNotFoundError, UnsupportedError
from tfckpt.format.naming import index_name, parse_data_name, parse_index_name
from tfckpt.format.state import CheckpointState
from tfckpt.storage.elsewhere import refuse_folder_elsewhere
from tfckpt.storage.local import file_size, is_file, list_folder

__all__ = ["Catalog", "CatalogEntry", "Leftover", "Relocation", "Removal", "State",
           "bundle_files", "find_newest", "has_checkpoint", "locate", "means", "meta_graph_file",
           "read_catalog", "same_path", "v1_files"]

State = Literal["latest", "listed", "orphan", "incomplete"]


class CatalogEntry(NamedTuple):
    """One checkpoint of a folder.

    Attributes:
        prefix: Its prefix; of a sharded V1 checkpoint the pattern that TensorFlow records.
        state: See the module's table.
        files: All its files.
        n_bytes: Their sizes together.
        step: Training step, if it says one.
        latest: Whether the state file calls it the newest, whole or not.
        listed: Whether it is in the state file, whole or not.
        problem: What is missing, if it is incomplete.
    """

    prefix: str
    state: State
    files: tuple[str, ...]
    n_bytes: int
    step: int | None = None
    latest: bool = False
    listed: bool = False
    problem: str | None = None


class Catalog(NamedTuple):
    """What a folder holds.

    Attributes:
        folder: The folder.
        checkpoints: Its checkpoints, by name and number.
        leftovers: What crashes left behind.
        gone: Paths in the state file at which nothing is.
        notes: What is to be known about the state file, a sentence each.
    """

    folder: str
    checkpoints: tuple[CatalogEntry, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    gone: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Relocation(NamedTuple):
    """How a state file was brought back to what is in its folder.

    Attributes:
        state_file: The file.
        old: What it said.
        new: What it says now, or would say.
        changes: Each path that changed, and the new one; None for one that was dropped
            because nothing is there.
        dry_run: Whether the file was left as it is.
    """

    state_file: str
    old: CheckpointState
    new: CheckpointState
    changes: tuple[tuple[str, str | None], ...] = ()
    dry_run: bool = False


class Removal(NamedTuple):
    """How a checkpoint was removed.

    Attributes:
        prefix: The checkpoint.
        files: Its files, in the order in which they were removed, and the size of each.
        state_file: The state file that had to change, if one had to.
        old: What that said.
        new: What it says now; None if it was removed, since it had nothing left to say.
        dry_run: Whether all was left as it is.
        notes: What couldn't be done, a sentence each.
    """

    prefix: str
    files: tuple[tuple[str, int], ...]
    state_file: str | None = None
    old: CheckpointState | None = None
    new: CheckpointState | None = None
    dry_run: bool = False
    notes: tuple[str, ...] = ()


def bundle_files(prefix: str) -> tuple[str, ...]:
    """Index and data files of a V2 checkpoint that are there, the index first.

    Every character of the prefix stands for itself.

    Example:
        >>> bundle_files("examples/tf1/model.ckpt-7")
        ('examples/tf1/model.ckpt-7.index', 'examples/tf1/model.ckpt-7.data-00000-of-00001')
    """
    folder, stem = os.path.split(prefix)
    parsed = ((name, parse_data_name(name)) for name in list_folder(folder))
    data = [os.path.join(folder, name) for name, data in parsed if data and data.prefix == stem]
    index = [index_name(prefix)] if is_file(index_name(prefix)) else []
    return (*index, *filter(is_file, data))


def meta_graph_file(prefix: str, suffix: str = "meta") -> str:
    """Where the graph of a checkpoint is, if it has one.

    Example:
        >>> meta_graph_file("model.ckpt-7"), meta_graph_file("model.ckpt-7-?????-of-00003")
        ('model.ckpt-7.meta', 'model.ckpt-7.meta')
    """
    return re.sub(r"-[\d?]+-of-\d+$", "", prefix) + "." + suffix


def has_checkpoint(prefix: str) -> bool:
    """Whether there is a checkpoint of exactly this prefix, V2 or V1, one file or sharded.

    Example:
        >>> has_checkpoint("examples/tf1/model.ckpt-7"), has_checkpoint("examples/tf1/model")
        (True, False)
    """
    return is_file(index_name(prefix)) or bool(v1_files(prefix))


def same_path(one: str, other: str) -> bool:
    """Whether two prefixes name one place, however their folders are written."""
    return _place(one) == _place(other)


def _place(prefix: str) -> tuple[str, str]:
    folder, name = os.path.split(prefix)
    return os.path.realpath(folder or "."), name


def locate(folder: str, stored: str) -> Found | None:
    """The checkpoint that a path in a folder's state file means, or None if it is nowhere.

    Args:
        folder: The folder of the state file.
        stored: The path, as it stands there.
    """
    return next((place for place in stored_places(folder, stored)
                 if has_checkpoint(place.prefix)), None)


def find_newest(folder: str | os.PathLike[str], state_file: str = STATE_FILE) -> Found | None:
    """The newest checkpoint that a folder's state file names, or None without such a file.

    Unlike `find_latest` it doesn't matter whether we can read that checkpoint.

    Raises:
        CheckpointNotFoundError: It names one that is nowhere.
        FormatError: The state file is empty or damaged.
    """
    state = read_state(folder, state_file)
    if state is None:
        return None
    # Where nothing is, find_latest says what is there instead.
    return locate(as_path(folder), state.model_checkpoint_path) or find_latest(folder, state_file)


def read_catalog(folder: str | os.PathLike[str], state_file: str = STATE_FILE) -> Catalog:
    """List what a folder holds; folders in it are not looked into.

    Args:
        folder: The folder.
        state_file: Name of its state file.

    Raises:
        CheckpointNotFoundError: There is no such folder.

    Example:
        >>> [(entry.prefix, entry.state) for entry in read_catalog("examples/tf1").checkpoints]
        [('examples/tf1/model.ckpt-7', 'latest')]
    """
    folder = as_path(folder)
    if not os.path.isdir(folder):
        refuse_folder_elsewhere(folder)
        raise CheckpointNotFoundError(
            "there is no such folder", file=folder,
            hint=f"That is a checkpoint: `tfckpt ls {folder}` lists its tensors."
            if has_checkpoint(folder) else None)
    state, notes = _read_state_or_note(folder, state_file)
    listed = _listed(state)
    leftovers = find_leftovers(folder)
    parts = {leftover.path for leftover in leftovers}
    groups = [group for group in _group_files(folder) if group[0] not in parts]
    entries, found = [], set[str]()
    for prefix, files in groups:
        stored = [path for path in listed if means(folder, path, prefix)]
        if not stored and _is_something_else(prefix, files):
            continue
        found.update(stored)
        is_latest = state is not None and state.model_checkpoint_path in stored
        entries.append(_describe(prefix, files, latest=is_latest, listed=bool(stored)))
    missing = [path for path in listed if path not in found]
    elsewhere = [path for path in missing if has_checkpoint(os.path.join(folder, path))]
    notes += [f"the state file lists {path}, which is not in this folder" for path in elsewhere]
    return Catalog(folder, tuple(sorted(entries, key=_natural)), tuple(leftovers),
                   tuple(path for path in missing if path not in elsewhere), tuple(notes))


def _read_state_or_note(folder: str, state_file: str) -> tuple[CheckpointState | None, list[str]]:
    try:
        state = read_state(folder, state_file)
    except CheckpointError as error:
        return None, [f"the state file can't be used: {error}"]
    return state, [] if state else ["there is no state file, so nothing here is listed"]


def _listed(state: CheckpointState | None) -> list[str]:
    """All paths of a state file, once each."""
    if state is None:
        return []
    return list(dict.fromkeys((*state.all_model_checkpoint_paths, state.model_checkpoint_path)))


def means(folder: str, stored: str, prefix: str) -> bool:
    """Whether a path in a folder's state file means the checkpoint of this prefix, whole or not."""
    written = os.path.join(folder, stored)
    if same_path(written, prefix):
        return True
    return same_path(beside_state_file(folder, stored), prefix) and not has_checkpoint(written)


def _group_files(folder: str) -> list[tuple[str, tuple[str, ...]]]:
    """Prefix and files of everything in a folder that looks like a part of a checkpoint."""
    groups: dict[str, list[str]] = {}
    graphs = set()
    for name in list_folder(folder):
        path = os.path.join(folder, name)
        if not is_file(path):
            continue
        stem = _stem(name, path)
        if stem is not None:
            groups.setdefault(os.path.join(folder, stem), []).append(path)
        elif name.endswith(".meta"):
            graphs.add(path)
    return [(prefix, (*files, *({meta_graph_file(prefix)} & graphs)))
            for prefix, files in groups.items()]


def _stem(name: str, path: str) -> str | None:
    """The last part of the prefix that a file belongs to, or None if it is no part of one."""
    data = parse_data_name(name)
    if data is not None:
        return data.prefix
    index = parse_index_name(name)
    if index is not None:
        return index
    if name.startswith("events.out.") or is_temporary_file(name) or not is_table(path):
        return None
    shard = SHARD.fullmatch(name)
    return f"{shard['stem']}-?????{shard['of']}" if shard else name


def _is_something_else(prefix: str, files: tuple[str, ...]) -> bool:
    """Whether this is a lone ``.index`` file of other software."""
    return files == (index_name(prefix),) and not is_table(files[0])


def _describe(prefix: str, files: tuple[str, ...], *, latest: bool, listed: bool) -> CatalogEntry:
    problem, step = _check_v2(prefix) if _is_v2(files) else _check_v1(prefix, files)
    whole: State = "latest" if latest else "listed" if listed else "orphan"
    return CatalogEntry(prefix, "incomplete" if problem else whole, files,
                        sum(file_size(file) or 0 for file in files), step, latest, listed, problem)


def _is_v2(files: Iterable[str]) -> bool:
    return any(parse_index_name(file) is not None or parse_data_name(file) for file in files)


def _check_v2(prefix: str) -> tuple[str | None, int | None]:
    """What a checkpoint lacks, if anything, and its step."""
    if not is_file(index_name(prefix)):
        return "the index is missing", _step_in_name(prefix)
    try:
        with BundleSource(prefix) as source:
            problem = _first_problem(source)
            step = _step_in_name(prefix) if problem else find_step(source, assign_roles(source))
    except UnsupportedError:  # it may be whole all the same
        return None, _step_in_name(prefix)
    except CheckpointError as error:
        return _in_short(error), _step_in_name(prefix)
    return problem, step


def _first_problem(source: BundleSource) -> str | None:
    problems = check_sizes(source)
    if not problems:
        return None
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return _in_short(problems[0].error) + more


def _in_short(error: CheckpointError) -> str:
    return error.message + (f" ({os.path.basename(error.file)})" if error.file else "")


def _check_v1(prefix: str, files: tuple[str, ...]) -> tuple[str | None, int | None]:
    step = _step_in_name(re.sub(r"-\?{5}-of-\d+$", "", prefix))
    pattern = PATTERN.fullmatch(prefix)
    if pattern is not None:
        count = int(pattern["of"].removeprefix("-of-"))
        there = sum(SHARD.fullmatch(file) is not None for file in files)
        if there < count:
            return f"{count - there} of {count} shards are missing", step
    return None, step


def _step_in_name(prefix: str) -> int | None:
    match = re.search(r"-(\d+)$", prefix)
    return int(match[1]) if match else None


def _natural(entry: CatalogEntry) -> tuple[str, int, str]:
    """A key to sort by that puts ``model-9`` before ``model-10``."""
    bare = re.sub(r"-\?{5}-of-\d+$", "", entry.prefix)
    match = re.fullmatch(r"(.*?)(\d*)", bare, re.DOTALL)
    stem, number = match.groups() if match else (bare, "")
    return stem, int(number or -1), entry.prefix
