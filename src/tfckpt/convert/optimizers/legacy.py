"""Layouts ``legacy`` and ``tf1-object``: slots that the object graph lists.

The optimizer's node says of each slot which variable it is for. Legacy Keras stores its
hyper-parameters beside; a TF1 optimizer only the powers of Adam's decay rates.
"""

from __future__ import annotations

from tfckpt.convert.optimizers.drawing import Drawing
from tfckpt.convert.optimizers.nodes import Nodes
from tfckpt.convert.optimizers.state import Layout, Optimizer, Plan, Slot
from tfckpt.convert.optimizers.table import KINDS, VALUES, Kind, kind_of_title

__all__ = ["draw_legacy", "draw_loss_scale", "loss_scale", "read_legacy"]


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


def draw_legacy(drawing: Drawing, n: int, path: str, plan: Plan) -> None:
    """Lay an optimizer out as legacy Keras does.

    Args:
        drawing: The graph.
        n: Number of the optimizer's node, which is empty.
        path: Its path.
        plan: What it keeps.
    """
    title = plan.kind.keras
    drawing.count(n, path, "iter", f"{title}/iter")
    hypers = {**dict(plan.kind.hypers), "decay": 0.0}
    if plan.learning_rate is not None:
        hypers["learning_rate"] = plan.learning_rate
    for name, value in sorted(hypers.items()):
        stored = "momentum_cache" if name == "u_product" else name
        drawing.number(n, path, stored, f"{title}/{stored}", value)
    if plan.scales_loss:
        draw_loss_scale(drawing, n, path)
        drawing.node(n, "base_optimizer")
    for slot in plan.slots:
        for variable, full_name in plan.variables:
            drawing.slot(n, path, variable, slot.legacy, f"{title}/{full_name}/{slot.legacy}")


def draw_loss_scale(drawing: Drawing, n: int, path: str) -> None:
    """The wrapper that scales the loss, as Keras 2 has it in one node."""
    scale = drawing.node(n, "loss_scale")
    drawing.number(scale, f"{path}/loss_scale", "current_loss_scale", "current_loss_scale", 2**15)
    drawing.count(scale, f"{path}/loss_scale", "good_steps", "good_steps")
