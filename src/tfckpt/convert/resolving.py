"""A map held against names: which tensors become which, and what of them no rule covers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.convert.layouts import Layout, Shapes
from tfckpt.convert.namemap import MapRule, NameMap
from tfckpt.convert.templates import Fields, Template
from tfckpt.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = ["Move", "NewConstant", "Resolution", "resolve"]

_MOST_NEAR = 50  # a nearest rule takes a millisecond


class Move(NamedTuple):
    """Tensors that become others together.

    Attributes:
        sources: What they are called, in the order in which the layout takes them.
        targets: What they become.
        tied: Other names of the one target, under which the other side has it too.
        layout: How they lie.
        backwards: Whether they go from the other framework to TensorFlow.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    tied: tuple[str, ...]
    layout: Layout
    backwards: bool = False

    def apply(self, arrays: Sequence[np.ndarray[Any, Any]], shapes: Shapes = None
              ) -> list[np.ndarray[Any, Any]]:
        """The arrays of the targets for those of the sources; see `Layout.out` and `back`.

        Raises:
            UnsupportedError: Their shapes have no place in the layout.
        """
        return (self.layout.back if self.backwards else self.layout.out)(arrays, shapes)


class NewConstant(NamedTuple):
    """A tensor without elements of a source: a scalar that is the same in every model."""

    target: str
    value: float
    dtype: str


