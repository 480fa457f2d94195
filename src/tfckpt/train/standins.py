"""The kinds of stand-ins for a framework's objects; train/adapters.py says what they are for."""

from __future__ import annotations

import weakref
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfckpt.errors import VariableError
from tfckpt.format.dtypes import DType
from tfckpt.train.adapters import Adapter, assign_all, stand_in
from tfckpt.train.deferred import SAVE_COUNTER, Waiting
from tfckpt.train.objects import Trackable
from tfckpt.train.optimizer import Optimizer
from tfckpt.train.values import Shape, is_compatible
from tfckpt.train.variables import SaveSliceInfo, Variable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LiveObject", "LiveOptimizer", "LiveVariable"]


class _StandIn:
    """What all stand-ins have.

    Attributes:
        live: The framework's object.
        memory: What a restore remembers of it; outlives the stand-in.
        adapter: Its adapter.
        copies: Whether setting its value copies it. Then the array may be a view of a file; else
            it is a new one, and the framework may keep it and write to it.
        waits_for_run: Whether values move only when a graph is run in a session.
    """

    is_stand_in = True
    copies = False
    waits_for_run = False
    live: Any
    memory: dict[str, Any]
    adapter: Adapter

    def _stand_for(self, live: Any, memory: dict[str, Any], adapter: Adapter) -> None:
        self.__dict__.update(live=live, memory=memory, adapter=adapter)

    def refer(self) -> Callable[[], Any]:
        """A weak reference to the live object that gives its stand-in."""
        live = weakref.ref(self.live)

        def again() -> Any:
            found = live()
            return None if found is None else stand_in(found)

        return again

    def note_asked(self, number: int) -> None:
        """Tell the framework that a restore is asked for, if it restores objects by itself too."""

    def note_restored(self, number: int) -> None:
        """Tell the framework of a restore, if it restores objects by itself too."""

    def is_restored_since(self, number: int) -> bool:
        """Whether the framework itself has restored the object, asked later than ours was."""
        return False

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        raise VariableError("a stand-in can't be copied", got=type(self.live).__name__)


class LiveVariable(_StandIn, Variable):
    """A variable of a framework.

    Subclasses say what its full name, dtype and shape are, and read and write its value.
    """

    def __init__(self, live: Any, memory: dict[str, Any], adapter: Adapter) -> None:
        self._stand_for(live, memory, adapter)

    @property
    @abstractmethod
    def full_name(self) -> str:
        """Its key in a name-based checkpoint."""

    @property
    @abstractmethod
    def dtype(self) -> DType:
        """Dtype of its values."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Its dimensions; None for one that may differ."""

    @abstractmethod
    def read(self) -> np.ndarray[Any, Any]:
        """Its value as an array that nobody writes to; a view where the framework allows it."""

    @abstractmethod
    def write(self, array: np.ndarray[Any, Any]) -> None:
        """Give it a value of its dtype and of a shape that it accepts.

        The array is nobody else's: it may be kept, and written to.
        """

    def prepare(self) -> None:
        """Have the framework's graph get what reading and setting it takes, if that is anything."""

    @property
    def name(self) -> str:
        return f"{self.full_name}:0"

    @property
    def trainable(self) -> bool:  # type: ignore[override]  # only read
        return bool(getattr(self.live, "trainable", True))

    @property
    def save_slice_info(self) -> SaveSliceInfo | None:  # type: ignore[override]  # only read
        return None

    def accepts(self, shape: Shape) -> bool:
        return is_compatible(self.shape, shape)

    @property
    def array(self) -> np.ndarray[Any, Any]:
        return self.adapter.read_all([self])[0]

    def numpy(self) -> Any:
        array = self.array
        return array if array.shape else array[()]

    def restore(self, array: np.ndarray[Any, Any], *, as_initial: bool = False) -> None:
        assign_all([(self, array)], as_initial=as_initial)

    def __repr__(self) -> str:
        return f"<stand-in of {self.live!r}>"


class LiveObject(_StandIn, Trackable):
    """A framework's object that has children, or values that aren't a variable's.

    Subclasses say which. Values are arrays, text, or objects with an ``output`` method that
    makes the tensor to write; see `values_of`.

    Attributes:
        takes_slots: Whether an optimizer may keep slots for it, as for a variable.
    """

    takes_slots = False

    def __init__(self, live: Any, memory: dict[str, Any], adapter: Adapter) -> None:
        self._stand_for(live, memory, adapter)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @abstractmethod
    def _trackable_children(self) -> dict[str, Any]:
        """Its children by name, live ones or stand-ins."""

    @property
    def full_name(self) -> str:
        """What the object graph has as the full name of its values; nothing by default."""
        return ""

    def own_values(self) -> dict[str, Any]:
        """Values that it stores itself, by name."""
        return {}

    def set_own_values(self, values: dict[str, Any]) -> None:
        """Take over the values that `own_values` named."""

    def attribute_of(self, name: str) -> str:
        """The attribute in the object graph that a value belongs to."""
        return name

    @property
    def saver_name(self) -> str:
        """The name that it has for a Saver that is given it in a list; none by default."""
        return ""

    def saver_variables(self, name: str) -> dict[str, Any] | None:
        """Stand-ins of the variables that a Saver stores for it, by whole names.

        Args:
            name: The name that the object was given in a dict; empty if it was given alone.

        Returns:
            The variables; None if it isn't saved variable by variable, but by `saver_values`.
        """
        return None

    def saver_values(self, name: str) -> dict[str, Any]:
        """Values that a Saver stores, under whole names; see `own_values`.

        Args:
            name: The name that the object was given in a dict, or its own.
        """
        return {name + own: value for own, value in self.own_values().items()}

    def set_saver_values(self, name: str, values: dict[str, Any]) -> None:
        """Take over the values that `saver_values` named."""
        self.set_own_values({own.removeprefix(name): value for own, value in values.items()})

    def wait_for_child(self, name: str, waiting: Waiting) -> None:
        """Have a child filled when it appears; by default that is only what we add to a root."""
        if name == SAVE_COUNTER:
            self.memory.setdefault("_waiting", {}).setdefault(name, []).append(waiting)

    def wait_for_any(self, waiting: Waiting) -> None:
        """Have every child filled that the framework makes; by default none is."""

    def __repr__(self) -> str:
        return f"<stand-in of {type(self.live).__name__}>"


class LiveOptimizer(LiveObject, Optimizer):
    """A framework's optimizer that keeps slots.

    Subclasses answer for slots too. ``var`` is the stand-in of a variable in all of this.
    """

    def __init__(self, live: Any, memory: dict[str, Any], adapter: Adapter) -> None:
        LiveObject.__init__(self, live, memory, adapter)

    @abstractmethod
    def get_slot_names(self) -> list[str]:
        """Names of its slots, sorted."""

    @abstractmethod
    def get_slot(self, var: Any, name: str) -> Any:
        """The stand-in of a slot, or None."""

    @abstractmethod
    def makes_slots(self) -> bool:
        """Whether a slot can be made before the optimizer needs it."""
