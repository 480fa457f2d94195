"""An opened checkpoint: its index, and the bytes of its tensors on demand."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from tfckpt.core.index import Entry, Index, Style, TableIndex
from tfckpt.core.origin import Origin, Part, Reuse, Sliced, Streamed
from tfckpt.core.sliced import CHUNK, Box, assemble, check_cover, parse_request, stream, whole
from tfckpt.errors import (
    ChecksumError,
    FormatError,
    NotACheckpointError,
    TruncatedError,
    UnsupportedError,
    located,
)
from tfckpt.format.bundle import HEADER_KEY, BundleHeader, parse_header
from tfckpt.format.crc32c import crc32c, mask
from tfckpt.format.dtypes import STRING, DType
from tfckpt.format.naming import data_name, index_name
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, Node, parse_object_graph
from tfckpt.format.slices import parse_slice
from tfckpt.format.strings import encode_strings, parse_strings
from tfckpt.format.table import MAGIC, Table, has_magic, table_of
from tfckpt.storage.local import DataFile, list_folder

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BundleSource", "CrcCheck", "Source"]

CrcCheck = Literal["read", "close", "never"]
_SMALL_INDEX = 1 << 20


class Source(Mapping[str, "np.ndarray[Any, Any]"], ABC):
    """An opened checkpoint, as a lazy mapping from key to array.

    Keys are the checkpoint's own. ``source["dense/kernel"]`` also finds ``dense/kernel:0``
    and ``dense/kernel/.ATTRIBUTES/VARIABLE_VALUE``.

    Attributes:
        format: ``"V2"``, a bundle of an index and data files, or ``"V1"``, tables.
        prefix: Path of the checkpoint without the endings of its files.
        notes: What was corrected to get from the path that was given to this one.
    """

    format: Literal["V1", "V2"] = "V2"
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
        return key in self.index

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


class BundleSource(Source):
    """An opened V2 bundle: ``PREFIX.index`` beside ``PREFIX.data-SSSSS-of-NNNNN``.

    The index is read at once; a data file is opened when the first of its tensors is read.
    Arrays are read-only views of the mapped file where it allows that: the bytes are in
    this machine's order and the tensor starts at a multiple of its element's size. Others
    (TensorFlow packs tensors without gaps) are copies.

    Args:
        prefix: Path without ``.index``.
        check_crc: When a tensor's CRC is checked: ``"read"`` when it is read; ``"close"``
            for all that were read when the source is closed, so that reading is free of
            it but nothing wrong goes unnoticed; ``"never"``.
        mmap: Whether arrays may be views of the file. A view dies with its process if
            somebody cuts the file short meanwhile; give False where that can happen.
        notes: See `Source`.

    Raises:
        CheckpointError: There is no index, or it is damaged.
    """

    def __init__(self, prefix: str, *, check_crc: CrcCheck = "read", mmap: bool = True,
                 notes: tuple[str, ...] = ()) -> None:
        self.prefix = prefix
        self.notes = notes
        self._check_crc = check_crc
        self._mmap = mmap
        self._files: dict[int, DataFile] = {}
        self._unchecked: dict[tuple[int, int], Entry] = {}
        self._streamed: set[tuple[int, int]] = set()  # parts whose CRC streaming has checked
        self._header, self._index = self._read_index()

    def _read_index(self) -> tuple[BundleHeader, TableIndex]:
        file = index_name(self.prefix)
        with located(file=file):
            table = _open_table(file)
            first = table.seek(HEADER_KEY)
            if first is None or first[0] != HEADER_KEY:
                raise FormatError("the index has no header row", offset=0,
                                  hint="It is a table, but not one of a V2 checkpoint."
                                  if first else None)
        with located(file=file, base=None):
            header = parse_header(first[1])
        return header, TableIndex(table, file)

    @property
    def index(self) -> TableIndex:
        return self._index

    @property
    def header(self) -> BundleHeader:
        """Number of shards, byte order and version."""
        return self._header

    @property
    def byte_order(self) -> Literal["little", "big"]:
        return self._header.byte_order

    def files(self) -> tuple[str, ...]:
        return (index_name(self.prefix), *map(self.shard_file, range(self._header.num_shards)))

    def shard_file(self, shard_id: int) -> str:
        """Path of a data file."""
        return data_name(self.prefix, shard_id, self._header.num_shards)

    def data_file(self, shard_id: int) -> DataFile:
        """A data file, opened once.

        Raises:
            TruncatedError: It is missing; the error says which are there.
        """
        file = self._files.get(shard_id)
        if file is None:
            if shard_id >= self._header.num_shards:
                raise FormatError("the entry names a shard that doesn't exist",
                                  expected=f"below {self._header.num_shards}", got=shard_id,
                                  file=index_name(self.prefix))
            try:
                file = self._files[shard_id] = DataFile(self.shard_file(shard_id))
            except FileNotFoundError:
                raise missing_shard(self.shard_file(shard_id)) from None
        return file

    def read_bytes(self, key: str) -> bytes:
        entry = self.index.resolve(key)
        return super().read_bytes(entry.key) if entry.slices else self.read_checked(entry)

    def stream(self, entry: Entry, request: Box | None = None
               ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
        if entry.slices or request not in (None, whole(entry.shape)):
            return (yield from super().stream(entry, request))
        file = self._checked_file(entry)
        at, end = entry.offset, entry.offset + entry.n_bytes
        while at < end:
            chunk = file.read(at, min(CHUNK, end - at))
            yield chunk
            at += len(chunk)
        # As it was stored: bytes that are damaged don't become right by being moved.
        return entry.masked_crc32c

    def read_checked(self, entry: Entry) -> bytes:
        """The stored bytes of a tensor in one piece, or of a part, checked against their CRC.

        Raises:
            CheckpointError: As for `read_array`.
        """
        data = self.read_stored(entry)
        check_entry(entry, data, self.byte_order, self.shard_file(entry.shard_id))
        return data

    def read_stored(self, entry: Entry) -> bytes:
        """A tensor's bytes as they are stored, not checked.

        Raises:
            UnsupportedError: It was saved in slices; each has an entry of its own.
            FormatError: Its size isn't that of its shape.
            TruncatedError: The data file is missing or too short.
        """
        file = self._checked_file(entry)
        with located(tensor=entry.key):
            return file.read(entry.offset, entry.n_bytes)

    def _checked_file(self, entry: Entry) -> DataFile:
        with located(tensor=entry.key):
            refuse_slices(entry)
            check_size(entry, index_name(self.prefix))
            file = self.data_file(entry.shard_id)
            end = entry.offset + entry.n_bytes
            if end > file.size:
                raise TruncatedError(
                    "the data file ends before the tensor does", file=file.path,
                    offset=entry.offset, expected=f"{end} bytes", got=file.size,
                    hint="It was probably cut off while it was copied; fetch it again.")
        return file

    def origin(self, entry: Entry) -> Origin:
        if not entry.slices:
            return Reuse(self, entry)
        extents = map(parse_slice, entry.slices)  # as they are stored, bounds or none
        return Sliced(tuple(Part(extent, Reuse(self, part)) for extent, (_, part)
                            in zip(extents, self.parts(entry), strict=True)))

    def parts(self, entry: Entry) -> list[tuple[Box, Entry]]:
        if not entry.slices:
            return [(whole(entry.shape), entry)]
        with located(file=index_name(self.prefix)):
            return self.index.parts(entry)

    def _read_again(self, part: Entry) -> np.ndarray[Any, Any]:
        place = part.shard_id, part.offset
        array = self._read_part(part, check=place not in self._streamed)
        self._streamed.add(place)
        return array

    def _read_part(self, part: Entry, *, check: bool = True) -> np.ndarray[Any, Any]:
        if part.dtype is STRING:
            return self._read_strings(part)
        import numpy as np  # deferred: listing a checkpoint needs no numpy

        file = self._checked_file(part)
        buffer = file.map() if self._mmap and part.n_bytes else None
        if buffer is None:
            stored = np.frombuffer(file.read(part.offset, part.n_bytes), np.uint8)
        else:
            stored = np.frombuffer(buffer, np.uint8, part.n_bytes, part.offset)
        if check:
            self._check_array(part, stored)
        if self.byte_order != sys.byteorder:
            stored = swap_words(stored, part.dtype)
        try:
            return stored.view(part.dtype.numpy()).reshape(part.shape)
        except ValueError as error:  # an empty tensor with an absurd other dimension
            raise UnsupportedError(f"numpy can't hold this shape ({error})", tensor=part.key,
                                   got=list(part.shape)) from None

    def _check_array(self, entry: Entry, stored: np.ndarray[Any, Any]) -> None:
        if self._check_crc == "read":
            check_crc32c(entry, mask(crc32c(stored)), self.shard_file(entry.shard_id))
        elif self._check_crc == "close":
            self._unchecked[entry.shard_id, entry.offset] = entry

    def _read_strings(self, entry: Entry) -> np.ndarray[Any, Any]:
        import numpy as np  # deferred, as above

        data = self.read_stored(entry)
        file = self.shard_file(entry.shard_id)
        with located(file=file, base=entry.offset, tensor=entry.key):
            region = parse_strings(data, entry.n_elements, self.byte_order)
        if self._check_crc != "never":
            check_crc32c(entry, region.masked_crc32c, file)
        array = np.empty(len(region.elements), object)
        array[:] = region.elements
        array = array.reshape(entry.shape)
        array.flags.writeable = False
        return array

    def close(self) -> None:
        """Let go of the files; with ``check_crc="close"`` check what was read.

        Raises:
            ChecksumError: A tensor that was read is damaged. The first of them is named.
        """
        unchecked, self._unchecked = self._unchecked, {}
        try:
            for entry in unchecked.values():
                self.read_checked(entry)
        finally:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def __enter__(self) -> BundleSource:
        return self


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


def _open_table(file: str) -> Table:
    """The table of an index; a big one is read block by block, as far as it is needed."""
    opened = DataFile(file)
    tail = opened.read(max(opened.size - len(MAGIC), 0), min(opened.size, len(MAGIC)))
    if not has_magic(tail):
        _refuse_other_kinds(file, opened.read(0, min(opened.size, 1 << 16)))
    if opened.size > _SMALL_INDEX:
        return Table(opened.read, opened.size)  # which keeps the file open
    with opened:
        return table_of(opened.read(0, opened.size))


def _refuse_other_kinds(file: str, data: bytes) -> None:
    """Raise for an index that is a file of another kind, such as one that wasn't downloaded."""
    from tfckpt.format.sniff import HEAD_SIZE, sniff  # deferred: only for what we can't open

    kind = sniff(file, data[:HEAD_SIZE]) if data else None
    if kind is not None:
        raise NotACheckpointError(f"this is {kind.what}, not the index of a checkpoint", file=file,
                                  hint=kind.hint or None)