class Resolution(NamedTuple):
    """What a map makes of names.

    Attributes:
        moves: What becomes what.
        constants: What is new.
        left_out: Names that stay behind, and why.
        repeated: Names that stay behind because they are of the same tensor as another, and that.
        unused: Names that a rule covers, but whose target isn't wanted.
        missing: Wanted names that nothing becomes.
        problems: What is wrong with the names, a sentence each: not covered, half of what a
            layout takes, two for one place, too few for a table.
    """

    moves: tuple[Move, ...]
    constants: tuple[NewConstant, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    repeated: tuple[tuple[str, str], ...] = ()
    unused: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def raise_if_wrong(self, name_map: NameMap, file: str | None = None) -> None:
        """Raise one error with all problems, if there are any.

        Raises:
            MismatchError: There are; what is only unused or missing is none.
        """
        if self.problems:
            from tfckpt.convert.mapfiles import shipped_names  # deferred: lists a folder

            raise MismatchError(
                f"the map {name_map.name} doesn't cover the names, from {name_map.ends[0]} to"
                f" {name_map.ends[1]}", file=file, problems=self.problems,
                hint="Every name needs a rule, or a line under left_out that says why it has"
                     " none" + (f": `tfckpt maps {name_map.name}` prints the map." if
                                name_map.name in shipped_names() else "."))


def resolve(name_map: NameMap, names: Iterable[str], wanted: Collection[str] | None = None
            ) -> Resolution:
    """Hold a map against the names of a checkpoint, or of a file of another framework.

    Args:
        name_map: The map, in the direction that is wanted.
        names: Names of all tensors that are there, without state of an optimizer.
        wanted: Names of all that the other side has, where they are known. They say whether
            text that may be missing is missing there, and which tied names are repeated.

    Example:
        >>> from tfckpt.convert.mapform import parse_map
        >>> name_map = parse_map({"tfckpt-map": 1, "name": "mine", "here": "a", "there": "b",
        ...     "rules": [{"here": "layer_{n}/kernel", "there": "[m.]{n}.weight"}]})
        >>> found = resolve(name_map, ["layer_0/kernel", "layer/kernel"], ["0.weight", "0.bias"])
        >>> found.moves[0].targets, found.missing
        (('0.weight',), ('0.bias',))
        >>> found.problems
        ('layer/kernel: no rule; the nearest is layer_{n}/kernel -> [m.]{n}.weight',)
    """
    return _Resolver(name_map, list(names), None if wanted is None else set(wanted)).run()


_Key = tuple[int, frozenset[tuple[str, str]]]
"""The number of a rule, and the fields of a name that fits it."""


class _Placed(NamedTuple):
    """Where a name belongs."""

    key: _Key
    position: int


class _Group(NamedTuple):
    """Tensors of one rule with the same fields, by their place in it."""

    rule: MapRule
    fields: Fields
    found: dict[int, list[str]]


def _sides(rule: MapRule, *, backwards: bool) -> tuple[tuple[Template, ...], tuple[Template, ...]]:
    return (rule.there, rule.here) if backwards else (rule.here, rule.there)


def _texts(templates: tuple[Template, ...]) -> str:
    return ", ".join(template.text for template in templates)


class _Resolver:
    def __init__(self, name_map: NameMap, names: list[str], wanted: set[str] | None) -> None:
        self._map = name_map
        self._names = names
        self._wanted = wanted
        self._problems: list[str] = []
        self._left_out: list[tuple[str, str]] = []
        self._repeated: list[tuple[str, str]] = []
        self._unused: list[str] = []
        self._groups: dict[_Key, _Group] = {}

    def run(self) -> Resolution:
        for name in self._names:
            self._place(name)
        moves = [move for key, group in self._groups.items()
                 for move in self._moves(key, group)]
        constants = list(self._constants())
        given = Counter([target for move in moves for target in (*move.targets, *move.tied)]
                        + [item.target for item in constants])
        for target, count in given.items():
            if count > 1:
                self._problems.append(f"{target}: {count} tensors become this one")
        self._check_whole()
        missing = () if self._wanted is None else sorted(
            name for name in self._wanted - set(given) if self._exempt(name, there=True) is None)
        return Resolution(tuple(moves), tuple(constants), tuple(self._left_out),
                          tuple(self._repeated), tuple(self._unused), tuple(missing),
                          tuple(self._problems))

    def _check_whole(self) -> None:
        """Tell values of a table that no name has, where the map wants them all."""
        for field in self._map.whole if self._groups else ():
            values = {group.fields.get(field) for group in self._groups.values()}
            lacking = [value for value in self._map.tables[field] if value not in values]
            if lacking:
                self._problems.append(
                    f"no name has {', '.join(lacking)} for {{{field}}}, as all models of this map"
                    " have: it is for one of another size")

    def _sides(self, rule: MapRule) -> tuple[tuple[Template, ...], tuple[Template, ...]]:
        return _sides(rule, backwards=self._map.backwards)

    def _place(self, name: str) -> None:
        """Find the rule of a name."""
        placed = self._find(name, backwards=self._map.backwards)
        if placed is not None:
            group = self._groups.setdefault(placed.key, _Group(
                self._map.rules[placed.key[0]], dict(placed.key[1]), {}))
            group.found.setdefault(placed.position, []).append(name)
            return
        why = self._exempt(name, there=False)
        if why is None:
            self._problems.append(f"{name}: no rule{self._near(name)}")
        else:
            self._left_out.append((name, why))

    def _find(self, name: str, *, backwards: bool) -> _Placed | None:
        """The first rule that a name fits, if that makes names of it."""
        for number, rule in enumerate(self._map.rules):
            sources, targets = _sides(rule, backwards=backwards)
            places = list(enumerate(sources))
            if backwards:
                places += [(0, template) for template in (*rule.tied, *rule.formerly)]
            for position, template in places:
                found = template.find(name)
                if found is not None and None not in [item.fill(found.fields)
                                                      for item in (*targets, *sources)]:
                    return _Placed((number, frozenset(found.fields.items())), position)
        return None

    def _exempt(self, name: str, *, there: bool) -> str | None:
        """Why a name of the source, or of the other side, has no counterpart."""
        foreign = there != self._map.backwards
        for names, why in self._map.exempt_there if foreign else self._map.exempt_here:
            if names.find(name):
                return why
        if foreign and any(item.there.find(name) for item in self._map.constants):
            return "the same in every model"
        return None

    def _near(self, name: str) -> str:
        if len(self._problems) >= _MOST_NEAR:
            return ""
        import difflib  # deferred: only an error needs it

        by_text = {template.text: rule for rule in self._map.rules
                   for template in self._sides(rule)[0]}
        near = difflib.get_close_matches(re.sub(r"\d+", "{n}", name[:500]), by_text, 1, 0.5)
        if not near:
            return ""
        return f"; the nearest is {near[0]} -> {_texts(self._sides(by_text[near[0]])[1])}"

    def _moves(self, key: _Key, group: _Group) -> Iterator[Move]:
        rule, fields, found = group
        sources, targets = self._sides(rule)
        lacking = [sources[n] for n in range(len(sources)) if n not in found]
        names = [name for here in found.values() for name in here]
        if lacking:
            self._problems.append(
                f"{', '.join(names)}: the layout {rule.layout.name} also takes "
                + ", ".join(str(template.fill(fields)) for template in lacking))
            return
        primary = self._primary(found, sources, tied=bool(rule.tied))
        if primary is None:
            self._problems.append(f"{', '.join(names)}: two names for one place of a rule")
            return
        filled = tuple(self._fill(template, fields) for template in targets)
        if self._wanted is not None and not self._map.backwards and filled[0] not in self._wanted:
            older = [self._fill(template, fields) for template in rule.formerly]
            filled = next(((name,) for name in older if name in self._wanted), filled)
        for name in filled:
            back = self._find(name, backwards=not self._map.backwards)
            if back is None or back.key != key:
                other = self._map.rules[back.key[0]] if back else rule
                self._problems.append(
                    f"{', '.join(names)}: would be {name}, which the rule"
                    f" {_texts(self._sides(other)[0])} -> {_texts(self._sides(other)[1])} leads"
                    " back elsewhere; put the narrower rule first")
                return
        tied = () if self._map.backwards else tuple(
            self._fill(template, fields) for template in rule.tied)
        if self._wanted is not None:
            tied = tuple(name for name in tied if name in self._wanted)
            if not {*filled, *tied} & self._wanted:
                self._unused += names
                return
        yield Move(primary, filled, tied, rule.layout, self._map.backwards)

    def _primary(self, found: dict[int, list[str]], sources: tuple[Template, ...], *, tied: bool
                 ) -> tuple[str, ...] | None:
        """One name for each place; the others of a tied tensor stay behind."""
        names = []
        for position in range(len(sources)):
            first, *others = found[position]
            if others:
                if not (tied and self._map.backwards):
                    return None
                first = next((name for name in found[position] if sources[0].find(name)), first)
                self._repeated += [(name, first) for name in found[position] if name != first]
            names.append(first)
        return tuple(names)

    def _fill(self, template: Template, fields: Fields) -> str:
        """A name; where it may lack some text, as the other side has it."""
        name = str(template.fill(fields))  # `_find` made sure that there is one
        if self._wanted is not None and name not in self._wanted and template.may_lack:
            short = str(template.fill(fields, whole=False))
            return short if short in self._wanted else name
        return name

    def _constants(self) -> Iterator[NewConstant]:
        if self._map.backwards:
            return
        for there, each, value, dtype in self._map.constants:
            for name in self._names:
                found = each.find(name)
                if found is None or there.fill(found.fields) is None:
                    continue
                target = self._fill(there, found.fields)
                if self._wanted is None or target in self._wanted:
                    yield NewConstant(target, value, dtype)
