"""Variable scopes of TensorFlow 1: prefixes of names, defaults, and reuse.

A variable scope is two things. Its name is the prefix of what `get_variable` makes in it
and is the same each time. The name scope that it opens is what `Variable` goes by, and is
numbered anew each time in a graph.

Outside a graph `get_variable` makes a new variable on each call, as in TensorFlow 2; see
`EagerVariableStore` for how to find them again.
Source: python/ops/variable_scope.py of TensorFlow 1.15 and 2.21.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tfckpt.errors import GraphStateError, VariableError
from tfckpt.train.graphs import (
    Graph,
    GraphKeys,
    executing_eagerly,
    get_collection,
    get_default_graph,
    get_name_scope,
    name_scope,
)
from tfckpt.train.initializers import Partitioner
from tfckpt.train.store import AUTO_REUSE, Request, Reuse
from tfckpt.train.variables import Variable

__all__ = ["VariableScope", "get_variable_scope", "variable_scope"]


@dataclass(eq=False)
class VariableScope:
    """A scope that was entered: its name, and what it gives to variables made in it.

    Attributes:
        reuse: Whether variables are made (False), must be there (True), or either
            (`AUTO_REUSE`).
        name: Prefix of the variables' names, without a slash at its end.
        initializer: Initializer of variables that are asked for without one.
        regularizer: Regularizer likewise.
        caching_device: Handed to custom getters.
        partitioner: Partitioner likewise.
        custom_getter: What `get_variable` calls instead of doing it itself.
        original_name_scope: The name scope that was opened with it, with a slash at its end.
        dtype: Dtype likewise.
        use_resource: Handed to custom getters.
        constraint: Constraint likewise.
    """

    reuse: Reuse
    name: str = ""
    initializer: Any = None
    regularizer: Callable[[Variable], Any] | None = None
    caching_device: object = None
    partitioner: Partitioner | None = None
    custom_getter: Callable[..., Any] | None = None
    original_name_scope: str = ""
    dtype: Any = "float32"
    use_resource: bool | None = None
    constraint: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if executing_eagerly():  # as TensorFlow 2 reports it
            self.reuse = AUTO_REUSE

    def reuse_variables(self) -> None:
        """Only find variables from now on, in this scope and below."""
        self.reuse = True

    def set_initializer(self, initializer: Any) -> None:
        """Set the initializer of variables that are asked for without one."""
        self.initializer = initializer

    def set_regularizer(self, regularizer: Callable[[Variable], Any] | None) -> None:
        """Set the regularizer of variables that are asked for without one."""
        self.regularizer = regularizer

    def set_partitioner(self, partitioner: Partitioner | None) -> None:
        """Set the partitioner of variables that are asked for without one."""
        self.partitioner = partitioner

    def set_custom_getter(self, custom_getter: Callable[..., Any] | None) -> None:
        """Set what `get_variable` calls instead of doing it itself."""
        self.custom_getter = custom_getter

    def set_dtype(self, dtype: Any) -> None:
        """Set the dtype of variables that are asked for without one."""
        self.dtype = dtype

    def get_collection(self, name: Any) -> list[Any]:
        """What of a collection is under this scope, in order of creation."""
        prefix = f"{self.name}/" if self.name else ""
        return [item for item in get_collection(name)
                if getattr(item, "name", "").startswith(prefix)]

    def global_variables(self) -> list[Any]:
        """The graph's variables under this scope that aren't local."""
        return self.get_collection(GraphKeys.GLOBAL_VARIABLES)

    def trainable_variables(self) -> list[Any]:
        """The graph's variables under this scope that training changes."""
        return self.get_collection(GraphKeys.TRAINABLE_VARIABLES)

    def local_variables(self) -> list[Any]:
        """The graph's local variables under this scope."""
        return self.get_collection(GraphKeys.LOCAL_VARIABLES)

    def complete(self, request: Request) -> Request:
        """A request with the scope's name before its own, and with the scope's defaults."""
        own_name = request.name
        reuse: Reuse = False
        if not executing_eagerly():
            reuse = self.reuse if request.reuse is None else request.reuse
        return replace(
            request,
            name=f"{self.name}/{own_name}" if self.name else own_name,
            reuse=reuse,
            dtype=self.dtype if request.dtype is None else request.dtype,
            initializer=(self.initializer if request.initializer is None
                         else request.initializer),
            regularizer=request.regularizer or self.regularizer,
            caching_device=request.caching_device or self.caching_device,
            partitioner=request.partitioner or self.partitioner,
            use_resource=(self.use_resource if request.use_resource is None
                          else request.use_resource),
            constraint=request.constraint or self.constraint,
        )


