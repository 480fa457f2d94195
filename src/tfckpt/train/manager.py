"""``CheckpointManager``: saves numbered checkpoints, and deletes its own old ones.

Source: python/checkpoint/checkpoint_management.py.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from tfckpt.core.catalog import has_checkpoint, locate
from tfckpt.core.discovery import as_path, read_state
from tfckpt.core.plan import Plan
from tfckpt.errors import CheckpointError, CheckpointWarning, UnsupportedError
from tfckpt.format.state import CheckpointState
from tfckpt.train.adapters import session_in, using_session
from tfckpt.train.pending import PendingSave
from tfckpt.train.retention import Window, delete_or_warn
from tfckpt.train.state import write_state
from tfckpt.train.steps import step_of

__all__ = ["CheckpointManager", "Restorable"]


class Restorable(Protocol):
    """What a manager needs of a ``Checkpoint``; TensorFlow's own fits too."""

    @property
    def save_counter(self) -> Any:
        """Counts saves; a variable, made when it is first asked for."""

    def write(self, file_prefix: str) -> str:
        """Write a checkpoint of exactly this prefix, and return that."""

    def restore(self, save_path: str) -> Any:
        """Take the values of a checkpoint."""


@runtime_checkable
class Preparing(Protocol):
    """What can be saved in two steps."""

    def prepare_write(self, file_prefix: str, options: Any = None) -> PendingSave:
        """``write`` as far as taking the values."""


