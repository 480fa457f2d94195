"""Opening whatever a path means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tfckpt.core.bundle import BundleSource, CrcCheck
from tfckpt.core.discovery import discover
from tfckpt.core.files.table import format_named
from tfckpt.core.source import Source

__all__ = ["open_source", "opened"]


def open_source(path: str | os.PathLike[str], *, check_crc: CrcCheck = "read", mmap: bool = True
                ) -> Source:
    """Open a checkpoint as a lazy mapping from key to array.

    Args:
        path: Its prefix, any of its files, or a folder; or a file of another format, such as
            safetensors; see `discover`.
        check_crc: When the CRC of a tensor is checked: ``"read"``, ``"close"`` or ``"never"``;
            see `BundleSource`.
        mmap: Whether arrays may be views of the mapped file.

    Raises:
        CheckpointNotFoundError: Nothing is there; the error names what is beside it.
        NotACheckpointError: It is a file of another kind; the error says which.
        FormatError: Its index is damaged.

    Example:
        >>> import tfckpt
        >>> with tfckpt.open("examples/tf1/model.ckpt-7") as checkpoint:
        ...     checkpoint["dense/kernel"].shape
        (3, 4)
    """
    found = discover(path)
    file_format = format_named(found.format)
    if file_format is not None:
        source: Source = file_format.load().read(found.prefix, notes=found.notes, mmap=mmap)
        return source
    if found.tables:
        from tfckpt.core.v1 import V1Source  # deferred: rare by now

        return V1Source(found.prefix, found.tables, notes=found.notes)
    return BundleSource(found.prefix, check_crc=check_crc, mmap=mmap, notes=found.notes)


@contextmanager
def opened(source: str | os.PathLike[str] | Source) -> Iterator[Source]:
    """A source that is open already, and stays so; or what a path means, closed in the end.

    Raises:
        CheckpointError: As for `open_source`.
    """
    if isinstance(source, Source):
        yield source
        return
    with open_source(source) as found:
        yield found
