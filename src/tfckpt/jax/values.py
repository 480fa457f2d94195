"""Stored values as those that a tree takes: in its layouts, and cast to its dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError, VariableTypeError
from tfckpt.format.dtypes import DType
from tfckpt.jax.finding import Finding
from tfckpt.jax.leaves import Leaf
from tfckpt.train.values import as_dtype, kind_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Taken", "cast", "take"]

Path = tuple[str, ...]


class Taken(NamedTuple):
    """What was read.

    Attributes:
        arrays: New values by their paths, of the dtypes and shapes of the old ones.
        refused: Paths of values that can't take what was found for them.
        problems: Why, a line each.
        notes: What was cast.
    """

    arrays: dict[Path, np.ndarray[Any, Any]]
    refused: frozenset[Path]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def take(source: Source, finding: Finding, leaves: Sequence[Leaf], *, may_cast: bool = False
         ) -> Taken:
    """Read what was found, each tensor checked against its checksum.

    Args:
        source: The checkpoint.
        finding: What becomes what.
        leaves: The values of the tree.
        may_cast: Whether floats may become floats of another size.

    Raises:
        CheckpointError: A tensor can't be read.
    """
    by_path = {leaf.path: leaf for leaf in leaves}
    taken = Taken({}, frozenset(), (), ())
    casts: dict[tuple[str, str], list[str]] = {}
    lost: list[str] = []
    problems: list[str] = []
    refused: set[Path] = set()
    for move in finding.moves:
        stored = [source.read_array(source.index[key]) for key in move.keys]
        targets = [by_path[path] for path in move.paths]
        try:
            moved = move.apply(stored, [leaf.shape for leaf in targets])
            for leaf, array in zip(targets, moved, strict=True):
                if array.shape != leaf.shape:
                    raise VariableTypeError("the value has another shape", tensor=leaf.name,
                                            expected=list(leaf.shape), got=list(array.shape))
                own = cast(array, leaf.dtype, leaf.name, may_cast=may_cast)
                taken.arrays[leaf.path] = own
                lost += _lost(leaf, array, own)
                if leaf.dtype.name != array.dtype.name:
                    casts.setdefault((array.dtype.name, leaf.dtype.name), []).append(leaf.name)
        except CheckpointError as error:
            refused.update(move.paths)
            problems.append(f"differs:  {', '.join(move.keys)}: {error}".replace("\n", " "))
    notes = tuple(f"{len(names)} values are cast from {old} to {new}: {', '.join(names[:3])}"
                  + (", …" if len(names) > 3 else "") for (old, new), names in casts.items())
    return taken._replace(refused=frozenset(refused), problems=tuple(problems),
                          notes=(*notes, *lost))


def _lost(leaf: Leaf, stored: np.ndarray[Any, Any], own: np.ndarray[Any, Any]) -> list[str]:
    """A note on numbers that a narrower dtype doesn't have."""
    import numpy as np  # deferred: as below

    if own.dtype == stored.dtype or kind_of(leaf.dtype) not in {"float", "complex"}:
        return []
    n_lost = int((~np.isfinite(own) & np.isfinite(stored)).sum())
    return [] if not n_lost else [
        f"{leaf.name}: {n_lost} numbers are out of the range of {leaf.dtype}"]


def cast(array: np.ndarray[Any, Any], dtype: DType, name: str, *, may_cast: bool = False
         ) -> np.ndarray[Any, Any]:
    """An array of a dtype, in memory of its own.

    Whole numbers become others if these hold all of them: JAX has no int64 by default.

    Args:
        array: The stored value.
        dtype: That of the tree.
        name: The value's name, for the error.
        may_cast: Whether floats may become floats of another size.

    Raises:
        VariableTypeError: It would have to be changed.

    Example:
        >>> import numpy as np
        >>> from tfckpt.format.dtypes import dtype_named
        >>> cast(np.int64([3]), dtype_named("int32"), "step")
        array([3], dtype=int32)
    """
    import numpy as np  # deferred: as everywhere

    stored, kind = as_dtype(array.dtype), kind_of(dtype)
    if stored == dtype:
        return np.array(array, order="C")
    if kind == kind_of(stored) == "int":
        whole = array.astype(dtype.numpy())
        if np.array_equal(whole.astype(array.dtype), array):
            return whole
    if kind == kind_of(stored) and kind in {"float", "complex"} and may_cast:
        with np.errstate(over="ignore"):  # `take` says it
            return array.astype(dtype.numpy())
    precision = kind == kind_of(stored) and kind in {"float", "complex"}
    raise VariableTypeError(
        "the value has another precision" if precision else
        "the value can't be taken without changing it", expected=dtype, got=stored, tensor=name)
