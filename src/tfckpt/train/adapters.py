"""Objects of a framework, as `Saver` and `Checkpoint` see them.

A framework's own variables and models are saved and restored through *stand-ins*: objects of
ours that answer what `train/` asks of its own, and pass it on to the live object. Users never
see them: what was set on a `Checkpoint` stays what it was.

An adapter makes the stand-ins of one framework. It lives in that framework's room and is
imported when an object of the framework is met, so the framework is imported already. What a
restore has to remember of a live object is kept here, by its identity, for as long as it lives.

    ============ ===================================================================
    kind         stand-in
    ============ ===================================================================
    leaf         `LiveVariable`: one value, with dtype, shape and full name
    parent       `LiveObject`: children by name, and values of its own if it has any
    optimizer    `LiveOptimizer`: keeps variables for other variables (slots)
    tree         `LiveObject`: a structure whose values never change, only what holds them
    ============ ===================================================================

Most frameworks have variables: objects that are the same after they got another value. Where
values themselves stand in plain dicts and lists, a variable is a place in one of these. Such a
structure is a *tree*; what it is set on holds its stand-in, and users hold the tree.

The kinds are in train/standins.py.
"""

from __future__ import annotations

import sys
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.errors import VariableTypeError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Adapter", "adapters", "any_framework", "arrays_of", "assign_all", "check_settable",
           "current_session", "initialize", "memory_of", "session_in", "stand_in", "tree_of",
           "using_session", "waits_for_run", "why_not"]

# By the root package of a class that an object is an instance of. If it is one of several (a
# Keras model is also TensorFlow's), the first adapter that knows it has it.
_MODULES = {
    "tensorflow": "tfckpt.tensorflow.adapter",
    "keras": "tfckpt.keras.adapter",
    "jax": "tfckpt.jax.adapter",
    "torch": "tfckpt.torch.adapter",
}


