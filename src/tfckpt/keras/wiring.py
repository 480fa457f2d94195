"""How the layers of a model are wired, and what of their order that fixes.

Keras sorts the layers of a functional model by their depth and, where that is equal, in the
order in which it meets them on the way back from the outputs. So the order follows from the graph,
not from the order in which a program makes its layers. It follows from one thing more: which input
of an ``Add`` or ``Multiply`` comes first, which changes nothing of what the model computes.

Source: src/ops/function.py (map_graph) of Keras 3, src/engine/functional.py of Keras 2.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["COMMUTATIVE", "Graph", "Wire", "chain", "colours", "layer_kind", "layer_order",
           "read_graph", "swaps"]

COMMUTATIVE = frozenset({"Add", "Multiply", "Average", "Maximum", "Minimum"})
# What says how a layer computes. Names, initializers and regularizers don't.
_TELLING = ("units", "filters", "kernel_size", "strides", "padding", "activation", "use_bias",
            "dilation_rate", "groups", "depth_multiplier", "epsilon", "momentum",
            "num_heads", "key_dim", "value_dim", "return_sequences", "go_backwards", "pool_size",
            "input_dim", "output_dim", "recurrent_activation", "reset_after", "merge_mode", "rate",
            "center", "scale", "target_shape", "size", "n")
_MOST_SWAPS = 2000
# What Keras 2 called otherwise.
_WORDS = {"swish": "silu", "softmax_v2": "softmax"}
_CLASSES = {"Model": "Functional", "CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}


class Wire(NamedTuple):
    """One use of a layer.

    Attributes:
        layer: Number of the layer, or of the operation.
        inputs: The uses whose results it takes, in order.
    """

    layer: int
    inputs: tuple[int, ...]


class Graph(NamedTuple):
    """The uses of layers in a functional model.

    Attributes:
        wires: Every use.
        outputs: Those that give the model's outputs.
        kinds: What each layer computes, as far as its config says.
        commutative: Layers that don't care for the order of their inputs.
    """

    wires: Sequence[Wire]
    outputs: Sequence[int]
    kinds: Mapping[int, Hashable]
    commutative: frozenset[int]


def read_graph(model: Any) -> tuple[Graph, list[Any]]:
    """The graph of a Keras 3 functional or sequential model, and its layers by number."""
    if not hasattr(model, "_nodes") or not hasattr(model, "outputs"):
        return chain([(type(layer).__name__, _config_of(layer)) for layer in model.layers]
                     ), list(model.layers)
    layers: list[Any] = []
    numbers: dict[int, int] = {}
    wires: list[Wire] = []
    places: dict[tuple[int, int], int] = {}
    ends = {id(tensor) for tensor in model.inputs}

    def place(tensor: Any) -> int:
        """Number of the use that gives a tensor; the uses before it get theirs first."""
        waiting = [tensor]
        while waiting:
            layer, index = _history(waiting[-1])
            node = layer._inbound_nodes[index]  # noqa: SLF001  # Keras has no public way
            stops = node.is_input or id(waiting[-1]) in ends
            inputs = [] if stops else _inputs_of(node)
            missing = [item for item in inputs if _use(item) not in places]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if (id(layer), index) not in places:
                if id(layer) not in numbers:
                    numbers[id(layer)] = len(layers)
                    layers.append(layer)
                places[id(layer), index] = len(wires)
                wires.append(Wire(numbers[id(layer)], tuple(places[_use(t)] for t in inputs)))
        return places[_use(tensor)]

    outputs = [place(tensor) for tensor in model.outputs]
    kinds = {n: layer_kind(type(layer).__name__, _config_of(layer))
             for n, layer in enumerate(layers)}
    return Graph(wires, outputs, kinds, frozenset(
        n for n, layer in enumerate(layers) if type(layer).__name__ in COMMUTATIVE)), layers


def _inputs_of(node: Any) -> list[Any]:
    """What a call takes, without masks: the generations pass these on in different ways."""
    mask = node.arguments.kwargs.get("mask")
    masks = {id(item) for item in (mask if isinstance(mask, (list, tuple)) else (mask,))}
    return [tensor for tensor in node.input_tensors if id(tensor) not in masks]


def chain(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Graph:
    """The graph of layers that follow one another, by their classes and configs."""
    wires = [Wire(n, (n - 1,) if n else ()) for n in range(len(layers))]
    kinds = {n: layer_kind(*layer) for n, layer in enumerate(layers)}
    return Graph(wires, [len(layers) - 1] if layers else [], kinds, frozenset())


def _use(tensor: Any) -> tuple[int, int]:
    layer, index = _history(tensor)
    return id(layer), index


def _history(tensor: Any) -> tuple[Any, int]:
    """The layer that gives a tensor, and at which of its uses."""
    layer, index, _ = tensor._keras_history  # noqa: SLF001  # as above
    return layer, index


def _config_of(layer: Any) -> Mapping[str, Any]:
    try:
        config = layer.get_config()
    except Exception:  # a layer of the user's that can't be saved
        return {}
    return config if isinstance(config, dict) else {}


def layer_kind(class_name: str, config: Mapping[str, Any]) -> Hashable:
    """What a layer computes, in a form that is equal for Keras 2 and 3.

    Example:
        >>> layer_kind("Dense", {"units": 4, "name": "a"}) == layer_kind(
        ...     "Dense", {"name": "b", "units": 4})
        True
    """
    inner = config.get("layer") or config.get("cell")
    below = (layer_kind(str(inner.get("class_name", "")), inner.get("config", {})),) \
        if isinstance(inner, dict) and isinstance(inner.get("config"), dict) else ()
    class_name = _CLASSES.get(class_name, class_name)
    told = ((name, _plain(config[name])) for name in _TELLING if name in config)
    return (class_name, *(item for item in told if not _is_usual(*item)), *below)


def _is_usual(name: str, value: Hashable) -> bool:
    """Whether an option says nothing; one generation has it for layers that it is no option of."""
    ones = set(value) if isinstance(value, tuple) else {value}
    return name in ("groups", "dilation_rate") and ones == {"1"}


def _plain(value: Any) -> Hashable:
    if isinstance(value, dict):
        return str(value.get("class_name") or value.get("config"))
    if isinstance(value, (list, tuple)):
        items = tuple(_plain(item) for item in value)
        return items[0] if len(items) == 1 else items
    return round(value, 6) if isinstance(value, float) else _WORDS.get(str(value), str(value))


def layer_order(graph: Graph, swap: tuple[int, int, int] | None = None) -> list[int]:
    """Numbers of the layers in the order that Keras gives them.

    Args:
        graph: The graph.
        swap: A use, and two of its inputs that are taken in each other's place.

    Example:
        >>> graph = Graph([Wire(0, ()), Wire(1, (0,)), Wire(2, (0,)), Wire(3, (1, 2))], [3],
        ...               {}, frozenset({3}))
        >>> layer_order(graph), layer_order(graph, (3, 0, 1))
        ([0, 1, 2, 3], [0, 2, 1, 3])
    """
    met: dict[int, int] = {}
    finished: list[int] = []
    done: set[int] = set()
    for output in graph.outputs:
        waiting: list[tuple[int, Iterator[int]]] = []
        if output not in done:
            done.add(output)
            met.setdefault(graph.wires[output].layer, len(met))
            waiting.append((output, iter(_inputs(graph, output, swap))))
        while waiting:
            wire, inputs = waiting[-1]
            following = next(inputs, None)
            if following is None:
                finished.append(wire)
                waiting.pop()
            elif following not in done:
                done.add(following)
                met.setdefault(graph.wires[following].layer, len(met))
                waiting.append((following, iter(_inputs(graph, following, swap))))
    depths: dict[int, int] = {}
    layer_depths: dict[int, int] = {}
    for wire in reversed(finished):
        layer, inputs_of = graph.wires[wire]
        depth = max(depths.get(wire, 0), layer_depths.get(layer, 0))
        layer_depths[layer] = depths[wire] = depth
        for below in inputs_of:
            depths[below] = max(depth + 1, depths.get(below, 0))
    return sorted(layer_depths, key=lambda layer: (-layer_depths[layer], met[layer]))


def _inputs(graph: Graph, wire: int, swap: tuple[int, int, int] | None) -> Sequence[int]:
    inputs = graph.wires[wire].inputs
    if swap is None or swap[0] != wire:
        return inputs
    _, a, b = swap
    order = list(inputs)
    order[a], order[b] = order[b], order[a]
    return order


def swaps(graph: Graph) -> list[tuple[int, int, int]]:
    """Every way to exchange two inputs that leaves the function as it is."""
    found = [(n, a, b) for n, wire in enumerate(graph.wires) if wire.layer in graph.commutative
             for a in range(len(wire.inputs)) for b in range(a + 1, len(wire.inputs))]
    return found[:_MOST_SWAPS]


def colours(graph: Graph) -> dict[int, Hashable]:
    """What each layer is in its graph: how it computes, from what, and for what.

    Layers of one colour can change places without a change of the function.
    """
    forward: dict[int, int] = {}
    names: dict[Hashable, int] = {}

    def number(value: Hashable) -> int:
        return names.setdefault(value, hash(value))

    order = _below_first(graph)
    for wire in order:
        layer, inputs = graph.wires[wire]
        values = [forward[item] for item in inputs]
        forward[wire] = number((graph.kinds[layer], tuple(
            sorted(values) if layer in graph.commutative else values)))
    backward: dict[int, list[Hashable]] = {n: [] for n in range(len(graph.wires))}
    for place, output in enumerate(graph.outputs):
        backward[output].append(("output", place))
    final: dict[int, int] = {}
    for wire in reversed(order):
        layer, inputs = graph.wires[wire]
        final[wire] = number((forward[wire], tuple(sorted(map(repr, backward[wire])))))
        for at, below in enumerate(inputs):
            backward[below].append((final[wire], -1 if layer in graph.commutative else at))
    found: dict[int, list[int]] = {}
    for wire in order:
        found.setdefault(graph.wires[wire].layer, []).append(final[wire])
    return {layer: tuple(sorted(values)) for layer, values in found.items()}


def _below_first(graph: Graph) -> list[int]:
    """All uses, each after those that it takes: that is how they are numbered or met."""
    done: dict[int, None] = {}
    begun: set[int] = set()
    for output in graph.outputs:
        waiting = [(output, False)]
        while waiting:
            wire, ready = waiting.pop()
            if ready:
                done.setdefault(wire)
            elif wire not in begun:
                begun.add(wire)
                waiting.append((wire, True))
                waiting += [(item, False) for item in graph.wires[wire].inputs]
    return list(done)
