"""`init_from_checkpoint`: variables filled by a map from the checkpoint's names to theirs.

    ================================ ====================================================
    entry of the map                 what it loads
    ================================ ====================================================
    ``'a/': 'b/'``                   every variable below b from the same name below a
    ``'/': 'b/'``, ``'a/': '/'``     the same, with the root of either side
    ``'a/x': 'b/y'``                 the variable b/y from a/x
    ``'a/x': variable``              that variable from a/x
    ``'a/x': [part, part]``          the parts of a partitioned variable from a/x
    ================================ ====================================================

Source: python/training/checkpoint_utils.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.source import Source
from tfckpt.errors import VariableError, nearest
from tfckpt.train.adapters import adapters, assign_all, stand_in
from tfckpt.train.initial import in_graph, set_initial
from tfckpt.train.loadreport import (
    MOST_SHOWN,
    LoadReport,
    Mismatch,
    Missing,
    RestoreError,
    nearest_keys,
)
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.store import current_store
from tfckpt.train.variables import Variable

__all__ = ["init_from_checkpoint"]

Path = str | os.PathLike[str]
Target = Variable | PartitionedVariable
AssignmentMap = Mapping[str, Any] | Iterable[tuple[str, Any]]


class _Load(NamedTuple):
    key: str
    name: str
    target: Target


def init_from_checkpoint(ckpt_dir_or_file: Path, assignment_map: AssignmentMap) -> LoadReport:
    """Fill variables from a checkpoint, all that the map names or none.

    The values become the variables' initial values too. If several entries of the map lead
    to one variable, the one whose name in the checkpoint sorts last wins, as in TensorFlow.

    Args:
        ckpt_dir_or_file: A checkpoint: its prefix, any of its files, or a folder.
        assignment_map: From names or scopes in the checkpoint to names or scopes of variables
            made by ``get_variable`` in the current graph, or to variables; a dict or pairs. A
            scope ends in a slash. With pairs one stored tensor may fill several variables.

    Returns:
        What was loaded, and what of the checkpoint wasn't.

    Raises:
        RestoreError: A name isn't in the checkpoint, or isn't in the program, or a name leads
            to a scope, or a shape or dtype differs; with all of them.
        CheckpointNotFoundError: There is no checkpoint.

    Example:
        >>> from tfckpt.train.graphs import Graph
        >>> from tfckpt.train.getting import get_variable
        >>> from tfckpt.train.scopes import variable_scope
        >>> with Graph().as_default(), variable_scope("new"):
        ...     kernel = get_variable("kernel", [3, 4])
        ...     report = init_from_checkpoint("examples/tf1", {"dense/": "new/"})
        >>> report.matched
        ('dense/kernel',)
    """
    pairs = sorted(assignment_map.items() if isinstance(assignment_map, Mapping)
                   else assignment_map, key=lambda pair: pair[0])
    program = _targets()
    with open_source(ckpt_dir_or_file, mmap=False) as source:
        loads: list[_Load] = []
        problems = []
        for key, target in pairs:
            try:
                loads += _resolve(key, target, program)
            except VariableError as error:
                problems.append(str(error).replace("\n", "; "))
        _check(loads, source, problems)
        now = [load for load in loads if not in_graph(load.target)]
        set_initial(source.prefix, [(load.target, load.key) for load in loads
                                    if in_graph(load.target)])
        keys = sorted({load.key for load in now}, key=lambda key: _place(source.index[key]))
        arrays = {key: source.read_array(source.index[key]) for key in keys}
        values: list[Any] = []
        for key, _, target in now:
            values += (target.parts_of(arrays[key]) if isinstance(target, PartitionedVariable)
                       else [(target, arrays[key])])
        assign_all(values, as_initial=True)
        matched = tuple(dict.fromkeys(load.key for load in loads))
        return LoadReport(matched, unused=tuple(key for key in source.index if key not in matched))


def _targets() -> dict[str, Target]:
    """What can be named in the current graph: whole variables, and also each part alone."""
    store = current_store()
    live = {name: stand_in(variable) for adapter in adapters()
            for name, variable in adapter.named_variables().items()}
    return {**live, **store.variables, **store.partitioned}


def _resolve(key: str, target: Any, program: dict[str, Target]) -> list[_Load]:
    """What one entry of the map loads.

    Raises:
        VariableError: The program doesn't have what it leads to.
    """
    target = stand_in(target)
    if isinstance(target, (Variable, PartitionedVariable)):
        return [_Load(key, target.full_name, target)]
    if isinstance(target, (list, tuple)):
        whole = PartitionedVariable.of_parts([stand_in(part) for part in target])
        return [_Load(key, whole.full_name, whole)]
    if not isinstance(target, str):
        raise VariableError(f"{key!r} leads to something that is no variable", got=repr(target))
    if target in program:
        return [_Load(key, target, program[target])]
    return _resolve_scope(key, target, program)


def _resolve_scope(key: str, target: str, program: dict[str, Target]) -> list[_Load]:
    if not target.endswith("/"):
        raise VariableError(f"{key!r} leads to {target!r}, and the program has no such variable",
                            hint=_hint(target, program))
    if not key.endswith("/"):
        raise VariableError(f"the name {key!r} leads to the scope {target!r}",
                            hint=f"a scope is filled from a scope, such as {key + '/'!r}")
    prefix = "" if target == "/" else target
    stored = "" if key == "/" else key
    loads = [_Load(stored + name[len(prefix):], name, variable)
             for name, variable in sorted(program.items())
             if name.startswith(prefix) and not _is_part(variable)]
    if not loads:
        raise VariableError(f"{key!r} leads to the scope {target!r}, and the program has no"
                            " variables there", hint=_hint(target, program))
    return loads


def _is_part(variable: Target) -> bool:
    # By what it is and not by its name: "a/part_time" is a variable like any other.
    return isinstance(variable, Variable) and variable.save_slice_info is not None


def _hint(target: str, program: dict[str, Target]) -> str:
    scopes = {name[:at + 1] for name in program for at, char in enumerate(name) if char == "/"}
    if target + "/" in scopes:
        return f"there is a scope of that name, written {target + '/'!r}"
    near = nearest(target, sorted(scopes) if target.endswith("/") else program)
    return (f"nearest: {', '.join(near)}" if near else
            "names are those of variables made by get_variable in the current graph")


def _check(loads: list[_Load], source: Source, problems: list[str]) -> None:
    """Refuse a map that can't be followed from its beginning to its end.

    Raises:
        RestoreError: With everything that is wrong.
    """
    keys = list(source.index)
    missing: list[Missing] = []
    mismatched: list[Mismatch] = []
    for key, name, target in loads:
        entry = source.index.get(key)
        what = f"{target.dtype} {list(target.shape)}"
        if entry is None:
            near = nearest_keys(key, keys) if len(missing) < MOST_SHOWN else ()
            missing.append(Missing(key, f"{what} for {name}", near))
        elif entry.dtype != target.dtype or not target.accepts(entry.shape):
            mismatched.append(Mismatch(f"{name} from {key}", what,
                                       f"{entry.dtype} {list(entry.shape)}"))
    found = ((len(problems), "entries of the map lead nowhere"),
             (len(missing), "names of the map are not in the checkpoint"),
             (len(mismatched), "variables and stored tensors differ in shape or dtype"))
    said = [f"{count} {what}" for count, what in found if count]
    if said:
        raise RestoreError(", ".join(said), file=source.prefix, hint="Nothing was loaded.",
                           report=LoadReport((), tuple(missing), (), tuple(mismatched),
                                             tuple(problems)))


def _place(entry: Entry) -> tuple[int, int]:
    return entry.shard_id, entry.offset
