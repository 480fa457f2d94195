"""Arrays of NumPy: ``.npz`` archives, and folders of ``.npy`` files."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from tfckpt.core.emit import chunks_of, strings_of
from tfckpt.core.files.archive import Archive, Member
from tfckpt.core.files.ranges import RangeSource
from tfckpt.core.files.writing import FileOptions, refuse_dtypes, refuse_names
from tfckpt.core.index import Entry
from tfckpt.core.plan import Output, Plan
from tfckpt.core.sliced import Box
from tfckpt.errors import CheckpointNotFoundError, FormatError, UnsupportedError, located
from tfckpt.format.dtypes import STRING
from tfckpt.format.npy import (
    MOST_HEADER,
    NPY_NAMES,
    NpyHeader,
    encode_npy_header,
    parse_npy_header,
)
from tfckpt.storage.local import DataFile

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NumpySource", "array_bytes", "check_arrays", "read_folder", "read_npz", "write_folder",
           "write_npz"]

_ENDING = ".npy"
_MOST_STRINGS = 16 << 20  # bytes of strings of one length, from which padding is held against use
_PADDING = 16


class _Array(NamedTuple):
    header: NpyHeader
    member: Member | None  # if it is compressed


class NumpySource(RangeSource):
    """Opened arrays; see `RangeSource`.

    Args:
        format: ``"npz"`` or ``"npy"``.
        path: What was opened.
        paths: The files that have arrays.
        arrays: Header of each array, its entry, and its member if that is compressed.
        archive: The archive that they are in.
        notes: See `Source`.
        mmap: Whether arrays may be views of the file.
    """

    def __init__(self, format: str, path: str, paths: Sequence[str],  # noqa: A002 - its name
                 arrays: Iterable[tuple[Entry, NpyHeader, Member | None]],
                 archive: Archive | None = None, *, notes: tuple[str, ...] = (),
                 mmap: bool = True) -> None:
        found = list(arrays)
        super().__init__(format, path, paths, (entry for entry, _, _ in found), notes=notes,
                         mmap=mmap)
        self._arrays = {entry.key: _Array(header, member) for entry, header, member in found}
        self._archive = archive

    def _is_plain(self, entry: Entry) -> bool:
        header = self._arrays[entry.key].header
        little = header.stored is not None and header.stored.byteorder in "<|="
        return super()._is_plain(entry) and little and (
            not header.fortran or len(header.shape) < 2)

    def place_of(self, entry: Entry) -> tuple[DataFile, int] | None:
        return super().place_of(entry) if self._arrays[entry.key].member is None else None

    def stream(self, entry: Entry, request: Box | None = None
               ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
        member = self._arrays[entry.key].member
        if member is None or self._archive is None or request is not None \
                or not self._is_plain(entry):
            return (yield from super().stream(entry, request))
        yield from self._archive.unpacked(member, self._arrays[entry.key].header.size)
        return None

    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        import numpy as np  # deferred: as everywhere

        header, member = self._arrays[part.key]
        if member is None and self._is_plain(part):
            return super()._read_part(part)
        dtype = part.dtype.numpy()  # refuses what has no arrays
        if member is not None and self._archive is not None:
            data = b"".join(self._archive.unpacked(member, header.size))
        else:
            data = self.file_of(part).read(part.offset, part.n_bytes)
        with located(file=self.prefix, tensor=part.key):
            try:
                array = np.frombuffer(data, header.stored).reshape(
                    header.shape, order="F" if header.fortran else "C")
                return _strings(array) if part.dtype is STRING else np.ascontiguousarray(
                    array, dtype).reshape(header.shape)  # it gives scalars a dimension
            except ValueError as error:
                raise FormatError(f"the array can't be read ({error})") from None

    def close(self) -> None:
        """Let go of the files. Arrays that were read stay valid."""
        super().close()
        if self._archive is not None:
            self._archive.close()


def _strings(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Elements as ``bytes``; text as UTF-8."""
    import numpy as np  # deferred: as everywhere

    found: np.ndarray[Any, Any] = np.empty(array.size, object)
    found[:] = [item if isinstance(item, bytes) else item.encode("utf-8", "surrogatepass")
                for item in array.reshape(-1).tolist()]
    return found.reshape(array.shape)


def read_npz(path: str, *, notes: tuple[str, ...] = (), mmap: bool = True) -> NumpySource:
    """Open a ``.npz`` archive.

    Raises:
        CheckpointError: It is damaged, or no such file.
    """
    archive = Archive(path)
    arrays, others = [], []
    for member in archive.members.values():
        if not member.name.endswith(_ENDING):
            others.append(member.name)
            continue
        key = member.name.removesuffix(_ENDING)
        with located(file=path, base=member.start, tensor=key):
            header = parse_npy_header(archive.read(member, MOST_HEADER))
            entry = _entry(key, header, 0, member.start or 0, member.n_bytes)
        arrays.append((entry, header, None if member.start is not None else member))
    if others:
        notes = (*notes, f"{len(others)} members are no arrays: {', '.join(others[:3])}")
    return NumpySource("npz", path, [path], arrays, archive, notes=notes, mmap=mmap)


