"""What objects hold that isn't saved with them, though it looks as if it were.

TensorFlow tracks lists, dicts and tuples that are set on an object, and passes over what else may
hold variables: subclasses of list and dict, sets, queues. The keys are TensorFlow's, so nothing
of these can be saved; but nobody has to find that out by restoring.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from tfckpt.train.adapters import stand_in, why_not
from tfckpt.train.graphview import GraphView
from tfckpt.train.objects import Trackable
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.tracking import Parent, among, is_trackable

__all__ = ["untracked_in"]

_TRACKED_KINDS = (list, dict, OrderedDict, tuple)
_PLAIN = (str, bytes, bytearray, memoryview, range, int, float, bool, complex, type(None))
_MAYBE = (Mapping, Sequence, AbstractSet)
_DEPTH = 5  # of containers in containers; they may hold themselves


def untracked_in(view: GraphView) -> Iterator[str]:
    """Say of everything that isn't saved what it is, where, and what to do."""
    for n, children in view.children.items():  # of all but variables
        owner, path = view.objects[n], view.paths[n]
        if n and isinstance(owner, (list, dict)) and len(children) == len(owner):
            continue  # there may be 100,000
        for name, value in _not_children(owner, children):
            reason = _reason(value)
            if reason:
                yield (f"{path}/{name}".lstrip("/") + f" isn't saved: {reason} Wrap it in"
                       " tfckpt.NoDependency if that is meant.")


def _not_children(owner: Any, children: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What an object of ours holds that is none of its children, and isn't marked as such."""
    if isinstance(owner, Trackable) and not hasattr(type(owner), "is_stand_in"):
        for name, value in vars(owner).items():
            if name not in children and name not in owner._not_saved:  # noqa: SLF001 - ours
                yield name, value
    elif isinstance(owner, (list, dict, tuple)):
        marked = getattr(owner, "_untracked", ())
        items: Iterable[tuple[Any, Any]] = (
            owner.items() if isinstance(owner, dict) else enumerate(owner))
        for key, value in items:
            if not isinstance(value, _PLAIN) and not is_trackable(value) and not (
                    key in marked if isinstance(owner, dict) else among(value, marked)):
                yield str(key), value


def _reason(value: Any) -> str | None:
    if isinstance(value, _PLAIN) or type(value) in _TRACKED_KINDS or is_trackable(value):
        return None
    kind = type(value).__name__
    if isinstance(stand_in(value), PartitionedVariable):
        return (f"a {kind} has no place in an object graph; a list of its parts has, and a Saver"
                " saves it whole.")
    if isinstance(value, _MAYBE) and _holds(value, _DEPTH):
        return (f"a {kind} isn't tracked, and neither are the variables or objects in it; a dict,"
                " a list or a tuple is.")
    reason = why_not(value)
    return reason and f"it is a {kind}. {reason}"


def _holds(container: Any, depth: int) -> bool:
    """Whether a container has something that could be saved, itself or in what it contains."""
    items = list(container.values() if isinstance(container, Mapping) else container)
    containers = [item for item in items if isinstance(item, _MAYBE)
                  and not isinstance(item, _PLAIN)]
    # There may be a million numbers: one of each kind is looked at.
    others = {type(item): item for item in items if not isinstance(item, _PLAIN)}
    return any(is_trackable(item) or isinstance(item, (Parent, PartitionedVariable))
               or isinstance(stand_in(item), PartitionedVariable) for item in others.values()) or (
        depth > 0 and any(_holds(item, depth - 1) for item in containers))
