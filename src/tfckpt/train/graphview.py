"""The object graph of live objects: their nodes, keys and values, as TensorFlow 2.21 saves them.

Objects are numbered breadth first from the root; a path through the graph is the shortest
one, and of equally short ones the first. Slots come last.

Source: python/checkpoint/{graph_view,trackable_view,save_util,util}.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Output, Plan, given_string
from tfckpt.errors import VariableError
from tfckpt.format.dtypes import STRING
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
from tfckpt.train.adapters import arrays_of
from tfckpt.train.objects import Optimizer, PythonState, children_of, values_of
from tfckpt.train.standins import LiveObject
from tfckpt.train.values import as_array
from tfckpt.train.variables import Variable

if TYPE_CHECKING:
    import numpy as np

_VALUE = object_key("", VARIABLE_VALUE)
_MANY = 64

__all__ = ["GraphView", "Stored", "plan_objects", "view_objects"]


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
    stored: list[Stored]
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
    stored: list[Stored] = []
    has_state = False
    for start, end, are_variables in _runs(objects):
        if are_variables:  # nearly all, and always the same
            some = objects[start:end]
            keys = [path + _VALUE for path in paths[start:end]]
            # In a third of the time that a NamedTuple takes.
            stored += map(tuple.__new__, repeat(Stored),
                          zip(some, repeat(VARIABLE_VALUE), keys, some, strict=False))
        else:
            for value, path in zip(objects[start:end], paths[start:end], strict=True):
                has_state = has_state or isinstance(value, PythonState)
                stored += [Stored(value, name, object_key(path, name), content)
                           for name, content in values_of(value).items()]
    if has_state:
        stored.sort(key=lambda item: isinstance(item.owner, PythonState))
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
        ids = list(map(id, found.values()))
        fresh = range(len(objects), len(objects) + len(ids))
        if len(ids) >= _MANY and len(set(ids)) == len(ids) and numbers.keys().isdisjoint(ids):
            child_numbers[n] = list(fresh)
            numbers.update(zip(ids, fresh, strict=True))
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


def _runs(objects: list[Any]) -> Iterator[tuple[int, int, bool]]:
    """Where variables stand one after another in a list, and where other objects do."""
    start = 0
    for are_variables, run in groupby([isinstance(value, Variable) for value in objects]):
        end = start + len(list(run))
        yield start, end, are_variables
        start = end


def _full_names(variables: list[Variable]) -> list[str]:
    parts = [variable.save_slice_info for variable in variables]
    return [variable.full_name if part is None else part.full_name
            for variable, part in zip(variables, parts, strict=True)]


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
    arrays = iter(arrays_of(value for _, _, _, value in view.stored
                            if isinstance(value, Variable)))
    outputs = [array_output(key, next(arrays), value.dtype) if isinstance(value, Variable)
               else value_output(key, value) for _, _, key, value in view.stored]
    outputs.append(given_string(OBJECT_GRAPH_KEY, encode_graph(view), "little"))
    return Plan(tuple(outputs), "object-based")


def encode_graph(view: GraphView) -> bytes:
    """The object graph of live objects, encoded."""
    own: dict[int, list[Attribute]] = {}
    for item in view.stored:
        if not isinstance(item.owner, Variable):
            attribute = _attribute(item)
            if attribute not in own.setdefault(id(item.owner), []):
                own[id(item.owner)].append(attribute)
    root = view.objects[0]
    if isinstance(root, Variable) and view.children:  # the only variable that can have children
        own[id(root)] = [Attribute(VARIABLE_VALUE, _full_names([root])[0], _VALUE)]
    has_values = _with_values(view, own)
    parts: list[bytes] = []
    for start, end, are_variables in _runs(view.objects):
        if are_variables and start not in view.children:
            parts += encode_variable_nodes(_full_names(view.objects[start:end]),
                                           [path + _VALUE for path in view.paths[start:end]])
            continue
        for n in range(start, end):
            if are_variables and n not in view.children:  # after a root that is a variable
                parts += encode_variable_nodes(_full_names(view.objects[n:n + 1]),
                                               [view.paths[n] + _VALUE])
                continue
            parts.append(encode_node(Node(
                (), tuple(own.get(id(view.objects[n]), ())), tuple(view.slots.get(n, ())),
                has_checkpoint_values=n in has_values),
                view.child_numbers.get(n, ()), list(view.children.get(n, ()))))
    return b"".join(parts)


def _attribute(item: Stored) -> Attribute:
    """What the object graph has for a value; several of a framework's object may have one."""
    if not isinstance(item.owner, LiveObject):
        return Attribute(item.name, "", item.key)
    name = item.owner.attribute_of(item.name)
    return Attribute(name, item.owner.full_name, item.key.removesuffix(item.name) + name)


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


def value_output(key: str, value: Any) -> Output:
    """One value as a tensor to write."""
    if isinstance(value, Variable):
        return array_output(key, value.array, value.dtype)
    if hasattr(value, "output"):  # a framework's object makes it itself
        output: Output = value.output(key)
        return output
    if callable(value):
        value = value()
    if isinstance(value, (str, bytes)):
        import numpy as np  # deferred: making names needs no numpy

        text = value.encode() if isinstance(value, str) else value
        scalar: np.ndarray[Any, Any] = np.empty((), object)
        scalar[()] = text
        return array_output(key, scalar, STRING)
    return array_output(key, *as_array(value))
