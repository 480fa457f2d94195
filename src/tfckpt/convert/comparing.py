"""Comparing two checkpoints, also the state of optimizers that is laid out in other ways."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tfckpt.convert.anatomy import Anatomy, read_anatomy
from tfckpt.convert.optimizers.differences import same_state
from tfckpt.convert.optimizers.state import Optimizer
from tfckpt.core.collection import no_collection
from tfckpt.core.compare import compare
from tfckpt.core.differences import DiffReport
from tfckpt.core.elements import Tolerance
from tfckpt.core.opening import open_source
from tfckpt.core.pairing import Naming
from tfckpt.core.pairwise import Rules
from tfckpt.core.plan import Progress, no_progress
from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError

if TYPE_CHECKING:
    from tfckpt.convert.mapfiles import MapChoice

__all__ = ["diff", "pair_state"]


def diff(a: str | os.PathLike[str] | Source, b: str | os.PathLike[str] | Source, *,
         by: Naming = "auto", names: Mapping[str, str | None] | None = None,
         strip_prefix_a: str = "", strip_prefix_b: str = "", ignore_optimizer: bool = False,
         ignore_dtype: bool = False, atol: float | None = None, rtol: float | None = None,
         equal_nan: bool = False, quick: bool = False,
         map: MapChoice | None = None,  # noqa: A002 - as in convert
         progress: Progress = no_progress) -> DiffReport:
    """Compare two checkpoints tensor by tensor; they may differ in style, shards and slices.

    Tensors are compared by shape, dtype and bits. Without a tolerance only equal bits are the
    same (so NaN equals itself, and 0.0 isn't -0.0). With one, elements are also close if
    ``|a - b| <= atol`` or ``|a - b| <= rtol * max(|a|, |b|)``. Integers are compared exactly,
    strings as bytes, other numbers in float64.

    Args:
        a: A checkpoint, opened, or its path: prefix, any of its files, or folder.
        b: The other.
        by: Which names make two tensors a pair: ``"key"``, the full ``"name"`` that an object
            graph has for a variable, its ``"path"``, or ``"auto"``, all of these in turn and
            then what an optimizer keeps for the same variable.
        names: Pairs that these don't find, name in A to name in B; None leaves one out.
        strip_prefix_a: Taken from the start of A's names.
        strip_prefix_b: Taken from the start of B's names.
        ignore_optimizer: Whether slots and the like stay out, told by structure; the object
            graph, which has them, too.
        ignore_dtype: Whether equal values are the same in any dtype.
        atol: Distance at which numbers are close.
        rtol: Likewise, as a share of the larger one.
        equal_nan: Whether a NaN equals any other NaN.
        quick: Don't read tensors of equal dtype, shape, size and checksum. Equal checksums of
            32 bits are no proof of equal bytes, and damage goes unnoticed.
        map: A map between frameworks, of which one side is the one's and the other the other's;
            see `tfckpt.convert`. A is compared as B would have it.
        progress: Told about bytes of both.

    Returns:
        What was found; a tensor that can't be read is part of it.

    Raises:
        CheckpointError: One isn't a checkpoint, its index is damaged, or a prefix that was
            removed leaves two tensors with one name.

    Example:
        >>> import tfckpt
        >>> report = tfckpt.diff("examples/tf1", "examples/tf1", strip_prefix_a="dense/")
        >>> report.counts["same"], report.only_a[0]
        (15, 'dense/bias')
    """
    with ExitStack() as opened:
        sides = [side if isinstance(side, Source) else opened.enter_context(open_source(side))
                 for side in (a, b)]
        if map is not None:
            from tfckpt.convert.mappedsource import seen_through  # deferred: rarely asked for

            sides[0] = seen_through(sides[0], map, sides[1])
        with no_collection():
            return compare(
                *sides, by=by, names=names, strip_prefixes=(strip_prefix_a, strip_prefix_b),
                ignore_optimizer=ignore_optimizer, progress=progress,
                more=pair_state if by == "auto" else None,
                rules=Rules(Tolerance(atol, rtol, equal_nan), ignore_dtype, quick))


def pair_state(a: Source, b: Source, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Tensors that an optimizer keeps for the same variable, and the moving average of it.

    Adam's first moment is ``w/Adam`` in TF1, ``w/.OPTIMIZER_SLOT/optimizer/m`` in Keras before
    2.11 and an item of a list in Keras 3.

    Args:
        a: The one checkpoint.
        b: The other.
        variables: Keys of A and B that are the same variable.

    Yields:
        Keys of A and B. Nothing where it can't be told which optimizer is which.
    """
    try:
        ours, theirs = read_anatomy(a), read_anatomy(b)
    except CheckpointError:
        return
    for first, second in _optimizers(ours, theirs):
        for slot, key in first.slots.items():
            other = second.slots.get(slot._replace(variable=variables.get(slot.variable, "")))
            if other is not None:
                yield key, other
        for name in first.values.keys() & second.values.keys():
            yield first.values[name], second.values[name]
    for owner, key in ours.averages.items():
        other = theirs.averages.get(variables.get(owner, ""))
        if other is not None:
            yield key, other


def _optimizers(ours: Anatomy, theirs: Anatomy) -> Iterator[tuple[Optimizer, Optimizer]]:
    """Optimizers that keep the same, if no other on either side does."""
    for first in ours.optimizers:
        alike = [other for other in theirs.optimizers if same_state(first.kind, other.kind)]
        rivals = [other for other in ours.optimizers if same_state(other.kind, first.kind)]
        if len(alike) == len(rivals) == 1:
            yield first, alike[0]
