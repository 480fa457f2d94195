"""A graph as far as variables are concerned: a space of names, and lists of variables.

In a graph (``with Graph().as_default():``) every name is unique, as in TensorFlow 1, and
variables are listed in collections. Elsewhere (eagerly, as in TensorFlow 2) variables may
share a name and are listed nowhere. Which of both holds is a matter of the thread.

Only variables and name scopes take names here, and the four names inside each variable's
own scope that TensorFlow 1.15 takes for it; there are no operations.
Source: python/framework/ops.py of TensorFlow 1.15 and 2.21.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tfckpt.errors import GraphStateError, VariableError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Graph", "GraphKeys", "add_to_collection", "executing_eagerly", "get_collection",
           "get_collection_ref", "get_default_graph", "get_name_scope", "global_variables",
           "local_variables", "model_variables", "name_scope", "reset_default_graph",
           "trainable_variables"]

_T = TypeVar("_T")

_NODE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\-/]*")  # a name at the root
_INNER = re.compile(r"[A-Za-z0-9_.\-/]*")             # a name inside a scope


class GraphKeys:
    """Names of the collections that TensorFlow knows."""

    GLOBAL_VARIABLES = "variables"
    LOCAL_VARIABLES = "local_variables"
    METRIC_VARIABLES = "metric_variables"
    MODEL_VARIABLES = "model_variables"
    TRAINABLE_VARIABLES = "trainable_variables"
    MOVING_AVERAGE_VARIABLES = "moving_average_variables"
    CONCATENATED_VARIABLES = "concatenated_variables"
    REGULARIZATION_LOSSES = "regularization_losses"
    LOSSES = "losses"
    UPDATE_OPS = "update_ops"
    SAVEABLE_OBJECTS = "saveable_objects"
    SAVERS = "savers"
    GLOBAL_STEP = "global_step"


class _ThreadState(threading.local):
    """What a thread has entered: graphs, innermost last, and the eager name scope."""

    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.eager_scope = ""


class _NameStack(threading.local):
    """The name scope that a thread has entered in one graph, without the slash at its end."""

    current = ""


class Graph:
    """A space of unique names, and collections of variables.

    Args:
        seed: Seed of the values that variables without an initializer get.

    Example:
        >>> from tfckpt.train.variables import Variable
        >>> with Graph().as_default() as graph:
        ...     names = [Variable(0.0, name="a").name for _ in range(3)]
        >>> names
        ['a:0', 'a_1:0', 'a_2:0']
        >>> [variable.full_name for variable in graph.get_collection("variables")]
        ['a', 'a_1', 'a_2']
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._lock = threading.RLock()
        self._taken: dict[str, int] = {}
        self._nodes: set[str] = set()
        self._collections: dict[Any, list[Any]] = {}
        self._stack = _NameStack()
        self._parts: dict[Callable[[], Any], Any] = {}
        self._finalized = False
        self._rng: np.random.Generator | None = None

    def __repr__(self) -> str:
        return f"<Graph of {len(self.get_collection(GraphKeys.GLOBAL_VARIABLES))} variables>"

    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Make variables in this graph, in this thread, for the time of a ``with``."""
        _here.graphs.append(self)
        try:
            yield self
        finally:
            _here.graphs.pop()

    def part(self, make: Callable[[], _T]) -> _T:
        """The graph's own object of a class (its variable store, say), made on first use."""
        with self._lock:
            if make not in self._parts:
                self._parts[make] = make()
            part: _T = self._parts[make]
            return part

    @property
    def rng(self) -> np.random.Generator:
        """Where initial values that are random come from."""
        import numpy as np  # deferred: names need no numpy

        if self._rng is None:
            self._rng = np.random.default_rng(self.seed)
        return self._rng

    # Names.

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """A name in the current name scope that nothing else has: if taken, with a number.

        Names that differ only in case count as the same, because some file systems hold
        them to be.

        Example:
            >>> graph = Graph()
            >>> [graph.unique_name(name) for name in ("a", "a", "A", "a_1")]
            ['a', 'a_1', 'A_2', 'a_1_1']
        """
        if self._stack.current:
            name = f"{self._stack.current}/{name}"
        with self._lock:
            key = name.lower()
            count = self._taken.get(key, 0)
            if mark_as_used:
                self._taken[key] = count + 1
            if not count:
                return name
            numbered = key
            while numbered in self._taken:  # a number may be taken on its own account
                numbered, count = f"{key}_{count}", count + 1
            if mark_as_used:
                self._taken[numbered] = 1
            return f"{name}_{count - 1}"

    @contextmanager
    def name_scope(self, name: str | bytes | None) -> Iterator[str]:
        """Put names under this one for the time of a ``with``; see the class `name_scope`."""
        text = _as_text(name)
        if text:
            _check(text, _INNER if self._stack.current else _NODE, self._stack.current)
        before = self._stack.current
        if not text:
            inside = ""
        elif text.endswith("/"):
            inside = text[:-1]
        else:
            inside = self.unique_name(text)
        self._stack.current = inside
        try:
            yield f"{inside}/" if inside else ""
        finally:
            self._stack.current = before

    def get_name_scope(self) -> str:
        """The current name scope, without a slash at its end."""
        return self._stack.current

    def take_operation(self, name: str) -> None:
        """Take the name that one of TensorFlow's operations would have in this name scope."""
        self.take_node(self.unique_name(name))

    def take_node(self, name: str) -> None:
        """Give a variable its final name.

        Raises:
            VariableError: Another variable, or an operation of one, has it, or it is no
                valid name.
        """
        _check(name, _NODE)
        with self._lock:
            if name in self._nodes:  # only a name with a slash at its end isn't numbered
                raise VariableError(
                    "this name is taken in the graph", tensor=name,
                    hint="Without the slash at its end the name would get a number.")
            self._nodes.add(name)

    # Collections.

    def get_collection(self, name: Any, scope: str | None = None) -> list[Any]:
        """A copy of a collection, in order of creation.

        Args:
            name: Its name, mostly one of `GraphKeys`.
            scope: Regular expression that names must begin with; items without a name are
                left out then.
        """
        with self._lock:
            items = list(self._collections.get(name, ()))
        if scope is None:
            return items
        pattern = re.compile(scope)
        return [item for item in items if hasattr(item, "name") and pattern.match(item.name)]

    def get_collection_ref(self, name: Any) -> list[Any]:
        """The collection itself: what is done to this list is done to the graph."""
        with self._lock:
            return self._collections.setdefault(name, [])

    def add_to_collection(self, name: Any, value: Any) -> None:
        """Append to a collection.

        Raises:
            GraphStateError: The graph is finalized.
        """
        self.check_not_finalized()
        self.get_collection_ref(name).append(value)

    def get_all_collection_keys(self) -> list[str]:
        """Names of all collections."""
        with self._lock:
            return [name for name in self._collections if isinstance(name, str)]

    # The end of building.

    @property
    def finalized(self) -> bool:
        """Whether no variable can be added any more."""
        return self._finalized

    def finalize(self) -> None:
        """Refuse new variables from now on."""
        self._finalized = True

    def check_not_finalized(self) -> None:
        """Refuse a change after `finalize`.

        Raises:
            GraphStateError: The graph is finalized.
        """
        if self._finalized:
            raise GraphStateError("the graph is finalized and takes no more variables",
                                  hint="Make every variable before finalize() is called.")


