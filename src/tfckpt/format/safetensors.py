"""The safetensors format: a JSON header, and the tensors' bytes without gaps.

    ========= ========================================================================
    bytes     contents
    ========= ========================================================================
    8         length of the header, little-endian
    header    JSON: ``{"name": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}``,
              spaces at its end; ``__metadata__`` is an object of text
    the rest  data; offsets count from its start; little-endian, C order
    ========= ========================================================================

Every byte of the data belongs to exactly one tensor. Source: the README of
huggingface/safetensors, and what its Rust parser refuses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfckpt.errors import CheckpointError, FormatError, TruncatedError, UnsupportedError
from tfckpt.format.dtypes import DType, dtype_named

__all__ = [
    "LENGTH_SIZE",
    "MOST_HEADER",
    "SAFETENSORS_NAMES",
    "Header",
    "Placed",
    "encode_header",
    "parse_header",
    "parse_length",
    "parse_shard_index",
]

LENGTH_SIZE = 8
MOST_HEADER = 100_000_000
"""Bytes that a header may have; the format's own limit."""

METADATA = "__metadata__"

SAFETENSORS_NAMES: Mapping[str, str] = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16",
    "uint32": "U32", "int32": "I32", "uint64": "U64", "int64": "I64", "float16": "F16",
    "bfloat16": "BF16", "float32": "F32", "float64": "F64", "complex64": "C64",
    "float8_e5m2": "F8_E5M2", "float8_e4m3fn": "F8_E4M3", "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
}
"""TensorFlow's name of each dtype that the format has, and the format's own."""

