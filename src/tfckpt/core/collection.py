"""Work that makes many small values and ends soon."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_collection"]


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep Python from looking for cycles while 100,000 tensors are planned and encoded.

    There are none among them, and each look goes through everything that the program holds:
    it would take half of the time of a save.

    Example:
        >>> with no_collection():
        ...     gc.isenabled()
        False
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
