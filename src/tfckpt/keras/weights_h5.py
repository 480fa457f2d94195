"""``.weights.h5``, where Keras 3 keeps a model's weights and its optimizer's variables.

An HDF5 file. Layers are groups named after their class (``layers/dense_1``), the layer's own name
is an attribute, and weights are numbered (``vars/0``). What each weight is called isn't stored; it
follows from the class. Here tensors have names as Keras gives them, ``logits/kernel``, and
those of the optimizer their path, ``optimizer/vars/2``.

Source: src/saving/saving_lib.py of Keras 3.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry, GivenIndex
from tfckpt.errors import NotACheckpointError
from tfckpt.keras.h5 import H5Source

if TYPE_CHECKING:
    import h5py

__all__ = ["OPTIMIZER", "WeightsH5", "is_weights_h5"]

OPTIMIZER = "optimizer"
_NUMBERED = re.compile(r"(.+?)(?:_\d+)?")
# Weights of a class in the order of its numbers, as far as shapes don't tell.
_WEIGHTS = {
    "embedding": ("embeddings",), "p_re_lu": ("alpha",),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"), "group_normalization": ("gamma", "beta"),
    "normalization": ("mean", "variance", "count"),
    "separable_conv1d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "lstm_cell": ("kernel", "recurrent_kernel", "bias"),
    "gru_cell": ("kernel", "recurrent_kernel", "bias"),
    "simple_rnn_cell": ("kernel", "recurrent_kernel", "bias"),
}


def is_weights_h5(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a ``.weights.h5`` file, by its name."""
    return as_path(path).endswith(".weights.h5")


class WeightsH5(H5Source):
    """An opened ``.weights.h5`` file.

    Args:
        path: Its path.

    Raises:
        CheckpointError: It can't be opened, or isn't one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        with self.reading_structure():
            self._read_structure()

    def _read_structure(self) -> None:
        self.optimizer_name = (_name_of(self._file, OPTIMIZER + "/inner_optimizer")
                               or _name_of(self._file, OPTIMIZER))
        entries = list(self._entries())
        if not entries:
            raise NotACheckpointError("the file has no weights as Keras 3 stores them",
                                      file=self.prefix)
        self._index = GivenIndex(entries)

    def _entries(self) -> Iterator[Entry]:
        found: list[tuple[str, str]] = []
        for path, dataset in _datasets(self._file):
            group = path.rpartition("/vars/")[0]
            if path.startswith(OPTIMIZER + "/"):
                found.append((path, path))
            else:
                found.append((self._name(group, path, dataset), path))
        names = Counter(name for name, _ in found)
        for name, path in found:
            yield self.entry(name if names[name] == 1 else path, path)

    def _name(self, group: str, path: str, dataset: Any) -> str:
        """Names of the layers on the way, and of the weight."""
        parts = group.split("/")
        titles = [title for n in range(1, len(parts) + 1)
                  if (title := _name_of(self._file, "/".join(parts[:n])))]
        return "/".join([*titles, _weight(self._file[group + "/vars"], parts[-1],
                                          titles[-1] if titles else "", path)])


def _datasets(file: h5py.File) -> list[tuple[str, Any]]:
    """Every numbered dataset below a group ``vars``, in the order of the numbers."""
    found: list[tuple[str, Any]] = []

    def visit(path: str, item: Any) -> None:
        head, _, last = path.rpartition("/")
        if hasattr(item, "dtype") and last.isdecimal() and head.rpartition("/")[2] == "vars":
            found.append((path, item))

    file.visititems(visit)
    return sorted(found, key=lambda item: (item[0].rpartition("/")[0],
                                           int(item[0].rpartition("/")[2])))


def _name_of(file: h5py.File, group: str) -> str:
    """The name that the object of a group has in its program."""
    holder = file.get(group + "/vars" if group else "vars")
    name = holder.attrs.get("name", "") if holder is not None else ""
    return name.decode() if isinstance(name, bytes) else str(name)


def _weight(holder: Any, group: str, title: str, path: str) -> str:
    number = int(path.rpartition("/")[2])
    for word in (group, title):
        match = _NUMBERED.fullmatch(word)
        known = _WEIGHTS.get(match[1] if match else word, ())
        if len(known) == len(holder):
            return known[number]
        if known == _WEIGHTS["batch_normalization"] and len(holder) == 3:
            return (str(number), *known[2:])[number]  # without scale, or without center
    shapes = [holder[str(n)].shape for n in range(len(holder))]
    if len(shapes) <= 2 and len(shapes[0]) > 1:
        return ("kernel", "bias")[number]
    return str(number)
