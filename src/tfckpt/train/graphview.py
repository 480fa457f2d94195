"""The object graph of live objects: their nodes, keys and values, as TensorFlow 2.21 saves them.

Objects are numbered breadth first from the root; a path through the graph is the shortest
one, and of equally short ones the first. Slots come last.

Source: python/checkpoint/{graph_view,trackable_view,save_util,util}.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, groupby, islice, repeat
from typing import Any, NamedTuple

from tfckpt.core.plan import Plan, given_string
from tfckpt.errors import VariableError
from tfckpt.format.objectgraph import (
    OBJECT_GRAPH_KEY,
    VARIABLE_VALUE,
    Attribute,
    Node,
    SlotVariable,
    encode_node,
    encode_variable_nodes,
    with_ancestors,
)
from tfckpt.format.objectkeys import (
    OPTIMIZER_SLOT,
    escape_local_name,
    escape_local_names,
    object_key,
)
from tfckpt.train.objects import PythonState, children_of, values_of
from tfckpt.train.optimizer import Optimizer
from tfckpt.train.outputs import value_outputs
from tfckpt.train.standins import LiveObject
from tfckpt.train.variables import Variable

_VALUE = object_key("", VARIABLE_VALUE)
_MANY = 64

__all__ = ["GraphView", "Stored", "StoredValues", "plan_objects", "view_objects"]


class Stored(NamedTuple):
    """A value of an object, and where it is stored.

    Attributes:
        owner: The object.
        name: The value's name among the object's values.
        key: Its key in the checkpoint.
        value: An array, a variable, or a function that computes it.
    """

    owner: Any
    name: str
    key: str
    value: Any


class StoredValues:
    """All values of objects, in columns, as there may be 100,000; `Stored` rows to who iterates.

    Attributes:
        owners: The objects.
        names: The values' names among those of their objects.
        keys: Their keys.
        values: See `Stored`.
    """

    def __init__(self, rows: Iterable[Stored] = ()) -> None:
        self.owners: list[Any] = []
        self.names: list[str] = []
        self.keys: list[str] = []
        self.values: list[Any] = []
        for row in rows:
            self.add(*row)

    def __iter__(self) -> Iterator[Stored]:
        return map(Stored, self.owners, self.names, self.keys, self.values)

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, owner: Any, name: str, key: str, value: Any) -> None:
        """Add one value."""
        self.owners.append(owner)
        self.names.append(name)
        self.keys.append(key)
        self.values.append(value)

    def add_variables(self, variables: list[Any], paths: list[str]) -> None:
        """Add variables at these paths."""
        self.owners += variables
        self.names += repeat(VARIABLE_VALUE, len(variables))
        self.keys += [path + _VALUE for path in paths]
        self.values += variables


class GraphView(NamedTuple):
    """Live objects as a checkpoint sees them.

    Attributes:
        objects: Every object once, in the order of their nodes.
        paths: Escaped path of each.
        stored: Every value, in the order in which TensorFlow writes them.
        children: Children by name of each that may have some, by its number.
        child_numbers: Their numbers.
        numbers: Number of each object, by its ``id``.
        slots: What each optimizer keeps for which variable, by the optimizer's number.
    """

    objects: list[Any]
    paths: list[str]
    stored: StoredValues
    children: dict[int, dict[str, Any]]
    child_numbers: dict[int, list[int]]
    numbers: dict[int, int]
    slots: dict[int, list[SlotVariable]]


def view_objects(root: Any, attached: dict[str, Any] | None = None) -> GraphView:
    """Walk the objects below a root.

    Args:
        root: The root.
        attached: Further children of the root, which aren't attributes of it.

    Raises:
        VariableError: A container holds tracked objects in a way that can't be saved.
    """
    objects, paths, children, child_numbers, numbers = _walk(root, attached or {})
    slots = _add_slots(objects, paths, numbers)
    stored = StoredValues()
    for start, end, are_variables in _runs(objects):
        if are_variables:  # nearly all, and always the same
            stored.add_variables(objects[start:end], paths[start:end])
            continue
        for value, path in zip(objects[start:end], paths[start:end], strict=True):
            for name, content in values_of(value).items():
                stored.add(value, name, object_key(path, name), content)
    if any(isinstance(value, PythonState) for value in objects):
        stored = StoredValues(sorted(stored, key=lambda row: isinstance(row.owner, PythonState)))
    return GraphView(objects, paths, stored, children, child_numbers, numbers, slots)


def _walk(root: Any, attached: dict[str, Any]) -> tuple[
        list[Any], list[str], dict[int, dict[str, Any]], dict[int, list[int]], dict[int, int]]:
    objects, paths = [root], [""]
    children: dict[int, dict[str, Any]] = {}
    child_numbers: dict[int, list[int]] = {}
    numbers = {id(root): 0}
    for n, current in enumerate(objects):  # grows while it is walked: breadth first
        if isinstance(current, Variable) and not (n == 0 and attached):
            continue
        found = children_of(current)
        if n == 0:
            found = {**found, **attached}
        children[n] = found
        prefix = paths[n] + "/" if paths[n] else ""
        fresh = _fresh_numbers(found, numbers) if len(found) >= _MANY else None
        if fresh is not None:
            child_numbers[n] = list(fresh.values())
            numbers.update(fresh)
            objects += found.values()
            paths += [prefix + name for name in escape_local_names(list(found))]
            continue
        child_numbers[n] = own = []
        for name, child in found.items():
            number = numbers.setdefault(id(child), len(objects))
            own.append(number)
            if number == len(objects):
                objects.append(child)
                paths.append(prefix + escape_local_name(name))
    return objects, paths, children, child_numbers, numbers


def _fresh_numbers(children: dict[str, Any], numbers: dict[int, int]) -> dict[int, int] | None:
    """Numbers for children by their ``id``, if none has one yet and each is there once."""
    fresh = dict(zip(map(id, children.values()), count(len(numbers))))
    return fresh if len(fresh) == len(children) and fresh.keys().isdisjoint(numbers) else None


def _runs(objects: list[Any]) -> Iterator[tuple[int, int, bool]]:
    """Where variables stand one after another in a list, and where other objects do."""
    start = 0
    for are_variables, run in groupby([isinstance(value, Variable) for value in objects]):
        end = start + len(list(run))
        yield start, end, are_variables
        start = end


def _full_names(variables: list[Variable]) -> list[str]:
    return [variable.full_name if variable.save_slice_info is None
            else variable.save_slice_info.full_name for variable in variables]


def _add_slots(objects: list[Any], paths: list[str], ids: dict[int, int]
               ) -> dict[int, list[SlotVariable]]:
    """Append the slots of all optimizers to the objects; by number of the optimizer."""
    slots: dict[int, list[SlotVariable]] = {}
    n_objects = len(objects)
    optimizers = [n for n, value in enumerate(objects) if isinstance(value, Optimizer)]
    for n in optimizers:
        optimizer = objects[n]
        for name in optimizer.get_slot_names():
            for original, variable in enumerate(objects[:n_objects]):
                slot = optimizer.get_slot(variable, name)
                if slot is None:
                    continue
                if id(slot) in ids:
                    raise VariableError("a slot is also the child of an object",
                                        tensor=slot.full_name)
                ids[id(slot)] = len(objects)
                slots.setdefault(n, []).append(SlotVariable(original, name, len(objects)))
                objects.append(slot)
                paths.append(f"{paths[original]}/{OPTIMIZER_SLOT}/{paths[n]}/"
                             + escape_local_name(name))
    return slots


def plan_objects(view: GraphView) -> Plan:
    """Plan an object-based checkpoint of live objects; each value is computed once."""
    outputs = value_outputs(view.stored.keys, view.stored.values)
    outputs.append(given_string(OBJECT_GRAPH_KEY, encode_graph(view), "little"))
    return Plan(tuple(outputs), "object-based")


def encode_graph(view: GraphView) -> bytes:
    """The object graph of live objects, encoded."""
    own: dict[int, list[Attribute]] = {}
    keys_of_variables: list[str] = []
    for owner, name, key in zip(view.stored.owners, view.stored.names, view.stored.keys,
                                strict=True):
        if isinstance(owner, Variable):
            keys_of_variables.append(key)
            continue
        attribute = _attribute(owner, name, key)
        if attribute not in own.setdefault(id(owner), []):
            own[id(owner)].append(attribute)
    root = view.objects[0]
    if isinstance(root, Variable) and view.children:  # the only variable that can have children
        own[id(root)] = [Attribute(VARIABLE_VALUE, _full_names([root])[0], _VALUE)]
    has_values = _with_values(view, own)
    keys = iter(keys_of_variables)

    def encode(n: int) -> bytes:
        return encode_node(Node(
            (), tuple(own.get(id(view.objects[n]), ())), tuple(view.slots.get(n, ())),
            has_checkpoint_values=n in has_values),
            view.child_numbers.get(n, ()), list(view.children.get(n, ())))

    parts: list[bytes] = []
    for start, end, are_variables in _runs(view.objects):
        if not are_variables:
            parts += map(encode, range(start, end))
            continue
        variables, their_keys = view.objects[start:end], list(islice(keys, end - start))
        if start in view.children:  # the root
            parts.append(encode(start))
            del variables[0], their_keys[0]
        parts.append(encode_variable_nodes(_full_names(variables), their_keys))
    return b"".join(parts)


def _attribute(owner: Any, name: str, key: str) -> Attribute:
    """What the object graph has for a value; several of a framework's object may have one."""
    if not isinstance(owner, LiveObject):
        return Attribute(name, "", key)
    attribute = owner.attribute_of(name)
    return Attribute(attribute, owner.full_name, key.removesuffix(name) + attribute)


def _with_values(view: GraphView, own: dict[int, list[Attribute]]) -> set[int]:
    """Numbers of the objects, variables left out, that store a value or have one below them."""
    found = {view.numbers[number] for number in own} | set(view.slots)
    parents: dict[int, list[int]] = {}
    for n, children in view.children.items():
        others = [child for child in children.values() if not isinstance(child, Variable)]
        if len(others) < len(children):
            found.add(n)
        for child in others:
            parents.setdefault(view.numbers[id(child)], []).append(n)
    return with_ancestors(found, parents)
