"""A `Source` whose tensors are ranges of files, as most formats have them."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.core.index import Entry, GivenIndex
from tfckpt.core.origin import Origin
from tfckpt.core.sliced import STEP, Box, whole
from tfckpt.core.source import Source, swap_words
from tfckpt.errors import TruncatedError, UnsupportedError
from tfckpt.format.dtypes import STRING
from tfckpt.storage.local import DataFile

if TYPE_CHECKING:
    import numpy as np

__all__ = ["RangeSource"]


class RangeSource(Source):
    """Tensors that are ranges of files: little-endian, in C order, without checksums.

    Args:
        format: Name of the format.
        path: What was opened.
        paths: The files; an entry's ``shard_id`` counts them.
        entries: The tensors; an entry's ``offset`` counts from the start of its file.
        values: Numbers, and text as bytes, that are at hand; scalars, by key.
        metadata: Text that the file has beside the tensors.
        notes: See `Source`.
        mmap: Whether arrays may be views of the file.
    """

    def __init__(self, format: str, path: str, paths: Sequence[str],  # noqa: A002 - its name
                 entries: Iterable[Entry], *, values: Mapping[str, Any] | None = None,
                 metadata: Mapping[str, str] | None = None,
                 notes: tuple[str, ...] = (), mmap: bool = True) -> None:
        self.format = format
        self.prefix = path
        self.notes = notes
        self.metadata = dict(metadata or {})
        self._paths = tuple(paths)
        self._index = GivenIndex(entries)
        self._values = values or {}
        self._mmap = mmap
        self._opened: dict[int, DataFile] = {}

    @property
    def index(self) -> GivenIndex:
        return self._index

    def files(self) -> tuple[str, ...]:
        return self._paths

    def shard_file(self, shard_id: int) -> str:
        return self._paths[shard_id]

    def origin(self, entry: Entry) -> Origin:
        return self.streamed(entry)

    def parts(self, entry: Entry) -> list[tuple[Box, Entry]]:
        return [(whole(entry.shape), entry)]

    def file_of(self, entry: Entry) -> DataFile:
        """The opened file that has the tensor.

        Raises:
            TruncatedError: It has become shorter.
        """
        file = self._opened.get(entry.shard_id)
        if file is None:
            file = self._opened[entry.shard_id] = DataFile(self._paths[entry.shard_id])
        if entry.offset + entry.n_bytes > file.size:
            raise TruncatedError("the file ends before the tensor does", file=file.path,
                                 offset=entry.offset, tensor=entry.key,
                                 expected=f"{entry.offset + entry.n_bytes} bytes", got=file.size)
        return file

    def stream(self, entry: Entry, request: Box | None = None
               ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
        if request not in (None, whole(entry.shape)) or not self._is_plain(entry):
            return (yield from super().stream(entry, request))
        file = self.file_of(entry)
        at, end = entry.offset, entry.offset + entry.n_bytes
        while at < end:
            chunk = file.read(at, min(STEP, end - at))
            yield chunk
            at += len(chunk)
        return None

    def place_of(self, entry: Entry) -> tuple[DataFile, int] | None:
        return (self.file_of(entry), entry.offset) if self._is_plain(entry) else None

    def _is_plain(self, entry: Entry) -> bool:
        """Whether the tensor's bytes lie in the file as a bundle stores them."""
        return entry.dtype is not STRING and entry.dtype.numpy_name is not None \
            and entry.key not in self._values

    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        import numpy as np  # deferred: listing a file needs no numpy

        if part.key in self._values:
            value: np.ndarray[Any, Any] = np.empty((), part.dtype.numpy())
            value[()] = self._values[part.key]
            return value
        dtype = part.dtype.numpy()
        file = self.file_of(part)
        buffer = file.map() if self._mmap and part.n_bytes else None
        if buffer is None:
            stored = np.frombuffer(file.read(part.offset, part.n_bytes), np.uint8)
        else:
            stored = np.frombuffer(buffer, np.uint8, part.n_bytes, part.offset)
        if sys.byteorder != "little":
            stored = swap_words(stored, part.dtype)
        try:
            return stored.view(dtype).reshape(part.shape)
        except ValueError as error:  # an empty tensor with an absurd other dimension
            raise UnsupportedError(f"numpy can't hold this shape ({error})", tensor=part.key,
                                   got=list(part.shape)) from None

    def close(self) -> None:
        """Let go of the files. Arrays that were read stay valid."""
        for file in self._opened.values():
            file.close()
        self._opened.clear()
