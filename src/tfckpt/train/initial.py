"""What variables of a framework's graph begin with when the graph's initializers are run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tfckpt.train.adapters import waits_for_run
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.standins import LiveVariable
from tfckpt.train.variables import Variable

if TYPE_CHECKING:
    import numpy as np

    from tfckpt.train.adapters import Adapter

__all__ = ["adapter_of", "in_graph", "set_initial", "set_initial_values"]

Target = Variable | PartitionedVariable


def _parts(target: Target) -> list[Variable]:
    return list(target) if isinstance(target, PartitionedVariable) else [target]


def adapter_of(target: Target) -> Adapter | None:
    """The adapter of a framework's variable, whole or in parts; None for ours."""
    first = _parts(target)[0]
    return first.adapter if isinstance(first, LiveVariable) else None


def in_graph(target: Target) -> bool:
    """Whether a variable, or all parts of one, get their values only in a session's run."""
    return all(map(waits_for_run, _parts(target)))


def set_initial(prefix: str, loads: Iterable[tuple[Target, str]]) -> None:
    """Have variables of a graph begin with what a checkpoint has.

    Args:
        prefix: The checkpoint.
        loads: Variables, and the key of each.
    """
    waiting: dict[Adapter, list[tuple[Any, str]]] = {}
    for target, key in loads:
        for part in _parts(target):
            assert isinstance(part, LiveVariable)  # nothing else waits for a run
            waiting.setdefault(part.adapter, []).append((part, key))
    for adapter, own in waiting.items():
        adapter.set_initial(prefix, own)


def set_initial_values(loads: Iterable[tuple[Target, np.ndarray[Any, Any]]]) -> None:
    """Have variables of a graph begin with arrays of their shape and dtype."""
    waiting: dict[Adapter, list[tuple[Any, Any]]] = {}
    for target, array in loads:
        pairs = (target.parts_of(array) if isinstance(target, PartitionedVariable)
                 else [(target, array)])
        for part, own in pairs:
            assert isinstance(part, LiveVariable)  # nothing else waits for a run
            waiting.setdefault(part.adapter, []).append((part, own))
    for adapter, values in waiting.items():
        adapter.set_initial_values(values)