_DTYPES = {theirs: dtype_named(ours) for ours, theirs in SAFETENSORS_NAMES.items()}
# Bits of an element of dtypes that TensorFlow has not, or stores in another way.
_FOREIGN = {"F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}


class Placed(NamedTuple):
    """One tensor of a file.

    Attributes:
        name: Its name.
        dtype: Its dtype; one without arrays if TensorFlow has none like it.
        shape: Its dimensions.
        start: Its first byte, from the start of the data.
        end: The byte after its last.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    start: int
    end: int


class Header(NamedTuple):
    """What a header says.

    Attributes:
        tensors: The tensors, in the order of their bytes.
        metadata: Text by name.
    """

    tensors: tuple[Placed, ...]
    metadata: Mapping[str, str]


def parse_length(data: bytes, file_size: int) -> int:
    """How many bytes the header has.

    Args:
        data: The first 8 bytes of the file.
        file_size: Those of the whole file.

    Raises:
        TruncatedError: The file ends before it.
        FormatError: It is longer than the format allows.

    Example:
        >>> parse_length(bytes.fromhex("1000000000000000"), 1000)
        16
    """
    if len(data) < LENGTH_SIZE:
        raise TruncatedError("a safetensors file begins with 8 bytes", offset=0, got=len(data))
    length = int.from_bytes(data[:LENGTH_SIZE], "little")
    if length > MOST_HEADER:
        raise FormatError("the header is longer than the format allows", offset=0,
                          expected=f"{MOST_HEADER} bytes at most", got=length)
    if length > file_size - LENGTH_SIZE:
        raise TruncatedError("the file ends before its header does", offset=0,
                             expected=f"{length + LENGTH_SIZE} bytes at least", got=file_size)
    return length


def parse_header(data: bytes, n_data: int) -> Header:
    """Parse a header, and check it against the data.

    Args:
        data: The header, without its length.
        n_data: Bytes of data behind it.

    Raises:
        FormatError: It isn't such JSON; a name is there twice; a tensor's range doesn't fit its
            dtype and shape; ranges overlap or leave gaps.
        TruncatedError: The data end before the tensors do.

    Example:
        >>> header = b'{"a": {"dtype": "I8", "shape": [2], "data_offsets": [0, 2]}}'
        >>> parse_header(header, 2).tensors[0].shape
        (2,)
    """
    found = parse_json(data, "header")
    metadata = found.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise FormatError("the metadata of a safetensors file are text by name", offset=0)
    tensors = sorted((_placed(name, facts) for name, facts in found.items()),
                     key=lambda tensor: (tensor.start, tensor.end))
    at = 0
    for tensor in tensors:
        if tensor.start != at:
            raise FormatError("tensors overlap" if tensor.start < at else
                              "bytes between tensors belong to none", tensor=tensor.name,
                              expected=f"a start at byte {at} of the data", got=tensor.start)
        at = tensor.end
    if at > n_data:
        raise TruncatedError("the data end before the tensors do", tensor=tensors[-1].name,
                             expected=f"{at} bytes of data", got=n_data,
                             hint="The file was probably cut off while it was copied.")
    if at < n_data:
        raise FormatError("bytes behind the last tensor belong to none",
                          expected=f"{at} bytes of data", got=n_data)
    return Header(tuple(tensors), metadata)


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object none of whose names is there twice.

    Raises:
        FormatError: It isn't one.
    """
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the {what} is not JSON ({error})", offset=0) from None
    if not isinstance(found, dict):
        raise FormatError(f"the {what} is not a JSON object", offset=0)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise FormatError("a name is there twice", offset=0, got=repr(twice))
    return found


def _placed(name: str, facts: Any) -> Placed:
    if not isinstance(facts, dict):
        raise FormatError("a tensor is described by an object", tensor=name, got=repr(facts)[:40])
    dtype = facts.get("dtype")
    shape = _sizes(facts.get("shape"), "a shape is a list of sizes", name)
    offsets = _sizes(facts.get("data_offsets"), "data_offsets are a start and an end", name)
    if len(offsets) != 2:
        raise FormatError("data_offsets are a start and an end", tensor=name, got=len(offsets))
    known = _DTYPES.get(dtype) if isinstance(dtype, str) else None
    bits = 8 * known.size if known and known.size else _FOREIGN.get(str(dtype))
    if bits is None:
        raise UnsupportedError("safetensors has no dtype of this name", tensor=name,
                               got=repr(dtype)[:40])
    expected = -(-math.prod(shape) * bits // 8)
    if offsets[1] - offsets[0] != expected:
        raise FormatError(f"the range of the tensor doesn't fit {dtype} {shape}"[:200], tensor=name,
                          expected=f"{expected} bytes", got=offsets[1] - offsets[0])
    return Placed(name, known or DType(0, str(dtype), None), tuple(shape), *offsets)


def _sizes(value: Any, rule: str, name: str) -> list[int]:
    if not isinstance(value, list) or not all(
            type(item) is int and 0 <= item < 1 << 63 for item in value):
        raise FormatError(rule, tensor=name, got=repr(value)[:40])
    return value


def encode_header(tensors: Sequence[tuple[str, DType, tuple[int, ...]]],
                  metadata: Mapping[str, str], align: int = 8) -> tuple[bytes, list[int]]:
    """Encode the length and the header; the tensors' bytes follow in the order given.

    Args:
        tensors: Name, dtype and shape of each.
        metadata: Text by name.
        align: What the number of bytes is a multiple of; the format wants one of 8.

    Returns:
        The bytes, and where in the data each tensor starts.

    Raises:
        UnsupportedError: The format has no such dtype, or the name isn't valid Unicode.

    Example:
        >>> data, starts = encode_header([("a", dtype_named("bool"), (3,))], {})
        >>> data[8:].decode()
        '{"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}} '
    """
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    starts = []
    at = 0
    for name, dtype, shape in tensors:
        if dtype.name not in SAFETENSORS_NAMES:
            raise UnsupportedError("safetensors has no such dtype", tensor=name, got=dtype.name)
        if name == METADATA:
            raise UnsupportedError("no tensor of a safetensors file can have this name",
                                   tensor=name)
        end = at + (dtype.size or 0) * math.prod(shape)
        header[name] = {"dtype": SAFETENSORS_NAMES[dtype.name], "shape": list(shape),
                        "data_offsets": [at, end]}
        starts.append(at)
        at = end
    try:
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        name = next(name for name in header if not _is_unicode(name))
        raise UnsupportedError("a safetensors file can't hold a name that isn't valid Unicode",
                               tensor=name) from None
    text += b" " * (-(len(text) + LENGTH_SIZE) % align)
    if len(text) > MOST_HEADER:
        raise UnsupportedError("the header would be longer than the format allows",
                               expected=f"{MOST_HEADER} bytes at most", got=len(text))
    return len(text).to_bytes(LENGTH_SIZE, "little") + text, starts


def _is_unicode(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def parse_shard_index(data: bytes) -> dict[str, str]:
    """Parse ``model.safetensors.index.json``: the file that each tensor is in.

    Raises:
        FormatError: It isn't such JSON, or names a file in another folder.

    Example:
        >>> parse_shard_index(b'{"weight_map": {"a": "m-00001-of-00001.safetensors"}}')
        {'a': 'm-00001-of-00001.safetensors'}
    """
    found = parse_json(data, "index").get("weight_map")
    if not isinstance(found, dict) or not found:
        raise FormatError("the index has no weight_map", offset=0)
    for name, file in found.items():
        if not isinstance(file, str) or not file or any(c in file for c in "/\\\0") \
                or file in (".", ".."):
            raise FormatError("the index names a file that isn't beside it", tensor=name,
                              got=repr(file)[:80])
    return found
