"""The ``checkpoint`` state file by TensorFlow's own function names, and removing checkpoints.

What is written is TensorFlow's text byte for byte, in one step: a reader sees the old file
or the new one. Source: python/checkpoint/checkpoint_management.py.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Sequence

from tfckpt.core.catalog import (
    Relocation,
    Removal,
    bundle_files,
    find_newest,
    has_checkpoint,
    means,
    meta_graph_file,
    same_path,
    v1_files,
)
from tfckpt.core.discovery import STATE_FILE, as_path, beside_state_file, discover, read_state
from tfckpt.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointWarning,
    PathConflictError,
)
from tfckpt.format.naming import index_name
from tfckpt.format.state import CheckpointState, encode_state
from tfckpt.storage.elsewhere import refuse_prefix_elsewhere
from tfckpt.storage.local import file_size, is_file, os_errors
from tfckpt.storage.publish import replace_file

__all__ = ["CheckpointState", "checkpoint_exists", "edited_state", "get_checkpoint_mtimes",
           "get_checkpoint_state", "latest_checkpoint", "relocate", "remove_and_unlist",
           "remove_checkpoint", "update_checkpoint_state", "write_state"]

Path = str | os.PathLike[str]


def get_checkpoint_state(checkpoint_dir: Path, latest_filename: str | None = None
                         ) -> CheckpointState | None:
    """What a folder's state file says, each path joined to the folder.

    Paths are joined and not tidied, and not looked for: `latest_checkpoint` does that.

    Args:
        checkpoint_dir: The folder.
        latest_filename: Name of the state file, if not ``checkpoint``.

    Returns:
        Its contents, or None if there is no such file.

    Raises:
        FormatError: It is empty or damaged; also a ValueError.

    Example:
        >>> get_checkpoint_state("examples/tf1").model_checkpoint_path
        'examples/tf1/model.ckpt-7'
    """
    folder = as_path(checkpoint_dir)
    state = read_state(folder, latest_filename or STATE_FILE)
    if state is None:
        return None
    return state._replace(
        model_checkpoint_path=os.path.join(folder, state.model_checkpoint_path),
        all_model_checkpoint_paths=tuple(os.path.join(folder, path)
                                         for path in state.all_model_checkpoint_paths))


def update_checkpoint_state(
    save_dir: Path,
    model_checkpoint_path: Path,
    all_model_checkpoint_paths: Iterable[Path] | None = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Iterable[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> None:
    """Write a folder's state file.

    Args:
        save_dir: The folder; made if need be.
        model_checkpoint_path: Prefix of the newest checkpoint. Absolute paths stay as they
            are, relative ones lose the part that equals a relative ``save_dir``.
        all_model_checkpoint_paths: Prefixes of all that are kept, oldest first; the newest is
            added if it isn't the last of them.
        latest_filename: Name of the state file, if not ``checkpoint``.
        all_model_checkpoint_timestamps: When each was saved, seconds since 1970.
        last_preserved_timestamp: When one was last kept for good, seconds since 1970.

    Raises:
        ValueError: There isn't one time for each path.
        PathConflictError: The newest checkpoint would be where the state file goes; also a
            RuntimeError, as in TensorFlow.
        StorageError: The system refuses; the old file is as it was.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> update_checkpoint_state(folder, "model-7", ["model-6"])
        >>> print((folder / "checkpoint").read_text(), end="")
        model_checkpoint_path: "model-7"
        all_model_checkpoint_paths: "model-6"
        all_model_checkpoint_paths: "model-7"
    """
    write_state(save_dir, model_checkpoint_path, all_model_checkpoint_paths, latest_filename,
                all_model_checkpoint_timestamps=all_model_checkpoint_timestamps,
                last_preserved_timestamp=last_preserved_timestamp)


def write_state(
    save_dir: Path,
    model_checkpoint_path: Path,
    all_model_checkpoint_paths: Iterable[Path] | None = None,
    latest_filename: str | None = None,
    *,
    save_relative_paths: bool = False,
    all_model_checkpoint_timestamps: Iterable[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> None:
    """`update_checkpoint_state`, with absolute paths made relative to the folder on request."""
    folder = as_path(save_dir)
    newest = as_path(model_checkpoint_path)
    paths = [as_path(path) for path in all_model_checkpoint_paths or ()]
    if not paths or paths[-1] != newest:
        paths.append(newest)
    times = [float(time) for time in all_model_checkpoint_timestamps or ()]
    if times and len(times) != len(paths):
        raise ValueError("each checkpoint path needs one timestamp:"
                         f" {len(paths)} paths {paths}, {len(times)} timestamps {times}")
    state_file = os.path.join(folder, latest_filename or STATE_FILE)
    newest, *paths = (_as_stored(path, folder, relative=save_relative_paths)
                      for path in (newest, *paths))
    prefix = os.path.join(folder, newest)
    if same_path(prefix, state_file) and not is_file(index_name(prefix)):
        raise PathConflictError(
            "the checkpoint would be where the state file of its folder goes", file=state_file,
            hint="Save it under another name, or give the state file another one.")
    # As in any protobuf of its kind, a zero is not written.
    preserved = float(last_preserved_timestamp or 0) or None
    state = CheckpointState(newest, tuple(paths), tuple(times), preserved)
    replace_file(state_file, encode_state(state))


def _as_stored(path: str, folder: str, *, relative: bool) -> str:
    if os.path.isabs(path):
        return os.path.relpath(path, folder or ".") if relative else path
    # A relative path counts from the state file if the folder is absolute, as in TensorFlow.
    return path if os.path.isabs(folder) else os.path.relpath(path, folder or ".")


def latest_checkpoint(checkpoint_dir: Path, latest_filename: str | None = None) -> str | None:
    """Prefix of the newest checkpoint in a folder, by its state file.

    Unlike TensorFlow it also finds it after the folder was moved, and in folders with
    ``[ ]`` in their names. A state file that names a checkpoint which is nowhere gives None,
    as in TensorFlow, but with a warning: training would silently start anew.

    Args:
        checkpoint_dir: The folder.
        latest_filename: Name of the state file, if not ``checkpoint``.

    Returns:
        The prefix, or None without a state file.

    Raises:
        FormatError: The state file is empty or damaged; also a ValueError.
        UnsupportedError: The folder is an address of another machine, such as ``gs://``.

    Example:
        >>> latest_checkpoint("examples/tf1")
        'examples/tf1/model.ckpt-7'
    """
    try:
        found = find_newest(checkpoint_dir, latest_filename or STATE_FILE)
    except CheckpointNotFoundError as error:
        warnings.warn(str(error), CheckpointWarning, stacklevel=2)
        return None
    if found is None:
        return None
    for note in found.notes:
        warnings.warn(note, CheckpointWarning, stacklevel=2)
    return found.prefix


def checkpoint_exists(checkpoint_prefix: Path) -> bool:
    """Whether there is a checkpoint of exactly this prefix.

    Args:
        checkpoint_prefix: What `latest_checkpoint` or a save returned; of a sharded V1
            checkpoint that is a pattern. Every other character stands for itself.

    Raises:
        UnsupportedError: It is an address of another machine.

    Example:
        >>> checkpoint_exists("examples/tf1/model.ckpt-7")
        True
    """
    prefix = as_path(checkpoint_prefix)
    if has_checkpoint(prefix):
        return True
    refuse_prefix_elsewhere(prefix)  # False would have a program train from scratch
    return False


def get_checkpoint_mtimes(checkpoint_prefixes: Iterable[Path]) -> list[float]:
    """When checkpoints were written, in seconds since 1970; those that are gone are left out.

    Example:
        >>> len(get_checkpoint_mtimes(["examples/tf1/model.ckpt-7", "examples/tf1/gone"]))
        1
    """
    times = []
    for prefix in map(as_path, checkpoint_prefixes):
        for file in (index_name(prefix), *v1_files(prefix)[:1]):
            if is_file(file):
                with os_errors(file):
                    times.append(os.stat(file).st_mtime_ns / 1e9)
                break
    return times


def remove_checkpoint(checkpoint_prefix: Path, checkpoint_format_version: int | None = None,
                      meta_graph_suffix: str | None = "meta") -> None:
    """Remove all files of a checkpoint: index, every shard, and its graph.

    What isn't there is not missed. The state file stays as it is.

    Args:
        checkpoint_prefix: What a save returned; of a sharded V1 checkpoint that is a pattern.
            Every other character stands for itself, unlike in TensorFlow.
        checkpoint_format_version: 2 or 1, or None for whichever is there.
        meta_graph_suffix: Ending of the graph's file; None leaves that alone.

    Raises:
        StorageError: The system refuses.

    Example:
        >>> import os, shutil, tempfile
        >>> folder = shutil.copytree("examples/tf1", tempfile.mkdtemp() + "/copy")
        >>> remove_checkpoint(folder + "/model.ckpt-7")
        >>> os.listdir(folder)
        ['checkpoint']
    """
    for file in _files_of(as_path(checkpoint_prefix), checkpoint_format_version,
                          meta_graph_suffix):
        _unlink(file)


def _files_of(prefix: str, version: int | None = None, meta_graph_suffix: str | None = "meta"
              ) -> tuple[str, ...]:
    """Files of a checkpoint in the order of removal: without its index it doesn't exist."""
    if version not in {None, 1, 2}:
        raise ValueError(f"the format version must be 1, 2 or None, not {version!r}")
    files = bundle_files(prefix) if version != 1 else ()
    if version == 1 or (version is None and not files):
        files = v1_files(prefix)
    if meta_graph_suffix is None:
        return files
    graph = meta_graph_file(prefix, meta_graph_suffix)
    return (*files, graph) if is_file(graph) else files


