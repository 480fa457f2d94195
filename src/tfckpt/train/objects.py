"""Objects that a `Checkpoint` can save: what they hold, and the values they store themselves.

Two questions are all that saving and restoring ask of an object: which *children* it has
(objects under local names), and which *values* it stores itself (arrays under names, a
variable's being ``VARIABLE_VALUE``). The answers for every kind of object are in this file.
A framework's objects may be anywhere among ours; `children_of` gives their stand-ins
(train/adapters.py), so that what walks a structure sees one kind of objects only.

Lists and dicts that are set on an object stay lists and dicts for their users, but ones
that notice what is put into them, so that a value which waits for a new element finds it.

Source: python/trackable/{base,autotrackable,data_structures,python_state}.py, python/module.
"""

from __future__ import annotations

import collections
import operator
import re
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, SupportsIndex

from tfckpt.errors import VariableError
from tfckpt.train.adapters import any_framework, memory_of, stand_in
from tfckpt.train.graphs import executing_eagerly, name_scope
from tfckpt.train.variables import Variable

__all__ = ["PYTHON_STATE", "Module", "NoDependency", "Optimizer", "PythonState", "Trackable",
           "TrackedDict", "TrackedList", "Waiting", "children_of", "fill", "fill_waiting",
           "is_trackable",
           "tracked", "values_of"]

PYTHON_STATE = "py_state"


class Waiting(NamedTuple):
    """A restore that waits for an object.

    Attributes:
        number: The later a restore was asked for, the higher its number.
        fill: Gives the object its values.
    """

    number: int
    fill: Callable[[Any], None]


class NoDependency:
    """Wraps a value that is set on an object and is not to be saved with it.

    Args:
        value: What the attribute will be.
    """

    def __init__(self, value: Any) -> None:
        self.value = value


