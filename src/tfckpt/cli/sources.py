"""Paths of files that only one room can read."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfckpt.core.source import Source

__all__ = ["keras_source"]


def keras_source(path: str, stack: ExitStack) -> str | Source:
    """The path; or, of one of Keras's HDF5 files, what it means, open as long as the stack is.

    Raises:
        CheckpointError: It ends as such a file, and isn't one.
    """
    if not path.endswith((".h5", ".hdf5")) or not os.path.isfile(path):
        return path
    from tfckpt.keras.legacy_h5 import LegacyH5, is_legacy_h5  # deferred: h5py is an extra
    from tfckpt.keras.weights_h5 import WeightsH5

    return stack.enter_context(LegacyH5(path) if is_legacy_h5(path) else WeightsH5(path))
