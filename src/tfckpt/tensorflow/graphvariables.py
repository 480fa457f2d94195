"""Variables of a graph: their values are in a session, and move in one run.

No operation is added by a read or a write of a plain variable, so a finalized graph will do: it
is fetched by itself, and set by running its initializer with the value fed in the place of the
initial one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tfckpt.tensorflow.graphed import Graphed, graphed
from tfckpt.tensorflow.leaves import SavingVariable, TensorFlowVariable
from tfckpt.tensorflow.saveables import specs_of
from tfckpt.tensorflow.sessions import kept, run, session_for
from tfckpt.tensorflow.tensors import as_array_of
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.standins import LiveObject
from tfckpt.train.values import Shape, as_shape

if TYPE_CHECKING:
    import numpy as np

__all__ = ["GraphSavingVariable", "GraphVariable", "assign_variables", "prepare",
           "read_variables"]


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

    def fetched(self) -> Any:
        """What a session is asked for its value."""
        return self.live

    def assignment(self, shape: Shape) -> tuple[Any, Any]:
        """An operation that sets it, and the tensor in whose place the value is fed."""
        return _assignment(self.live, shape)


class GraphSavingVariable(SavingVariable, GraphVariable):
    """A `SavingVariable` of a graph, as those of a MirroredStrategy in a session.

    What reads it and what sets it are operations that TensorFlow's own saving code adds.
    """

    def fetched(self) -> Any:
        return self._graphed().fetches[0]

    def assignment(self, shape: Shape) -> tuple[Any, Any]:
        made = self._graphed()
        return made.ops[0], made.places[0]

    def prepare(self) -> None:
        self._graphed()

    def read(self) -> np.ndarray[Any, Any]:
        return GraphVariable.read(self)

    def write(self, array: np.ndarray[Any, Any]) -> None:
        GraphVariable.write(self, array)

    def _graphed(self) -> Graphed:
        with self.live.graph.as_default():
            return graphed(self.live, None, partial(specs_of, self.live))


def read_variables(leaves: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """Values of graph variables, all from one run.

    Raises:
        GraphStateError: There is no session.
        VariableError: A variable was not initialized.
    """
    session = session_for(leaves[0].live.graph)
    values = run(session, [leaf.fetched() for leaf in leaves])
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
            op, place = leaf.assignment(array.shape)
            if id(place) in feeds:
                rest.append((leaf, array))
            else:
                ops.append(op)
                feeds[id(place)] = place, array
        session.run(ops, dict(feeds.values()))
        waiting = rest


def _assignment(variable: Any, shape: Shape) -> tuple[Any, Any]:
    """An operation that sets a variable, and the tensor whose value it sets it to."""
    op = variable.initializer
    if op is not None and len(op.inputs) > 1 and op.type in {"Assign", "AssignVariableOp"}:
        place = op.inputs[1]
        # An initial value may have a shape that is narrower than the variable's.
        if place.shape.is_compatible_with(shape) and variable.graph.is_feedable(place):
            return op, place
    made = kept(variable.graph, "_tfckpt_assignments")
    if id(variable) not in made:
        with variable.graph.as_default(), tf.control_dependencies(None), tf.name_scope("tfckpt/"):
            place = tf.compat.v1.placeholder(variable.dtype.base_dtype, variable.shape)
            assign = tf.compat.v1.assign(variable, place, validate_shape=False)
        made[id(variable)] = assign.op, place, variable  # which lives as long as the graph
    return made[id(variable)][:2]  # type: ignore[no-any-return]


def prepare(values: Iterable[tuple[Any, Any]]) -> None:
    """Make what saving and restoring these will take, before their graph is finalized.

    Args:
        values: Names for a Saver, or numbers in a Checkpoint, and variables or objects.
    """
    for name, value in values:
        for leaf in value if isinstance(value, PartitionedVariable) else (value,):
            if isinstance(leaf, GraphVariable):
                leaf.fetched()
                leaf.assignment(tuple(size or 0 for size in leaf.shape))
            elif isinstance(leaf, LiveObject):
                _ = leaf.saver_values(name) if isinstance(name, str) else leaf.own_values()
