"""What a file says of the objects that were saved: a tree to walk beside a model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from tfckpt.core.index import Entry
from tfckpt.core.source import Source
from tfckpt.keras.program import plain_attribute

__all__ = ["Saved", "new_name", "saved_in_graph", "saved_in_groups"]

# Edges of SavedModels and of optimizers: ways to what hangs elsewhere too, or to no weights.
_ASIDE = frozenset({"root", "variables", "trainable_variables", "keras_api", "signatures",
                    "regularization_losses", "save_counter", "_functional", "keras_losses",
                    "optimizer", "_optimizer", "loss", "metrics", "keras_metrics", "layers"})


class Saved:
    """One object that was saved.

    Attributes:
        title: Its path, or its name.
        entry: Its value's, or None.
        full_name: What TensorFlow called the variable; may be empty.
        children: What it holds, by attribute (without leading underscores) or by name.
        every_layer: Every layer of a functional or sequential model, in order; else None.
        by_name: Whether children are known by names, not by attributes.
    """

    def __init__(self, title: str, entry: Entry | None = None, full_name: str = "", *,
                 by_name: bool = False) -> None:
        self.title = title
        self.entry = entry
        self.full_name = full_name
        self.by_name = by_name
        self.children: dict[str, Saved] = {}
        self.every_layer: list[Saved] | None = None
        self.is_optimizer = False

    @cached_property
    def layers(self) -> Sequence[Saved] | None:
        """The layers with weights of a functional or sequential model, in order; else None."""
        if self.every_layer is None:
            return None
        return [layer for layer in self.every_layer if layer.weights]

    def leaves(self) -> list[Saved]:
        """The layers of a container and of the containers in it, in order, once each."""
        if self.layers is None:
            return [self]
        found: dict[int, Saved] = {}
        for layer in self.layers:
            for leaf in layer.leaves():
                found.setdefault(id(leaf), leaf)
        return list(found.values())

    @cached_property
    def weights(self) -> Sequence[Saved]:
        """Every variable in it, once each."""
        return [item for item in self._walk() if item.entry is not None]

    def _walk(self) -> Iterator[Saved]:
        seen: set[int] = set()
        waiting = [self]
        while waiting:
            item = waiting.pop()
            if id(item) not in seen and not item.is_optimizer:
                seen.add(id(item))
                yield item
                waiting += reversed([*item.children.values(), *(item.every_layer or ())])

    @cached_property
    def words(self) -> frozenset[str]:
        """Parts of scopes that the full names of all its variables have in common.

        And the whole scope as Keras 3 would call it, whose names have no slashes.
        """
        scopes = {item.full_name.rpartition("/")[0] for item in self.weights
                  if "/" in item.full_name}
        if not scopes:
            return frozenset()
        words = frozenset.intersection(*(frozenset(scope.split("/")) for scope in scopes))
        return words | ({new_name(*scopes)} if len(scopes) == 1 else frozenset())


def new_name(name: str) -> str:
    """A layer's name as Keras 3 allows it.

    Example:
        >>> new_name("block_1/dense")
        'block_1_dense'
    """
    return name.replace("/", "_")


def saved_in_graph(source: Source) -> list[Saved]:
    """The objects of an object graph that may be the model: the root first, then its children."""
    nodes = source.object_graph
    if not nodes:
        return []
    made = [Saved("") for _ in nodes]
    for saved, node in zip(made, nodes, strict=True):
        saved.is_optimizer = bool(node.slot_variables)
        for attribute in node.attributes:
            if attribute.name == "VARIABLE_VALUE" and attribute.checkpoint_key in source.index:
                saved.entry = source.index[attribute.checkpoint_key]
                saved.full_name = attribute.full_name
                saved.title = attribute.checkpoint_key.partition("/.ATTRIBUTES/")[0]
        numbered = {}
        for child in node.children:
            if child.local_name in _ASIDE:
                continue
            if re.fullmatch(r"layer-\d{1,9}", child.local_name):
                numbered[int(child.local_name[6:])] = made[child.node_id]
            elif not re.fullmatch(r"layer_with_weights-\d+", child.local_name):
                saved.children.setdefault(plain_attribute(child.local_name), made[child.node_id])
        if numbered:
            saved.every_layer = [numbered[n] for n in sorted(numbered)]
    _entitle(made[0])
    return [made[0], *(child for child in made[0].children.values()
                       if child.entry is None and child.weights)]


def _entitle(root: Saved) -> None:
    """Give objects their paths; what has a value has it from its key."""
    seen = {id(root)}
    waiting = [root]
    while waiting:
        item = waiting.pop(0)
        below = [*item.children.items(), *((f"layer-{n}", layer) for n, layer
                                           in enumerate(item.every_layer or ()))]
        for name, child in below:
            if id(child) not in seen:
                seen.add(id(child))
                if child.entry is None:
                    child.title = f"{item.title}/{name}" if item.title else name
                waiting.append(child)


def saved_in_groups(groups: Mapping[str, Sequence[tuple[str, Entry]]]) -> Saved:
    """The layers of a legacy HDF5 file.

    Args:
        groups: Name and entry of each weight of each layer, in the order of the file.
    """
    root = Saved("", by_name=True)
    root.every_layer = []
    for group, weights in groups.items():
        scopes: dict[str, list[tuple[list[str], Entry]]] = {}
        for name, entry in weights:
            parts = name.removesuffix(":0").split("/")
            scopes.setdefault(parts[0] if len(parts) > 1 else group, []).append((parts, entry))
        if group in scopes or not scopes:  # a layer; else a model with layers of its own
            scopes = {group: [item for items in scopes.values() for item in items]}
        for scope, items in scopes.items():
            layer = _layer_of(scope, items)
            root.every_layer.append(layer)
            root.children.setdefault(scope, layer)  # for a model that has no order
    return root


def _layer_of(name: str, weights: Sequence[tuple[list[str], Entry]]) -> Saved:
    layer = Saved(name, by_name=True)
    for parts, entry in weights:
        at = layer
        inner = parts[1:] if parts[0] == name else parts
        for part in inner[:-1]:
            at = at.children.setdefault(part, Saved(f"{at.title}/{part}", by_name=True))
        full = "/".join([name, *inner])
        leaf, n = inner[-1] if inner else parts[-1], 1
        while leaf in at.children:  # two weights of one name
            n += 1
            leaf = f"{inner[-1]}#{n}"
        at.children[leaf] = Saved(entry.key, entry, full, by_name=True)
    return layer
