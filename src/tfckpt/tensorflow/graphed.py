"""Objects of a graph that aren't one variable: what TensorFlow's own saving code adds for them.

Tables, positions of datasets, variables in several places: operations that read and set them are
made once, and kept with the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfckpt.core.plan import Output
from tfckpt.errors import GraphStateError
from tfckpt.tensorflow.saveables import InParts, Spec, cut, grouped, own_values
from tfckpt.tensorflow.sessions import kept, run, session_for
from tfckpt.tensorflow.tensors import as_array_of, proto_of, variants_of
from tfckpt.train.outputs import value_outputs
from tfckpt.train.storedvariants import StoredVariants
from tfckpt.train.values import as_dtype

__all__ = ["Graphed", "graphed", "lazy_values", "restore_values"]


class Graphed(NamedTuple):
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


def graphed(live: Any, name: str | None, make: Callable[[], list[Spec]]) -> Graphed:
    """The operations for an object, made when it is first asked.

    Args:
        live: The object.
        name: Its name for a Saver; None in a Checkpoint.
        make: Gives what it stores.

    Raises:
        GraphStateError: The graph was finalized before.
    """
    graph = tf.compat.v1.get_default_graph()
    made = kept(graph, "_tfckpt_graphed")
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
        made[key] = Graphed(live, specs, fetches, dtypes, places, ops)
    return made[key]  # type: ignore[no-any-return]


class _Evaluation:
    """Values of one object's tensors: one run gives all of them, each is taken once."""

    def __init__(self, made: Graphed) -> None:
        self._made = made
        self._values: dict[int, Any] = {}

    def take(self, at: int) -> Any:
        if at not in self._values:
            values = run(session_for(self._made.places[0].graph), self._made.fetches)
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
        arrays = [as_array_of(self._evaluation.take(at), as_dtype(self._dtype)) for at in self._at]
        (value,) = own_values(self._specs, arrays).values()
        if isinstance(value, InParts):
            return value.output(key)
        return value_outputs([key], [value])[0]


def lazy_values(made: Graphed) -> dict[str, Any]:
    """Values of an object of a graph, by name, to be fetched when they are written."""
    evaluation = _Evaluation(made)
    by_name: dict[str, list[int]] = {}
    for at, spec in enumerate(made.specs):
        by_name.setdefault(spec.name, []).append(at)
    return {name: _Fetched(evaluation, places, [made.specs[at] for at in places],
                           made.dtypes[places[0]])
            for name, places in by_name.items()}


def restore_values(made: Graphed, values: dict[str, Any]) -> None:
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
