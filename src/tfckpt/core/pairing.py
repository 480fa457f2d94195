"""Which tensor of one checkpoint is which of another.

The same variable is ``dense/kernel`` in TF1, ``vars/dense.Skernel/.ATTRIBUTES/VARIABLE_VALUE``
in what was converted from it, and ``model/layer-0/kernel/…`` where a Keras model was saved, with
``dense/kernel`` as full name in the object graph. Names are tried in rounds, the most certain
first, and within a round two tensors are a pair only if nothing else of either side has their
name: nothing is ever guessed.

    ========= ====================================== =======================================
    round     name of an object-based key            name of a name-based one
    ========= ====================================== =======================================
    key       the key                                the key
    plain     without the attribute's ending         without ``:0``
    full name full name in the object graph          without ``:0``
    path      unescaped local names                  without ``:0``
    tail      those below the root's only child      without ``:0``
    ========= ====================================== =======================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from copy import copy
from typing import Literal, NamedTuple

from tfckpt.core.source import Source
from tfckpt.errors import AmbiguousNamesError, CheckpointError
from tfckpt.format.objectgraph import VARIABLE_VALUE
from tfckpt.format.objectkeys import ATTRIBUTES, ObjectKey, parse_object_key

__all__ = ["NAMINGS", "Names", "Naming", "Pairing", "pair_names", "plain_name"]

Naming = Literal["auto", "key", "name", "path"]
"""Which names count: keys, full names, paths, or all of them in turn."""

NAMINGS: tuple[Naming, ...] = ("auto", "key", "name", "path")

_ROUNDS: dict[Naming, tuple[str, ...]] = {
    "auto": ("key", "plain", "full name", "path", "tail"),
    "key": ("key",),
    "name": ("full name",),
    "path": ("plain", "path", "tail"),
}
_VALUE = ATTRIBUTES + VARIABLE_VALUE
# What TensorFlow calls a variable that was given no name.
_DEFAULT_NAME = re.compile(r"Variable(_\d+)?")


class Pairing(NamedTuple):
    """Keys of A and B that belong together, and those that have no partner, in key order."""

    pairs: list[tuple[str, str]]
    only_a: list[str]
    only_b: list[str]


class Names:
    """The names of a checkpoint's tensors.

    Args:
        source: It; None where there is but a list of names.
        keys: The tensors in question.
        strip: Removed from the start of each name that has it.
    """

    def __init__(self, source: Source | None, keys: Iterable[str], strip: str = "") -> None:
        self.keys = list(keys)
        self._source = source
        self.strip = strip
        self._all_full_names: dict[str, str] | None = None
        self._object_based = source is not None and source.style == "object-based"

    def only(self, keys: Container[str]) -> Names:
        """The same for some of the tensors."""
        part = copy(self)
        part.keys = [key for key in self.keys if key in keys]
        return part

    def of(self, kind: str, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Each of these keys that has a name of this kind, with it."""
        name = self._namer(kind)
        strip = self.strip
        for key in keys:
            found = name(key)
            if found:
                yield key, found.removeprefix(strip) if strip else found

    def _namer(self, kind: str) -> Callable[[str], str]:
        if kind == "key":
            return str
        if not self._object_based or kind == "plain":
            return plain_name
        if kind == "full name":
            full_names = self._full_names()
            return lambda key: full_names.get(key, "")
        below = self._common_root() if kind == "tail" else 0
        return lambda key: _path(key, below)

    def _full_names(self) -> dict[str, str]:
        if self._all_full_names is None:
            self._all_full_names = self._read_full_names()
        return self._all_full_names

    def _read_full_names(self) -> dict[str, str]:
        try:
            nodes = self._source.object_graph if self._source else ()
        except CheckpointError:  # a damaged graph has no names; the tensors have their paths
            return {}
        return {attribute.checkpoint_key: attribute.full_name for node in nodes
                for attribute in node.attributes
                if attribute.name == VARIABLE_VALUE
                and not _DEFAULT_NAME.fullmatch(attribute.full_name)}

    def _common_root(self) -> int:
        """1 if all variables are below one child of the root, else 0."""
        paths = [parsed.path for key in self.keys if (parsed := parse_object_key(key))
                 and parsed.attribute == VARIABLE_VALUE and parsed.path != ("save_counter",)]
        return int(len({path[:1] for path in paths}) == 1 and all(len(path) > 1 for path in paths))


def plain_name(key: str) -> str:
    """A key as people say it.

    Example:
        >>> plain_name("dense/kernel:0"), plain_name("m/w/.ATTRIBUTES/VARIABLE_VALUE")
        ('dense/kernel', 'm/w')
    """
    return key.removesuffix(_VALUE).removesuffix(":0")


def _path(key: str, below: int) -> str:
    parsed = parse_object_key(key)
    if parsed is None or parsed.attribute != VARIABLE_VALUE:
        return ""
    return "/".join(ObjectKey(parsed.path[below:], "").names)


def pair_names(a: Names, b: Names, by: Naming = "auto", given: Mapping[str, str] | None = None
               ) -> Pairing:
    """Find the pairs.

    Args:
        a: Names of the one.
        b: Names of the other.
        by: Which names count.
        given: Pairs that are known, key in A to key in B; they come first.

    Raises:
        AmbiguousNamesError: Two keys of one side have one name after their prefix was removed.
    """
    partner = dict(given or {})
    taken = set(partner.values())
    left_a = [key for key in a.keys if key not in partner]
    left_b = [key for key in b.keys if key not in taken]
    for n, kind in enumerate(_ROUNDS[by]):
        if not left_a or not left_b:
            break
        names_a = list(a.of(kind, left_a))
        names_b = list(b.of(kind, left_b))
        if not n:
            _refuse_collisions("A", names_a if a.strip else [])
            _refuse_collisions("B", names_b if b.strip else [])
        by_name = _unique(names_b)
        found = {key: by_name[name] for name, key in _unique(names_a).items() if name in by_name}
        partner.update(found)
        matched = set(found.values())
        left_a = [key for key in left_a if key not in found]
        left_b = [key for key in left_b if key not in matched]
    return Pairing([(key, partner[key]) for key in a.keys if key in partner], left_a, left_b)


def _unique(named: list[tuple[str, str]]) -> dict[str, str]:
    """Name to key, of the names that only one key has."""
    found = {name: key for key, name in named}
    if len(found) < len(named):
        for key, name in named:
            if found.get(name) != key:
                found.pop(name, None)
    return found


def _refuse_collisions(side: str, named: list[tuple[str, str]]) -> None:
    if len({name for _, name in named}) == len(named):
        return
    groups: dict[str, list[str]] = {}
    for key, name in named:
        groups.setdefault(name, []).append(key)
    raise AmbiguousNamesError(
        f"several tensors of {side} have one name",
        groups={name: keys for name, keys in groups.items() if len(keys) > 1},
        hint="Pair them otherwise: --by key or --by path, --map FILE, or another prefix.")
