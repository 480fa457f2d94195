"""An opened V2 bundle: an index, and data files that are opened when they are needed."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Literal

from tfckpt.core.index import Entry, TableIndex
from tfckpt.core.origin import Origin, Part, Reuse, Sliced
from tfckpt.core.sliced import STEP, Box, whole
from tfckpt.core.source import Source, swap_words
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
from tfckpt.format.dtypes import STRING
from tfckpt.format.naming import data_name, index_name
from tfckpt.format.slices import parse_slice
from tfckpt.format.strings import parse_strings
from tfckpt.format.table import MAGIC, Table, has_magic, table_of
from tfckpt.storage.local import DataFile, list_folder

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BundleSource", "CrcCheck", "check_crc32c", "check_entry", "check_size", "missing_shard"]

CrcCheck = Literal["read", "close", "never"]
_SMALL_INDEX = 1 << 20


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
            chunk = file.read(at, min(STEP, end - at))
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
