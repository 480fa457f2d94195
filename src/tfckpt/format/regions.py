"""Checking string and variant tensors of any size in bounded memory.

`strings` and `variants` say what their bytes mean and parse small ones; here nothing is
kept but a chunk, since a vocabulary or the buffer of a dataset may take gigabytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from tfckpt.errors import ChecksumError, FormatError, TruncatedError
from tfckpt.format.crc32c import crc32c, mask
from tfckpt.format.dtypes import STRING, VARIANT, DType
from tfckpt.format.strings import ByteOrder
from tfckpt.format.varint import parse_varint

__all__ = ["check_region"]

_CHUNK = 1 << 20
_LONGEST_VARINT = 10

Read = Callable[[int, int], bytes]
"""Gives so many bytes from an offset in the region."""


def check_region(dtype: DType, read: Read, n_bytes: int, count: int,
                 byte_order: ByteOrder = "little") -> int:
    """The masked CRC32C that the entry of a tensor must have.

    Args:
        dtype: Its dtype; of any but strings and variants the checksum is that of the bytes.
        read: Gives so many bytes from an offset in the tensor's.
        n_bytes: How many it has.
        count: Elements of its shape.
        byte_order: That of the bundle.

    Raises:
        TruncatedError: The bytes end before the elements do.
        ChecksumError: A checksum among them doesn't match.
        FormatError: Bytes are left over.

    Example:
        >>> from tfckpt.format.strings import encode_strings
        >>> region, masked_crc32c = encode_strings([b"abc", b""])
        >>> masked_crc32c == check_region(
        ...     STRING, lambda at, n: region[at:at + n], len(region), 2)
        True
    """
    if dtype is STRING:
        return _check_strings(read, n_bytes, count, byte_order)
    if dtype is VARIANT:
        return _check_variants(read, n_bytes, count)
    return mask(_sum(read, 0, n_bytes, 0))


def _sum(read: Read, at: int, end: int, crc: int) -> int:
    while at < end:
        chunk = read(at, min(_CHUNK, end - at))
        crc = crc32c(chunk, crc)
        at += len(chunk)
    return crc


def _check_strings(read: Read, n_bytes: int, count: int, byte_order: ByteOrder) -> int:
    if count > n_bytes:
        raise TruncatedError("a string tensor has fewer bytes than elements", offset=0,
                             expected=f"at least {count} bytes", got=n_bytes)
    order = "<" if byte_order == "little" else ">"
    at = crc = total = 0
    left = count
    while left:
        window, used = read(at, min(_CHUNK, n_bytes - at)), 0
        safe = len(window) if at + len(window) == n_bytes else len(window) - _LONGEST_VARINT
        lengths = []
        while left and used < max(safe, 1):
            length, used = parse_varint(window, used)
            lengths.append(length)
            left -= 1
        kinds = "".join("I" if length <= 0xFFFFFFFF else "Q" for length in lengths)
        crc = crc32c(struct.pack(order + kinds, *lengths), crc)
        total += sum(lengths)
        at += used
    end = at + 4 + total
    if end != n_bytes:
        kind = TruncatedError if end > n_bytes else FormatError
        raise kind("a string tensor has another length than its elements add up to", offset=at,
                   expected=f"{end} bytes", got=n_bytes)
    stored = read(at, 4)
    if int.from_bytes(stored, byte_order) != mask(crc):
        raise ChecksumError("the checksum of a string tensor's lengths does not match", offset=at,
                            expected=f"{int.from_bytes(stored, byte_order):#010x} as stored",
                            got=f"{mask(crc):#010x} from the bytes")
    return mask(_sum(read, at + 4, n_bytes, crc32c(stored, crc)))


def _check_variants(read: Read, n_bytes: int, count: int) -> int:
    crc = at = 0
    for _ in range(count):
        start = at
        length, used = parse_varint(read(at, min(_LONGEST_VARINT, n_bytes - at)), 0)
        at += used
        end = at + length
        if end + 4 > n_bytes:
            raise TruncatedError("an element of a variant tensor runs past its end", offset=start,
                                 expected=f"{end + 4} bytes", got=n_bytes)
        crc = _sum(read, at, end, crc32c(length.to_bytes(8, "little"), crc))
        stored = read(end, 4)
        if int.from_bytes(stored, "little") != mask(crc):
            raise ChecksumError("the checksum of a variant's element does not match", offset=end,
                                expected=f"{int.from_bytes(stored, 'little'):#010x} as stored",
                                got=f"{mask(crc):#010x} from the bytes")
        crc = crc32c(stored, crc)
        at = end + 4
    if at != n_bytes:
        raise FormatError("a variant tensor is longer than its elements", offset=at,
                          expected=f"{at} bytes", got=n_bytes)
    return mask(crc)
