"""Bringing bytes to the disk while more of them are written.

A system gathers what is written and leaves the disk idle until somebody asks. Asked early, the
disk works beside the writer, and less is left to wait for at the end.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["EarlySync"]

_EVERY = 64 << 20  # bytes after which the disk is given something to do


class EarlySync:
    """Syncs again and again on a thread; use it in a ``with``.

    The thread starts when there is something for it to do, so little work has none.

    Args:
        sync: Has what is written by now on disk.
        every: See above.

    Example:
        >>> with EarlySync(lambda: print("synced"), every=3) as early:
        ...     early.more(2)
        ...     early.wait()
        synced
    """

    def __init__(self, sync: Callable[[], object], every: int = _EVERY) -> None:
        self._sync = sync
        self._every = every
        self._new = 0
        self._worker: _Worker | None = None
        self._finishing = False

    def more(self, n_bytes: int) -> None:
        """Be told of bytes that were written."""
        self._new += n_bytes
        if self._new >= self._every and (self._worker is None or self._worker.is_free()):
            self._new = 0
            self._ask(last=False)

    def finish(self) -> None:
        """Sync once more, now that all is written; doesn't wait for it."""
        self._finishing = True
        self._ask(last=True)

    def wait(self) -> None:
        """Wait until all is synced.

        Raises:
            BaseException: What any of the syncs failed with. A system tells once that bytes didn't
                reach the disk, to whoever asks first.
        """
        if self._worker is None:
            self._sync()
            return
        if not self._finishing:
            self.finish()
        self._worker.end()

    def _ask(self, *, last: bool) -> None:
        if self._worker is None:
            self._worker = _Worker(self._sync)
        self._worker.ask(last)

    def __enter__(self) -> EarlySync:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._worker is not None:
            self._worker.stop()


class _Worker:
    """The thread."""

    def __init__(self, sync: Callable[[], object]) -> None:
        from queue import SimpleQueue  # deferred: most work needs no threads
        from threading import Thread

        self._sync = sync
        self._asked: SimpleQueue[bool | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="tfckpt sync")
        self._thread.start()

    def is_free(self) -> bool:
        """Whether it has begun with all that was asked; else it will do more than was asked."""
        return self._asked.empty()

    def ask(self, last: bool) -> None:
        self._asked.put(last)

    def end(self) -> None:
        """Wait for the last sync, and raise the first error of any."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Begin nothing more, and wait for what has begun."""
        self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        while self._error is None and (last := self._asked.get()) is not None:
            try:
                self._sync()
            except BaseException as error:  # raised where somebody waits
                self._error = error
            if last:
                return
