"""CRC32C (Castagnoli), and the mask under which TensorFlow stores it.

A checksum of bytes that themselves hold checksums is weak, so a stored one is rotated and
shifted first ("masked"). In this library a bare ``crc32c`` is unmasked and every stored
one is called ``masked_crc32c``.

The sum itself is google-crc32c's: Apache-2.0, hardware instructions, and an import of
about a millisecond; its release 1.9 lets other threads run meanwhile. The package crc32c
costs `tfckpt ls` 30 ms at every start and is LGPL.

Source: tsl/lib/hash/crc32c.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, cast

import google_crc32c

if TYPE_CHECKING:
    import numpy as np

__all__ = ["crc32c", "mask", "masked_crc32c", "masked_crc32cs", "unmask"]

_DELTA = 0xA282EAD8
_BITS = 0xFFFFFFFF


def crc32c(data: bytes | np.ndarray[Any, Any], start: int = 0) -> int:
    """CRC32C of the bytes, going on from ``start``, the CRC of what comes before them.

    Args:
        data: ``bytes``, or a contiguous read-only array of uint8 (which isn't copied).
        start: CRC so far.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
        >>> crc32c(b"56789", crc32c(b"1234")) == crc32c(b"123456789")
        True
    """
    return cast("int", google_crc32c.extend(start, data))


def mask(crc: int) -> int:
    """The form in which a CRC is stored.

    Example:
        >>> hex(mask(0))
        '0xa282ead8'
    """
    return (((crc >> 15) | (crc << 17)) + _DELTA) & _BITS


def unmask(masked: int) -> int:
    """The CRC that was stored in this form.

    Example:
        >>> unmask(mask(12345))
        12345
    """
    rotated = (masked - _DELTA) & _BITS
    return ((rotated >> 17) | (rotated << 15)) & _BITS


def masked_crc32cs(chunks: Sequence[bytes | np.ndarray[Any, Any]]) -> list[int]:
    """`masked_crc32c` of each.

    Example:
        >>> masked_crc32cs([b"a", b"b"]) == [masked_crc32c(b"a"), masked_crc32c(b"b")]
        True
    """
    crcs = map(google_crc32c.extend, repeat(0), chunks)
    return [((crc >> 15 | crc << 17) + _DELTA) & _BITS for crc in crcs]


def masked_crc32c(data: bytes | np.ndarray[Any, Any]) -> int:
    """`mask` of `crc32c`."""
    # Both written out: a model may have 100,000 tensors of a few bytes each.
    crc = google_crc32c.extend(0, data)
    masked: int = (((crc >> 15) | (crc << 17)) + _DELTA) & _BITS
    return masked
