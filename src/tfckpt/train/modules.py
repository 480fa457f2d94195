"""Objects with a name, that list their variables.

Source: python/module/module.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from tfckpt.errors import VariableError
from tfckpt.train.graphs import executing_eagerly, name_scope
from tfckpt.train.objects import Trackable
from tfckpt.train.variables import Variable

__all__ = ["Module"]


class Module(Trackable):
    """A `Trackable` with a name, that lists its variables.

    Args:
        name: Its name; that of its class in snake case by default. In a `Graph` a second
            one is numbered.

    Example:
        >>> class MyLayer(Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         with self.name_scope:
        ...             self.kernel = Variable([1.0], name="kernel")
        >>> layer = MyLayer()
        >>> layer.name, layer.variables[0].name
        ('my_layer', 'my_layer/kernel:0')
    """

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = _snake_case(type(self).__name__)
        elif not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise VariableError("a module's name must be a valid Python identifier", got=repr(name))
        with name_scope(name) as prefix:
            self.__dict__["_scope_name"] = prefix or name + "/"
        self.__dict__["_name"] = (name if executing_eagerly()
                                  else self._scope_name.rstrip("/").rpartition("/")[2])

    _scope_name: str
    _name: str

    @property
    def name(self) -> str:
        """Its name, as given or made."""
        return self._name

    @property
    def name_scope(self) -> AbstractContextManager[str]:
        """A name scope for its variables; an exception in it leaves no scope open."""
        return name_scope(self._scope_name)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Its own variables, and then those of its submodules, each once."""
        return tuple(_flatten(self, Variable))

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        """Those of its variables that are trainable."""
        return tuple(variable for variable in self.variables if variable.trainable)

    @property
    def submodules(self) -> tuple[Module, ...]:
        """Every module below it, each once."""
        return tuple(module for module in _flatten(self, Module) if module is not self)


def _snake_case(name: str) -> str:
    spaced = re.sub(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))", r"_\1", name)
    return spaced.lower()


def _flatten(module: Module, kind: type) -> Iterator[Any]:
    """Objects of a kind below a module: its own first, then those of its submodules."""
    seen: set[int] = set()
    modules, queue = {id(module)}, [module]
    while queue:
        current = queue.pop(0)
        below: list[Module] = []
        # TensorFlow sorts attributes by name here, unlike in checkpoints.
        for name in sorted(vars(current)):
            if name in {"_tracked", "_waiting", "_waiting_for_any"}:
                continue
            for leaf in _leaves(vars(current)[name]):
                if isinstance(leaf, kind) and id(leaf) not in seen:
                    seen.add(id(leaf))
                    yield leaf
                if isinstance(leaf, Module) and id(leaf) not in modules:
                    modules.add(id(leaf))
                    below.append(leaf)
        queue = below + queue


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _leaves(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
