"""Saving beside training: values are taken at once, and files are written in a thread."""

from __future__ import annotations

import threading
import warnings
import weakref
from types import TracebackType
from typing import Any

from tfckpt.errors import CheckpointWarning, VariableTypeError
from tfckpt.train.both import prepare_both
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.manager import CheckpointManager
from tfckpt.train.pending import PendingSave
from tfckpt.train.saver import Saver

__all__ = ["BackgroundSaves"]


class BackgroundSaves:
    """Saves that training doesn't wait for.

    A save takes the values of the variables in the moment of the call, and returns; the files
    are written while training goes on. Only one save is written at a time: the next one waits
    for it, and raises its error if it failed. What is on the disk is in each moment what a
    save without this leaves there, so a process that is killed loses the save that is being
    written and none before it.

    Taking the values copies nothing: variables get new arrays when they change. While a save is
    written, there is memory for the old values and the new ones.

    At the end of a ``with``, and at the exit of the program, the last save is waited for. A
    program that ends without having asked gets a `CheckpointWarning` if it failed.

    Example:
        >>> import tempfile, tfckpt
        >>> folder, v = tempfile.mkdtemp(), tfckpt.Variable([1.0], name="v")
        >>> manager = tfckpt.CheckpointManager(tfckpt.Checkpoint(v=v), folder, max_to_keep=2)
        >>> with BackgroundSaves() as background:
        ...     for step in range(3):
        ...         _ = v.assign_add([1.0])
        ...         path = background.save(manager)
        >>> path == manager.latest_checkpoint, tfckpt.open(path)["v"]
        (True, array([4.], dtype=float32))
    """

    def __init__(self) -> None:
        self._running = _Running()
        weakref.finalize(self, self._running.warn)  # runs at exit too

    def save(self, saver: Saver | Checkpoint | CheckpointManager, *args: Any,
             **kwargs: Any) -> str | None:
        """``saver.save(*args, **kwargs)``, with the files written in the background.

        Returns:
            The prefix that the checkpoint will have; None if no save is due.

        Raises:
            VariableTypeError: What shall save isn't tfckpt's.
            Exception: Whatever the save before has failed with.
        """
        if not isinstance(saver, (Saver, Checkpoint, CheckpointManager)):
            raise VariableTypeError(
                "only tfckpt's own savers can save in the background",
                expected="Saver, Checkpoint or CheckpointManager", got=type(saver).__name__)
        self.wait()
        prefix: str | None = self.start(saver.prepare(*args, **kwargs))
        return prefix

    def save_both(self, *args: Any, **kwargs: Any) -> Any:
        """``tfckpt.save_both(*args, **kwargs)``, with the files written in the background.

        Returns:
            The `SavedBoth` that it will be; None if no save is due.

        Raises:
            Exception: Whatever the save before has failed with.
        """
        self.wait()
        return self.start(prepare_both(*args, **kwargs))

    def wait(self) -> None:
        """Wait until the last save is written.

        Raises:
            Exception: Whatever it has failed with; raised once.
        """
        error = self._running.end()
        if error is not None:
            raise error

    @property
    def is_writing(self) -> bool:
        """Whether files are being written at this moment."""
        return self._running.is_alive()

    def start(self, pending: PendingSave | None) -> Any:
        """Write a save that is prepared; for those who make their own.

        Returns:
            What the save returns.

        Raises:
            Exception: Whatever the save before has failed with.
        """
        self.wait()
        if pending is None:
            return None
        self._running.start(pending)
        return pending.result

    def __enter__(self) -> BackgroundSaves:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        if kind is None:
            self.wait()
        else:  # that error matters more; this one is told with it
            self._running.warn()


class _Running:
    """The thread of a save and its error; apart, so that it outlives who asked for it."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, pending: PendingSave) -> None:
        # No daemon: Python waits for it at exit.
        self._thread = threading.Thread(target=self._run, args=(pending,), name="tfckpt save")
        self._thread.start()

    def _run(self, pending: PendingSave) -> None:
        try:
            pending.write(pending.plan)
        except BaseException as error:  # raised where somebody can act on it
            self._error = error

    def end(self) -> BaseException | None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        return error

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def warn(self) -> None:
        error = self.end()
        if error is not None:
            warnings.warn(f"a save in the background failed: {type(error).__name__}: {error}",
                          CheckpointWarning, stacklevel=2)
