"""The config of a Keras 2 model: what its layers compute and how they are wired.

``model.to_json()`` gives it; whole models in HDF5 and SavedModels have it in them. Layers stand
in it in the order in which the checkpoint numbers them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from tfckpt.core.discovery import as_path
from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError, FormatError, MismatchError, StorageError
from tfckpt.format import proto
from tfckpt.keras.oldops import OPERATIONS, is_operation
from tfckpt.keras.saved import Saved
from tfckpt.keras.wiring import COMMUTATIVE, Graph, Wire, chain, colours, layer_kind

__all__ = ["colours_of", "find_config", "read_config"]

_BESIDE = ("model.json", "config.json", "model_config.json", "architecture.json")
_CALLS = {"__operators__.getitem": "GetItem", "math.abs": "Absolute"}  # others go by their names


def read_config(config: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, Any]:
    """A model's config, given or in a JSON file.

    Raises:
        StorageError: The file can't be read.
        FormatError: It isn't a model's config.
    """
    if isinstance(config, Mapping):
        found: Any = config
        file = None
    else:
        file = as_path(config)
        try:
            with open(file, encoding="utf-8") as stream:
                found = json.load(stream)
        except OSError as error:
            raise StorageError(f"cannot read: {error.strerror}", file=file) from None
        except (ValueError, RecursionError) as error:
            raise FormatError(f"the file is not JSON ({error})", file=file) from None
    if not _is_model(found):
        raise FormatError("this is no config of a Keras model", file=file,
                          expected="what model.to_json() gives", got=repr(found)[:60])
    return dict(found)


def find_config(source: Source) -> tuple[dict[str, Any], str] | None:
    """The config of the model in a file or beside it, and where it stands; None without one."""
    text = getattr(source, "model_config", None)
    if text:
        config = _parsed(text)
        return (config, "in the file") if config else None
    folder, name = os.path.split(source.prefix)
    metadata = os.path.join(os.path.dirname(folder), "keras_metadata.pb")
    if name == "variables" and os.path.isfile(metadata):
        config = _from_metadata(metadata)
        return (config, metadata) if config else None
    for candidate in (f"{name}.json", *_BESIDE):
        path = os.path.join(folder, candidate)
        if os.path.isfile(path):
            try:
                return read_config(path), path
            except CheckpointError:
                continue  # a file of that name may be anything
    return None


def _parsed(text: str | bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if _is_model(found) else None


def _from_metadata(path: str) -> dict[str, Any] | None:
    """The config of the root of a SavedModel that Keras 2 wrote."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        for node in proto.parse_fields(data):
            if node.number != 1:
                continue
            fields = {field.number: field for field in proto.parse_fields(node.as_bytes())}
            if 3 in fields and fields[3].as_text() == "root" and 5 in fields:
                facts = json.loads(fields[5].as_text())
                found = {"class_name": facts.get("class_name"), "config": facts.get("config")}
                return found if _is_model(found) else None
    except (OSError, ValueError, AttributeError, CheckpointError):
        return None
    return None


def _is_model(value: Any) -> bool:
    return (isinstance(value, dict) and isinstance(value.get("class_name"), str)
            and isinstance(value.get("config"), dict)
            and isinstance(value["config"].get("layers"), list))


def colours_of(config: Mapping[str, Any], root: Saved) -> dict[int, Hashable]:
    """What each saved layer is in the graph of its model.

    Raises:
        MismatchError: The config is that of another model.
    """
    found: dict[int, Hashable] = {}
    try:
        _colour(config, root, (), found)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise MismatchError(f"the model's config has another form ({error!r})") from None
    return found


def _colour(config: Mapping[str, Any], saved: Saved, above: tuple[Hashable, ...],
            found: dict[int, Hashable]) -> None:
    layers = config["config"]["layers"]
    if config["class_name"] == "Sequential":
        layers = [layer for layer in layers if layer["class_name"] != "InputLayer"]
        graph = chain([(layer["class_name"], layer["config"]) for layer in layers])
    else:
        graph = _graph(config["config"], layers)
    known = colours(graph)
    for n, item in _objects(layers, saved, is_chain=config["class_name"] == "Sequential"):
        layer = layers[n]
        if _is_model(layer):
            _colour(layer, item, (*above, known.get(n)), found)
        elif n in known:
            name = layer["config"].get("name")
            if item.words and not item.words.issuperset(name.split("/")):
                raise MismatchError("the config is that of another model", expected=name,
                                    got="/".join(sorted(item.words)))
            found.setdefault(id(item), (*above, known[n]))


