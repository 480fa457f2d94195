"""A Keras 3 model made from the config of a Keras 2 model: its layers, and then its calls.

Keras 3 reads such configs itself only where no layer of the model changed. Here `newconfig` says
what a layer is today, and the graph is called anew, with nothing but what Keras documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from tfckpt.errors import UnsupportedError
from tfckpt.keras.newconfig import INNER, NewLayer, is_model_config, new_layer, plain
from tfckpt.keras.oldops import OPERATIONS, call_operation, is_operation
from tfckpt.keras.saved import new_name

__all__ = ["HINT", "revive"]

HINT = "Write the model as a function, and name that: --model package.module:function."

Config = Mapping[str, Any]
_RECURRENT = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D",
              "ConvLSTM3D")

_SHOWN = 10  # of the layers that are refused
_PROGRAMS = ("TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "Lambda")


def revive(config: Config, file: str | None = None) -> Any:
    """The Keras 3 model of a config.

    Args:
        config: What ``model.to_json()`` of Keras 2 gave, as a mapping. No code in it is run.
        file: Where it stands, for messages.

    Raises:
        UnsupportedError: It has layers that Keras 3 can't make, or computes otherwise; with all
            of them.
    """
    config = plain(dict(config))
    problems = list(dict.fromkeys(_problems(config)))
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UnsupportedError("Keras 3 makes no model of this config: "
                               + "; ".join(problems[:_SHOWN]) + more, file=file, hint=HINT)
    try:
        return _model(config)
    except _NotMadeError as error:
        raise UnsupportedError(f"Keras 3 makes no model of this config: {error}", file=file,
                               hint=HINT) from error


class _NotMadeError(Exception):
    """Keras refused a layer, or a call of one."""


# ---------------------------------------------------------------------- what is known beforehand

def _problems(config: Config) -> Iterator[str]:
    """What keeps any layer from being made, known without making any."""
    import keras  # deferred: it takes its time

    if is_model_config(config):
        if config["class_name"] not in ("Functional", "Model", "Sequential"):
            yield f"{_called(config)}: the model is a class of the program's own"
        for layer in config["config"]["layers"]:
            yield from _problems(layer)
        return
    if is_operation(config["class_name"]):
        function = config["config"].get("function")
        if function not in OPERATIONS and function != "__operators__.getitem":
            yield f"{_called(config)}: tf.{function} isn't known in Keras 3"
        return
    try:
        new = new_layer(config)
    except UnsupportedError as error:
        yield f"{_called(config)}: {error.message}"
        return
    if not _is_layer(_class(new), keras.layers.Layer):
        yield f"{_called(config)}: Keras 3 has no such layer"
    for option, value in new.options.items():
        if isinstance(value, Mapping) and option not in INNER and "class_name" in value:
            kind = getattr(keras, value["module"].rpartition(".")[2])
            if not isinstance(getattr(kind, value["class_name"], None), type):
                yield f"{_called(config)}: Keras 3 has no {option} {value['class_name']}"
    for option in INNER:
        for inner in _configs(new.options.get(option)):
            yield from _problems(inner)


def _class(new: NewLayer) -> Any:
    """The class of a layer, or None; modules come from a list here, never from a config."""
    import keras  # deferred: as above

    if not new.application:
        return getattr(keras.layers, new.name, None)
    try:
        module = import_module(f"keras.src.applications.{new.application}")
    except ImportError:  # no public one has them
        return None
    return getattr(module, new.name, None)


def _is_layer(found: Any, base: Any) -> bool:
    """Whether it is a class of layers, and none that would read a program from elsewhere."""
    return (isinstance(found, type) and issubclass(found, base)
            and found.__name__ not in _PROGRAMS)


def _configs(value: Any) -> list[Config]:
    if isinstance(value, Mapping):
        return [value]
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _called(config: Config) -> str:
    name = config.get("name") or config.get("config", {}).get("name")
    return f"{config['class_name']} {name!r}" if name else str(config["class_name"])


# ------------------------------------------------------------------------------- making it

def _model(config: Config) -> Any:
    inside = config["config"]
    make = _sequential if config["class_name"] == "Sequential" else _functional
    model = make(inside)
    if inside.get("trainable") is False:
        model.trainable = False
    return model


def _sequential(config: Config) -> Any:
    import keras  # deferred: as above

    layers = list(config["layers"])
    model = keras.Sequential(name=_name(config))
    if layers and layers[0]["class_name"] != "InputLayer":
        shape = layers[0]["config"].get("batch_input_shape") or config.get("build_input_shape")
        if shape:
            model.add(keras.Input(batch_shape=tuple(shape)))
    for layer in layers:
        made = _input(layer) if layer["class_name"] == "InputLayer" else _layer(layer)
        _call(layer, model.add, made)
    return model


def _input(config: Config) -> Any:
    import keras  # deferred: as above

    options = new_layer(config).options
    return keras.Input(batch_shape=tuple(options["batch_input_shape"]),
                       dtype=options.get("dtype"), sparse=bool(options.get("sparse")),
                       name=_name(options))


def _layer(config: Config) -> Any:
    """A layer, with those inside it."""
    if is_model_config(config):
        return _model(config)
    new: NewLayer = new_layer(config)
    options = dict(new.options)
    for option in INNER:
        value = options.get(option)
        if isinstance(value, Mapping):
            options[option] = _layer(value)
        elif option == "cells" and value:
            options[option] = [_layer(cell) for cell in value]
    if options.get("name"):
        options["name"] = _name(options)
    return _call(config, _class(new), **options)


def _name(config: Config) -> Any:
    return new_name(str(config["name"])) if config.get("name") else None


def _call(config: Config, function: Any, *args: Any, **options: Any) -> Any:
    try:
        return function(*args, **options)
    except _NotMadeError:
        raise
    except Exception as error:  # whatever Keras or its backend raises
        reason = error.message if isinstance(error, UnsupportedError) else str(error)
        first = reason.strip().splitlines() or [type(error).__name__]
        raise _NotMadeError(f"{_called(config)}: {first[0]}") from error


def _functional(config: Config) -> Any:
    import keras  # deferred: as above

    graph = _Graph(config["layers"])
    return keras.Model(graph.ends(config["input_layers"]), graph.ends(config["output_layers"]),
                       name=_name(config))


class _Graph:
    """The layers of a functional model, and the tensors that their calls give."""

    def __init__(self, layers: list[Config]) -> None:
        self.configs = {layer.get("name") or layer["config"]["name"]: layer for layer in layers}
        # A model's own first call is counted, and isn't listed.
        self.first = {name: 1 if is_model_config(layer) else 0
                      for name, layer in self.configs.items()}
        self.layers: dict[str, Any] = {}
        self.outputs: dict[tuple[str, int], list[Any]] = {}
        self._call_all()

    def _call_all(self) -> None:
        """Call every layer, each call as soon as all of its inputs are there."""
        waiting = {name: list(layer.get("inbound_nodes") or ())
                   for name, layer in self.configs.items()}
        for name, layer in self.configs.items():
            if layer["class_name"] == "InputLayer":
                self.outputs[name, 0] = [_input(layer)]
            elif not is_operation(layer["class_name"]):
                self.layers[name] = _layer(layer)
        done = dict(self.first)
        while any(waiting.values()):
            before = len(self.outputs)
            for name, nodes in waiting.items():
                while nodes and all(use in self.outputs for use in _uses(nodes[0])):
                    self.outputs[name, done[name]] = self._call(name, nodes.pop(0))
                    done[name] += 1
            if len(self.outputs) == before:
                stuck = ", ".join(name for name, nodes in waiting.items() if nodes)
                raise _NotMadeError(f"inputs of {stuck} are none of its layers")

    def _call(self, name: str, node: Any) -> list[Any]:
        import keras  # deferred: as above

        config = self.configs[name]
        inputs, options = self._inputs(node), self._options(node)
        if is_operation(config["class_name"]):
            value = _call(config, call_operation, keras.ops, config["config"]["function"],
                          inputs, options)
            value._keras_history.operation.name = name  # noqa: SLF001  # its own may be a layer's
        else:
            if config["class_name"] in _RECURRENT and isinstance(inputs, list):
                inputs, *options["initial_state"] = inputs  # Keras 3 takes them apart
                # and then doesn't pass the mask on by itself, as Keras 2 does
                options.setdefault("mask", getattr(inputs, "_keras_mask", None))
            value = _call(config, self.layers[name], inputs, **options)
        return list(keras.tree.flatten(value))

    def _inputs(self, node: Any) -> Any:
        """What a layer is called on: a tensor, or several in whatever structure."""
        if _is_use(node):
            return node[2] if node[0] == "_CONSTANT_VALUE" else self.outputs[node[0], node[1]][
                node[2]]
        if isinstance(node, Mapping):
            return {name: self._inputs(item) for name, item in node.items()}
        found = [self._inputs(item) for item in node]
        return found[0] if len(found) == 1 else found

    def _options(self, node: Any) -> dict[str, Any]:
        while not _is_use(node):
            node = next(iter(node.values())) if isinstance(node, Mapping) else node[0]
        return dict(self.tensors(node[3])) if len(node) > 3 else {}

    def ends(self, value: Any) -> Any:
        """The inputs or outputs of the model; a list of one is that one."""
        found = self.tensors(value)
        return found[0] if isinstance(found, list) and len(found) == 1 else found

    def tensors(self, value: Any) -> Any:
        """A value with its tensors in the place of their names."""
        if isinstance(value, Mapping):
            return {name: self.tensors(item) for name, item in value.items()}
        if not isinstance(value, list):
            return value
        if _is_use(value) and (value[0], value[1]) in self.outputs:
            return self.outputs[value[0], value[1]][value[2]]
        return [self.tensors(item) for item in value]


def _is_use(value: Any) -> bool:
    """Whether a list names a tensor: a layer, its call, which of its results, and options."""
    return (isinstance(value, list) and 3 <= len(value) <= 4 and isinstance(value[0], str)
            and type(value[1]) is int)


def _uses(value: Any) -> Iterator[tuple[str, int]]:
    """Every call whose result is in a value."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _uses(item)
    elif _is_use(value):
        if value[0] != "_CONSTANT_VALUE":
            yield value[0], value[1]
        yield from _uses(value[3] if len(value) > 3 else None)
    elif isinstance(value, list):
        for item in value:
            yield from _uses(item)