def _unlink(file: str) -> None:
    # Somebody else may be removing the same checkpoint.
    with os_errors(file, "remove"), contextlib.suppress(FileNotFoundError):
        os.unlink(file)


def remove_and_unlist(prefix: Path, *, dry_run: bool = False) -> Removal:
    """Remove all files of one checkpoint, and its entry in the state file of its folder.

    The state file is changed first: a crash in between leaves a checkpoint that nobody
    lists, and not a list that names a checkpoint which is gone.

    Args:
        prefix: Exactly its prefix. A folder or a single file is refused: what is deleted
            should be what was said.
        dry_run: Whether to change nothing and only say what would be.

    Raises:
        CheckpointNotFoundError: There is no checkpoint of this prefix.
        StorageError: The system refuses.
    """
    prefix = as_path(prefix)
    files = _files_of(prefix)
    if not files or files == (meta_graph_file(prefix),):
        raise _nothing_to_remove(prefix)
    removal = _plan_removal(prefix, files)._replace(dry_run=dry_run)
    if dry_run:
        return removal
    if removal.state_file is not None:
        if removal.new is None:
            _unlink(removal.state_file)
        else:
            replace_file(removal.state_file, encode_state(removal.new))
    for file in files:
        _unlink(file)
    return removal


def _nothing_to_remove(path: str) -> CheckpointError:
    """Say what is at a path that is no prefix."""
    if os.path.isdir(path):
        return CheckpointNotFoundError(
            "that is a folder; give the prefix of the checkpoint to remove", file=path,
            hint=f"`tfckpt list {path}` shows what it holds.")
    if os.path.basename(path) == STATE_FILE and is_file(path):
        return CheckpointNotFoundError(
            "that is a state file; give the prefix of the checkpoint to remove", file=path)
    try:
        found = discover(path)
    except CheckpointError as error:
        return error
    return CheckpointNotFoundError("that is one file of a checkpoint; give its prefix to remove all"
                                   " of it", file=path, hint=f"Its prefix: {found.prefix}")


