"""Which tensors of a checkpoint become which values of a tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.convert.namemap import NameMap
from tfckpt.convert.resolving import Move as MapMove
from tfckpt.convert.resolving import resolve
from tfckpt.core.matching import MatchReport, Side, match, side_of_source
from tfckpt.core.source import Source
from tfckpt.errors import TensorNotFoundError, nearest
from tfckpt.jax.grouping import Choices, Layer, Weight, group_layers
from tfckpt.jax.layers import weights_of
from tfckpt.jax.layouts import SAME
from tfckpt.jax.leaves import Leaf, classes_of
from tfckpt.jax.recurrent import fused_shape

if TYPE_CHECKING:
    import numpy as np

    Arrays = list[np.ndarray[Any, Any]]

__all__ = ["Finding", "Move", "find_by_map", "find_by_match"]

Path = tuple[str, ...]
Shape = tuple[int, ...]

_AUTOMATIC = re.compile(r"Conv_\d+$")  # Flax's own name of an ordinary one
_TRANSPOSED = re.compile("transpose|deconv", re.IGNORECASE)


class Move(NamedTuple):
    """Tensors that become values of the tree together.

    Attributes:
        keys: The tensors.
        paths: The values.
        apply: Makes these of those, with the shapes that are wanted.
    """

    keys: tuple[str, ...]
    paths: tuple[Path, ...]
    apply: Callable[[Arrays, Sequence[Shape]], Arrays]


class Finding(NamedTuple):
    """What was found out.

    Attributes:
        moves: What becomes what.
        unused: Names of tensors that nothing takes.
        problems: What is wrong, a line each.
        doubtful: Values that a problem is about already.
        near: Names in the checkpoint that are most like a value.
        notes: How weights lie on both sides, where that isn't the same.
    """

    moves: tuple[Move, ...]
    unused: tuple[str, ...]
    problems: tuple[str, ...] = ()
    doubtful: frozenset[Path] = frozenset()
    near: Mapping[Path, str] = {}
    notes: tuple[str, ...] = ()

    def with_averages(self, averages: Mapping[str, str]) -> Finding:
        """The same with moving averages in the place of the variables that have one."""
        return self._replace(moves=tuple(
            move._replace(keys=tuple(averages.get(key, key) for key in move.keys))
            for move in self.moves))


def find_by_map(source: Source, name_map: NameMap, leaves: Sequence[Leaf]) -> Finding:
    """Hold a map against both sides."""
    side = side_of_source(source)
    keys = {side.name(key): key for key in side.heads}
    paths = {leaf.name: leaf.path for leaf in leaves}
    found = resolve(name_map, keys, paths)
    problems = list(found.problems)
    moves = [Move((), (paths[item.target],), _constant(item.value)) for item in found.constants]
    for move in found.moves:
        absent = [name for name in move.targets if name not in paths]
        if absent and not any(name in paths for name in move.tied):
            problems.append(f"{', '.join(move.sources)}: the tree has only some of what becomes of"
                            f" them, and no {', '.join(absent)}")
            continue
        names = [*move.targets, *move.tied]
        moves.append(Move(tuple(keys[name] for name in move.sources),
                          tuple(paths[name] for name in names if name in paths),
                          _placed(move, [n for n, name in enumerate(names) if name in paths])))
    return Finding(tuple(moves), found.unused, tuple(f"wrong:    {item}" for item in problems),
                   notes=tuple(f"{name}: {why}" for name, why in found.left_out))


def _placed(move: MapMove, places: list[int]) -> Callable[[Arrays, Sequence[Shape]], Arrays]:
    """What a map makes of tensors, for those of its names that the tree has, tied ones too."""
    def apply(arrays: Arrays, shapes: Sequence[Shape]) -> Arrays:
        if len(places) == len(move.targets) and not move.tied:
            return move.apply(arrays, shapes)
        made = move.apply(arrays)
        made += made[:1] * len(move.tied)
        return [made[n] for n in places]

    return apply


def _constant(value: float) -> Callable[[Arrays, Sequence[Shape]], Arrays]:
    def apply(_: Arrays, __: Sequence[Shape]) -> Arrays:
        import numpy as np  # deferred: as everywhere

        return [np.asarray(int(value) if value == int(value) else value)]

    return apply


def _find_directly(source: Source, leaves: Sequence[Leaf], names: Collection[str]
                   ) -> Finding | None:
    """What was saved as a tree: its names are paths of it. None if TensorFlow's names fit better.

    Args:
        source: The checkpoint.
        leaves: All values of the tree, those of random generators too.
        names: TensorFlow's names of the tree's weights.
    """
    side = side_of_source(source, everything=True)
    known = _keys_by_name(side)
    found = {leaf.path: known[leaf.name] for leaf in leaves if leaf.name in known
             and side.heads[known[leaf.name]][1] == leaf.shape}
    if len(found) <= sum(name in known for name in names):
        return None
    taken = set(found.values())
    model = side_of_source(source).heads
    return Finding(tuple(Move((key,), (path,), _unchanged) for path, key in found.items()),
                   tuple(side.name(key) for key in model if key not in taken),
                   notes=("names are those of the tree: values are taken as they lie",))


def _keys_by_name(side: Side) -> dict[str, str]:
    """Keys of all that a side has by each of their names."""
    known: dict[str, str] = {}
    for kind in ("tail", "path", "full name", "plain"):
        known.update((name, key) for key, name in side.names.of(kind, side.heads))
    return known


def _counters(source: Source, missing: Iterable[Weight]) -> Iterator[Move]:
    """Numbers that a match leaves aside, as steps, where the tree has them under the same name."""
    side = side_of_source(source, everything=True)
    known = _keys_by_name(side)
    for weight in missing:
        key = known.get(weight.name)
        if weight.shape == () and key is not None and side.heads[key][1] == ():
            yield _move(weight, key)


def _unchanged(arrays: Arrays, shapes: Sequence[Shape]) -> Arrays:
    return list(arrays)


def find_by_match(source: Source, tree: Any, leaves: Sequence[Leaf], names: Mapping[str, str],
                  layouts: Mapping[str, str]) -> Finding:
    """Match a checkpoint with the tree as TensorFlow would have it.

    Raises:
        TensorNotFoundError: ``names`` or ``layouts`` has a name that isn't there.
        FormatError: A layer can't be what ``layouts`` says.
    """
    here = side_of_source(source)
    weighed = [leaf for leaf in leaves if not leaf.is_random]
    shapes = {shape for _, shape in here.heads.values()}
    layers = group_layers([(leaf.path, leaf.shape) for leaf in weighed])
    stored = {name for kind in ("plain", "full name", "path")
              for _, name in here.names.of(kind, here.heads)}
    choices = Choices(layouts, shapes, classes_of(tree), {leaf.shape for leaf in weighed},
                      stored)
    weights = {weight.name: weight for weight in weights_of(layers, choices)}
    directly = None if names or layouts else _find_directly(source, leaves, weights)
    if directly is not None:
        return directly
    there = Side("the tree", {name: ("", weight.shape) for name, weight in weights.items()})
    report = match(here, there, given={here.key(theirs, "names"): _own(ours, weights)
                                       for theirs, ours in names.items()})
    problems: list[str] = []
    doubtful: set[Path] = set()
    for item in report.mismatched:
        weight = weights[item.b]
        would = "is" if weight.layout is SAME else "would be"
        problems.append(f"differs:  {weight.places} {would} {list(weight.shape)}, the checkpoint's"
                        f" {here.name(item.a)} is {list(item.head_a[1])}")
        doubtful.update(weights[item.b].paths)
    for group in report.groups:
        problems.append(f"alike:    {', '.join(group.b)}: which of them is {', '.join(group.a)}"
                        " can't be told")
        doubtful.update(path for name, weight in weights.items() for path in weight.paths
                        if name.rpartition("/")[0] in group.b)
    unclear = [*_unclear_cells(layers, weights, choices),
               *_unclear_kernels(report, weights, here, choices)]
    for layer, line in unclear:
        problems.append(f"unclear:  {line}")
        doubtful.update(path for name, weight in weights.items() for path in weight.paths
                        if name.rpartition("/")[0] == layer)
    moves = (*(_move(weights[pair.b], pair.a) for pair in report.matched),
             *_counters(source, [weights[item.key] for item in report.missing]))
    near = {path: ", ".join(item.near) for item in report.missing for path in
            weights[item.key].paths}
    return Finding(moves, tuple(map(here.name, report.unused)), tuple(problems),
                   frozenset(doubtful), near,
                   _notes(report, weights, here, choices))


def _unclear_cells(layers: Mapping[Path, Layer], weights: Mapping[str, Weight], choices: Choices
                   ) -> Iterator[tuple[str, str]]:
    """Cells that are of TF1 in the checkpoint by their shapes, each with what to say of it."""
    for layer in layers.values():
        fused = fused_shape(layer, layers)
        if fused is not None and layer.name not in choices.picked and choices.prefers(
                fused, _kernel(weights, layer.name)):
            yield layer.name, (
                f"{layer.name} is a cell of TF1 in the checkpoint, which adds its forget_bias (1.0"
                " by default) as it runs and doesn't store it;"
                f" layouts={{{layer.name!r}: 'lstm_cell(1.0)'}} says so")


def _unclear_kernels(report: MatchReport, weights: Mapping[str, Weight], here: Side,
                     choices: Choices) -> Iterator[tuple[str, str]]:
    """Kernels that are of transposed convolutions by the checkpoint's names only."""
    for pair in report.matched:
        weight, name = weights[pair.b], here.name(pair.a)
        layer = weight.name.rpartition("/")[0]
        if (weight.layout is SAME and len(weight.shape) > 2 and _TRANSPOSED.search(name)
                and layer not in choices.picked and tuple(layer.split("/")) not in choices.classes):
            yield layer, (
                f"{name} is of a transposed convolution by its name, and the tree doesn't say what"
                f" {layer} is; layouts={{{layer!r}: 'transposed'}} says so, and 'same' that its"
                " kernel is as TensorFlow's (transpose_kernel=True)")


