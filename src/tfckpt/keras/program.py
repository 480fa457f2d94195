"""A Keras 3 model as Keras 2 would have saved it: parts below attributes, layers in order.

Both generations call the attributes of their layers alike, but for a leading underscore and for
what `_OLD_NAMES` lists; and both sort the layers of a functional model in the same way. So the
parts of a Keras 3 model have names that are those of edges in a Keras 2 object graph.

Source: src/layers and src/models/functional.py of Keras 3; src/engine/functional.py of Keras 2.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

from tfckpt.errors import VariableTypeError

__all__ = ["Part", "check_model", "every_layer", "held", "is_automatic", "is_built",
           "is_container", "old_attributes", "plain_attribute", "read_program", "snake_case"]

# What layers hold for bookkeeping: no saved attribute of Keras 2.
_OWN = frozenset({
    "_trainable_variables", "_non_trainable_variables", "_layers", "_metrics", "_seed_generators",
    "_losses", "_functional", "_operations", "_operations_by_depth", "_nodes", "_nodes_by_depth",
    "_inputs", "_outputs", "_modules", "_parameters", "_buffers", "_torch_params", "_tracker",
    "_inbound_nodes", "_outbound_nodes", "_call_arguments", "_saved_args"})
# Attributes that Keras 3 calls otherwise, by class.
_OLD_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "DepthwiseConv1D": {"kernel": ("depthwise_kernel",)},
    "DepthwiseConv2D": {"kernel": ("depthwise_kernel",)},
    "Normalization": {"adapt_mean": ("mean", "adapt_mean"),
                      "adapt_variance": ("variance", "adapt_variance")},
}
_PROPERTIES = {"_kernel": ("kernel",), "_embeddings": ("embeddings",)}  # of any class


class Part:
    """A layer, a list or dictionary of layers, or a variable of a Keras 3 model.

    Attributes:
        title: What to call it: names of layers and attributes from the model on.
        name: The layer's own name; of others, the attribute.
        layer: The layer, or None.
        variable: The variable, or None.
        attributes: What it holds, by the names that Keras 2 gave the attributes.
        holder: Of a variable, the layer whose attribute it is.
        layers: For a functional or sequential model, its layers with weights in order.
    """

    __slots__ = ("attributes", "holder", "layer", "layers", "name", "title", "variable")

    def __init__(self, title: str, name: str, layer: Any = None, variable: Any = None,
                 holder: Any = None) -> None:
        self.title = title
        self.name = name
        self.layer = layer
        self.variable = variable
        self.holder = holder
        self.attributes: dict[str, Part] = {}
        self.layers: list[Part] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the variable."""
        return tuple(int(n) for n in self.variable.shape)

    def weights(self) -> Iterator[Part]:
        """Every variable in it, once each."""
        seen: set[int] = set()
        waiting = [self]
        while waiting:
            part = waiting.pop()
            if part.variable is not None and id(part.variable) not in seen:
                seen.add(id(part.variable))
                yield part
            below = [*(part.layers or ()), *part.attributes.values()]
            waiting += reversed([item for item in below if id(item) not in seen])
            seen.update(map(id, below))

    def leaves(self) -> list[Part]:
        """The layers of a container and of the containers in it, in order, once each."""
        if self.layers is None:
            return [self]
        found: dict[int, Part] = {}
        for layer in self.layers:
            for leaf in layer.leaves():
                found.setdefault(id(leaf.layer), leaf)
        return list(found.values())


def read_program(model: Any) -> Part:
    """The parts of a built Keras 3 model."""
    saved = {id(variable) for variable in model.weights}
    root = _Reader(saved).layer(model, "", model.name)
    assert root is not None
    return root


def check_model(model: Any) -> None:
    """Refuse what is no model of Keras 3.

    Raises:
        VariableTypeError: Saying what it is.
    """
    roots = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    has_weights = hasattr(model, "weights")
    if "keras" in roots and hasattr(sys.modules["keras"], "ops") and has_weights:
        return
    is_old = has_weights and roots & {"keras", "tf_keras"}
    raise VariableTypeError(
        "this is no Keras 3 model", got=type(model).__name__,
        hint="Models of Keras 2 go into tfckpt.Checkpoint and tfckpt.Saver." if is_old else None)


