"""An opened checkpoint: its index, and the bytes of its tensors on demand."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from tfckpt.core.index import Entry, Index, Style
from tfckpt.core.origin import Origin, Streamed
from tfckpt.core.sliced import Box, assemble, check_cover, parse_request, stream, whole
from tfckpt.errors import (
    FormatError,
    UnsupportedError,
    located,
)
from tfckpt.format.dtypes import STRING, DType
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, Node, parse_object_graph
from tfckpt.format.strings import encode_strings, parse_strings

if TYPE_CHECKING:
    import numpy as np

    from tfckpt.storage.local import DataFile

__all__ = ["Source", "WholeSource", "swap_words"]



class Source(Mapping[str, "np.ndarray[Any, Any]"], ABC):
    """An opened checkpoint, as a lazy mapping from key to array.

    Keys are the checkpoint's own. ``source["dense/kernel"]`` also finds ``dense/kernel:0``
    and ``dense/kernel/.ATTRIBUTES/VARIABLE_VALUE``.

    Attributes:
        format: ``"V2"``, a bundle of an index and data files, ``"V1"``, tables, or the name of
            a format that isn't TensorFlow's; see `tfckpt.core.files.table`.
        prefix: Path of the checkpoint without the endings of its files.
        notes: What was corrected to get from the path that was given to this one.
    """

    format: str = "V2"
    prefix: str
    notes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def index(self) -> Index:
        """Every tensor's entry."""

    def read_bytes(self, key: str) -> bytes:
        """A tensor's bytes as a bundle stores them in one piece, checked against their CRC."""
        chunks = self.stream(self.index.resolve(key))
        return b"".join(chunk if isinstance(chunk, bytes) else chunk.tobytes() for chunk in chunks)

    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Paths of the files that it is read from, as far as there are any."""

    @abstractmethod
    def shard_file(self, shard_id: int) -> str:
        """Path of a file that has values."""

    @abstractmethod
    def origin(self, entry: Entry) -> Origin:
        """How a plan takes over this tensor as it is: linked, or streamed."""

    @abstractmethod
    def parts(self, entry: Entry) -> list[tuple[Box, Entry]]:
        """The box and the entry of each stored part; of a tensor in one piece, its own."""

    @abstractmethod
    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        """The elements of one stored part, in this machine's byte order; maybe unaligned."""

    def read_array(self, entry: Entry) -> np.ndarray[Any, Any]:
        """A tensor as a read-only array, also if it was saved in slices.

        Strings come as an array of ``bytes`` objects, quantized kinds as plain integers.

        Raises:
            ChecksumError: The bytes are not those that were written.
            TruncatedError: The data file, or a slice, is missing or too short.
            FormatError: Slices overlap.
            UnsupportedError: There are no arrays of its dtype.
        """
        return self._read_box(entry, whole(entry.shape))

    def read_slice(self, key: str, request: object) -> np.ndarray[Any, Any]:
        """A part of a tensor: what ``source[key][request]`` is, reading only what it needs.

        Of a partitioned variable only the stored slices that the request touches are read.
        A tensor in one piece has one checksum for all its bytes, so all are read, unless the
        source was opened with ``check_crc="never"``.

        Args:
            key: The tensor's.
            request: Ints and slices without a step, as between the brackets of an array.

        Raises:
            CheckpointError: As for `read_array`.
            IndexError: An int is out of range.

        Example:
            >>> import tfckpt
            >>> with tfckpt.open("examples/tf1") as source:
            ...     source.read_slice("dense/kernel", (slice(0, 2), 1)).shape
            (2,)
        """
        entry = self.index.resolve(key)
        box, dropped = parse_request(request, entry.shape, entry.key)
        array = self._read_box(entry, box)
        return array.reshape([n for axis, n in enumerate(array.shape) if axis not in dropped])

    def _read_box(self, entry: Entry, request: Box) -> np.ndarray[Any, Any]:
        with located(tensor=entry.key):
            dtype = entry.dtype.numpy()
            if len(entry.shape) > 32:
                raise UnsupportedError("the tensor has more dimensions than numpy is sure to allow",
                                       expected="32 at most", got=len(entry.shape))
        parts = self.parts(entry)
        if len(parts) == 1 and parts[0][0] == request:
            array = self._read_part(parts[0][1])
        else:
            check_cover([box for box, _ in parts], request, entry.key)
            array = assemble([(box, partial(self._read_part, part)) for box, part in parts],
                             request, dtype)
        if not array.flags.aligned:
            array = array.copy()
        array.flags.writeable = False
        return array

    def stream(self, entry: Entry, request: Box | None = None
               ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
        """The bytes of a tensor as a bundle of this byte order stores them in one piece.

        Slices are put together a few MiB at a time.

        Args:
            entry: The tensor's.
            request: A range of it; None is all.

        Yields:
            ``bytes`` or read-only arrays of uint8.

        Returns:
            The masked CRC32C for the tensor's entry, or None if it is that of the bytes.
        """
        request = whole(entry.shape) if request is None else request
        if entry.dtype is STRING:
            elements = self._read_box(entry, request).reshape(-1).tolist()
            data, masked_crc32c = encode_strings(elements, self.byte_order)
            yield data
            return masked_crc32c
        parts = self.parts(entry)
        check_cover([box for box, _ in parts], request, entry.key)
        blocks = stream([(box, partial(self._read_again, part)) for box, part in parts],
                        request, entry.dtype.numpy())
        for block in blocks:
            yield block if self.byte_order == sys.byteorder else swap_words(block, entry.dtype)
        return None

    def place_of(self, entry: Entry) -> tuple[DataFile, int] | None:
        """The file that has a tensor's bytes as `stream` gives them, and where they begin in it.

        None if they have to be made. Unlike all else here, the file may be read by threads.
        """
        return None

    def streamed(self, entry: Entry, request: Box | None = None, shard: int = 0) -> Streamed:
        """How a plan takes over a tensor, or a range of it, into a new data file."""
        size = entry.dtype.size
        n_bytes = (sum(part.n_bytes for _, part in self.parts(entry)) if size is None else
                   size * math.prod(length for _, length in request or whole(entry.shape)))
        return Streamed(n_bytes, partial(self.stream, entry, request), shard, entry.key)

    def _read_again(self, part: Entry) -> np.ndarray[Any, Any]:
        """As `_read_part`, by somebody who may read a part several times."""
        return self._read_part(part)

    def __getitem__(self, key: str) -> np.ndarray[Any, Any]:
        return self.read_array(self.index.resolve(key))

    def __iter__(self) -> Iterator[str]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.index.find(key) is not None

    def __repr__(self) -> str:
        return f"<{self.style} checkpoint {self.prefix!r}, {len(self)} tensors>"

    @property
    def style(self) -> Style:
        """``"name-based"`` (TF1) or ``"object-based"`` (TF2)."""
        return self.index.style

    @cached_property
    def object_graph(self) -> tuple[Node, ...]:
        """The object graph; empty if the checkpoint is name-based.

        Raises:
            FormatError: It is damaged.
        """
        if OBJECT_GRAPH_KEY not in self.index:
            return ()
        entry = self.index[OBJECT_GRAPH_KEY]
        if entry.dtype is not STRING or entry.shape:
            raise FormatError("the object graph has another form", tensor=OBJECT_GRAPH_KEY,
                              expected="a scalar string",
                              got=f"{entry.dtype} {list(entry.shape)}", file=self.prefix)
        region = self.read_bytes(OBJECT_GRAPH_KEY)
        with located(file=self.prefix, base=None, tensor=OBJECT_GRAPH_KEY):
            return parse_object_graph(parse_strings(region, 1, self.byte_order).elements[0])

    @property
    def byte_order(self) -> Literal["little", "big"]:
        """Byte order of the stored numbers."""
        return "little"

    def close(self) -> None:
        """Let go of the files. Arrays that were read stay valid."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class WholeSource(Source):
    """A source whose tensors are made as they are read: each in one piece, and none to link."""

    _index: Index

    @property
    def index(self) -> Index:
        return self._index

    def files(self) -> tuple[str, ...]:
        return ()

    def shard_file(self, shard_id: int) -> str:
        return self.prefix

    def origin(self, entry: Entry) -> Origin:
        return self.streamed(entry)

    def parts(self, entry: Entry) -> list[tuple[Box, Entry]]:
        return [(whole(entry.shape), entry)]


def swap_words(stored: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """Stored bytes in the other byte order; a complex number is two words.

    Args:
        stored: A contiguous array of uint8.
        dtype: That of the tensor.

    Returns:
        A read-only array of uint8.
    """
    if dtype.word == 1:
        return stored
    swapped = stored.reshape(-1, dtype.word)[:, ::-1].copy().reshape(-1)
    swapped.flags.writeable = False
    return swapped
