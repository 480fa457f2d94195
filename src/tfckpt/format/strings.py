"""String tensors: how a bundle stores elements of different lengths.

    ======================= ===================================================
    part                    contents
    ======================= ===================================================
    lengths                 one varint per element
    lengths checksum        fixed32, masked CRC32C of the lengths *as integers*
    contents                the elements' bytes, one after another
    ======================= ===================================================

Two surprises. The lengths' CRC covers each length as a fixed integer of four bytes (eight
if it doesn't fit), not as the varint that is stored. And the entry's CRC is not that of
the region: it goes on from the lengths' CRC over the stored checksum and the contents.
The checksum and those integers are in the bundle's byte order.

Source: WriteStringTensor and ReadStringTensor in core/util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from tfckpt.errors import ChecksumError, FormatError, TruncatedError
from tfckpt.format.crc32c import crc32c, mask
from tfckpt.format.varint import encode_varint, parse_varint

__all__ = ["ByteOrder", "StringRegion", "encode_strings", "parse_strings"]

ByteOrder = Literal["little", "big"]


class StringRegion(NamedTuple):
    """What a region of the data file that holds a string tensor says.

    Attributes:
        elements: The elements in C order.
        masked_crc32c: What the tensor's entry must have as its checksum.
    """

    elements: list[bytes]
    masked_crc32c: int


def parse_strings(region: bytes, count: int, byte_order: ByteOrder = "little") -> StringRegion:
    """Parse the stored bytes of a string tensor.

    Args:
        region: All bytes of the tensor.
        count: How many elements its shape has.
        byte_order: That of the bundle.

    Raises:
        TruncatedError: The region is too short for the lengths it announces.
        ChecksumError: The lengths are not those that were written.
        FormatError: Bytes are left over.

    Example:
        >>> parse_strings(encode_strings([b"ab", b""])[0], 2).elements
        [b'ab', b'']
    """
    if not region and not count:
        return StringRegion([], mask(0))
    if count > len(region):  # each length takes a byte: stops a huge shape before any work
        raise TruncatedError("a string tensor has fewer bytes than elements", offset=0,
                             expected=f"at least {count} bytes", got=len(region))
    lengths = []
    at = 0
    for _ in range(count):
        length, at = parse_varint(region, at)
        lengths.append(length)
    stored, contents = region[at:at + 4], at + 4
    if len(region) < contents + sum(lengths):
        raise TruncatedError("a string tensor is shorter than its lengths add up to", offset=at,
                             expected=f"{contents + sum(lengths)} bytes", got=len(region))
    if len(region) > contents + sum(lengths):
        raise FormatError("a string tensor is longer than its lengths add up to", offset=at,
                          expected=f"{contents + sum(lengths)} bytes", got=len(region))
    crc = _lengths_crc32c(lengths, byte_order)
    if int.from_bytes(stored, byte_order) != mask(crc):
        raise ChecksumError("the checksum of a string tensor's lengths does not match", offset=at,
                            expected=f"{int.from_bytes(stored, byte_order):#010x} as stored",
                            got=f"{mask(crc):#010x} from the bytes")
    elements = []
    at = contents
    for length in lengths:
        elements.append(region[at:at + length])
        at += length
    return StringRegion(elements, mask(crc32c(region[contents:], crc32c(stored, crc))))


def encode_strings(elements: Iterable[bytes], byte_order: ByteOrder = "little"
                   ) -> tuple[bytes, int]:
    """Encode the elements of a string tensor.

    Returns:
        The region's bytes, and the masked CRC32C for the tensor's entry.

    Example:
        >>> region, masked_crc32c = encode_strings([b"abc", b"", b"\\xff\\x00"])
        >>> region.hex(" "), hex(masked_crc32c)
        ('03 00 02 03 7a 9c 77 61 62 63 ff 00', '0x355f1687')
    """
    elements = list(elements)
    crc = _lengths_crc32c([len(element) for element in elements], byte_order)
    checksum = mask(crc).to_bytes(4, byte_order)
    contents = b"".join(elements)
    lengths = b"".join(encode_varint(len(element)) for element in elements)
    return lengths + checksum + contents, mask(crc32c(contents, crc32c(checksum, crc)))


def _lengths_crc32c(lengths: Sequence[int], byte_order: ByteOrder) -> int:
    order = "<" if byte_order == "little" else ">"
    # TensorFlow's own comment says 64 bits for all; its code keeps 32 for older files.
    kinds = "".join("I" if length <= 0xFFFFFFFF else "Q" for length in lengths)
    return crc32c(struct.pack(order + kinds, *lengths))
