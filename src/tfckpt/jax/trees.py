"""Trees of JAX's: which containers there are, what they hold, and which of them can change.

    ============================== =============================== ===========================
    container                      names of what it holds          a value can be replaced
    ============================== =============================== ===========================
    dict, OrderedDict, defaultdict its keys, text or whole numbers  yes
    list                           indexes                         yes
    tuple                          indexes                         no
    named tuple (Optax's states)   fields, and indexes             no
    ``flax.nnx`` modules           attributes                      yes, and in its variables
    ``flax.nnx.State``             its keys                        yes
    all others that JAX knows:     as JAX calls them               no
    ``FrozenDict``, ``TrainState``
    ============================== =============================== ===========================

A container counts if there is a value of JAX's anywhere in it. Beside such, arrays of numpy and
numbers are values too, as they are to JAX. The names are those that TensorFlow would give to the
same dicts and lists of its variables.
"""

from __future__ import annotations

import collections
import sys
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from tfckpt.errors import VariableError
from tfckpt.jax.arrays import is_key, is_value
from tfckpt.jax.places import Place
from tfckpt.train.adapters import Adapter
from tfckpt.train.standins import LiveObject
from tfckpt.train.tracking import Parent, is_trackable
from tfckpt.train.variables import Variable

__all__ = ["Item", "JaxTree", "box_of", "is_container", "is_leaf", "is_nnx_module",
           "is_nnx_variable", "is_random", "items_of", "place_of_variable"]

_DICTS = (dict, collections.OrderedDict, collections.defaultdict)
_NUMBERS = (bool, int, float, complex)
_NOTHING = (str, bytes, type(None))
_PLAIN = (*_NOTHING, *_NUMBERS)


class Item(NamedTuple):
    """What a container holds under a name.

    Attributes:
        name: The name.
        value: What is there.
        slot: Which of the container's parts it is; one may have two names.
        get: Gives what is there later; None if the container never changes.
        put: Puts something else there; None likewise.
    """

    name: str
    value: Any
    slot: Any
    get: Callable[[], Any] | None = None
    put: Callable[[Any], None] | None = None


def _nnx() -> Any:
    return sys.modules.get("flax.nnx")


def is_nnx_variable(value: Any) -> bool:
    """Whether this is a variable of Flax's NNX."""
    nnx = _nnx()
    return nnx is not None and isinstance(value, nnx.Variable)


def is_nnx_module(value: Any) -> bool:
    """Whether this is a module of Flax's NNX, or another object of its kind."""
    nnx = _nnx()
    return nnx is not None and isinstance(value, nnx.Pytree)


def is_random(holder: Any, value: Any) -> bool:
    """Whether this is state of a random generator: typed keys, or what NNX keeps beside them."""
    nnx = _nnx()
    return is_key(value) or (nnx is not None and isinstance(holder, nnx.RngState))


def _is_nnx_state(value: Any) -> bool:
    nnx = _nnx()
    return nnx is not None and isinstance(value, nnx.State)


def box_of(value: Any) -> Any:
    """What a box of Flax around a value is, as partitioned parameters have; else None."""
    meta = sys.modules.get("flax.core.meta")
    return value if meta is not None and isinstance(value, meta.AxisMetadata) else None


def is_leaf(value: Any) -> bool:
    """Whether this is one value, in a tree."""
    return (is_value(value) or isinstance(value, (np.ndarray, np.generic, *_NUMBERS))
            or is_nnx_variable(value) or box_of(value) is not None)


def is_container(value: Any) -> bool:
    """Whether this is a container with a value of JAX's somewhere in it."""
    return not isinstance(value, _PLAIN) and _holds(value, set())


def _holds(value: Any, seen: set[int]) -> bool:
    if isinstance(value, (Variable, Parent)) or id(value) in seen:
        return False
    if is_value(value) or is_nnx_variable(value) or box_of(value) is not None:
        return True
    seen.add(id(value))
    if type(value) in _DICTS:
        parts: Any = value.values()
    elif type(value) is list or isinstance(value, tuple):
        parts = value
    elif is_nnx_module(value):
        parts = _attributes(value).values()
    else:
        parts = [item.value for item in _registered(value)]
    return any(not isinstance(part, _PLAIN) and _holds(part, seen) for part in parts)


def _attributes(module: Any) -> dict[str, Any]:
    """Attributes of a module of NNX, without those that NNX keeps for itself."""
    return {name: value for name, value in vars(module).items()
            if not name.startswith("_pytree__")}


def _registered(value: Any) -> Iterator[Item]:
    """What JAX says that a container holds; nothing for what JAX takes for a value."""
    if jax.tree_util.all_leaves([value]):
        return
    for path, part in jax.tree_util.tree_flatten_with_path(
            value, is_leaf=lambda other: other is not value)[0]:
        key = path[0]
        name = next((getattr(key, kind) for kind in ("key", "name", "idx") if hasattr(key, kind)),
                    key)
        yield Item(str(name), part, str(name))