def refuse_slices(entry: Entry) -> None:
    """Raise for a tensor that was saved in slices."""
    if entry.slices:
        raise UnsupportedError(
            f"the tensor was saved in {len(entry.slices)} slices (a partitioned variable); only"
            " together they are its bytes", tensor=entry.key,
            hint="Read it as an array, or have it joined: tfckpt reshard --join.")


def check_size(entry: Entry, index_file: str) -> None:
    """Compare an entry's byte count with its shape.

    Raises:
        FormatError: They contradict each other.
    """
    if entry.dtype.size is not None and entry.n_bytes != entry.dtype.size * entry.n_elements:
        raise FormatError(
            f"the entry's size is not that of {entry.dtype} {list(entry.shape)}",
            expected=f"{entry.dtype.size * entry.n_elements} bytes", got=entry.n_bytes,
            file=index_file, tensor=entry.key)


def check_crc32c(entry: Entry, computed: int, file: str) -> None:
    """Compare the masked CRC of a tensor's bytes with the stored one.

    Raises:
        ChecksumError: They differ.
    """
    if computed != entry.masked_crc32c:
        raise ChecksumError(
            "the tensor's bytes are damaged: their checksum does not match",
            expected=f"{entry.masked_crc32c:#010x} as stored",
            got=f"{computed:#010x} from the bytes", file=file, offset=entry.offset,
            tensor=entry.key, hint="`tfckpt verify` lists every damaged tensor.")


def check_entry(entry: Entry, data: bytes, byte_order: Literal["little", "big"], file: str) -> None:
    """Check all that is known of a tensor's stored bytes.

    Raises:
        ChecksumError: They are not those that were written.
        FormatError: They don't have the form that their dtype demands.
    """
    with located(file=file, base=entry.offset, tensor=entry.key):
        if entry.dtype is STRING:
            computed = parse_strings(data, entry.n_elements, byte_order).masked_crc32c
        elif entry.dtype.name == "variant":
            from tfckpt.format.variants import parse_variants  # deferred: rare

            computed = parse_variants(data, entry.n_elements).masked_crc32c
        else:
            computed = mask(crc32c(data))
    check_crc32c(entry, computed, file)


def missing_shard(file: str) -> TruncatedError:
    """The error for a data file that isn't there, saying which of its kind are."""
    folder, _, name = file.replace("\\", "/").rpartition("/")
    stem = name.partition(".data-")[0]
    beside = [n for n in list_folder(folder) if n.startswith(stem + ".data-")]
    found = f"Beside it: {', '.join(beside[:5])}." if beside else "No data file is there at all."
    return TruncatedError("a data file of the checkpoint is missing", file=file, hint=found)
