"""Variables and tables of a graph: their values are in a session, and move in one run.

No operation is added by a read or a write of variables, so a finalized graph will do: a
variable is fetched by itself, and set by running its initializer with the value fed in the
place of the initial one. What other objects need is made once and kept with the graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from tfckpt.core.plan import Output
from tfckpt.errors import GraphStateError, VariableError
from tfckpt.tensorflow.leaves import TensorFlowVariable
from tfckpt.tensorflow.saveables import InParts, Spec, cut, grouped
from tfckpt.tensorflow.tensors import as_array_of, proto_of, variants_of
from tfckpt.train.adapters import current_session
from tfckpt.train.outputs import value_outputs
from tfckpt.train.standins import LiveObject
from tfckpt.train.storedvariants import StoredVariants
from tfckpt.train.values import Shape, as_dtype, as_shape
from tfckpt.train.variables import PartitionedVariable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["GraphVariable", "assign_variables", "graphed", "initialize", "lazy_values",
           "prepare", "read_variables", "restore_values", "session_for"]


# How references and resources say it.
_UNINITIALIZED = re.compile(
    r"(?:uninitialized value|Could not find variable|reading resource variable) (\S*[^\s.])")


class GraphVariable(TensorFlowVariable):
    """A variable of a graph, of either kind: a reference or a resource."""

    waits_for_run = True
    copies = False  # what is fed may become the variable's own buffer, and be written to

    @property
    def shape(self) -> Shape:
        return as_shape(self.live.shape) or ()

    def read(self) -> np.ndarray[Any, Any]:
        return read_variables([self])[0]

    def write(self, array: np.ndarray[Any, Any]) -> None:
        assign_variables([(self, array)])


def session_for(graph: Any) -> Any:
    """The session that was given, or the default one.

    Raises:
        GraphStateError: There is neither, or it is a session of another graph.
    """
    session = current_session() or tf.compat.v1.get_default_session()
    if session is None:
        raise GraphStateError(
            "the values of graph variables are in a session, and there is none",
            hint="Give it, as in Saver.save(sess, …) and Checkpoint.save(…, session=sess), or"
                 " enter it: `with sess.as_default():`.")
    if session.graph is not graph:
        raise GraphStateError("the session is one of another graph than the variables")
    return session


def _run(session: Any, fetches: Any, feeds: dict[Any, Any] | None = None) -> Any:
    try:
        return session.run(fetches, feeds)
    except tf.errors.FailedPreconditionError as error:
        said = _UNINITIALIZED.search(str(error.message))
        raise VariableError("a variable of the graph has no value yet",
                            tensor=said[1] if said else None,
                            hint="Run the initializers, or restore, before you save.") from None


def read_variables(leaves: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """Values of graph variables, all from one run.

    Raises:
        GraphStateError: There is no session.
        VariableError: A variable was not initialized.
    """
    session = session_for(leaves[0].live.graph)
    values = _run(session, [leaf.live for leaf in leaves])
    return [as_array_of(value, leaf.dtype) for leaf, value in zip(leaves, values, strict=True)]


def assign_variables(pairs: Sequence[tuple[Any, np.ndarray[Any, Any]]]) -> None:
    """Give graph variables their values, all in one run if no two share an initial value.

    Raises:
        GraphStateError: There is no session.
    """
    session = session_for(pairs[0][0].live.graph)
    waiting = list(pairs)
    while waiting:
        feeds: dict[int, tuple[Any, Any]] = {}
        ops, rest = [], []
        for leaf, array in waiting:
            op, place = _assignment(leaf.live, array.shape)
            if id(place) in feeds:
                rest.append((leaf, array))
            else:
                ops.append(op)
                feeds[id(place)] = place, array
        session.run(ops, dict(feeds.values()))
        waiting = rest


def _assignment(variable: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """An operation that sets a variable, and the tensor whose value it sets it to."""
    op = variable.initializer
    if op is not None and len(op.inputs) > 1 and op.type in {"Assign", "AssignVariableOp"}:
        place = op.inputs[1]
        # An initial value may have a shape that is narrower than the variable's.
        if place.shape.is_compatible_with(shape) and variable.graph.is_feedable(place):
            return op, place
    made = _kept(variable.graph, "_tfckpt_assignments")
    if id(variable) not in made:
        with variable.graph.as_default(), tf.control_dependencies(None), tf.name_scope("tfckpt/"):
            place = tf.compat.v1.placeholder(variable.dtype.base_dtype, variable.shape)
            assign = tf.compat.v1.assign(variable, place, validate_shape=False)
        made[id(variable)] = assign.op, place, variable  # which lives as long as the graph
    return made[id(variable)][:2]  # type: ignore[no-any-return]


def _kept(graph: Any, name: str) -> dict[Any, Any]:
    """What was made in a graph for later calls; it dies with the graph."""
    if not hasattr(graph, name):
        setattr(graph, name, {})
    kept: dict[Any, Any] = getattr(graph, name)
    return kept


class _Graphed(NamedTuple):
    """What a graph has to save and restore an object that isn't a variable.

    Attributes:
        live: The object.
        specs: What it stores.
        fetches: What gives their values in a session; of a variant its shape and its bytes.
        dtypes: Their dtypes' names.
        places: Placeholders for values to restore, one for each spec.
        ops: Operations that restore them.
    """

    live: Any
    specs: list[Spec]
    fetches: list[Any]
    dtypes: list[str]
    places: list[Any]
    ops: list[Any]


def _is_variant(tensor: Any) -> bool:
    return bool(tensor.dtype.base_dtype == tf.variant)


def graphed(live: Any, name: str | None, make: Any) -> _Graphed:
    """The operations for an object, made when it is first asked.

    Args:
        live: The object.
        name: Its name for a Saver; None in a Checkpoint.
        make: Gives what it stores.

    Raises:
        GraphStateError: The graph was finalized before.
    """
    graph = tf.compat.v1.get_default_graph()
    made = _kept(graph, "_tfckpt_graphed")
    key = id(live), name
    if key not in made:
        if graph.finalized:
            raise GraphStateError(
                "the graph is finalized, and an object in it needs operations to be saved",
                got=type(live).__name__,
                hint="Make the Saver, or save once, before the graph is finalized.")
        with tf.control_dependencies(None):
            specs = make()
            tensors = [spec.spec.tensor for spec in specs]
            places = [tf.compat.v1.placeholder(tf.string if _is_variant(tensor) else tensor.dtype)
                      for tensor in tensors]
            restored = {id(spec): tf.io.parse_tensor(place, tf.variant) if _is_variant(tensor)
                        else place
                        for spec, tensor, place in zip(specs, tensors, places, strict=True)}
            ops = [own[0].saveable.restore([restored[id(spec)] for spec in own], None)
                   for own in grouped(specs)]
            # A session gives no variants, but their bytes.
            fetches = [(tf.shape(tensor), tf.io.serialize_tensor(tensor)) if _is_variant(tensor)
                       else tensor for tensor in tensors]
        dtypes = [tensor.dtype.base_dtype.name for tensor in tensors]
        made[key] = _Graphed(live, specs, fetches, dtypes, places, ops)
    return made[key]  # type: ignore[no-any-return]


class _Evaluation:
    """Values of one object's tensors: one run gives all of them, each is taken once."""

    def __init__(self, made: _Graphed) -> None:
        self._made = made
        self._values: dict[int, Any] = {}

    def take(self, at: int) -> Any:
        if at not in self._values:
            values = _run(session_for(self._made.places[0].graph), self._made.fetches)
            self._values = dict(enumerate(values))
        return self._values.pop(at)