def items_of(value: Any) -> Iterator[Item]:
    """What a container holds that is to be saved.

    Raises:
        VariableError: The keys of a dict are no names.
    """
    if type(value) in _DICTS or _is_nnx_state(value):
        # What a State gives for a part that is a mapping is made anew each time.
        items = _of_mapping(value if type(value) in _DICTS else value.raw_mapping)
    elif type(value) is list:
        items = [_indexed(value, str(at), at, part) for at, part in enumerate(value)]
    elif isinstance(value, tuple):
        fields = getattr(value, "_fields", ())
        items = [*(Item(field, value[at], at) for at, field in enumerate(fields)),
                 *(Item(str(at), part, at) for at, part in enumerate(value))]
    elif is_nnx_module(value):
        items = [Item(name, part, name, partial(getattr, value, name),
                      partial(setattr, value, name))
                 for name, part in _attributes(value).items()
                 if is_value(part) or is_nnx_variable(part) or is_container(part)]
    else:
        items = list(_registered(value))
    return (item for item in items if not isinstance(item.value, _NOTHING))


def _indexed(holder: Any, name: str, key: Any, value: Any) -> Item:
    return Item(name, value, key, partial(holder.__getitem__, key),
                partial(holder.__setitem__, key))


def _of_mapping(value: Any) -> list[Item]:
    """Items of a dict; whole numbers as keys stand as text, as indexes do.

    Raises:
        VariableError: A key is neither, or two are one name.
    """
    items = [_indexed(value, str(key), key, part) for key, part in value.items()
             if not isinstance(part, _NOTHING)]
    wrong = [item.slot for item in items if not isinstance(item.slot, (str, int))]
    if wrong or len({item.name for item in items}) < len(items):
        raise VariableError("the keys of a dict give no names for a checkpoint",
                            expected="text, or whole numbers, all different",
                            got=", ".join(map(repr, wrong or value)))
    return items


# By their ids: a stand-in keeps what it stands for alive, so an id isn't given to another.
_known: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


class JaxTree(LiveObject):
    """The stand-in of a container."""

    _parts: dict[Any, Any]
    _path: str

    @classmethod
    def of(cls, value: Any, adapter: Adapter, path: str = "") -> JaxTree:
        """The stand-in of a container, the same one as long as anybody has it."""
        found: JaxTree | None = _known.get(id(value))
        if found is None:
            found = _known[id(value)] = cls(value, {}, adapter)
            found.__dict__.update(_path=path, _parts={})
        return found

    def _trackable_children(self) -> dict[str, Any]:
        parts: dict[Any, Any] = {}
        names: dict[str, Any] = {}
        for item in items_of(self.live):
            if item.slot not in parts:
                parts[item.slot] = self._part(item)
            if parts[item.slot] is not None:
                names[item.name] = parts[item.slot]
        self._parts = parts
        return names

    def _part(self, item: Item) -> Any:
        path = f"{self._path}/{item.name}" if self._path else item.name
        value = item.value
        if is_nnx_variable(value):
            return place_of_variable(value, path, self.adapter)
        if is_leaf(value):
            known = self._parts.get(item.slot)  # it stays the same when its value is replaced
            return known if _is_in(known, self.live) else _place(self.live, item, path,
                                                                 self.adapter)
        if isinstance(value, (Variable, Parent)):
            return value
        if _is_plain_container(value) or is_container(value):
            return JaxTree.of(value, self.adapter, path)
        return value if is_trackable(value) else None

    def refer(self) -> Callable[[], Any]:
        """A weak reference to itself: it lives as long as it is set on something."""
        return weakref.ref(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> JaxTree:
        import copy  # deferred: hardly anybody copies a checkpoint

        return JaxTree.of(copy.deepcopy(self.live, memo), self.adapter, self._path)


def _is_in(part: Any, holder: Any) -> bool:
    return isinstance(part, Place) and part.live is holder


def _is_plain_container(value: Any) -> bool:
    return type(value) in _DICTS or type(value) is list or isinstance(value, tuple)


def _place(holder: Any, item: Item, path: str, adapter: Adapter) -> Place:
    """The place of a value in a container."""
    now = item.get or (lambda: item.value)

    def get() -> Any:
        found = now()
        return found if box_of(found) is None else found.unbox()

    def put(value: Any) -> None:
        assert item.put is not None
        found = now()
        item.put(value if box_of(found) is None else found.replace_boxed(value))

    return Place(item.value, holder, path, adapter, get=get,
                 set_value=None if item.put is None else put)


def place_of_variable(variable: Any, path: str, adapter: Adapter) -> Any:
    """The stand-in of a variable of NNX, the same one wherever it is."""
    value = variable.get_value()
    if not is_leaf(value):  # a whole tree in one variable
        return JaxTree.of(value, adapter, path)
    found = _known.get(id(variable))
    if found is None:
        found = _known[id(variable)] = Place(value, variable, path, adapter,
                                             get=variable.get_value,
                                             set_value=variable.set_value)
    return found
