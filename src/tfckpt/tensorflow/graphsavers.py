"""What of a graph a `ScaffoldSaver` saves, and TensorFlow's own savers of the same.

Those are never run: an exported graph is restored by what they add to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.python.checkpoint import graph_view

from tfckpt.tensorflow.leaves import SavingVariable
from tfckpt.train.adapters import stand_in
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.objects import children_of
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.saver import Saver

__all__ = ["as_checkpoint", "saver_of_names", "saver_of_objects"]


def as_checkpoint(objects: Any, saver: Saver) -> tuple[Any, Checkpoint]:
    """What a TF2 checkpoint has, as TensorFlow sees it and as we do.

    Args:
        objects: What was given: a checkpoint, ours or TensorFlow's, a dict of objects, or an
            object; None for the saver's variables.
        saver: Knows the variables by name.
    """
    if isinstance(objects, Checkpoint):
        return None, objects
    if objects is None:
        objects = {"var_list": dict(_variables(saver))}
    if isinstance(objects, Mapping):
        objects = tf.train.Checkpoint(**objects)
    if not isinstance(objects, tf.train.Checkpoint):
        return objects, Checkpoint(root=objects)
    # Its children as ours: were it the root, the root would have a child of that name too.
    children = children_of(stand_in(objects))
    children.pop("save_counter", None)  # saves are counted by the global step
    return objects, Checkpoint(**{name: child.live for name, child in children.items()})


def _variables(saver: Saver) -> Iterator[tuple[str, Any]]:
    """TensorFlow's variables by name; of those in parts each part."""
    for name, value in saver.variables.items():
        if isinstance(value, PartitionedVariable):
            yield from ((part.live.op.name, part.live) for part in value)  # type: ignore[attr-defined]  # a stand-in's
        else:
            yield name, value.live


def saver_of_names(saver: Saver) -> Any:
    """TensorFlow's saver of the same variables."""
    return tf.compat.v1.train.Saver({name: _for_tensorflow(name, value) for name, value
                                     in saver.variables.items()}, sharded=True)


def _for_tensorflow(name: str, value: Any) -> Any:
    if isinstance(value, SavingVariable):  # TensorFlow's takes no dict of these themselves
        return value.saveable(name)
    if isinstance(value, PartitionedVariable):
        return [part.live for part in value]  # type: ignore[attr-defined]  # a stand-in's
    return value.live


def saver_of_objects(objects: Any) -> Any:
    """TensorFlow's saver of the same objects; None for those that TensorFlow doesn't know."""
    if objects is None:
        return None
    saveables = graph_view.ObjectGraphView(objects).frozen_saveable_objects()
    return tf.compat.v1.train.Saver(saveables, sharded=True)
