"""What comparing two checkpoints found out."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

from tfckpt.core.index import Entry, Style
from tfckpt.errors import CheckpointError

__all__ = ["Aside", "Delta", "DiffKind", "DiffReport", "Side", "TensorDiff"]

Side = Literal["a", "b"]

DiffKind = Literal["same", "close", "values", "dtype", "shape", "only-a", "only-b", "unreadable"]
"""How two tensors of one name stand to each other, see `TensorDiff`."""


class Delta(NamedTuple):
    """By how much the elements of two tensors of one shape differ.

    NaN has no distance to anything: such elements are counted, and left out of the maxima.

    Attributes:
        n_elements: Elements of each.
        n_differ: Elements that count as different.
        max_abs: The largest |a - b|; exact for integers, in float64 for the rest; None if the
            elements aren't numbers, or nothing differs but by NaN.
        max_rel: The largest |a - b| / max(|a|, |b|).
        at: Where ``max_abs`` is.
        n_nan: Elements that differ, of which one is NaN, or both are.
    """

    n_elements: int
    n_differ: int
    max_abs: float | None = None
    max_rel: float | None = None
    at: tuple[int, ...] | None = None
    n_nan: int = 0


class TensorDiff(NamedTuple):
    """Two tensors that have one name, or one that has no partner.

    Attributes:
        kind: ``"same"`` bits (or, if dtypes were ignored, values); ``"close"``, within the
            tolerances; other ``"values"``; another ``"dtype"``; another ``"shape"``;
            ``"only-a"``, ``"only-b"``; ``"unreadable"``.
        keys: Its key in A and in B; None where it has no partner.
        a: The entry in A; None if there is none, or it can't be read.
        b: Likewise in B.
        delta: By how much the values differ, if they were compared and aren't the same.
        error: Why it is unreadable.
    """

    kind: DiffKind
    keys: tuple[str | None, str | None]
    a: Entry | None
    b: Entry | None
    delta: Delta | None = None
    error: CheckpointError | None = None

    @property
    def key(self) -> str:
        """A key to call it by: A's, or B's if A doesn't have it."""
        return self.keys[0] or self.keys[1] or ""


class Aside(NamedTuple):
    """A tensor that was not compared, and why."""

    side: Side
    key: str
    reason: str


class DiffReport(NamedTuple):
    """How two checkpoints differ.

    Attributes:
        a: Prefix of the one.
        b: Prefix of the other.
        styles: How the keys of each are made.
        tensors: Every tensor that was compared, equal ones too: those of A in the order of its
            keys, then those that only B has.
        aside: Tensors that were not compared.
        quick: Whether tensors of equal checksums were taken for equal without reading them.
        hints: What its reader may want to try, a sentence each.

    Example:
        >>> import tfckpt
        >>> report = tfckpt.diff("examples/tf1", "examples/tf1")
        >>> report.same, report.counts
        (True, {'same': 21})
    """

    a: str
    b: str
    styles: tuple[Style, Style]
    tensors: tuple[TensorDiff, ...] = ()
    aside: tuple[Aside, ...] = ()
    quick: bool = False
    hints: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[DiffKind, int]:
        """How many tensors there are of each kind."""
        return dict(Counter(tensor.kind for tensor in self.tensors))

    @property
    def same(self) -> bool:
        """Whether nothing differs, beyond the tolerances if there were any."""
        return all(tensor.kind in ("same", "close") for tensor in self.tensors)

    @property
    def only_a(self) -> list[str]:
        """Keys that only A has."""
        return [tensor.key for tensor in self.of("only-a")]

    @property
    def only_b(self) -> list[str]:
        """Keys that only B has."""
        return [tensor.key for tensor in self.of("only-b")]

    def of(self, *kinds: DiffKind) -> list[TensorDiff]:
        """The tensors of these kinds."""
        return [tensor for tensor in self.tensors if tensor.kind in kinds]
