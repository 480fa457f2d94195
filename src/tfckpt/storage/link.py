"""Giving a file a second name without moving its bytes, if the file system can.

Three ways, best first. A *reflink* (Btrfs, XFS, bcachefs, overlay over these) shares the
blocks until one side is changed. A *hard link* shares the file itself: a change in place
shows on both sides, but neither TensorFlow nor tfckpt ever changes a data file in place,
both write anew and rename. A *copy* always works.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from io import FileIO
from typing import Literal

from tfckpt.storage.earlysync import EarlySync
from tfckpt.storage.local import DataFile, os_errors

__all__ = ["How", "append_range", "copy_file", "link_file"]

How = Literal["reflink", "hard link", "copy"]

_FICLONE = 0x40049409  # Linux ioctl: make this file share that file's blocks
_CHUNK = 8 << 20
_MOST = 64 << 20  # bytes of one call: a system takes more, but tells of nothing meanwhile


def link_file(source: str, target: str, progress: Callable[[int], None] = lambda n: None) -> How:
    """Make ``target`` have the bytes of ``source``, moving none of them if possible.

    Args:
        source: An existing file.
        target: A path that doesn't exist yet.
        progress: Called with the number of bytes of each step.

    Returns:
        How it was done.

    Raises:
        StorageError: Not even a copy is possible.
    """
    source = os.path.realpath(source)
    if _reflink(source, target):
        how: How = "reflink"
    else:
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links, or not ours to link
            return copy_file(source, target, progress)
        how = "hard link"
    progress(os.path.getsize(target))
    return how


def _reflink(source: str, target: str) -> bool:
    try:
        import fcntl  # Linux and other Unixes only
    except ImportError:
        return False
    try:
        with open(source, "rb") as old:
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                fcntl.ioctl(fd, _FICLONE, old.fileno())
            finally:
                os.close(fd)
    except FileExistsError:
        return False
    except OSError:
        if os.path.exists(target):
            os.unlink(target)
        return False
    return True


def copy_file(source: str, target: str, progress: Callable[[int], None] = lambda n: None) -> How:
    """Copy the bytes of ``source`` into a new file ``target``, and have them on disk.

    Raises:
        StorageError: The system refuses, or the disk is full.
    """
    with os_errors(target, f"copy {source} to this file"), \
            open(source, "rb") as old, open(target, "xb") as new, \
            EarlySync(partial(os.fsync, new.fileno())) as early:
        while chunk := old.read(_CHUNK):
            new.write(chunk)
            early.more(len(chunk))
            progress(len(chunk))
        new.flush()
        early.wait()
    return "copy"


def append_range(source: DataFile, offset: int, n_bytes: int, target: FileIO,
                 progress: Callable[[int], None] = lambda n: None) -> None:
    """Append a range of one file to another; where it can, the system moves the bytes.

    Args:
        source: The file to take them from.
        offset: The first of them.
        n_bytes: How many.
        target: A file without a buffer, opened for writing.
        progress: Called with the number of bytes of each step.

    Raises:
        TruncatedError: The file ends before them.
        StorageError: The system refuses.
    """
    end = offset + n_bytes
    while offset < end:
        done = _move(source, offset, min(end - offset, _MOST), target)
        if not done:  # not this system, or not between these two: through our memory
            data = source.read(offset, min(end - offset, _CHUNK))
            with os_errors(str(target.name), "write"):
                view = memoryview(data)
                while view:
                    view = view[target.write(view) or 0:]
            done = len(data)
        offset += done
        progress(done)


def _move(source: DataFile, offset: int, n_bytes: int, target: FileIO) -> int:
    """Have the system move bytes; how many it did, 0 if it can't (a full disk is told later)."""
    out = target.fileno()
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):
            return os.copy_file_range(source.fileno(), out, n_bytes, offset_src=offset)
    if hasattr(os, "sendfile"):
        with contextlib.suppress(OSError):
            return os.sendfile(out, source.fileno(), offset, n_bytes)
    return 0