def _as_text(name: str | bytes | None) -> str | None:
    if isinstance(name, bytes):
        return name.decode()
    if name is not None and not isinstance(name, str):
        raise TypeError(f"a name is text, not {name!r}")
    return name


def _check(name: str, pattern: re.Pattern[str], scope: str = "") -> None:
    if pattern.fullmatch(name):
        return
    if not name:
        raise VariableError("a variable can't have an empty name in a graph")
    first = "" if scope else " and begin with a letter, a digit or a dot"
    raise VariableError(
        "this is not a valid name in a graph", got=repr(name),
        hint=f"A name may have the letters A to Z, digits and . _ - /{first}.")


_here = _ThreadState()
_eager_graph = Graph()


def executing_eagerly() -> bool:
    """Whether this thread is in no graph.

    Example:
        >>> with Graph().as_default():
        ...     inside = executing_eagerly()
        >>> inside, executing_eagerly()
        (False, True)
    """
    return not _here.graphs


def get_default_graph() -> Graph:
    """The innermost graph that this thread is in; in none, one for the whole process.

    That one only counts default names of variable scopes, and lists the global step.
    """
    return _here.graphs[-1] if _here.graphs else _eager_graph


def reset_default_graph() -> None:
    """Forget what the process-wide graph holds: counts of scope names, the global step.

    Raises:
        GraphStateError: This thread is in another graph.
    """
    global _eager_graph  # noqa: PLW0603 - the one graph that isn't the caller's to replace
    if _here.graphs:
        raise GraphStateError("a graph can't be replaced while it is entered",
                              hint="Leave `with graph.as_default():` first.")
    _eager_graph = Graph()


