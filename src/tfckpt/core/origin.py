"""Where the bytes of a tensor come from when it is written."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.core.index import Entry, TableIndex
from tfckpt.format.slices import Extent

if TYPE_CHECKING:  # a Protocol takes a millisecond to make
    from typing import Protocol

    import numpy as np

    class Linkable(Protocol):
        """A checkpoint whose data files can get a second name: a V2 bundle."""

        prefix: str

        @property
        def index(self) -> TableIndex:
            """Its entries."""

        def shard_file(self, shard_id: int) -> str:
            """Path of a data file."""

        def read_checked(self, entry: Entry) -> bytes:
            """The stored bytes of a tensor or of a part, checked against their CRC."""

        def stream(self, entry: Entry
                   ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
            """The same bytes a few MiB at a time; returns the checksum of the entry."""

__all__ = ["Given", "Made", "Origin", "Part", "Reuse", "Sliced", "Stored",
           "Streamed"]

class Reuse(NamedTuple):
    """Bytes that stay where they are; their file is linked and their CRC carried over.

    Attributes:
        source: The bundle.
        entry: The tensor's entry there, or that of one stored part of it.
    """

    source: Linkable
    entry: Entry


class Given(NamedTuple):
    """Encoded bytes that are at hand.

    Attributes:
        data: They, as ``bytes`` or as a read-only array of uint8.
        masked_crc32c: Their checksum; None has the writer make it while it writes.
        shard: Which of the new data files they go to, from 0.
    """

    data: bytes | np.ndarray[Any, Any]
    masked_crc32c: int | None
    shard: int = 0


class Made(NamedTuple):
    """How bytes are made of other tensors.

    Attributes:
        keys: Keys of these.
        layout: Name of the layout that they are brought into.
    """

    keys: tuple[str, ...]
    layout: str


class Streamed(NamedTuple):
    """Bytes that are made while they are written, in bounded memory.

    Attributes:
        n_bytes: How many there will be, as far as that is known before; for progress.
        chunks: Starts making them: ``bytes`` or read-only arrays of uint8, one after another.
            What the generator returns is the masked CRC32C for the tensor's entry (that of
            strings isn't a checksum of the bytes); None if it is that of the bytes.
        shard: Which of the new data files they go to, from 0.
        key: Key of the tensor that they are taken from, if they are.
        made: How they are made of it, and of others, if they don't stay as they are.
    """

    n_bytes: int
    chunks: Callable[[], Generator[bytes | np.ndarray[Any, Any], None, int | None]]
    shard: int = 0
    key: str | None = None
    made: Made | None = None


Stored = Reuse | Given | Streamed
"""The bytes of one row of an index."""


class Part(NamedTuple):
    """One part of a partitioned variable.

    Attributes:
        extents: Start and length along each dimension; a length of None is all of it.
        origin: Its bytes.
    """

    extents: tuple[Extent, ...]
    origin: Stored


class Sliced(NamedTuple):
    """A partitioned variable: each part is stored under a key of its own."""

    parts: tuple[Part, ...]


Origin = Reuse | Given | Streamed | Sliced
