"""Layout ``keras2``: Keras 2.11 to 2.15, where an optimizer's variables are a numbered list.

No slot is listed in the graph. The optimizer holds a list for each kind of slot, and its
i-th item belongs to the i-th trainable variable, which only the full name of the item says:
``Adam/m/dense/kernel`` is for ``dense/kernel``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfckpt.convert.optimizers.drawing import Drawing
from tfckpt.convert.optimizers.legacy import draw_loss_scale, loss_scale
from tfckpt.convert.optimizers.nodes import Nodes
from tfckpt.convert.optimizers.state import Layout, Optimizer, Plan, Slot
from tfckpt.convert.optimizers.table import COMMON_SLOTS, KINDS, VALUES, Kind, kind_of_title
from tfckpt.errors import UnsupportedError

__all__ = ["draw_keras2", "kind_of_lists", "read_keras2"]


def read_keras2(nodes: Nodes, n: int, variables: Sequence[str], kind_hint: str | None = None
                ) -> Optimizer:
    """The optimizer of one node.

    Args:
        nodes: The object graph.
        n: Number of the node.
        variables: Keys of the model's variables.
        kind_hint: Which optimizer it is if names don't say.

    Raises:
        UnsupportedError: A slot's variable can't be told.
    """
    lists = {child.local_name: nodes.items(child.node_id) for child in nodes.graph[n].children}
    titles = [nodes.full_name(item).split("/")[0] for item in lists.get("_variables", [])]
    kind = kind_of_lists(lists, [*titles, *filter(None, [kind_hint])], "keras2")
    slots: dict[Slot, str] = {}
    owners = _owners(nodes, kind, lists, variables)
    for slot in (*kind.slots, *COMMON_SLOTS):
        for n_item, item in enumerate(lists.get(slot.keras2[0], []) if slot.keras2[0] else []):
            key, owner = nodes.key(item), owners.get(n_item)
            if key is None:
                continue
            if owner is None:
                raise UnsupportedError("which variable a slot belongs to can't be told",
                                       tensor=key, got=nodes.full_name(item))
            slots[Slot(slot.name, owner)] = key
    values = {VALUES.get(name, name): nodes.key(node) or "" for name, node in nodes.variables(n)}
    return Optimizer("keras2", kind.name, slots, {**values, **loss_scale(nodes, n)},
                     next((title for title in titles if kind_of_title(title)), ""))


def _owners(nodes: Nodes, kind: Kind, lists: dict[str, list[int]], variables: Sequence[str]
            ) -> dict[int, str]:
    """The variable of each place in the lists, by the full names of what is there."""
    keys = set(variables)
    by_name: dict[str, str] = {}
    twice = set()
    for node in range(len(nodes.graph)):
        value = nodes.value(node)
        if value and value.checkpoint_key in keys:
            if value.full_name in by_name:
                twice.add(value.full_name)
            by_name[value.full_name] = value.checkpoint_key
    owners: dict[int, str] = {}
    for slot in (*kind.slots, *COMMON_SLOTS):
        for place, item in enumerate(lists.get(slot.keras2[0], []) if slot.keras2[0] else []):
            name = _owner_name(nodes.full_name(item), slot.keras2[1])
            if name in by_name and name not in twice:
                owners.setdefault(place, by_name[name])
    return owners


def _owner_name(full_name: str, part: str) -> str:
    """``dense/kernel`` of ``Adam/m/dense/kernel``, and of the ``m/dense/kernel`` of a wrapper."""
    head, _, rest = full_name.partition("/")
    if head != part:
        head, _, rest = rest.partition("/")
    return rest if head == part else ""


def kind_of_lists(names: Iterable[str], titles: Iterable[str], layout: Layout) -> Kind:
    """Which optimizer has these lists: by its name where that fits them, else by them alone.

    Args:
        names: All its lists, also those without items: only RMSprop has ``_average_gradients``.
        titles: What full names begin with.
        layout: ``"keras2"`` or ``"keras3"``.
    """
    lists = {kind.name: {slot.keras3 if layout == "keras3" else slot.keras2[0]: slot.name
                         for slot in kind.slots} for kind in KINDS.values() if kind.keras}
    found = set(names) & {name for of_kind in lists.values() for name in of_kind}
    fitting = [name for name, of_kind in lists.items() if found <= set(of_kind)]
    for title in titles:
        name = kind_of_title(title)
        if name in fitting:
            return KINDS[name]

    def n_without(name: str) -> int:
        return sum(slot != "velocity_hat" and of_list not in found
                   for of_list, slot in lists[name].items())

    return KINDS[min(fitting, key=n_without)] if found and fitting else KINDS["sgd"]


def draw_keras2(drawing: Drawing, n: int, path: str, plan: Plan) -> None:
    """Lay an optimizer out as Keras 2.11 to 2.15 does.

    Args:
        drawing: The graph.
        n: Number of the optimizer's node, which is empty.
        path: Its path.
        plan: What it keeps.
    """
    title = plan.kind.keras
    variables = drawing.node(n, "_variables")
    drawing.link(variables, "0", drawing.count(n, path, "_iterations", "iteration"))
    name = "learning_rate" if plan.learning_rate is not None else "current_learning_rate"
    drawing.number(n, path, f"_{name}", name, plan.learning_rate or 0.0)
    if plan.scales_loss:
        draw_loss_scale(drawing, n, path)
    drawing.node(n, "_index_dict")
    lists = {slot.keras2[0]: drawing.node(n, slot.keras2[0]) for slot in plan.listed()}
    if plan.kind.name == "nadam":
        drawing.number(n, path, "_u_product", f"{title}/Variable", 1.0)
    for number, (slot, place) in enumerate(plan.order(), 1):
        of_list, part = slot.keras2
        node, full_name = plan.variables[place]
        item = drawing.variable(variables, f"{path}/_variables", str(number),
                                f"{title}/{part}/{full_name}", drawing.head(node))
        drawing.link(lists[of_list], str(place), item)
