"""Which tensor of a file is which weight of a Keras 3 model: the trees of both, or their names."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from tfckpt.core.matching import Side, match, side_of_source
from tfckpt.core.roles import assign_roles
from tfckpt.core.source import Source
from tfckpt.errors import AmbiguousNamesError, MismatchError, TensorNotFoundError, nearest
from tfckpt.keras.legacy_h5 import LegacyH5
from tfckpt.keras.likeness import Evidence, Likeness, compare, leaf_alike
from tfckpt.keras.oldconfig import colours_of, find_config, read_config
from tfckpt.keras.orders import orders_of
from tfckpt.keras.program import Part, is_automatic, read_program
from tfckpt.keras.reports import Found, LoadReport, Unsure, Wrong
from tfckpt.keras.saved import Saved, saved_in_graph, saved_in_groups

__all__ = ["Choice", "Finding", "find"]

_DROPPED = frozenset({"count"})  # what adapting a Normalization counted; Keras 3 keeps no count


class Choice(NamedTuple):
    """How to find weights.

    Attributes:
        names: Pairs that are known: a tensor's key or name to a weight's path or title.
        config: The old model's config, or its JSON file; one beside the checkpoint is found.
        root: Which object of the checkpoint the model is, where it can't be told.
        trust_order: Whether layers are in the same order where nothing else tells them apart.
    """

    names: Mapping[str, str] = {}
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None
    root: str | None = None
    trust_order: bool = False


class Finding(NamedTuple):
    """What was found: weights with the keys of their tensors, and the report on all of it."""

    pairs: tuple[tuple[Part, str], ...]
    report: LoadReport


def find(source: Source, model: Any, choice: Choice) -> Finding:
    """Find the tensor of every weight of a built model.

    Raises:
        MismatchError: A config that was given is that of another model.
        AmbiguousNamesError: Several objects of the checkpoint may be the model.
        TensorNotFoundError: A map names what isn't there.
    """
    program = read_program(model)
    weights = list(program.weights())
    if isinstance(source, LegacyH5):
        roots = [saved_in_groups(source.groups)]
    else:
        roots = saved_in_graph(source)
    notes: list[str] = []
    if roots:
        colours = _colours(source, roots, choice, notes)
        evidence = Evidence(orders_of, colours, choice.trust_order)
        likeness, root = _best(roots, program, evidence, choice.root)
        if all(item.how != "config" for item in likeness.pairs):
            notes.clear()  # nothing depended on it
        pairs = [(item.part, item.saved.entry.key, str(item.how)) for item in likeness.pairs
                 if item.saved.entry is not None]
        mine = {item.entry.key for item in root.weights if item.entry is not None}
        dropped = {item.entry.key for item in root.weights
                   if item.entry is not None and item.entry.key.partition(
                       "/.ATTRIBUTES")[0].rpartition("/")[2] in _DROPPED and not item.entry.shape}
    else:
        likeness, pairs, mine = _by_names(source, program, weights, choice)
        dropped = set()
    return _reported(source, model, weights, likeness, pairs, mine - dropped, choice, notes)


def _colours(source: Source, roots: list[Saved], choice: Choice, notes: list[str]
             ) -> dict[int, Hashable]:
    if choice.config is not None:
        config, where = read_config(choice.config), ""
    else:
        found = find_config(source)
        if found is None:
            return {}
        config, where = found
    for root in roots:
        if root.every_layer is None:
            continue
        try:
            colours = colours_of(config, root)
        except MismatchError:
            if choice.config is not None and root is roots[-1]:
                raise
            continue
        if where:
            notes.append(f"the old model's config was found: {where}")
        return colours
    return {}


def _best(roots: list[Saved], program: Part, evidence: Evidence, wanted: str | None
          ) -> tuple[Likeness, Saved]:
    """The object that is most like the model."""
    if wanted is not None:
        named = [root for root in roots[1:] if root.title == wanted]
        if not named:
            raise TensorNotFoundError("the checkpoint holds no object of this name",
                                      tensor=wanted, hint="It has: " + ", ".join(
                                          root.title for root in roots[1:]) + ".")
        return compare(named[0], program, evidence), named[0]
    results = [(compare(root, program, evidence), root) for root in roots]
    whole = [item for item in results if _is_whole(item[0])]
    if len(whole) > 1 and whole[0][1] is not roots[0]:
        raise AmbiguousNamesError(
            "several objects of the checkpoint may be the model",
            groups={"model": [root.title for _, root in whole]},
            got=", ".join(root.title for _, root in whole), hint="Say which with root=NAME.")
    return max(whole or results, key=lambda item: len(item[0].pairs))


def _is_whole(likeness: Likeness) -> bool:
    return not (likeness.missing or likeness.mismatched or likeness.groups)


def _by_names(source: Source, program: Part, weights: list[Part], choice: Choice
              ) -> tuple[Likeness, list[tuple[Part, str, str]], set[str]]:
    """Weights by the names of a TF1 checkpoint."""
    a = side_of_source(source)
    named = {_path_or_title(part, weights): part for part in weights}
    b = Side("the model", {name: (str(part.variable.dtype), part.shape)
                           for name, part in named.items()})
    given = {_key_in(source, old): _name_in(named, new) for old, new in choice.names.items()}
    report = match(a, b, given={old: next(n for n, p in named.items() if p is part)
                                for old, part in given.items()})
    doubtful = set() if choice.trust_order else _counted_only(program)
    likeness = Likeness()
    pairs = []
    for pair in report.matched:
        part = named[pair.b]
        if id(part.variable) in doubtful and pair.a not in given:
            likeness.missing.append(part)
        else:
            pairs.append((part, pair.a, "map" if pair.a in given else str(pair.how)))
    likeness.missing += [named[item.key] for item in report.missing]
    likeness.missing += [named[item.b] for item in report.mismatched]
    return likeness, pairs, set(a.heads)


def _counted_only(program: Part) -> set[int]:
    """Weights of layers that only a count in Keras's own names tells apart.

    A name-based checkpoint has no order but these counts, and they tell in which order the
    program happened to make its layers.
    """
    leaves = [leaf for leaf in program.leaves() if leaf.layer is not None]
    if program.layers is None:
        leaves = [child for child in program.attributes.values() if child.layer is not None]
    automatic = [leaf for leaf in leaves if is_automatic(leaf.layer)]
    return {id(weight.variable) for leaf in automatic for weight in leaf.weights()
            if any(other is not leaf and leaf_alike(leaf, other) for other in automatic)}


def _path_or_title(part: Part, weights: list[Part]) -> str:
    path = getattr(part.variable, "path", part.title)
    same = [other for other in weights if getattr(other.variable, "path", "") == path]
    return path if len(same) == 1 else part.title


def _key_in(source: Source, name: str) -> str:
    if name in source.index:
        return source.index.resolve(name).key
    return side_of_source(source).key(name, "the map")


def _name_in(named: Mapping[str, Part], name: str) -> Part:
    if name.startswith("?"):
        raise MismatchError("a line of the map isn't filled in yet", got=name)
    plain = name.removesuffix(":0")
    for label, part in named.items():
        if plain in (label, part.title):
            return part
    raise TensorNotFoundError("the map names a weight that the model doesn't have", tensor=name,
                              hint="Nearest: " + ", ".join(nearest(plain, [
                                  part.title for part in named.values()])) + ".")


def _reported(source: Source, model: Any, weights: list[Part], likeness: Likeness,
              pairs: list[tuple[Part, str, str]], mine: set[str], choice: Choice,
              notes: list[str]) -> Finding:
    """All of it as a report, with what a map says in the first place."""
    given = {id(_name_in({part.title: part for part in weights} | {
        part.variable.path: part for part in weights}, new).variable): _key_in(source, old)
        for old, new in choice.names.items()}
    if len(given) < len(choice.names):
        raise AmbiguousNamesError(
            "the map has two tensors for one weight", got=", ".join(
                f"{old} for {new}" for old, new in choice.names.items()
                if [*choice.names.values()].count(new) > 1) or None)
    chosen = {id(part.variable): (part, key, how) for part, key, how in pairs
              if key not in given.values()}
    chosen |= {id(part.variable): (part, given[id(part.variable)], "map") for part in weights
               if id(part.variable) in given}
    used = {key for _, key, _ in chosen.values()}

    def left(part: Part) -> bool:
        return id(part.variable) not in chosen

    unsure = []
    for group in likeness.groups:
        olds = tuple(keys for item in group.saved if (keys := tuple(
            weight.entry.key for weight in item.weights
            if weight.entry is not None and weight.entry.key not in used)))
        news = tuple(tuple(weight.title for weight in part.weights()) for part in group.parts
                     if any(left(weight) for weight in part.weights()))
        if news:
            unsure.append(Unsure(news, tuple(tuple(map(_short, keys)) for keys in olds), tuple(
                weight.shape for weight in group.parts[0].weights())))
    in_groups = {weight.entry.key for group in likeness.groups for item in group.saved
                 for weight in item.weights if weight.entry is not None}
    wrong = tuple(Wrong(item.part.title, _short(item.saved.entry.key), item.part.shape,
                        item.saved.entry.shape) for item in likeness.mismatched
                  if left(item.part) and item.saved.entry is not None)
    taken_wrong = {item.saved.entry.key for item in likeness.mismatched
                   if item.saved.entry is not None}
    wrong += tuple(Wrong(part.title, _short(key), part.shape, source.index[key].shape)
                   for part, key, how in chosen.values()
                   if how == "map" and not _map_fits(source.index[key].shape, part))
    bad = {item.weight for item in wrong}
    # Also those whose tensor the map gives to another weight.
    known_missing = {id(part.variable): part for part in (
        *likeness.missing, *(part for part, key, _ in pairs if key in given.values()))
        if left(part)}
    unused = tuple(_short(key) for key in source.index
                   if key in mine - used - in_groups - taken_wrong)
    ordered = [chosen[id(part.variable)] for part in weights if id(part.variable) in chosen
               and part.title not in bad]
    report = LoadReport(
        model.name, source.prefix,
        tuple(Found(part.title, _short(key), how) for part, key, how in ordered),
        tuple((part.title, part.shape) for part in known_missing.values()), wrong,
        tuple(unsure), unused, _left_aside(source, mine), (*source.notes, *notes))
    return Finding(tuple((part, key) for part, key, _ in ordered), report)


def _map_fits(shape: tuple[int, ...], part: Part) -> bool:
    return shape == part.shape


def _short(key: str) -> str:
    return key.partition("/.ATTRIBUTES/")[0]


def _left_aside(source: Source, mine: set[str]) -> dict[str, int]:
    """How many tensors are none of the model's, by their role."""
    counts: dict[str, int] = {}
    for key, assigned in assign_roles(source).items():
        if key in mine or assigned.kind == "object graph" or key.startswith("_CHECKPOINTABLE"):
            continue
        role = "other" if assigned.role == "model" else assigned.role
        counts[role] = counts.get(role, 0) + 1
    return counts