class Trackable:
    """An object whose attributes are saved under their names.

    Attributes that hold variables, other such objects, or lists, tuples and dicts of them,
    are its children. Whether they are there when a checkpoint is restored or are set later,
    they get their values.

    Example:
        >>> class Net(Trackable):
        ...     pass
        >>> net = Net()
        >>> net.layers = [Variable(1.0), Variable(2.0)]
        >>> list(children_of(net)), list(children_of(net.layers))
        (['layers'], ['0', '1'])
    """

    # Restores that wait for a child of this name, and those that wait for any child.
    _waiting: dict[str, list[Waiting]]
    _waiting_for_any: list[Waiting]
    _tracked: dict[str, Any]

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, NoDependency):
            self._children().pop(name, None)
            object.__setattr__(self, name, value.value)
            return
        if name in self.__dict__ and self.__dict__[name] is value:
            return
        value = tracked(value)
        is_child = is_trackable(value)
        if is_child:  # first, as a setter of the user's own may track more
            self._children()[name] = value  # a name keeps its place when it is set again
        else:
            self._children().pop(name, None)
        object.__setattr__(self, name, value)
        if is_child:
            fill_waiting(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._children().pop(name, None)

    def _children(self) -> dict[str, Any]:
        children: dict[str, Any] = self.__dict__.setdefault("_tracked", {})
        return children

    def _trackable_children(self) -> dict[str, Any]:
        """Children by name; a class of the user's own may give others."""
        return dict(self._children())

    def __getstate__(self) -> dict[str, Any]:
        """What `copy` and `pickle` take: a copy waits for nothing."""
        state = {name: value for name, value in self.__dict__.items()
                 if name not in {"_waiting", "_waiting_for_any"}}
        return state | {"_tracked": dict(self._children())}  # not shared with a shallow copy


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


class PythonState(Trackable):
    """State that is not an array, saved as text or bytes that the object makes itself."""

    @abstractmethod
    def serialize(self) -> str | bytes:
        """Its state."""

    @abstractmethod
    def deserialize(self, string_value: bytes) -> None:
        """Take over a state that `serialize` gave."""


class Optimizer(Trackable):
    """An object that keeps *slots*: variables for other variables.

    A slot is saved below the variable it belongs to, and one whose value waits in a
    checkpoint gets that when it is made.

    Example:
        >>> optimizer, w = Optimizer(), Variable(1.0)
        >>> m = optimizer.add_slot(w, "m", 0.0)
        >>> optimizer.get_slot(w, "m") is m, optimizer.get_slot_names()
        (True, ['m'])
    """

    def __init__(self) -> None:
        self.__dict__["_slots"] = {}
        self.__dict__["_waiting_slots"] = []

    _slots: dict[str, dict[int, tuple[Variable, Variable]]]
    _waiting_slots: list[tuple[weakref.ref[Variable], str, Waiting]]

    def get_slot_names(self) -> list[str]:
        """Names of its slots, sorted."""
        return sorted(self._slots)

    def get_slot(self, var: Any, name: str) -> Variable | None:
        """The slot of this name for a variable, or None."""
        found = self._slots.get(name, {}).get(id(var))
        return found[1] if found else None

    def add_slot(self, var: Variable, slot_name: str, initializer: Any = 0.0,
                 name: str | None = None) -> Variable:
        """Make a slot, or find the one that is there, be it that a restore has made it.

        Args:
            var: The variable it belongs to.
            slot_name: Its name.
            initializer: Its value: a number, or an array of the variable's shape.
            name: Its full name, by which it is found in a name-based checkpoint; by default
                the variable's and its own, ``w/m``.

        Raises:
            VariableError: A restored slot has another shape or dtype than the variable.
        """
        found = self.get_slot(var, slot_name)
        if found is not None:
            if (found.shape, found.dtype) != (var.shape, var.dtype):
                raise VariableError(
                    "the slot that was restored is not like its variable",
                    expected=f"{var.dtype} {list(var.shape)}",
                    got=f"{found.dtype} {list(found.shape)}", tensor=found.full_name)
            return found
        import numpy as np  # deferred: making names needs no numpy

        value = np.broadcast_to(np.asarray(initializer, var.dtype.numpy()), var.array.shape)
        slot = self.make_slot(var, slot_name, value, name=name)
        self._fill_slot(var, slot_name, slot)
        return slot

    def make_slot(self, var: Variable, slot_name: str, value: Any, dtype: Any = None,
                  name: str | None = None) -> Variable:
        """Make a slot of any shape, which nothing that waits fills."""
        with name_scope(None):  # the variable's name is a full one
            slot = Variable(value, trainable=False, dtype=dtype,
                            name=name or f"{var.full_name}/{slot_name}")
        self._slots.setdefault(slot_name, {})[id(var)] = var, slot
        return slot

    def _fill_slot(self, var: Variable, slot_name: str, slot: Variable) -> None:
        ours = [waiting for owner, name, waiting in self._waiting_slots
                if owner() is var and name == slot_name]
        self._waiting_slots[:] = [item for item in self._waiting_slots
                                  if item[2] not in ours and item[0]() is not None]
        fill([*ours, *self.__dict__.get("_waiting_for_any", ())], slot)

    def makes_slots(self) -> bool:
        """Whether `make_slot` may be called before the optimizer itself needs the slot."""
        return executing_eagerly()

    def wait_for_slot(self, var: Variable, slot_name: str, waiting: Waiting) -> None:
        """Have a slot filled when it is made."""
        self._waiting_slots.append((weakref.ref(var), slot_name, waiting))

    def __getstate__(self) -> dict[str, Any]:
        slots = [(name, var, slot) for name, kept in self._slots.items()
                 for var, slot in kept.values()]
        return {**super().__getstate__(), "_slots": slots, "_waiting_slots": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__["_slots"] = {}  # anew: variables are known by their ids
        for name, var, slot in state["_slots"]:
            self._slots.setdefault(name, {})[id(var)] = var, slot


class TrackedList(list[Any]):
    """A list that is set on an object; what is put into it later is tracked too."""

    def __init__(self, items: list[Any]) -> None:
        self._untracked: list[Any] = []
        super().__init__(self._kept(item) for item in items)
        self._original = items
        self._original[:] = self  # whoever holds the list that was set sees the same
        self._snapshot = list(self)

    _waiting: dict[str, list[Waiting]]
    _waiting_for_any: list[Waiting]

    def _kept(self, item: Any) -> Any:
        if isinstance(item, NoDependency):
            self._untracked.append(item.value)
            return item.value
        return tracked(item)

    def _is_child(self, item: Any) -> bool:
        return is_trackable(item) and not _among(item, self._untracked)

    def _changed(self) -> None:
        for at, item in enumerate(self):
            list.__setitem__(self, at, self._kept(item))
        self._original[:] = self
        self._snapshot = list(self)
        for at, item in enumerate(self):
            if self._is_child(item):
                fill_waiting(self, str(at), item)

    def _check(self) -> None:
        """Raise if the list that was set was changed behind our back."""
        if len(self._original) != len(self._snapshot) or any(
                a is not b for a, b in zip(self._original, self._snapshot, strict=True)):
            raise VariableError(
                "a list of tracked objects was changed through another name than the attribute it"
                " was set as", hint="Change it through the attribute, or set it anew.")

    def _trackable_children(self) -> dict[str, Any]:
        self._check()
        return {str(at): item for at, item in enumerate(self) if self._is_child(item)}

    def append(self, item: Any) -> None:
        """Append an item and track it."""
        item = self._kept(item)
        super().append(item)
        # One step each, so that a long list can be built. What was changed behind our back
        # stays visible and is found when it matters.
        self._original.append(item)
        self._snapshot.append(item)
        if self._is_child(item):
            fill_waiting(self, str(len(self) - 1), item)

    def extend(self, items: Any) -> None:
        """Append items and track them."""
        for item in list(items):
            self.append(item)

    def insert(self, index: SupportsIndex, item: Any) -> None:
        """Insert an item; what follows is saved under its new indexes."""
        self._check()
        super().insert(index, item)
        self._changed()

    def __setitem__(self, index: Any, item: Any) -> None:
        self._check()
        super().__setitem__(index, item)
        self._changed()

    def __delitem__(self, index: Any) -> None:
        self._check()
        super().__delitem__(index)
        self._changed()

    def __iadd__(self, items: Any) -> TrackedList:  # type: ignore[misc]  # as list's own
        self.extend(items)
        return self

    def __imul__(self, times: SupportsIndex) -> TrackedList:
        self._check()
        super().__imul__(times)
        self._changed()
        return self

    def pop(self, index: SupportsIndex = -1) -> Any:
        """Remove an item; what follows is saved under its new indexes."""
        self._check()
        item = super().pop(index)
        self._changed()
        return item

    def remove(self, item: Any) -> None:
        """Remove an item; what follows is saved under its new indexes."""
        self._check()
        super().remove(item)
        self._changed()

    def clear(self) -> None:
        """Remove all items."""
        self._check()
        super().clear()
        self._changed()

    def reverse(self) -> None:
        """Reverse the order; the items are saved under their new indexes."""
        self._check()
        super().reverse()
        self._changed()

    def sort(self, **options: Any) -> None:
        """Sort the items; they are saved under their new indexes."""
        self._check()
        super().sort(**options)
        self._changed()

    def __deepcopy__(self, memo: dict[int, Any]) -> TrackedList:
        import copy

        twin = TrackedList([])
        memo[id(self)] = twin
        twin._untracked = copy.deepcopy(self._untracked, memo)
        twin.extend(copy.deepcopy(list(self), memo))
        return twin

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return list, (list(self),)


class TrackedDict(dict[Any, Any]):
    """A dict that is set on an object; what is put into it later is tracked too."""

    def __init__(self, items: dict[Any, Any]) -> None:
        self._untracked: dict[Any, None] = {}  # keys
        super().__init__((key, self._kept(key, value)) for key, value in items.items())
        self._original = items
        self._original.update(self)  # as for lists
        self._snapshot = dict(self)

    _waiting: dict[str, list[Waiting]]
    _waiting_for_any: list[Waiting]

    def _kept(self, key: Any, value: Any) -> Any:
        if isinstance(value, NoDependency):
            self._untracked[key] = None
            return value.value
        self._untracked.pop(key, None)
        return tracked(value)

    def _check(self) -> None:
        """Raise if the dict that was set was changed behind our back."""
        ours, theirs = self._snapshot, self._original
        if len(ours) == len(theirs) and all(map(operator.is_, ours, theirs)) and all(
                map(operator.is_, ours.values(), theirs.values())):
            return  # in this order too, as nearly always: nothing is looked up
        if theirs.keys() != ours.keys() or any(map(
                operator.is_not, map(theirs.__getitem__, ours), ours.values())):
            raise VariableError(
                "a dict of tracked objects was changed through another name than the attribute it"
                " was set as", hint="Change it through the attribute, or set it anew.")

    def _is_child(self, key: Any) -> bool:
        return key not in self._untracked and is_trackable(self[key])

    def _trackable_children(self) -> dict[str, Any]:
        self._check()
        untracked = self._untracked
        if not untracked and set(map(type, self)) == {str} and set(
                map(type, self.values())) == {Variable}:
            return dict(self)  # there may be 100,000
        children = {key: value for key, value in self.items()
                    if (isinstance(value, Variable) or is_trackable(value))
                    and key not in untracked}
        for key in children:
            if not isinstance(key, str):
                raise VariableError("a tracked object is under a dict key that is no text, and so"
                                    " has no place in a checkpoint", got=repr(key))
        return children

    def __setitem__(self, key: Any, value: Any) -> None:
        value = self._kept(key, value)
        super().__setitem__(key, value)
        self._original[key] = value
        self._snapshot[key] = value
        if isinstance(key, str) and self._is_child(key):
            fill_waiting(self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._check()
        super().__delitem__(key)
        self._removed(key)

    def _removed(self, key: Any) -> None:
        for kept in (self._original, self._snapshot, self._untracked):
            kept.pop(key, None)

    def update(self, *others: Any, **more: Any) -> None:
        """Put all items of other mappings in, and track them."""
        for key, value in dict(*others, **more).items():
            self[key] = value

    def __ior__(self, other: Any) -> TrackedDict:  # type: ignore[misc]  # as dict's own
        self.update(other)
        return self

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value of a key, put there if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: Any, *default: Any) -> Any:
        """Remove a key and return its value."""
        self._check()
        value = super().pop(key, *default)
        self._removed(key)
        return value

    def popitem(self) -> tuple[Any, Any]:
        """Remove the last key and return it with its value."""
        self._check()
        item = super().popitem()
        self._removed(item[0])
        return item

    def clear(self) -> None:
        """Remove all keys."""
        self._check()
        super().clear()
        for kept in (self._original, self._snapshot, self._untracked):
            kept.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> TrackedDict:
        import copy

        twin = TrackedDict({})
        memo[id(self)] = twin
        twin.update({key: copy.deepcopy(value, memo) for key, value in self.items()})
        twin._untracked = dict(self._untracked)
        return twin

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return dict, (dict(self),)


# What needs no stand-in.
_OURS = (Variable, Trackable, TrackedList, TrackedDict)


def _among(item: Any, items: Sequence[Any]) -> bool:
    return any(item is other for other in items)


def tracked(value: Any) -> Any:
    """A value as it is kept on a tracked object: lists and dicts as ones that notice changes."""
    if type(value) is list:
        return TrackedList(value)
    if type(value) in (dict, collections.OrderedDict):
        return TrackedDict(value)
    if issubclass(type(value), tuple) and is_trackable(value):  # TensorFlow's proxies aren't
        return _tracked_tuple(value)
    return value


def _tracked_tuple(value: tuple[Any, ...]) -> tuple[Any, ...]:
    untracked = [item.value for item in value if isinstance(item, NoDependency)]
    items = [item.value if isinstance(item, NoDependency) else tracked(item) for item in value]
    if all(new is old for new, old in zip(items, value, strict=True)):
        return value
    kind = _remembering(type(value)) if untracked else type(value)
    fields = getattr(value, "_fields", None)
    try:
        again = kind(items) if fields is None else kind(**dict(zip(fields, items, strict=True)))
    except TypeError:
        return value  # refused when it is saved
    if tuple(again) != tuple(items):
        return value
    if untracked:
        again.__dict__["_untracked"] = untracked
    return again


def _remembering(kind: type[tuple[Any, ...]]) -> type[tuple[Any, ...]]:
    """A kind of tuple that can also note which of its items aren't to be saved."""
    return type(kind.__name__, (kind,), {})


def is_trackable(value: Any) -> bool:
    """Whether a value can be a child: a variable, an object of ours or of a framework, or a
    container of such.
    """
    if isinstance(value, _OURS) or isinstance(stand_in(value), _OURS):
        return True
    if isinstance(value, tuple):  # other containers change; a tuple without children never will
        return hasattr(value, "_untracked") or any(
            is_trackable(item) or type(item) in (list, dict, collections.OrderedDict)
            or isinstance(item, NoDependency) for item in value)
    return False


def children_of(value: Any) -> dict[str, Any]:
    """Children of an object by local name, in the order in which they are saved.

    Those that are a framework's are given by their stand-ins.

    Raises:
        VariableError: A container holds tracked objects in a way that can't be saved.
    """
    children: dict[str, Any] = {}
    if isinstance(value, (Trackable, TrackedList, TrackedDict)):
        children = value._trackable_children()  # noqa: SLF001 - TensorFlow's name, for overriding
    elif isinstance(value, tuple):
        children = _children_of_tuple(value)
    if not any_framework():
        return children
    return {name: child if isinstance(child, _OURS) else stand_in(child)
            for name, child in children.items()}


def _children_of_tuple(value: tuple[Any, ...]) -> dict[str, Any]:
    fields = getattr(value, "_fields", ())
    if fields:
        try:
            again = type(value)(**dict(zip(fields, value, strict=True)))
        except (TypeError, ValueError):
            again = None
        if again is None or tuple(again) != tuple(value):
            raise VariableError(
                "a named tuple can't be made anew from its fields, and so not be restored",
                expected=f"fields {', '.join(fields)} as arguments", got=type(value).__name__)
    untracked = getattr(value, "_untracked", ())
    children = [(at, item) for at, item in enumerate(value)
                if is_trackable(item) and not _among(item, untracked)]
    by_field = {fields[at]: item for at, item in children if at < len(fields)}
    return by_field | {str(at): item for at, item in children}


def values_of(value: Any) -> dict[str, Any]:
    """Values that an object stores itself: arrays, or functions that compute them, by name."""
    if isinstance(value, Variable):
        return {"VARIABLE_VALUE": value}
    if isinstance(value, PythonState):
        return {PYTHON_STATE: value.serialize}
    if hasattr(type(value), "is_stand_in"):
        own: dict[str, Any] = value.own_values()
        return own
    serialize = getattr(value, "_serialize_to_tensors", None)
    if serialize is not None and isinstance(value, Trackable):
        values: dict[str, Any] = serialize()
        return values
    return {}


def fill_waiting(parent: Any, name: str, child: Any) -> None:
    """Give a child that has just appeared the values that wait for it."""
    memory = memory_of(parent)
    waiting = memory.get("_waiting")
    ours = waiting.pop(name, ()) if waiting else ()
    fill([*ours, *memory.get("_waiting_for_any", ())], stand_in(child))


def fill(waiting: Iterable[Waiting], child: Any) -> None:
    """Give an object, or the stand-in of one, the values that wait for it."""
    # The last first: what an earlier restore then finds done it need not even read.
    for item in sorted(waiting, key=lambda item: item.number, reverse=True):
        item.fill(child)
