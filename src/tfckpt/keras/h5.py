"""HDF5 files of Keras: opening them, and what both of their kinds are as a source."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry, Index
from tfckpt.core.source import WholeSource
from tfckpt.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    FormatError,
    MissingDependencyError,
    NotACheckpointError,
    UnsupportedError,
)
from tfckpt.format.dtypes import dtype_named

if TYPE_CHECKING:
    import h5py
    import numpy as np

__all__ = ["H5Source", "damage_told", "open_h5"]


def open_h5(path: str, mode: str = "r") -> h5py.File:
    """An HDF5 file.

    Raises:
        MissingDependencyError: h5py isn't installed.
        CheckpointNotFoundError: There is no such file.
        NotACheckpointError: It isn't HDF5.
    """
    try:
        import h5py  # deferred: an extra
    except ImportError:
        raise MissingDependencyError("files of Keras need the package h5py",
                                     hint="Run: pip install 'tfckpt[keras]'") from None
    if not os.path.isfile(path):
        raise CheckpointNotFoundError("there is no such file", file=path)
    try:
        return h5py.File(path, mode)
    except OSError as error:
        raise NotACheckpointError(f"this is not an HDF5 file ({error})", file=path) from None


@contextmanager
def damage_told(file: str) -> Iterator[None]:
    """What h5py raises over a damaged file, as an error that says which file it is."""
    try:
        yield
    except CheckpointError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError, AttributeError
            ) as error:  # a group where a dataset was, a name that is no text
        raise FormatError(f"the HDF5 file is damaged ({error})", file=file) from None


class H5Source(WholeSource):
    """An opened HDF5 file with a dataset for each tensor.

    Args:
        path: Its path.

    Attributes:
        paths: Path of each tensor's dataset in the file, by key; `entry` fills it.

    Raises:
        CheckpointError: It can't be opened.
    """

    format = "HDF5"
    _index: Index

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.prefix = as_path(path)
        self._file = open_h5(self.prefix)
        self.paths: dict[str, str] = {}

    @contextmanager
    def reading_structure(self) -> Iterator[None]:
        """Damage is told as such, and leaves no file open."""
        try:
            with damage_told(self.prefix):
                yield
        except BaseException:
            self.close()
            raise

    def entry(self, key: str, path: str) -> Entry:
        """The entry of a dataset.

        Raises:
            FormatError: It is larger than the file.
            UnsupportedError: TensorFlow has no such dtype.
        """
        dataset = self._file[path]
        n_bytes, size = dataset.size * dataset.dtype.itemsize, os.path.getsize(self.prefix)
        if n_bytes > size and dataset.compression is None:
            raise FormatError("a tensor is larger than its file", file=self.prefix, tensor=path,
                              expected=f"{size} bytes at most", got=n_bytes)
        try:
            dtype = dtype_named(dataset.dtype.newbyteorder("=").name)
        except UnsupportedError:
            raise UnsupportedError("the file holds a dtype that isn't TensorFlow's",
                                   file=self.prefix, tensor=path,
                                   got=str(dataset.dtype)) from None
        self.paths[key] = path
        return Entry(key, dtype, tuple(dataset.shape), 0, 0, n_bytes, 0)

    def files(self) -> tuple[str, ...]:
        return (self.prefix,)

    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        import numpy as np  # deferred: as everywhere

        with damage_told(self.prefix):
            return np.asarray(self._file[self.paths[part.key]][()], part.dtype.numpy())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
