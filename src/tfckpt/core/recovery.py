"""Opening a checkpoint whose index is damaged, with the tensors that can still be told."""

from __future__ import annotations

import os

from tfckpt.core.bundle import BundleSource
from tfckpt.core.discovery import discover
from tfckpt.core.index import TableIndex
from tfckpt.core.opening import open_source
from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError, CheckpointNotFoundError, FormatError, located
from tfckpt.format.block import Row
from tfckpt.format.bundle import (
    HEADER_KEY,
    BundleHeader,
    EntryParser,
    encode_header,
    parse_header,
)
from tfckpt.format.naming import index_name, parse_data_name
from tfckpt.format.recovery import Damage, recover_table
from tfckpt.format.table import encode_table, table_of
from tfckpt.storage.local import list_folder, read_file

__all__ = ["RecoveredSource", "legible_names", "open_damaged"]


class RecoveredSource(BundleSource):
    """A bundle with a damaged index: the tensors whose rows are in whole blocks.

    Attributes:
        damage: What is wrong with the index.
    """

    def __init__(self, prefix: str, notes: tuple[str, ...] = ()) -> None:
        self.damage: tuple[Damage, ...] = ()
        super().__init__(prefix, notes=notes)

    def _read_index(self) -> tuple[BundleHeader, TableIndex]:
        file = index_name(self.prefix)
        rows, self.damage = recover_table(read_file(file))
        for item in self.damage:
            item.error.file = file
        if rows and rows[0][0] == HEADER_KEY:
            with located(file=file, base=None):
                header = parse_header(rows[0][1])
        else:
            header = self._guess_header(file, rows)
            rows.insert(0, (HEADER_KEY, encode_header(header)))
        index = TableIndex(table_of(encode_table(rows)), file)
        stray = {key for key in index if key.startswith("\0")}
        if stray:
            note = f"{len(stray)} of its rows are slices of tensors whose own rows are lost"
            self.notes += (note,)
            rows = [row for row in rows
                    if row[0].decode("utf-8", "surrogateescape") not in stray]
            index = TableIndex(table_of(encode_table(rows)), file)
        return header, index

    def _guess_header(self, file: str, rows: list[Row]) -> BundleHeader:
        """What the header must have said, by the data files that are there."""
        if not any(item.lost for item in self.damage):
            self.damage += (Damage(FormatError("the index has no header row", file=file, offset=0,
                                               hint="It is a table, but not one of a V2 checkpoint."
                                               if rows else None), lost=True),)
        folder, stem = os.path.split(self.prefix)
        parsed = (parse_data_name(name) for name in list_folder(folder))
        counts = {name.num_shards for name in parsed if name and name.prefix == stem}
        self.notes += ("the header of the index is lost; numbers are taken to be little-endian",)
        return BundleHeader(num_shards=max(counts, default=1))


def open_damaged(path: str | os.PathLike[str]) -> Source:
    """Open a checkpoint, also one with a damaged index.

    Raises:
        CheckpointNotFoundError: Nothing is there; the error names what is beside it.
        NotACheckpointError: It is a file of another kind; the error says which.
        FormatError: A folder's state file is damaged, or the header of the index.
    """
    found = discover(path)
    try:
        source = open_source(path)
        len(source.index)  # reads all of it
    except CheckpointNotFoundError:
        raise
    except FormatError:
        if found.tables:  # a V1 file: without its list there is nothing to be told
            raise
        return RecoveredSource(found.prefix, found.notes)
    return source


def legible_names(rows: tuple[Row, ...]) -> list[str]:
    """Names of the tensors among rows of a damaged block, as far as they look like tensors'."""
    parser = EntryParser()
    names = []
    for key, value in rows:
        try:
            dtype = parser.parse(value).dtype
        except CheckpointError:
            continue
        if key and not key.startswith(b"\0") and not dtype.name.startswith("unknown"):
            names.append(key.decode("utf-8", "surrogateescape"))
    return names
