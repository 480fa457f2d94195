"""Which tensor of one checkpoint is which of another, where the names differ.

Evidence is used in this order, the most certain first; what one step has paired, no later
one touches, and no step pairs tensors of different shape or dtype.

    ============= ==========================================================================
    ``name``      a key, a full name or a path is the same on both sides (`pairing`)
    ``rule``      one rule makes names of the other side out of many (`induction`)
    ``structure`` a layer has weights of such kinds and shapes as no other layer
    ``values``    the bits are equal and no other tensor has them; only if asked for
    ============= ==========================================================================

Layers that all of this can't tell apart are shown as a group and never guessed: that two
lists have the same order proves nothing about which of two equal layers is which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from tfckpt.core.induction import induce_rules
from tfckpt.core.layers import pair_layers, pair_relatives
from tfckpt.core.leaves import mixed_kinds
from tfckpt.core.numbering import renumber
from tfckpt.core.pairing import Names, pair_names, plain_name
from tfckpt.core.roles import assign_roles
from tfckpt.core.rules import Names as RuleNames
from tfckpt.core.rules import Rule
from tfckpt.core.source import Source
from tfckpt.errors import AmbiguousNamesError, TensorNotFoundError, nearest
from tfckpt.format.objectkeys import parse_object_key

__all__ = ["Group", "How", "MatchReport", "Mismatched", "Missing", "Pair", "Side", "match",
           "side_of_source"]

How = Literal["map", "name", "rule", "structure", "values"]
_MOST_NEAR = 50  # a nearest name takes milliseconds
Head = tuple[str, tuple[int, ...]]
"""Dtype and shape; the dtype is empty where a list of names doesn't tell."""


class Pair(NamedTuple):
    """Two tensors that are the same, and why."""

    a: str
    b: str
    how: How


class Missing(NamedTuple):
    """A tensor that the other side wants and this checkpoint doesn't have.

    Attributes:
        key: Its key there.
        head: Its dtype and shape.
        near: Names here that are most like it, those of its shape first.
    """

    key: str
    head: Head
    near: tuple[str, ...] = ()


class Mismatched(NamedTuple):
    """Two tensors of one name that aren't of one shape and dtype."""

    a: str
    b: str
    head_a: Head
    head_b: Head


class Group(NamedTuple):
    """Layers that nothing tells apart.

    Attributes:
        weights: Kind, dtype and shape of the weights of each of them.
        a: The layers here.
        b: The layers of the other side.
    """

    weights: tuple[tuple[str, Head], ...]
    a: tuple[str, ...]
    b: tuple[str, ...]


class MatchReport(NamedTuple):
    """How two checkpoints, or a checkpoint and a list of names, belong together.

    Attributes:
        a: The checkpoint.
        b: What it was matched against.
        matched: The pairs.
        missing: What only B has.
        unused: Keys that only A has.
        mismatched: Pairs that don't fit one another.
        groups: Layers that can't be told apart; their tensors are in no other list.
        rules: Rules that make B's names out of A's, with how many names each explains.
        n_left_aside: Tensors of A and of B that weren't matched, by role.
    """

    a: str
    b: str
    matched: tuple[Pair, ...]
    missing: tuple[Missing, ...] = ()
    unused: tuple[str, ...] = ()
    mismatched: tuple[Mismatched, ...] = ()
    groups: tuple[Group, ...] = ()
    rules: tuple[tuple[Rule, int], ...] = ()
    n_left_aside: Mapping[str, tuple[int, int]] = {}

    @property
    def ok(self) -> bool:
        """Whether everything of B was found."""
        return not (self.missing or self.mismatched or self.groups)

    @property
    def partners(self) -> dict[str, str]:
        """Key in A of each matched key of B."""
        return {pair.b: pair.a for pair in self.matched}


class Side:
    """One side of a match: its tensors, by all their names.

    Args:
        title: What to call it.
        heads: Dtype and shape of each key.
        names: The names of the keys; None for a plain list of names.
        read: Gives the bytes of a key, where values may be compared.
        left_aside: How many tensors of each role aren't in ``heads``.
    """

    def __init__(self, title: str, heads: Mapping[str, Head], names: Names | None = None, *,
                 read: Callable[[str], bytes] | None = None,
                 left_aside: Mapping[str, int] | None = None) -> None:
        self.title = title
        self.heads = heads
        self.read = read
        self.names = names or Names(None, heads)
        self.left_aside = left_aside or {}

    def key(self, name: str, file: str) -> str:
        """The key of a tensor that a map names, by its key or by any of its names.

        Raises:
            TensorNotFoundError: There is none.
        """
        if name in self.heads:
            return name
        for kind in ("plain", "full name", "path", "tail"):
            found = [key for key, known in self.names.of(kind, self.heads) if known == name]
            if len(found) == 1:
                return found[0]
        raise TensorNotFoundError(f"the map names a tensor that {self.title} doesn't have",
                                  tensor=name, file=file, hint=_nearest_hint(name, map(
                                      self.name, self.heads)))

    def name(self, key: str) -> str:
        """What to call a tensor: its full name in an object graph, else its key or path."""
        for kind in ("full name", "tail", "plain"):
            for _, name in self.names.of(kind, [key]):
                return name
        return plain_name(key)


