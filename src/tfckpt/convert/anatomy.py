"""What a checkpoint of a training consists of: variables, optimizers, averages, counters."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

from tfckpt.convert.optimizers.graph import find_in_graph
from tfckpt.convert.optimizers.state import Optimizer
from tfckpt.convert.optimizers.tf1 import find_tf1
from tfckpt.core.roles import assign_roles, slot_owner
from tfckpt.core.source import Source

__all__ = ["Anatomy", "read_anatomy"]


class Anatomy(NamedTuple):
    """The parts of a checkpoint.

    Attributes:
        variables: Keys of the model's variables.
        optimizers: State of each optimizer.
        averages: Key of the moving average of each variable that has one, where no optimizer
            keeps it.
        others: Keys of all the rest: counters, the object graph, what nobody knows.
    """

    variables: tuple[str, ...]
    optimizers: tuple[Optimizer, ...]
    averages: Mapping[str, str]
    others: tuple[str, ...]


def read_anatomy(source: Source, kind_hint: str | None = None) -> Anatomy:
    """Tell the parts of a checkpoint by structure; see `tfckpt.core.roles`.

    Args:
        source: The checkpoint.
        kind_hint: Which optimizer it has, where names don't say: legacy Adam and Adamax have
            slots of the same names.

    Raises:
        UnsupportedError: A slot's variable can't be told.

    Example:
        >>> import tfckpt
        >>> with tfckpt.open("examples/tf1") as source:
        ...     read_anatomy(source).optimizers[0].kind
        'adam'
    """
    roles = assign_roles(source)
    variables = tuple(key for key, assigned in roles.items() if assigned.role == "model")
    if source.style == "object-based":
        optimizers = find_in_graph(source.object_graph, variables, kind_hint)
    else:
        optimizers = find_tf1(source, roles)
    optimizers = [_present(optimizer, source.index) for optimizer in optimizers]
    known = {*variables, *(key for optimizer in optimizers for key in optimizer.keys)}
    averages = {}
    for key, assigned in roles.items():
        if assigned.role == "ema" and key not in known:
            owner = slot_owner(key, source.index)
            if owner in known:
                averages[owner or ""] = key
                known.add(key)
    return Anatomy(variables, tuple(optimizers), averages,
                   tuple(key for key in roles if key not in known))


def _present(optimizer: Optimizer, keys: Container[str]) -> Optimizer:
    """Without what only the object graph has: a damaged checkpoint may lack its tensor."""
    return optimizer._replace(
        slots={slot: key for slot, key in optimizer.slots.items()
               if key in keys and slot.variable in keys},
        values={name: key for name, key in optimizer.values.items() if key in keys})
