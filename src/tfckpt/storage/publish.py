"""Publishing several files that only make sense together.

All are made in a hidden folder beside their place. Then they are renamed into it, and the
file that makes the others count (a checkpoint's index) comes last. Before that rename the
result doesn't exist; after it, it is whole. A crash leaves at most a hidden folder, which a
later save removes (`storage/abandoned.py`), and files that nothing refers to.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from io import FileIO
from typing import Any

from tfckpt.errors import DestinationExistsError
from tfckpt.storage.abandoned import held, new_folder, remove_abandoned
from tfckpt.storage.earlysync import EarlySync
from tfckpt.storage.elsewhere import refuse_target_elsewhere
from tfckpt.storage.local import os_errors

__all__ = ["Staging", "replace_file"]

_BUFFER = 1 << 20  # many tensors are small
_MOST_AT_ONCE = 1024  # buffers that one call takes, on Linux


class Staging:
    """A hidden folder in which files wait to be published; use it in a ``with``.

    Args:
        target: Path of the file that will be published last. Its folder is made if need be.

    Example:
        >>> import os, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with Staging(folder + "/m.index") as staging:
        ...     sizes = staging.write("data", [b"tensors"]), staging.write("index", [b"table"])
        ...     staging.publish([("data", folder + "/m.data"), ("index", folder + "/m.index")])
        >>> sorted(os.listdir(folder))
        ['m.data', 'm.index']
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._folder = ""
        self._published: list[str] = []
        self._done = False
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Staging:
        refuse_target_elsewhere(self._target)
        parent = os.path.dirname(self._target) or "."
        with os_errors(parent, "write in this folder"):
            os.makedirs(parent, exist_ok=True)
            self._folder = new_folder(parent)
        self._stack.enter_context(held(self._folder))
        remove_abandoned(parent)
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._done:
            for path in self._published:
                with contextlib.suppress(OSError):
                    os.unlink(path)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._stack.close()

    def path(self, name: str) -> str:
        """Where a waiting file of this name is or will be."""
        return os.path.join(self._folder, name)

    def write(self, name: str, chunks: Iterable[Any],
              progress: Callable[[int], None] = lambda n_bytes: None, *, at_once: int = 1) -> int:
        """Make a waiting file and have its bytes on disk.

        Args:
            name: Its name while it waits.
            chunks: Its contents: ``bytes`` or arrays of uint8.
            progress: Called with the number of bytes of each step.
            at_once: How many bytes to give the system in one call, if there are as many. In a
                thread each call waits for its turn; but what waits to be written is in memory.

        Returns:
            How many bytes it has.
        """
        size = 0
        with os_errors(self._target, "write"), \
                open(self.path(name), "xb", buffering=0) as file, \
                EarlySync(partial(os.fsync, file.fileno())) as early:
            for group in _groups(_batches(chunks), at_once):
                n_bytes = _write_all(file, group)
                size += n_bytes
                early.more(n_bytes)
                progress(n_bytes)
            early.wait()
        return size

    def sync(self) -> None:
        """Have all waiting files, in folders too, on disk, though some may just go away."""
        with os_errors(self._target, "write"):
            for folder, _, files in os.walk(self._folder):
                for file in files:
                    with contextlib.suppress(FileNotFoundError):
                        _sync_file(os.path.join(folder, file))
                with contextlib.suppress(FileNotFoundError):
                    _sync_folder(folder)

    def publish(self, moves: Sequence[tuple[str, str]], *, replace_last: bool = False) -> None:
        """Rename waiting files to their places, in this order.

        Args:
            moves: Name of each waiting file, and its path; the one that makes the others
                count last.
            replace_last: Whether the last may replace an existing file. The others never
                do, since until the last rename the old file needs what it refers to.

        Raises:
            DestinationExistsError: Something is there already; nothing is published.
            StorageError: The system refuses; nothing is published.
        """
        *first, (last_name, last_path) = moves
        folder = os.path.dirname(self._target) or "."
        with os_errors(self._target, "write"):
            for name, path in first:
                _move_new(self.path(name), path)
                self._published.append(path)
            _sync_folder(folder)
            if replace_last:
                os.replace(self.path(last_name), last_path)
            else:
                _move_new(self.path(last_name), last_path)
            self._done = True
            _sync_folder(folder)


def replace_file(path: str, data: bytes) -> None:
    """Write one file so that whoever opens its path sees the old bytes or the new ones, whole.

    Args:
        path: The file. Its folder is made if need be.
        data: All its bytes.

    Raises:
        StorageError: The system refuses; the old file is as it was.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "checkpoint"
        >>> replace_file(str(path), b"old")
        >>> replace_file(str(path), b"new")
        >>> path.read_bytes()
        b'new'
    """
    with Staging(path) as staging:
        staging.write("file", [data])
        staging.publish([("file", path)], replace_last=True)


def _batches(chunks: Iterable[Any]) -> Iterator[Any]:
    """The chunks, runs of small ones joined: a model may have 100,000 of a few bytes each."""
    if isinstance(chunks, list) and set(map(type, chunks)) == {bytes} \
            and sum(map(len, chunks)) < 16 * _BUFFER:
        yield b"".join(chunks)
        return
    small: list[bytes] = []
    n_bytes = 0
    for chunk in chunks:
        if type(chunk) is bytes and len(chunk) < _BUFFER:
            small.append(chunk)
            n_bytes += len(chunk)
            if n_bytes < _BUFFER:
                continue
        yield b"".join(small)
        small, n_bytes = [], 0
        if type(chunk) is not bytes or len(chunk) >= _BUFFER:
            yield chunk
    yield b"".join(small)


def _groups(batches: Iterable[Any], n_bytes: int) -> Iterator[list[Any]]:
    """Runs of batches of so many bytes together, of as many as one call of the system takes."""
    group: list[Any] = []
    size = 0
    for batch in batches:
        group.append(batch)
        size += len(batch)
        if size >= n_bytes or len(group) == _MOST_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _write_all(file: FileIO, group: list[Any]) -> int:
    """Write some buffers, whatever number of bytes the system takes at a time."""
    views = [memoryview(batch) for batch in group if len(batch)]
    total = sum(map(len, views))
    while views:
        taken = (os.writev(file.fileno(), views) if hasattr(os, "writev")
                 else file.write(views[0]) or 0)
        while views and taken >= len(views[0]):
            taken -= len(views.pop(0))
        if taken:
            views[0] = views[0][taken:]
    return total


def _move_new(waiting: str, path: str) -> None:
    """Rename, but never over an existing file, also not one made a moment ago."""
    try:
        os.link(waiting, path)  # unlike a rename, this fails if the path exists
    except FileExistsError:
        raise DestinationExistsError("there is already a file", file=path) from None
    except OSError:  # no hard links here
        if os.path.lexists(path):
            raise DestinationExistsError("there is already a file", file=path) from None
        os.replace(waiting, path)
    else:
        os.unlink(waiting)


def _sync_file(path: str) -> None:
    fd = os.open(path, os.O_RDWR)  # some systems flush only what may be written
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_folder(folder: str) -> None:
    """Have the renames themselves on disk, where the system lets a folder be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
