"""A checkpoint without some of its tensors, and without them in its object graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tfckpt.convert.regraph import without_lost
from tfckpt.core.index import Entry
from tfckpt.core.plan import LeftOut, Output, Plan, given_string
from tfckpt.core.source import Source
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, encode_object_graph

__all__ = ["as_it_is", "plan_without"]


def plan_without(source: Source, dropped: Mapping[str, str],
                 make: Callable[[Entry], Output] | None = None) -> Plan:
    """Plan a checkpoint with the tensors of another but for some.

    Args:
        source: The other.
        dropped: Keys that the result doesn't have, and why.
        make: What becomes of a tensor that stays; None keeps each as it is.
    """
    outputs = []
    graph_is_whole = True
    if source.style == "object-based" and dropped:
        nodes = source.object_graph
        kept = {key for key in source.index if key not in dropped}
        rest = without_lost(nodes, kept, list(dropped))
        graph_is_whole = rest == nodes
    for entry in source.index.values():
        if entry.key in dropped:
            continue
        if entry.key == OBJECT_GRAPH_KEY and not graph_is_whole:
            outputs.append(given_string(OBJECT_GRAPH_KEY, encode_object_graph(rest),
                                        source.byte_order))
        else:
            outputs.append(make(entry) if make else as_it_is(source, entry))
    left_out = tuple(LeftOut(key, reason) for key, reason in dropped.items())
    return Plan(tuple(outputs), source.style, source.byte_order, left_out)


def as_it_is(source: Source, entry: Entry) -> Output:
    """A tensor of the source, under its key."""
    return Output(entry.key, entry.dtype, entry.shape, source.origin(entry))
