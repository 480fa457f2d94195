"""msgpack files as Flax writes them: nested dictionaries of arrays.

An array is an extension of type 1 around a list of shape, dtype's name and bytes; one of more
than a GiB is a dictionary of runs of its elements. Source: flax/serialization.py.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.core.emit import chunks_of, data_bytes
from tfckpt.core.files.ranges import RangeSource
from tfckpt.core.files.values import plain_value
from tfckpt.core.files.writing import FileOptions, refuse_dtypes, refuse_names, write_all
from tfckpt.core.index import Entry
from tfckpt.core.nesting import nest
from tfckpt.core.plan import Output, Plan
from tfckpt.core.sliced import STEP, Box
from tfckpt.errors import (
    CheckpointError,
    FormatError,
    MissingDependencyError,
    UnsupportedError,
    located,
)
from tfckpt.format.dtypes import DType, dtype_named
from tfckpt.storage.local import DataFile

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FLAX_NAMES", "MsgpackSource", "check", "read", "write"]

FLAX_NAMES = frozenset({
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16",
    "bfloat16", "float32", "float64", "complex64", "complex128"})
"""TensorFlow's dtypes whose names Flax knows when it reads."""

_ARRAY, _COMPLEX, _SCALAR = 1, 2, 3  # types of Flax's extensions
_CHUNKED = "__msgpack_chunked_array__"
_MOST_AT_ONCE = 1 << 30
_MOST_DEEP = 64


class _Stored(NamedTuple):
    """An array's head, and where its bytes are."""

    dtype: DType
    shape: tuple[int, ...]
    offset: int
    n_bytes: int


def _msgpack() -> Any:
    try:
        import msgpack  # deferred: an extra
    except ImportError:
        raise MissingDependencyError("files of Flax need the package msgpack",
                                     hint="Run: pip install 'tfckpt[jax]'") from None
    return msgpack