class Adapter(ABC):
    """Makes the stand-ins of one framework, and moves many values at once.

    An adapter's module has one as ``ADAPTER``.
    """

    @abstractmethod
    def stand_in(self, live: Any, memory: dict[str, Any]) -> Any:
        """A new stand-in for a live object; None if it is nothing that can be saved.

        Args:
            live: The object.
            memory: What is remembered of it from stand-in to stand-in. It must not refer to
                the object, which would then never die.
        """

    def tree(self, value: Any) -> Any:
        """The stand-in of a structure that holds values of the framework in plain containers.

        The same one for the same structure, for as long as anybody has it. None for anything
        else, as for all that there is where a framework has variables.
        """
        return None

    def check_settable(self, leaves: Sequence[Any]) -> None:  # noqa: B027 - most take any value
        """See that these leaves can be given another value.

        Raises:
            VariableError: Some can't; with all of them.
        """

    def why_not(self, live: Any) -> str | None:
        """What to do with an object that can't be saved; None if there is nothing to say of it."""
        return None

    def read_all(self, leaves: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
        """Values of this adapter's leaves, which nobody may write to."""
        return [leaf.read() for leaf in leaves]

    def assign_all(self, pairs: Sequence[tuple[Any, np.ndarray[Any, Any]]]) -> None:
        """Give each leaf its array, of its dtype and of a shape that it accepts."""
        for leaf, array in pairs:
            leaf.write(array)

    def set_initial(self, prefix: str, loads: Sequence[tuple[Any, str]]) -> None:
        """Have graph variables begin with values of a checkpoint when they are initialized.

        Args:
            prefix: The checkpoint.
            loads: Leaves that wait for a run, and the key of each.
        """
        raise NotImplementedError

    def set_initial_values(self, pairs: Sequence[tuple[Any, np.ndarray[Any, Any]]]) -> None:
        """Have graph variables begin with these arrays when they are initialized."""
        raise NotImplementedError

    def compute(self, make: Callable[[], Any]) -> Any:
        """What a function returns, as an array, also if it returns a tensor of the framework."""
        return make()

    def initialize(self, stand_ins: Sequence[Any]) -> None:  # noqa: B027 - most have no graph
        """Initialize objects of a graph, where they have an initializer."""

    def variables(self) -> list[Any] | None:
        """What a Saver without a list saves: the live variables of the framework's graph.

        None outside of a graph, or if the framework has no such thing.
        """
        return None

    def named_variables(self) -> dict[str, Any]:
        """Live variables that ``get_variable`` of the framework has made, by name."""
        return {}


class _Known(NamedTuple):
    """What is known of a live object.

    Attributes:
        refer: Refers to it, and forgets it when it dies.
        memory: See `Adapter.stand_in`.
        stand_in: A list with a weak reference to its stand-in, if it has one.
    """

    refer: weakref.ref[Any]
    memory: dict[str, Any]
    stand_in: list[weakref.ref[Any]]


_known: dict[int, _Known] = {}
_adapter_of_class: weakref.WeakKeyDictionary[type, tuple[Adapter, ...]] = (
    weakref.WeakKeyDictionary())
_session: ContextVar[Any] = ContextVar("session", default=None)


def _adapters_for(cls: type) -> tuple[Adapter, ...]:
    found = _adapter_of_class.get(cls)
    if found is None:
        roots = {base.__module__.partition(".")[0] for base in cls.__mro__}
        modules = dict.fromkeys(module for root, module in _MODULES.items()
                                if root in roots and root in sys.modules)
        found = tuple(import_module(module).ADAPTER for module in modules)
        _adapter_of_class[cls] = found
    return found


def adapters() -> Iterator[Adapter]:
    """The adapters of the frameworks that the program has imported."""
    for root, module in _MODULES.items():
        if root in sys.modules:
            yield import_module(module).ADAPTER


def any_framework() -> bool:
    """Whether the program has imported a framework that has an adapter."""
    return not sys.modules.keys().isdisjoint(_MODULES)


def stand_in(value: Any) -> Any:
    """The stand-in of a framework's object, always the same one while anybody has it.

    Everything else, our own objects among it, is given back as it is.

    Raises:
        VariableTypeError: The object can't be referred to weakly, so nothing can be
            remembered of it.
    """
    choices = _adapters_for(type(value))
    if not choices:
        return value
    known = _known.get(id(value))
    if known is not None:
        found = known.stand_in[0]() if known.stand_in else None
        if found is not None:
            return found
    memory = {} if known is None else known.memory
    made = next((made for adapter in choices
                 if (made := adapter.stand_in(value, memory)) is not None), None)
    if made is None:
        return value
    if known is None:
        known = _known[id(value)] = _Known(_refer(value), memory, [])
    known.stand_in[:] = [weakref.ref(made)]
    return made


def tree_of(value: Any) -> Any:
    """The stand-in of a framework's values in plain containers; None if it is no such thing.

    Who sets it on an object has to keep it, as the values have no identity of their own.
    """
    if "jax" not in sys.modules:  # the only one that has such
        return None
    return next((made for adapter in adapters() if (made := adapter.tree(value)) is not None),
                None)


def why_not(value: Any) -> str | None:
    """What its framework's adapter says of an object that can't be saved."""
    reasons = (adapter.why_not(value) for adapter in _adapters_for(type(value)))
    return next(filter(None, reasons), None)


def _refer(value: Any) -> weakref.ref[Any]:
    number = id(value)

    def forget(_: object) -> None:
        _known.pop(number, None)

    try:
        return weakref.ref(value, forget)
    except TypeError:
        raise VariableTypeError("an object of this kind can't be saved, because it allows no weak"
                                " references", got=type(value).__name__) from None


def memory_of(value: Any) -> dict[str, Any]:
    """Where a restore notes what it must remember of an object, ours or a stand-in's."""
    memory: dict[str, Any] = (value.memory if hasattr(type(value), "is_stand_in")
                              else value.__dict__)
    return memory


def arrays_of(variables: Iterable[Any]) -> list[np.ndarray[Any, Any]]:
    """Values of variables, ours and stand-ins, each adapter asked once."""
    listed = list(variables)
    if not any(hasattr(kind, "is_stand_in") for kind in set(map(type, listed))):
        return [variable.array for variable in listed]  # there may be 100,000
    waiting: dict[Adapter, list[int]] = {}
    arrays: list[Any] = []
    for at, variable in enumerate(listed):
        if hasattr(type(variable), "is_stand_in"):
            waiting.setdefault(variable.adapter, []).append(at)
            arrays.append(None)
        else:
            arrays.append(variable.array)
    for adapter, places in waiting.items():
        read = adapter.read_all([listed[at] for at in places])
        for at, array in zip(places, read, strict=True):
            arrays[at] = array
    return arrays


def assign_all(pairs: Iterable[tuple[Any, np.ndarray[Any, Any]]], *,
               as_initial: bool = False) -> None:
    """Give variables, ours and stand-ins, their arrays, each adapter asked once.

    Args:
        pairs: Variables and arrays of their dtype and shape.
        as_initial: Whether they become the initial values too, where a framework has such.
    """
    waiting: dict[Adapter, list[tuple[Any, np.ndarray[Any, Any]]]] = {}
    for variable, array in pairs:
        if hasattr(type(variable), "is_stand_in"):
            waiting.setdefault(variable.adapter, []).append((variable, array))
        else:
            variable.restore(array, as_initial=as_initial)
    for adapter, own in waiting.items():
        adapter.assign_all(own)


def check_settable(takers: Iterable[Any]) -> None:
    """See that live objects can be given other values, each adapter asked once.

    Raises:
        VariableError: Some can't.
    """
    asked: dict[Adapter, list[Any]] = {}
    for taker in takers:
        if hasattr(type(taker), "is_stand_in"):
            asked.setdefault(taker.adapter, []).append(taker)
    for adapter, own in asked.items():
        adapter.check_settable(own)


def waits_for_run(value: Any) -> bool:
    """Whether an object gets its values only when its graph is run in a session."""
    return bool(getattr(value, "waits_for_run", False))


def initialize(values: Iterable[Any]) -> None:
    """Initialize those of these objects that wait for a run, each adapter asked once."""
    waiting: dict[Adapter, list[Any]] = {}
    for value in values:
        if waits_for_run(value):
            waiting.setdefault(value.adapter, []).append(value)
    for adapter, own in waiting.items():
        adapter.initialize(own)


@contextmanager
def using_session(session: Any) -> Iterator[None]:
    """Values of graph variables are read and set in this session for the time of a ``with``.

    None leaves it at the session of a ``with`` around this one, or else at the framework's default.
    """
    token = _session.set(_session.get() if session is None else session)
    try:
        yield
    finally:
        _session.reset(token)


def session_in(options: object) -> Any:
    """A session that was given where TensorFlow 2 has options and TensorFlow 1 had it, or None."""
    return options if hasattr(options, "run") else None


def current_session() -> Any:
    """The session given to `using_session`, or None."""
    return _session.get()
