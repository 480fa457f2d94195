"""Reshard: the same tensors in other data files, in other parts, or put together.

    --join              every partitioned variable in one piece
    --join-parts        w/part_0, w/part_1, … as one tensor w (saved without slice info)
    --split KEY=N[:axis] a tensor as a partitioned variable of N parts
    --shards N          whole tensors and parts spread evenly over N data files
    --max-shard-size S  tensors cut so that no data file is larger

Values don't change, and every element is there once: what is joined was covered exactly, and
what is cut is cut at boxes that cover it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heapify, heapreplace
from typing import NamedTuple, cast

from tfckpt.convert.cutting import Cutter, Piece, Tensor, with_extent
from tfckpt.convert.running import run_plan
from tfckpt.core.bundle import BundleSource
from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.origin import Origin, Part, Sliced, Stored
from tfckpt.core.plan import Output, Plan, Progress, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.sliced import Box, check_cover, whole
from tfckpt.core.source import Source
from tfckpt.errors import AmbiguousNamesError, UnsupportedError
from tfckpt.format.slices import parse_slice

__all__ = ["Split", "parse_size", "parse_split", "plan_reshard", "reshard"]


class Split(NamedTuple):
    """Into how many parts a tensor is cut, and along which axis."""

    n_parts: int
    axis: int = 0


def reshard(src: str | os.PathLike[str], dst: str | os.PathLike[str], *, shards: int | None = None,
            max_shard_size: int | None = None, join: bool = False, join_parts: bool = False,
            split: Mapping[str, Split] | None = None, align: int = 1, overwrite: bool = False,
            dry_run: bool = False, progress: Progress = no_progress) -> ConvertReport:
    """Store the tensors of a checkpoint in other data files, or in other parts.

    What isn't touched is linked; what is, is streamed a few MiB at a time.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder. It is never changed.
        dst: Prefix of the result, used exactly as it is.
        shards: See `plan_reshard`, as for the next four.
        max_shard_size: In bytes.
        join: Whether partitioned variables are put together.
        join_parts: Whether ``NAME/part_0``, ``NAME/part_1`` … become ``NAME``.
        split: Tensors to cut.
        align: Bytes at whose multiples tensors start in new data files.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was done, with the plan and the number of values on both sides.

    Raises:
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile, tfckpt
        >>> report = tfckpt.reshard("examples/tf1", tempfile.mkdtemp() + "/ckpt", shards=2)
        >>> len(report.files), report.n_values[0] == report.n_values[1]
        (3, True)
    """
    target = as_path(dst)
    with open_source(src) as source:
        plan = plan_reshard(source, shards=shards, max_shard_size=max_shard_size, join=join,
                            join_parts=join_parts, split=split, align=align)
        report = run_plan(source, plan, target, overwrite=overwrite, dry_run=dry_run,
                          progress=progress)
        if dry_run:
            return report
        with BundleSource(target) as result:
            return report._replace(n_values=(_count_values(source), _count_values(result)))


def _count_values(source: Source) -> int:
    return sum(entry.n_elements for entry in source.index.values())


def plan_reshard(source: Source, *, shards: int | None = None, max_shard_size: int | None = None,
                 join: bool = False, join_parts: bool = False,
                 split: Mapping[str, Split] | None = None, align: int = 1) -> Plan:
    """Plan a checkpoint with the same values, stored otherwise.

    What isn't touched is linked: joining one variable moves no other.

    Args:
        source: Any checkpoint.
        shards: Spread over this many data files, by size, none of them cut.
        max_shard_size: Bytes that a data file may have. Tensors are cut to fit, each along
            the axis that takes the fewest cuts, as TensorFlow's ``MaxShardSizePolicy`` does;
            what can't be cut (a scalar, strings) and is larger gets a data file of its own.
        join: Whether partitioned variables are put together.
        join_parts: Whether tensors called ``NAME/part_0``, ``NAME/part_1`` … become one.
        split: Tensors to cut, by key.
        align: Bytes at whose multiples tensors start in new data files; without ``shards`` or
            ``max_shard_size`` all tensors move to one. TensorFlow packs them without gaps, so
            that some can't be mapped as arrays and are copied.

    Raises:
        TensorNotFoundError: A tensor to split isn't there.
        UnsupportedError: It has no such axis, or fewer elements along it than parts; sizes
            that make no sense.
        FormatError: Slices of a tensor overlap.
        TruncatedError: A slice is missing.
    """
    _check_sizes(shards, max_shard_size, align)
    if align > 1 and shards is None and max_shard_size is None:
        shards = 1
    by_key = {source.index.resolve(name).key: cut for name, cut in (split or {}).items()}
    tensors = [_tensor(source, entry, by_key.get(entry.key), join=join)
               for entry in source.index.values()]
    notes: list[str] = []
    if join_parts:
        tensors, notes = _join_parts(tensors)
    if max_shard_size is not None:
        tensors = Cutter(max_shard_size).cut_all(tensors)
    elif shards is not None:
        tensors = _spread(tensors, shards)
    outputs = tuple(Output(t.key, t.dtype, t.shape, _origin(source, t)) for t in tensors)
    return Plan(outputs, source.style, source.byte_order, notes=tuple(notes), alignment=align)


def _check_sizes(shards: int | None, max_shard_size: int | None, align: int) -> None:
    if not 1 <= align <= 1 << 20:
        raise UnsupportedError("tensors can't be aligned so", expected="1 to 1048576 bytes",
                               got=align)
    if shards is not None and max_shard_size is not None:
        raise UnsupportedError("give a number of shards or their largest size, not both")
    if shards is not None and not 1 <= shards <= 99_999:
        raise UnsupportedError("a checkpoint can't have so many shards", expected="1 to 99999",
                               got=shards)
    if max_shard_size is not None and max_shard_size < 1:
        raise UnsupportedError("a data file needs room for a byte", got=max_shard_size)


def _tensor(source: Source, entry: Entry, cut: Split | None, *, join: bool) -> Tensor:
    if cut is not None:
        pieces = [Piece(entry, box, box, tuple(n for _, n in box), moved=True)
                  for box in _split_boxes(entry, cut)]
    elif not entry.slices:
        pieces = [Piece(entry, None, None, entry.shape)]
    elif join:
        pieces = [Piece(entry, None, None, entry.shape, moved=True)]
        check_cover([box for box, _ in source.parts(entry)], whole(entry.shape), entry.key)
    else:
        pieces = [Piece(part, None, extents, part.shape) for extents, (_, part)
                  in zip(map(parse_slice, entry.slices), source.parts(entry), strict=True)]
    return Tensor(entry.key, entry.dtype, entry.shape, pieces)


def _split_boxes(entry: Entry, cut: Split) -> list[Box]:
    """Parts of sizes that differ by one at most, the larger ones first, as TensorFlow has them."""
    if not -len(entry.shape) <= cut.axis < len(entry.shape):
        raise UnsupportedError("the tensor to split has no such axis", tensor=entry.key,
                               expected=f"below {len(entry.shape)}", got=cut.axis)
    axis = cut.axis % len(entry.shape)
    size = entry.shape[axis]
    if not 1 <= cut.n_parts <= size:
        raise UnsupportedError("the tensor can't be split into so many parts", tensor=entry.key,
                               expected=f"1 to {size} along axis {axis}", got=cut.n_parts)
    least, more = divmod(size, cut.n_parts)
    boxes, start = [], 0
    for n in range(cut.n_parts):
        length = least + (n < more)
        boxes.append((*whole(entry.shape[:axis]), (start, length), *whole(entry.shape[axis + 1:])))
        start += length
    return boxes


def _origin(source: Source, tensor: Tensor) -> Origin:
    first = tensor.pieces[0]
    if first.extents is None:
        return _stored(source, first)
    return Sliced(tuple(Part(piece.extents or (), _stored(source, piece))
                        for piece in tensor.pieces))


def _stored(source: Source, piece: Piece) -> Stored:
    if piece.moved:
        return source.streamed(piece.entry, piece.request, piece.shard)
    return cast("Stored", source.origin(piece.entry))  # its entry has no slices of its own


def _spread(tensors: list[Tensor], n_shards: int) -> list[Tensor]:
    """Largest first, each to the data file that has least."""
    pieces = [(piece.n_bytes, n, m) for n, tensor in enumerate(tensors)
              for m, piece in enumerate(tensor.pieces)]
    loads = [(0, shard) for shard in range(n_shards)]
    heapify(loads)
    for n_bytes, n, m in sorted(pieces, key=lambda item: -item[0]):
        load, shard = loads[0]
        heapreplace(loads, (load + n_bytes, shard))
        moved = tensors[n].pieces
        moved[m] = moved[m]._replace(moved=True, shard=shard)
    return tensors


_PART = re.compile(r"(.+)/part_(\d+)((?:/.+)?)", re.DOTALL)


def _join_parts(tensors: list[Tensor]) -> tuple[list[Tensor], list[str]]:
    """Tensors that were parts by name only, each group as one partitioned variable."""
    groups: dict[str, list[tuple[int, Tensor]]] = {}
    rest = []
    for tensor in tensors:
        match = _PART.fullmatch(tensor.key)
        if match and tensor.pieces[0].extents is None:
            groups.setdefault(match[1] + match[3], []).append((int(match[2]), tensor))
        else:
            rest.append(tensor)
    notes = []
    for key, members in groups.items():
        members.sort(key=lambda item: item[0])
        parts = [part for _, part in members]
        axis = _axis_of_parts([n for n, _ in members], parts)
        if axis is None:
            notes.append(f"not joined: the parts of {key} aren't all there, or don't fit together")
            rest += parts
            continue
        notes.append(f"{key}: {len(parts)} parts along axis {axis}")
        rest.append(_joined(key, parts, axis))
    taken = Counter(tensor.key for tensor in rest)
    contested = {key: [part.key for _, part in members] + [key] * (taken[key] - 1)
                 for key, members in groups.items() if taken[key] > 1}
    if contested:
        raise AmbiguousNamesError("a tensor has the name that the joined parts would get",
                                  groups=contested)
    return rest, notes


def _axis_of_parts(numbers: list[int], parts: list[Tensor]) -> int | None:
    """The axis along which parts were cut: the one in which they differ, or the first."""
    first = parts[0]
    if numbers != list(range(len(parts))) or not first.shape:
        return None
    if any(part.dtype != first.dtype or len(part.shape) != len(first.shape) for part in parts):
        return None
    differ = [axis for axis, sizes in enumerate(zip(*(part.shape for part in parts), strict=True))
              if len(set(sizes)) > 1]
    return None if len(differ) > 1 else differ[0] if differ else 0


def _joined(key: str, parts: Sequence[Tensor], axis: int) -> Tensor:
    first = parts[0].shape
    shape = (*first[:axis], sum(part.shape[axis] for part in parts), *first[axis + 1:])
    pieces, start = [], 0
    for part in parts:
        box = with_extent(whole(part.shape), axis, (start, part.shape[axis]))
        pieces.append(part.pieces[0]._replace(extents=box))
        start += part.shape[axis]
    return Tensor(key, parts[0].dtype, shape, pieces)


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
          "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes from a number with a unit; decimal units as Keras and Hugging Face have them.

    Raises:
        UnsupportedError: It is no size.

    Example:
        >>> parse_size("2GB"), parse_size("1.5 MiB")
        (2000000000, 1572864)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", text, re.IGNORECASE)
    if not match or match[2].lower() not in _UNITS:
        raise UnsupportedError("this is no size", got=text,
                               expected="a number of bytes, KB, MB, GB, KiB, MiB or GiB")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def parse_split(text: str) -> tuple[str, Split]:
    """A tensor to split from ``KEY=N`` or ``KEY=N:AXIS``.

    Raises:
        UnsupportedError: It has another form.

    Example:
        >>> parse_split("emb/w=4:1")
        ('emb/w', Split(n_parts=4, axis=1))
    """
    match = re.fullmatch(r"(.+)=(\d{1,9})(?::(?:axis)?(-?\d{1,3}))?", text, re.DOTALL)
    if not match:
        raise UnsupportedError("a tensor to split has another form", got=text,
                               expected="KEY=N or KEY=N:AXIS")
    return match[1], Split(int(match[2]), int(match[3] or 0))
