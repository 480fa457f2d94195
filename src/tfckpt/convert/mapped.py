"""A map between a checkpoint and a file: other names, other layouts, in either direction.

The rule goes behind `plan_export`, which says which tensors go out and what they are called. A
tensor that only gets another name keeps its bytes where they are. One that lies otherwise is
read, checked and moved when it is written: the tensors that a layout takes together are in memory
at once, and no others.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Generator, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from tfckpt.convert.chunks import encode_numbers
from tfckpt.convert.export import ExportOptions, plan_export
from tfckpt.convert.resolving import Move, NewConstant, Resolution, resolve
from tfckpt.core.emit import chunks_of, data_bytes
from tfckpt.core.origin import Given, Made, Streamed
from tfckpt.core.plan import LeftOut, Output, Plan, old_key
from tfckpt.core.reload import equal_bytes
from tfckpt.core.sliced import STEP
from tfckpt.errors import MismatchError, UnsupportedError, located
from tfckpt.format.dtypes import dtype_named

if TYPE_CHECKING:
    import numpy as np

    from tfckpt.convert.cast import Lost
    from tfckpt.convert.namemap import NameMap
    from tfckpt.core.source import Source

__all__ = ["array_of", "map_metadata", "plan_map"]

_TILE = 256  # rows and columns; half of the time that NumPy takes for a transposed kernel at once


def plan_map(source: Source, name_map: NameMap, options: ExportOptions | None = None,
             lost: dict[str, Lost] | None = None, wanted: Collection[str] | None = None) -> Plan:
    """Plan a flat table of tensors as the other side of a map has them.

    State of optimizers is left out: no map has a place for it.

    Args:
        source: Any checkpoint, or a file of another framework.
        name_map: The map, in the direction that is wanted.
        options: What goes out; see `plan_export`.
        lost: Filled when the plan is executed: what didn't fit the dtype.
        wanted: Names that the other side has, where they are known: they choose among the forms
            that a name may have, and tied tensors are repeated under all that are wanted.

    Raises:
        MismatchError: The map doesn't cover a name; with all such names. Or tensors that it says
            are tied differ.
        UnsupportedError: A shape has no place in its layout; or see `plan_export`.

    Example:
        >>> import tfckpt
        >>> from tfckpt.convert.mapform import parse_map
        >>> name_map = parse_map({"tfckpt-map": 1, "name": "mine", "here": "a", "there": "b",
        ...     "rules": [{"here": "dense/kernel", "there": "fc.weight", "layout": "dense"}],
        ...     "left_out": [{"here": "{*rest}", "why": "for another day"}]})
        >>> with tfckpt.open("examples/tf1") as source:
        ...     output = plan_map(source, name_map).outputs[0]
        >>> output.key, output.shape
        ('fc.weight', (4, 3))
    """
    options = (options or ExportOptions())._replace(skip_optimizer=True)
    plan = plan_export(source, options, lost)
    found = _resolved(name_map, plan, source, wanted)
    by_name = {output.key: output for output in plan.outputs}
    with located(file=source.prefix):
        outputs = [output for move in found.moves
                   for output in _named(move, _moved(move, by_name, plan), wanted)]
    outputs += [_constant(item, plan) for item in found.constants]
    left_out = [LeftOut(old_key(by_name[name]) or name, why) for name, why in found.left_out]
    for name, first in found.repeated:
        _check_tied(by_name[name], by_name[first], plan, source, name_map)
        left_out.append(LeftOut(old_key(by_name[name]) or name, f"tied to {first}"))
    tied = [] if wanted is not None else [
        f"{name} is {move.targets[0]}" for move in found.moves for name in move.tied]
    notes = [f"by the map {name_map.name}, from {name_map.ends[0]} to {name_map.ends[1]}"]
    if tied:
        notes.append(f"tied, and so not repeated: {', '.join(tied[:5])}"
                     + (", …" if len(tied) > 5 else ""))
    return plan._replace(outputs=tuple(outputs), left_out=(*plan.left_out, *left_out),
                         notes=(*plan.notes, *notes))


def map_metadata(name_map: NameMap, metadata: tuple[tuple[str, str], ...]
                 ) -> tuple[tuple[str, str], ...]:
    """What a file may say of itself; see `export_metadata`. Names and layouts are the map's."""
    kept = {key: text for key, text in metadata if key not in ("format", "tfckpt.keys")}
    said = {"format": "tf"} if name_map.backwards else name_map.metadata
    return tuple({**said, **kept, "tfckpt.map": name_map.name}.items())