def _plan_removal(prefix: str, files: Sequence[str]) -> Removal:
    removal = Removal(prefix, tuple((file, file_size(file) or 0) for file in files))
    folder = os.path.dirname(prefix)
    try:
        state = read_state(folder)
    except CheckpointError as error:
        note = f"the state file stays as it is, since it can't be used: {error}"
        return removal._replace(notes=(note,))
    if state is None:
        return removal
    new = edited_state(state, lambda stored: None if means(folder, stored, prefix) else stored)
    if new == state:
        return removal
    return removal._replace(state_file=os.path.join(folder, STATE_FILE), old=state, new=new)


def relocate(folder: Path, latest_filename: str | None = None, *, dry_run: bool = False
             ) -> Relocation:
    """Rewrite a folder's state file so that it has relative paths of what is there.

    A checkpoint in the folder goes before one of the same name elsewhere: after a folder
    was copied, the copy's state file may still point into the original. If the newest is
    gone, the last that is left takes its place.

    Args:
        folder: The folder.
        latest_filename: Name of the state file, if not ``checkpoint``.
        dry_run: Whether to change nothing and only say what would be.

    Raises:
        CheckpointNotFoundError: There is no state file, or nothing that it names exists.
        FormatError: It is empty or damaged.
        StorageError: The system refuses; the old file is as it was.
    """
    folder = as_path(folder)
    state_file = os.path.join(folder, latest_filename or STATE_FILE)
    state = read_state(folder, latest_filename or STATE_FILE)
    if state is None:
        raise CheckpointNotFoundError("there is no state file in this folder" if os.path.isdir(
            folder) else "there is no such folder", file=folder)
    new = edited_state(state, lambda stored: _relative(folder, stored))
    if new is None:
        raise CheckpointNotFoundError(
            "nothing that the state file names exists; it stays as it is", file=state_file,
            hint=f"`tfckpt list {folder}` shows what the folder holds.")
    stored = dict.fromkeys((*state.all_model_checkpoint_paths, state.model_checkpoint_path))
    moves = ((path, _relative(folder, path)) for path in stored)
    changes = tuple((old, path) for old, path in moves if old != path)
    if new != state and not dry_run:
        replace_file(state_file, encode_state(new))
    return Relocation(state_file, state, new, changes, dry_run)


