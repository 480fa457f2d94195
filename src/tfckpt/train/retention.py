"""Which checkpoints are kept and which are deleted: the rules of TensorFlow 1's ``Saver``.

A window of the last N saves. What falls out of it is deleted, unless it was saved so late
that another one is due to be kept for good; then it only leaves the list. Nothing that
wasn't saved through the window, or handed to it, is ever deleted.
Source: python/training/saver.py of TensorFlow 1.15.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterable

from tfckpt.core.discovery import as_path
from tfckpt.errors import CheckpointWarning, StorageError
from tfckpt.train.state import get_checkpoint_mtimes, remove_checkpoint, write_state

__all__ = ["Retention", "Window", "delete_or_warn"]

Path = str | os.PathLike[str]


class Window:
    """Checkpoints that may still be deleted, with the time of each, oldest first.

    Example:
        >>> window = Window([("m-1", 10.0), ("m-2", 20.0)])
        >>> window.add("m-1", 30.0)
        >>> window.paths, window.pop_oldest()
        (['m-2', 'm-1'], ('m-2', 20.0))
    """

    def __init__(self, saved: Iterable[tuple[str, float]] = ()) -> None:
        self._times = dict(saved)

    def __len__(self) -> int:
        return len(self._times)

    @property
    def paths(self) -> list[str]:
        """Prefixes, oldest first."""
        return list(self._times)

    @property
    def items(self) -> list[tuple[str, float]]:
        """Prefix and time of each, oldest first."""
        return list(self._times.items())

    def add(self, path: str, saved_at: float) -> None:
        """Take in a checkpoint as the newest, also if it is one that was written again."""
        self._times.pop(path, None)
        self._times[path] = saved_at

    def pop_oldest(self) -> tuple[str, float]:
        """Let go of the oldest."""
        path = next(iter(self._times))
        return path, self._times.pop(path)


def delete_or_warn(prefix: str, format_version: int = 2, meta_graph_suffix: str | None = "meta"
                   ) -> None:
    """Delete a checkpoint; a refusal of the system must not fail the save that went before."""
    try:
        remove_checkpoint(prefix, format_version, meta_graph_suffix)
    except StorageError as error:
        warnings.warn(f"an old checkpoint is still there: {error}", CheckpointWarning,
                      stacklevel=4)


class Retention:
    """The list of a ``Saver``: what it keeps, what it deletes, what its state file says.

    Args:
        max_to_keep: How many of the last saves are kept; None or 0 keeps all, and then they
            aren't listed either.
        keep_checkpoint_every_n_hours: What falls out of the window is kept for good if it was
            saved at least so long after the last that was.
        save_relative_paths: Whether the state file has relative paths only.
        format_version: 2 or 1: which files of a checkpoint are deleted.
        clock: Tells the time in seconds since 1970.
    """

    def __init__(
        self,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        *,
        save_relative_paths: bool = False,
        format_version: int = 2,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._max_to_keep = max_to_keep or 0
        self._interval = keep_checkpoint_every_n_hours * 3600
        self._save_relative_paths = save_relative_paths
        self._format_version = format_version
        self._clock = clock
        self._next_preserved = clock() + self._interval
        self._window = Window()

    @property
    def last_checkpoints(self) -> list[str]:
        """Prefixes of those that are kept and may still be deleted, oldest first."""
        return self._window.paths

    def set_last_checkpoints(self, last_checkpoints: Iterable[Path]) -> None:
        """Take over a list without times: these are listed, and never deleted."""
        self._window = Window((as_path(path), math.inf) for path in last_checkpoints)

    def set_last_checkpoints_with_time(
            self, last_checkpoints_with_time: Iterable[tuple[Path, float]]) -> None:
        """Take over a list, oldest first; as it ages, these are deleted."""
        self._window = Window((as_path(path), saved_at)
                              for path, saved_at in last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Iterable[Path]) -> None:
        """Take over an earlier program's list, with the files' own times.

        Paths at which nothing is are dropped.
        """
        self.set_last_checkpoints_with_time(
            (path, written_at) for path in checkpoint_paths
            for written_at in get_checkpoint_mtimes([path]))

    def saved(self, prefix: Path, *, latest_filename: str | None = None,
              meta_graph_suffix: str = "meta") -> None:
        """Tell of a checkpoint that was just written: list it, write the state file, then delete.

        At most one checkpoint is deleted each time, as in TensorFlow, however long a list
        was taken over.

        Args:
            prefix: The checkpoint; its folder is the state file's.
            latest_filename: Name of the state file, if not ``checkpoint``.
            meta_graph_suffix: Ending of the graphs' files.

        Raises:
            StorageError: The state file can't be written; nothing is deleted.
            PathConflictError: The state file would go where the checkpoint is.
        """
        prefix = as_path(prefix)
        surplus = None
        if self._max_to_keep:
            self._window.add(prefix, self._clock())
            if len(self._window) > self._max_to_keep:
                surplus = self._window.pop_oldest()
        write_state(os.path.dirname(prefix), prefix, self._window.paths, latest_filename,
                    save_relative_paths=self._save_relative_paths)
        if surplus is not None:
            self._preserve_or_delete(*surplus, meta_graph_suffix)

    def _preserve_or_delete(self, prefix: str, saved_at: float, meta_graph_suffix: str) -> None:
        if saved_at > self._next_preserved:
            self._next_preserved += self._interval
        else:
            delete_or_warn(prefix, self._format_version, meta_graph_suffix)
