"""Which variable of a checkpoint is which tensor of a module, by names and by what layers have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from tfckpt.convert.anatomy import read_anatomy
from tfckpt.convert.ema import averages_of, lone_averages
from tfckpt.core.matching import Group, Head, MatchReport, Side, match, side_of_source
from tfckpt.core.pairing import plain_name
from tfckpt.core.rules import Rule, encode_rules
from tfckpt.core.shapes import shape_text
from tfckpt.core.source import Source
from tfckpt.errors import TensorNotFoundError, UnsupportedError, nearest
from tfckpt.format.dtypes import DType
from tfckpt.torch.attributes import same_attributes
from tfckpt.torch.groups import Members, members, pairs_in_order
from tfckpt.torch.images import check_own
from tfckpt.torch.leaves import TorchVariable
from tfckpt.torch.numbers import MARK, mark_numbers
from tfckpt.torch.parents import variables_by_name
from tfckpt.torch.reports import Loaded, LoadReport, Unsure, Wanted, Wrong
from tfckpt.train.adapters import assign_all, check_settable
from tfckpt.train.values import kind_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Finding", "as_dtype_of", "cast_note", "casts", "find"]

_LONG = 100


class Finding(NamedTuple):
    """What was found, and how it is loaded.

    Attributes:
        report: The report, as if all of it were loaded.
        assign: Reads what was found and gives it to the module, after all of it was read. What
            it returns are notes.
        by_map: Whether a map said what is what.
    """

    report: LoadReport
    assign: Callable[[Source], list[str]]
    by_map: bool = False


class _Target(NamedTuple):
    """A variable that the module stands for.

    Attributes:
        tensors: Its tensors' names in the module.
        variable: Its stand-in.
        title: The tensors, and which variable of theirs it is, for people.
    """

    tensors: tuple[str, ...]
    variable: TorchVariable
    title: str


_Taken = tuple[str, _Target, str]
"""A key, what it is loaded into, and the evidence."""


def find(source: Source, module: nn.Module, names: Mapping[str, str], *, cast: bool, ema: str,
         trust_order: bool = False) -> Finding:
    """Match a checkpoint with what a module would save.

    Args:
        source: The checkpoint.
        module: The module.
        names: Pairs that are known, name in the checkpoint to name in the module.
        cast: Whether numbers of another precision will do.
        ema: ``"use"`` to take moving averages in the place of variables.
        trust_order: Whether layers that nothing tells apart are taken in order.

    Raises:
        TensorNotFoundError: One of the names is none.
        VariableError: Which layout a layer has can't be told, or it has no values yet.
    """
    targets = _targets(module, by_path=source.style == "object-based")
    a = side_of_source(source)
    marked = mark_numbers(a, targets)
    targets = {marked[name]: item for name, item in targets.items()}
    heads = {name: (_dtype_wanted(item.variable.dtype, cast=cast), _shape(item.variable))
             for name, item in targets.items()}
    check_own(module)
    b = Side(type(module).__name__, heads)
    given = {a.key(here, "names"): _named(there, targets) for here, there in names.items()}
    is_marked = any(MARK in name for name in marked.values())
    same = {} if names or is_marked else same_attributes(
        a, {name: head[1] for name, head in heads.items()})
    matched = match(a, b, given=same or given)
    groups = [(group, members(a, b, group)) for group in matched.groups]
    named = {a.name(pair.a) for pair in matched.matched if pair.how in ("name", "rule")}
    in_order = {group: pairs_in_order(both, named) if trust_order else [] for group, both in groups}
    ordered = [pair for pairs in in_order.values() for pair in pairs]
    # Pairs that are known have to fit like any others.
    wrong = [(key, name) for key, name in (same or given).items()
             if not _fits(source, key, heads[name])]
    averages = averages_of(read_anatomy(source))
    if ema == "use" and not averages:
        alone = bool(lone_averages(source))
        raise UnsupportedError(
            "the checkpoint has moving averages without their variables" if alone else
            "the checkpoint has no moving averages", file=source.prefix,
            hint=f"Load what `tfckpt ema {source.prefix} --use -o NEW` writes." if alone else None)
    pairs: list[tuple[str, str, str]] = [
        (pair.a, pair.b, "name" if same else pair.how) for pair in matched.matched
        if (pair.a, pair.b) not in wrong]
    pairs += [(key, name, "order") for key, name in ordered]
    place = {name: n for n, name in enumerate(targets)}
    pairs.sort(key=lambda pair: place[pair[1]])
    taken: list[_Taken] = [(averages.get(key, key) if ema == "use" else key, targets[name], how)
                           for key, name, how in pairs]
    problems = [*wrong, *((item.a, item.b) for item in matched.mismatched)]
    uncast = [(key, name) for key, name, _ in pairs
              if not casts(source.index[key].dtype, targets[name].variable.dtype)]
    report = LoadReport(
        type(module).__name__, source.prefix, _loaded(taken),
        tuple(Wanted(targets[item.key].title, item.head[1], item.near)
              for item in matched.missing),
        tuple(_wrong(source, key, targets[name]) for key, name in [*problems, *uncast]),
        tuple(_unsure(group, both, targets) for group, both in groups
              if not in_order[group]),
        tuple(plain_name(key) for key in matched.unused), _left_aside(a),
        _notes(source, matched, taken, n_averages=len(averages), ema=ema))
    return Finding(report, lambda source: _assign(source, taken))


def _targets(module: nn.Module, *, by_path: bool) -> dict[str, _Target]:
    found = {}
    for key, (names, path, variable) in variables_by_name(module, by_path=by_path).items():
        tensors = tuple(".".join((*names, tensor)) for tensor in variable.weights.names)
        last = path.rpartition("/")[2]
        title = ", ".join(tensors)
        if len(variable.weights.paths) > 1 or title.rpartition(".")[2] != last:
            title += f" ({path})"
        found[key] = _Target(tensors, variable, title)
    return found


def _shape(variable: TorchVariable) -> tuple[int, ...]:
    return tuple(int(dim or 0) for dim in variable.shape)


def _dtype_wanted(dtype: DType, *, cast: bool) -> str:
    return "" if cast else dtype.name


def _named(name: str, targets: Mapping[str, _Target]) -> str:
    """The target that a user calls so: by PyTorch's name of it, or by TensorFlow's."""
    found = [key for key, item in targets.items()
             if name in (key, key.replace(MARK, ""), *item.tensors)]
    if len(found) != 1:
        known = [*targets, *(tensor for item in targets.values() for tensor in item.tensors)]
        near = found or nearest(name, known)
        raise TensorNotFoundError(
            "the module has no tensor of this name" if not found else
            "this tensor is several variables in TensorFlow", tensor=name,
            hint=f"{'One of' if found else 'Nearest:'} {', '.join(near)}." if near else None)
    return found[0]


def _fits(source: Source, key: str, head: Head) -> bool:
    entry = source.index[key]
    return entry.shape == head[1] and head[0] in ("", entry.dtype.name)


def casts(stored: DType, wanted: DType) -> bool:
    """Whether a dtype is another one, or another precision of the same kind of number."""
    return stored == wanted or (kind_of(stored) == kind_of(wanted) in ("float", "complex"))


def _loaded(taken: Sequence[_Taken]) -> tuple[Loaded, ...]:
    """A row for tensors that belong together, in the module's order."""
    rows: dict[tuple[str, ...], list[_Taken]] = {}
    for item in taken:
        rows.setdefault(item[1].tensors, []).append(item)
    return tuple(Loaded(tensors, tuple(plain_name(key) for key, _, _ in items),
                        items[0][1].variable.weights.layout, items[0][2])
                 for tensors, items in rows.items())


