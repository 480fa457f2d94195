"""Layout ``keras3``: an optimizer that holds the model's variables beside its own.

The i-th item of each list of slots belongs to the i-th of ``_trainable_variables``. Some
optimizers (Adafactor, Muon) don't track their lists; what their variables are then follows
from the flat list ``_variables`` and from full names: ``adam/net_dense_kernel_momentum``
is the momentum of ``net/dense/kernel``. A loss-scale wrapper is a node of its own around
the optimizer, with an iteration count that stays 0.
"""

from __future__ import annotations

import re

from tfckpt.convert.optimizers.drawing import FLOAT, INT32, Drawing
from tfckpt.convert.optimizers.keras2 import kind_of_lists
from tfckpt.convert.optimizers.nodes import Nodes
from tfckpt.convert.optimizers.state import Optimizer, Plan, Slot
from tfckpt.convert.optimizers.table import COMMON_SLOTS, VALUES, Kind, kind_of_title

__all__ = ["draw_keras3", "read_keras3", "snake_case"]


def read_keras3(nodes: Nodes, n: int, kind_hint: str | None = None) -> Optimizer:
    """The optimizer of one node, seen through its wrapper if it has one.

    Args:
        nodes: The object graph.
        n: Number of the node.
        kind_hint: Which optimizer it is if names don't say.
    """
    inner = nodes.child(n, "inner_optimizer")
    values = _values(nodes, n)
    if inner is not None:
        outer = {name if name in ("loss_scale", "good_steps") else f"outer_{name}": key
                 for name, key in values.items()}
        found = read_keras3(nodes, inner, kind_hint)
        return found._replace(values={**found.values, **outer})
    lists = {child.local_name: nodes.items(child.node_id) for child in nodes.graph[n].children}
    owners = [nodes.key(item) or "" for item in lists.get("_trainable_variables", [])]
    titles = [part for item in lists.get("_variables", [])
              for part in nodes.full_name(item).split("/")[-2:-1]]
    kind = kind_of_lists(lists, [*titles, *filter(None, [kind_hint])], "keras3")
    slots = {}
    for slot in (*kind.slots, *COMMON_SLOTS):
        items = lists.get(slot.keras3, []) if slot.keras3 else []
        for owner, item in zip(owners, items, strict=False):
            slots[Slot(slot.name, owner)] = nodes.key(item) or ""
    known = {*slots.values(), *values.values()}
    rest = [item for item in lists.get("_variables", []) if nodes.key(item) not in known]
    slots.update(_untracked(nodes, kind, rest, lists.get("_trainable_variables", [])))
    return Optimizer("keras3", kind.name, slots, values,
                     next((title for title in titles if kind_of_title(title)), ""))


def _values(nodes: Nodes, n: int) -> dict[str, str]:
    return {VALUES.get(name, name): nodes.key(node) or "" for name, node in nodes.variables(n)}


def _untracked(nodes: Nodes, kind: Kind, items: list[int], variables: list[int]
               ) -> dict[Slot, str]:
    """Slots of lists that the graph doesn't show.

    They are made variable by variable. Those of Adafactor for the rows and columns come before
    the one whose name says which variable it is for.
    """
    by_stem = {nodes.full_name(variable).replace("/", "_"): nodes.key(variable) or ""
               for variable in variables}
    slots: dict[Slot, str] = {}
    before: list[str] = []
    for item in items:
        key = nodes.key(item) or ""
        name = nodes.full_name(item).rpartition("/")[2]
        for slot in kind.slots:
            owner = by_stem.get(name.removesuffix("_" + slot.name))
            if owner is None or not name.endswith("_" + slot.name):
                continue
            slots[Slot(slot.name, owner)] = key
            if kind.name == "adafactor":
                slots.update({Slot(part, owner): at
                              for part, at in zip(("r", "c"), before, strict=False)})
            before = []
            break
        else:
            before.append(key)
    return slots


def draw_keras3(drawing: Drawing, n: int, path: str, plan: Plan) -> None:
    """Lay an optimizer out as Keras 3 does.

    Args:
        drawing: The graph.
        n: Number of the optimizer's node, which is empty.
        path: Its path.
        plan: What it keeps.
    """
    title = snake_case(plan.kind.keras)
    if plan.scales_loss:
        wrapper = "loss_scale_optimizer"
        own = _draw_own(drawing, n, path, wrapper, 0.0, plan)
        inner = drawing.node(n, "inner_optimizer")
        for name, dtype, value in (("step_counter", INT32, 0), ("dynamic_scale", FLOAT, 2**15)):
            made = drawing.number(n, path, name, f"{wrapper}/{name}", value, dtype)
            drawing.link(own, str(len(drawing.nodes[own].children)), made)
        n, path = inner, f"{path}/inner_optimizer"
    variables = _draw_own(drawing, n, path, title, plan.learning_rate, plan)
    lists = {slot.keras3: drawing.node(n, slot.keras3) for slot in plan.listed()}
    first = len(drawing.nodes[variables].children)
    for number, (slot, place) in enumerate(plan.order(), first):
        node, full_name = plan.variables[place]
        item = drawing.variable(variables, f"{path}/_variables", str(number),
                                f"{title}/{full_name.replace('/', '_')}_{slot.name}",
                                drawing.head(node))
        drawing.link(lists[slot.keras3], str(place), item)
    if plan.kind.name == "nadam":
        product = drawing.number(n, path, "_u_product", f"{title}/variable", 1.0)
        drawing.link(variables, str(first + len(plan.order())), product)


def _draw_own(drawing: Drawing, n: int, path: str, title: str, learning_rate: float | None,
              plan: Plan) -> int:
    """What every optimizer and wrapper has; returns the list of its variables."""
    variables = drawing.node(n, "_variables")
    trained = drawing.node(n, "_trainable_variables")
    for place, (node, _) in enumerate(plan.variables):
        drawing.link(trained, str(place), node)
    drawing.node(n, "_trainable_variables_indices")
    drawing.link(variables, "0", drawing.count(n, path, "_iterations", f"{title}/iteration"))
    if learning_rate is not None:
        drawing.link(variables, "1", drawing.number(n, path, "_learning_rate",
                                                    f"{title}/learning_rate", learning_rate))
    return variables


def snake_case(name: str) -> str:
    """A class's name as Keras 3 makes names of variables from it.

    Example:
        >>> snake_case("AdamW"), snake_case("RMSprop"), snake_case("SGD")
        ('adam_w', 'rm_sprop', 'sgd')
    """
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
