"""Legacy ``.h5``: where Keras until 2.15 keeps weights by the names of layers.

An HDF5 file with a group for each layer. The attribute ``layer_names`` lists them in the model's
order, ``weight_names`` of each the layer's weights in theirs; a whole model has all this below
``model_weights``, and its config in an attribute.

Source: src/saving/legacy/hdf5_format.py of Keras 2, src/legacy/saving/legacy_h5_format.py of 3.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry, GivenIndex
from tfckpt.errors import NotACheckpointError
from tfckpt.keras.h5 import H5Source, damage_told, open_h5

__all__ = ["LegacyH5", "is_legacy_h5"]


def is_legacy_h5(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a legacy HDF5 file, by its name."""
    name = as_path(path)
    if name.endswith(".weights.h5"):  # the name that Keras 3 demands; Keras 2 took any
        return os.path.isfile(name) and _lists_layers(name)
    return name.endswith((".h5", ".hdf5"))


def _lists_layers(path: str) -> bool:
    with open_h5(path) as file, damage_told(path):
        return _has_list(file, "layer_names") or "model_weights" in file


class LegacyH5(H5Source):
    """An opened legacy ``.h5`` file. Keys are names of weights: ``conv/kernel``.

    Attributes:
        groups: Name and entry of each weight of each layer, in the order of the file.
        model_config: The model's config as JSON, if the file holds a whole model.

    Raises:
        CheckpointError: It can't be opened, or isn't one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        with self.reading_structure():
            text = self._file.attrs.get("model_config")
            self.model_config: str | bytes | None = text
            self.groups = self._read_groups()
        self._index = GivenIndex(entry for weights in self.groups.values() for _, entry in weights)

    def _read_groups(self) -> Mapping[str, Sequence[tuple[str, Entry]]]:
        top = "model_weights" if "model_weights" in self._file else ""
        holder = self._file[top] if top else self._file
        if not _has_list(holder, "layer_names"):
            raise NotACheckpointError("the file has no weights as Keras 2 stores them in HDF5",
                                      file=self.prefix)
        groups: dict[str, list[tuple[str, Entry]]] = {}
        for layer in [*_list_of(holder, "layer_names"), "top_level_model_weights"]:
            group = holder.get(layer)
            if group is None or layer in groups:
                continue
            rows = []
            for name in _list_of(group, "weight_names"):
                path = "/".join(part for part in (top, layer, name) if part)
                rows.append((name, self._weight(layer, name, path)))
            if rows or layer != "top_level_model_weights":
                groups[layer] = rows
        return groups

    def _weight(self, layer: str, name: str, path: str) -> Entry:
        plain = name.removesuffix(":0")
        key = plain if plain.startswith(layer + "/") else f"{layer}/{plain}"
        while key in self.paths:  # weights of one name in one layer
            key += "'"
        return self.entry(key, path)


def _has_list(holder: Any, name: str) -> bool:
    return name in holder.attrs or f"{name}0" in holder.attrs


def _list_of(holder: Any, name: str) -> list[str]:
    """A list of names in an attribute, or in several if it was too long for one."""
    if name in holder.attrs:
        items = list(holder.attrs[name])
    else:
        items, n = [], 0
        while f"{name}{n}" in holder.attrs:
            items += list(holder.attrs[f"{name}{n}"])
            n += 1
    return [item.decode() if isinstance(item, bytes) else str(item) for item in items]