class name_scope:  # noqa: N801 - TensorFlow's name for it
    """Put the names of variables under another for the time of a ``with``.

    In a graph the scope's own name is unique too. A name that ends in a slash is a full
    name and taken as it is, to enter a scope again. An empty name or None leads back to the
    root. `get_variable` goes by variable scopes only.

    Args:
        name: The name.
        default_name: The name if ``name`` is None.
        values: Not used.

    Raises:
        VariableError: On entering: the name isn't valid in a graph.

    Example:
        >>> from tfckpt.train.variables import Variable
        >>> with name_scope("encoder") as scope:
        ...     print(scope, Variable(0.0, name="w").name)
        encoder/ encoder/w:0
    """

    def __init__(self, name: str | bytes | None, default_name: str | None = None,
                 values: object = None) -> None:
        if default_name is not None and not isinstance(default_name, str):
            raise TypeError(f"a name is text, not {default_name!r}")
        self._name = default_name if name is None else name
        self._entered: list[AbstractContextManager[str]] = []

    @property
    def name(self) -> str | bytes | None:
        """The name as it was given."""
        return self._name

    def __enter__(self) -> str:
        scope = (_eager_name_scope(self._name) if executing_eagerly()
                 else get_default_graph().name_scope(self._name))
        prefix = scope.__enter__()
        self._entered.append(scope)
        return prefix

    def __exit__(self, *exc: object) -> None:
        self._entered.pop().__exit__(*exc)  # type: ignore[arg-type]


@contextmanager
def _eager_name_scope(name: str | bytes | None) -> Iterator[str]:
    before, text = _here.eager_scope, _as_text(name)
    if not text:
        inside = ""
    elif text.endswith("/"):
        inside = text
    else:
        inside = f"{before}{text}/"
    _here.eager_scope = inside
    try:
        yield inside
    finally:
        _here.eager_scope = before


def get_name_scope() -> str:
    """The current name scope, without a slash at its end.

    Example:
        >>> with name_scope("a"), name_scope("b"):
        ...     get_name_scope()
        'a/b'
    """
    if executing_eagerly():
        return _here.eager_scope.rstrip("/")
    return get_default_graph().get_name_scope()


def get_collection(key: Any, scope: str | None = None) -> list[Any]:
    """A collection of the default graph; see `Graph.get_collection`."""
    return get_default_graph().get_collection(key, scope)


def get_collection_ref(key: Any) -> list[Any]:
    """A collection of the default graph itself; see `Graph.get_collection_ref`."""
    return get_default_graph().get_collection_ref(key)


def add_to_collection(name: Any, value: Any) -> None:
    """Append to a collection of the default graph."""
    get_default_graph().add_to_collection(name, value)


def global_variables(scope: str | None = None) -> list[Any]:
    """Variables of the default graph that aren't local; outside a graph there are none.

    Example:
        >>> from tfckpt.train.variables import Variable
        >>> with Graph().as_default():
        ...     _ = Variable(0.0, name="a"), Variable(0.0, name="b", trainable=False)
        ...     names = [variable.name for variable in global_variables()]
        ...     trained = [variable.name for variable in trainable_variables()]
        >>> names, trained
        (['a:0', 'b:0'], ['a:0'])
    """
    return get_collection(GraphKeys.GLOBAL_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> list[Any]:
    """Variables of the default graph that training changes."""
    return get_collection(GraphKeys.TRAINABLE_VARIABLES, scope)


def local_variables(scope: str | None = None) -> list[Any]:
    """Variables of the default graph that no checkpoint holds."""
    return get_collection(GraphKeys.LOCAL_VARIABLES, scope)


def model_variables(scope: str | None = None) -> list[Any]:
    """Variables of the default graph that were listed as the model's."""
    return get_collection(GraphKeys.MODEL_VARIABLES, scope)
