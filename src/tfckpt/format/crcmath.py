"""What follows from CRC32C being linear: checksums of joined pieces, and finding a flipped bit.

A checksum is the remainder of the bytes, taken as a polynomial over one bit, by CRC32C's.
So that of two pieces is the first's times x^(8n), n being the bytes of the second, plus the
second's; and a single wrong bit changes it by a power of x that tells where the bit is.
"""

from __future__ import annotations

from tfckpt.format.crc32c import crc32c, mask, unmask

__all__ = ["combine_crc32c", "flipped_bit"]

_POLYNOMIAL = 0x82F63B78  # CRC32C, reflected: the highest bit is x^0
_ONE = 1 << 31


def _times(a: int, b: int) -> int:
    """Product of two polynomials, modulo CRC32C's."""
    product = 0
    bit = _ONE
    while a:
        if a & bit:
            product ^= b
            a ^= bit
        bit >>= 1
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


def combine_crc32c(first: int, second: int, n_bytes: int) -> int:
    """CRC32C of two pieces from those of each.

    Args:
        first: That of the first piece.
        second: That of the second.
        n_bytes: Bytes of the second.

    Example:
        >>> combine_crc32c(crc32c(b"1234"), crc32c(b"56789"), 5) == crc32c(b"123456789")
        True
    """
    power, square = _ONE, _ONE >> 8  # x^0; x^8, one byte
    while n_bytes:
        if n_bytes & 1:
            power = _times(power, square)
        square = _times(square, square)
        n_bytes >>= 1
    return _times(power, first) ^ second


def flipped_bit(data: bytes, masked_crc32c: int) -> int | None:
    """Which single bit was flipped, or None if none explains the checksum.

    Args:
        data: Bytes that don't have this checksum.
        masked_crc32c: The stored checksum, which may have the flipped bit itself.

    Returns:
        Number of the bit: eight for each byte, the lowest of a byte first; those of the
        checksum follow those of the data.

    Example:
        >>> from tfckpt.format.crc32c import masked_crc32c
        >>> flipped_bit(b"abd", masked_crc32c(b"abe"))
        16
    """
    computed = crc32c(data)
    difference = mask(computed) ^ masked_crc32c
    if not difference & (difference - 1):
        return 8 * len(data) + difference.bit_length() - 1
    wanted = computed ^ unmask(masked_crc32c)
    change = _POLYNOMIAL  # what the highest bit of the last byte does to the checksum
    for bit in range(8 * len(data) - 1, -1, -1):
        if change == wanted:
            return bit
        change = change >> 1 ^ (_POLYNOMIAL if change & 1 else 0)
    return None
