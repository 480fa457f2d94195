"""Which values of a checkpoint the matched objects take, and how they are given to them.

Source: python/checkpoint/{checkpoint,restore}.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tfckpt.core.index import Entry
from tfckpt.core.source import Source
from tfckpt.format.objectgraph import VARIABLE_VALUE, Attribute
from tfckpt.train.adapters import assign_all
from tfckpt.train.bindings import Bindings
from tfckpt.train.claims import claim, is_claimed
from tfckpt.train.fetching import read_values
from tfckpt.train.loadreport import Mismatch, RestoreError
from tfckpt.train.objects import PYTHON_STATE, PythonState, values_of
from tfckpt.train.refusals import mismatch, warn
from tfckpt.train.standins import LiveObject
from tfckpt.train.variables import Variable

__all__ = ["Load", "Taking", "give", "read_loads"]


class Load(NamedTuple):
    """Values that an object takes, by the value's name."""

    node_id: int
    value: Any
    wanted: dict[str, Entry]


class Taking:
    """What the objects that nodes were matched with take, and what they leave.

    Args:
        source: The checkpoint.
        bindings: Which node is which object.

    Attributes:
        filled: Nodes whose object has got its values, from here or from a later restore.
    """

    def __init__(self, source: Source, bindings: Bindings) -> None:
        self.filled: set[int] = set()
        self._source = source
        self._bindings = bindings
        self._unused: dict[int, list[Attribute]] = {}

    def plan(self, new: list[tuple[int, Any]], number: int) -> tuple[list[Load], list[Mismatch]]:
        """What newly matched objects take, in the order of the file, and what of it can't be.

        Args:
            new: Nodes and their objects.
            number: That of the restore.

        Raises:
            RestoreError: An object has other values than the checkpoint.
        """
        loads: dict[int, Load] = {}
        mismatched: list[Mismatch] = []
        for node_id, value in new:
            wanted = self._wanted(node_id, value)
            # An object that is stored twice takes what comes first, as in TensorFlow.
            if not wanted or id(value) in loads or is_claimed(value, number):
                continue
            loads[id(value)] = Load(node_id, value, wanted)
            for name, entry in wanted.items():
                mismatched += mismatch(self._path(node_id, name), value, entry)
        return sorted(loads.values(), key=lambda load: _place(load.wanted)), mismatched

    def forget(self, node_ids: Iterable[int]) -> None:
        """Take back what the objects of these nodes take."""
        for n in node_ids:
            self.filled.discard(n)
            self._unused.pop(n, None)

    def unused_keys(self) -> list[str]:
        """Keys that nothing took; configuration texts, which are optional, left out."""
        return [attribute.checkpoint_key or self._bindings.paths[n]
                for n, attribute in self._left()]

    def unused_paths(self) -> list[str]:
        """The same as paths, for people; nothing where the interpreter is ending."""
        if not VARIABLE_VALUE:  # modules are cleared, and some restores end only then
            return []
        return [self._path(n, attribute.name) for n, attribute in self._left()]

    def _left(self) -> list[tuple[int, Attribute]]:
        nodes = self._bindings.nodes
        found = [(n, attribute) for n, node in enumerate(nodes) if n not in self._bindings
                 for attribute in node.attributes]
        found += [(n, attribute) for n, unused in self._unused.items() for attribute in unused]
        # What a saver of the user's own wrote only that could read.
        found += [(n, Attribute(*node.registered_saver)) for n, node in enumerate(nodes)
                  if node.registered_saver and not node.attributes]
        return [(n, attribute) for n, attribute in found if not attribute.optional_restore]

    def _path(self, node_id: int, name: str) -> str:
        path = self._bindings.paths[node_id]
        return path if name in {VARIABLE_VALUE, PYTHON_STATE} else f"{path} ({name})"

    def _wanted(self, node_id: int, value: Any) -> dict[str, Entry]:
        """Entries of the values that an object takes, by the value's name."""
        attributes = self._bindings.nodes[node_id].attributes
        if not attributes:
            return {}
        names = values_of(value)
        wanted: dict[str, Entry] = {}
        unused: list[Attribute] = []
        for attribute in attributes:
            found = self._entries(attribute, names)
            wanted |= found
            if not found:
                unused.append(attribute)
        path = self._bindings.paths[node_id]
        lost = [attribute for attribute in unused if not attribute.optional_restore]
        if wanted and (lost or len(wanted) != len(names)):
            stored = [attribute.name for attribute in attributes]
            raise RestoreError("an object has other values in the program than in the checkpoint",
                               expected=f"{len(names)} ({', '.join(names)})",
                               got=f"{len(stored)} ({', '.join(stored)})",
                               tensor=path, file=self._source.prefix)
        self._unused[node_id] = unused
        if wanted:
            self.filled.add(node_id)
        for attribute in lost:
            warn(f"nothing takes the value {attribute.name} of {path} in the checkpoint")
        return wanted

    def _entries(self, attribute: Attribute, names: dict[str, Any]) -> dict[str, Entry]:
        """What an attribute stores for the values of these names.

        For lookup tables and others with names from long ago the key in the object graph is
        only the beginning of several.
        """
        index, key = self._source.index, attribute.checkpoint_key
        entry = index.get(key)
        if entry is not None:
            return {attribute.name: entry} if attribute.name in names else {}
        return {name: index[key + name.removeprefix(attribute.name)] for name in names
                if name.startswith(attribute.name)
                and key + name.removeprefix(attribute.name) in index}


def read_loads(source: Source, loads: list[Load]) -> list[dict[str, Any]]:
    """The values of all loads: read before anything is assigned, so that damage changes nothing."""
    values = iter(read_values(source, [
        (entry, load.value) for load in loads for entry in load.wanted.values()]))
    return [{name: next(values) for name in load.wanted} for load in loads]


def give(loads: list[Load], arrays: list[dict[str, Any]], number: int) -> None:
    """Give objects their values, by the restore of this number."""
    # Variables last: they can't fail, but what an object does with its values can.
    both = sorted(zip(loads, arrays, strict=True),
                  key=lambda pair: isinstance(pair[0].value, Variable))
    variables = []
    for (_, value, _), values in both:
        claim(value, number)
        if isinstance(value, Variable):
            variables.append((value, values[VARIABLE_VALUE]))
        else:
            _set_values(value, values)
    assign_all(variables)


def _place(wanted: dict[str, Entry]) -> tuple[int, int]:
    """Where the first of these values is: files are read from their beginning to their end."""
    first = next(iter(wanted.values()))
    return first.shard_id, first.offset


def _set_values(value: Any, arrays: dict[str, Any]) -> None:
    if isinstance(value, PythonState):
        (array,) = arrays.values()
        value.deserialize(array[()])
    elif isinstance(value, LiveObject):
        value.set_own_values(arrays)
    else:
        value._restore_from_tensors(arrays)  # noqa: SLF001 - TensorFlow's name, for overriding
