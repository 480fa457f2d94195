"""Rename: the same tensors under other names, their data linked.

What people call a tensor is the key in a name-based checkpoint, and in an object-based one the
path of its object without escapes and without ``.ATTRIBUTES/VARIABLE_VALUE``. Rules see the
names of variables only, each once: slots and moving averages follow their variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from tfckpt.convert.inplace import replace_source
from tfckpt.convert.regraph import without_lost
from tfckpt.convert.relabel import Move, Path, Relabelled, Walker, object_paths, relabel, split_path
from tfckpt.convert.running import DataChoice, run_plan
from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.owners import Owned, find_owners, split_name
from tfckpt.core.plan import LeftOut, Output, Plan, Progress, given_string, no_progress
from tfckpt.core.renaming import RenameReport, Renaming
from tfckpt.core.roles import EMA_SUFFIX, assign_roles
from tfckpt.core.rules import Rule, apply_rules, parse_rules
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, Attribute, Node, encode_object_graph
from tfckpt.format.objectkeys import (
    OPTIMIZER_SLOT,
    escape_local_name,
    object_key,
    parse_object_key,
    unescape_local_name,
)

__all__ = ["plan_rename", "rename", "variable_names"]

_SAVE_COUNTER = ("save_counter",)

Rename = Callable[[str], "str | None"]
"""From the name of a variable to its new one; None drops it."""


def rename(src: str | os.PathLike[str], dst: str | os.PathLike[str] | None,
           rules: Sequence[Rule] | Mapping[str, str | None], *, include: str | None = None,
           exclude: str | None = None, backup: str | None = None, data: DataChoice = "link",
           overwrite: bool = False, dry_run: bool = False, progress: Progress = no_progress
           ) -> RenameReport:
    """Write a checkpoint whose tensors have other names; none of their bytes are moved.

    Optimizer slots and moving averages follow their variable. The object graph of an
    object-based checkpoint is rewritten, so that programs with the new names restore it.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder.
        dst: Prefix of the result, used exactly as it is; None replaces the source, which needs
            a ``backup``.
        rules: Applied one after another to the name of each variable; see `tfckpt.core.rules`.
            Or a map of names and scopes: ``{"old": "new", "dropped": None, "a/": "b/"}``.
        include: A regular expression; names in which it isn't found stay.
        exclude: Names in which this one is found stay.
        backup: With no ``dst``, where the old checkpoint is kept: a prefix, or without any
            slash what its own prefix gets appended.
        data: ``"link"`` the data files, ``"copy"`` them, or ``"pack"`` what is kept of them.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was renamed, with the plan.

    Raises:
        AmbiguousNamesError: Several tensors would get one name; with all such names.
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile, tfckpt
        >>> target = tempfile.mkdtemp() + "/m"
        >>> report = tfckpt.rename("examples/tf1", target, {"dense/kernel": "dense/w"})
        >>> report.renamings
        (Renaming(old='dense/kernel', new='dense/w', followers=('Adam', 'Adam_1')),)
    """
    wanted = _within(parse_rules(dict(rules)) if isinstance(rules, Mapping) else rules, include,
                     exclude)
    with open_source(src) as source:
        plan, renamings = plan_rename(source, wanted)
        if dst is None:
            done = replace_source(source, plan, backup, lambda old: plan_rename(old, wanted)[0],
                                  dry_run=dry_run, progress=progress)
        else:
            done = run_plan(source, plan, as_path(dst), data=data, overwrite=overwrite,
                            dry_run=dry_run, progress=progress)
        names = {item.old: item.new for item in renamings}
        return RenameReport(done, tuple(item for item in renamings if item.old != item.new), names)


def _within(rules: Sequence[Rule], include: str | None, exclude: str | None) -> Rename:
    """The rules for names that are meant."""
    wanted, unwanted = (None if pattern is None else _compiled(pattern)
                        for pattern in (include, exclude))

    def apply(name: str) -> str | None:
        if (wanted and not wanted.search(name)) or (unwanted and unwanted.search(name)):
            return name
        return apply_rules(rules, name)

    return apply


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UnsupportedError(f"the regular expression is not valid ({error})",
                               got=repr(pattern)) from None


def plan_rename(source: Source, rename: Rename) -> tuple[Plan, list[Renaming]]:
    """Plan a checkpoint with other names.

    Args:
        source: Any checkpoint.
        rename: From the name of a variable to its new one; None drops it and its slots.

    Returns:
        The plan, and for each variable its old and new name, also if they are the same.

    Raises:
        UnsupportedError: A new name can't be the path of an object.
        FormatError: The object graph is damaged.
    """
    if source.style == "name-based":
        return _plan_names(source, rename)
    return _plan_objects(source, rename)


class _Named(NamedTuple):
    """A tensor, its name, and the variable that it goes with."""

    key: str
    owned: Owned
    variable: str
    is_follower: bool

    def renamed(self, new: Mapping[str, str | None]) -> str | None:
        """The new name; None if it is dropped, empty if the variable has none."""
        name = new[self.owned.variable]
        if name is None or new[self.variable] is None:
            return None
        return self.owned.before + name + self.owned.after if name else ""


def variable_names(source: Source) -> dict[str, str]:
    """What people call each tensor; slots and averages have the name of their variable.

    The object graph has no name.

    Example:
        >>> import tfckpt
        >>> with tfckpt.open("examples/tf1") as source:
        ...     variable_names(source)["dense/kernel/Adam"]
        'dense/kernel'
    """
    return {item.key: item.variable for item in _named(source)}


def _named(source: Source) -> list[_Named]:
    if source.style == "name-based":
        owned = {key: split_name(key, source.index) for key in source.index}
        return [_Named(key, item, item.variable, bool(item.after)) for key, item in owned.items()]
    owners = find_owners(source)
    names = {key: _object_name(key) for key in source.index if key != OBJECT_GRAPH_KEY}
    # A dictionary may have variables under TF1 names, and their slots beside them.
    every = set(names.values())
    found = []
    for key, name in names.items():
        item = split_name(name, every)
        owner = _object_name(owners[key]) if key in owners else item.variable
        found.append(_Named(key, item, owner, key in owners or bool(item.after)))
    return found


def _object_name(key: str) -> str:
    parsed = parse_object_key(key)
    return key if parsed is None else "/".join(map(unescape_local_name, _variable(parsed.path)))


def _variable(path: Path) -> Path:
    """The path of the variable whose slot this may be."""
    return path[:path.index(OPTIMIZER_SLOT)] if OPTIMIZER_SLOT in path else path


def _renamings(source: Source, named: Iterable[_Named], new: Mapping[str, str | None]
               ) -> list[Renaming]:
    roles = assign_roles(source)
    followers: dict[str, list[str]] = {}
    for item in named:
        found = followers.setdefault(item.variable, [])
        if item.is_follower:
            assigned = roles[item.key]
            is_average = assigned.role == "ema" or EMA_SUFFIX in item.owned.after
            found.append("EMA" if is_average else
                         assigned.kind or item.owned.after.rpartition("/")[2] or "slot")
    return [Renaming(name, new[name], tuple(kinds)) for name, kinds in followers.items()]


def _left_out(item: _Named) -> LeftOut:
    return LeftOut(item.key, f"it belongs to {item.variable}" if item.is_follower else "dropped")


def _plan_names(source: Source, rename: Rename) -> tuple[Plan, list[Renaming]]:
    named = _named(source)
    new = {name: rename(name) for name in dict.fromkeys(item.variable for item in named)}
    outputs, left_out = [], []
    for item in named:
        name = item.renamed(new)
        if name is None:
            left_out.append(_left_out(item))
        else:
            entry = source.index[item.key]
            outputs.append(Output(name, entry.dtype, entry.shape, source.origin(entry)))
    plan = Plan(tuple(outputs), "name-based", source.byte_order, tuple(left_out))
    return plan, _renamings(source, named, new)


def _plan_objects(source: Source, rename: Rename) -> tuple[Plan, list[Renaming]]:
    own = {item.key: item for item in _named(source)}
    # An item of an optimizer's list goes with its variable, but is called after the list.
    new = {name: rename(name) for name in dict.fromkeys(
        name for item in own.values() for name in (item.owned.variable, item.variable))}
    for name in _that_stay(own.values()):
        new[name] = None if new[name] is None else name
    renamed = {key: item.renamed(new) for key, item in own.items()}
    kept = {key: name for key, name in renamed.items() if name is not None}
    lost = [key for key, name in renamed.items() if name is None]
    nodes = without_lost(source.object_graph, kept, lost)
    paths = _new_paths(kept)
    moved = relabel(nodes, (Move(_plain(old), _plain(path)) for old, path in paths.items()),
                    lambda name: new[name] if name in new else rename(name))
    slots = _slot_paths(own, paths, nodes, moved)
    notes = _notes(nodes, moved, paths)
    paths.update(slots)
    graph = tuple(node._replace(attributes=tuple(_with_path(attribute, paths)
                                                 for attribute in node.attributes))
                  for node in moved.nodes)
    outputs = [_renamed(source, source.index[key], paths) for key in kept]
    outputs.append(_graph_output(source, graph))
    plan = Plan(tuple(outputs), "object-based", source.byte_order,
                tuple(_left_out(own[key]) for key in lost), notes)
    shown = [item if item.owned.variable == item.variable else
             item._replace(variable=item.owned.variable, is_follower=False)
             for item in own.values()]
    return plan, _renamings(source, shown, new)


def _that_stay(named: Iterable[_Named]) -> Iterable[str]:
    """Names that no rule changes: tf.train.Checkpoint's own counter at its root, values of the
    root itself, and what a saver of the user's own wrote.
    """
    for item in named:
        parsed = parse_object_key(item.key)
        if parsed is None or parsed.path in ((), _SAVE_COUNTER):
            yield item.owned.variable


def _new_paths(renamed: Mapping[str, str]) -> dict[Path, Path]:
    """The new path of each object that tensors are named after, slots aside; both escaped."""
    paths: dict[Path, Path] = {}
    for key, target in renamed.items():
        parsed = parse_object_key(key)
        if parsed is None:
            continue
        path = _variable(parsed.path)
        name = "/".join(_plain(path))
        if path:
            paths[path] = path if target == name else _checked(key, split_path(
                _plain(path), target))
    return paths


def _checked(key: str, path: Path) -> Path:
    if "" in path:
        raise UnsupportedError("the new path of an object has a part without a name", tensor=key,
                               got="/".join(path))
    return tuple(map(escape_local_name, path))


def _plain(path: Path) -> Path:
    return tuple(map(unescape_local_name, path))


def _slot_paths(keys: Iterable[str], paths: Mapping[Path, Path], nodes: Sequence[Node],
                moved: Relabelled) -> dict[Path, Path]:
    """The new paths of slots, which name their variable and then their optimizer."""
    before, after = Walker(nodes), Walker(moved.nodes)
    shortest = object_paths(moved.nodes)
    optimizers: dict[Path, Path] = {}

    def renamed(path: Path) -> Path:
        steps, stays = before.walk(_plain(path)), after.walk(_plain(path))
        number = moved.number_of.get(steps[-1]) if steps else None
        if number is None or (stays and stays[-1] == number) or number not in shortest:
            return path
        return tuple(map(escape_local_name, shortest[number]))

    found: dict[Path, Path] = {}
    for key in keys:
        parsed = parse_object_key(key)
        if parsed is None or OPTIMIZER_SLOT not in parsed.path:
            continue
        variable = _variable(parsed.path)
        optimizer = parsed.path[len(variable) + 1:-1]
        if optimizer not in optimizers:
            optimizers[optimizer] = renamed(optimizer)
        found[parsed.path] = (*paths.get(variable, variable), OPTIMIZER_SLOT,
                              *optimizers[optimizer], parsed.path[-1])
    return found


def _with_path(attribute: Attribute, paths: Mapping[Path, Path]) -> Attribute:
    return attribute._replace(checkpoint_key=_new_key(attribute.checkpoint_key, paths))


def _new_key(key: str, paths: Mapping[Path, Path]) -> str:
    parsed = parse_object_key(key)
    if parsed is None or parsed.path not in paths:
        return key
    return object_key("/".join(paths[parsed.path]), parsed.attribute)


def _renamed(source: Source, entry: Entry, paths: Mapping[Path, Path]) -> Output:
    return Output(_new_key(entry.key, paths), entry.dtype, entry.shape, source.origin(entry))


def _graph_output(source: Source, graph: tuple[Node, ...]) -> Output:
    if graph == source.object_graph:
        entry = source.index[OBJECT_GRAPH_KEY]
        return Output(entry.key, entry.dtype, entry.shape, source.origin(entry))
    return given_string(OBJECT_GRAPH_KEY, encode_object_graph(graph), source.byte_order)


def _notes(nodes: Sequence[Node], moved: Relabelled, paths: Iterable[Path]) -> tuple[str, ...]:
    """What is to be known about the object graph."""
    notes = []
    named = {_plain(path[:depth]) for path in paths for depth in range(len(path) + 1)}
    after = object_paths(moved.nodes)
    changed = {path: new for n, path in object_paths(nodes).items()
               if (new := after.get(moved.number_of.get(n, -1), path)) != path}
    # Tensors may be named after another path to their object, as in Keras 3.
    notes += [f"no tensor is named after the object {'/'.join(path)}, which is"
              f" {'/'.join(new)} now" for path, new in changed.items()
              if path not in named and path[:-1] not in changed and path]
    if moved.lost:
        names = ["/".join(path) for path in moved.lost]
        notes.append(f"{len(names)} objects without values have no place under the new names:"
                     f" {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}")
    return tuple(notes)
