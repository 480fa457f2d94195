"""Zip archives, as ``.npz`` and PyTorch files are: where their members' bytes are.

Members that aren't compressed are ranges of the file. Python's `zipfile` reads the directory; what
it says is held against the file before it is used.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tfckpt.core.sliced import STEP
from tfckpt.errors import CheckpointError, FormatError, TruncatedError
from tfckpt.storage.local import DataFile

__all__ = ["Archive", "Member", "zip_damage_told"]

_LOCAL = 30  # bytes of a member's own header, without its name and extra field
_LOCAL_MAGIC = b"PK\x03\x04"
_MOST_DEFLATED = 1040  # bytes that one byte can stand for


class Member(NamedTuple):
    """One member.

    Attributes:
        name: Its name.
        start: Its first byte in the file; None if it is compressed.
        n_bytes: How many it has, unpacked.
    """

    name: str
    start: int | None
    n_bytes: int


@contextmanager
def zip_damage_told(file: str) -> Iterator[None]:
    """What `zipfile` raises over a damaged archive, as an error that says which file it is."""
    try:
        yield
    except CheckpointError:
        raise
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError,
            RuntimeError, OverflowError, IndexError, KeyError) as error:
        raise FormatError(f"the zip archive is damaged ({error})", file=file) from None
    except Exception as error:  # struct.error, and lzma's and bz2's own
        raise FormatError(f"the zip archive can't be read ({error})", file=file) from None


class Archive:
    """An opened archive.

    Args:
        path: Its path.

    Attributes:
        members: They, by name.

    Raises:
        CheckpointError: It is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.file = DataFile(path)
        with zip_damage_told(path):
            self._zip = zipfile.ZipFile(path)
            self.members: dict[str, Member] = {}
            for info in self._zip.infolist():
                if info.filename in self.members:
                    raise FormatError("the archive has two members of one name", file=path,
                                      got=repr(info.filename))
                if not info.is_dir():
                    self.members[info.filename] = self._member(info)

    def _member(self, info: zipfile.ZipInfo) -> Member:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            if info.file_size > _MOST_DEFLATED * max(info.compress_size, 1):
                raise FormatError("a member is larger than what it was packed into allows",
                                  file=self.path, got=f"{info.filename!r}, {info.file_size} bytes")
            return Member(info.filename, None, info.file_size)
        head = self.file.read(info.header_offset, _LOCAL)
        if head[:4] != _LOCAL_MAGIC:
            raise FormatError("a member has no header of its own", file=self.path,
                              offset=info.header_offset, got=repr(info.filename))
        start = info.header_offset + _LOCAL + int.from_bytes(head[26:28], "little") + \
            int.from_bytes(head[28:30], "little")
        if start + info.file_size > self.file.size or info.file_size != info.compress_size:
            raise TruncatedError("the file ends before one of its members does", file=self.path,
                                 offset=start, expected=f"{start + info.file_size} bytes",
                                 got=self.file.size)
        return Member(info.filename, start, info.file_size)

    def read(self, member: Member, n_bytes: int) -> bytes:
        """The first bytes of a member, or all if it has fewer."""
        n_bytes = min(n_bytes, member.n_bytes)
        if member.start is not None:
            return self.file.read(member.start, n_bytes)
        with zip_damage_told(self.path), self._zip.open(member.name) as opened:
            return opened.read(n_bytes)

    def unpacked(self, member: Member, skip: int) -> Iterator[bytes]:
        """The bytes of a member behind the first ones, a few at a time.

        Raises:
            FormatError: They are damaged, or another number than the directory says.
        """
        left = member.n_bytes - skip
        with zip_damage_told(self.path), self._zip.open(member.name) as opened:
            opened.read(skip)
            while chunk := opened.read(STEP):
                left -= len(chunk)
                yield chunk
        if left:
            raise FormatError("a member has another size than the archive says", file=self.path,
                              got=repr(member.name))

    def close(self) -> None:
        """Close it."""
        self._zip.close()
        self.file.close()
