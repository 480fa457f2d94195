"""What a `Saver` restores: the stored value that each of its own takes, and how it is given.

Source: python/training/saver.py of TensorFlow 1.15 and 2.21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfckpt.core.index import Entry
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY
from tfckpt.train.adapters import assign_all
from tfckpt.train.graphview import Stored
from tfckpt.train.loadreport import (
    MOST_SHOWN,
    LoadReport,
    Mismatch,
    Missing,
    RestoreError,
    nearest_keys,
)
from tfckpt.train.objects import PythonState
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.standins import LiveObject
from tfckpt.train.storednames import StoredNames
from tfckpt.train.values import as_array
from tfckpt.train.variables import Variable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["find_entries", "give_values"]


def find_entries(items: list[Stored], names: StoredNames, *, reshape: bool) -> dict[str, Entry]:
    """What each value is restored from.

    Args:
        items: The values.
        names: What the checkpoint has.
        reshape: Whether another shape will do if it has as many elements.

    Raises:
        RestoreError: Something is missing or differs.
    """
    found: dict[str, Entry] = {}
    missing: list[Missing] = []
    mismatched: list[Mismatch] = []
    for item in items:
        entry = names.entry(item.key)
        if entry is None:
            near = nearest_keys(item.key, names.all) if len(missing) < MOST_SHOWN else ()
            missing.append(Missing(item.key, _what(item), near))
            continue
        found[item.key] = entry
        if not _fits(item, entry, reshape=reshape):
            mismatched.append(Mismatch(item.key, _what(item),
                                       f"{entry.dtype} {list(entry.shape)}"))
    if not missing and not mismatched:
        return found
    differing = {item.name for item in mismatched}
    taken = {entry.key for entry in found.values()}
    report = LoadReport(tuple(key for key in found if key not in differing), tuple(missing),
                        tuple(key for key in names.index
                              if key not in taken and key != OBJECT_GRAPH_KEY),
                        tuple(mismatched))
    wrong = ((len(missing), "variables are not in the checkpoint"),
             (len(mismatched), "variables differ from the checkpoint's in shape or dtype"))
    raise RestoreError(", ".join(f"{count} {what}" for count, what in wrong if count),
                       report=report, file=names.prefix, hint="Nothing was loaded.")


def give_values(items: list[Stored], arrays: dict[str, Any], names: dict[int, str]) -> None:
    """Give everything its values: what can still refuse them, the user's own objects, first.

    Args:
        items: The values.
        arrays: What was read for them, by their keys.
        names: What a `Saver` calls each object, by the object's ``id``.
    """
    own: dict[int, dict[str, Any]] = {}
    objects = {id(item.owner): item.owner for item in items
               if not isinstance(item.owner, (Variable, PartitionedVariable))}
    for item in items:
        if id(item.owner) in objects:
            own.setdefault(id(item.owner), {})[item.name] = arrays[item.key]
    for key, value in objects.items():
        if isinstance(value, PythonState):
            (state,) = own[key].values()
            value.deserialize(state[()])
        elif isinstance(value, LiveObject):
            value.set_saver_values(names[key], own[key])
        else:
            value._restore_from_tensors(own[key])  # noqa: SLF001 - TensorFlow's name, for overriding
    pairs: list[tuple[Variable, np.ndarray[Any, Any]]] = []
    for item in items:
        if isinstance(item.owner, PartitionedVariable):
            pairs += item.owner.parts_of(arrays[item.key])
        elif isinstance(item.owner, Variable):
            array = arrays[item.key]
            pairs.append((item.owner, array if item.owner.accepts(array.shape)
                          else array.reshape(item.owner.array.shape)))
    assign_all(pairs)


def _fits(item: Stored, entry: Entry, *, reshape: bool) -> bool:
    value = item.value
    if not isinstance(value, (Variable, PartitionedVariable)):
        # What a function would compute isn't asked: a restore must not compute it.
        return (callable(value) or isinstance(item.owner, LiveObject)
                or as_array(value)[1] == entry.dtype)
    if entry.dtype != value.dtype:
        return False
    if value is not item.owner:  # the object that has it decides what becomes of it
        return True
    return value.accepts(entry.shape) or (
        reshape and isinstance(value, Variable)
        and value.array.size == entry.n_elements)


def _what(item: Stored) -> str:
    """What the program has, for messages."""
    value = item.owner
    if isinstance(value, (Variable, PartitionedVariable)):
        return f"{value.dtype} {list(value.shape)}"
    return type(value).__name__
