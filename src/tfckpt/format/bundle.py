"""Header and entries: the rows of a V2 bundle's index.

The row with the empty key holds ``BundleHeaderProto``; each other row is a tensor's name
with its ``BundleEntryProto``:

    ===== ============== =====================================================
    field of the header  meaning
    ===== ============== =====================================================
    1     num_shards     how many data files the names count to
    2     endianness     byte order of the data files: 0 little, 1 big
    3     version        see `versions`
    ===== ============== =====================================================

    ===== ============== =====================================================
    field of an entry    meaning
    ===== ============== =====================================================
    1     dtype          see `dtypes`
    2     shape          {2 dims {1 size, 2 name}, 3 unknown_rank}
    3     shard_id       which data file
    4     offset         first byte of the tensor in it
    5     size           its bytes
    6     crc32c         fixed32, masked; of the bytes as stored
    7     slices         parts, if the tensor was saved in parts; then 3 to 6 mean nothing
    ===== ============== =====================================================

Zero values are absent, but the shape never is: a scalar stores an empty one.
Source: core/protobuf/tensor_bundle.proto; core/framework/tensor_shape.proto, versions.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tfckpt.errors import CheckpointError, FormatError
from tfckpt.format import proto
from tfckpt.format.dtypes import DType, dtype_numbered
from tfckpt.format.strings import ByteOrder
from tfckpt.format.varint import encode_varint
from tfckpt.format.versions import (
    VERSION,
    Versions,
    check_versions,
    encode_versions,
    parse_versions,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "HEADER_KEY",
    "MOST_SHARDS",
    "BundleEntry",
    "BundleHeader",
    "EntryParser",
    "encode_entries",
    "encode_entry",
    "encode_header",
    "encode_shape",
    "parse_header",
    "parse_shape",
]

HEADER_KEY = b""
MOST_SHARDS = 99_999_999  # more than anyone has; bounds loops over shard numbers


class BundleHeader(NamedTuple):
    """The header of a bundle.

    Attributes:
        num_shards: How many data files its names count to.
        byte_order: That of the numbers in the data files (never of the index).
        producer: Version of the writer's format.
        min_consumer: The oldest reader that may read it.
        bad_consumers: Readers that must not.
    """

    num_shards: int = 1
    byte_order: ByteOrder = "little"
    producer: int = VERSION
    min_consumer: int = 0
    bad_consumers: tuple[int, ...] = ()


def parse_header(data: bytes) -> BundleHeader:
    """Parse a header, refusing versions that TensorFlow refuses too.

    Raises:
        FormatError: It isn't a header.
        UnsupportedError: It says that this version of the format can't read the bundle.

    Example:
        >>> parse_header(bytes.fromhex("08011a020801")).num_shards
        1
    """
    num_shards = endianness = 0
    versions = Versions(producer=0)
    for field in proto.parse_fields(data):
        if field.number == 1:
            num_shards = proto.signed(field.as_int())
        elif field.number == 2:
            endianness = field.as_int()
        elif field.number == 3:
            versions = parse_versions(field.as_bytes())
    if endianness > 1:
        raise FormatError("the header has an unknown byte order", expected="0 or 1", got=endianness)
    if not 0 <= num_shards <= MOST_SHARDS:
        raise FormatError("the header has an impossible number of shards", got=num_shards)
    check_versions(versions)
    return BundleHeader(num_shards, "big" if endianness else "little", *versions)


def encode_header(header: BundleHeader) -> bytes:
    """Encode a header.

    Example:
        >>> encode_header(BundleHeader(num_shards=1)).hex(" ")
        '08 01 1a 02 08 01'
    """
    return (proto.encode_int(1, header.num_shards)
            + proto.encode_int(2, header.byte_order == "big")
            + proto.encode_bytes(3, encode_versions(Versions(*header[2:]))))


class BundleEntry(NamedTuple):
    """Where one tensor is, and what.

    Attributes:
        dtype: Its dtype.
        shape: Its dimensions.
        shard_id: Number of the data file, from 0.
        offset: Its first byte there.
        size: Its bytes.
        masked_crc32c: Checksum of those bytes, masked as stored.
        slices: Encoded ``TensorSliceProto`` of each part, if it was saved in parts.
    """

    dtype: DType
    shape: tuple[int, ...]
    shard_id: int
    offset: int
    size: int
    masked_crc32c: int
    slices: tuple[bytes, ...] = ()


class EntryParser:
    """Parses entries, remembering the dtypes and shapes it has met.

    A checkpoint has far fewer different shapes than tensors, and dtype and shape stand
    first in an entry, so nearly every entry is one look-up and three numbers.
    """

    def __init__(self) -> None:
        self._heads: dict[bytes, tuple[DType, tuple[int, ...]]] = {}

    def parse(self, data: bytes) -> BundleEntry:
        """Parse one entry.

        Raises:
            FormatError: It isn't an entry, or has a negative number in it.

        Example:
            >>> entry = EntryParser().parse(bytes.fromhex("08011208120208021202080320102818"))
            >>> entry.dtype.name, entry.shape, entry.offset, entry.size
            ('float32', (2, 3), 16, 24)
        """
        # What TensorFlow writes: 08 dtype 12 length shape, then 18, 20, 28 and 35 with the
        # numbers that aren't 0. Anything else, and anything damaged, goes the plain way.
        try:
            end = 4 + data[3]
            head = self._heads.get(data[:end])
            if head is None:
                head = self._learn(data, end)
            numbers = [0, 0, 0]
            while (tag := data[end]) != 0x35:
                at, shift, value = end + 1, 0, 0
                while (byte := data[at]) > 0x7F:
                    value |= (byte & 0x7F) << shift
                    shift += 7
                    at += 1
                numbers[_NUMBERS[tag]] = value | byte << shift
                end = at + 1
            shard_id, offset, size = numbers
            if end + 5 == len(data) and size < 1 << 63 > offset and shard_id <= MOST_SHARDS:
                crc = int.from_bytes(data[end + 1:], "little")
                return BundleEntry(*head, shard_id, offset, size, crc)
        except (IndexError, KeyError):
            pass
        return _parse_entry(data)

    def parse_head(self, data: bytes) -> tuple[DType, tuple[int, ...]] | None:
        """Dtype and shape of an entry, of which the rest needn't be there.

        Returns:
            They, or None if the entry doesn't have the usual form.
        """
        head = self._heads.get(data)
        if head is not None:
            return head
        try:
            end = 4 + data[3]
            return self._heads.get(data[:end]) or self._learn(data, end)
        except (IndexError, KeyError, CheckpointError):
            return None

    def _learn(self, data: bytes, end: int) -> tuple[DType, tuple[int, ...]]:
        if data[0] != 0x08 or data[2] != 0x12 or (data[1] | data[3]) > 0x7F or end > len(data):
            raise KeyError
        head = self._heads[data[:end]] = dtype_numbered(data[1]), parse_shape(data[4:end])
        return head


_NUMBERS = {0x18: 0, 0x20: 1, 0x28: 2}  # tags of shard_id, offset, size


def _parse_entry(data: bytes) -> BundleEntry:
    dtype = dtype_numbered(0)
    shape: tuple[int, ...] = ()
    shard_id = offset = size = crc = 0
    slices: list[bytes] = []
    for field in proto.parse_fields(data):
        if field.number == 1:
            dtype = dtype_numbered(field.as_int())
        elif field.number == 2:
            shape = parse_shape(field.as_bytes())
        elif field.number == 3:
            shard_id = field.as_int()
        elif field.number == 4:
            offset = field.as_int()
        elif field.number == 5:
            size = field.as_int()
        elif field.number == 6:
            crc = field.as_int(proto.FIXED32)
        elif field.number == 7:
            slices.append(field.as_bytes())
    if (shard_id | offset | size) >> 63 or shard_id > MOST_SHARDS:
        raise FormatError("an entry has an impossible number", got=(
            f"shard {proto.signed(shard_id)}, offset {proto.signed(offset)},"
            f" size {proto.signed(size)}"))
    return BundleEntry(dtype, shape, shard_id, offset, size, crc, tuple(slices))


def parse_shape(data: bytes) -> tuple[int, ...]:
    """Parse a ``TensorShapeProto``.

    Raises:
        FormatError: A dimension is negative, or the rank isn't known.
    """
    dims = []
    for field in proto.parse_fields(data):
        if field.number == 2:
            size = 0
            for dim in proto.parse_fields(field.as_bytes()):
                if dim.number == 1:
                    size = proto.signed(dim.as_int())
            if size < 0:
                raise FormatError("a tensor's shape has a negative dimension", got=size)
            dims.append(size)
        elif field.number == 3 and field.as_int():
            raise FormatError("a stored tensor's shape has an unknown rank")
    return tuple(dims)


def encode_entry(entry: BundleEntry) -> bytes:
    """Encode an entry, byte for byte as TensorFlow does.

    Example:
        >>> from tfckpt.format.dtypes import dtype_named
        >>> encode_entry(BundleEntry(dtype_named("float32"), (2, 3), 0, 16, 24, 0)).hex()
        '08011208120208021202080320102818'
    """
    return entry_encoder()(*entry)


def entry_encoder() -> Callable[..., bytes]:
    """A function that does `encode_entry`, of an entry's fields, and remembers shapes it met."""
    known: dict[tuple[int, tuple[int, ...], int, int], tuple[bytes, bytes]] = {}

    def encode(dtype: DType, shape: tuple[int, ...], shard_id: int, offset: int, size: int,
               crc: int, slices: tuple[bytes, ...] = ()) -> bytes:
        # What stands before and after the offset is the same for most tensors of a model.
        around = known.get((dtype[0], shape, shard_id, size))
        if around is None:
            around = known[dtype[0], shape, shard_id, size] = (
                _encode_head(dtype, shape) + proto.encode_int(3, shard_id),
                proto.encode_int(5, size))
        value = around[0]
        if offset:
            value += b"\x20" + encode_varint(offset)
        value += around[1]
        if crc:
            value += b"\x35" + crc.to_bytes(4, "little")
        for part in slices:
            value += proto.encode_bytes(7, part)
        return value

    return encode


