"""Versions of the checkpoint formats: who wrote a file, and who may read it.

    ===== ============== =====================================================
    field of VersionDef  meaning
    ===== ============== =====================================================
    1     producer       version of the writer
    2     min_consumer   the oldest reader that may read it
    3     bad_consumers  readers that must not
    ===== ============== =====================================================

V1 and V2 files are both of version 1. Source: core/framework/versions.{proto,cc},
core/public/version.h (``TF_CHECKPOINT_VERSION``), tensor_bundle.h (``kTensorBundleVersion``).
"""

from __future__ import annotations

from typing import NamedTuple

from tfckpt.errors import UnsupportedError
from tfckpt.format import proto
from tfckpt.format.varint import encode_varint, parse_varint

__all__ = ["VERSION", "Versions", "check_versions", "encode_versions", "parse_versions"]

VERSION = 1


class Versions(NamedTuple):
    """What a file says of versions."""

    producer: int = VERSION
    min_consumer: int = 0
    bad_consumers: tuple[int, ...] = ()


def parse_versions(data: bytes) -> Versions:
    """Parse a ``VersionDef``.

    Example:
        >>> parse_versions(b"\\x08\\x01")
        Versions(producer=1, min_consumer=0, bad_consumers=())
    """
    producer = min_consumer = 0
    bad: list[int] = []
    for field in proto.parse_fields(data):
        if field.number == 1:
            producer = proto.signed(field.as_int())
        elif field.number == 2:
            min_consumer = proto.signed(field.as_int())
        elif field.number == 3 and field.wire_type == proto.BYTES:  # packed
            packed, at = field.as_bytes(), 0
            while at < len(packed):
                version, at = parse_varint(packed, at)
                bad.append(proto.signed(version))
        elif field.number == 3:
            bad.append(proto.signed(field.as_int()))
    return Versions(producer, min_consumer, tuple(bad))


def encode_versions(versions: Versions) -> bytes:
    """Encode a ``VersionDef``."""
    data = proto.encode_int(1, versions.producer) + proto.encode_int(2, versions.min_consumer)
    if versions.bad_consumers:
        data += proto.encode_bytes(
            3, b"".join(encode_varint(v & 0xFFFFFFFFFFFFFFFF) for v in versions.bad_consumers))
    return data


def check_versions(versions: Versions) -> None:
    """Refuse what TensorFlow refuses.

    Raises:
        UnsupportedError: The file says that this version of the format can't read it.
    """
    if versions.min_consumer > VERSION:
        raise UnsupportedError("the checkpoint asks for a newer reader",
                               expected=f"format version {VERSION} or less",
                               got=versions.min_consumer)
    if versions.producer < 0:
        raise UnsupportedError("the checkpoint is of a version that is too old",
                               expected="format version 0 or more", got=versions.producer)
    if VERSION in versions.bad_consumers:
        raise UnsupportedError(f"the checkpoint forbids readers of format version {VERSION}")
