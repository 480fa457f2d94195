"""Slices: the parts that a partitioned variable is saved in.

The variable's own row has the dtype, the whole shape and a ``TensorSliceProto`` per part;
each part has a row of its own under a key that no variable's name can have: OrderedCode
of 0, the name, the rank, and start and length along each dimension. A part that spans a
whole dimension has start 0 and, in the key, length -1.

Source: core/util/saved_tensor_slice_util.cc; core/framework/tensor_slice.proto.
"""

from __future__ import annotations

from tfckpt.format import proto
from tfckpt.format.orderedcode import encode_signed, encode_string, encode_unsigned
from tfckpt.format.varint import encode_varint

__all__ = ["Extent", "encode_slice", "parse_slice", "slice_key"]

Extent = tuple[int, int | None]
"""Start and length along one dimension; a length of None spans it all."""


def parse_slice(data: bytes) -> tuple[Extent, ...]:
    """Parse a ``TensorSliceProto``: extents {1 start, 2 length}, one per dimension.

    Example:
        >>> parse_slice(bytes.fromhex("0a04080410030a00"))
        ((4, 3), (0, None))
    """
    extents: list[Extent] = []
    for field in proto.parse_fields(data):
        if field.number == 1:
            start, length = 0, None
            for part in proto.parse_fields(field.as_bytes()):
                if part.number == 1:
                    start = proto.signed(part.as_int())
                elif part.number == 2:
                    length = proto.signed(part.as_int())
            extents.append((start, length))
    return tuple(extents)


def encode_slice(extents: tuple[Extent, ...]) -> bytes:
    """Encode a ``TensorSliceProto``. A length that is given is stored also if it is 0.

    Example:
        >>> encode_slice(((4, 3), (0, None))).hex()
        '0a04080410030a00'
    """
    message = b""
    for start, length in extents:
        extent = proto.encode_int(1, start)
        if length is not None:
            # In a oneof, so its absence means something: all of the dimension.
            extent += b"\x10" + encode_varint(length)
        message += proto.encode_bytes(1, extent)
    return message


def slice_key(name: bytes, extents: tuple[Extent, ...]) -> bytes:
    """Key of the row of one part.

    Example:
        >>> slice_key(b"pvar", ((4, 3), (0, 4))).hex(" ")
        '00 70 76 61 72 00 01 01 02 84 83 80 84'
    """
    key = encode_unsigned(0) + encode_string(name) + encode_unsigned(len(extents))
    for start, length in extents:
        key += encode_signed(start) + encode_signed(-1 if length is None else length)
    return key
