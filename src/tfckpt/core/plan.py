"""What to write: the outputs of a rule, before any byte moves.

A plan is a value. ``--dry-run`` prints it, tests compare it, and one writer executes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from tfckpt.core.index import Style
from tfckpt.core.origin import Given, Made, Origin, Part, Reuse, Sliced, Stored, Streamed
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError
from tfckpt.format.crc32c import masked_crc32c
from tfckpt.format.dtypes import INT64, STRING, DType
from tfckpt.format.strings import ByteOrder, encode_strings

__all__ = ["Given", "LeftOut", "Origin", "Output", "Part", "Plan", "Progress", "Reuse", "Sliced",
           "Streamed", "common_byte_order", "given_int64", "given_string", "made_of", "no_progress",
           "old_key", "packed"]

Progress = Callable[[int, int], None]
"""Told by long work how many bytes are done, and of how many."""


def no_progress(done: int, total: int) -> None:
    """The progress of somebody who doesn't want to know."""


class Output(NamedTuple):
    """One tensor to write: what it is called, what it is, and where its bytes come from."""

    key: str
    dtype: DType
    shape: tuple[int, ...]
    origin: Origin

    def stored(self) -> Iterator[Stored]:
        """The origin of each stored part; of a tensor that isn't sliced, its own."""
        if isinstance(self.origin, Sliced):
            for part in self.origin.parts:
                yield part.origin
        else:
            yield self.origin


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
        alignment: New tensors start at multiples of so many bytes; TensorFlow packs them.
    """

    outputs: tuple[Output, ...]
    style: Style
    byte_order: ByteOrder = "little"
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    alignment: int = 1


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


def old_key(output: Output) -> str | None:
    """The key in its source of a tensor that a plan takes over, or None if it is new."""
    for origin in output.stored():
        if isinstance(origin, Reuse):
            return origin.entry.key
        if isinstance(origin, Streamed):
            return origin.key
    return None


def made_of(output: Output) -> Made | None:
    """How a tensor is made of others in another layout, or None if it stays as it is."""
    return output.origin.made if isinstance(output.origin, Streamed) else None


def packed(plan: Plan) -> Plan:
    """The same checkpoint in data files of its own, with nothing in them that it doesn't have."""
    def moved(origin: Stored) -> Stored:
        if not isinstance(origin, Reuse):
            return origin
        entry = origin.entry
        return Streamed(entry.n_bytes, partial(origin.source.stream, entry), key=entry.key)

    outputs = tuple([
        output._replace(origin=Sliced(tuple(Part(part.extents, moved(part.origin))
                                            for part in output.origin.parts))
                        if isinstance(output.origin, Sliced) else moved(output.origin))
        for output in plan.outputs])
    return plan._replace(outputs=outputs)


def common_byte_order(sources: list[Source]) -> ByteOrder:
    """The byte order of data that is linked from these sources.

    Raises:
        UnsupportedError: They differ.
    """
    orders = {source.byte_order for source in sources}
    if len(orders) > 1:
        raise UnsupportedError("sources of different byte order can't share one checkpoint")
    return orders.pop() if orders else "little"
