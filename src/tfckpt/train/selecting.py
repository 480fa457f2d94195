"""Which variables a warm start fills: all that are given or in the graph, by patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tfckpt.errors import GraphStateError, VariableError, VariableTypeError
from tfckpt.train.adapters import adapters, stand_in
from tfckpt.train.graphs import executing_eagerly, global_variables, trainable_variables
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.variables import Variable

__all__ = ["Listed", "Target", "all_names", "as_listed", "grouped", "select"]

Target = Variable | PartitionedVariable


class Listed(NamedTuple):
    """A variable, or one part of a partitioned one.

    Attributes:
        name: Its name, or the whole's.
        matched: What patterns are matched against.
        variable: The variable.
    """

    name: str
    matched: str
    variable: Variable


def as_listed(given: Iterable[Any] | Mapping[str, Any]) -> list[Listed]:
    """Variables with their names.

    Raises:
        VariableTypeError: Something is no variable.
    """
    if isinstance(given, Mapping):
        return [item for name, value in given.items() for item in _parts_of(value, name)]
    if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
        raise VariableTypeError("warm_start takes a list or dict of variables", got=repr(given),
                                hint="The checkpoint comes second: warm_start(variables, path).")
    return [item for value in given for item in _parts_of(value)]


def _parts_of(value: Any, name: str | None = None) -> list[Listed]:
    value = stand_in(value)
    if isinstance(value, (PartitionedVariable, list, tuple)):
        own = [item for part in value for item in _parts_of(part)]
        return own if name is None else [item._replace(name=name) for item in own]
    if not isinstance(value, Variable):
        raise VariableTypeError("this is no variable", got=repr(value), tensor=name)
    info = value.save_slice_info
    if name is None:
        return [Listed(info.full_name if info else value.full_name, value.name, value)]
    return [Listed(name, value.name if info else f"{name}:0", value)]


def select(listed: list[Listed] | None, wanted: str | Sequence[Any] | None) -> list[Listed]:
    """The variables that ``vars_to_warm_start`` says.

    Raises:
        VariableError: A pattern is no regular expression.
        VariableTypeError: It is neither patterns nor variables.
        GraphStateError: There is no graph to take variables from.
    """
    if wanted is None or isinstance(wanted, str):
        pool = _of_graph(trainable=True) if listed is None else listed
        return [item for item in pool if item.variable.trainable and (
            wanted is None or _pattern(wanted).match(item.matched))]
    if not isinstance(wanted, Sequence):
        raise VariableTypeError("vars_to_warm_start is neither a pattern nor a list of patterns or"
                                " variables", got=repr(wanted))
    if not all(isinstance(item, str) for item in wanted):
        return as_listed(wanted)
    pool = _of_graph(trainable=False) if listed is None else listed
    found = {id(item.variable): item for pattern in map(_pattern, wanted) for item in pool
             if pattern.match(item.matched)}
    return list(found.values())


def _of_graph(*, trainable: bool) -> list[Listed]:
    if not executing_eagerly():
        return as_listed(trainable_variables() if trainable else global_variables())
    for adapter in adapters():
        found = adapter.variables()
        if found is not None:  # other objects that can be saved are listed there too
            return as_listed(live for live in found if isinstance(stand_in(live), Variable))
    raise GraphStateError("outside of a graph warm_start needs a list of variables")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise VariableError(f"vars_to_warm_start has a pattern that is none: {error}",
                            got=repr(text)) from None


def grouped(selected: list[Listed]) -> dict[str, Target]:
    """Variables by name, parts of one whole together.

    Raises:
        VariableError: Two variables have one name.
    """
    groups: dict[str, dict[int, Variable]] = {}
    for item in selected:
        groups.setdefault(item.name, {})[id(item.variable)] = item.variable
    targets: dict[str, Target] = {}
    for name, group in groups.items():
        own = list(group.values())
        if all(part.save_slice_info for part in own):
            targets[name] = PartitionedVariable.of_parts(own)
        elif len(own) == 1:
            targets[name] = own[0]
        else:
            raise VariableError("several variables have one name", tensor=name,
                                hint="Give warm_start a dict from names to variables.")
    return targets


def all_names(listed: list[Listed] | None) -> Iterable[str]:
    """Names of all variables that could have been selected."""
    if listed is None:
        try:
            listed = _of_graph(trainable=False)
        except GraphStateError:  # then the selected ones were given
            listed = []
    return dict.fromkeys(item.name for item in listed)
