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

__all__ = ["encode_signed", "encode_string", "encode_unsigned"]

_SPECIAL = re.compile(b"[\\x00\\xff]")
_ESCAPED = {b"\0": b"\0\xff", b"\xff": b"\xff\0"}


def encode_unsigned(value: int) -> bytes:
    """Encode an unsigned integer.

    Example:
        >>> encode_unsigned(0).hex(), encode_unsigned(258).hex()
        ('00', '020102')
    """
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(digits)]) + digits


def encode_string(value: bytes) -> bytes:
    """Encode a string of bytes.

    Example:
        >>> encode_string(b"a\\x00").hex(" ")
        '61 00 ff 00 01'
    """
    return _SPECIAL.sub(lambda match: _ESCAPED[match[0]], value) + b"\0\1"


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
