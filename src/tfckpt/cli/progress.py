"""A progress bar for work that turns out to be long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tfckpt.core.plan import Progress, no_progress

__all__ = ["progress_bar"]

_PATIENCE = 1.0  # seconds without a bar


@contextmanager
def progress_bar(label: str, clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """A progress that draws a bar on standard error once a second has passed.

    Where standard error is no terminal it stays silent.
    """
    if not sys.stderr.isatty():
        yield no_progress
        return
    bar = _LateBar(label, clock)
    try:
        yield bar.update
    finally:
        bar.stop()


class _LateBar:
    def __init__(self, label: str, clock: Callable[[], float]) -> None:
        self._label = label
        self._clock = clock
        self._start = clock()
        self._stop: Callable[[], None] = lambda: None
        self._draw: Callable[[int, int], None] | None = None

    def update(self, done: int, total: int) -> None:
        if self._draw is None:
            if self._clock() - self._start < _PATIENCE or done >= total:
                return
            self._open(total)
        if self._draw is not None:
            self._draw(done, total)

    def _open(self, total: int) -> None:
        # Deferred: most commands end before they need it.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        bar = Progress("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                       TimeRemainingColumn(), console=Console(stderr=True), transient=True)
        task = bar.add_task(self._label, total=total)
        bar.start()
        self._stop = bar.stop
        self._draw = lambda done, total: bar.update(task, completed=done, total=total)

    def stop(self) -> None:
        self._stop()
