"""V1 checkpoints: one table file with names, shapes and values.

The row with the empty key lists the tensors, each other row holds the values of one slice,
also where a tensor has just one, under the same kind of key as in V2 (see `slices`). All
values are ``SavedTensorSlices`` messages:

    ===== ======= ===========================================================
    field of      meaning
    ===== ======= ===========================================================
    1     meta    {1 tensors, 2 versions}; only in the row with the empty key
    2     data    {1 name, 2 slice, 3 values}; in all others
    ===== ======= ===========================================================

    ===== ======= ===========================================================
    field of a tensor
    ===== ======= ===========================================================
    1     name    text
    2     shape   {2 dims {1 size}}, the whole tensor's
    3     dtype   number, see `dtypes`
    4     slice   ``TensorSliceProto``, one for each slice
    ===== ======= ===========================================================

The values are a ``TensorProto`` without dtype and shape; see `tensorvalues`.
Source: core/util/saved_tensor_slice.proto, tensor_slice_writer.cc, tensor_slice_reader.cc.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tfckpt.errors import FormatError
from tfckpt.format import proto
from tfckpt.format.bundle import encode_shape, parse_shape
from tfckpt.format.dtypes import DType, dtype_numbered
from tfckpt.format.slices import Extent, check_slice, encode_slice, parse_slice
from tfckpt.format.versions import Versions, check_versions, encode_versions, parse_versions

__all__ = ["META_KEY", "SavedSlice", "SavedTensor", "encode_meta", "encode_saved_slice",
           "parse_meta", "parse_saved_slice"]

META_KEY = b""


class SavedTensor(NamedTuple):
    """What a V1 file lists of a tensor.

    Attributes:
        name: Its name.
        dtype: Its dtype.
        shape: Dimensions of the whole.
        slices: Extents of each part that this file has.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    slices: tuple[tuple[Extent, ...], ...]


def parse_meta(data: bytes) -> list[SavedTensor]:
    """Parse the row that lists a file's tensors.

    Raises:
        FormatError: It isn't one, or a shape or slice in it is impossible.
        UnsupportedError: The file forbids this version of readers.

    Example:
        >>> row = bytes.fromhex("0a150a0f0a017412041202080318052202 0a0012020801")
        >>> parse_meta(row)
        [SavedTensor(name='t', dtype=<DType int16>, shape=(3,), slices=(((0, None),),))]
    """
    meta = None
    for field in proto.parse_fields(data):
        if field.number == 1:
            meta = field.as_bytes()
    if meta is None:
        raise FormatError("the row of the empty key lists no tensors; this is no V1 checkpoint")
    tensors = []
    versions = Versions(producer=0)
    for field in proto.parse_fields(meta):
        if field.number == 1:
            tensors.append(_parse_tensor(field.as_bytes()))
        elif field.number == 2:
            versions = parse_versions(field.as_bytes())
    check_versions(versions)
    return tensors


def _parse_tensor(data: bytes) -> SavedTensor:
    name, dtype = "", dtype_numbered(0)
    shape: tuple[int, ...] = ()
    slices = []
    for field in proto.parse_fields(data):
        if field.number == 1:
            name = field.as_text()
        elif field.number == 2:
            shape = parse_shape(field.as_bytes())
        elif field.number == 3:
            dtype = dtype_numbered(field.as_int())
        elif field.number == 4:
            slices.append(parse_slice(field.as_bytes()))
    for extents in slices:
        try:
            check_slice(extents, shape)
        except FormatError as error:
            error.tensor = name
            raise
    return SavedTensor(name, dtype, shape, tuple(slices))


def encode_meta(tensors: Iterable[SavedTensor]) -> bytes:
    """Encode the row that lists a file's tensors, byte for byte as TensorFlow does."""
    meta = b""
    for name, dtype, shape, slices in tensors:
        meta += proto.encode_bytes(1, b"".join([
            proto.encode_bytes(1, name.encode("utf-8", "surrogateescape")),
            proto.encode_bytes(2, encode_shape(shape)), proto.encode_int(3, dtype.number),
            *[proto.encode_bytes(4, encode_slice(extents)) for extents in slices]]))
    return proto.encode_bytes(1, meta + proto.encode_bytes(2, encode_versions(Versions())))


class SavedSlice(NamedTuple):
    """What the row of a slice holds.

    Attributes:
        name: The tensor's name.
        extents: Which part it is.
        values: Encoded ``TensorProto``.
    """

    name: str
    extents: tuple[Extent, ...]
    values: bytes


def parse_saved_slice(data: bytes) -> SavedSlice:
    """Parse the row of a slice.

    Raises:
        FormatError: It isn't one.
    """
    content = None
    for field in proto.parse_fields(data):
        if field.number == 2:
            content = field.as_bytes()
    if content is None:
        raise FormatError("the row of a slice holds no values")
    name, values = "", b""
    extents: tuple[Extent, ...] = ()
    for field in proto.parse_fields(content):
        if field.number == 1:
            name = field.as_text()
        elif field.number == 2:
            extents = parse_slice(field.as_bytes())
        elif field.number == 3:
            values = field.as_bytes()
    return SavedSlice(name, extents, values)


def encode_saved_slice(name: str, extents: tuple[Extent, ...], values: bytes) -> bytes:
    """Encode the row of a slice, byte for byte as TensorFlow does."""
    return proto.encode_bytes(2, b"".join([
        proto.encode_bytes(1, name.encode("utf-8", "surrogateescape")),
        proto.encode_bytes(2, encode_slice(extents)), proto.encode_bytes(3, values)]))