def encode_entries(dtypes: Sequence[DType], shapes: Sequence[tuple[int, ...]], shard_id: int,
                   sizes: Sequence[int], checksums: Sequence[int], alignment: int = 1
                   ) -> list[bytes]:
    """Encode the entries of tensors that stand one after another from the start of a data file.

    Args:
        dtypes: Dtype of each.
        shapes: Shape of each.
        shard_id: Number of the file.
        sizes: Bytes of each.
        checksums: Masked CRC32C of each.
        alignment: Each starts at a multiple of so many bytes.

    Example:
        >>> from tfckpt.format.dtypes import dtype_named
        >>> for entry in encode_entries([dtype_named("int8")] * 2, [()] * 2, 0, [1, 1], [7, 8]):
        ...     print(entry.hex(" "))
        08 06 12 00 28 01 35 07 00 00 00
        08 06 12 00 20 01 28 01 35 08 00 00 00
    """
    import numpy as np  # deferred: a few entries are encoded one by one

    size = np.asarray(sizes, np.int64)
    padded = size + -size % alignment
    offset = np.cumsum(padded) - padded
    checksum = np.asarray(checksums, np.int64)
    # Those that differ only in the digits of offset and checksum are encoded together.
    known: dict[tuple[int, tuple[int, ...], int], int] = {}
    alike = np.array([known.setdefault((dtype[0], shape, n_bytes), len(known))
                      for dtype, shape, n_bytes in zip(dtypes, shapes, sizes, strict=True)])
    digits = _varint_sizes(offset) * (offset > 0)
    groups, group = np.unique(alike << 8 | digits << 1 | (checksum > 0), return_inverse=True)
    if len(groups) > len(dtypes) // 8:
        encode = entry_encoder()
        return [encode(dtype, shape, shard_id, *row) for dtype, shape, *row in zip(
            dtypes, shapes, offset.tolist(), size.tolist(), checksum.tolist(), strict=True)]
    heads = [_encode_head(dtype_numbered(number), shape) + proto.encode_int(3, shard_id)
             for number, shape, _ in known]
    tails = [proto.encode_int(5, n_bytes) for _, _, n_bytes in known]
    values = np.empty(len(dtypes), object)
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(group))[:-1]):
        one = rows[0]
        values[rows] = _encode_alike(heads[alike[one]], int(digits[one]), offset[rows],
                                     tails[alike[one]], checksum[rows])
    encoded: list[bytes] = values.tolist()
    return encoded


