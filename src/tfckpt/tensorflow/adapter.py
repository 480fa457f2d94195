"""TensorFlow's objects as stand-ins; train/adapters.py says what those are for.

Everything that TensorFlow itself would save is asked of TensorFlow: children by
``_trackable_children``, values by ``_serialize_to_tensors`` or by the older
``_gather_saveables_for_checkpoint``, slots by ``get_slot``. So keys and object graphs are its own.

Source: python/checkpoint/{save_util,save_util_v1,util,restore}.py, python/trackable/base.py of
TensorFlow 2.15 and 2.21.
"""

from __future__ import annotations

from typing import Any

from tensorflow.python.ops import resource_variable_ops, variables
from tensorflow.python.trackable import base, python_state

from tfckpt.tensorflow.leaves import EagerVariable, SavingVariable
from tfckpt.tensorflow.parents import TensorFlowObject, TensorFlowOptimizer, TensorFlowState
from tfckpt.train.adapters import Adapter

__all__ = ["ADAPTER", "TensorFlowAdapter"]


class TensorFlowAdapter(Adapter):
    """Stand-ins for variables, trackables and optimizers of TensorFlow."""

    def stand_in(self, live: Any, memory: dict[str, Any]) -> Any:
        if isinstance(live, resource_variable_ops.BaseResourceVariable):
            return EagerVariable(live, memory, self)
        if isinstance(live, variables.Variable) or resource_variable_ops.is_resource_variable(live):
            return SavingVariable(live, memory, self)
        if not isinstance(live, base.Trackable):
            return None
        if isinstance(live, python_state.PythonState):
            return TensorFlowState(live, memory, self)
        if "get_slot_names" in dir(live):  # as TensorFlow asks: hasattr would run __getattr__
            return TensorFlowOptimizer(live, memory, self)
        return TensorFlowObject(live, memory, self)


ADAPTER = TensorFlowAdapter()
