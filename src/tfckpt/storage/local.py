"""Reading local files, with every refusal of the system turned into a `StorageError`."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from tfckpt.errors import CheckpointError, CheckpointNotFoundError, StorageError, TruncatedError

__all__ = ["DataFile", "file_size", "is_file", "list_folder", "os_errors", "read_ends", "read_file"]


@contextmanager
def os_errors(file: str, doing: str = "read") -> Iterator[None]:
    """Turn an OSError into a `StorageError` that names the file and what was being done."""
    try:
        yield
    except CheckpointError:  # some of ours are OSErrors too
        raise
    except OSError as error:
        # `from None`: one clean error, whatever internals raised it first.
        raise StorageError(f"cannot {doing}: {error.strerror or error}", file=file) from None


def is_file(path: str) -> bool:
    """Whether there is a regular file at this path (or a link to one)."""
    try:
        return os.path.isfile(path)
    except ValueError:  # a NUL character, say
        return False


def file_size(path: str) -> int | None:
    """Bytes in a file, or None if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def list_folder(folder: str) -> list[str]:
    """Names of the files in a folder, sorted; none if it can't be read."""
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []


def read_file(path: str) -> bytes:
    """All bytes of a regular file."""
    with DataFile(path) as file:
        return file.read(0, file.size)


def read_ends(path: str, n_bytes: int) -> tuple[bytes, bytes]:
    """The first and the last bytes of a regular file."""
    with DataFile(path) as file:
        n_bytes = min(n_bytes, file.size)
        return file.read(0, n_bytes), file.read(file.size - n_bytes, n_bytes)


class DataFile:
    """An open file that is read in parts.

    Args:
        path: A regular file; a pipe or device is refused, since reading it may never end.

    Attributes:
        path: The file.
        size: Its bytes when it was opened.

    Raises:
        CheckpointNotFoundError: It isn't there.
        StorageError: The system refuses to open it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._map: mmap.mmap | None = None
        try:
            # O_NONBLOCK: opening a pipe must not wait for its writer.
            flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
            self._fd = os.open(path, flags)
        except FileNotFoundError:
            raise CheckpointNotFoundError("there is no such file", file=path) from None
        except (OSError, ValueError) as error:
            raise StorageError(f"cannot open: {getattr(error, 'strerror', None) or error}",
                               file=path) from None
        found = os.fstat(self._fd)
        self.size = found.st_size
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise StorageError("not a regular file", file=path)

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Exactly these bytes.

        Raises:
            TruncatedError: The file ends before them.
        """
        with os_errors(self.path):
            data = self._pread(offset, n_bytes)
            while 0 < len(data) < n_bytes:  # the system may give less than asked
                more = self._pread(offset + len(data), n_bytes - len(data))
                if not more:
                    break
                data += more
        if len(data) != n_bytes:
            raise TruncatedError("the file ends too early", file=self.path, offset=offset,
                                 expected=f"{n_bytes} bytes", got=len(data))
        return data

    def _pread(self, offset: int, n_bytes: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._fd, n_bytes, offset)
        os.lseek(self._fd, offset, os.SEEK_SET)  # Windows
        return os.read(self._fd, n_bytes)

    def fileno(self) -> int:
        """The system's number of the open file."""
        return self._fd

    def map(self) -> mmap.mmap | None:
        """The file as read-only memory, or None if it is empty; made once."""
        if self._map is None and self.size:
            with os_errors(self.path, "map"):
                self._map = mmap.mmap(self._fd, self.size, access=mmap.ACCESS_READ)
        return self._map

    def close(self) -> None:
        """Close the file. Memory that is still in use stays valid."""
        self._map = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> DataFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
