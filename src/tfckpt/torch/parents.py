"""Modules of PyTorch as stand-ins: the modules and variables in them, as TensorFlow has them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

from tfckpt.errors import VariableError
from tfckpt.torch.images import check_images
from tfckpt.torch.leaves import TorchVariable
from tfckpt.torch.rows import Weights
from tfckpt.torch.ties import note_ties, owner_of
from tfckpt.torch.walking import modules_in, seen, walk
from tfckpt.train.adapters import Adapter, stand_in
from tfckpt.train.standins import LiveObject

__all__ = ["TorchModule", "named_variables", "variables_by_name"]


class TorchModule(LiveObject):
    """A module: its weights as TensorFlow would have them, and the modules in it."""

    def __init__(self, live: Any, memory: dict[str, Any], adapter: Adapter) -> None:
        super().__init__(live, memory, adapter)
        # Those that somebody has; each of them keeps this object.
        self._made: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()

    def _trackable_children(self) -> dict[str, Any]:
        check_images(self.live)
        note_ties(self.live)
        children = self.below("")
        for name, module in modules_in(self.live, seen(self.live).hidden).items():
            if name in children:
                raise VariableError("a layer and a module in it would have one name", tensor=name,
                                    got=type(self.live).__name__)
            children[name] = module
        return children

    def variable(self, weights: Weights, index: int) -> TorchVariable:
        """The stand-in of a variable; always the same one while anybody has it."""
        found: TorchVariable | None = self._made.get((weights, index))
        if found is None:
            found = self._made[weights, index] = TorchVariable(self, weights, index)
        return found

    def group(self, path: str) -> Group:
        """The stand-in of an object that TensorFlow has between a layer and its variables."""
        found: Group | None = self._made.get(path)
        if found is None:
            found = self._made[path] = Group(self, path)
        return found

    def variables(self) -> Iterator[tuple[str, str, TorchVariable]]:
        """The variables that the module stores itself, each with its path and name."""
        for weights in seen(self.live).weights:
            owner = owner_of(self.live, weights)
            module, known = (self, weights) if owner is None else (stand_in(owner[0]), owner[1])
            for index, path in enumerate(weights.paths):
                yield path, weights.saver_paths[index], module.variable(known, index)

    def below(self, prefix: str) -> dict[str, Any]:
        """Children of the layer, or of an object in it whose path begins so."""
        children: dict[str, Any] = {}
        for path, _, variable in self.variables():
            if path.startswith(prefix):
                name, slash, _ = path[len(prefix):].partition("/")
                child = self.group(prefix + name + "/") if slash else variable
                if children.setdefault(name, child) is not child:
                    raise _one_name(prefix + name, (children[name], child))
        return children

    def saver_variables(self, name: str) -> dict[str, Any]:
        found = variables_by_name(self.live, by_path=False)
        return {"/".join(filter(None, (name, own))): item[2] for own, item in found.items()}


class Group(LiveObject):
    """An object that TensorFlow has between a layer and its variables: a cell, a dense layer.

    Args:
        parent: The layer's stand-in, which this one keeps alive.
        path: Its path below the layer, with a slash at the end.
    """

    def __init__(self, parent: TorchModule, path: str) -> None:
        self.parent, self.path = parent, path
        memory = parent.memory.setdefault("groups", {}).setdefault(path, {})
        super().__init__(parent.live, memory, parent.adapter)

    def refer(self) -> Callable[[], Any]:
        module, path = weakref.ref(self.live), self.path

        def again() -> Any:
            found = module()
            return None if found is None else stand_in(found).group(path)

        return again

    def _trackable_children(self) -> dict[str, Any]:
        return self.parent.below(self.path)


def named_variables(root: Any) -> Iterator[tuple[tuple[str, ...], str, str, TorchVariable]]:
    """Every variable of a module and of those in it, once.

    Yields:
        The attributes that lead to its module, its path and its name below that, and its stand-in.

    Raises:
        VariableError: Which layout a layer has can't be told.
    """
    check_images(root)
    note_ties(root)
    done: set[int] = set()
    kept = []  # a stand-in that nobody has is made anew, and would be another
    for place in walk(root):
        for path, name, variable in stand_in(place.module).variables():
            kept.append(variable)
            if id(variable) not in done:
                done.add(id(variable))
                yield place.names, path, name, variable


def variables_by_name(root: Any, *, by_path: bool
                      ) -> dict[str, tuple[tuple[str, ...], str, TorchVariable]]:
    """The same by their whole names, or by their whole paths.

    Raises:
        VariableError: Two would have one name; or as for `named_variables`.
    """
    found: dict[str, tuple[tuple[str, ...], str, TorchVariable]] = {}
    for names, path, name, variable in named_variables(root):
        key = "/".join((*names, path if by_path else name))
        if key in found:
            raise _one_name(key, (found[key][2], variable))
        found[key] = names, path, variable
    return found


def _one_name(name: str, both: tuple[Any, Any]) -> VariableError:
    """The error for two variables of which TensorFlow could have only one."""
    return VariableError("two of the module's variables would have one name in TensorFlow",
                         tensor=name, got=" and ".join(map(repr, both)),
                         hint="Give one of them, or its module, another attribute.")