class MsgpackSource(RangeSource):
    """An opened msgpack file; see `RangeSource`. Keys of nested dictionaries are joined by
    slashes.

    Args:
        path: Its path.
        entries: The tensors.
        runs: Where the bytes of an array are that is stored in several runs, by key.
        values: Plain values beside the arrays.
        notes: See `Source`.
        mmap: Whether arrays may be views of the file.
    """

    def __init__(self, path: str, entries: list[Entry], runs: dict[str, list[_Stored]],
                 values: dict[str, Any], *, notes: tuple[str, ...] = (), mmap: bool = True) -> None:
        super().__init__("msgpack", path, [path], entries, values=values, notes=notes, mmap=mmap)
        self._runs = runs

    def stream(self, entry: Entry, request: Box | None = None
               ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
        if entry.key not in self._runs or request is not None:
            return (yield from super().stream(entry, request))
        for run in self._runs[entry.key]:
            yield from super().stream(entry._replace(
                shape=run.shape, offset=run.offset, n_bytes=run.n_bytes))
        return None

    def place_of(self, entry: Entry) -> tuple[DataFile, int] | None:
        return None if entry.key in self._runs else super().place_of(entry)

    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        if part.key not in self._runs:
            return super()._read_part(part)
        import numpy as np  # deferred: as everywhere

        return np.concatenate([
            super(MsgpackSource, self)._read_part(part._replace(
                shape=run.shape, offset=run.offset, n_bytes=run.n_bytes))
            for run in self._runs[part.key]]).reshape(part.shape)


def read(path: str, *, notes: tuple[str, ...] = (), mmap: bool = True) -> MsgpackSource:
    """Open a msgpack file of nested dictionaries.

    All of it is read once, an array at a time, to find where each is.

    Raises:
        CheckpointError: It is damaged, no such file, or holds what is no array or plain value.
        MissingDependencyError: msgpack isn't installed.
    """
    with DataFile(path) as file, located(file=path):
        found = _Reader(file).read()
    runs = _joined(found, path)
    entries = []
    values: dict[str, Any] = {}
    nothing = [key for key, item in found.items() if item is None]
    for key, item in found.items():
        if isinstance(item, _Stored):
            entries.append(Entry(key, item.dtype, item.shape, 0, item.offset, item.n_bytes, 0))
        elif item is not None:
            with located(file=path, tensor=key):
                values[key], dtype = plain_value(item)
            entries.append(Entry(key, dtype, (), 0, 0, dtype.size or len(values[key]), 0))
    if nothing:
        said = ", ".join(nothing[:3])
        notes = (*notes, f"{len(nothing)} values of the file are nothing (nil): {said}")
    return MsgpackSource(path, entries, runs, values, notes=notes, mmap=mmap)


class _Feed:
    """What the library reads from."""

    def __init__(self, file: DataFile) -> None:
        self._file = file
        self._at = 0

    def read(self, n_bytes: int) -> bytes:
        data = self._file.read(self._at, min(n_bytes, self._file.size - self._at))
        self._at += len(data)
        return data


class _Reader:
    """Walks through the file and keeps where things are."""

    def __init__(self, file: DataFile) -> None:
        self._msgpack = _msgpack()
        self._file = file
        limit = min(file.size, (1 << 32) - 1) or 1
        self._unpacker = self._msgpack.Unpacker(
            _Feed(file), raw=False, strict_map_key=False, ext_hook=self._msgpack.ExtType,
            read_size=min(STEP, limit), max_buffer_size=limit, unicode_errors="surrogateescape")
        self._found: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Everything that the file has, by name."""
        try:
            self._value("", 0)
        except CheckpointError:
            raise
        except Exception as error:  # the library's own, and what it makes of text and sizes
            raise FormatError(f"the msgpack file is damaged ({type(error).__name__}: {error})"[:200]
                              ) from None
        if self._unpacker.tell() != self._file.size:
            raise FormatError("bytes are left over behind the dictionary",
                              offset=self._unpacker.tell())
        return self._found

    def _value(self, prefix: str, depth: int) -> None:
        start = self._unpacker.tell()
        first = self._file.read(start, 1)[0] if start < self._file.size else 0
        if 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
            self._map(prefix, depth)
            return
        if not prefix:
            raise FormatError("the file is no dictionary", offset=0)
        value = self._unpacker.unpack()
        if isinstance(value, self._msgpack.ExtType):
            value = self._extension(value, self._unpacker.tell())
        elif isinstance(value, (list, dict)):
            raise UnsupportedError("a list has no place among tensors", tensor=prefix,
                                   offset=start)
        self._found[prefix] = value

    def _map(self, prefix: str, depth: int) -> None:
        if depth > _MOST_DEEP:
            raise FormatError("the dictionaries are nested deeper than any model's")
        for _ in range(self._unpacker.read_map_header()):
            key = self._unpacker.unpack()
            if not isinstance(key, str) or "/" in key:
                raise UnsupportedError("a key of a nested dictionary is text without slashes",
                                       got=repr(key)[:80], offset=self._unpacker.tell())
            name = f"{prefix}/{key}" if prefix else key
            if name in self._found or not name:
                raise FormatError("two values of the file have one name", tensor=name)
            self._value(name, depth + 1)

    def _extension(self, value: Any, end: int) -> Any:
        if value.code == _COMPLEX:
            real, imaginary = self._msgpack.unpackb(value.data)
            return complex(real, imaginary)
        if value.code not in (_ARRAY, _SCALAR):
            raise UnsupportedError("the file has an extension that isn't Flax's", got=value.code,
                                   offset=end)
        shape, name, data = self._msgpack.unpackb(value.data, raw=True)
        name = name.decode("ascii", "backslashreplace") if isinstance(name, bytes) else str(name)
        if name not in FLAX_NAMES:
            raise UnsupportedError("the file has an array of a dtype that TensorFlow lacks",
                                   got=name, offset=end)
        dtype = dtype_named(name)
        if any(type(n) is not int or n < 0 for n in shape) or \
                len(data) != (dtype.size or 1) * math.prod(shape):
            raise FormatError("an array's bytes are not those of its shape",
                              expected=f"{dtype} {list(shape)}"[:100], got=f"{len(data)} bytes",
                              offset=end)
        return _Stored(dtype, tuple(shape), end - len(data), len(data))


def _joined(found: dict[str, Any], path: str) -> dict[str, list[_Stored]]:
    """Put together the arrays that are stored in runs."""
    marks = [key.removesuffix("/" + _CHUNKED) for key in found if key.endswith("/" + _CHUNKED)]
    runs = {}
    for key in marks:
        del found[f"{key}/{_CHUNKED}"]
        shape = _numbered(found, f"{key}/shape/")
        parts = _numbered(found, f"{key}/chunks/")
        if not parts or not all(isinstance(part, _Stored) for part in parts) or \
                any(type(n) is not int for n in shape) or \
                math.prod(shape) != sum(math.prod(part.shape) for part in parts) or \
                len({part.dtype for part in parts}) > 1:
            raise FormatError("the runs of an array don't add up to it", tensor=key, file=path)
        if key in found:
            raise FormatError("two values of the file have one name", tensor=key, file=path)
        runs[key] = parts
        found[key] = _Stored(parts[0].dtype, tuple(shape), parts[0].offset,
                             sum(part.n_bytes for part in parts))
    return runs


def _numbered(found: dict[str, Any], prefix: str) -> list[Any]:
    items: list[Any] = []
    while f"{prefix}{len(items)}" in found:
        items.append(found.pop(f"{prefix}{len(items)}"))
    return items


def check(plan: Plan) -> None:
    """Refuse what the format can't hold.

    Raises:
        UnsupportedError: With the tensors.
        MissingDependencyError: msgpack isn't installed.
    """
    refuse_dtypes(plan, FLAX_NAMES, "msgpack",
                  "--to safetensors holds float8, --to npz strings.")
    refuse_names(plan, "msgpack")
    nest({output.key: None for output in plan.outputs})
    _msgpack()


def write(plan: Plan, path: str, options: FileOptions, advance: Callable[[int], None]
          ) -> list[str]:
    """Write a plan's tensors as `flax.serialization.to_bytes` does; the file's name."""
    packer = _msgpack().Packer(use_bin_type=True)

    def walk(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield packer.pack_map_header(len(value))
            for key, inner in value.items():
                yield packer.pack(key)
                yield from walk(inner)
        else:
            yield from _pack_output(value, plan, packer)

    with open(path, "xb") as file:
        for chunk in walk(nest({output.key: output for output in plan.outputs})):
            write_all(file, chunk)
            advance(len(chunk))
    return [os.path.basename(path)]


def _pack_output(output: Output, plan: Plan, packer: Any) -> Iterator[Any]:
    name, n_bytes = output.dtype.name, data_bytes(output)
    if n_bytes <= _MOST_AT_ONCE:
        yield _head(packer, output.shape, name, n_bytes)
        yield from chunks_of(output, plan)
        return
    size = output.dtype.size or 1
    most = _MOST_AT_ONCE // size * size
    yield packer.pack_map_header(3)
    yield packer.pack(_CHUNKED) + packer.pack(True)
    yield packer.pack("shape") + packer.pack({str(n): size for n, size in enumerate(output.shape)})
    yield packer.pack("chunks") + packer.pack_map_header(-(-n_bytes // most))
    chunks = chunks_of(output, plan)
    held: Any = memoryview(b"")
    for n, start in enumerate(range(0, n_bytes, most)):
        left = min(most, n_bytes - start)
        yield packer.pack(str(n)) + _head(packer, (left // size,), name, left)
        while left:
            if not held:
                chunk: Any = next(chunks)
                held = memoryview(chunk).cast("B")
            yield held[:left]
            held, left = held[left:], left - min(left, len(held))
    for _ in chunks:  # to its checksum
        pass


def _head(packer: Any, shape: tuple[int, ...], name: str, n_bytes: int) -> bytes:
    """All of an array but its bytes, which need not be in memory at once."""
    inner = b"\x93" + packer.pack(list(shape)) + packer.pack(name) + \
        b"\xc6" + n_bytes.to_bytes(4, "big")
    size = len(inner) + n_bytes
    head: bytes = b"\xc9" + size.to_bytes(4, "big") + bytes([_ARRAY]) + inner
    return head
