"""Whose slot or moving average a tensor is: what follows its variable when that is renamed,
dropped or replaced.

    ========================================= ==============================================
    tensor                                    variable
    ========================================= ==============================================
    ``w/Adam_1``, ``training/w/Adam``         ``w``
    ``w/ExponentialMovingAverage/biased``     ``w``, also if there is no such tensor
    ``w/.OPTIMIZER_SLOT/opt/m/…``             what the object graph says, usually ``w/…``
    item 3 of ``optimizer/_momentums``        item 3 of ``optimizer/_trainable_variables``,
                                              or the variable whose full name its own ends in
    ========================================= ==============================================
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from tfckpt.core.roles import EMA_SUFFIX, assign_roles, optimizer_nodes, slot_owner
from tfckpt.core.source import Source
from tfckpt.format.objectgraph import VARIABLE_VALUE, Node

__all__ = ["Owned", "find_owners", "split_name"]

_NO_SLOTS = frozenset({"_variables", "_trainable_variables", "_index_dict",
                       "_trainable_variables_indices"})


class Owned(NamedTuple):
    """A TF1 name around the name of a variable.

    Attributes:
        before: The scope that the slot has of its own; mostly none.
        variable: Name of the variable.
        after: What makes it a slot's name; empty if it is the variable itself.
    """

    before: str
    variable: str
    after: str = ""


def split_name(name: str, names: Container[str]) -> Owned:
    """A TF1 name as that of a variable with what a slot or moving average adds to it.

    Args:
        name: The name.
        names: All names of the checkpoint.

    Example:
        >>> split_name("training/w/Adam", ["w"])
        Owned(before='training/', variable='w', after='/Adam')
        >>> split_name("w/ExponentialMovingAverage", [])
        Owned(before='', variable='w', after='/ExponentialMovingAverage')
        >>> split_name("w", ["w"])
        Owned(before='', variable='w', after='')
    """
    owner = slot_owner(name, names)
    mark = name.find("/" + EMA_SUFFIX)
    is_average = mark > 0 and name[mark + len(EMA_SUFFIX) + 1:][:1] in ("", "/")
    if owner is None:  # a checkpoint of nothing but averages has them for variables of old
        return Owned("", name[:mark], name[mark:]) if is_average else Owned("", name)
    if is_average:
        stem = name[:mark]
    elif name.startswith(owner) and "/" not in name[len(owner):]:
        stem = owner  # mesh-tensorflow's w_slot_v
    else:
        stem = name.rpartition("/")[0]
    return Owned(stem.removesuffix(owner), owner, name[len(stem):])


def find_owners(source: Source) -> dict[str, str]:
    """Key of the variable of each slot and moving average whose variable is there and known.

    Raises:
        FormatError: The object graph is damaged.

    Example:
        >>> import tfckpt
        >>> with tfckpt.open("examples/tf1") as source:
        ...     find_owners(source)["dense/kernel/Adam_1"]
        'dense/kernel'
    """
    if source.style == "name-based":
        return {key: owner for key in source.index
                if (owner := slot_owner(key, source.index)) is not None}
    nodes = source.object_graph
    keys = [_variable_key(node) for node in nodes]
    owners: dict[str, str] = {}
    for optimizer in optimizer_nodes(nodes):
        for slot in nodes[optimizer].slot_variables:
            _add(owners, keys[slot.slot_variable_node_id], keys[slot.original_variable_node_id])
    model = {key for key, assigned in assign_roles(source).items() if assigned.role == "model"}
    by_name = _by_full_name(nodes, model)
    for optimizer in optimizer_nodes(nodes):
        for item, variable in _listed(nodes, nodes[optimizer], by_name):
            _add(owners, keys[item], variable if isinstance(variable, str) else keys[variable])
    return owners


def _add(owners: dict[str, str], key: str, owner: str) -> None:
    if key and owner and key != owner:
        owners.setdefault(key, owner)


def _variable_key(node: Node) -> str:
    """Key of a variable's value; empty for what isn't a variable."""
    return next((attribute.checkpoint_key for attribute in node.attributes
                 if attribute.name == VARIABLE_VALUE), "")


def _by_full_name(nodes: Sequence[Node], keys: Container[str]) -> dict[str, str]:
    """Keys of the variables whose full names are theirs alone."""
    found: dict[str, set[str]] = {}
    for node in nodes:
        for attribute in node.attributes:
            if attribute.full_name and attribute.checkpoint_key in keys:
                found.setdefault(attribute.full_name, set()).add(attribute.checkpoint_key)
    return {name: claims.pop() for name, claims in found.items() if len(claims) == 1}


def _listed(nodes: Sequence[Node], optimizer: Node, by_name: dict[str, str]
            ) -> Iterator[tuple[int, int | str]]:
    """Each item of the lists that Keras's optimizers keep, with its variable: a node or a key."""
    children = {child.local_name: child.node_id for child in optimizer.children}
    variables = (_items(nodes, children["_trainable_variables"])
                 if "_trainable_variables" in children else [])
    for name, at in children.items():
        if name in _NO_SLOTS:
            continue
        items = _items(nodes, at)
        if variables and len(items) == len(variables):  # Keras 3
            yield from zip(items, variables, strict=True)
            continue
        for item in items:  # Keras 2.11 and later: Adam/m/dense/kernel
            parts = [attribute.full_name for attribute in nodes[item].attributes]
            owner = _longest_end(parts[0], by_name) if parts else None
            if owner is not None:
                yield item, owner


def _items(nodes: Sequence[Node], at: int) -> list[int]:
    """The items of a list, by their numbers."""
    found = {int(child.local_name): child.node_id for child in nodes[at].children
             if child.local_name.isdecimal() and len(child.local_name) < 10}
    return [found[n] for n in sorted(found)]


def _longest_end(full_name: str, by_name: dict[str, str]) -> str | None:
    """The variable whose full name this one ends in."""
    rest = full_name
    while "/" in rest:
        rest = rest.partition("/")[2]
        if rest in by_name:
            return by_name[rest]
    return None
