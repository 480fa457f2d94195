"""What to write: the outputs of a rule, before any byte moves.

A plan is a value. ``--dry-run`` prints it, tests compare it, and one writer executes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.core.index import Entry, Style
from tfckpt.core.source import BundleSource
from tfckpt.errors import UnsupportedError
from tfckpt.format.crc32c import masked_crc32c
from tfckpt.format.dtypes import INT64, STRING, DType
from tfckpt.format.strings import ByteOrder, encode_strings

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Given", "LeftOut", "Output", "Plan", "Progress", "Reuse", "given_int64",
           "given_string", "no_progress"]

Progress = Callable[[int, int], None]
"""Told by long work how many bytes are done, and of how many."""


def no_progress(done: int, total: int) -> None:
    """The progress of somebody who doesn't want to know."""


class Reuse(NamedTuple):
    """A tensor whose bytes stay where they are; its CRC is carried over with them."""

    source: BundleSource
    entry: Entry


class Given(NamedTuple):
    """A tensor whose encoded bytes are at hand.

    Attributes:
        data: They, as ``bytes`` or as a read-only array of uint8.
        masked_crc32c: Their checksum; None has the writer make it while it writes.
    """

    data: bytes | np.ndarray[Any, Any]
    masked_crc32c: int | None


class Output(NamedTuple):
    """One tensor to write: what it is called, what it is, and where its bytes come from."""

    key: str
    dtype: DType
    shape: tuple[int, ...]
    origin: Reuse | Given


class LeftOut(NamedTuple):
    """A tensor of the source that the result won't have, and why."""

    key: str
    reason: str


class Plan(NamedTuple):
    """A checkpoint to write.

    Attributes:
        outputs: Its tensors, in the order in which the bytes of the new ones are stored.
        style: How its keys are made.
        byte_order: That of the numbers in its data files.
        left_out: What of the source it doesn't have.
        notes: What a reader of the plan should know, a sentence each.
    """

    outputs: tuple[Output, ...]
    style: Style
    byte_order: ByteOrder = "little"
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def given_int64(key: str, value: int, byte_order: ByteOrder) -> Output:
    """A scalar integer.

    Example:
        >>> given_int64("save_counter", 1, "little").origin.data.hex()
        '0100000000000000'
    """
    data = value.to_bytes(8, byte_order, signed=True)
    return Output(key, INT64, (), Given(data, masked_crc32c(data)))


def given_string(key: str, value: bytes, byte_order: ByteOrder) -> Output:
    """A scalar string."""
    return Output(key, STRING, (), Given(*encode_strings([value], byte_order)))


def common_byte_order(sources: list[BundleSource]) -> ByteOrder:
    """The byte order of data that is linked from these sources.

    Raises:
        UnsupportedError: They differ.
    """
    orders = {source.byte_order for source in sources}
    if len(orders) > 1:
        raise UnsupportedError("sources of different byte order can't share one checkpoint")
    return orders.pop() if orders else "little"
