"""`match` of two checkpoints, by their paths."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from tfckpt.core import matching
from tfckpt.core.matching import MatchReport, Side, side_of_source
from tfckpt.core.opening import opened
from tfckpt.core.source import Source

__all__ = ["match"]


def match(path: str | os.PathLike[str] | Source,
          against: str | os.PathLike[str] | Source | Mapping[str, Sequence[int]], *,
          names: Mapping[str, str] | None = None, use_values: bool = False,
          everything: bool = False) -> MatchReport:
    """Find out which tensor of one checkpoint is which of another, as ``tfckpt match`` does.

    Args:
        path: The checkpoint that has the values: a path, or one that is open.
        against: What wants them: another, or shapes by name.
        names: Pairs that are known, from the one's names to the other's.
        use_values: Whether tensors with equal bits are the same, if no others have these.
        everything: Whether optimizer state, averages and counters are matched too, as names.

    Returns:
        The report; ``ok`` says whether everything that ``against`` wants was found.

    Raises:
        TensorNotFoundError: ``names`` has a name that isn't there.
        CheckpointError: A checkpoint can't be read.

    Example:
        >>> report = match("examples/tf1", {"tower/dense/kernel": (3, 4), "tower/dense/bias": (4,)})
        >>> report.partners["tower/dense/kernel"]
        'dense/kernel'
    """
    with ExitStack() as stack:
        a = side_of_source(stack.enter_context(opened(path)), everything=everything)
        if isinstance(against, Mapping) and not isinstance(against, Source):
            b = Side("wanted", {name: ("", tuple(shape)) for name, shape in against.items()})
        else:
            b = side_of_source(stack.enter_context(opened(against)), everything=everything)
        given = {a.key(here, "names"): b.key(there, "names")
                 for here, there in (names or {}).items()}
        return matching.match(a, b, given=given, use_values=use_values)
