"""The object graph that Keras 2 would have saved of a Keras 3 model.

Every layer has its place in it, also those without weights: ``assert_consumed`` asks for each
object of the program that restores it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tfckpt.format.objectgraph import VARIABLE_VALUE, Attribute, Child, Node
from tfckpt.format.objectkeys import escape_local_name, object_key
from tfckpt.keras.program import held, is_container, old_attributes

__all__ = ["Drawn", "draw"]


class Drawn(NamedTuple):
    """An object graph and the variables in it.

    Attributes:
        nodes: The graph.
        variables: Key of each variable.
        names: What TensorFlow would call each variable.
    """

    nodes: tuple[Node, ...]
    variables: dict[str, Any]
    names: dict[str, str]


def draw(model: Any, root: str = "", *, counted: bool = False) -> Drawn:
    """Draw the graph of a built Keras 3 model.

    Args:
        model: The model.
        root: The name that it has in ``tf.train.Checkpoint(name=model)``; empty for the model
            itself, as ``save_weights`` saves it.
        counted: Whether the root has a count of saves, as that of ``tf.train.Checkpoint`` has.
    """
    return _Drawer(model, root).drawn(counted=counted)


class _Object:
    """A node that is being drawn."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.edges: list[tuple[str, int]] = []


class _Drawer:
    def __init__(self, model: Any, root: str) -> None:
        self.saved = {id(variable): variable for variable in model.weights}
        self.objects: list[_Object] = []
        self.numbers: dict[int, int] = {}
        if root:
            self.objects.append(_Object(None))
            self.objects[0].edges = [(root, self._number(model))]
        else:
            self._number(model)
        n = 0
        while n < len(self.objects):  # in breadth, as TensorFlow numbers them
            item = self.objects[n]
            if item.value is not None:
                item.edges = [(name, self._number(below)) for name, below in
                              self._below(item.value)]
            n += 1
        if not root:
            self.objects[0].edges.append(("root", 0))

    def _number(self, value: Any) -> int:
        if id(value) not in self.numbers:
            self.numbers[id(value)] = len(self.objects)
            self.objects.append(_Object(value))
        return self.numbers[id(value)]

    def _below(self, value: Any) -> Iterator[tuple[str, Any]]:
        """What an object holds, under the names that Keras 2 gave it."""
        if id(value) in self.saved:
            return
        if isinstance(value, dict):
            yield from ((str(key), item) for key, item in value.items() if self._is_object(item))
            return
        if isinstance(value, (list, tuple)):
            yield from ((str(n), item) for n, item in enumerate(value) if self._is_object(item))
            return
        layers: list[Any] = []
        if is_container(value):
            layers = list(value.layers)
            with_weights = 0
            for n, layer in enumerate(layers):
                if layer.weights:
                    yield f"layer_with_weights-{with_weights}", layer
                    with_weights += 1
                yield f"layer-{n}", layer
        yield from self._attributes(value, layers)

    def _attributes(self, layer: Any, listed: list[Any]) -> Iterator[tuple[str, Any]]:
        own = {id(item) for item in listed}
        for name, item in held(layer, everything=not listed):
            if id(item) in own or not self._is_object(item):
                continue
            for old in old_attributes(layer, name):
                yield old, item

    def _is_object(self, value: Any) -> bool:
        """Whether an object is a node: a variable, a layer, or what holds one."""
        if id(value) in self.saved or hasattr(value, "_flatten_layers"):
            return True
        if isinstance(value, dict):
            return any(map(self._is_object, value.values()))
        return isinstance(value, (list, tuple)) and any(map(self._is_object, value))

    def drawn(self, *, counted: bool) -> Drawn:
        """The finished graph."""
        paths = self._paths()
        variables: dict[str, Any] = {}
        names: dict[str, str] = {}
        nodes = []
        for n, item in enumerate(self.objects):
            edges = item.edges
            attributes: tuple[Attribute, ...] = ()
            if id(item.value) in self.saved:
                key = object_key("/".join(map(escape_local_name, paths[n])), VARIABLE_VALUE)
                variables[key] = item.value
                names[key] = str(item.value.path)
                attributes = (Attribute(VARIABLE_VALUE, names[key], key),)
            if n == 0 and counted:
                edges = [*edges, ("save_counter", len(self.objects))]
            nodes.append(Node(tuple(Child(number, name) for name, number in edges), attributes,
                              has_checkpoint_values=True))
        if counted:
            key = object_key("save_counter", VARIABLE_VALUE)
            nodes.append(Node(attributes=(Attribute(VARIABLE_VALUE, "save_counter", key),),
                              has_checkpoint_values=True))
        return Drawn(tuple(nodes), variables, names)

    def _paths(self) -> list[tuple[str, ...]]:
        """The first way to each object, by its edges."""
        paths: dict[int, tuple[str, ...]] = {0: ()}
        for n, item in enumerate(self.objects):
            for name, number in item.edges:
                paths.setdefault(number, (*paths[n], name))
        return [paths[n] for n in range(len(self.objects))]
