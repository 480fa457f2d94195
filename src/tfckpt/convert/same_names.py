"""Everything as it is: the plan of a copy, and the first step of rules that change little."""

from __future__ import annotations

from tfckpt.core.plan import Output, Plan
from tfckpt.core.source import Source

__all__ = ["plan_same_names"]


def plan_same_names(source: Source) -> Plan:
    """Plan a checkpoint with the same tensors."""
    return Plan(tuple(Output(entry.key, entry.dtype, entry.shape, source.origin(entry))
                      for entry in source.index.values()), source.style, source.byte_order)
