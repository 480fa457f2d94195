"""PyTorch's zip files (``.pt``), read and written without ever running a pickle."""

from __future__ import annotations

import math
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tfckpt.core.emit import chunks_of, data_bytes
from tfckpt.core.files.archive import Archive
from tfckpt.core.files.ranges import RangeSource
from tfckpt.core.files.values import plain_value
from tfckpt.core.files.writing import FileOptions, refuse_dtypes
from tfckpt.core.index import Entry
from tfckpt.core.plan import Plan
from tfckpt.core.source import swap_words
from tfckpt.errors import FormatError, NotACheckpointError, UnsupportedError, located
from tfckpt.format.dtypes import STRING
from tfckpt.format.torchpickle import (
    TORCH_NAMES,
    StoredTensor,
    contiguous_strides,
    encode_state_dict,
    flatten_state,
    parse_torch_pickle,
)

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TorchSource", "check", "read", "write"]

_MOST_PICKLE = 256 << 20
_ALIGNMENT = 64
_LOCAL = 30  # bytes of a member's own header, without its name and extra field
_ZIP64 = 20  # bytes of the extra field of a large member
_LARGE = 1 << 30
_DATE = (1980, 1, 1, 0, 0, 0)


class TorchSource(RangeSource):
    """An opened PyTorch file; see `RangeSource`. Keys of nested dictionaries are joined by
    slashes; numbers and text beside the tensors are scalars.

    Args:
        path: Its path.
        entries: The tensors, and the values beside them.
        views: Tensors that aren't in C order, by key.
        values: The values.
        byte_order: That of the numbers in the file.
        notes: See `Source`.
        mmap: Whether arrays may be views of the file.
    """

    def __init__(self, path: str, entries: list[Entry], views: Mapping[str, StoredTensor],
                 values: Mapping[str, Any], byte_order: str, *, notes: tuple[str, ...] = (),
                 mmap: bool = True) -> None:
        super().__init__("torch", path, [path], entries, values=values, notes=notes, mmap=mmap)
        self._views = views
        self._swapped = byte_order != "little"

    def _is_plain(self, entry: Entry) -> bool:
        return super()._is_plain(entry) and not self._swapped and \
            entry.key not in self._views

    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        import numpy as np  # deferred: as everywhere

        view = self._views.get(part.key)
        if (view is None and not self._swapped) or part.key in self._values:
            return super()._read_part(part)
        size = part.dtype.size or 1
        strides = view.strides if view else contiguous_strides(part.shape)
        reach = 1 + sum((n - 1) * step for n, step in zip(part.shape, strides, strict=True))
        n_bytes = size * reach if part.n_elements else 0
        data = np.frombuffer(self.file_of(part).read(part.offset, n_bytes), np.uint8)
        if (sys.byteorder == "little") == self._swapped:
            data = swap_words(data, part.dtype)
        return np.ascontiguousarray(np.ndarray(
            part.shape, part.dtype.numpy(), data, 0, [size * step for step in strides]
        )).reshape(part.shape)


