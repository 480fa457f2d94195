"""Containers of JAX's: which there are, what they hold, and which of them can change.

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
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from tfckpt.errors import VariableError
from tfckpt.jax.arrays import is_key, is_value
from tfckpt.train.tracking import Parent
from tfckpt.train.variables import Variable

__all__ = ["Item", "box_of", "is_container", "is_frozen", "is_leaf", "is_nnx_module",
           "is_nnx_variable", "is_plain_container", "is_random", "items_of", "set_value_of",
           "value_of"]

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


def value_of(variable: Any) -> Any:
    """What a variable of NNX holds."""
    if hasattr(variable, "get_value"):
        return variable.get_value()
    return variable.value  # in Flax before 0.12


def set_value_of(variable: Any, value: Any) -> None:
    """Give a variable of NNX another value."""
    if hasattr(variable, "set_value"):
        variable.set_value(value)
    else:
        variable.value = value


def is_nnx_module(value: Any) -> bool:
    """Whether this is a module of Flax's NNX, or another object of its kind."""
    nnx = _nnx()
    # Flax before 0.12 calls it Object.
    return nnx is not None and isinstance(value, getattr(nnx, "Pytree", None) or nnx.Object)


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


def is_frozen(value: Any) -> bool:
    """Whether nothing in this may change, though there may be dicts in it."""
    core = sys.modules.get("flax.core")
    return core is not None and isinstance(value, core.FrozenDict)


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
            if not name.startswith(("_pytree__", "_object__"))}


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
        items = _of_mapping(value if type(value) in _DICTS else _raw(value))
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


def _raw(state: Any) -> Any:
    """The dict of a State."""
    return state.raw_mapping if hasattr(state, "raw_mapping") else state._mapping  # noqa: SLF001 - as above


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


def is_plain_container(value: Any) -> bool:
    """Whether this is one of Python's own."""
    return type(value) in _DICTS or type(value) is list or isinstance(value, tuple)
