"""Loading and saving by a map: it says which tensors of a checkpoint are which of a module."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tfckpt.convert.anatomy import read_anatomy
from tfckpt.convert.ema import averages_of, lone_averages
from tfckpt.convert.export import ExportOptions, plan_export
from tfckpt.convert.mapfiles import read_map
from tfckpt.convert.namemap import NameMap
from tfckpt.convert.resolving import Move, resolve
from tfckpt.core.arrays import array_outputs
from tfckpt.core.index import Entry
from tfckpt.core.pairing import plain_name
from tfckpt.core.plan import Plan, old_key
from tfckpt.core.shapes import shape_text
from tfckpt.core.source import Source
from tfckpt.errors import MismatchError, UnsupportedError, located
from tfckpt.format.dtypes import DType
from tfckpt.torch.finding import Finding, as_dtype_of, cast_note, casts
from tfckpt.torch.overlaps import write_overlapping
from tfckpt.torch.reports import Loaded, LoadReport, Wanted, Wrong
from tfckpt.torch.tensors import check_writable, dtype_of, tensors_of, view_of, write_tensor

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["find_by_map", "plan_by_map"]

Tensors = dict[str, torch.Tensor]


def find_by_map(source: Source, module: nn.Module, mapping: NameMap | str | os.PathLike[str], *,
                cast: bool, ema: str) -> Finding:
    """Hold a map against a checkpoint and a module.

    Args:
        source: The checkpoint.
        module: The module.
        mapping: The map, or where it is.
        cast: Whether numbers of another precision will do.
        ema: As for `load`.

    Raises:
        MismatchError: The map doesn't cover the checkpoint's names.
        FormatError: The file isn't a map.
    """
    name_map = mapping if isinstance(mapping, NameMap) else read_map(mapping)
    has_averages = bool(averages_of(read_anatomy(source)) or lone_averages(source))
    options = ExportOptions(skip_optimizer=True, ema="use" if ema == "use" else (
        "ignore" if has_averages else None))
    plan = plan_export(source, options)
    entries = {output.key: source.index[old_key(output) or output.key] for output in plan.outputs}
    tensors = tensors_of(module)
    for name, tensor in tensors.items():
        check_writable(tensor, name)
    found = resolve(name_map, entries, tensors)
    found.raise_if_wrong(name_map, source.prefix)
    moves, wrong = [], []
    taken: dict[int, tuple[str, Move]] = {}
    for move in found.moves:
        problems = [*_problems(move, entries, tensors, cast=cast),
                    *_contended(move, entries, tensors, taken)]
        wrong += problems
        if not problems:
            moves.append(move)
    constants = [(item.target, item.value) for item in found.constants]
    report = LoadReport(
        type(module).__name__, source.prefix,
        tuple(Loaded(_targets(move, tensors), tuple(plain_name(entries[name].key)
                                                    for name in move.sources),
                     move.layout.name, "map") for move in moves),
        tuple(Wanted(name, tuple(tensors[name].shape)) for name in _missing(
            module, found.missing, {name for move in found.moves
                                    for name in (*move.targets, *move.tied)})),
        tuple(wrong), unused=tuple(plain_name(entries[name].key) for name in found.unused),
        notes=(f"by the map {name_map.name}, from {name_map.ends[0]} to {name_map.ends[1]}",
               *(f"{name}: {why}" for name, why in found.left_out),
               *cast_note([(entries[name].dtype, dtype_of(tensors[target])) for move in moves
                           for name, target in zip(move.sources, _targets(move, tensors),
                                                   strict=False)])))

    def assign(source: Source) -> list[str]:
        notes: list[str] = []
        writes = [pair for move in moves
                  for pair in _moved(source, move, entries, tensors, notes)]
        write_overlapping(writes)
        for tensor, array in writes:
            write_tensor(tensor, array)
        with torch.no_grad():
            for name, value in constants:
                tensors[name].fill_(value)
        return notes

    return Finding(report, assign, by_map=True)


def plan_by_map(module: nn.Module, mapping: NameMap | str | os.PathLike[str]) -> Plan:
    """Plan a name-based checkpoint of a module, with the names and layouts of a map.

    Raises:
        MismatchError: The map doesn't cover the module's names, or tensors that it says are tied
            differ.
        UnsupportedError: A layout doesn't tell how a tensor is divided.
        FormatError: The file isn't a map.
    """
    name_map = mapping if isinstance(mapping, NameMap) else read_map(mapping)
    back = name_map if name_map.backwards else name_map.inverted
    tensors = tensors_of(module)
    views = {name: view_of(tensor, name) for name, tensor in tensors.items()}
    found = resolve(back, tensors)
    found.raise_if_wrong(back)
    untied = [f"{name} and {first}" for name, first in found.repeated
              if tensors[name] is not tensors[first] and not torch.equal(tensors[name],
                                                                         tensors[first])]
    if untied:
        raise MismatchError(f"the map {name_map.name} says that two names are of one tensor, but"
                            " they differ", problems=untied)
    arrays: dict[str, Array] = {}
    dtypes: dict[str, DType] = {}
    for move in found.moves:
        with located(tensor=move.sources[0]):
            moved = move.apply([views[name] for name in move.sources])
        arrays.update(zip(move.targets, moved, strict=True))
        dtypes.update(dict.fromkeys(move.targets, dtype_of(tensors[move.sources[0]])))
    keys = sorted(arrays)
    return Plan(tuple(array_outputs(keys, [arrays[key] for key in keys],
                                    [dtypes[key] for key in keys])), "name-based")


def _targets(move: Move, tensors: Tensors) -> tuple[str, ...]:
    return tuple(name for name in (*move.targets, *move.tied) if name in tensors)


def _missing(module: nn.Module, names: tuple[str, ...], given: set[str]) -> list[str]:
    """Names that nothing was found for, without those of a tensor that was."""
    tensors = tensors_of(module)
    done = {id(tensors[name]) for name in given if name in tensors}
    return [name for name in names if id(tensors[name]) not in done]


def _problems(move: Move, entries: dict[str, Entry], tensors: Tensors, *, cast: bool
              ) -> list[Wrong]:
    """What keeps tensors of a checkpoint from becoming these."""
    names = [name if name in tensors else next((tied for tied in move.tied if tied in tensors), "")
             for name in move.targets]
    sources = [entries[name] for name in move.sources]
    title = ", ".join(plain_name(entry.key) for entry in sources)
    got = " and ".join(f"{entry.dtype} {shape_text(entry.shape)}" for entry in sources)
    try:
        shapes = move.layout.shapes_out([entry.shape for entry in sources])
    except UnsupportedError as error:
        return [Wrong(", ".join(names), str(error.expected), title, got)]
    absent = [name for name, found in zip(move.targets, names, strict=True) if not found]
    if absent and any(names):
        return [Wrong(", ".join(filter(None, names)), f"beside {', '.join(absent)}", title, got,
                      "the module has only some of the tensors that become of it")]
    return [Wrong(name, f"{dtype_of(tensors[name])} {shape_text(tuple(tensors[name].shape))}",
                  title, f"{got}, in the layout {move.layout.name} {shape_text(shape)}",
                  castable=shape == tuple(tensors[name].shape)
                  and casts(sources[0].dtype, dtype_of(tensors[name])))
            for name, shape in zip(names, shapes, strict=True) if name
            if shape != tuple(tensors[name].shape)
            or not _goes(sources[0], dtype_of(tensors[name]), cast=cast)]


def _contended(move: Move, entries: dict[str, Entry], tensors: Tensors,
               taken: dict[int, tuple[str, Move]]) -> list[Wrong]:
    """Tensors that the module has under two names, of which the checkpoint has two values."""
    for name in _targets(move, tensors):
        other, first = taken.setdefault(id(tensors[name]), (name, move))
        if first is not move:
            title, got = (", ".join(plain_name(entries[key].key) for key in item.sources)
                          for item in (move, first))
            return [Wrong(name, f"the same tensor as {other}", title,
                          f"another than {got}, which that is",
                          "untie them before, if the original has two")]
    return []


def _goes(entry: Entry, wanted: Any, *, cast: bool) -> bool:
    return bool(casts(entry.dtype, wanted) if cast else entry.dtype == wanted)


def _moved(source: Source, move: Move, entries: dict[str, Entry], tensors: Tensors,
           notes: list[str]) -> list[tuple[torch.Tensor, Array]]:
    """The tensors that a move gives their values, with these."""
    moved = move.apply([source.read_array(entries[name]) for name in move.sources])
    named = [*zip(move.targets, moved, strict=True), *((name, moved[0]) for name in move.tied)]
    return [(tensors[name], as_dtype_of(array, dtype_of(tensors[name]), name, notes))
            for name, array in named if name in tensors]
