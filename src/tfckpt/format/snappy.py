"""Snappy blocks, decompressed with a bound on what they may claim.

Raw Snappy (no framing) starts with its uncompressed length as a varint, which a decoder
trusts for its allocation: five bytes can ask for 4 GiB. The densest element of the format
is a three-byte copy of 64 bytes, so no honest block grows more than 22-fold.

TensorFlow reads such blocks and, in released versions, never writes them.
Source: google/snappy, format_description.txt.
"""

from __future__ import annotations

from tfckpt.errors import FormatError
from tfckpt.format.varint import parse_varint

__all__ = ["decompress"]

_MOST_GROWTH = 22


def decompress(data: bytes) -> bytes:
    """Decompress one raw Snappy block.

    Raises:
        FormatError: The block is damaged, or claims more than Snappy can hold.
    """
    import cramjam  # deferred: only old or foreign checkpoints have compressed blocks

    claimed, _ = parse_varint(data)
    if claimed > _MOST_GROWTH * len(data):
        raise FormatError("a compressed block claims more than Snappy can hold",
                          expected=f"at most {_MOST_GROWTH * len(data)} bytes", got=claimed)
    try:
        content = bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise FormatError(f"a compressed block is damaged ({error})") from None
    if len(content) != claimed:
        raise FormatError("a compressed block has another length than it claims",
                          expected=f"{claimed} bytes", got=len(content))
    return content
