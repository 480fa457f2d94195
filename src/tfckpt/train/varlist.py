"""What a `Saver` saves: its list or dict of variables, by name, and the plan of their values.

Source: python/training/saving/saveable_object_util.py.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from tfckpt.core.origin import Given, Part, Sliced
from tfckpt.core.plan import Output, Plan
from tfckpt.errors import GraphStateError, VariableError, VariableTypeError
from tfckpt.format.objectkeys import escape_local_name
from tfckpt.train.adapters import adapters, stand_in, tree_of
from tfckpt.train.graphs import GraphKeys, executing_eagerly, get_collection
from tfckpt.train.graphview import Stored
from tfckpt.train.objects import PythonState, Trackable, values_of
from tfckpt.train.outputs import value_outputs
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.standins import LiveObject, LiveVariable
from tfckpt.train.treenames import names_of_tree
from tfckpt.train.variables import Variable

__all__ = ["all_variables", "by_name", "plan_names", "stored_under"]


def plan_names(values: Mapping[str, Any]) -> Plan:
    """Plan a name-based checkpoint of live values, in TensorFlow's order: sorted by name."""
    keys: list[str] = []
    stored: list[Any] = []
    for name in sorted(values):
        value = values[name]
        if isinstance(value, Variable):  # nearly all
            keys.append(name)
            stored.append(value)
        elif isinstance(value, PartitionedVariable):
            keys += [name] * len(value)
            stored += value
        else:
            for item in stored_under(name, value):
                keys.append(item.key)
                stored.append(item.value)
    outputs = value_outputs(keys, stored)
    wholes = {name: value for name, value in values.items()
              if isinstance(value, PartitionedVariable)}
    if wholes:
        outputs = [output for key, parts in groupby(outputs, operator.attrgetter("key"))
                   for output in (
                       [_whole_output(wholes[key], list(parts))] if key in wholes else parts)]
    return Plan(tuple(outputs), "name-based")


def _whole_output(whole: PartitionedVariable, outputs: list[Output]) -> Output:
    """A partitioned variable from the outputs of its parts, each where it belongs in the whole."""
    parts = []
    for part, output in zip(whole, outputs, strict=True):
        info = part.save_slice_info
        assert info is not None  # PartitionedVariable saw to it
        assert isinstance(output.origin, Given)
        parts.append(Part(tuple(zip(info.var_offset, info.var_shape, strict=True)), output.origin))
    if len(parts) == 1 and parts[0].extents == tuple((0, size) for size in whole.shape):
        return Output(outputs[0].key, whole.dtype, whole.shape, parts[0].origin)
    return Output(outputs[0].key, whole.dtype, whole.shape, Sliced(tuple(parts)))


def stored_under(name: str, value: Any) -> list[Stored]:
    """What is stored for a variable or an object, under TensorFlow's names."""
    if isinstance(value, (Variable, PartitionedVariable)):
        return [Stored(value, "", name, value)]
    if isinstance(value, LiveObject) and not isinstance(value, PythonState):
        return [Stored(value, key, key, content)
                for key, content in value.saver_values(name).items()]
    prefix = f"{name}_" if isinstance(value, PythonState) else name
    return [Stored(value, own, prefix + escape_local_name(own), content)
            for own, content in values_of(value).items()]


