"""What TensorFlow's own saving code stores for an object that isn't a plain variable.

    ============================== ==================================================
    object                         its values
    ============================== ==================================================
    lookup tables                  keys and values, two tensors under one attribute
    iterators                      their position, variants
    variables in shards            one tensor, in slices
    whatever a user's class gives  its names
    ============================== ==================================================

Each comes as SaveableObjects, which say what to save and know how to restore it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tensorflow.python.checkpoint import saveable_compat
from tensorflow.python.trackable import trackable_utils
from tensorflow.python.training.saving import saveable_object, saveable_object_util

from tfckpt.core.arrays import array_output
from tfckpt.core.origin import Given, Part, Sliced
from tfckpt.core.plan import Output
from tfckpt.format.objectgraph import VARIABLE_VALUE
from tfckpt.format.slices import Box, check_slice, parse_slice_spec
from tfckpt.tensorflow.tensors import tensor_of, value_of
from tfckpt.train.values import as_dtype

__all__ = ["InParts", "Spec", "attribute_of", "cut", "grouped", "own_values", "read_now",
           "restore_now", "specs_for_saver", "specs_of"]


class Spec(NamedTuple):
    """One tensor, or one part of one, that an object stores.

    Attributes:
        name: The tensor's name after the object's path.
        attribute: The attribute in the object graph that it belongs to.
        spec: TensorFlow's SaveSpec.
        saveable: The SaveableObject that restores it.
    """

    name: str
    attribute: str
    spec: Any
    saveable: Any


class InParts(NamedTuple):
    """A tensor that an object stores in slices.

    Attributes:
        shape: Shape of the whole.
        parts: Where each part is, and its value.
    """

    shape: tuple[int, ...]
    parts: list[tuple[Box, Any]]

    def output(self, key: str) -> Output:
        """The tensor to write."""
        dtype = as_dtype(self.parts[0][1].dtype)
        parts = []
        for box, array in self.parts:
            origin = array_output(key, array, dtype).origin
            assert isinstance(origin, Given)
            parts.append(Part(box, origin))
        if len(parts) == 1 and parts[0].extents == tuple((0, size) for size in self.shape):
            return Output(key, dtype, self.shape, parts[0].origin)
        return Output(key, dtype, self.shape, Sliced(tuple(parts)))


def specs_of(live: Any) -> list[Spec]:
    """What a trackable object stores, in TensorFlow's order. In a graph this may add ops."""
    legacy = saveable_compat.get_saveable_name(live)
    found = []
    for name, factory in saveable_object_util.saveable_objects_from_trackable(live).items():
        is_new = name == trackable_utils.SERIALIZE_TO_TENSORS_NAME
        prefix = legacy or ("" if is_new else name)
        for saveable in _saveables(factory, prefix):
            found += [Spec(spec.name, spec.name if is_new and not legacy else prefix, spec,
                           saveable) for spec in saveable.specs]
    return found


def attribute_of(live: Any, name: str) -> str:
    """The attribute in the object graph that a value belongs to, by the value's name."""
    if saveable_compat.get_saveable_name(live):
        return str(saveable_compat.get_saveable_name(live))
    attributes = [own for own in saveable_object_util.saveable_objects_from_trackable(live)
                  if own != trackable_utils.SERIALIZE_TO_TENSORS_NAME and name.startswith(own)]
    return max(attributes, key=len, default=name)


def specs_for_saver(live: Any, name: str) -> list[Spec]:
    """What a trackable object stores for a Saver, under whole names.

    Args:
        live: The object, or a SaveableObject.
        name: The name that it was given in a dict; nothing if it was in a list.
    """
    if isinstance(live, saveable_object.SaveableObject):
        return [Spec(spec.name, "", spec, live) for spec in live.specs]
    found = []
    factories = saveable_object_util.saveable_objects_from_trackable(live, tf1_saver=True)
    for own, factory in factories.items():
        whole = own in {VARIABLE_VALUE, trackable_utils.SERIALIZE_TO_TENSORS_NAME}
        full_name = (name if whole else f"{name}_{own}") if name else None  # a factory has its own
        for saveable in _saveables(factory, full_name):
            found += [Spec(spec.name, "", spec, saveable) for spec in saveable.specs]
    return found


def _saveables(factory: Any, name: str | None) -> Iterator[Any]:
    made = factory
    if callable(factory):
        made = factory() if name is None else factory(name=name)
    if isinstance(made, saveable_object.SaveableObject):
        yield made
    else:
        yield from saveable_object_util.saveable_objects_for_op(op=made, name=name or made.name)


def own_values(specs: list[Spec], tensors: list[Any]) -> dict[str, Any]:
    """Values by name from what the tensors of these specs are; of None there is none."""
    values: dict[str, Any] = {}
    for (name, _, spec, _), value in zip(specs, tensors, strict=True):
        if value is None:
            continue
        if not spec.slice_spec:
            values[name] = value
            continue
        shape, extents = parse_slice_spec(spec.slice_spec)
        values.setdefault(name, InParts(shape, [])).parts.append(
            (check_slice(extents, shape), value))
    return values


def read_now(specs: list[Spec]) -> list[Any]:
    """Values of eager tensors."""
    return [None if (tensor := spec.spec.tensor) is None else value_of(tensor) for spec in specs]


def cut(spec: Spec, value: Any) -> Any:
    """The part of a stored value that a spec is for."""
    if not spec.spec.slice_spec:
        return value
    shape, extents = parse_slice_spec(spec.spec.slice_spec)
    box = check_slice(extents, shape)
    return value[tuple(slice(start, start + size) for start, size in box)]


def grouped(specs: list[Spec]) -> list[list[Spec]]:
    """Specs that are restored together."""
    by_saveable: dict[int, list[Spec]] = {}
    for spec in specs:
        by_saveable.setdefault(id(spec.saveable), []).append(spec)
    return list(by_saveable.values())


def restore_now(specs: list[Spec], values: dict[str, Any]) -> None:
    """Restore an object outside a graph."""
    for own in grouped(specs):
        own[0].saveable.restore([tensor_of(cut(spec, values[spec.name])) for spec in own], None)