def side_of_source(source: Source, *, everything: bool = False) -> Side:
    """A checkpoint's tensors: those of the model, or all.

    Args:
        source: The checkpoint.
        everything: Whether optimizer state, averages and counters are matched too.
    """
    heads: dict[str, Head] = {}
    aside: dict[str, int] = {}
    for key, assigned in assign_roles(source).items():
        entry = source.index[key]
        parsed = parse_object_key(key)
        is_config = parsed is not None and parsed.attribute == "OBJECT_CONFIG_JSON"
        if ((assigned.role == "model" and not is_config)
                or (everything and entry.dtype.name != "string")):
            heads[key] = entry.dtype.name, entry.shape
        else:
            aside[assigned.role] = aside.get(assigned.role, 0) + 1
    return Side(source.prefix, heads, Names(source, heads), read=source.read_bytes,
                left_aside=aside)


def match(a: Side, b: Side, *, given: Mapping[str, str] | None = None, use_values: bool = False
          ) -> MatchReport:
    """Find out which tensor of A each tensor of B is.

    Args:
        a: The checkpoint that has the values.
        b: What wants them.
        given: Pairs that are known, key of A to key of B; they come first.
        use_values: Whether tensors with equal bits count as the same.

    Raises:
        AmbiguousNamesError: Two tensors of A are given for one of B.

    Example:
        >>> import tfckpt
        >>> with tfckpt.open("examples/tf1") as source:
        ...     a = side_of_source(source)
        >>> b = Side("wanted", {"net/" + key: head for key, head in a.heads.items()})
        >>> report = match(a, b)
        >>> report.ok, report.rules
        (True, ((AddPrefix(prefix='net/'), 6),))
    """
    _check_once(a, b, given or {})
    state = _State(a, b, dict(given or {}))
    state.pair_by_name()
    state.pair_by_rules()
    if use_values:
        state.pair_by_values()
    groups = state.pair_by_structure()
    return state.report(groups)


def _check_once(a: Side, b: Side, given: Mapping[str, str]) -> None:
    """Refuse two values for one tensor: whichever came last would win."""
    found: dict[str, list[str]] = {}
    for key, other in given.items():
        found.setdefault(other, []).append(key)
    twice = {b.name(other): list(map(a.name, keys)) for other, keys in found.items()
             if len(keys) > 1}
    if twice:
        raise AmbiguousNamesError(
            "the pairs that were given have two tensors for one", groups=twice,
            got="; ".join(f"{', '.join(keys)} for {other}" for other, keys in twice.items()))