def by_name(given: Iterable[Any] | Mapping[str, Any]) -> dict[str, Any]:
    """Name to variable of a list or dict.

    Raises:
        VariableError: Two variables have one name, or one variable has two.
        VariableTypeError: Something can't be saved.
    """
    whole = _variables_of("", given)
    tree = tree_of(given)
    if whole is not None:
        found = whole
    elif isinstance(tree, LiveObject) and not isinstance(given, (list, tuple)):
        found = names_of_tree(given, tree)
    elif isinstance(given, Mapping):
        found = _named_by_user(given)
    elif tree is None and isinstance(given, Iterable):
        found = _named(given)
    else:
        raise VariableTypeError("a Saver takes a list or dict of variables", got=repr(given),
                                hint=None if tree is None else "Arrays of JAX have no names of"
                                " their own; give a dict.")
    owners: dict[str, str] = {}
    names: dict[int, str] = {}
    for name, value in found.items():
        for part in value if isinstance(value, PartitionedVariable) else (value,):
            first = names.setdefault(id(part), name)
            if first != name:
                raise VariableError("one variable would be saved under two names,"
                                    f" {first} and {name}", tensor=name)
        keys = [name] if isinstance(value, Variable) else [i.key for i in stored_under(name, value)]
        for key in keys:
            if owners.setdefault(key, name) != name:
                raise VariableError("two variables would be saved under one name", tensor=key)
    return found


def _variables_of(name: str, value: Any) -> dict[str, Any] | None:
    """The variables of a framework's object that is saved variable by variable, by name."""
    known = stand_in(value)
    return known.saver_variables(name) if isinstance(known, LiveObject) else None


def _named_by_user(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in given.items():
        own = _variables_of(_checked_name(name), value)
        for key, item in ({name: _checked(value, name)} if own is None else own).items():
            if found.setdefault(key, item) is not item:
                raise VariableError("two variables would be saved under one name", tensor=key)
    return found


def _named(values: Iterable[Any]) -> dict[str, Any]:
    """Variables by their own names, parts of one whole together under its name."""
    found: dict[str, Any] = {}
    parts: dict[str, list[Variable]] = {}
    for value in map(stand_in, values):
        part = value.save_slice_info if isinstance(value, Variable) else None
        if part is not None:
            parts.setdefault(part.full_name, []).append(value)
            continue
        below = _variables_of("", value)
        if below is not None:
            for name, variable in below.items():
                if found.setdefault(name, variable) is not variable:
                    raise VariableError("two variables would be saved under one name", tensor=name,
                                        hint="Give a dict, with a name for each module.")
            continue
        if isinstance(value, LiveObject):
            name = value.saver_name
        else:
            name = "" if isinstance(value, Trackable) else getattr(value, "full_name", "")
        _checked(value, name)
        if isinstance(value, Variable) and not name:
            raise VariableTypeError("a tensor has no name by itself", got=repr(value),
                                    hint="Give a dict from names to tensors.")
        if found.setdefault(name, value) is not value:
            hint = None if name else ("A list has no names for objects that store values of their"
                                      " own; give a dict.")
            raise VariableError("two variables would be saved under one name", tensor=name,
                                hint=hint)
    for name, own in parts.items():
        whole = PartitionedVariable.of_parts(list({id(part): part for part in own}.values()))
        if name in found:
            raise VariableError("two variables would be saved under one name", tensor=name)
        found[name] = whole
    return found


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise VariableTypeError("the name of a variable must be text", got=repr(name))
    return name


def _checked(value: Any, name: str) -> Any:
    """Something to save, a list of parts as the whole that they are parts of."""
    value = stand_in(value)
    if isinstance(value, (list, tuple)):
        return PartitionedVariable.of_parts([stand_in(part) for part in value])
    if isinstance(value, LiveVariable):
        value.prepare()  # now: before the first save the graph may be finalized
    if isinstance(value, (Variable, PartitionedVariable)) or (
            isinstance(value, Trackable) and stored_under(name, value)):
        return value
    raise VariableTypeError("this is nothing that a Saver can save", got=repr(value),
                            tensor=name or None)


def all_variables() -> list[Any]:
    """What a Saver without a list saves.

    Raises:
        GraphStateError: There is no graph, neither ours nor a framework's.
    """
    if not executing_eagerly():
        keys = GraphKeys.GLOBAL_VARIABLES, GraphKeys.SAVEABLE_OBJECTS
        return [value for key in keys for value in get_collection(key)]
    for adapter in adapters():
        found = adapter.variables()
        if found is not None:
            return found
    raise GraphStateError("outside of a graph a Saver needs a list of variables")