class _Scopes(threading.local):
    """The scope that a thread is in, in one graph, and how often it opened each name."""

    def __init__(self) -> None:
        self.current = VariableScope(False)
        self.counts: dict[str, int] = {}

    def opened(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def forget_below(self, name: str) -> None:
        """Let default names below a scope that is left start anew."""
        for key in self.counts:
            if key.startswith(name + "/"):
                self.counts[key] = 0

    def unique_default(self, name: str) -> str:
        """A default name that this scope hasn't opened yet."""
        full = f"{self.current.name}/{name}" if self.current.name else name
        if not self.counts.get(full):
            return name
        number = 1
        while self.counts.get(f"{full}_{number}"):
            number += 1
        return f"{name}_{number}"


def _scopes() -> _Scopes:
    return get_default_graph().part(_Scopes)


def get_variable_scope() -> VariableScope:
    """The variable scope that this thread is in.

    Example:
        >>> with variable_scope("a"), variable_scope("b"):
        ...     get_variable_scope().name
        'a/b'
    """
    return _scopes().current


class variable_scope:  # noqa: N801 - TensorFlow's name for it
    """Enter a variable scope for the time of a ``with``.

    Args:
        name_or_scope: A name, put under the scope around, or a scope that was entered
            before, which keeps its own full name. None to go by ``default_name``.
        default_name: A name that gets a number if this scope has opened it before.
        values: Not used.
        initializer: Initializer of variables that are asked for without one.
        regularizer: Regularizer likewise.
        caching_device: Handed to custom getters.
        partitioner: Partitioner likewise.
        custom_getter: What `get_variable` calls instead of doing it itself; it gets the
            true one as its argument ``getter``.
        reuse: True to only find variables, `AUTO_REUSE` to find or make them. None takes
            what the scope around has, and so does False: reuse can't be switched off.
        dtype: Dtype likewise.
        use_resource: Handed to custom getters.
        constraint: Constraint likewise.
        auxiliary_name_scope: Whether a name scope is opened too.

    Raises:
        VariableError: ``reuse`` is something else, or asked for with a default name; on
            entering: the name isn't valid in a graph.
        GraphStateError: On leaving: another scope was entered and not left.

    Example:
        >>> from tfckpt import Graph, get_variable
        >>> with Graph().as_default():
        ...     for _ in range(2):
        ...         with variable_scope("layer", reuse=AUTO_REUSE):
        ...             print(get_variable("w", [3]).name, Variable(0.0, name="v").name)
        layer/w:0 layer/v:0
        layer/w:0 layer_1/v:0
    """

    def __init__(
        self,
        name_or_scope: str | VariableScope | None,
        default_name: str | None = None,
        values: object = None,
        initializer: Any = None,
        regularizer: Callable[[Variable], Any] | None = None,
        caching_device: object = None,
        partitioner: Partitioner | None = None,
        custom_getter: Callable[..., Any] | None = None,
        reuse: Reuse = None,
        dtype: Any = None,
        use_resource: bool | None = None,
        constraint: Callable[..., Any] | None = None,
        auxiliary_name_scope: bool = True,
    ) -> None:
        if name_or_scope is None and default_name is None:
            raise TypeError("variable_scope needs a name, a scope or a default_name")
        if not any(reuse is way for way in (None, False, True, AUTO_REUSE)):
            raise VariableError("this is no way to reuse variables", got=repr(reuse),
                                expected="True, False, None or AUTO_REUSE")
        if not isinstance(auxiliary_name_scope, bool):
            raise TypeError(f"auxiliary_name_scope is True or False, not {auxiliary_name_scope!r}")
        self._name_or_scope = name_or_scope
        self._default_name = default_name
        self._reuse: Reuse = reuse or None
        self._custom_getter = custom_getter
        self._given = {name: value for name, value in (
            ("initializer", initializer), ("regularizer", regularizer),
            ("caching_device", caching_device), ("partitioner", partitioner), ("dtype", dtype),
            ("use_resource", use_resource)) if value is not None}
        self._constraint = constraint
        self._auxiliary = auxiliary_name_scope
        self._graph: Graph | None = None if executing_eagerly() else get_default_graph()
        self._name_scope: name_scope | None = None
        self._pure: _PureScope | None = None
        self._left: list[ExitStack] = []

    def __enter__(self) -> VariableScope:
        with ExitStack() as entered:
            if self._graph is not None:
                entered.enter_context(self._graph.as_default())
            if self._pure is None:  # names are chosen once, when it is entered first
                self._check_name()
                self._name_scope = self._choose_name_scope()
                prefix = None if self._name_scope is None else entered.enter_context(
                    self._name_scope)
                self._pure = self._choose_pure(prefix)
            elif self._name_scope is not None:
                entered.enter_context(self._name_scope)
            scope = entered.enter_context(self._pure.entered())
            self._left.append(entered.pop_all())
        return scope

    def __exit__(self, *exc: object) -> bool | None:
        return self._left.pop().__exit__(*exc)  # type: ignore[arg-type]

    def _check_name(self) -> None:
        if self._name_or_scope is None:
            if not isinstance(self._default_name, str):
                raise TypeError(f"a name is text, not {self._default_name!r}")
            if self._reuse:
                raise VariableError(
                    "a default name is a new name each time, so nothing can be reused under it",
                    got=repr(self._default_name), hint="Give name_or_scope instead.")
        elif not isinstance(self._name_or_scope, (str, VariableScope)):
            raise TypeError(f"name_or_scope is text or a scope, not {self._name_or_scope!r}")

    def _choose_name_scope(self) -> name_scope | None:
        if not self._auxiliary:
            around = get_name_scope()
            return name_scope(around + "/" if around else "")
        if self._name_or_scope is None:
            return name_scope(self._default_name)
        text = (self._name_or_scope if isinstance(self._name_or_scope, str)
                else self._name_or_scope.name.rpartition("/")[2])
        return name_scope(text) if text else None

    def _choose_pure(self, prefix: str | None) -> _PureScope:
        given = dict(self._given, constraint=self._constraint)
        if isinstance(self._name_or_scope, VariableScope):
            return _PureScope(self._name_or_scope, self._reuse, self._custom_getter, given)
        name = self._name_or_scope
        if name is None:
            name = _scopes().unique_default(self._default_name or "")
        given["original_name_scope"] = name if prefix is None else prefix
        return _PureScope(name, self._reuse, self._custom_getter, given)


class _PureScope:
    """A variable scope without its name scope; can be entered again and again."""

    def __init__(self, name_or_scope: str | VariableScope, reuse: Reuse,
                 custom_getter: Callable[..., Any] | None, given: dict[str, Any]) -> None:
        self._name = name_or_scope if isinstance(name_or_scope, str) else None
        self._reuse = reuse
        self._custom_getter = custom_getter
        self._given = given
        self._scope = (None if isinstance(name_or_scope, str) else self._below(
            name_or_scope, name=name_or_scope.name, reuse=reuse or name_or_scope.reuse))

    def _below(self, base: VariableScope, **changes: Any) -> VariableScope:
        if self._custom_getter is not None:
            changes["custom_getter"] = _chained(self._custom_getter, base.custom_getter)
        return replace(base, **{**self._given, **changes})

    @contextmanager
    def entered(self) -> Iterator[VariableScope]:
        scopes = _scopes()
        before = scopes.current
        if self._name is None:
            assert self._scope is not None  # else it has a name
            scope = self._scope
            scopes.opened(scope.name)
            counts = dict(scopes.counts)
        else:
            name = f"{before.name}/{self._name}" if before.name else self._name
            self._reuse = self._reuse or before.reuse
            scope = self._below(before, name=name, reuse=self._reuse)
            scopes.opened(name)
        scopes.current = scope
        try:
            yield scope
        finally:
            nested_well = scopes.current is scope
            if self._name is None:
                scopes.counts = counts
            else:
                scopes.forget_below(scope.name)
            scopes.current = before
        if not nested_well:
            raise GraphStateError("variable scopes were not left in the order they were entered")


def _chained(custom: Callable[..., Any], outer: Callable[..., Any] | None) -> Callable[..., Any]:
    """A custom getter whose true getter is the outer scope's custom getter."""
    if outer is None:
        return custom

    @functools.wraps(custom)  # keeps what can be told of its arguments
    def chained(getter: Callable[..., Any], *given: Any, **named: Any) -> Any:
        return custom(functools.partial(outer, getter), *given, **named)

    return chained
