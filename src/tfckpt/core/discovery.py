"""From whatever path a person has to the checkpoint that they mean.

A checkpoint is named by its *prefix*, which is no file at all. People have a file of it, a
folder, or a prefix without its step; TensorFlow answers "not an sstable". Here each of
these leads to the prefix, with a note of what was corrected, and anything else to an error
that says what is there instead.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from tfckpt.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    NotACheckpointError,
    located,
    nearest,
)
from tfckpt.format.naming import index_name, parse_data_name, parse_index_name, parse_meta_name
from tfckpt.storage.elsewhere import refuse_folder_elsewhere, refuse_prefix_elsewhere
from tfckpt.storage.local import is_file, list_folder, read_ends, read_file

if TYPE_CHECKING:
    from tfckpt.format.sniff import Kind
    from tfckpt.format.state import CheckpointState

__all__ = ["STATE_FILE", "Found", "as_path", "beside", "beside_state_file", "discover",
           "find_latest", "read_state", "stored_places"]

STATE_FILE = "checkpoint"


class Found(NamedTuple):
    """Where a checkpoint is.

    Attributes:
        prefix: Its prefix; of a V1 checkpoint its path, or the pattern of its shards.
        notes: What was corrected on the way, a sentence each.
        tables: The files of a V1 checkpoint; none of a V2 bundle.
        format: Name of the format of what isn't TensorFlow's; see `tfckpt.core.files.table`.
    """

    prefix: str
    notes: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    format: str | None = None


def as_path(path: str | os.PathLike[str]) -> str:
    """A path as text; ``file://`` addresses are local paths.

    Example:
        >>> as_path("file:///tmp/model")
        '/tmp/model'
    """
    return os.fsdecode(path).removeprefix("file://")


def discover(path: str | os.PathLike[str]) -> Found:
    """Find the checkpoint that a path means.

    Args:
        path: A prefix, an ``.index``, ``.data-*`` or ``.meta`` file, a V1 file or the pattern
            of its shards, a ``checkpoint`` state file, or a folder: one with a state file, a
            SavedModel, or with one checkpoint. Also a file of a format that
            `tfckpt.core.files.table` lists. Every character stands for itself; ``[v1]`` is no
            pattern.

    Raises:
        CheckpointNotFoundError: Nothing is there; the error names what is beside it.
        NotACheckpointError: It is a file of another kind; the error says which.
    """
    text = as_path(path)
    if is_file(index_name(text)):
        return Found(text)
    if os.path.isdir(text):
        return _discover_in_folder(text)
    v1 = _found_v1(text)
    if v1 is not None:
        return v1
    if is_file(text):
        return _discover_by_file(text)
    return _discover_missing(text)


def _found_v1(path: str) -> Found | None:
    """The V1 checkpoint at exactly this path or pattern, if there is one."""
    from tfckpt.core.v1files import v1_files, v1_note  # deferred: rare by now

    tables = v1_files(path)
    return Found(path, v1_note(path, tables), tables) if tables else None


def _discover_by_file(file: str) -> Found:
    name = os.path.basename(file)
    if name == STATE_FILE:
        found = _latest_in(os.path.dirname(file), _read_state_file(file))
        note = f"that is a state file; using the checkpoint it names, {found.prefix}"
        return found._replace(notes=(note, *found.notes))
    data = parse_data_name(file)
    for prefix, what in ((data and data.prefix, "a data shard"),
                         (parse_index_name(file), "the index"),
                         (parse_meta_name(file), "the graph of a checkpoint")):
        if prefix is not None and is_file(index_name(prefix)):
            # The index itself is as good a name as the prefix: no note.
            note = f"that is {what}; using the checkpoint prefix {prefix}"
            return Found(prefix, () if what == "the index" else (note,))
    from tfckpt.core.files.table import format_of_path  # deferred, as below
    from tfckpt.format.sniff import HEAD_SIZE, sniff  # deferred: only for other files

    head, tail = read_ends(file, HEAD_SIZE)
    kind = sniff(file, head, tail)
    named = format_of_path(file)
    # The ending alone says nothing of a file that begins as something else does.
    if kind is not None and kind.format:
        return Found(file, format=kind.format)
    if named is not None and kind is not None and kind.what == "a text file" \
            and file.endswith(".index.json"):
        return Found(file, format=named.name)
    if kind is not None and kind.what == "a data shard of a checkpoint" and data is not None:
        raise _index_missing(data.prefix, name)  # its prefix would only lead to this, too
    raise _not_a_checkpoint(file, head, kind)


def _not_a_checkpoint(file: str, head: bytes, kind: Kind | None) -> CheckpointError:
    if kind is None:
        return NotACheckpointError("this is not a TensorFlow checkpoint, and nothing tells what"
                                   " it is", file=file, offset=0, got=f"bytes {head[:8].hex(' ')}")
    prefixes = beside(file)
    graph_of = parse_meta_name(file)
    hint = kind.hint
    if graph_of is not None and kind.what.startswith("a TF1 graph"):
        hint = (f"It has no values; they are in files beside it, and {index_name(graph_of)} is"
                " missing.")
    hints = [hint] if hint else []
    if prefixes:
        hints.append(f"Checkpoints beside it: {', '.join(prefixes[:5])}.")
    return NotACheckpointError(f"this is {kind.what}, not a TensorFlow checkpoint", file=file,
                               hint=" ".join(hints) or None)


def _discover_in_folder(folder: str) -> Found:
    state_file = os.path.join(folder, STATE_FILE)
    if is_file(state_file):
        return _latest_in(folder, _read_state_file(state_file))
    bare = os.path.join(folder, "")
    if is_file(index_name(bare)):  # a prefix that ends in a slash: its files begin with a dot
        return Found(bare)
    saved_model = os.path.join(folder, "variables", "variables")
    if is_file(index_name(saved_model)):
        return Found(saved_model, (f"that is a SavedModel; using its variables, {saved_model}",))
    prefixes = beside(bare)
    if len(prefixes) == 1:
        return Found(prefixes[0], (f"using the only checkpoint in that folder, {prefixes[0]}",))
    if prefixes:
        raise CheckpointNotFoundError(
            "the folder has several checkpoints and no state file that says which is meant",
            file=folder, hint=f"Give one of them: {', '.join(prefixes[:10])}.")
    from tfckpt.core.v1files import v1_checkpoints  # deferred, as above

    tables = v1_checkpoints(folder)
    found = _found_v1(tables[0]) if len(tables) == 1 else None
    if found is not None:
        note = f"using the only checkpoint in that folder, {found.prefix}"
        return found._replace(notes=(note, *found.notes))
    if tables:
        raise CheckpointNotFoundError(
            "the folder has several checkpoints and no state file that says which is meant",
            file=folder, hint=f"Give one of them: {', '.join(tables[:10])}.")
    if is_file(os.path.join(folder, "saved_model.pb")):
        raise CheckpointNotFoundError(
            "this SavedModel has no variables/variables.index: it holds no checkpoint", file=folder)
    other = _other_folder(folder)
    if other is not None:
        return other
    for name in list_folder(folder):
        data = parse_data_name(name)
        if data is not None:
            raise _index_missing(os.path.join(folder, data.prefix), name)
    below = _holding_folders(folder)
    raise CheckpointNotFoundError(
        "the folder holds no checkpoint and no SavedModel", file=folder,
        hint=f"Folders in it hold some: {', '.join(below[:10])}." if below else
        "A checkpoint is a file ending in .index beside one or more .data-* files.")


def _holding_folders(folder: str) -> list[str]:
    """The folders right below this one in which there is a checkpoint or a SavedModel."""
    paths = [os.path.join(folder, name) for name in list_folder(folder)]
    return [path for path in paths
            if beside(os.path.join(path, "")) or is_file(os.path.join(path, STATE_FILE))
            or is_file(index_name(os.path.join(path, "variables", "variables")))]


def _index_missing(prefix: str, shard: str) -> CheckpointNotFoundError:
    return CheckpointNotFoundError(
        "the index of this checkpoint is missing; without it the data can't be read",
        file=index_name(prefix), hint=f"There is {shard}; look for the index where it came from.")


def _other_folder(folder: str) -> Found | None:
    """What a folder is that holds tensors of another framework, if it is one."""
    names = list_folder(folder)
    for endings in ((".safetensors.index.json",), (".safetensors",)):
        found = [os.path.join(folder, name) for name in names if name.endswith(endings)]
        if len(found) == 1:
            return Found(found[0], (f"using {found[0]}",), format="safetensors")
        if found:
            raise CheckpointNotFoundError(
                "the folder has several files of tensors", file=folder,
                hint=f"Give one of them: {', '.join(found[:10])}.")
    if "_METADATA" in names:
        return Found(folder, format="orbax")
    if "_METADATA" in list_folder(os.path.join(folder, "default")):  # as a manager's step has it
        inner = os.path.join(folder, "default")
        return Found(inner, (f"using the item {inner}",), format="orbax")
    if any(name.endswith(".npy") for _, _, files in os.walk(folder) for name in files):
        return Found(folder, format="npy")
    return None


def _discover_missing(path: str) -> Found:
    for prefix in (parse_index_name(path), parse_meta_name(path)):
        if prefix and is_file(index_name(prefix)):  # the graph is gone, its checkpoint isn't
            return Found(prefix, (f"using the checkpoint prefix {prefix}",))
    refuse_prefix_elsewhere(path)
    folder, name = os.path.split(path)
    from tfckpt.core.v1files import v1_checkpoints  # deferred, as above

    patterns = v1_checkpoints(folder, name)
    found = _found_v1(patterns[0]) if len(patterns) == 1 else None
    if found is not None:
        return found._replace(notes=(f"using the V1 shards {found.prefix}", *found.notes))
    if folder and not os.path.isdir(folder):
        raise CheckpointNotFoundError("there is no checkpoint here: its folder doesn't exist",
                                      file=path)
    shards = [n for n in list_folder(folder) if n.startswith(name + ".data-")]
    if shards:
        raise _index_missing(path, shards[0])
    prefixes = beside(path)
    steps = [p for p in prefixes if re.fullmatch(re.escape(path) + r"-\d+", p)]
    near = steps or nearest(path, prefixes)
    if near:
        newest = max(near, key=_step) if steps else near[0]
        hint = f"Beside it: {', '.join(near[:5])}. Did you mean {newest}?"
    elif prefixes:
        hint = f"Beside it: {', '.join(prefixes[:5])}."
    else:
        hint = "No checkpoint is in that folder."
    raise CheckpointNotFoundError("there is no checkpoint here", file=path, hint=hint)


def _step(prefix: str) -> int:
    return int(prefix.rpartition("-")[2])


def beside(path: str) -> list[str]:
    """Prefixes of the checkpoints in the folder of this path."""
    folder = os.path.dirname(path)
    names = (parse_index_name(name) for name in list_folder(folder))
    return [os.path.join(folder, name) for name in names if name is not None]


def read_state(folder: str | os.PathLike[str], state_file: str = STATE_FILE
               ) -> CheckpointState | None:
    """The state file of a folder, with its paths as they stand, or None if there is none.

    Raises:
        FormatError: It is empty or damaged.
        UnsupportedError: The folder is on another machine.
    """
    folder = as_path(folder)
    file = os.path.join(folder, state_file)
    if is_file(file):
        return _read_state_file(file)
    refuse_folder_elsewhere(folder)  # None would have a program train from scratch
    return None


def _read_state_file(file: str) -> CheckpointState:
    from tfckpt.format.state import parse_state  # deferred: a prefix needs no state file

    data = read_file(file)
    with located(file=file):
        return parse_state(data)


def find_latest(folder: str | os.PathLike[str], state_file: str = STATE_FILE) -> Found | None:
    """The newest checkpoint that a folder's state file names, or None without such a file.

    Raises:
        CheckpointNotFoundError: It names one that is nowhere.
        FormatError: It is empty or damaged.
    """
    state = read_state(folder, state_file)
    return None if state is None else _latest_in(as_path(folder), state)


def beside_state_file(folder: str, stored: str) -> str:
    """Where the checkpoint of a stored path is if it lies in the state file's own folder.

    Example:
        >>> beside_state_file("runs/new", "/home/old/model.ckpt-7")
        'runs/new/model.ckpt-7'
    """
    # A state file outlives a move of its folder, also from Windows: the name at the end of
    # a dead path is usually still right.
    name = re.split(r"[/\\]", stored)[-1]
    # A prefix that ends in a slash is stored as the folder itself.
    return os.path.join(folder, "" if name == "." else name)


def stored_places(folder: str, stored: str) -> tuple[Found, Found]:
    """Where the checkpoint of a path in a folder's state file may be, the likelier place first.

    Args:
        folder: The folder of the state file.
        stored: The path, as it stands there.
    """
    written = os.path.join(folder, stored)  # an absolute path stays as it is
    beside = beside_state_file(folder, stored)
    note = f"the state file points to {stored}, which is gone; using {beside} beside it"
    return Found(written), Found(beside, () if stored == "." else (note,))


def _latest_in(folder: str, state: CheckpointState) -> Found:
    places = stored_places(folder, state.model_checkpoint_path)
    for place in places:
        if is_file(index_name(place.prefix)):
            return place
        v1 = _found_v1(place.prefix)
        if v1 is not None:
            return v1._replace(notes=(*place.notes, *v1.notes))
    for place in places:
        if is_file(place.prefix):
            return _discover_by_file(place.prefix)
    prefixes = beside(os.path.join(folder, ""))
    raise CheckpointNotFoundError(
        "the checkpoint that the state file names is gone", file=places[0].prefix,
        hint=f"In the folder: {', '.join(prefixes[-5:])}." if prefixes
        else "No checkpoint is in the folder.")
