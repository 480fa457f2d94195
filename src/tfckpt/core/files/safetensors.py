"""safetensors files, in one piece or in shards with an index."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence

from tfckpt.core.emit import Range, data_bytes, range_of
from tfckpt.core.files.ranges import RangeSource
from tfckpt.core.files.writing import FileOptions, append_outputs, refuse_dtypes
from tfckpt.core.index import Entry
from tfckpt.core.plan import Output, Plan
from tfckpt.errors import CheckpointNotFoundError, FormatError, located
from tfckpt.format.safetensors import (
    LENGTH_SIZE,
    SAFETENSORS_NAMES,
    Header,
    encode_header,
    parse_header,
    parse_length,
    parse_shard_index,
)
from tfckpt.storage.local import DataFile, is_file, read_file

__all__ = ["INDEX_ENDING", "check", "read", "write"]

INDEX_ENDING = ".index.json"
_NOWHERE = Range("", 0, 0)
_PAGE = 4096
_BIG = 1 << 20  # bytes, below which that doesn't pay


def read(path: str, *, notes: tuple[str, ...] = (), mmap: bool = True) -> RangeSource:
    """Open a safetensors file, or the index of several.

    Raises:
        CheckpointError: It is damaged, or no such file; a shard is missing, or holds other
            tensors than the index says.
    """
    if not path.endswith(INDEX_ENDING):
        header, entries = _read_one(path, 0)
        return RangeSource("safetensors", path, [path], entries, metadata=header.metadata,
                           notes=notes, mmap=mmap)
    with located(file=path):
        where = parse_shard_index(read_file(path))
    files = sorted(set(where.values()))
    paths = [os.path.join(os.path.dirname(path), file) for file in files]
    every: dict[str, Entry] = {}
    metadata: dict[str, str] = {}
    for n, (file, full) in enumerate(zip(files, paths, strict=True)):
        if not is_file(full):
            raise CheckpointNotFoundError("a shard that the index names is missing", file=full)
        header, entries = _read_one(full, n)
        metadata.update(header.metadata)
        for entry in entries:
            if where.get(entry.key) != file:
                raise FormatError("a shard holds a tensor that the index has elsewhere", file=full,
                                  tensor=entry.key, expected=where.get(entry.key, "nowhere"))
            every[entry.key] = entry
    lost = sorted(set(where).difference(every))
    if lost:
        raise FormatError("the index names a tensor that its shard doesn't have", tensor=lost[0],
                          file=os.path.join(os.path.dirname(path), where[lost[0]]))
    return RangeSource("safetensors", path, paths, every.values(), metadata=metadata, notes=notes,
                       mmap=mmap)


def _read_one(path: str, number: int) -> tuple[Header, list[Entry]]:
    with DataFile(path) as file, located(file=path):
        length = parse_length(file.read(0, min(LENGTH_SIZE, file.size)), file.size)
        start = LENGTH_SIZE + length
        with located(base=LENGTH_SIZE):
            header = parse_header(file.read(LENGTH_SIZE, length), file.size - start)
    return header, [Entry(tensor.name, tensor.dtype, tensor.shape, number, start + tensor.start,
                          tensor.end - tensor.start, 0) for tensor in header.tensors]


def check(plan: Plan) -> None:
    """Refuse what the format can't hold.

    Raises:
        UnsupportedError: With the tensors.
    """
    refuse_dtypes(plan, SAFETENSORS_NAMES, "safetensors",
                  "--to npz holds strings."
                  if any(output.dtype.name == "string" for output in plan.outputs) else "")
    encode_header([output[:3] for output in plan.outputs], {})


def write(plan: Plan, path: str, options: FileOptions, advance: Callable[[int], None]
          ) -> list[str]:
    """Write a plan's tensors; names of the files made, the one that stands for all last."""
    # As the package itself orders them, wide elements first, so that all are aligned; among these
    # as they lie in the source, so that the system moves many at once.
    outputs = sorted(plan.outputs, key=lambda output: (
        -(output.dtype.size or 0), range_of(output, plan) or _NOWHERE, output.key))
    shards = list(_shards(outputs, options.max_shard_size))
    name = os.path.basename(path)
    if len(shards) < 2:
        _write_one(plan, outputs, path, options, advance)
        return [name]
    folder = os.path.dirname(path)
    stem = name.removesuffix(INDEX_ENDING).removesuffix(".safetensors")
    where = {}
    names = []
    for n, shard in enumerate(shards, 1):
        names.append(f"{stem}-{n:05}-of-{len(shards):05}.safetensors")
        _write_one(plan, shard, os.path.join(folder, names[-1]), options, advance)
        where.update(dict.fromkeys((output.key for output in shard), names[-1]))
    index = {"metadata": {"total_size": sum(map(data_bytes, outputs))},
             "weight_map": dict(sorted(where.items()))}
    names.append(f"{stem}.safetensors{INDEX_ENDING}")
    with open(os.path.join(folder, names[-1]), "x", encoding="utf-8") as file:
        file.write(json.dumps(index, indent=2, ensure_ascii=False) + "\n")
    return names


def _write_one(plan: Plan, outputs: Sequence[Output], path: str, options: FileOptions,
               advance: Callable[[int], None]) -> None:
    # Data that begin at a page are moved page by page.
    page = _PAGE if sum(map(data_bytes, outputs)) > _BIG else 8
    header, _ = encode_header([output[:3] for output in outputs], dict(options.metadata), page)
    with open(path, "xb", buffering=0) as file:
        file.write(header)
        append_outputs(outputs, plan, file, advance)


def _shards(outputs: Sequence[Output], most: int | None) -> Iterator[list[Output]]:
    """Runs of tensors of bounded size; one that is larger than the bound has a file of its own."""
    shard: list[Output] = []
    size = 0
    for output in outputs:
        n_bytes = data_bytes(output)
        if shard and most is not None and size + n_bytes > most:
            yield shard
            shard, size = [], 0
        shard.append(output)
        size += n_bytes
    yield shard
