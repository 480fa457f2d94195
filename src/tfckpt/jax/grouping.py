"""Layers of a tree, the variables that they are in TensorFlow, and what was said of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from tfckpt.errors import FormatError, TensorNotFoundError, nearest
from tfckpt.jax.layouts import SAME, FlaxLayout
from tfckpt.train.allowing import check_layouts

__all__ = ["Choices", "Layer", "Path", "Shape", "Weight", "group_layers", "named"]

Path = tuple[str, ...]
Shape = tuple[int, ...]

_CHOICE = re.compile(r"(\w+)(\(\s*-?[\d.]+\s*\))?")
_COLLECTIONS = ("params", "batch_stats")


class Weight(NamedTuple):
    """A variable of TensorFlow, and what it is in the tree.

    Attributes:
        name: Its name; layers have the names of the tree.
        shape: Its shape.
        paths: The values of the tree that it becomes.
        layout: How they lie.
    """

    name: str
    shape: Shape
    paths: tuple[Path, ...]
    layout: FlaxLayout = SAME

    @property
    def places(self) -> str:
        """The paths, in short.

        Example:
            >>> Weight("cell/bias", (8,), (("cell", "hi", "bias"), ("cell", "hf", "bias"))).places
            'cell/{hi,hf}/bias'
        """
        columns = list(zip(*self.paths, strict=False))
        if len({len(path) for path in self.paths}) > 1 or sum(
                len(set(column)) > 1 for column in columns) > 1:
            return ", ".join(map("/".join, self.paths))
        return "/".join(column[0] if len(set(column)) == 1 else f"{{{','.join(column)}}}"
                        for column in columns)


class Layer(NamedTuple):
    """What stands below one path, without the collections.

    Attributes:
        path: It.
        values: Path and shape of each value that stands right there.
        below: Names of the layers below it.
    """

    path: Path
    values: dict[str, tuple[Path, Shape]]
    below: list[str]

    @property
    def name(self) -> str:
        """The path as text."""
        return "/".join(self.path)

    def weight(self, leaf: str, name: str, layout: FlaxLayout = SAME, shape: Shape | None = None
               ) -> Weight:
        """One value that is one variable."""
        path, own = self.values[leaf]
        return Weight(named(self.path, name), own if shape is None else shape, (path,), layout)


class Choices:
    """What was said of layers.

    Args:
        given: By their names; one with ``*`` stands for all layers that can be this.
        shapes: Shapes that the other side has, if it is known.
        classes: Classes of NNX's modules by their paths.
        own: Shapes that the tree itself has.
        names: Names that the other side has, if it is known.

    Attributes:
        picked: Names of the layers for which something was said.

    Raises:
        VariableTypeError: What was said, or a name, isn't text.
    """

    def __init__(self, given: Mapping[str, str], shapes: Collection[Shape] | None = None,
                 classes: Mapping[Path, str] | None = None, own: Collection[Shape] = (),
                 names: Collection[str] | None = None) -> None:
        check_layouts(given)
        self.given = dict(given)
        self.picked: set[str] = set()
        self._used: set[str] = set()
        self.shapes = shapes
        self.classes = classes or {}
        self.own = own
        self._words = None if names is None else {
            part for name in names for part in name.split("/")}
        self._last_words = {name.rpartition("/")[2] for name in names or ()}

    def pick(self, layer: Layer, kinds: Iterable[str]) -> tuple[str, str]:
        """What was said of a layer, and its number in parentheses; two empty texts if nothing was.

        Args:
            layer: The layer.
            kinds: What it can be.

        Raises:
            FormatError: It can't be what was said.
        """
        names = [layer.name, *(name for name in self.given if "*" in name and fnmatchcase(
            layer.name, name))]
        for name in names:
            text = self.given.get(name)
            found = _CHOICE.fullmatch(text) if text is not None else None
            if found is not None and found[1] in kinds:
                self._used.add(name)
                self.picked.add(layer.name)
                return found[1], found[2] or ""
            if text is not None and name == layer.name:
                raise FormatError("a layer can't be this", got=repr(text), tensor=name,
                                  expected=f"one of {', '.join(kinds)}")
        return "", ""

    def check_used(self, layers: Iterable[str]) -> None:
        """See that all that was said was of some use, when all layers are known.

        Raises:
            TensorNotFoundError: There is no such layer.
            FormatError: There is none that could be this.
        """
        names = list(layers)
        for name in self.given.keys() - self._used:
            if name in names or "*" in name:
                raise FormatError("no layer of this name can be this", got=repr(self.given[name]),
                                  tensor=name)
            near = nearest(name, names)
            raise TensorNotFoundError("layouts names a layer that the tree doesn't have",
                                      tensor=name,
                                      hint=f"Nearest: {', '.join(near)}." if near else None)

    def has_word(self, word: str) -> bool:
        """Whether the other side has this in a name, or isn't known."""
        return self._words is None or word in self._words

    def ends_in(self, word: str) -> bool:
        """Whether the other side has a tensor whose name ends in this, as a layer here does."""
        return word in self._last_words

    def prefers(self, wanted: Shape, default: Shape) -> bool:
        """Whether the other side has one shape, and hasn't the other one."""
        return self.shapes is not None and wanted in self.shapes and default not in self.shapes


def named(path: Path, leaf: str) -> str:
    """The name of a variable."""
    return "/".join((*path, leaf))


def group_layers(leaves: Iterable[tuple[Path, Shape]]) -> dict[Path, Layer]:
    """The layers of a tree, outer ones before those in them."""
    layers: dict[Path, Layer] = {}

    def layer(path: Path) -> Layer:
        if path not in layers:
            if path:
                layer(path[:-1]).below.append(path[-1])
            layers[path] = Layer(path, {}, [])
        return layers[path]

    listed = list(leaves)
    is_linen = any(path[0] == _COLLECTIONS[0] and len(path) > 1 for path, _ in listed)
    trained = {path[1:] for path, _ in listed if path[0] == _COLLECTIONS[0]}
    for path, shape in listed:
        short = path[1:] if is_linen and path[0] in _COLLECTIONS and len(path) > 1 else path
        if short in trained and path[0] != _COLLECTIONS[0]:
            short = path  # both collections have it: two values, which need two names
        layer(short[:-1]).values[short[-1]] = path, shape
    return layers
