"""Objects of TensorFlow that have children, or values that aren't a variable's, as stand-ins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow.python.checkpoint import util
from tensorflow.python.framework import ops
from tensorflow.python.saved_model import registration
from tensorflow.python.training.saving import saveable_object, saveable_object_util

from tfckpt.errors import UnsupportedError, VariableError
from tfckpt.format.objectgraph import VARIABLE_VALUE
from tfckpt.tensorflow.graphed import graphed, lazy_values, restore_values
from tfckpt.tensorflow.order import Ordered, uid_of
from tfckpt.tensorflow.saveables import (
    Spec,
    attribute_of,
    own_values,
    read_now,
    restore_now,
    specs_for_saver,
    specs_of,
)
from tfckpt.tensorflow.shards import is_in_shards, name_of, shards_of, the_same
from tfckpt.tensorflow.tensors import tensor_of
from tfckpt.train.adapters import stand_in
from tfckpt.train.deferred import Waiting
from tfckpt.train.objects import PythonState
from tfckpt.train.standins import LiveObject, LiveOptimizer
from tfckpt.train.variables import Variable

__all__ = ["TensorFlowObject", "TensorFlowOptimizer", "TensorFlowSaveable", "TensorFlowState"]

class _Position:
    """What waits on an object of TensorFlow's, as TensorFlow expects it there.

    It takes the place of a CheckpointPosition in ``_deferred_dependencies``, and of a
    restore from a name-based checkpoint in ``_self_name_based_restores``.
    """

    def __init__(self, waiting: Waiting, value: Any = None) -> None:
        self.restore_uid = uid_of(waiting.number)
        self._waiting = waiting
        self._value = value

    @property
    def checkpoint(self) -> _Position:
        """What has the ``restore_uid`` that positions are sorted by."""
        return self

    def is_simple_variable(self) -> bool:
        """Whether TensorFlow may take the value as the initial one; else `restore` gives it."""
        return self._value is not None

    def value_tensors(self, shape_and_slices: Any = None) -> dict[str, Any]:
        """The value, for TensorFlow to make a variable with."""
        return {VARIABLE_VALUE: tensor_of(self._value)}

    def value_shape(self) -> Any:
        """Shape of the value."""
        return None if self._value is None else tf.TensorShape(self._value.shape)

    def restore(self, trackable: Any, reader: object = None) -> None:
        """Give an object that has appeared what waits for it."""
        if self._value is None:
            with ops.init_scope():  # out of the function that is being traced, if one is
                self._waiting.fill(stand_in(trackable))

    def eager_restore(self, trackable: Any) -> None:
        """The same, for whatever has appeared below an object."""
        self._waiting.fill(stand_in(trackable))


class TensorFlowObject(Ordered, LiveObject):
    """A trackable object: a module, a model, a list of TensorFlow's, a table, an iterator."""

    def _trackable_children(self) -> dict[str, Any]:
        try:
            children: dict[str, Any] = self.live._trackable_children()  # noqa: SLF001 - as TensorFlow does
        except ValueError as error:  # a list that was changed in a way that can't be saved
            raise VariableError(f"TensorFlow gives no children of an object: {error}",
                                got=type(self.live).__name__) from None
        return children

    @property
    def waits_for_run(self) -> bool:  # type: ignore[override]  # only read
        return not tf.executing_eagerly()

    @property
    def full_name(self) -> str:
        return str(util.get_full_name(self.live))

    @property
    def saver_name(self) -> str:
        return name_of(self.live) if self.takes_slots else ""

    @property
    def takes_slots(self) -> bool:  # type: ignore[override]  # only read
        return is_in_shards(self.live)

    def own_values(self) -> dict[str, Any]:
        return self._values(None, self._specs)

    def set_own_values(self, values: dict[str, Any]) -> None:
        self._set_values(None, self._specs, values)

    def saver_values(self, name: str) -> dict[str, Any]:
        return self._values(name, partial(specs_for_saver, self.live, name))

    def set_saver_values(self, name: str, values: dict[str, Any]) -> None:
        self._set_values(name, partial(specs_for_saver, self.live, name), values)

    def _values(self, name: str | None, make: Callable[[], list[Spec]]) -> dict[str, Any]:
        if not tf.executing_eagerly():
            # Most objects store nothing; for those nothing is kept.
            return lazy_values(graphed(self.live, name, make)) if self._may_store() else {}
        specs = make()
        return own_values(specs, read_now(specs))

    def _set_values(self, name: str | None, make: Callable[[], list[Spec]],
                    values: dict[str, Any]) -> None:
        if tf.executing_eagerly():
            restore_now(make(), values)
        else:
            restore_values(graphed(self.live, name, make), values)

    def _may_store(self) -> bool:
        return isinstance(self.live, saveable_object.SaveableObject) or bool(
            saveable_object_util.saveable_objects_from_trackable(self.live))

    def attribute_of(self, name: str) -> str:
        return attribute_of(self.live, name)

    def _specs(self) -> list[Spec]:
        saver = registration.get_registered_saver_name(self.live)
        if saver:
            raise UnsupportedError(
                "an object has a registered saver of its own, which writes files that only it"
                " knows", got=f"{type(self.live).__name__} with {saver}",
                hint="Save it with tf.train.Checkpoint.")
        return specs_of(self.live)

    def wait_for_child(self, name: str, waiting: Waiting) -> None:
        self.live._maybe_initialize_trackable()  # noqa: SLF001 - as TensorFlow does
        self.live._deferred_dependencies.setdefault(name, []).append(_Position(waiting))  # noqa: SLF001

    def wait_for_any(self, waiting: Waiting) -> None:
        self.live._maybe_initialize_trackable()  # noqa: SLF001 - as above
        self.live._self_name_based_restores.add(_Position(waiting))  # noqa: SLF001


