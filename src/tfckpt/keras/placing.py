"""A ``.weights.h5`` file appears whole or not at all, and never in the place of its source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tfckpt.core.destination import refuse_target_elsewhere
from tfckpt.errors import DestinationExistsError

__all__ = ["ENDING", "check_free", "placed"]

ENDING = ".weights.h5"
"""What the name of a file with weights must end in for Keras 3."""


def check_free(target: str, taken: Iterable[str], *, overwrite: bool) -> None:
    """Refuse to write over what is read, or over anything unless told to.

    Raises:
        DestinationExistsError: Something is there.
        UnsupportedError: It is an address of another machine.
    """
    refuse_target_elsewhere(target)
    if any(os.path.realpath(target) == os.path.realpath(file) for file in taken):
        raise DestinationExistsError("the result can't replace what it is made of", file=target)
    if os.path.lexists(target) and not overwrite:
        raise DestinationExistsError("something is there already", file=target,
                                     hint="Replace it with --overwrite.")


@contextmanager
def placed(target: str) -> Iterator[str]:
    """A file beside the target to write to; at the end of the ``with`` it takes its place.

    After an error it is removed, and the target is as it was.
    """
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    waiting = f"{target}.{os.getpid()}.tmp{ENDING}"
    try:
        yield waiting
        with open(waiting, "rb+") as file:  # on the disk before its name is
            os.fsync(file.fileno())
        os.replace(waiting, target)
    finally:
        if os.path.exists(waiting):
            os.remove(waiting)
