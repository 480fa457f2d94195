"""TensorFlow's objects as stand-ins; train/adapters.py says what those are for.

Everything that TensorFlow itself would save is asked of TensorFlow: children by
``_trackable_children``, values by ``_serialize_to_tensors`` or by the older
``_gather_saveables_for_checkpoint``, slots by ``get_slot``. So keys and object graphs are its own.

Source: python/checkpoint/{save_util,save_util_v1,util,restore}.py, python/trackable/base.py of
TensorFlow 2.15 and 2.21.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.python.ops import (
    ref_variable,
    resource_variable_ops,
    variable_scope,
    variables,
)
from tensorflow.python.trackable import base, python_state
from tensorflow.python.training import checkpoint_utils
from tensorflow.python.training.saving import saveable_object

from tfckpt.tensorflow.graphvariables import (
    GraphSavingVariable,
    GraphVariable,
    assign_variables,
    read_variables,
)
from tfckpt.tensorflow.initial import begin_with, computed
from tfckpt.tensorflow.leaves import EagerVariable, SavingVariable
from tfckpt.tensorflow.parents import (
    TensorFlowObject,
    TensorFlowOptimizer,
    TensorFlowSaveable,
    TensorFlowState,
)
from tfckpt.tensorflow.partitions import PartitionedView
from tfckpt.tensorflow.sessions import initialize
from tfckpt.tensorflow.shards import is_in_shards
from tfckpt.train.adapters import Adapter, stand_in
from tfckpt.train.partitioned import PartitionedVariable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ADAPTER", "TensorFlowAdapter"]


class TensorFlowAdapter(Adapter):
    """Stand-ins for variables, trackables and optimizers of TensorFlow."""

    def stand_in(self, live: Any, memory: dict[str, Any]) -> Any:
        if isinstance(live, resource_variable_ops.BaseResourceVariable):
            kind = GraphVariable if live._in_graph_mode else EagerVariable  # noqa: SLF001 - no other way
            return kind(live, memory, self)
        if isinstance(live, ref_variable.RefVariable):
            return GraphVariable(live, memory, self)
        if isinstance(live, PartitionedView):
            return stand_in(live.whole)
        if isinstance(live, variables.PartitionedVariable):
            return PartitionedVariable.of_parts([stand_in(part) for part in live])
        if isinstance(live, saveable_object.SaveableObject):
            return TensorFlowSaveable(live, memory, self)
        if is_in_shards(live):
            return TensorFlowObject(live, memory, self)
        if isinstance(live, variables.Variable) or resource_variable_ops.is_resource_variable(live):
            in_graph = getattr(live, "_in_graph_mode", False)
            return (GraphSavingVariable if in_graph else SavingVariable)(live, memory, self)
        if not isinstance(live, base.Trackable):
            return None
        if isinstance(live, python_state.PythonState):
            return TensorFlowState(live, memory, self)
        if "get_slot_names" in dir(live):  # as TensorFlow asks: hasattr would run __getattr__
            return TensorFlowOptimizer(live, memory, self)
        return TensorFlowObject(live, memory, self)

    def read_all(self, leaves: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
        in_graph = [leaf for leaf in leaves if isinstance(leaf, GraphVariable)]
        fetched = iter(read_variables(in_graph) if in_graph else ())
        return [next(fetched) if isinstance(leaf, GraphVariable) else leaf.read()
                for leaf in leaves]

    def assign_all(self, pairs: Sequence[tuple[Any, np.ndarray[Any, Any]]]) -> None:
        in_graph = [pair for pair in pairs if isinstance(pair[0], GraphVariable)]
        for leaf, array in pairs:
            if not isinstance(leaf, GraphVariable):
                leaf.write(array)
        if in_graph:
            assign_variables(in_graph)

    def set_initial(self, prefix: str, loads: Sequence[tuple[Any, str]]) -> None:
        for leaf, key in loads:
            info = leaf.live._save_slice_info  # noqa: SLF001 - as TensorFlow does
            # What TensorFlow's init_from_checkpoint does itself: the initializer reads the file.
            checkpoint_utils._set_checkpoint_initializer(  # noqa: SLF001
                leaf.live, prefix, key, info.spec if info else "")

    def set_initial_values(self, pairs: Sequence[tuple[Any, np.ndarray[Any, Any]]]) -> None:
        for leaf, array in pairs:
            begin_with(leaf.live, array)

    def compute(self, make: Callable[[], Any]) -> Any:
        return computed(make)

    def initialize(self, stand_ins: Sequence[Any]) -> None:
        initialize(item.live for item in stand_ins)

    def variables(self) -> list[Any] | None:
        if tf.executing_eagerly():
            return None
        return [*tf.compat.v1.global_variables(),
                *tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.SAVEABLE_OBJECTS)]

    def named_variables(self) -> dict[str, Any]:
        store = variable_scope._get_default_variable_store()  # noqa: SLF001 - as TensorFlow does
        return {**store._vars, **store._partitioned_vars}  # noqa: SLF001


ADAPTER = TensorFlowAdapter()