class _State:
    def __init__(self, a: Side, b: Side, given: dict[str, str]) -> None:
        self.a, self.b = a, b
        self.pairs = [Pair(key, other, "map") for key, other in given.items()]
        self.mismatched: list[Mismatched] = []
        self.rules: list[tuple[Rule, int]] = []
        self.doubtful: set[str] = set()
        taken = set(given.values())
        self.left_a = {key for key in a.heads if key not in given}
        self.left_b = {key for key in b.heads if key not in taken}

    def pair_by_name(self) -> None:
        here, there = ({key: side.name(key) for key in left}
                       for side, left in ((self.a, self.left_a), (self.b, self.left_b)))
        numbers = renumber(here, there)
        wanted = {name: key for key, name in there.items()}
        shifted = [(key, wanted[name]) for key, name in numbers.names.items() if name in wanted]
        if numbers.names and len(shifted) == len(numbers.names) and all(
                fits(self.a.heads[key], self.b.heads[other]) for key, other in shifted):
            self._take(shifted, "rule")
            self.rules.append((RuleNames({here[key]: there[other] for key, other in shifted}),
                               len(shifted)))
        elif numbers.names:
            self.doubtful.update(numbers.names, (key for _, key in shifted))
        self.doubtful |= numbers.doubtful
        found = pair_names(self.a.names.only(self.left_a - self.doubtful),
                           self.b.names.only(self.left_b - self.doubtful))
        self._take(found.pairs, "name")

    def pair_by_rules(self) -> None:
        for induced in induce_rules(self._named(self.a, self.left_a - self.doubtful),
                                    self._named(self.b, self.left_b - self.doubtful),
                                    self._mixed_kinds()):
            self._take(induced.pairs, "rule")
            self.rules.append((induced.rule, len(induced.pairs)))

    def _mixed_kinds(self) -> frozenset[str]:
        here, there = (mixed_kinds(map(side.name, side.heads)) for side in (self.a, self.b))
        return here | there

    def pair_by_values(self) -> None:
        if self.a.read is None or self.b.read is None:
            return
        sides = [(self._by_bytes(self.a, self.left_a)), (self._by_bytes(self.b, self.left_b))]
        self._take([(keys[0], sides[1][data][0]) for data, keys in sides[0].items()
                    if len(keys) == 1 and len(sides[1].get(data, ())) == 1], "values")

    def pair_by_structure(self) -> list[Group]:
        self._take(pair_relatives(self._named(self.a, self.left_a - self.doubtful),
                                  self._named(self.b, self.left_b - self.doubtful)), "structure")
        found = pair_layers(self._named(self.a, self.left_a), self._named(self.b, self.left_b),
                            len(self.pairs))
        self._take(found.pairs, "structure")
        groups = []
        for weights, layers_a, layers_b in found.groups:
            groups.append(Group(weights, tuple(layer.title for layer in layers_a),
                                tuple(layer.title for layer in layers_b)))
            self.left_a -= {key for layer in layers_a for key in layer.keys.values()}
            self.left_b -= {key for layer in layers_b for key in layer.keys.values()}
        return groups

    def report(self, groups: list[Group]) -> MatchReport:
        here = {self.a.name(key): key for key in self.left_a}
        missing = [Missing(key, self.b.heads[key], self._near(key, here) if n < _MOST_NEAR else ())
                   for n, key in enumerate(key for key in self.b.heads if key in self.left_b)]
        aside = {role: (self.a.left_aside.get(role, 0), self.b.left_aside.get(role, 0))
                 for role in (*self.a.left_aside, *self.b.left_aside)}
        order = {key: n for n, key in enumerate(self.b.heads)}
        return MatchReport(
            self.a.title, self.b.title,
            tuple(sorted(self.pairs, key=lambda pair: order.get(pair.b, -1))), tuple(missing),
            tuple(key for key in self.a.heads if key in self.left_a), tuple(self.mismatched),
            tuple(groups), tuple(self.rules), aside)

    def _named(self, side: Side, keys: Iterable[str]) -> list[tuple[str, str, Head]]:
        """Key, name and head of some tensors, in the side's order."""
        left = set(keys)
        return [(key, side.name(key), head) for key, head in side.heads.items() if key in left]

    def _take(self, pairs: Sequence[tuple[str, str]], how: How) -> None:
        for a, b in pairs:
            head_a, head_b = self.a.heads[a], self.b.heads[b]
            if fits(head_a, head_b):
                self.pairs.append(Pair(a, b, how))
            else:
                self.mismatched.append(Mismatched(a, b, head_a, head_b))
            self.left_a.discard(a)
            self.left_b.discard(b)

    def _by_bytes(self, side: Side, keys: Iterable[str]) -> dict[tuple[Head, bytes], list[str]]:
        import hashlib  # deferred: rarely asked for

        found: dict[tuple[Head, bytes], list[str]] = {}
        for key in keys:
            data = side.read(key) if side.read else b""
            digest = hashlib.blake2b(data).digest()
            if data.strip(b"\0"):  # any two tensors of zeros are equal
                found.setdefault((side.heads[key], digest), []).append(key)
        return found

    def _near(self, key: str, here: Mapping[str, str]) -> tuple[str, ...]:
        name = self.b.name(key)
        same = [other for other, at in here.items()
                if fits(self.a.heads[at], self.b.heads[key])]
        near = nearest(name, same) or nearest(name, here)
        return tuple(near or (same if len(same) == 1 else ()))


def _nearest_hint(name: str, names: Iterable[str]) -> str | None:
    near = nearest(name, names)
    return f"Nearest: {', '.join(near)}." if near else None


def fits(a: Head, b: Head) -> bool:
    """Whether a tensor can fill another: the same shape, and the dtype if both are known.

    Example:
        >>> fits(("float32", (2, 3)), ("", (2, 3))), fits(("float32", (3,)), ("", (2,)))
        (True, False)
    """
    return a[1] == b[1] and (not a[0] or not b[0] or a[0] == b[0])
