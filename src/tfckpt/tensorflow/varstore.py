"""What ``tf.compat.v1.get_variable`` makes in a decorated method, kept with its object.

TensorFlow asks a store, which it keeps with the current graph, for each variable that
``get_variable`` names (``python/ops/variable_scope.py``). Outside graphs that store forgets, so
that each call makes new variables. `VariableStore` is put in its place for the time of a call.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import variable_scope

from tfckpt.errors import VariableError
from tfckpt.tensorflow.partitions import PartitionedView, part_by_part, partitions_of

__all__ = ["VariableStore", "current_store"]

_nesting = threading.local()


class VariableStore:
    """Variables, nested layers and regularizers of one object, by their TF1 names.

    Attributes:
        home: A ``tf.Module`` that holds them, attached to the object before this is made. The
            object tracks it, so checkpoints and ``variables`` find them. Its attributes have the
            names of TensorFlow 2.15's shim: object-based checkpoints of either load in the other.
        variables: By name.
        layers: By name, those of `get_or_create_layer`.
        regularizers: By name, what computes a loss; its argument is the variable or nested layer.
        local: Variables outside of the collection of global ones. TF1 doesn't save these.
        shown: What the object was shown already, by name or by ``ref()``; `hosts.py` keeps it.
    """

    # TensorFlow reads this of every store: keep what is made outside graphs too.
    _store_eager_variables = True

    def __init__(self, home: Any) -> None:
        self.home = home
        home._vars, home._layers = {}, {}  # noqa: SLF001 - TensorFlow's names
        self.variables, self.layers = home._vars, home._layers  # noqa: SLF001 - as it wraps them
        self.regularizers: dict[str, functools.partial[Any]] = {}
        self.local: dict[str, Any] = {}
        self.shown: set[Any] = set()
        self._starts: dict[str, dict[str, int]] = {}
        self._used: dict[str, int] = {}
        self._call: object = None
        self._collected: set[tuple[str, int]] = set()

    @property
    def _vars(self) -> dict[str, Any]:
        """The variables, where TensorFlow looks: `make_template` asks the store it finds."""
        return {**self.variables, **self.local}

    @contextmanager
    def entered(self, method: str) -> Iterator[None]:
        """The time of one call of a method: ``get_variable`` asks this store."""
        with variable_scope.with_variable_store(self), _empty_collection(), \
                self._numbered(method):
            yield

    @contextmanager
    def _numbered(self, method: str) -> Iterator[None]:
        """Number unnamed layers as in the method's first call.

        A scope that is opened without a name is called ``dense``, ``dense_1`` and so on after
        the scopes there were before. Each call has to find the names of the first one.
        """
        scopes = variable_scope.get_variable_scope_store()
        before = scopes.variable_scopes_count
        nested = getattr(_nesting, "depth", 0) > 0
        start = self._starts.get(method)
        if start is None:
            start = dict(before if nested else self._used)
        scopes.variable_scopes_count = dict(start)
        _nesting.depth = getattr(_nesting, "depth", 0) + 1
        try:
            yield
            after = scopes.variable_scopes_count
            self._starts[method] = start
            self._used = _larger(self._used, after)
            before = _larger(before, after) if nested else before
        finally:
            _nesting.depth -= 1
            scopes.variable_scopes_count = before

    def get_variable(self, name: str, **arguments: Any) -> Any:
        """The variable of a name; made if there is none. TensorFlow calls this.

        Args:
            name: The whole name, scopes included.
            arguments: Those of ``tf.compat.v1.get_variable``.

        Raises:
            VariableError: It must exist and doesn't, or has another shape or dtype.
        """
        custom_getter = arguments.pop("custom_getter", None)
        if arguments.get("trainable") is None:
            on_read = tf.VariableSynchronization.ON_READ
            arguments["trainable"] = arguments.get("synchronization") != on_read
        if custom_getter is None:
            return self._get(name, **arguments)
        if not _takes(custom_getter, "constraint"):  # older than that argument
            arguments.pop("constraint", None)
        return custom_getter(getter=self._get, name=name, **arguments)

    def _get(
        self,
        name: str,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Callable[[Any], Any] | None = None,
        reuse: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        partitioner: Any = None,
        validate_shape: bool = True,
        constraint: Any = None,
        synchronization: Any = None,
        aggregation: Any = None,
        **_unused: Any,
    ) -> Any:
        dtype = tf.as_dtype(tf.float32 if dtype is None else dtype).base_dtype
        if initializer is not None and not callable(initializer):
            dtype = tf.convert_to_tensor(initializer).dtype  # what was asked for is a default
        found = self.variables.get(name)
        if found is None:
            found = self.local.get(name)
        if found is not None:
            _check_same(name, found, shape, dtype)
            self.collect(name)
            return _seen(found, partitioner)
        if reuse is True:
            raise VariableError(
                "the scope says reuse=True, and there is no such variable", tensor=name,
                hint="Open the scope with reuse=tf.compat.v1.AUTO_REUSE to make it.")
        # Made outside of any function that is being traced: it outlives the trace.
        with tf.init_scope():
            value, dtype = _initial_value(name, shape, dtype, initializer)
            if constraint is not None and partitioner is not None:
                constraint = _constraint_of_parts(constraint, partitioner, name)
            made = tf.Variable(
                initial_value=value, name=name, trainable=trainable, dtype=dtype,
                validate_shape=validate_shape, constraint=constraint,
                synchronization=synchronization or tf.VariableSynchronization.AUTO,
                aggregation=aggregation or tf.VariableAggregation.NONE)
            if collections and tf.compat.v1.GraphKeys.GLOBAL_VARIABLES not in collections:
                self.local[name] = made
            else:
                self.variables[name] = made
        seen = _seen(made, partitioner)
        if regularizer is not None:
            self._regularize(name, seen, regularizer)
            self.collect(name)
        return seen

    def collect(self, key: str) -> None:
        """Put a regularization loss where TF1 code looks for it while it runs, once in a call.

        Args:
            key: A key of `regularizers`; one that isn't there has no loss.
        """
        v1 = tf.compat.v1
        if self._call is not _nesting.call:
            self._call, self._collected = _nesting.call, set()
        place = key, id(v1.get_default_graph())
        if key in self.regularizers and place not in self._collected:
            self._collected.add(place)
            v1.add_to_collection(v1.GraphKeys.REGULARIZATION_LOSSES, self.regularizers[key]())

    def add_regularizer(self, variable: Any, regularizer: Callable[[Any], Any]) -> str:
        """Note the regularizer of a layer. The layers of Keras 2's ``tf1.layers`` call this too.

        Returns:
            Its key in `regularizers`.
        """
        key = f"{variable.name.partition(':')[0]}:0"
        self._regularize(key, variable, regularizer)
        if tf.executing_eagerly():  # in functions Keras 2 collects, and ours do always
            self.collect(key)
        return key

    def _regularize(self, key: str, variable: Any, regularizer: Callable[[Any], Any]) -> None:
        if isinstance(variable, PartitionedView):
            variable, regularizer = variable.whole, variable.part_by_part(regularizer)
        if key not in self.regularizers and regularizer(variable) is not None:
            self.regularizers[key] = functools.partial(regularizer, variable)

    def get_or_create_layer(self, name: str, create: Callable[[], Any]) -> Any:
        """The nested Keras layer of a name; made if there is none."""
        if name not in self.layers:
            layer = create()
            self.layers[name] = layer
            if hasattr(layer, "losses"):
                self.regularizers[name] = functools.partial(_sum_of_losses, layer)
        return self.layers[name]


@contextmanager
def _empty_collection() -> Iterator[None]:
    """TF1's collection of regularization losses is that of the outermost call.

    Outside of graphs there is one for the whole process, and nobody would ever empty it.
    """
    if getattr(_nesting, "depth", 0) > 0:
        yield
        return
    losses = tf.compat.v1.get_collection_ref(tf.compat.v1.GraphKeys.REGULARIZATION_LOSSES)
    before, losses[:] = list(losses), []
    _nesting.call = object()
    try:
        yield
    finally:
        losses[:] = before


def current_store() -> VariableStore | None:
    """The store of the decorated method that is running, if one is."""
    store = variable_scope._get_default_variable_store()  # noqa: SLF001
    return store if isinstance(store, VariableStore) else None


def _seen(variable: Any, partitioner: Any) -> Any:
    """A variable as TF1 code sees it: in parts if it asked for that. A scalar has none."""
    if partitioner is None or not variable.shape.rank:
        return variable
    name = variable.name.partition(":")[0]
    return PartitionedView(variable, partitions_of(partitioner, variable.shape, variable.dtype,
                                                   name))


def _constraint_of_parts(constraint: Callable[[Any], Any], partitioner: Any, name: str
                         ) -> Callable[[Any], Any]:
    """A constraint that sees the parts one by one."""
    def of_the_whole(value: Any) -> Any:
        if not value.shape.rank:
            return constraint(value)
        partitions = partitions_of(partitioner, value.shape, value.dtype, name)
        return part_by_part(constraint, partitions, join=True)(value)

    return of_the_whole


def _check_same(name: str, found: Any, shape: Any, dtype: Any) -> None:
    if not tf.TensorShape(shape).is_compatible_with(found.shape):
        raise VariableError("the variable exists with another shape",
                            expected=list(found.shape), got=shape, tensor=name)
    if not dtype.is_compatible_with(found.dtype):
        raise VariableError("the variable exists with another dtype",
                            expected=found.dtype.name, got=dtype.name, tensor=name)


def _initial_value(name: str, shape: Any, dtype: Any, initializer: Any) -> tuple[Any, Any]:
    """What ``tf.Variable`` gets as initial value, and as dtype."""
    if initializer is None:
        if dtype.is_floating:
            initializer = tf.compat.v1.glorot_uniform_initializer()
        elif dtype.is_integer or dtype.is_bool or dtype == tf.string:
            initializer = tf.compat.v1.zeros_initializer()
        else:
            raise VariableError("a variable of this dtype needs an initializer",
                                got=dtype.name, tensor=name)
    if not callable(initializer):
        if shape is not None:
            raise VariableError("the initializer is a value, which has a shape of its own",
                                got=shape, tensor=name, hint="Leave shape out.")
        return _outside_of_functions(name, initializer), None
    if inspect.isclass(initializer):
        initializer = initializer()
    shape = tf.TensorShape(shape)
    if not shape.is_fully_defined():
        return initializer, None
    return functools.partial(initializer, shape.as_list(), dtype=dtype), dtype


def _outside_of_functions(name: str, value: Any) -> Any:
    """A value that is known without running the function that is being traced."""
    if not tf.is_tensor(value) or hasattr(value, "numpy"):
        return value
    known = tf.get_static_value(value)
    if known is None:
        raise VariableError(
            "the initial value is computed in a tf.function", got=value.name, tensor=name,
            hint="Give a function as initializer, or call the method once outside of tf.function.")
    return tf.constant(known, value.dtype)


def _takes(function: Callable[..., Any], argument: str) -> bool:
    parameters = inspect.signature(function).parameters
    return argument in parameters or any(
        p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def _sum_of_losses(layer: Any) -> Any:
    return tf.add_n(layer.losses) if layer.losses else tf.constant(0.0)


def _larger(counts: dict[str, int], others: dict[str, int]) -> dict[str, int]:
    return {name: max(counts.get(name, 0), others.get(name, 0)) for name in {**counts, **others}}
