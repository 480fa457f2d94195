"""Integers of variable length, as protocol buffers and LevelDB tables store them.

Seven bits a byte, least significant first; the top bit says that another byte follows.
Source: protobuf's encoding guide; tsl/platform/coding.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfckpt.errors import FormatError, TruncatedError

__all__ = ["encode_varint", "encode_varints", "parse_varint"]

_MAX_BYTES = 10  # 64 bits in groups of seven


def parse_varint(data: bytes, offset: int = 0) -> tuple[int, int]:
    """Parse one unsigned 64-bit varint.

    Args:
        data: Bytes that hold it.
        offset: Where it starts.

    Returns:
        The value, and the offset of the byte after it.

    Raises:
        TruncatedError: The bytes end within the number.
        FormatError: It is longer than 64 bits.

    Example:
        >>> parse_varint(b"\\xac\\x02")
        (300, 2)
    """
    value = shift = 0
    for at in range(offset, offset + _MAX_BYTES):
        if at >= len(data):
            raise TruncatedError("a varint runs past the end", offset=offset)
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, at + 1
        shift += 7
    raise FormatError("a varint is longer than 64 bits", offset=offset)


_ONE_BYTE = [bytes([n]) for n in range(128)]


def encode_varint(value: int) -> bytes:
    """Encode an unsigned 64-bit integer in as few bytes as it takes.

    Raises:
        FormatError: The value is negative or longer than 64 bits.

    Example:
        >>> encode_varint(300)
        b'\\xac\\x02'
    """
    # Up to four bytes are written out: offsets are encoded 100,000 times for one index.
    if 0 <= value < 128:
        return _ONE_BYTE[value]
    if 0 < value < 1 << 14:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if 0 < value < 1 << 21:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    if 0 < value < 1 << 28:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14 & 0x7F | 0x80,
                      value >> 21))
    if not 0 <= value < 1 << 64:
        raise FormatError(f"{value} is not an unsigned 64-bit integer")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_TWO_BYTES = 1 << 14  # numbers from here on take more
_MANY = 1000


def encode_varints(values: Sequence[int]) -> list[str]:
    """Encode many unsigned integers, as text of one character a byte.

    Raises:
        FormatError: A value is negative or longer than 64 bits.

    Example:
        >>> [varint.encode("latin-1") for varint in encode_varints([1, 300, 70000])]
        [b'\\x01', b'\\xac\\x02', b'\\xf0\\xa2\\x04']
    """
    if len(values) < _MANY:
        return [encode_varint(value).decode("latin-1") for value in values]
    one = list(map(chr, range(128)))
    more = list(map(chr, range(128, 256)))
    low = [first + second for second in more for first in more]  # of numbers of three bytes
    return [low[value & _TWO_BYTES - 1] + one[value >> 14]
            if _TWO_BYTES <= value < 1 << 21 else encode_varint(value).decode("latin-1")
            for value in values]
