"""The wire format of protocol buffers, as much of it as checkpoints use.

A message is a run of fields; each is a varint ``number << 3 | wire type`` and a value:

    ===== ========= ================================================
    type  name      value
    ===== ========= ================================================
    0     VARINT    a varint (bool, enum, int32, int64)
    1     FIXED64   8 bytes, little-endian (double, fixed64)
    2     BYTES     a varint length and that many bytes (string, message)
    5     FIXED32   4 bytes, little-endian (float, fixed32)
    ===== ========= ================================================

Written by hand and not with the protobuf package, because tfckpt must run in one process
beside TensorFlow 2.15 (protobuf 4) as well as 2.21 (protobuf 6), and because a listing of
100,000 tensors spends most of its time here.
Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tfckpt.errors import FormatError, TruncatedError
from tfckpt.format.varint import encode_varint, parse_varint

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "VARINT",
    "Field",
    "encode_bytes",
    "encode_fixed32",
    "encode_int",
    "parse_fields",
    "parse_text",
    "signed",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: Field number in the message's definition.
        wire_type: How it is stored; one of the constants above.
        value: int for VARINT (unsigned), FIXED64 and FIXED32, bytes for BYTES.
    """

    number: int
    wire_type: int
    value: int | bytes

    def as_int(self, wire_type: int = VARINT) -> int:
        """The value of a field that must be a number of this wire type."""
        if self.wire_type != wire_type or isinstance(self.value, bytes):
            raise FormatError(f"field {self.number} of a message has another wire type",
                              expected=wire_type, got=self.wire_type)
        return self.value

    def as_bytes(self) -> bytes:
        """The value of a field that must be bytes."""
        if not isinstance(self.value, bytes):
            raise FormatError(f"field {self.number} of a message has another wire type",
                              expected=BYTES, got=self.wire_type)
        return self.value

    def as_text(self) -> str:
        """The value of a field that must be text; see `parse_text`."""
        return parse_text(self.as_bytes())


def parse_fields(data: bytes) -> Iterator[Field]:
    """The fields of a message, in stored order.

    Raises:
        TruncatedError: A field runs past the end.
        FormatError: A field has number 0 or a wire type that isn't in the table above.

    Example:
        >>> list(parse_fields(b"\\x08\\x96\\x01"))
        [Field(number=1, wire_type=0, value=150)]
    """
    at, end = 0, len(data)
    while at < end:
        start = at
        tag, at = parse_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if not number:
            raise FormatError("a message has a field without a number", offset=start)
        value: int | bytes
        if wire_type == VARINT:
            value, at = parse_varint(data, at)
        else:
            if wire_type == BYTES:
                length, at = parse_varint(data, at)
            elif wire_type in (FIXED32, FIXED64):
                length = 4 if wire_type == FIXED32 else 8
            else:
                raise FormatError("a message has an unknown wire type", got=wire_type, offset=start)
            if length > end - at:
                raise TruncatedError(f"field {number} of a message runs past its end",
                                     expected=f"{length} bytes", got=end - at, offset=start)
            value = data[at:at + length]
            at += length
            if wire_type != BYTES:
                value = int.from_bytes(value, "little")
        yield Field(number, wire_type, value)


def parse_text(data: bytes) -> str:
    """Text from bytes that should be UTF-8; others survive and come back as they were."""
    return data.decode("utf-8", "surrogateescape")


def signed(value: int) -> int:
    """An int64 from its unsigned varint.

    Example:
        >>> signed(2**64 - 1)
        -1
    """
    return value - (1 << 64) if value >> 63 else value


def encode_int(number: int, value: int) -> bytes:
    """A VARINT field; nothing for 0, which proto3 doesn't store."""
    if not value:
        return b""
    if 0 < value < 128 and number < 16:
        return bytes((number << 3 | VARINT, value))
    return encode_varint(number << 3 | VARINT) + encode_varint(value & 0xFFFFFFFFFFFFFFFF)


def encode_fixed32(number: int, value: int) -> bytes:
    """A FIXED32 field; nothing for 0, which proto3 doesn't store."""
    if not value:
        return b""
    return encode_varint(number << 3 | FIXED32) + value.to_bytes(4, "little")


def encode_bytes(number: int, value: bytes) -> bytes:
    """A BYTES field, also for no bytes: an empty message counts as present."""
    if len(value) < 128 and number < 16:  # tag and length are a byte each
        return bytes((number << 3 | BYTES, len(value))) + value
    return encode_varint(number << 3 | BYTES) + encode_varint(len(value)) + value