def is_built(model: Any) -> bool:
    """Whether the model and all layers in it have their variables."""
    return bool(model.built) and all(layer.built for layer in every_layer(model))


def every_layer(model: Any) -> list[Any]:
    """A model and all layers in it."""
    return list(model._flatten_layers())  # noqa: SLF001  # Keras has no public way


def is_container(layer: Any) -> bool:
    """Whether a layer is a functional or sequential model, whose layers have an order."""
    return any(kind.__name__ in ("Functional", "Sequential")
               and kind.__module__.startswith("keras.") for kind in type(layer).__mro__)


def is_automatic(layer: Any) -> bool:
    """Whether a layer's name may be one that Keras made: a class and a count."""
    name = re.sub(r"_\d+$", "", layer.name)
    return name in {snake_case(kind.__name__) for kind in type(layer).__mro__} | {
        "model", "functional", "sequential"}


def snake_case(name: str) -> str:
    """The name that Keras gives the first layer of a class.

    Example:
        >>> snake_case("Conv2D"), snake_case("LSTM"), snake_case("MultiHeadAttention")
        ('conv2d', 'lstm', 'multi_head_attention')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def plain_attribute(name: str) -> str:
    """An attribute without the underscores that differ between generations.

    Example:
        >>> plain_attribute("_kernel"), plain_attribute("kernel")
        ('kernel', 'kernel')
    """
    return name.lstrip("_") or name


class _Reader:
    def __init__(self, saved: set[int]) -> None:
        self.saved = saved
        self.known: dict[int, Part | None] = {}

    def layer(self, layer: Any, scope: str, name: str) -> Part | None:
        """A layer with weights, or None."""
        if id(layer) in self.known:
            return self.known[id(layer)]
        self.known[id(layer)] = None  # of a circle, the second visit gives nothing
        part = Part(scope, name, layer)
        done: set[int] = set()
        if is_container(layer):
            part.layers = []
            for child in layer.layers:
                done.add(id(child))
                found = self.layer(child, _joined(scope, child.name), child.name)
                if found is not None:
                    part.layers.append(found)
        for attribute, value in held(layer, everything=part.layers is None):
            if id(value) in done:
                continue
            plain = plain_attribute(old_attributes(layer, attribute)[0])
            found = self.value(value, scope, plain, layer)
            if found is not None:
                part.attributes.setdefault(plain, found)
        self.known[id(layer)] = part if part.layers or part.attributes else None
        return self.known[id(layer)]

    def value(self, value: Any, scope: str, name: str, holder: Any) -> Part | None:
        """A value of an attribute, if there are weights in it."""
        if id(value) in self.saved:
            return Part(_joined(scope, name), name, variable=value, holder=holder)
        if hasattr(value, "_flatten_layers"):
            # A cell or a dense inside another layer: its attribute says more than its name.
            return self.layer(value, _joined(scope, name if is_automatic(value)
                                             else value.name), value.name)
        if isinstance(value, (list, tuple)):
            items = [(str(n), item) for n, item in enumerate(value)]
        elif isinstance(value, dict):
            items = [(str(key), item) for key, item in value.items()]
        else:
            return None
        part = Part(_joined(scope, name), name)
        for key, item in items:
            found = self.value(item, scope, f"{name}/{key}", holder)
            if found is not None:
                part.attributes[key] = found
        return part if part.attributes else None


def old_attributes(layer: Any, name: str) -> tuple[str, ...]:
    """The names that an attribute of a layer has in Keras 2: most have the same one."""
    known = _OLD_NAMES.get(type(layer).__name__, {}).get(name)
    return known or _PROPERTIES.get(name) or (name,)


def held(layer: Any, *, everything: bool) -> Iterator[tuple[str, Any]]:
    """The attributes of a layer; of a container, only those that its class adds."""
    own = vars(layer)
    for name, value in {**own, **own.get("_modules", {})}.items():
        if name in _OWN or name.startswith("_self_"):  # TensorFlow's bookkeeping
            continue
        if everything or not name.startswith("_"):
            yield name, value


def _joined(scope: str, name: str) -> str:
    return f"{scope}/{name}" if scope else name