def _resolved(name_map: NameMap, plan: Plan, source: Source, wanted: Collection[str] | None
              ) -> Resolution:
    names = [output.key for output in plan.outputs]
    found = resolve(name_map, names, wanted)
    if found.unused:  # they go out all the same, so that nobody overlooks them
        more = resolve(name_map._replace(whole=(), constants=()), found.unused)
        found = found._replace(moves=found.moves + more.moves)
    if found.problems and not resolve(name_map.inverted, names).problems:
        raise MismatchError(
            f"the names are those of {name_map.ends[1]} already, and the map {name_map.name} was"
            " to lead there", file=source.prefix,
            hint="To a file, a map leads out of TensorFlow; with --to tf1 or --to tf2, into it.")
    found.raise_if_wrong(name_map, source.prefix)
    return found


def _named(move: Move, outputs: Iterable[Output], wanted: Collection[str] | None
           ) -> Iterator[Output]:
    """The outputs under all names that are wanted of them."""
    for output in outputs:
        names = [] if wanted is None else [name for name in (output.key, *move.tied)
                                           if name in wanted]
        for name in names or [output.key]:
            yield output._replace(key=name)


def _moved(move: Move, by_name: dict[str, Output], plan: Plan) -> Iterator[Output]:
    sources = [by_name[name] for name in move.sources]
    keys = tuple(old_key(output) or output.key for output in sources)
    if move.layout.name == "same":
        yield sources[0]._replace(key=move.targets[0])
        return
    dtypes = {output.dtype for output in sources}
    dtype = sources[0].dtype
    if len(dtypes) > 1 or dtype.size is None:
        raise UnsupportedError(f"the layout {move.layout.name} takes numbers of one dtype",
                               got=", ".join(sorted(item.name for item in dtypes)), tensor=keys[0])
    with located(tensor=keys[0]):
        shapes = _shapes(move, [output.shape for output in sources])
    for number, (name, shape) in enumerate(zip(move.targets, shapes, strict=True)):
        output = Output(name, dtype, shape, Given(b"", None))
        yield output._replace(origin=Streamed(
            data_bytes(output), partial(_chunks, move, sources, plan, number), key=keys[0],
            made=Made(keys, move.layout.name)))


def _shapes(move: Move, shapes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The shapes of the targets."""
    import numpy as np  # deferred: a conversion without a map needs none

    # One byte that is everywhere: only results that are put together take memory.
    return [array.shape for array in
            move.apply([np.broadcast_to(np.int8(0), shape) for shape in shapes])]


def _chunks(move: Move, sources: list[Output], plan: Plan, number: int
            ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
    """The bytes of one target."""
    import numpy as np  # deferred, as above

    moved = move.apply([array_of(output, plan) for output in sources])[number]
    if not moved.ndim:
        yield encode_numbers(np.atleast_1d(moved), plan.byte_order)
        return None
    rows = max(_TILE if moved.ndim == 2 else 1, STEP * len(moved) // max(moved.nbytes, 1))
    for start in range(0, len(moved), rows):
        yield encode_numbers(_in_rows(moved[start:start + rows]).reshape(-1), plan.byte_order)
    return None


def _in_rows(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same elements, row by row; a transposed matrix goes tile by tile, as caches like it."""
    import numpy as np  # deferred, as above

    if array.ndim != 2 or array.strides[0] >= array.strides[1]:
        return np.ascontiguousarray(array)
    rows = np.empty(array.shape, array.dtype)
    for start in range(0, array.shape[1], _TILE):
        tile = np.s_[:, start:start + _TILE]
        rows[tile] = array[tile]
    return rows


def array_of(output: Output, plan: Plan) -> np.ndarray[Any, Any]:
    """All of a tensor, checked against its checksum."""
    import numpy as np  # deferred, as above

    data = np.empty(data_bytes(output), np.uint8)
    done = 0
    for chunk in chunks_of(output, plan):
        data[done:done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)
    numbers = data.view(output.dtype.numpy())
    return (numbers if sys.byteorder == "little" else numbers.byteswap()).reshape(output.shape)


def _constant(item: NewConstant, plan: Plan) -> Output:
    import numpy as np  # deferred, as above

    dtype = dtype_named(item.dtype)
    data = encode_numbers(np.full(1, item.value, dtype.numpy()), plan.byte_order)
    return Output(item.target, dtype, (), Given(data, None))


def _check_tied(output: Output, first: Output, plan: Plan, source: Source, name_map: NameMap
                ) -> None:
    """Make sure that two names are of one tensor; only then may one be left behind."""
    if (output.dtype, output.shape) != (first.dtype, first.shape) or not equal_bytes(
            chunks_of(output, plan), chunks_of(first, plan)):
        raise MismatchError(
            f"the map {name_map.name} says that two names are of one tensor, but they differ",
            file=source.prefix, problems=(f"{first.key} and {output.key}",),
            hint=f"--exclude '^{output.key}$' leaves the second one behind.")
