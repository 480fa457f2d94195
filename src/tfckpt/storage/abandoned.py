"""Hidden folders of saves that were killed: who a folder belongs to, and when nobody wants it.

A job that is preempted every few hours would fill its disk with them. A folder is removed only if
its process is gone, which its lock says (the system lets go of it whatever happens to the
process), and nothing in it has changed for an hour: locks may not reach other machines.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["STAGING_PREFIX", "held", "new_folder", "remove_abandoned"]

STAGING_PREFIX = ".tfckpt-"
_NAME = re.compile(re.escape(STAGING_PREFIX) + "[0-9a-f]{16}")
_AGE = 3600  # seconds


def new_folder(parent: str) -> str:
    """Make a hidden folder of a name that nobody else has."""
    folder = os.path.join(parent, STAGING_PREFIX + os.urandom(8).hex())
    os.mkdir(folder)
    return folder


@contextmanager
def held(folder: str) -> Iterator[bool]:
    """Hold the lock of a folder, if this system and its disk have locks and nobody else holds it.

    Yields:
        Whether it is held.
    """
    try:
        import fcntl  # Linux and other Unixes only

        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (ImportError, OSError):
        yield False
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def remove_abandoned(parent: str) -> None:
    """Remove the folders in another that killed saves have left there; see this module."""
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(parent) if _NAME.fullmatch(name)]
        for name in names:
            folder = os.path.join(parent, name)
            if time.time() - _last_change(folder) < _AGE:
                continue
            with held(folder) as is_ours:
                if is_ours:
                    shutil.rmtree(folder, ignore_errors=True)


def _last_change(folder: str) -> float:
    """When something in a folder was last changed; a folder that is just going, in the future."""
    newest = 0.0
    try:
        for inner, _, files in os.walk(folder):
            for path in (inner, *(os.path.join(inner, file) for file in files)):
                newest = max(newest, os.lstat(path).st_mtime)
    except OSError:
        return float("inf")
    return newest
