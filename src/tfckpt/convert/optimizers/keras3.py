"""Layout ``keras3``: an optimizer that holds the model's variables beside its own.

The i-th item of each list of slots belongs to the i-th of ``_trainable_variables``. Some
optimizers (Adafactor, Muon) don't track their lists; what their variables are then follows
from the flat list ``_variables`` and from full names: ``adam/net_dense_kernel_momentum``
is the momentum of ``net/dense/kernel``. A loss-scale wrapper is a node of its own around
the optimizer, with an iteration count that stays 0.
"""

from __future__ import annotations

from tfckpt.convert.optimizers.keras2 import kind_of_lists
from tfckpt.convert.optimizers.nodes import Nodes
from tfckpt.convert.optimizers.state import Optimizer, Slot
from tfckpt.convert.optimizers.table import COMMON_SLOTS, VALUES, Kind, kind_of_title

__all__ = ["read_keras3"]


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