class CheckpointManager:
    """Keeps the last checkpoints of a program, and every so many hours one for good.

    It goes on where an earlier manager of this folder and this name stopped: that one's
    checkpoints count as its own. It deletes no others: neither those that no manager made,
    nor those of a manager with another name in the same folder, whose entries in the state
    file it carries over.

    Args:
        checkpoint: What is saved.
        directory: The folder of the checkpoints and of their state file.
        max_to_keep: How many are kept; None keeps all.
        keep_checkpoint_every_n_hours: One that would be deleted is kept for good, and leaves
            the list, if it was saved at least so long after the last that was.
        checkpoint_name: Their name; a dash and a number follow.
        step_counter: The training step, a variable; needed for an interval.
        checkpoint_interval: Steps between two saves at least.
        init_fn: Called by `restore_or_initialize` if there is nothing to restore.
        last_checkpoint_step: The step of the last save, if the interval counts from one.
        clock: Tells the time in seconds since 1970.

    Raises:
        ValueError: ``max_to_keep`` isn't positive, or the step is missing.
        FormatError: The state file in the folder is empty or damaged.
    """

    def __init__(
        self,
        checkpoint: Restorable,
        directory: str | os.PathLike[str],
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
        step_counter: Any = None,
        checkpoint_interval: int | None = None,
        init_fn: Callable[[], object] | None = None,
        last_checkpoint_step: int | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if max_to_keep is not None and max_to_keep <= 0:
            raise ValueError(f"max_to_keep must be a positive number or None, not {max_to_keep}")
        if checkpoint_interval is not None and step_counter is None:
            raise ValueError("checkpoint_interval needs a step_counter")
        self._checkpoint = checkpoint
        self._directory = as_path(directory)
        self._max_to_keep = max_to_keep
        self._keep_every = (keep_checkpoint_every_n_hours or 0) * 3600
        self._name = checkpoint_name
        self._step_counter = step_counter
        self._checkpoint_interval = checkpoint_interval
        self._init_fn = init_fn
        self._last_step = last_checkpoint_step
        self._clock = clock
        self._latest: str | None = None
        self._window = Window()
        # A second back, so that what is saved in this very moment counts as later.
        self._last_preserved = clock() - 1
        state = read_state(self._directory)
        if state is not None:
            self._recover(state)

    def _recover(self, state: CheckpointState) -> None:
        """Go on where the manager that wrote this state file stopped."""
        now = self._clock()
        stored = state.model_checkpoint_path
        found = locate(self._directory, stored)
        for note in found.notes if found else ():
            warnings.warn(note, CheckpointWarning, stacklevel=3)
        # One that is gone stays the latest: restoring it has to fail, not to start anew.
        self._latest = found.prefix if found else os.path.join(self._directory, stored)
        self._last_preserved = state.last_preserved_timestamp or 0.0
        if now < self._last_preserved:
            warnings.warn(
                f"the clock is {self._last_preserved - now:.0f} seconds behind the time at which a"
                f" checkpoint was last kept for good; all that are in {self._directory} now will"
                " be kept", CheckpointWarning, stacklevel=3)
            self._last_preserved = now
        # Without times, no manager made them.
        times = state.all_model_checkpoint_timestamps
        for path, saved_at in zip(state.all_model_checkpoint_paths, times, strict=False):
            prefix = os.path.join(self._directory, path)
            if self._is_ours(prefix) and min(saved_at, now) > self._last_preserved:
                self._window.add(prefix, min(saved_at, now))

    def _is_ours(self, prefix: str) -> bool:
        """Whether a manager of this folder and name would give this path to a checkpoint."""
        folder, name = os.path.split(prefix)
        head, tail = os.path.split(os.path.join(self._directory, self._name))
        return (re.fullmatch(re.escape(tail) + r"-\d+", name) is not None
                and os.path.realpath(folder or ".") == os.path.realpath(head or "."))

    @property
    def checkpoint(self) -> Restorable:
        """What is saved."""
        return self._checkpoint

    @property
    def directory(self) -> str:
        """The folder."""
        return self._directory

    @property
    def checkpoint_interval(self) -> int | None:
        """Steps between two saves at least."""
        return self._checkpoint_interval

    @property
    def latest_checkpoint(self) -> str | None:
        """Prefix of the newest checkpoint in the folder, or None if it has none."""
        return self._latest

    @property
    def checkpoints(self) -> list[str]:
        """Prefixes of the manager's own, oldest first, without those that are kept for good."""
        return self._window.paths

    def save(self, checkpoint_number: Any = None, check_interval: bool = True,
             options: Any = None) -> str | None:
        """Save a checkpoint, then delete what is too much.

        Args:
            checkpoint_number: Number in its name, also a variable; without it that is the
                save counter, which counts this save either way.
            check_interval: Whether to wait for the interval; a step that has been saved
                isn't saved again in any case.
            options: Passed on to ``checkpoint.write``: with tfckpt's, the session that has the
                values of TensorFlow's graph variables.

        Returns:
            Its prefix, or None if no save is due.
        """
        with using_session(session_in(options)):
            due = self._begin(checkpoint_number, check_interval=check_interval)
        if due is None:
            return None
        prefix, step = due
        extra = {} if options is None else {"options": options}
        path = as_path(self._checkpoint.write(prefix, **extra))
        self._saved(path, step)
        return path

    def prepare(self, checkpoint_number: Any = None, check_interval: bool = True,
                options: Any = None) -> PendingSave | None:
        """`save` as far as taking the values; the save is counted. See `PendingSave`.

        Raises:
            UnsupportedError: The checkpoint is none of tfckpt's.
        """
        if not isinstance(self._checkpoint, Preparing):
            raise UnsupportedError("only tfckpt's Checkpoint can be saved in the background",
                                   got=type(self._checkpoint).__name__)
        with using_session(session_in(options)):
            due = self._begin(checkpoint_number, check_interval=check_interval)
        if due is None:
            return None
        prefix, step = due
        pending = self._checkpoint.prepare_write(prefix, options)

        def write(plan: Plan) -> None:
            pending.write(plan)
            self._saved(pending.result, step)

        return pending._replace(write=write)

    def _begin(self, checkpoint_number: Any, *, check_interval: bool
               ) -> tuple[str, int | None] | None:
        """Prefix and step of a save, which is counted; None if none is due."""
        step = None if self._checkpoint_interval is None else step_of(self._step_counter)
        if step is not None and not self._is_due(step, check_interval=check_interval):
            return None
        counter = self._checkpoint.save_counter
        counter.assign_add(1)
        number = step_of(counter if checkpoint_number is None else checkpoint_number)
        return f"{os.path.join(self._directory, self._name)}-{number}", step

    def _saved(self, path: str, step: int | None) -> None:
        """Note a save whose files are written, and delete what is too much."""
        self._last_step = step
        self._window.add(path, self._clock())
        self._latest = path
        # Twice: whoever reads the state file while we delete must find the new one in it.
        self._write_state()
        if self._delete_surplus():
            self._write_state()

    def _is_due(self, step: int, *, check_interval: bool) -> bool:
        if self._last_step is None:
            return True
        if step == self._last_step:
            return False
        return not check_interval or step >= self._last_step + (self._checkpoint_interval or 0)

    def _delete_surplus(self) -> bool:
        """Delete or keep for good what is beyond the limit; whether there was anything."""
        if not self._max_to_keep or len(self._window) <= self._max_to_keep:
            return False
        while len(self._window) > self._max_to_keep:
            prefix, saved_at = self._window.pop_oldest()
            if self._keep_every and saved_at - self._keep_every >= self._last_preserved:
                self._last_preserved = saved_at
            else:
                delete_or_warn(prefix, meta_graph_suffix=None)
        return True

    def _write_state(self) -> None:
        paths, times = zip(*self._of_others(), *self._window.items, strict=True)
        write_state(self._directory, paths[-1], paths, save_relative_paths=True,
                    all_model_checkpoint_timestamps=times,
                    last_preserved_timestamp=self._last_preserved)

    def _of_others(self) -> list[tuple[str, float]]:
        """What managers with another name list in this folder at this moment."""
        try:
            state = read_state(self._directory)
        except CheckpointError:
            return []  # this save mends it
        if state is None:
            return []
        entries = ((os.path.join(self._directory, path), saved_at) for path, saved_at in zip(
            state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps, strict=False))
        return [(path, saved_at) for path, saved_at in entries
                if not self._is_ours(path) and has_checkpoint(path)]

    def restore_or_initialize(self) -> str | None:
        """Restore the latest checkpoint, or without one call ``init_fn``.

        Returns:
            The prefix that was restored, or None if there was none.
        """
        if self._latest is None:
            if self._init_fn is not None:
                self._init_fn()
            return None
        self._checkpoint.restore(self._latest)
        if self._checkpoint_interval is not None:
            self._last_step = step_of(self._step_counter)
        return self._latest