def _entry(key: str, header: NpyHeader, number: int, start: int, n_bytes: int) -> Entry:
    """The entry of an array, after making sure that its bytes are those of its shape."""
    size = n_bytes - header.size
    if header.stored is not None:
        expected = header.stored.itemsize * math.prod(header.shape)
        if size != expected:
            raise FormatError(f"the array's size is not that of {header.dtype}"
                              f" {list(header.shape)}", expected=f"{expected} bytes", got=size)
    return Entry(key, header.dtype, header.shape, number, start + header.size, size, 0)


def check_arrays(plan: Plan, what: str) -> None:
    """Refuse what arrays of NumPy can't hold.

    Raises:
        UnsupportedError: With the tensors.
    """
    cast = any(output.dtype.name == "bfloat16" for output in plan.outputs)
    refuse_dtypes(plan, {*NPY_NAMES, "string"}, what, (
        "NumPy has no bfloat16 and would give raw bytes, |V2: --dtype float32 casts, --to"
        " safetensors keeps it." if cast else "--to safetensors has more dtypes."))
    refuse_names(plan, what)


def check_npz(plan: Plan) -> None:
    """Refuse what the format can't hold; see `check_arrays`."""
    check_arrays(plan, "npz")


def check_folder(plan: Plan) -> None:
    """Refuse what the format can't hold; see `check_arrays`."""
    check_arrays(plan, "npy")


def array_bytes(output: Output, plan: Plan) -> Iterator[Any]:
    """A tensor as the bytes of a ``.npy`` file."""
    if output.dtype is not STRING:
        kind = output.dtype.numpy().newbyteorder("<").str
        yield encode_npy_header(kind, output.shape)
        yield from chunks_of(output, plan)
        return
    elements = strings_of(output, plan)
    longest = max(1, *map(len, elements)) if elements else 1
    if any(element.endswith(b"\0") for element in elements):
        raise UnsupportedError("NumPy takes zero bytes from the end of a string", tensor=output.key,
                               hint="--exclude REGEX leaves the tensor out.")
    n_bytes = longest * len(elements)
    if n_bytes > _MOST_STRINGS and n_bytes > _PADDING * sum(map(len, elements)):
        raise UnsupportedError("NumPy gives each string the length of the longest, which would"
                               f" take {n_bytes:,} bytes", tensor=output.key,
                               hint="--exclude REGEX leaves the tensor out.")
    yield encode_npy_header(f"|S{longest}", output.shape)
    yield b"".join(element.ljust(longest, b"\0") for element in elements)


def write_npz(plan: Plan, path: str, options: FileOptions, advance: Callable[[int], None]
              ) -> list[str]:
    """Write a plan's tensors into an archive that isn't compressed; its name."""
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
        for output in sorted(plan.outputs, key=lambda output: output.key):
            # Always the same date, so that the same tensors give the same bytes.
            info = zipfile.ZipInfo(output.key + _ENDING, (1980, 1, 1, 0, 0, 0))
            with archive.open(info, "w", force_zip64=True) as member:
                for chunk in array_bytes(output, plan):
                    member.write(chunk)
                    advance(len(chunk))
    return [os.path.basename(path)]


def write_folder(plan: Plan, path: str, options: FileOptions, advance: Callable[[int], None]
                 ) -> list[str]:
    """Write a plan's tensors as a folder of files; its name.

    Slashes of a name are folders; what a file's name can't be is written as in a URL.
    """
    os.mkdir(path)
    for output in plan.outputs:
        file = os.path.join(path, *map(_quoted, output.key.split("/"))) + _ENDING
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "xb") as opened:
            for chunk in array_bytes(output, plan):
                opened.write(chunk)
                advance(len(chunk))
    return [os.path.basename(path)]


def _quoted(part: str) -> str:
    """A part of a name as the name of a file or folder.

    Example:
        >>> _quoted("a b:0"), _quoted(".."), _quoted("")
        ('a b%3A0', '%2E%2E', '%')
    """
    if set(part) <= {"."}:
        return "%2E" * len(part) or "%"
    return quote(part, safe=" +-_.,=()[]@^~!'&#$")


def _unquoted(part: str) -> str:
    return "" if part == "%" else unquote(part, errors="strict")


def read_folder(path: str, *, notes: tuple[str, ...] = (), mmap: bool = True) -> NumpySource:
    """Open a folder of ``.npy`` files.

    Raises:
        CheckpointError: One is damaged, or there is none.
    """
    paths: list[str] = []
    arrays = []
    seen: dict[str, str] = {}
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            if not name.endswith(_ENDING):
                continue
            file = os.path.join(folder, name)
            parts = os.path.relpath(file, path).removesuffix(_ENDING).split(os.sep)
            with located(file=file):
                try:
                    key = "/".join(map(_unquoted, parts))
                except UnicodeDecodeError:
                    raise FormatError("the file's name is not that of a tensor") from None
                if key in seen:
                    raise FormatError("two files have one tensor's name", tensor=key,
                                      expected=seen[key])
                with DataFile(file) as opened:
                    header = parse_npy_header(opened.read(0, min(MOST_HEADER, opened.size)))
                    entry = _entry(key, header, len(paths), 0, opened.size)
            seen[key] = file
            paths.append(file)
            arrays.append((entry, header, None))
    if not arrays:
        raise CheckpointNotFoundError("the folder has no .npy files", file=path)
    return NumpySource("npy", path, paths, arrays, notes=notes, mmap=mmap)
