"""The values of a tree by their paths, and the tree with other values in their places.

Parts that can change, the variables and modules of Flax's NNX, get the new values themselves. All
other parts are made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from tfckpt.errors import VariableTypeError
from tfckpt.format.dtypes import DType
from tfckpt.jax.adapter import ADAPTER
from tfckpt.jax.arrays import array_of, dtype_of, like, shape_of
from tfckpt.jax.containers import (
    box_of,
    is_leaf,
    is_nnx_module,
    is_nnx_variable,
    is_random,
    items_of,
    value_of,
)
from tfckpt.jax.trees import JaxTree
from tfckpt.train.treenames import names_of_tree

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Leaf", "classes_of", "leaves_of", "with_values"]

Path = tuple[str, ...]


class Leaf(NamedTuple):
    """One value of a tree.

    Attributes:
        path: Where it is.
        value: It, without what Flax has around it.
        is_random: Whether it is the state of a random generator, and no weight.
    """

    path: Path
    value: Any
    is_random: bool

    @property
    def name(self) -> str:
        """Its path as text."""
        return "/".join(self.path)

    @property
    def dtype(self) -> DType:
        """The dtype that it is stored with."""
        return dtype_of(self.value, self.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that it is stored with."""
        return shape_of(self.value)

    @property
    def is_described(self) -> bool:
        """Whether there is no value yet, only what it will be like."""
        return isinstance(self.value, jax.ShapeDtypeStruct)

    def array(self) -> Array:
        """It as a read-only array."""
        return array_of(self.value, self.name)


def _stops(value: Any) -> bool:
    return is_nnx_variable(value) or is_nnx_module(value) or box_of(value) is not None


def _parts(tree: Any) -> Iterator[tuple[Path, Any]]:
    pairs, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=_stops)
    for keys, part in pairs:
        yield tuple(str(next(getattr(key, kind) for kind in ("key", "name", "idx")
                             if hasattr(key, kind))) for key in keys), part


def _plain(part: Any) -> Any:
    """A value without a variable or a box around it."""
    if is_nnx_variable(part):
        return value_of(part)
    return part if box_of(part) is None else part.unbox()


def leaves_of(tree: Any) -> list[Leaf]:
    """The values of a tree; a variable that is in two places of a module is there once.

    Raises:
        VariableTypeError: There are none, or this is an array alone.
    """
    found = []
    for path, part in _parts(tree):
        if is_nnx_module(part):
            places = names_of_tree(part, JaxTree.of(part, ADAPTER))
            found += [Leaf((*path, *name.split("/")), place.now, is_random(place.live, place.now))
                      for name, place in places.items()]
        elif is_leaf(part):
            found.append(Leaf(path, _plain(part), is_random(part, _plain(part))))
    if not found or not found[0].path:
        raise VariableTypeError("this is no tree with values of JAX in it",
                                got=type(tree).__name__,
                                hint="Give nested dicts of arrays, or a module of flax.nnx.")
    return found


def with_values(tree: Any, arrays: Mapping[Path, Array]) -> Any:
    """A tree of the same structure, with other values, on the devices of the old ones.

    Args:
        tree: The tree. Modules of NNX are changed and stay themselves.
        arrays: New values, of the dtypes and shapes of the old ones, by their paths. Those of
            other paths stay.
    """
    old = {leaf.path: leaf.value for leaf in leaves_of(tree)}
    new = {path: like(old[path], array) for path, array in arrays.items()}  # all can fail
    flat, structure = jax.tree_util.tree_flatten(tree, is_leaf=_stops)
    made = []
    for (path, part), same in zip(_parts(tree), flat, strict=True):
        if is_nnx_module(part):
            for name, place in names_of_tree(part, JaxTree.of(part, ADAPTER)).items():
                value = new.get((*path, *name.split("/")))
                if value is not None and place.set_value is not None:
                    place.set_value(value)
            made.append(same)
        else:
            made.append(_around(part, new[path]) if path in new else same)
    return jax.tree_util.tree_unflatten(structure, made)


def _around(part: Any, value: Any) -> Any:
    """A value with what was around the old one."""
    if is_nnx_variable(part):
        return part.replace(value)
    return value if box_of(part) is None else part.replace_boxed(value)




def classes_of(tree: Any) -> dict[Path, str]:
    """The class of each module of NNX in a tree; nothing for other layers.

    A ``ConvTranspose`` that takes its kernel as TensorFlow's does is told as a ``Conv``.
    """
    found: dict[Path, str] = {}

    def walk(path: Path, node: Any, seen: frozenset[int]) -> None:
        for item in items_of(node):
            value = item.value
            if is_nnx_module(value) and id(value) not in seen:
                found[(*path, item.name)] = _class(value)
                walk((*path, item.name), value, seen | {id(value)})

    for path, part in _parts(tree):
        if is_nnx_module(part):
            found[path] = _class(part)
            walk(path, part, frozenset({id(part)}))
    return found


def _class(module: Any) -> str:
    if getattr(module, "transpose_kernel", False):
        return "Conv"
    kinds = [kind.__name__ for kind in type(module).__mro__]
    return "ConvTranspose" if "ConvTranspose" in kinds else kinds[0]
