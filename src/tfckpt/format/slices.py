"""Slices: the parts that a partitioned variable is saved in.

The variable's own row has the dtype, the whole shape and a ``TensorSliceProto`` per part;
each part has a row of its own under a key that no variable's name can have: OrderedCode
of 0, the name, the rank, and start and length along each dimension. A part that spans a
whole dimension has start 0 and, in the key, length -1.

Source: core/util/saved_tensor_slice_util.cc; core/framework/tensor_slice.proto.
"""

from __future__ import annotations

from tfckpt.errors import FormatError, TruncatedError
from tfckpt.format import proto
from tfckpt.format.orderedcode import (
    encode_signed,
    encode_string,
    encode_unsigned,
    parse_signed,
    parse_string,
    parse_unsigned,
)
from tfckpt.format.varint import encode_varint

__all__ = ["Box", "Extent", "check_slice", "encode_slice", "encode_slice_spec", "parse_slice",
           "parse_slice_key", "parse_slice_spec", "slice_key"]

Extent = tuple[int, int | None]
"""Start and length along one dimension; a length of None spans it all."""
Box = tuple[tuple[int, int], ...]
"""Start and length along each dimension, as numbers."""


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


def check_slice(extents: tuple[Extent, ...], shape: tuple[int, ...]) -> Box:
    """A slice as numbers, made sure to be in the tensor.

    Raises:
        FormatError: It has another rank, a negative number, or leaves the tensor.

    Example:
        >>> check_slice(((4, 3), (0, None)), (7, 2))
        ((4, 3), (0, 2))
    """
    if len(extents) != len(shape):
        raise FormatError("a slice of the tensor has another rank", expected=len(shape),
                          got=len(extents))
    box = tuple((start, size - start if length is None else length)
                for (start, length), size in zip(extents, shape, strict=True))
    if any(start < 0 or length < 0 or start + length > size
           for (start, length), size in zip(box, shape, strict=True)):
        raise FormatError("a slice of the tensor isn't in it", expected=f"a range of {list(shape)}",
                          got=f"start and length {list(extents)}")
    return box


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


def parse_slice_key(key: bytes) -> tuple[bytes, tuple[Extent, ...]]:
    """The tensor's name and the slice that a key stands for.

    Raises:
        TruncatedError: The key ends too early.
        FormatError: It is no key of a slice.

    Example:
        >>> parse_slice_key(bytes.fromhex("0070766172000101028483807f"))
        (b'pvar', ((4, 3), (0, None)))
    """
    zero, at = parse_unsigned(key)
    if zero:
        raise FormatError("a slice's key begins with 0", got=zero, offset=0)
    name, at = parse_string(key, at)
    rank, at = parse_unsigned(key, at)
    if rank > len(key):  # each dimension takes two bytes and more
        raise TruncatedError("a slice's key has fewer numbers than dimensions", offset=at,
                             expected=f"{rank} dimensions")
    extents: list[Extent] = []
    for _ in range(rank):
        start, at = parse_signed(key, at)
        length, at = parse_signed(key, at)
        extents.append((start, None if length == -1 else length))
    if at != len(key):
        raise FormatError("a slice's key goes on behind its end", offset=at)
    return name, tuple(extents)


def parse_slice_spec(text: str) -> tuple[tuple[int, ...], tuple[Extent, ...]]:
    """A tensor's shape and a slice of it, from the text that TensorFlow's operations take.

    Args:
        text: The dimensions, a space behind each, and for each dimension ``start,length`` or
            ``-`` for all of it, joined by colons.

    Raises:
        FormatError: It has another form, a negative number, or leaves the tensor.

    Example:
        >>> parse_slice_spec("10 4 4,3:-")
        ((10, 4), ((4, 3), (0, None)))
    """
    *sizes, spec = text.split(" ")
    try:
        shape = tuple(map(_parse_number, sizes))
        extents = tuple(map(_parse_extent, spec.split(":") if spec else []))
    except ValueError:
        raise FormatError("a slice's text has another form", got=text,
                          expected="dimensions, then start,length or - for each") from None
    check_slice(extents, shape)
    return shape, extents


def _parse_extent(text: str) -> Extent:
    if text == "-":
        return 0, None
    start, length = map(_parse_number, text.split(","))
    return start, length


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 63:
        raise ValueError(text)
    return int(text)


def encode_slice_spec(shape: tuple[int, ...], extents: tuple[Extent, ...]) -> str:
    """The text form of a slice.

    Example:
        >>> encode_slice_spec((10, 4), ((4, 3), (0, None)))
        '10 4 4,3:-'
    """
    spec = ":".join("-" if length is None else f"{start},{length}" for start, length in extents)
    return " ".join([*map(str, shape), spec])