def _wrong(source: Source, key: str, target: _Target) -> Wrong:
    entry = source.index[key]
    shape = _shape(target.variable)
    hint = ""
    if target.variable.weights.layout == "gru_bias" and entry.shape == shape[1:]:
        hint = "the saved GRU has reset_after=False, which computes what PyTorch's GRU can't"
    return Wrong(target.title, f"{target.variable.dtype} {shape_text(shape)}", plain_name(key),
                 f"{entry.dtype} {shape_text(entry.shape)}", hint,
                 entry.shape == shape and casts(entry.dtype, target.variable.dtype))


def _unsure(group: Group, both: Members, targets: Mapping[str, _Target]) -> Unsure:
    choices = tuple(
        (plain_name(key), tuple(", ".join(targets[own[kind]].tensors) for own in both.b.values()
                                if kind in own))
        for kinds in both.a.values() for kind, key in kinds.items())
    weights = ", ".join(f"{kind} {shape_text(head[1])}" for kind, head in group.weights)
    return Unsure(weights, tuple(both.a), tuple(title.replace(MARK, "") for title in both.b),
                  choices)


def _left_aside(side: Side) -> dict[str, int]:
    return {role: n for role, n in side.left_aside.items() if n}


def _notes(source: Source, matched: MatchReport, taken: Sequence[_Taken], *, n_averages: int,
           ema: str) -> tuple[str, ...]:
    notes = [f"by the rule {_rule_text(rule)}" + (f": {n} names" if n else "")
             for rule, n in matched.rules]
    if n_averages and ema == "use":
        notes.append(f"moving averages were taken for {n_averages} variables")
    elif n_averages:
        notes.append(f"the checkpoint has moving averages of {n_averages} variables; what was"
                     ' loaded are the variables themselves (ema="use" takes the averages)')
    notes += cast_note([(source.index[key].dtype, target.variable.dtype) for key, target, _ in
                        taken])
    return tuple(notes)


def _rule_text(rule: Rule) -> str:
    (found,) = encode_rules([rule])["rules"]
    text = " ".join(map(str, found)) if isinstance(found, list) else str(found)
    return text if len(text) < _LONG else text[:_LONG] + " …"


def cast_note(pairs: list[tuple[DType, DType]]) -> list[str]:
    """What is said of values that are cast."""
    found: dict[tuple[str, str], int] = {}
    for stored, wanted in pairs:
        if stored != wanted:
            found[stored.name, wanted.name] = found.get((stored.name, wanted.name), 0) + 1
    return [f"{n} tensors were cast from {stored} to {wanted}"
            for (stored, wanted), n in found.items()]


def _assign(source: Source, taken: Sequence[_Taken]) -> list[str]:
    notes: list[str] = []
    check_settable(target.variable for _, target, _ in taken)
    assign_all([(target.variable, as_dtype_of(source.read_array(source.index[key]),
                                              target.variable.dtype, target.title, notes))
                for key, target, _ in taken])
    return notes


def as_dtype_of(array: Array, dtype: DType, title: str, notes: list[str]) -> Array:
    """An array in another precision; notes what was lost."""
    import numpy as np  # deferred: as everywhere

    if array.dtype == dtype.numpy():
        return array
    with np.errstate(over="ignore"):
        cast: Array = array.astype(dtype.numpy())
    n_lost = int((np.isinf(cast) & np.isfinite(array)).sum())
    if n_lost:
        notes.append(f"{title}: {n_lost} numbers are out of the range of {dtype}, and became"
                     " infinite")
    return cast
