"""Layouts ``legacy`` and ``tf1-object``: slots that the object graph lists.

The optimizer's node says of each slot which variable it is for. Legacy Keras stores its
hyper-parameters beside; a TF1 optimizer only the powers of Adam's decay rates.
"""

from __future__ import annotations

from tfckpt.convert.optimizers.nodes import Nodes
from tfckpt.convert.optimizers.state import Layout, Optimizer, Slot
from tfckpt.convert.optimizers.table import KINDS, VALUES, Kind, kind_of_title

__all__ = ["loss_scale", "read_legacy"]


def read_legacy(nodes: Nodes, n: int, kind_hint: str | None = None) -> Optimizer:
    """The optimizer of one node.

    Args:
        nodes: The object graph.
        n: Number of the node.
        kind_hint: Which optimizer it is if names don't say.
    """
    values = {}
    titles = []
    for name, node in nodes.variables(n):
        values[VALUES.get(name, name)] = nodes.key(node) or ""
        titles += nodes.full_name(node).split("/")[-2:-1]
    layout: Layout = "legacy" if "iterations" in values else "tf1-object"
    stored = {slot.slot_name for slot in nodes.graph[n].slot_variables}
    kind = _kind(layout, stored, set(values), [*titles, *filter(None, [kind_hint])])
    names = {(slot.legacy if layout == "legacy" else slot.graph): slot.name
             for slot in kind.slots}
    slots = {}
    for slot in nodes.graph[n].slot_variables:
        variable, key = (nodes.key(slot.original_variable_node_id),
                         nodes.key(slot.slot_variable_node_id))
        if variable and key:
            slots[Slot(names.get(slot.slot_name, slot.slot_name), variable)] = key
    return Optimizer(layout, kind.name, slots, {**values, **loss_scale(nodes, n)},
                     next((title for title in titles if kind_of_title(title)), ""))


def loss_scale(nodes: Nodes, n: int) -> dict[str, str]:
    """Values of the wrapper that scales the loss, if there is one; Keras 2 has it in one node."""
    scale = nodes.child(n, "loss_scale")
    if scale is None:
        return {}
    return {VALUES.get(name, name): nodes.key(node) or ""
            for name, node in nodes.variables(scale)}


def _kind(layout: Layout, slots: set[str], values: set[str], titles: list[str]) -> Kind:
    """Which optimizer it is: by its name where that fits its slots, else by these."""
    def fits(kind: Kind) -> bool:
        return slots <= {slot.legacy if layout == "legacy" else slot.graph
                         for slot in kind.slots}

    for title in titles:
        name = kind_of_title(title)
        if name and fits(KINDS[name]):
            return KINDS[name]
    if "u_product" in values:
        return KINDS["nadam"]
    if "learning_rate_power" in values:
        return KINDS["ftrl"]
    return next((kind for kind in KINDS.values() if slots and fits(kind)), KINDS["sgd"])
