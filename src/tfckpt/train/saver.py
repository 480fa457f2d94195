"""`Saver`: saving and restoring variables by their names (TF1's name-based checkpoints).

Source: python/training/saver.py of TensorFlow 1.15 and 2.21.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from tfckpt.core.collection import no_collection
from tfckpt.core.discovery import STATE_FILE, as_path
from tfckpt.core.index import Entry
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.errors import (
    CheckpointWarning,
    GraphStateError,
    PathConflictError,
    UnsupportedError,
    VariableError,
)
from tfckpt.train.adapters import tree_of, using_session
from tfckpt.train.fetching import open_for_objects, read_values
from tfckpt.train.pending import PendingSave
from tfckpt.train.retention import Retention
from tfckpt.train.savervalues import find_entries, give_values
from tfckpt.train.steps import step_of
from tfckpt.train.storednames import StoredNames
from tfckpt.train.varlist import all_variables, by_name, plan_names, stored_under

__all__ = ["Saver"]

Path = str | os.PathLike[str]


class Saver:
    """Saves variables under their names, and restores them.

    Args:
        var_list: Variables to save under their own names, or a dict from names to variables, or
            a module of PyTorch, which may also be in the dict;
            by default all that the current graph lists as global or as saveable.
        reshape: Whether a stored value of another shape is poured into the variable's, row by
            row, if it has as many elements.
        sharded: Whether a V1 checkpoint is named as one of several shards. There is one
            machine, so there is one; in V2 it makes no difference.
        max_to_keep: How many of the last saves are kept; None or 0 keeps all.
        keep_checkpoint_every_n_hours: What is deleted otherwise is kept for good if so many
            hours have passed since the last that was.
        name: Not used.
        restore_sequentially: Not used.
        saver_def: Not supported.
        builder: Not supported.
        defer_build: Whether the variables are collected when `build` is called.
        allow_empty: Whether there may be nothing to save; then save and restore do nothing.
        write_version: 2, or 1 for the V1 format: one table file with the values inside.
        pad_step_number: Whether steps in names have eight digits.
        save_relative_paths: Whether the state file has relative paths.
        filename: Not used.

    An object of the user's own may be in the list too: a `Trackable` whose
    ``_serialize_to_tensors`` gives values by name. As in TensorFlow each is stored under the
    object's name in the dict with the value's own name right after it; in a list the object
    has no name. A `PythonState` is stored under its name and ``_py_state``.

    Raises:
        VariableError: Two variables have one name, one variable two names, or there are none.
        VariableTypeError: Something in the list can't be saved.
        GraphStateError: There is no list, and no graph to take variables from.

    Example:
        >>> import tempfile
        >>> from tfckpt.train.variables import Variable
        >>> saver = Saver({"a": Variable(1.0), "scoped/c": Variable(3.0)})
        >>> path = saver.save(None, tempfile.mkdtemp() + "/model", global_step=7)
        >>> os.path.basename(path)
        'model-7'
        >>> c = Variable(0.0)
        >>> Saver({"scoped/c": c}).restore(None, path)
        >>> c.numpy()
        np.float32(3.0)
    """

    def __init__(
        self,
        var_list: Iterable[Any] | Mapping[str, Any] | None = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: object = None,
        builder: object = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: int = 2,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
    ) -> None:
        if saver_def is not None or builder is not None:
            raise UnsupportedError("a Saver can't be made from a saver_def or a builder; both"
                                   " describe operations of a TensorFlow graph")
        if write_version not in (1, 2):
            raise UnsupportedError("there is no such version of the checkpoint format",
                                   expected="1 or 2", got=write_version)
        if defer_build and var_list:
            raise VariableError("a Saver that is built later takes no list of variables",
                                hint="Variables made until then are included by themselves.")
        self._var_list = var_list
        self._is_v1 = write_version == 1
        self._sharded = sharded
        self._reshape = reshape
        self._allow_empty = allow_empty
        self._pad_step_number = pad_step_number
        self._retention = Retention(max_to_keep, keep_checkpoint_every_n_hours,
                                    save_relative_paths=save_relative_paths,
                                    format_version=write_version)
        self._by_name: dict[str, Any] | None = None
        if not defer_build:
            self.build()

    def build(self) -> None:
        """Collect the variables; for a Saver made with ``defer_build``.

        Raises:
            VariableError: Two variables have one name, one variable two names, or there are
                none.
            GraphStateError: There is no graph to take them from.
        """
        if self._by_name is not None:
            return
        given = self._var_list
        found = by_name(all_variables() if given is None else given)
        self._by_name = {} if self._is_tree else found
        if not found and not self._allow_empty:
            raise VariableError("there are no variables to save",
                                hint="Make them first, or allow it with allow_empty=True.")

    @property
    def variables(self) -> dict[str, Any]:
        """What it saves, by name.

        Raises:
            GraphStateError: It was made with ``defer_build``, and `build` wasn't called.
        """
        if self._by_name is None:
            raise GraphStateError("build() wasn't called on a Saver made with defer_build=True")
        if self._is_tree and self._var_list is not None:  # a step may have put others in there
            return by_name(self._var_list)
        return self._by_name

    @property
    def _is_tree(self) -> bool:
        return self._var_list is not None and tree_of(self._var_list) is not None

    @property
    def last_checkpoints(self) -> list[str]:
        """Prefixes of the saves that are kept and may be deleted, oldest first."""
        return self._retention.last_checkpoints

    def set_last_checkpoints(self, last_checkpoints: Iterable[Path]) -> None:
        """Take over a list without times."""
        self._retention.set_last_checkpoints(last_checkpoints)

    def set_last_checkpoints_with_time(
            self, last_checkpoints_with_time: Iterable[tuple[Path, float]]) -> None:
        """Take over a list of prefixes and times, oldest first."""
        self._retention.set_last_checkpoints_with_time(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Iterable[Path]) -> None:
        """Take over an earlier program's list; paths without files are dropped."""
        self._retention.recover_last_checkpoints(checkpoint_paths)

    def save(
        self,
        sess: object,
        save_path: Path,
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:
        """Save the variables.

        Args:
            sess: The session that has the values of TensorFlow's graph variables; otherwise
                None.
            save_path: Prefix of the checkpoint.
            global_step: A number or variable that is added to the prefix.
            latest_filename: Name of the state file, if not ``checkpoint``.
            meta_graph_suffix: Ending of graph files, deleted with old checkpoints.
            write_meta_graph: Not used: there is no graph to write.
            write_state: Whether the state file is written and old saves are deleted.
            strip_default_attrs: Not used.
            save_debug_info: Not used.

        Returns:
            The prefix with the step, or None if the Saver is empty.

        Raises:
            PathConflictError: The checkpoint would be where the state file goes.
            StorageError: The system refuses.
        """
        pending = self.prepare(sess, save_path, global_step, latest_filename, meta_graph_suffix,
                               write_meta_graph, write_state)
        return None if pending is None else pending.finish()

    def prepare(
        self, sess: object, save_path: Path, global_step: Any = None,
        latest_filename: str | None = None, meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True, write_state: bool = True,
        strip_default_attrs: bool = False, save_debug_info: bool = False,
    ) -> PendingSave | None:
        """`save` as far as taking the values, for one that is written later; see `PendingSave`."""
        if not self.variables:
            return None
        with no_collection(), using_session(sess):
            return self.prepare_plan(
                plan_names(self.variables), save_path, global_step, write_state=write_state,
                latest_filename=latest_filename, meta_graph_suffix=meta_graph_suffix)

    def prepare_plan(self, plan: Plan, save_path: Path, global_step: Any = None,
                     **options: Any) -> PendingSave:
        """`write` as far as naming the files."""
        prefix = self._prefix(as_path(save_path), global_step)
        sharded = self._is_v1 and self._sharded
        return PendingSave(prefix + "-?????-of-00001" if sharded else prefix, plan,
                           lambda plan: self.write(plan, prefix, **options))

    def write(self, plan: Plan, save_path: Path, global_step: Any = None, *,
              latest_filename: str | None = None, meta_graph_suffix: str = "meta",
              write_state: bool = True) -> str:
        """`save`, with the plan given; for a save that shares its data with another."""
        prefix = self._prefix(as_path(save_path), global_step)
        latest = latest_filename or STATE_FILE
        if os.path.basename(latest) != latest:
            raise VariableError("the state file's name may have no folder", got=latest)
        if os.path.basename(prefix) == latest:
            raise PathConflictError(
                "the checkpoint would be where the state file of its folder goes", file=prefix,
                hint="Save it under another name, or give the state file another one.")
        if self._is_v1:
            prefix = self._write_v1(plan, prefix)
        else:
            write_plan(plan, prefix, overwrite=True)
        if write_state:
            self._retention.saved(prefix, latest_filename=latest_filename,
                                  meta_graph_suffix=meta_graph_suffix)
        return prefix

    def _write_v1(self, plan: Plan, path: str) -> str:
        """Write one file; a sharded save is known by the pattern of its shards."""
        from tfckpt.core.writer_v1 import write_v1_plan  # deferred: rare by now

        shard = path + "-00000-of-00001" if self._sharded else path
        write_v1_plan(plan, shard, overwrite=True)
        return path + "-?????-of-00001" if self._sharded else path

    def _prefix(self, save_path: str, global_step: Any) -> str:
        if global_step is None:
            return save_path
        step = step_of(global_step)
        return f"{save_path}-{step:08d}" if self._pad_step_number else f"{save_path}-{step}"

    def restore(self, sess: object, save_path: Path) -> None:
        """Restore the variables, all of them or none.

        Everything is read before the first variable changes, so there must be memory for the
        old values and the new ones.

        Args:
            sess: The session that gets the values of TensorFlow's graph variables; otherwise
                None.
            save_path: A checkpoint of either style: its prefix, any of its files, or a folder.
                In an object-based one variables are found by their keys or, as in
                TensorFlow, by their full names.

        Raises:
            RestoreError: A variable isn't in the checkpoint, or differs in dtype or shape;
                with the whole report.
            CheckpointNotFoundError: There is no checkpoint.
        """
        values = self.variables
        if not values:
            return
        if save_path is None:
            raise VariableError("a Saver can't restore from None",
                                hint="latest_checkpoint gives None if there is no checkpoint yet.")
        items = [item for name, value in values.items() for item in stored_under(name, value)]
        with open_for_objects(save_path) as source:
            names = StoredNames(source)
            entries = find_entries(items, names, reshape=self._reshape)
            ordered = sorted(items, key=lambda item: _place(entries[item.key]))
            read = read_values(source, [(entries[item.key], item.owner) for item in ordered])
            arrays = {item.key: value for item, value in zip(ordered, read, strict=True)}
        for name, keys in names.ambiguous(entries):
            warnings.warn(
                f"the checkpoint has {len(keys)} variables named {name!r}, and TensorFlow takes the"
                f" last: {', '.join(keys)}", CheckpointWarning, stacklevel=2)
        with using_session(sess):
            give_values(items, arrays, {id(value): name for name, value in values.items()})


def _place(entry: Entry) -> tuple[int, int]:
    return entry.shard_id, entry.offset