def _objects(layers: Sequence[Mapping[str, Any]], saved: Saved, *, is_chain: bool
             ) -> list[tuple[int, Saved]]:
    """Number and saved object of each layer of a config."""
    objects = saved.every_layer or []
    if not saved.by_name:
        if is_chain and len(objects) == len(layers) + 1 and not objects[0].weights:
            objects = objects[1:]  # TensorFlow 1 saved the input, which isn't in the config
        if len(objects) != len(layers):
            raise MismatchError("the config is that of another model",
                                expected=f"{len(objects)} layers", got=len(layers))
        return list(enumerate(objects))
    by_name = {item.title: item for item in objects}  # a legacy file, whose models are flat
    return [(n, saved if _is_model(layer) else by_name[layer["config"]["name"]])
            for n, layer in enumerate(layers)
            if _is_model(layer) or layer["config"]["name"] in by_name]


def _graph(config: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> Graph:
    numbers = {layer.get("name") or layer["config"]["name"]: n for n, layer in enumerate(layers)}
    calls = {(n, at): [(numbers[name], index) for name, index in _calls(node)]
             for n, layer in enumerate(layers)
             for at, node in enumerate(layer.get("inbound_nodes") or [[]])}
    ends = [(numbers[name], index) for name, index, *_ in _ends(config["output_layers"])]
    first: dict[int, int] = {}  # a model's own first call counts, and isn't listed
    for n, index in (*ends, *(use for inputs in calls.values() for use in inputs)):
        if (n, index) not in calls:
            first[n] = 1
    places = {use: place for place, use in enumerate(calls)}

    def place(use: tuple[int, int]) -> int:
        return places[use[0], use[1] - first.get(use[0], 0)]

    wires = [Wire(n, tuple(map(place, inputs))) for (n, _), inputs in calls.items()]
    outputs = list(map(place, ends))
    names = {n: _class(layer) for n, layer in enumerate(layers)}
    kinds = {n: layer_kind(names[n], layer["config"]) for n, layer in enumerate(layers)}
    return Graph(wires, outputs, kinds,
                 frozenset(n for n, name in names.items() if name in COMMUTATIVE))


def _class(layer: Mapping[str, Any]) -> str:
    """The class of a layer, or of the operation that a function is in Keras 3."""
    function = layer["config"].get("function")
    name = str(layer["class_name"])
    if not isinstance(function, str) or not is_operation(name):
        return name
    if function in OPERATIONS and function not in _CALLS:
        return "".join(map(str.capitalize, OPERATIONS[function].name.split("_")))
    return _CALLS.get(function, name)


def _ends(value: Any) -> list[Any]:
    """The output layers, in whatever structure they stand, in order."""
    if isinstance(value, dict):
        return [end for key in sorted(value) for end in _ends(value[key])]
    if value and isinstance(value[0], str):
        return [value]
    return [end for item in value for end in _ends(item)]


def _calls(node: Any) -> list[tuple[str, int]]:
    """The layers that a node takes its inputs from: ``[[name, node, tensor, kwargs], ...]``."""
    if isinstance(node, dict):  # Keras 3
        return [(history[0], history[1]) for history in _histories(node)]
    if node and isinstance(node[0], str):
        node = [node]
    found = []
    for item in node:
        if item[0] != "_CONSTANT_VALUE":
            found.append((item[0], item[1]))
        arguments = item[3] if len(item) > 3 else {}
        found += [(value[0], value[1]) for name, value in arguments.items() if name != "mask"
                  and isinstance(value, list) and list(map(type, value)) == [str, int, int]]
    return found


def _histories(value: Any) -> list[Any]:
    if isinstance(value, dict):
        if "keras_history" in value:
            return [value["keras_history"]]
        return [found for item in value.values() for found in _histories(item)]
    if isinstance(value, list):
        return [found for item in value for found in _histories(item)]
    return []
