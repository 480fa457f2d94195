"""Bringing bytes to the disk while more of them are written.

A system gathers what is written and leaves the disk idle until somebody asks. Asked early, the
disk works beside the writer, and less is left to wait for at the end.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["EarlySync"]

_EVERY = 64 << 20  # bytes after which the disk is given something to do


class EarlySync:
    """A thread that syncs again and again; use it in a ``with``.

    It starts when there is something for it to do, so little work has it at the end only.

    Args:
        sync: Has what is written by now on disk.
        every: See above.

    Example:
        >>> with EarlySync(lambda: print("synced"), every=3) as early:
        ...     early.more(2)
        ...     early.finish()
        ...     early.wait()
        synced
    """

    def __init__(self, sync: Callable[[], object], every: int = _EVERY) -> None:
        from queue import SimpleQueue  # deferred: most work needs no threads
        from threading import Thread

        self._sync = sync
        self._every = every
        self._new = 0
        self._asked: SimpleQueue[bool | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="tfckpt sync")
        self._error: BaseException | None = None

    def more(self, n_bytes: int) -> None:
        """Be told of bytes that were written."""
        self._new += n_bytes
        if self._new >= self._every and self._asked.empty():  # else it is asked already
            self._new = 0
            self._ask(last=False)

    def finish(self) -> None:
        """Sync once more, now that all is written; doesn't wait for it."""
        self._ask(last=True)

    def wait(self) -> None:
        """Wait until all is synced.

        Raises:
            BaseException: What any of the syncs failed with. A system tells once that bytes didn't
                reach the disk, to whoever asks first.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _ask(self, *, last: bool) -> None:
        self._asked.put(last)
        if self._thread.ident is None:
            self._thread.start()

    def _run(self) -> None:
        last: bool | None = False
        while not last and self._error is None:
            last = self._asked.get()
            if last is None:  # nobody wants it any more
                return
            try:
                self._sync()
            except BaseException as error:  # raised where somebody waits
                self._error = error

    def __enter__(self) -> EarlySync:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._thread.is_alive():
            self._asked.put(None)
            self._thread.join()
