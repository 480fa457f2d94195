"""Variant tensors: serialized objects (dataset positions, say) that only TensorFlow rebuilds.

    ======================= ===================================================
    part, per element       contents
    ======================= ===================================================
    length                  varint
    contents                a VariantTensorDataProto of that many bytes
    checksum                fixed32, masked CRC32C so far, little-endian
    ======================= ===================================================

One CRC runs through the whole tensor: each length as an integer of eight bytes (always
eight, unlike strings), the contents, and the stored checksum. Its last value is the
entry's. Source: WriteVariantTensor in core/util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

from typing import NamedTuple

from tfckpt.errors import ChecksumError, FormatError, TruncatedError
from tfckpt.format.crc32c import crc32c, mask
from tfckpt.format.varint import encode_varint, parse_varint

__all__ = ["VariantRegion", "encode_variants", "parse_variants"]


class VariantRegion(NamedTuple):
    """What a region of the data file that holds a variant tensor says.

    Attributes:
        elements: Each element's serialized proto, in C order.
        masked_crc32c: What the tensor's entry must have as its checksum.
    """

    elements: list[bytes]
    masked_crc32c: int


def encode_variants(elements: list[bytes]) -> tuple[bytes, int]:
    """The stored bytes of a variant tensor, and what its entry has as its masked checksum.

    Args:
        elements: Each element's serialized VariantTensorDataProto, in C order.
    """
    region = bytearray()
    crc = 0
    for element in elements:
        crc = crc32c(element, crc32c(len(element).to_bytes(8, "little"), crc))
        stored = mask(crc).to_bytes(4, "little")
        crc = crc32c(stored, crc)
        region += encode_varint(len(element)) + element + stored
    return bytes(region), mask(crc)


def parse_variants(region: bytes, count: int) -> VariantRegion:
    """Parse the stored bytes of a variant tensor.

    Args:
        region: All bytes of the tensor.
        count: How many elements its shape has.

    Raises:
        TruncatedError: The region ends within an element.
        ChecksumError: An element is not what was written.
        FormatError: Bytes are left over.
    """
    if count > len(region):  # each element takes a byte and more
        raise TruncatedError("a variant tensor has fewer bytes than elements", offset=0,
                             expected=f"at least {count} bytes", got=len(region))
    elements = []
    crc = at = 0
    for _ in range(count):
        start = at
        length, at = parse_varint(region, at)
        end = at + length
        if end + 4 > len(region):
            raise TruncatedError("an element of a variant tensor runs past its end", offset=start,
                                 expected=f"{end + 4} bytes", got=len(region))
        crc = crc32c(region[at:end], crc32c(length.to_bytes(8, "little"), crc))
        stored = region[end:end + 4]
        if int.from_bytes(stored, "little") != mask(crc):
            raise ChecksumError("the checksum of a variant's element does not match", offset=end,
                                expected=f"{int.from_bytes(stored, 'little'):#010x} as stored",
                                got=f"{mask(crc):#010x} from the bytes")
        crc = crc32c(stored, crc)
        elements.append(region[at:end])
        at = end + 4
    if at != len(region):
        raise FormatError("a variant tensor is longer than its elements", offset=at,
                          expected=f"{at} bytes", got=len(region))
    return VariantRegion(elements, mask(crc))
