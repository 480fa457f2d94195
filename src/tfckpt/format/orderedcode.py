"""OrderedCode: numbers and strings as bytes that sort as their values do.

    ============== ==========================================================
    kind           bytes
    ============== ==========================================================
    unsigned       how many bytes follow, then the value in big-endian
    string         00 becomes 00 ff, ff becomes ff 00, and 00 01 ends it
    signed         n bytes for [-2^(7n-1), 2^(7n-1)): big-endian two's
                   complement, its top bits combined (xor) with n ones
    ============== ==========================================================

Source: core/lib/strings/ordered_code.cc.
"""

from __future__ import annotations

import re

from tfckpt.errors import FormatError, TruncatedError

__all__ = ["encode_signed", "encode_string", "encode_unsigned", "parse_signed", "parse_string",
           "parse_unsigned"]

_SPECIAL = re.compile(b"[\\x00\\xff]")
_ESCAPED = {b"\0": b"\0\xff", b"\xff": b"\xff\0"}
_PLAIN = {escaped: plain for plain, escaped in _ESCAPED.items()}


def encode_unsigned(value: int) -> bytes:
    """Encode an unsigned integer.

    Example:
        >>> encode_unsigned(0).hex(), encode_unsigned(258).hex()
        ('00', '020102')
    """
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(digits)]) + digits


def parse_unsigned(data: bytes, offset: int = 0) -> tuple[int, int]:
    """Parse an unsigned integer of 64 bits.

    Returns:
        The value, and the offset of the byte after it.

    Raises:
        TruncatedError: The bytes end within the number.
        FormatError: It is longer than 64 bits, or than it had to be.

    Example:
        >>> parse_unsigned(bytes.fromhex("020102"))
        (258, 3)
    """
    length = data[offset] if offset < len(data) else 0
    end = offset + 1 + length
    if end > len(data):
        raise TruncatedError("an ordered number runs past the end", offset=offset)
    if length > 8:
        raise FormatError("an ordered number is longer than 64 bits", offset=offset)
    if length and not data[offset + 1]:
        raise FormatError("an ordered number is longer than it had to be", offset=offset)
    return int.from_bytes(data[offset + 1:end], "big"), end


def encode_string(value: bytes) -> bytes:
    """Encode a string of bytes.

    Example:
        >>> encode_string(b"a\\x00").hex(" ")
        '61 00 ff 00 01'
    """
    return _SPECIAL.sub(lambda match: _ESCAPED[match[0]], value) + b"\0\1"


def parse_string(data: bytes, offset: int = 0) -> tuple[bytes, int]:
    """Parse a string of bytes.

    Returns:
        The string, and the offset of the byte after its end mark.

    Raises:
        TruncatedError: There is no end mark.
        FormatError: A 00 or ff stands before something that it can't stand before.

    Example:
        >>> parse_string(bytes.fromhex("6100ff0001"))
        (b'a\\x00', 5)
    """
    parts, at = [], offset
    while True:
        special = _SPECIAL.search(data, at)
        if special is None or special.end() == len(data):
            raise TruncatedError("an ordered string runs past the end", offset=offset)
        parts.append(data[at:special.start()])
        at = special.end() + 1
        pair = data[special.start():at]
        if pair == b"\0\1":
            return b"".join(parts), at
        if pair not in _PLAIN:
            raise FormatError("an ordered string is damaged", expected="00 01, 00 ff or ff 00",
                              got=pair.hex(" "), offset=special.start())
        parts.append(_PLAIN[pair])


def encode_signed(value: int) -> bytes:
    """Encode a signed 64-bit integer.

    Example:
        >>> encode_signed(0).hex(), encode_signed(-1).hex(), encode_signed(70).hex()
        ('80', '7f', 'c046')
    """
    length = (value if value >= 0 else ~value).bit_length() // 7 + 1
    ones = ((1 << length) - 1) << (7 * length)  # n ones from the top of n bytes and beyond
    digits = (value & ((1 << 8 * length) - 1)) ^ (ones & ((1 << 8 * length) - 1))
    return digits.to_bytes(length, "big")


def parse_signed(data: bytes, offset: int = 0) -> tuple[int, int]:
    """Parse a signed 64-bit integer.

    Returns:
        The value, and the offset of the byte after it.

    Raises:
        TruncatedError: The bytes end within the number.
        FormatError: It is longer than 64 bits, or than it had to be.

    Example:
        >>> parse_signed(bytes.fromhex("c046")), parse_signed(bytes.fromhex("7f"))
        ((70, 2), (-1, 1))
    """
    if offset >= len(data):
        raise TruncatedError("an ordered number runs past the end", offset=offset)
    if data[offset:] in (b"\0", b"\xff"):  # the second byte tells how long it is
        raise TruncatedError("an ordered number runs past the end", offset=offset)
    # The sign is the top bit turned round; of positive numbers as many ones follow as there
    # are bytes, of negative ones zeros. Ten bytes are the most, so sixteen bits tell.
    negative = data[offset] < 0x80
    start = int.from_bytes(data[offset:offset + 2].ljust(2, b"\0"), "big")
    ones = start ^ 0xFFFF if negative else start
    length = 16 - (ones ^ 0xFFFF).bit_length()
    end = offset + length
    if length > 10:
        raise FormatError("an ordered number is longer than 64 bits", offset=offset)
    if end > len(data):
        raise TruncatedError("an ordered number runs past the end", offset=offset)
    bits = 8 * length
    digits = int.from_bytes(data[offset:end], "big") ^ ((((1 << length) - 1) << (7 * length))
                                                        & ((1 << bits) - 1))
    value = digits - (1 << bits) if negative else digits
    if not -(1 << 63) <= value < 1 << 63:
        raise FormatError("an ordered number is longer than 64 bits", offset=offset)
    if encode_signed(value) != data[offset:end]:
        raise FormatError("an ordered number is longer than it had to be", offset=offset)
    return value, end
