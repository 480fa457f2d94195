"""In which other orders the layers of a Keras 3 model may have been, and where each stands."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from tfckpt.keras.program import Part, is_container
from tfckpt.keras.wiring import Graph, colours, layer_order, read_graph, swaps

__all__ = ["orders_of"]


def orders_of(container: Part) -> tuple[list[list[Part]], Callable[[Part], Hashable]]:
    """What the order of a model's layers depends on besides its graph.

    Args:
        container: A functional or sequential model.

    Returns:
        The layers of all levels in every order in which they would be if two inputs of one
        layer that doesn't care for their order were exchanged; and a function that gives what a
        layer is in the graph: layers for which it gives the same can change places.
    """
    graphs = dict(_graphs_in(container.layer))
    usual = container.leaves()
    orders = []
    for model, (graph, layers) in graphs.items():
        for swap in swaps(graph):
            order = [id(layers[n]) for n in layer_order(graph, swap)]
            other = _flat(container, {model: order})
            if list(map(id, other)) != list(map(id, usual)):
                orders.append(other)
    known: dict[int, Hashable] = {}
    _colour(container.layer, graphs, (), known)
    return orders, lambda part: known.get(id(part.layer))


def _graphs_in(model: Any) -> Iterator[tuple[int, tuple[Graph, list[Any]]]]:
    yield id(model), read_graph(model)
    for layer in model.layers:
        if is_container(layer):
            yield from _graphs_in(layer)


def _flat(part: Part, orders: Mapping[int, Sequence[int]]) -> list[Part]:
    """The layers of all levels in order, where some models have theirs in another one."""
    if part.layers is None:
        return [part]
    children = part.layers
    if id(part.layer) in orders:
        places = {layer: n for n, layer in enumerate(orders[id(part.layer)])}
        children = sorted(children, key=lambda child: places.get(id(child.layer), len(places)))
    found: dict[int, Part] = {}
    for child in children:
        for leaf in _flat(child, orders):
            found.setdefault(id(leaf.layer), leaf)
    return list(found.values())


def _colour(model: Any, graphs: Mapping[int, tuple[Graph, list[Any]]],
            above: tuple[Hashable, ...], known: dict[int, Hashable]) -> None:
    graph, layers = graphs[id(model)]
    for n, colour in colours(graph).items():
        layer = layers[n]
        if is_container(layer):
            _colour(layer, graphs, (*above, colour), known)
        else:
            known.setdefault(id(layer), (*above, colour))