class TensorFlowSaveable(TensorFlowObject):
    """A SaveableObject, as graphs list it among what a Saver saves."""

    @property
    def saver_name(self) -> str:
        return str(self.live.name)

    def _trackable_children(self) -> dict[str, Any]:
        return {}


class TensorFlowState(TensorFlowObject, PythonState):
    """A ``tf.train.experimental.PythonState``."""

    def serialize(self) -> str | bytes:
        state: str | bytes = self.live.serialize()
        return state

    def deserialize(self, string_value: bytes) -> None:
        self.live.deserialize(string_value)


class TensorFlowOptimizer(TensorFlowObject, LiveOptimizer):
    """An optimizer that keeps slots: those of TensorFlow 1, and Keras's older ones."""

    def get_slot_names(self) -> list[str]:
        return list(self.live.get_slot_names())

    def get_slot(self, var: Any, name: str) -> Any:
        try:
            slot = self.live.get_slot(var.live, name)
        except (AttributeError, KeyError):  # not a variable, or none that it knows
            return None
        if is_in_shards(slot):
            slot = the_same(slot, self.memory, (id(var.live), name))
        return None if slot is None else stand_in(slot)

    def makes_slots(self) -> bool:
        return bool(tf.executing_eagerly())

    def make_slot(self, var: Any, slot_name: str, value: Any, dtype: Any = None,
                  name: str | None = None) -> Any:
        parts = shards_of(var.live, value) if is_in_shards(var.live) else [(var.live, value)]
        for part, array in parts:
            position = _Position(Waiting(0, lambda _: None), array)
            self.live._create_or_restore_slot_variable(  # noqa: SLF001 - as TensorFlow does
                slot_variable_position=position, slot_name=slot_name, variable=part)
        if is_in_shards(var.live):
            self.live._create_slots_for_sharded_variables(var.live.variables)  # noqa: SLF001 - as Keras does
        return self.get_slot(var, slot_name)

    def wait_for_slot(self, var: Variable, slot_name: str, waiting: Waiting) -> None:
        self.live._create_or_restore_slot_variable(  # noqa: SLF001 - as above
            slot_variable_position=_Position(waiting), slot_name=slot_name,
            variable=var.live)  # type: ignore[attr-defined]  # a stand-in's
