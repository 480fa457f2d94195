"""The order of restores, TensorFlow's own and ours: whichever was asked for last wins.

TensorFlow numbers restores, and notes on each object the number of the last that it got its
value from: ``_update_uid``.
"""

from __future__ import annotations

from typing import Any

from tensorflow.python.framework import ops

__all__ = ["Ordered", "uid_of"]

_uids: dict[int, int] = {}


def uid_of(number: int) -> int:
    """TensorFlow's number for a restore of ours, as if it had been asked for there."""
    if number not in _uids:
        _uids[number] = ops.uid()
    return _uids[number]


class Ordered:
    """A stand-in of an object that TensorFlow restores too."""

    live: Any

    def note_asked(self, number: int) -> None:
        """Number a restore of ours now, before TensorFlow's that are asked for later."""
        uid_of(number)

    def note_restored(self, number: int) -> None:
        """Have TensorFlow keep restores that were asked for earlier off the object."""
        self.live._maybe_initialize_trackable()  # noqa: SLF001 - as TensorFlow does
        self.live._update_uid = max(uid_of(number), self.live._update_uid)  # noqa: SLF001

    def is_restored_since(self, number: int) -> bool:
        """Whether TensorFlow has restored the object, asked later than ours was."""
        self.live._maybe_initialize_trackable()  # noqa: SLF001 - as above
        return bool(self.live._update_uid > uid_of(number))  # noqa: SLF001
