"""`load`: the values of a checkpoint in a tree of JAX's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from tfckpt.convert.like import EmaChoice
from tfckpt.convert.mapfiles import read_map, shipped_names
from tfckpt.convert.mapform import is_map, parse_map
from tfckpt.convert.namemap import NameMap
from tfckpt.core.discovery import as_path
from tfckpt.core.namefiles import read_name_file, read_pairs
from tfckpt.core.opening import open_source
from tfckpt.core.source import Source
from tfckpt.errors import MismatchError
from tfckpt.jax.averages import averaged
from tfckpt.jax.finding import Finding, find_by_map, find_by_match
from tfckpt.jax.leaves import Leaf, leaves_of, with_values
from tfckpt.jax.values import take
from tfckpt.train.allowing import allowance, check_word
from tfckpt.train.loadreport import MOST_SHOWN, LoadReport, Missing

__all__ = ["Loaded", "load"]

Path = str | os.PathLike[str]


class Loaded(NamedTuple):
    """What `load` returns.

    Attributes:
        tree: The tree with the checkpoint's values; of a module of NNX, the module itself.
        report: What was loaded.
    """

    tree: Any
    report: LoadReport


def load(tree: Any, path: Path, *, map: Mapping[str, str] | NameMap | Path | None = None,  # noqa: A002
         names: Mapping[str, str] | None = None, layouts: Mapping[str, str] | None = None,
         allow_missing: bool | str = False, allow_unused: bool | str = False, cast: bool = False,
         ema: EmaChoice = "ignore") -> Loaded:
    """Load a checkpoint into a tree of JAX's: all of it, or nothing and a table that says why.

    Which tensor is which is found out as ``tfckpt match`` does, on the tree as TensorFlow would
    have it; how weights lie is known of Flax's layers (`tfckpt.jax.layers`). New arrays have the
    dtype, and are on the devices, of the old ones.

    Args:
        tree: Nested dicts, lists and tuples of arrays, a ``FrozenDict``, a ``TrainState``, what
            ``init`` of a linen module returns; or a module of ``flax.nnx``, which is changed. What
            ``jax.eval_shape`` gives will do: no value of the tree is looked at.
        path: A checkpoint of TF1, TF2 or Keras, a SavedModel, or any file that `tfckpt.open`
            reads.
        map: A map file, or the name of one that ships, instead of finding out; its names of the
            other framework are paths in the tree. Or pairs of names, as for ``names``.
        names: Names that are known, from the checkpoint's to the tree's: paths, or TensorFlow's
            names of the tree's weights, ``{"dense/kernel": "params/Dense_0/kernel"}``.
        layouts: What layers are, where neither their names nor shapes tell, such as
            ``{"up": "transposed", "cell": "lstm_cell"}``; see `tfckpt.jax.layers`.
        allow_missing: Whether values that the checkpoint doesn't have stay: all, or those whose
            name a regular expression finds.
        allow_unused: Likewise, whether the checkpoint may have more weights. An optimizer's
            state and counters are always left.
        cast: Whether numbers of another precision are cast to the tree's; the report says which.
        ema: ``"use"`` to load moving averages in the place of the variables.

    Returns:
        The new tree, and what was loaded.

    Raises:
        MismatchError: Something is missing, unused, of another shape or dtype, or can't be told
            from something else; with all of it.
        VariableTypeError: There are no values in the tree, or what ``layouts`` says isn't text.
        CheckpointError: The file can't be read. Nothing has changed.

    Example::

        variables = net.init(jax.random.key(0), images)
        variables, report = tfckpt.jax.load(variables, "old/model.ckpt-1000")
        print(report)
    """
    check_word("ema", ema, ("ignore", "use"))
    may_miss = allowance(allow_missing, "allow_missing")
    may_leave = allowance(allow_unused, "allow_unused")
    leaves = leaves_of(tree)
    with open_source(path) as source:
        name_map = _read_map(map)
        if isinstance(name_map, NameMap):
            finding = find_by_map(source, name_map, leaves)
        else:
            finding = find_by_match(source, tree, leaves, {**name_map, **(names or {})},
                                    layouts or {})
        finding = averaged(source, finding, ema)
        taken = take(source, finding, leaves, may_cast=cast)
        left = [leaf for leaf in leaves if leaf.path not in taken.arrays
                and leaf.path not in finding.doubtful | taken.refused and not leaf.is_random]
        missing = [leaf for leaf in left if not may_miss(leaf.name)]
        unused = [name for name in finding.unused if not may_leave(name)]
        problems = [*finding.problems, *taken.problems, *_table(finding, missing, unused)]
        if problems:
            raise _refusal(problems, len(taken.arrays.keys() - finding.doubtful),
                           len(leaves), source)
        made = with_values(tree, taken.arrays)
    keys = tuple(key for move in finding.moves for key in move.keys)
    return Loaded(made, LoadReport(keys, tuple([_missing(leaf) for leaf in left]), finding.unused,
                                   notes=(*finding.notes, *taken.notes, *_described(leaves))))


def _described(leaves: list[Leaf]) -> list[str]:
    names = [leaf.name for leaf in leaves if leaf.is_random and leaf.is_described]
    return [f"random generators have no state yet: {', '.join(names)}"] if names else []


def _read_map(given: Mapping[str, str] | NameMap | Path | None) -> Mapping[str, str] | NameMap:
    if given is None or isinstance(given, (Mapping, NameMap)):
        return given or {}
    path = as_path(given)
    if path in shipped_names():
        return read_map(path)
    if path.endswith(".json"):
        value = read_name_file(path)
        if is_map(value):
            return parse_map(value, path)
    return read_pairs(path)


def _missing(leaf: Leaf) -> Missing:
    return Missing(leaf.name, f"{leaf.dtype} {list(leaf.shape)}")


def _table(finding: Finding, missing: list[Leaf], unused: list[str]) -> list[str]:
    lines = []
    for leaf in missing[:MOST_SHOWN]:
        name, what, _ = _missing(leaf)
        near = finding.near.get(leaf.path)
        lines.append(f"missing:  {name}  {what}" + (f"   nearest: {near}" if near else ""))
    lines += [f"unused:   {name}" for name in unused[:MOST_SHOWN]]
    return lines + [f"… and {len(items) - MOST_SHOWN} more {what}" for what, items in
                    (("missing", missing), ("unused", unused)) if len(items) > MOST_SHOWN]


def _refusal(problems: list[str], n_found: int, n_leaves: int, source: Source) -> MismatchError:
    more = ""
    if any(line.startswith("missing") for line in problems):
        more += "; allow_missing=True keeps values of the tree"
    if any(line.startswith("unused") for line in problems):
        more += "; allow_unused=True leaves tensors behind"
    if any("has another precision" in line for line in problems):
        more += "; cast=True takes another precision"
    return MismatchError(
        f"{n_found} of {n_leaves} values of the tree were found", file=source.prefix,
        problems=problems,
        hint="Nothing was loaded. names={tensor: value} names pairs" + more + ".")