def _relative(folder: str, stored: str) -> str | None:
    """A path of a state file as the folder's own, or None if nothing is there."""
    if not os.path.isabs(stored) and has_checkpoint(os.path.join(folder, stored)):
        return stored
    for prefix in (beside_state_file(folder, stored), stored):
        if has_checkpoint(prefix):
            return os.path.relpath(prefix, folder or ".")
    return None


def edited_state(state: CheckpointState, change: Callable[[str], str | None]
                 ) -> CheckpointState | None:
    """A state with changed paths, the newest at the end, or None if no path is left.

    Times stay with their paths.
    """
    times = state.all_model_checkpoint_timestamps
    timed = len(times) == len(state.all_model_checkpoint_paths)
    kept: dict[str, float] = {}
    for n, path in enumerate(state.all_model_checkpoint_paths):
        new = change(path)
        if new is not None:
            kept.pop(new, None)
            kept[new] = times[n] if timed else 0.0
    newest = change(state.model_checkpoint_path) or next(reversed(kept), None)
    if newest is None:
        return None
    if newest in kept:
        kept[newest] = kept.pop(newest)
    else:  # a list by hand that lacks its newest has no time for it either
        kept[newest], timed = 0.0, False
    return state._replace(
        model_checkpoint_path=newest, all_model_checkpoint_paths=tuple(kept),
        all_model_checkpoint_timestamps=tuple(kept.values()) if timed and times else ())