def read(path: str, *, notes: tuple[str, ...] = (), mmap: bool = True) -> TorchSource:
    """Open a PyTorch file.

    Raises:
        CheckpointError: It is damaged, no such file, or holds more than tensors and plain values.
    """
    archive = Archive(path)
    try:
        names = [name for name in archive.members if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise NotACheckpointError("this zip archive is no PyTorch file", file=path,
                                      expected="one data.pkl in it", got=len(names))
        folder = names[0].removesuffix("data.pkl")
        pickle = archive.members[names[0]]
        if pickle.n_bytes > _MOST_PICKLE:
            raise UnsupportedError("the pickle in the file is larger than any of tensors",
                                   file=path, got=f"{pickle.n_bytes} bytes")
        with located(file=path, base=pickle.start):
            state = parse_torch_pickle(archive.read(pickle, pickle.n_bytes))
        with located(file=path, base=None):
            leaves, nothing = flatten_state(state)
        order = archive.members.get(folder + "byteorder")
        byte_order = archive.read(order, 16).decode("latin-1").strip() if order else "little"
        entries: list[Entry] = []
        views: dict[str, StoredTensor] = {}
        values: dict[str, Any] = {}
        for key, leaf in leaves.items():
            if isinstance(leaf, StoredTensor):
                with located(file=path, tensor=key):
                    entries.append(_entry(archive, folder, key, leaf))
                if leaf.strides != contiguous_strides(leaf.shape) and 0 not in leaf.shape:
                    views[key] = leaf
            else:
                with located(file=path, tensor=key):
                    values[key], dtype = plain_value(leaf)
                entries.append(Entry(key, dtype, (), 0, 0, dtype.size or len(values[key]), 0))
    finally:
        archive.close()
    if nothing:
        said = ", ".join(name or "the file itself" for name in nothing[:3])
        note = f"{len(nothing)} values of the file are no tensors, numbers or text: {said}"
        notes = (*notes, note)
    return TorchSource(path, entries, views, values, byte_order, notes=notes, mmap=mmap)


def _entry(archive: Archive, folder: str, key: str, tensor: StoredTensor) -> Entry:
    member = archive.members.get(f"{folder}data/{tensor.storage}")
    if member is None:
        raise FormatError("the storage of the tensor is missing from the archive",
                          expected=f"{folder}data/{tensor.storage}"[:200])
    if member.start is None:
        raise UnsupportedError("the archive is compressed, which PyTorch never does")
    if member.n_bytes < tensor.storage_bytes:
        raise FormatError("the storage of the tensor is smaller than the pickle says",
                          expected=f"{tensor.storage_bytes} bytes", got=member.n_bytes)
    size = tensor.dtype.size or 1
    n_bytes = size * math.prod(tensor.shape)
    if n_bytes > archive.file.size:
        raise UnsupportedError("the tensor repeats its elements and is larger than its file",
                               got=f"{n_bytes} bytes")
    return Entry(key, tensor.dtype, tensor.shape, 0, member.start + size * tensor.offset, n_bytes,
                 0)


def check(plan: Plan) -> None:
    """Refuse what the format can't hold.

    Raises:
        UnsupportedError: With the tensors.
    """
    refuse_dtypes(plan, TORCH_NAMES, "torch", "PyTorch has no tensors of text."
                  if any(output.dtype is STRING for output in plan.outputs) else "")
    encode_state_dict((*output[:3], "0") for output in plan.outputs)


def write(plan: Plan, path: str, options: FileOptions, advance: Callable[[int], None]
          ) -> list[str]:
    """Write a plan's tensors as `torch.save(state_dict, path)` does; the file's name."""
    outputs = plan.outputs
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
        def add(name: str, chunks: Any, n_bytes: int) -> None:
            info = zipfile.ZipInfo("archive/" + name, _DATE)
            info.extra = _padding(archive, info, large=n_bytes > _LARGE)
            with archive.open(info, "w", force_zip64=n_bytes > _LARGE) as member:
                for chunk in chunks:
                    member.write(chunk)
                    advance(len(chunk))

        pickle = encode_state_dict((*output[:3], str(n)) for n, output in enumerate(outputs))
        add("data.pkl", [pickle], len(pickle))
        add("byteorder", [b"little"], 6)
        for n, output in enumerate(outputs):
            add(f"data/{n}", chunks_of(output, plan), data_bytes(output))
        add("version", [b"3\n"], 2)
    return [os.path.basename(path)]


def _padding(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, large: bool) -> bytes:
    """An extra field with which the member's data begin at a multiple of 64 bytes."""
    assert archive.fp is not None
    start = archive.fp.tell() + _LOCAL + len(info.filename) + (_ZIP64 if large else 0) + 4
    fill = -start % _ALIGNMENT
    return b"FB" + fill.to_bytes(2, "little") + b"Z" * fill
