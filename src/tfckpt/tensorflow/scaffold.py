"""`ScaffoldSaver`: a saver for Scaffold, and with it for MonitoredSession and Estimator.

TensorFlow's own takes either variables by name or a ``tf.train.Checkpoint``. This one writes
TF1, TF2, or both from one pass over the values, and restores from either, so that a training
run can go on while its format changes.

    =================== =========================================================
    ``formats``         what is saved where
    =================== =========================================================
    ``("tf1",)``        names, in the model's folder
    ``("tf2",)``        objects, in the model's folder
    ``("tf2", "tf1")``  objects in the model's folder, names in its folder ``tf1``
    ``("tf1", "tf2")``  names in the model's folder, objects in its folder ``tf2``
    =================== =========================================================

A folder's state file names one checkpoint; that of the model's folder is the one from which
training goes on, and which Estimator's ``latest_checkpoint`` and ``get_variable_value`` mean.

Source: python/training/{monitored_session,session_manager,basic_session_run_hooks}.py of
TensorFlow 2.15 and 2.21.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import tensorflow as tf

from tfckpt.core.collection import no_collection
from tfckpt.core.discovery import as_path
from tfckpt.core.opening import open_source
from tfckpt.core.plan import Plan
from tfckpt.errors import GraphStateError, VariableError
from tfckpt.tensorflow.graphsavers import as_checkpoint, saver_of_names, saver_of_objects
from tfckpt.tensorflow.graphvariables import prepare
from tfckpt.tensorflow.hooks import WaitAtEnd
from tfckpt.train.adapters import using_session
from tfckpt.train.background import BackgroundSaves
from tfckpt.train.both import prepare_shared
from tfckpt.train.pending import PendingSave
from tfckpt.train.retention import Retention
from tfckpt.train.saver import Saver
from tfckpt.train.state import get_checkpoint_state
from tfckpt.train.varlist import plan_names

__all__ = ["Format", "ScaffoldSaver"]

Path = str | os.PathLike[str]
Format = Literal["tf1", "tf2"]


class ScaffoldSaver:
    """Saves a training run in either format or both, for ``tf.compat.v1.train.Scaffold``.

    Args:
        objects: What a TF2 checkpoint has: a ``tf.train.Checkpoint``, a model or module, or a
            dict from names to objects. By default all variables, as ``var_list`` by name.
        formats: ``"tf1"``, ``"tf2"``, or both; the first is what training goes on from.
        var_list: What a TF1 checkpoint has, as for `tfckpt.Saver`; by default all variables of
            the graph.
        beside: Name of the second format's folder, in the model's; by default the format's.
        max_to_keep: How many saves are kept in each folder; None or 0 keeps all.
        keep_checkpoint_every_n_hours: As for `tfckpt.Saver`.
        save_relative_paths: Whether state files have relative paths, so that the folder can
            be moved.
        background: Whether files are written while training goes on, as by `BackgroundSaves`:
            a save that failed is told by the next one. `hook` waits for the last one when
            training ends; without it, the end of the program does.

    Raises:
        VariableError: The formats are none, or one twice.

    Example::

        ckpt = tf.train.Checkpoint(var_list={'var': v}, step=train_step)
        saver = ScaffoldSaver(ckpt, formats=("tf2", "tf1"))
        scaffold = tf1.train.Scaffold(saver=saver)
    """

    def __init__(self, objects: Any = None, *, formats: Sequence[Format] = ("tf2",),
                 var_list: Iterable[Any] | Mapping[str, Any] | None = None,
                 beside: str | None = None, max_to_keep: int | None = 5,
                 keep_checkpoint_every_n_hours: float = 10000.0,
                 save_relative_paths: bool = True, background: bool = False) -> None:
        given = (formats,) if isinstance(formats, str) else tuple(formats)
        if not given or set(given) - {"tf1", "tf2"} or len(set(given)) != len(given):
            raise VariableError("there are no such formats to save in",
                                expected='"tf1", "tf2" or both', got=repr(formats))
        self._formats = given
        self._objects = objects
        self._beside = beside or given[-1]
        if os.path.basename(self._beside) != self._beside or self._beside in (".", ".."):
            raise VariableError("beside is no name of a folder", got=repr(beside))
        # Of two formats each has a list of its own: either's files may be deleted by hand.
        self._saver = Saver(var_list, max_to_keep=max_to_keep, defer_build=var_list is None,
                            keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
                            save_relative_paths=save_relative_paths)
        self._retention = Retention(max_to_keep, keep_checkpoint_every_n_hours,
                                    save_relative_paths=save_relative_paths)
        self._background = BackgroundSaves() if background else None
        self._checkpoint: Any = None
        self._graph_saver: Any = None

    def build(self) -> None:
        """Collect what is saved, and make the operations that it takes; `Scaffold` calls this.

        Raises:
            GraphStateError: There is no graph, or it is finalized.
            VariableError: There is nothing to save.
        """
        if self._checkpoint is not None:
            return
        if tf.executing_eagerly():
            raise GraphStateError(
                "a ScaffoldSaver saves what is in a graph, and there is none",
                hint="Elsewhere there are tfckpt.Saver, tfckpt.Checkpoint and tfckpt.save_both.")
        if tf.compat.v1.get_default_graph().finalized:
            raise GraphStateError("the graph is finalized, and its saver wasn't built before",
                                  hint="Call build() before the graph is finalized.")
        self._saver.build()
        objects, checkpoint = as_checkpoint(self._objects, self._saver)
        prepare(self._saver.variables.items())
        prepare((name, value) for name, value in enumerate(checkpoint.view().objects))
        self._graph_saver = (saver_of_names(self._saver) if self._formats[0] == "tf1"
                             else saver_of_objects(objects))
        self._checkpoint = checkpoint

    @property
    def saver_def(self) -> Any:
        """What an exported graph says of how it is restored; None if TensorFlow can't."""
        self.build()
        return None if self._graph_saver is None else self._graph_saver.saver_def

    def export_meta_graph(self, filename: Path | None = None, **options: Any) -> Any:
        """The graph with its collections and `saver_def`, for ``import_meta_graph``.

        Args:
            filename: Where it is written; nowhere by default.
            **options: As for TensorFlow's ``Saver.export_meta_graph``.
        """
        self.build()
        path = None if filename is None else as_path(filename)
        if self._graph_saver is not None:
            return self._graph_saver.export_meta_graph(path, **options)
        return tf.compat.v1.train.export_meta_graph(path, **options)

    @property
    def _list(self) -> Saver | Retention:
        """What keeps the list of the first format's saves."""
        return self._saver if self._formats[0] == "tf1" else self._retention

    @property
    def last_checkpoints(self) -> list[str]:
        """Prefixes of the first format's saves that may still be deleted, oldest first."""
        return self._list.last_checkpoints

    def set_last_checkpoints(self, last_checkpoints: Iterable[Path]) -> None:
        """Take over a list without times."""
        self._list.set_last_checkpoints(last_checkpoints)

    def set_last_checkpoints_with_time(
            self, last_checkpoints_with_time: Iterable[tuple[Path, float]]) -> None:
        """Take over a list of prefixes and times, oldest first."""
        self._list.set_last_checkpoints_with_time(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Iterable[Path]) -> None:
        """Take over an earlier program's list, and that of the folder beside.

        Paths without files are dropped.
        """
        paths = [as_path(path) for path in checkpoint_paths]
        self._list.recover_last_checkpoints(paths)
        if len(self._formats) > 1 and paths:
            state = get_checkpoint_state(self._folder_beside(paths[-1]))
            other = self._retention if self._list is self._saver else self._saver
            other.recover_last_checkpoints(state.all_model_checkpoint_paths if state else ())

    def save(self, sess: Any, save_path: Path, global_step: Any = None,
             latest_filename: str | None = None, meta_graph_suffix: str = "meta",
             write_meta_graph: bool = True, write_state: bool = True,
             strip_default_attrs: bool = False, save_debug_info: bool = False) -> str:
        """Save the values that a session has.

        Args:
            sess: The session.
            save_path: Prefix in the model's folder.
            global_step: A number, or a variable of the graph; added to the prefix.
            latest_filename: Name of the state files, if not ``checkpoint``.
            meta_graph_suffix: Ending of graph files.
            write_meta_graph: Whether the graph is written beside the first format.
            write_state: Whether state files are written and old saves deleted. Without this
                only the first format is written: that is how a SavedModel is exported.
            strip_default_attrs: As in TensorFlow.
            save_debug_info: As in TensorFlow.

        Returns:
            The first format's prefix with the step.

        Raises:
            StorageError: The system refuses.
        """
        self.build()
        prefix = as_path(save_path)
        if global_step is not None:
            step = sess.run(global_step) if hasattr(global_step, "graph") else global_step
            prefix = f"{prefix}-{int(step)}"
        places = {self._formats[0]: prefix}
        if write_state and len(self._formats) > 1:
            places[self._formats[1]] = os.path.join(self._folder_beside(prefix),
                                                    os.path.basename(prefix))
        names = {"latest_filename": latest_filename, "meta_graph_suffix": meta_graph_suffix}
        with self._inside(sess), no_collection():
            pending = self._prepare(places, write_state=write_state, **names)

        def write(plan: Plan) -> None:
            pending.write(plan)
            if write_meta_graph:
                with sess.graph.as_default():  # there is a default for each thread
                    self.export_meta_graph(f"{prefix}.{meta_graph_suffix}",
                                           strip_default_attrs=strip_default_attrs,
                                           save_debug_info=save_debug_info)

        whole = PendingSave(prefix, pending.plan, write)
        # A graph that may still grow can't be written while it does; and who exports a SavedModel
        # goes on with the files.
        if self._background is not None and write_state and sess.graph.finalized:
            self._background.start(whole)
        else:
            self.wait()
            whole.finish()
        return prefix

    def _prepare(self, places: Mapping[str, str], *, write_state: bool, **names: Any
                 ) -> PendingSave:
        """The save as far as taking the values. The second format shares the first's data."""
        if "tf2" not in places:
            return self._saver.prepare_plan(plan_names(self._saver.variables), places["tf1"],
                                            write_state=write_state, **names)
        objects: PendingSave = self._checkpoint.prepare_write(places["tf2"])

        def write(plan: Plan) -> None:
            objects.write(plan)
            if write_state:
                self._retention.saved(places["tf2"], **names)

        noted = objects._replace(write=write)
        if "tf1" not in places:
            return noted
        return prepare_shared(
            self._saver, self._checkpoint, noted,
            lambda rest: self._saver.prepare_plan(rest, places["tf1"], write_state=write_state,
                                                  **names))

    def wait(self) -> None:
        """Wait until the last save in the background is written.

        Raises:
            Exception: Whatever it has failed with; raised once.
        """
        if self._background is not None:
            self._background.wait()

    def hook(self) -> Any:
        """A hook that waits for the last save at the end of training, for ``hooks=``."""
        return WaitAtEnd(self)

    def _folder_beside(self, prefix: str) -> str:
        return os.path.join(os.path.dirname(prefix), self._beside)

    def restore(self, sess: Any, save_path: Path) -> None:
        """Restore a session's variables from a checkpoint of either style, all or none.

        Args:
            sess: The session.
            save_path: A checkpoint: its prefix, any of its files, or a folder.

        Raises:
            RestoreError: Something isn't in the checkpoint, or differs in shape or dtype.
            CheckpointNotFoundError: There is no checkpoint.
        """
        self.build()
        self.wait()
        with open_source(save_path) as source:
            by_objects = source.style == "object-based" and "tf2" in self._formats
        with self._inside(sess):
            if by_objects:
                status = self._checkpoint.read(save_path).expect_partial()
                status.assert_existing_objects_matched()
                status.run_restore_ops(sess)
            else:
                self._saver.restore(sess, save_path)

    @contextmanager
    def _inside(self, sess: Any) -> Iterator[None]:
        """Saves may come from a hook that runs when the graph isn't the default one."""
        with sess.graph.as_default(), using_session(sess):
            yield
