"""What a training session of TensorFlow 1 calls at its beginning, its steps and its end."""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

__all__ = ["WaitAtEnd"]


class _Saves(Protocol):
    def wait(self) -> None:
        """Wait until the last save is written."""


class WaitAtEnd(tf.compat.v1.train.SessionRunHook):  # type: ignore[misc]
    """Waits for the last save when training ends.

    A session calls hooks that it was given after its own, and so after the last save.
    """

    def __init__(self, saves: _Saves) -> None:
        self._saves = saves

    def end(self, session: Any) -> None:
        """Wait; TensorFlow calls this unless training ended with an exception."""
        self._saves.wait()
