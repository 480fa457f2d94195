"""Values in V1 checkpoints: a ``TensorProto`` that has nothing but its value field.

Each dtype has one field, in which the values stand packed one after another:

    ===== ============= ====================================================
    field name          values
    ===== ============= ====================================================
    5     float_val     float32, little-endian
    6     double_val    float64, little-endian
    7     int_val       varints; negative ones take ten bytes
    8     string_val    not packed: a field for each
    9     scomplex_val  two float32 each
    10    int64_val     varints
    11    bool_val      varints
    12    dcomplex_val  two float64 each
    13    half_val      varints of the 16 bits
    16    uint32_val    varints
    17    uint64_val    varints
    ===== ============= ====================================================

Fields that aren't packed are read too. TensorFlow writes sixteen dtypes in this form and
refuses the others. Source: core/framework/tensor.proto, core/util/saved_tensor_slice_util.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.errors import FormatError, TruncatedError, UnsupportedError
from tfckpt.format import proto
from tfckpt.format.dtypes import STRING, DType

if TYPE_CHECKING:
    import numpy as np

__all__ = ["check_writable", "encode_values", "parse_values"]


class _Form(NamedTuple):
    """How the values of a dtype are stored.

    Attributes:
        field: Number of the field.
        word: numpy's type of one number in it; None for varints.
        most: Most bytes that an element can take, as TensorFlow reckons.
    """

    field: int
    word: str | None
    most: int


_FORMS = {
    "float32": _Form(5, "<f4", 4), "float64": _Form(6, "<f8", 8), "int32": _Form(7, None, 10),
    "uint8": _Form(7, None, 2), "int16": _Form(7, None, 10), "int8": _Form(7, None, 10),
    "complex64": _Form(9, "<f4", 8), "int64": _Form(10, None, 10), "bool": _Form(11, None, 1),
    "qint8": _Form(7, None, 10), "quint8": _Form(7, None, 2), "qint32": _Form(7, None, 10),
    "uint16": _Form(7, None, 3), "complex128": _Form(12, "<f8", 16), "float16": _Form(13, None, 3),
}
# TensorFlow has fields for these and never wrote them in V1.
_READ_ONLY = {
    "bfloat16": _Form(13, None, 3), "qint16": _Form(7, None, 10), "quint16": _Form(7, None, 3),
    "uint32": _Form(16, None, 5), "uint64": _Form(17, None, 10),
}
_STRINGS_FIELD = 8
_MOST_BYTES = (1 << 31) - (1 << 20)  # of a message, less TensorFlow's allowance for its rest


def parse_values(data: bytes, dtype: DType, count: int) -> np.ndarray[Any, Any]:
    """Parse the values of a slice.

    Args:
        data: Encoded ``TensorProto``.
        dtype: What they are; the message doesn't say.
        count: How many there must be.

    Returns:
        A flat array in this machine's byte order; of strings, of ``bytes`` objects.

    Raises:
        TruncatedError: There are fewer.
        FormatError: There are more, or one is no number of this dtype.
        UnsupportedError: No such values are stored in V1 files.

    Example:
        >>> from tfckpt.format.dtypes import dtype_named
        >>> parse_values(bytes.fromhex("3a0b feffffffffffffffff01 05"), dtype_named("int8"), 2)
        array([-2,  5], dtype=int8)
    """
    import numpy as np  # deferred: listing a checkpoint needs no numpy

    if dtype is STRING:
        elements = [field.as_bytes() for field in proto.parse_fields(data)
                    if field.number == _STRINGS_FIELD]
        _check_count(len(elements), count)
        strings: np.ndarray[Any, Any] = np.empty(count, object)
        strings[:] = elements
        return strings
    form = _FORMS.get(dtype.name) or _READ_ONLY.get(dtype.name)
    if form is None:
        raise UnsupportedError(f"values of dtype {dtype.name} are not stored in V1 checkpoints")
    values = _numbers(data, form)
    if form.word is not None:
        per_element = 2 if dtype.name.startswith("complex") else 1
        _check_count(len(values) // per_element, count)
        if len(values) % per_element:
            raise FormatError("half of a complex number is missing")
        return values.astype(values.dtype.newbyteorder("=")).view(dtype.numpy())
    _check_count(len(values), count)
    return _narrowed(values, dtype)


def _check_count(got: int, count: int) -> None:
    if got < count:
        raise TruncatedError("values of the tensor are missing", expected=count, got=got)
    if got > count:
        raise FormatError("there are more values than the tensor has elements", expected=count,
                          got=got)


def _numbers(data: bytes, form: _Form) -> np.ndarray[Any, Any]:
    """The numbers of one field, whether they are packed or not."""
    import numpy as np

    single = {None: proto.VARINT, "<f4": proto.FIXED32, "<f8": proto.FIXED64}[form.word]
    dtype = np.dtype(form.word or "<u8")
    parts = []
    alone: list[int] = []
    for field in proto.parse_fields(data):
        if field.number != form.field:
            continue
        if field.wire_type == proto.BYTES:
            packed = field.as_bytes()
            if form.word and len(packed) % dtype.itemsize:
                raise TruncatedError("packed values end within a number",
                                     expected=f"a multiple of {dtype.itemsize} bytes",
                                     got=len(packed))
            if alone:
                parts.append(_from_ints(alone, dtype, form))
                alone = []
            parts.append(np.frombuffer(packed, dtype) if form.word else _parse_varints(packed))
        else:
            alone.append(field.as_int(single))
    if alone:
        parts.append(_from_ints(alone, dtype, form))
    return np.concatenate(parts) if len(parts) > 1 else parts[0] if parts else np.zeros(0, dtype)


def _from_ints(bits: list[int], dtype: np.dtype[Any], form: _Form) -> np.ndarray[Any, Any]:
    """Numbers from their bits; the wire gives fixed words as integers."""
    import numpy as np

    return np.array(bits, f"<u{dtype.itemsize}").view(dtype)


_CHUNK = 1 << 20


def _parse_varints(packed: bytes) -> np.ndarray[Any, Any]:
    """All varints of a packed field, a chunk of bytes at a time."""
    import numpy as np

    stored = np.frombuffer(packed, np.uint8)
    parts, at = [], 0
    while at < len(stored):
        chunk = stored[at:at + _CHUNK]
        ends = np.flatnonzero(chunk < 0x80) + 1
        if not len(ends):
            raise TruncatedError("packed values end within a number", offset=at)
        chunk = chunk[:ends[-1]]
        starts = np.concatenate([[0], ends[:-1]])
        sizes = ends - starts
        if sizes.max() > 10:
            raise FormatError("a varint is longer than 64 bits", offset=at)
        shifts = (np.arange(len(chunk)) - np.repeat(starts, sizes)).astype(np.uint64) * np.uint64(7)
        digits = (chunk & 0x7F).astype(np.uint64) << shifts
        parts.append(np.bitwise_or.reduceat(digits, starts))
        at += int(ends[-1])
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _narrowed(values: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """Unsigned 64-bit varints as the numbers that they stand for.

    Raises:
        FormatError: One doesn't fit. (TensorFlow cuts it off in silence.)
    """
    import numpy as np

    target = dtype.numpy()
    if target.kind not in "iu":  # the bits of a float, or a bool
        bits: np.ndarray[Any, Any] = values.astype(np.uint8 if target.kind == "b" else np.uint16)
        if (bits.astype(np.uint64) != values).any() or (target.kind == "b" and (bits > 1).any()):
            raise FormatError(f"a value doesn't fit into {dtype.name}")
        return bits.view(target)
    signed = values.view(np.int64) if target.kind == "i" else values
    narrow: np.ndarray[Any, Any] = signed.astype(target)
    if (narrow.astype(signed.dtype) != signed).any():
        raise FormatError(f"a value doesn't fit into {dtype.name}")
    return narrow


def check_writable(dtype: DType, count: int) -> None:
    """Refuse values that V1 files can't hold, before any is encoded.

    Raises:
        UnsupportedError: TensorFlow has no V1 form of this dtype, or the slice could take more
            than the 2 GiB of a message.

    Example:
        >>> from tfckpt.format.dtypes import dtype_named
        >>> check_writable(dtype_named("float32"), 1000)
    """
    if dtype is STRING:
        return
    form = _FORMS.get(dtype.name)
    if form is None:
        raise UnsupportedError(f"a V1 checkpoint can't hold values of dtype {dtype.name}",
                               expected=", ".join([*_FORMS, "string"]),
                               hint="Write a V2 checkpoint, or cast the tensor first.")
    if form.most * count > _MOST_BYTES:
        raise UnsupportedError(
            "a V1 checkpoint can't hold a slice as large as this one may become",
            expected=f"{_MOST_BYTES} bytes at most", got=f"{form.most * count} bytes",
            hint="Write a V2 checkpoint, or split the tensor: tfckpt reshard --split.")


def encode_values(elements: np.ndarray[Any, Any], dtype: DType) -> bytes:
    """Encode the values of a slice, byte for byte as TensorFlow does.

    Args:
        elements: In any shape, taken in C order; of strings, ``bytes`` objects.
        dtype: What they are.

    Raises:
        UnsupportedError: As `check_writable`.

    Example:
        >>> import numpy as np
        >>> from tfckpt.format.dtypes import dtype_named
        >>> encode_values(np.float16([1.0]), dtype_named("float16")).hex()
        '6a028078'
    """
    import numpy as np

    check_writable(dtype, elements.size)
    if dtype is STRING:
        strings = elements.reshape(-1).tolist()
        data = b"".join(proto.encode_bytes(_STRINGS_FIELD, item) for item in strings)
        if len(data) > _MOST_BYTES:
            raise UnsupportedError("a V1 checkpoint can't hold so many bytes of strings",
                                   expected=f"{_MOST_BYTES} at most", got=len(data))
        return data
    form = _FORMS[dtype.name]
    if not elements.size:
        return b""
    flat = np.ascontiguousarray(elements).reshape(-1)
    if form.word is not None:
        return proto.encode_bytes(form.field, flat.view(form.word[1:]).astype(form.word).tobytes())
    if flat.dtype.kind == "f":
        flat = flat.view(np.uint16)
    return proto.encode_bytes(form.field, _encode_varints(flat.astype(np.int64).view(np.uint64)))


def _encode_varints(values: np.ndarray[Any, Any]) -> bytes:
    """Packed varints, a chunk of numbers at a time."""
    import numpy as np

    parts = []
    for start in range(0, len(values), _CHUNK):
        chunk = values[start:start + _CHUNK]
        sizes = np.ones(len(chunk), np.int64)
        for digits in range(1, 10):
            sizes += chunk >= np.uint64(1 << 7 * digits)
        begins = np.cumsum(sizes) - sizes
        out = np.empty(int(sizes.sum()), np.uint8)
        for digit in range(int(sizes.max())):
            rows = np.flatnonzero(sizes > digit)
            bits = (chunk[rows] >> np.uint64(7 * digit)).astype(np.uint8) & 0x7F
            out[begins[rows] + digit] = bits | (sizes[rows] > digit + 1) * np.uint8(0x80)
        parts.append(out.tobytes())
    return b"".join(parts)