class _Fetched:
    """A value that is fetched when it is written."""

    def __init__(self, evaluation: _Evaluation, at: list[int], specs: list[Spec],
                 dtype: str) -> None:
        self._evaluation, self._at, self._specs, self._dtype = evaluation, at, specs, dtype

    def output(self, key: str) -> Output:
        """The tensor to write."""
        if self._dtype == "variant":
            shape, proto = self._evaluation.take(self._at[0])
            return variants_of(proto, tuple(shape.tolist())).output(key)
        from tfckpt.tensorflow.saveables import own_values

        arrays = [as_array_of(self._evaluation.take(at), as_dtype(self._dtype)) for at in self._at]
        (value,) = own_values(self._specs, arrays).values()
        if isinstance(value, InParts):
            return value.output(key)
        return value_outputs([key], [value])[0]


def lazy_values(made: _Graphed) -> dict[str, Any]:
    """Values of an object of a graph, by name, to be fetched when they are written."""
    evaluation = _Evaluation(made)
    by_name: dict[str, list[int]] = {}
    for at, spec in enumerate(made.specs):
        by_name.setdefault(spec.name, []).append(at)
    return {name: _Fetched(evaluation, places, [made.specs[at] for at in places],
                           made.dtypes[places[0]])
            for name, places in by_name.items()}


def restore_values(made: _Graphed, values: dict[str, Any]) -> None:
    """Give an object of a graph its values.

    Raises:
        GraphStateError: There is no session.
    """
    feeds = {}
    for spec, place in zip(made.specs, made.places, strict=True):
        value = values[spec.name]
        feeds[place] = (proto_of(value) if isinstance(value, StoredVariants)
                        else cut(spec, value))
    session_for(made.places[0].graph).run(made.ops, feeds)


def prepare(values: Iterable[tuple[Any, Any]]) -> None:
    """Make what saving and restoring these will take, before their graph is finalized.

    Args:
        values: Names for a Saver, or numbers in a Checkpoint, and variables or objects.
    """
    for name, value in values:
        for leaf in value if isinstance(value, PartitionedVariable) else (value,):
            if isinstance(leaf, GraphVariable):
                _assignment(leaf.live, tuple(size or 0 for size in leaf.shape))
            elif isinstance(leaf, LiveObject):
                _ = leaf.saver_values(name) if isinstance(name, str) else leaf.own_values()


def initialize(lives: Iterable[Any]) -> None:
    """Run the initializers of objects of a graph, where they have some."""
    ops = [op for live in lives if (op := getattr(live, "initializer", None)) is not None]
    if ops:
        session_for(ops[0].graph).run(ops)