def _kernel(weights: Mapping[str, Weight], layer: str) -> Shape:
    found = weights.get(f"{layer}/kernel")
    return found.shape if found else ()


def _own(name: str, weights: Mapping[str, Weight]) -> str:
    """The variable that a name of the tree's means: its own, or a path."""
    if name in weights:
        return name
    found = [weight.name for weight in weights.values()
             if name in ["/".join(path) for path in weight.paths]]
    if len(found) == 1:
        return found[0]
    near = nearest(name, [*weights, *("/".join(path) for weight in weights.values()
                                      for path in weight.paths)])
    raise TensorNotFoundError("names has a name that the tree doesn't have", tensor=name,
                              hint=f"Nearest: {', '.join(near)}." if near else None)


def _move(weight: Weight, key: str) -> Move:
    return Move((key,), weight.paths, lambda arrays, shapes: weight.layout.out(arrays[0], shapes))


def _notes(report: MatchReport, weights: Mapping[str, Weight], here: Side, choices: Choices
           ) -> tuple[str, ...]:
    """How weights lie on both sides where that isn't the same, and what was taken for granted."""
    notes = [f"{weights[pair.b].places} from {here.name(pair.a)} {list(weights[pair.b].shape)}"
             f" ({weights[pair.b].layout.name})"
             for pair in report.matched if weights[pair.b].layout is not SAME]
    layers = [layer for pair in report.matched if (layer := _maybe_transposed(
        weights[pair.b], choices))]
    if layers:
        notes.append(f"taken for ordinary convolutions, as nothing tells: {', '.join(layers)};"
                     " layouts={layer: 'transposed'} says otherwise")
    return tuple(notes)


def _maybe_transposed(weight: Weight, choices: Choices) -> str:
    """The layer of a kernel that a ConvTranspose could have as well; or nothing."""
    layer = weight.name.rpartition("/")[0]
    shape = weight.shape
    return layer if (weight.layout is SAME and weight.name.endswith("/kernel") and len(shape) > 2
                     and shape[-1] == shape[-2] and layer not in choices.picked
                     and tuple(layer.split("/")) not in choices.classes
                     and not _AUTOMATIC.match(layer.rpartition("/")[2])) else ""
