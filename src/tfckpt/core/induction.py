"""Rules that turn the names of one side into those of the other, found from the names.

Two names of tensors of one shape and kind differ in the middle: what they share in front and
behind is cut off, and what is left is a candidate (``net/`` for nothing, ``weights`` for
``kernel``). Numbers that stand on both sides become groups of a pattern. A candidate becomes
a rule if it explains other names too: what it doesn't touch must agree, and say more than that
there is a kernel; or it must count, explaining every name that is left with numbers that
agree. No candidate that competes with it may explain half as much, or nobody could know which
of them is right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tfckpt.core.leaves import leaf_kind, split_name
from tfckpt.core.rules import AddPrefix, Regex, Replace, Rule, Scopes, StripPrefix

__all__ = ["Induced", "Named", "induce_rules"]

Named = tuple[str, str, tuple[str, tuple[int, ...]]]
"""Key, name, and dtype with shape."""

_SAMPLE = 400  # names that candidates are made from
_PARTNERS = 24  # names of the other side that each of them is compared with
_TRIED = 40  # candidates that are tried out
_TRIED_ON = 3000  # names that each is tried on
_MOST_RULES = 12
_FEW_SHAPES = 3  # two kinds of weights in one or two sizes prove nothing
_MOST_GROUPS = 9  # written as one digit
_NUMBER = re.compile(r"\d+")
_NUMBER_OR_TEXT = re.compile(r"\d+|\D+")


class Induced(NamedTuple):
    """A rule, and the keys of the tensors whose names agree once it is applied."""

    rule: Rule
    pairs: list[tuple[str, str]]


class _Candidate(NamedTuple):
    """What one name has where the other has something else.

    Attributes:
        old: Parts of the one; for a pattern, a regular expression for them.
        new: Parts of the other; for a pattern, a template.
        at_start: Whether they are the first ones.
        at_end: Whether they are the last ones.
        is_pattern: Whether numbers were made groups.
    """

    old: str
    new: str
    at_start: bool
    at_end: bool
    is_pattern: bool = False

    def rule(self, names: Sequence[str]) -> Rule:
        """The rule that a person would write."""
        if self.is_pattern:
            end = "$" if self.at_end else "/"
            return Regex(("^" if self.at_start else "(?<![^/])") + self.old + end,
                         self.new + end.strip("$"))
        if self.at_start and not self.new:
            return StripPrefix(self.old + "/")
        if self.at_start and not self.old:
            return AddPrefix(self.new + "/")
        if self.at_start:
            return Scopes(self.old + "/", self.new + "/")
        if not self.old or not self.new:  # a part that one side lacks
            old, new = self.old + "/" if self.old else "", self.new + "/" if self.new else ""
            return Replace("/" + old, "/" + new)
        whole = re.compile(rf"(?<![^/]){re.escape(self.old)}(?![^/])")
        if all(name.replace(self.old, "") == whole.sub("", name) for name in names):
            return Replace(self.old, self.new)
        return Regex(rf"\b{re.escape(self.old)}\b", self.new.replace("\\", r"\\"))

    def pattern(self) -> _Candidate | None:
        """The same with groups for numbers, if all numbers of ``new`` are in ``old``."""
        if not self.new or not _NUMBER.search(self.new):
            return None
        in_new = _NUMBER.findall(self.new)
        groups: dict[str, int] = {}
        old = []
        for part in _NUMBER_OR_TEXT.findall(self.old):
            if part in groups:
                old.append(rf"\{groups[part]}")
            elif part in in_new:
                groups[part] = len(groups) + 1
                old.append(r"(\d+)")
            else:
                old.append(re.escape(part))
        if not set(in_new) <= set(groups) or len(groups) > _MOST_GROUPS:
            return None
        new = _NUMBER.sub(lambda match: rf"\{groups[match[0]]}",
                          self.new.replace("\\", r"\\"))
        return self._replace(old="".join(old), new=new, is_pattern=True)


class _Tried(NamedTuple):
    """What a candidate does to the names that are left.

    Attributes:
        candidate: It.
        rule: The rule that it makes.
        hits: Keys of A whose new name, but for the last part, is one of B.
        n_telling: How many of these agree in more than the kind of weight.
        n_contradicting: How many would get the name of a tensor of another shape.
        counts: Whether it is a pattern that explains all names, of several shapes.
    """

    candidate: _Candidate
    rule: Rule
    hits: frozenset[str]
    n_telling: int
    n_contradicting: int
    counts: bool = False


def induce_rules(a: Sequence[Named], b: Sequence[Named], mixed: frozenset[str] = frozenset()
                 ) -> Iterator[Induced]:
    """Find rules, one after another; each is meant for names that those before it made.

    Args:
        a: Tensors whose names are to change.
        b: Tensors with the names that are wanted.
        mixed: Kinds of weights that one side says in several words; see `mixed_kinds`.

    Yields:
        A rule and the pairs that it completes. A rule may complete none and help the next one.
    """
    left_a = {key: (name, head) for key, name, head in a}
    left_b = {key: (name, head) for key, name, head in b}
    for _ in range(_MOST_RULES):
        if not left_a or not left_b:
            return
        found = _best_rule(left_a, left_b, mixed)
        if found is None:
            return
        left_a = {key: (found.rule.apply(name) or name, head)
                  for key, (name, head) in left_a.items()}
        wanted = _unique({key: name for key, (name, _) in left_b.items()})
        named = _unique({key: name for key, (name, _) in left_a.items()})
        pairs = [(named[name], wanted[name]) for name in named if name in wanted]
        yield Induced(found.rule, pairs)
        for key_a, key_b in pairs:
            del left_a[key_a], left_b[key_b]


def _unique(names: dict[str, str]) -> dict[str, str]:
    count = Counter(names.values())
    return {name: key for key, name in names.items() if count[name] == 1}


_Left = dict[str, tuple[str, tuple[str, tuple[int, ...]]]]


def _best_rule(left_a: _Left, left_b: _Left, mixed: frozenset[str]) -> _Tried | None:
    names = [name for name, _ in left_a.values()]
    common_a, common_b = _common(names), _common([name for name, _ in left_b.values()])
    by_kind: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for name, (_, shape) in left_b.values():
        by_kind.setdefault((leaf_kind(split_name(name)[-1]), shape), []).append(name)
    votes: Counter[_Candidate] = Counter()
    step = max(1, len(left_a) // _SAMPLE)
    for name, (_, shape) in list(left_a.values())[::step]:
        same_kind = by_kind.get((leaf_kind(split_name(name)[-1]), shape), [])
        votes.update({candidate for other in _nearest(name, same_kind)
                      for candidate in _candidates(name, other)})
    wanted = {_kinded(name, mixed): head for name, head in left_b.values()}
    few = dict(list(left_a.items())[::max(1, len(left_a) // _TRIED_ON)])
    tried = [_try(candidate, few, wanted, common_a | common_b, mixed,
                  may_count=len(left_a) == len(left_b))
             for candidate, _ in votes.most_common(_TRIED)]
    good = [item for item in tried if _is_good(item, mixed)]
    good.sort(key=lambda item: (-item.n_telling, -len(item.hits), _cost(item)))
    for item in good:
        if not any(_competes(item, other) for other in tried):
            return item
    return None


def _nearest(name: str, others: list[str]) -> list[str]:
    """Some of the names, those with the same parts first."""
    if len(others) <= _PARTNERS:
        return others
    parts = set(split_name(name))
    return sorted(others, key=lambda other: -len(parts & set(split_name(other))))[:_PARTNERS]


def _common(names: Sequence[str]) -> frozenset[str]:
    """Parts that all names have; they tell nothing."""
    if len(names) < 2:
        return frozenset()
    return frozenset.intersection(*(frozenset(split_name(name)[:-1]) for name in names))


def _candidates(name: str, other: str) -> list[_Candidate]:
    """What the one name has in another place than the other, as it is and as a pattern."""
    old, new = split_name(name), split_name(other)
    front = 0
    while front < min(len(old), len(new)) and old[front] == new[front]:
        front += 1
    back = 0
    while back < min(len(old), len(new)) - front and old[-1 - back] == new[-1 - back]:
        back += 1
    # Last parts of one kind count as equal, so that a prefix is found before them.
    if back == 0 and front < min(len(old), len(new)) - 1 and leaf_kind(old[-1]) == leaf_kind(
            new[-1]):
        back = 1
        while back < min(len(old), len(new)) - front and old[-1 - back] == new[-1 - back]:
            back += 1
    middle_old, middle_new = old[front:len(old) - back], new[front:len(new) - back]
    if not middle_old and not middle_new:
        return []
    found = _Candidate("/".join(middle_old), "/".join(middle_new), front == 0, back == 0)
    pattern = found.pattern()
    return [found] if pattern is None else [found, pattern]


def _kinded(name: str, mixed: frozenset[str]) -> tuple[str, ...]:
    """The parts of a name, the last one as the kind that it says unless it says it otherwise."""
    parts = split_name(name)
    kind = leaf_kind(parts[-1])
    return (*parts[:-1], parts[-1] if kind in mixed else kind)


def _try(candidate: _Candidate, left_a: _Left,
         wanted: dict[tuple[str, ...], tuple[str, tuple[int, ...]]], common: frozenset[str],
         mixed: frozenset[str], *, may_count: bool) -> _Tried:
    rule = candidate.rule([name for name, _ in left_a.values()])
    hits: dict[tuple[str, ...], str] = {}
    telling, contradicting = set(), 0
    shapes = set()
    for key, (name, (dtype, shape)) in left_a.items():
        new = rule.apply(name)
        if new is None or (new == name and candidate.old):
            continue
        kinded = _kinded(new, mixed)
        head = wanted.get(kinded)
        if head is None:
            continue
        if head[1] != shape or (dtype and head[0] and dtype != head[0]) or kinded in hits:
            contradicting += 1  # another shape, or two names would become one
            continue
        hits[kinded] = key
        shapes.add(shape)
        before = set(split_name(name))
        if any(part in before and part not in common for part in kinded[:-1]):
            telling.add(kinded)
    counts = (candidate.is_pattern and may_count and len(hits) == len(left_a)
              and not contradicting and len(shapes) > _FEW_SHAPES)
    return _Tried(candidate, rule, frozenset(hits.values()), len(telling), contradicting, counts)


def _is_good(item: _Tried, mixed: frozenset[str]) -> bool:
    if item.counts:
        return True
    kind = leaf_kind(item.candidate.old)
    known_kind = (not item.candidate.at_start and "/" not in item.candidate.old
                  and kind == leaf_kind(item.candidate.new) and kind not in mixed)
    return (item.n_telling >= (1 if known_kind else 2)
            and item.n_telling * 2 >= len(item.hits)
            and item.n_contradicting * 4 <= len(item.hits))


def _cost(item: _Tried) -> tuple[int, int]:
    kind = {StripPrefix: 0, AddPrefix: 0, Replace: 1, Scopes: 2}.get(type(item.rule), 3)
    return kind, len(item.candidate.old) + len(item.candidate.new)


def _competes(item: _Tried, other: _Tried) -> bool:
    """Whether another candidate leads the same names elsewhere, and explains about as many."""
    return (other.candidate != item.candidate and len(other.hits & item.hits) * 2 > len(item.hits)
            and other.n_telling * 2 > item.n_telling
            and not (item.counts and not other.counts)
            and _leads_elsewhere(item, other))


def _leads_elsewhere(item: _Tried, other: _Tried) -> bool:
    """Whether they differ in what becomes of a name; one may be the other as a pattern."""
    return other.rule != item.rule and not (
        item.candidate.is_pattern and re.fullmatch(item.candidate.old, other.candidate.old)
        and re.sub(item.candidate.old, item.candidate.new, other.candidate.old)
        == other.candidate.new)