def _varint_sizes(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    size = (numbers >= 0).astype("int64")
    for bits in range(7, 63, 7):
        size += numbers >= 1 << bits
    return size


def _encode_alike(head: bytes, digits: int, offsets: NDArray[np.int64], tail: bytes,
                  checksums: NDArray[np.int64]) -> list[bytes]:
    """Entries that have all but the digits of offset and checksum in common."""
    import numpy as np

    has_sum = bool(checksums[0])
    template = (head + (b"\x20" + bytes(digits) if digits else b"") + tail
                + (b"\x35" + bytes(4) if has_sum else b""))
    entries = np.tile(np.frombuffer(template, np.uint8), (len(offsets), 1))
    for n in range(digits):
        entries[:, len(head) + 1 + n] = (offsets >> (7 * n) & 0x7F) | (0x80 * (n < digits - 1))
    if has_sum:
        entries[:, -4:] = checksums.astype("<u4").view(np.uint8).reshape(-1, 4)
    packed, width = entries.tobytes(), len(template)
    return [packed[at:at + width] for at in range(0, len(packed), width)]


def encode_shape(shape: tuple[int, ...]) -> bytes:
    """Encode a ``TensorShapeProto``; a dimension of 0 is an empty message.

    Example:
        >>> encode_shape((2, 0)).hex(" ")
        '12 02 08 02 12 00'
    """
    return b"".join(proto.encode_bytes(2, proto.encode_int(1, size)) for size in shape)


def _encode_head(dtype: DType, shape: tuple[int, ...]) -> bytes:
    return proto.encode_int(1, dtype.number) + proto.encode_bytes(2, encode_shape(shape))
