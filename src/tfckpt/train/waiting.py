"""Waiting for checkpoints that another program is writing.

Source: python/training/checkpoint_utils.py.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator

from tfckpt.core.catalog import find_newest
from tfckpt.core.discovery import Found, as_path
from tfckpt.errors import CheckpointNotFoundError, CheckpointWarning

__all__ = ["checkpoints_iterator", "wait_for_new_checkpoint"]

Path = str | os.PathLike[str]
Clock = Callable[[], float]
Sleep = Callable[[float], None]


def wait_for_new_checkpoint(
    checkpoint_dir: Path,
    last_checkpoint: Path | None = None,
    seconds_to_sleep: float = 1,
    timeout: float | None = None,
    *,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
) -> str | None:
    """Wait until a folder's newest checkpoint is another one than before.

    Args:
        checkpoint_dir: The folder; it may not exist yet.
        last_checkpoint: Prefix of the one that is known, if any.
        seconds_to_sleep: How long to wait between two looks.
        timeout: Seconds to wait at most; None waits for ever.
        clock: Tells the time in seconds; only differences count.
        sleep: Waits so many seconds.

    Returns:
        The prefix of the new one, or None if the time is over.

    Raises:
        FormatError: The state file is empty or damaged.

    Example:
        >>> wait_for_new_checkpoint("examples/tf1", timeout=0)
        'examples/tf1/model.ckpt-7'
        >>> wait_for_new_checkpoint("examples/tf1", "examples/tf1/model.ckpt-7", timeout=0)
    """
    known = None if last_checkpoint is None else as_path(last_checkpoint)
    end = None if timeout is None else clock() + timeout
    while True:
        found = _look(checkpoint_dir)
        if found is not None and found.prefix != known:
            for note in found.notes:
                warnings.warn(note, CheckpointWarning, stacklevel=2)
            return found.prefix
        if end is not None and clock() + seconds_to_sleep > end:
            return None
        sleep(seconds_to_sleep)


def _look(folder: Path) -> Found | None:
    try:
        return find_newest(folder)
    except CheckpointNotFoundError:
        # Deleted between our reading of the state file and our looking for it, or being
        # copied at this moment: there will be another.
        return None


def checkpoints_iterator(
    checkpoint_dir: Path,
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
    *,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
) -> Iterator[str]:
    """Every new checkpoint of a folder as it appears, for as long as there may be more.

    It looks only when it is asked for the next: one that was replaced meanwhile is missed.

    Args:
        checkpoint_dir: The folder; it may not exist yet.
        min_interval_secs: Seconds between two checkpoints at least.
        timeout: Seconds to wait for the next at most; None waits for ever.
        timeout_fn: Asked after each timeout, and after each checkpoint: True ends the
            iteration. Without it the first timeout ends it.
        clock: Tells the time in seconds; only differences count.
        sleep: Waits so many seconds.

    Yields:
        The prefix of the newest checkpoint.

    Raises:
        FormatError: The state file is empty or damaged.

    Example:
        >>> list(checkpoints_iterator("examples/tf1", timeout=0))
        ['examples/tf1/model.ckpt-7']
    """
    known = None
    while True:
        new = wait_for_new_checkpoint(checkpoint_dir, known, timeout=timeout,
                                      clock=clock, sleep=sleep)
        if new is not None:
            start = clock()
            known = new
            yield new
            rest = start + min_interval_secs - clock()
            if rest > 0:
                sleep(rest)
        elif timeout_fn is None:
            return
        if timeout_fn is not None and timeout_fn():
            return
