"""TF2 to TF1: from paths through an object graph to variable names.

An object-based checkpoint knows a variable by two names. The ``full_name`` in the object
graph is what TF1 called it, where there was a TF1; in eager programs it is often just
"Variable", many times over. The path is always unique but says how the program was built.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from tfckpt.convert.tf1_to_tf2 import SAVE_COUNTER
from tfckpt.core.index import Entry
from tfckpt.core.plan import LeftOut, Output, Plan
from tfckpt.core.roles import optimizer_nodes
from tfckpt.core.source import Source
from tfckpt.errors import AmbiguousNamesError, UnsupportedError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, VARIABLE_VALUE
from tfckpt.format.objectkeys import object_key, parse_object_key

__all__ = ["NameChoice", "plan_tf2_to_tf1"]

NameChoice = Literal["auto", "full-name", "path"]

# What TensorFlow calls a variable that was given no name.
_DEFAULT_NAME = re.compile(r"Variable(_\d+)?")

_LEFT_OUT = {
    OBJECT_GRAPH_KEY: "the object graph has no place in a name-based checkpoint",
    object_key(SAVE_COUNTER, VARIABLE_VALUE): "tf.train.Checkpoint's own count of saves",
}


_KEPT_STATE = ("the optimizer's state keeps names of its own; --optimizer auto gives it those of"
               " TF1, which a Saver's optimizer restores")


class _Named(NamedTuple):
    entry: Entry
    full_name: str  # "" if there is none that means something
    path: str


def plan_tf2_to_tf1(source: Source, names: NameChoice = "auto") -> Plan:
    """Plan a name-based checkpoint with the tensors of an object-based one.

    Args:
        source: An object-based checkpoint.
        names: ``"full-name"`` or ``"path"`` to take only these; ``"auto"`` takes the full
            name where it is unique and not a default one, else the path. A path loses the
            root's child that all variables share (``vars``, ``model``).

    Raises:
        AmbiguousNamesError: Two tensors would get one name, or one would get none; with all
            such names and the keys that claim them.
        UnsupportedError: The source is name-based already.
    """
    if source.style == "name-based":
        raise UnsupportedError("the checkpoint is name-based (TF1) already", file=source.prefix)
    named, left_out = _named_tensors(source)
    chosen = _choose(named, names)
    _refuse_collisions(chosen, names)
    outputs = tuple(Output(name, item.entry.dtype, item.entry.shape, source.origin(item.entry))
                    for name, item in chosen)
    notes = (_KEPT_STATE,) if optimizer_nodes(source.object_graph) else ()
    return Plan(outputs, "name-based", source.byte_order, tuple(left_out), notes)


def _named_tensors(source: Source) -> tuple[list[_Named], list[LeftOut]]:
    full_names = {attribute.checkpoint_key: attribute.full_name for node in source.object_graph
                  for attribute in node.attributes}
    named, left_out = [], []
    for entry in source.index.values():
        reason = _LEFT_OUT.get(entry.key)
        parsed = parse_object_key(entry.key)
        if reason is None and parsed and parsed.attribute == "OBJECT_CONFIG_JSON":
            reason = "Keras' description of a layer, not a value"
        if reason is not None:
            left_out.append(LeftOut(entry.key, reason))
            continue
        if parsed is None:  # written by a saver of the user's own, under a name of its own
            named.append(_Named(entry, "", entry.key))
        elif parsed.attribute == VARIABLE_VALUE:
            named.append(_Named(entry, full_names.get(entry.key, ""), "/".join(parsed.names)))
        else:  # a lookup table's keys, a dataset's position
            named.append(_Named(entry, "", "/".join((*parsed.names, parsed.attribute))))
    return _without_common_root(named), left_out


def _without_common_root(named: list[_Named]) -> list[_Named]:
    roots = {_root(item.entry.key) for item in named}
    if len(roots) != 1 or not named:
        return named
    root = roots.pop()
    if root is None:
        return named
    return [item._replace(path=item.path[len(root) + 1:]) for item in named]


def _root(key: str) -> str | None:
    """The first name of a key's path, or None if nothing would remain without it."""
    parsed = parse_object_key(key)
    return parsed.names[0] if parsed and len(parsed.names) > 1 else None


def _choose(named: list[_Named], names: NameChoice) -> list[tuple[str, _Named]]:
    if names == "path":
        return [(item.path, item) for item in named]
    if names == "full-name":
        # Tables and datasets have no full name; their path is the only name there is.
        is_variable = [item.entry.key.endswith(object_key("", VARIABLE_VALUE)) for item in named]
        return [(item.full_name if variable else item.path, item)
                for variable, item in zip(is_variable, named, strict=True)]
    claims: dict[str, int] = {}
    for item in named:
        claims[item.full_name] = claims.get(item.full_name, 0) + 1
    return [(item.full_name if item.full_name and claims[item.full_name] == 1
             and not _DEFAULT_NAME.fullmatch(item.full_name) else item.path, item)
            for item in named]


def _refuse_collisions(chosen: list[tuple[str, _Named]], names: NameChoice) -> None:
    groups: dict[str, list[str]] = {}
    for name, item in chosen:
        groups.setdefault(name, []).append(item.entry.key)
    contested = {name: keys for name, keys in groups.items() if len(keys) > 1 or not name}
    if contested:
        n_tensors = sum(map(len, contested.values()))
        raise AmbiguousNamesError(
            f"{n_tensors} tensors have no name of their own in a name-based checkpoint",
            groups=contested, hint="Nothing was written. " + (
                "Paths are always unique: --names path." if names == "full-name"
                else "Their names collide both as full names and as paths."))
