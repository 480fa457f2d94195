"""Which saved object is which part of a model: the tree of a file beside that of a program.

Evidence, in the order of trust:

    ============= ==========================================================================
    ``path``      an attribute of one and the same layer is the same attribute
    ``name``      a layer has a name that its author gave it, here and there
    ``config``    the old model's config says what a layer computes, from what, and for what
    ``order``     Keras sorts the layers of a functional or sequential model by its graph
    ``structure`` a layer has weights of such kinds and shapes as no other layer
    ============= ==========================================================================

Names that Keras makes (``dense_1``) are no evidence: they count what the program made before.
Order is, as far as it follows from the graph. All layers must fit in that order, the counts
in automatic names must rise in the same way, and no other order of the inputs of an ``Add`` or
``Multiply`` may fit as well and change what the model computes. What fails that is a group.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Literal, NamedTuple

from tfckpt.keras.leaves import find_weights, fits
from tfckpt.keras.program import Part, is_automatic
from tfckpt.keras.saved import Saved, new_name

__all__ = ["Alike", "Group", "How", "Likeness", "compare"]

How = Literal["map", "path", "name", "config", "order", "structure"]
Orders = Callable[[Part], tuple[Sequence[Sequence[Part]], Callable[[Part], Hashable]]]
"""Of a container: the other orders that its layers may have had, and what each is in its graph."""


class Alike(NamedTuple):
    """A weight of the model and the saved variable that it is."""

    part: Part
    saved: Saved
    how: How


class Group(NamedTuple):
    """Layers that nothing tells apart."""

    saved: tuple[Saved, ...]
    parts: tuple[Part, ...]


class Likeness:
    """What is which.

    Attributes:
        pairs: Weights that were found.
        mismatched: Those that were found in another shape.
        groups: Layers that can't be told apart.
        missing: Weights of the model that nothing is like.
    """

    def __init__(self) -> None:
        self.pairs: list[Alike] = []
        self.mismatched: list[Alike] = []
        self.groups: list[Group] = []
        self.missing: list[Part] = []


class Evidence(NamedTuple):
    """What is known beside the two trees.

    Attributes:
        orders: Of a container, see `Orders`.
        colours: What each saved layer is in the graph of the old model, if its config is there.
        trust_order: Whether layers are in the same order where nothing else tells them apart.
    """

    orders: Orders
    colours: dict[int, Hashable]
    trust_order: bool = False


def compare(saved: Saved, part: Part, evidence: Evidence) -> Likeness:
    """Find out which variable below a saved object is which weight of a part of the model."""
    found = Likeness()
    _Comparison(found, evidence).descend(saved, part, "path")
    return found


class _Comparison:
    def __init__(self, found: Likeness, evidence: Evidence) -> None:
        self.found = found
        self.evidence = evidence
        self.done: set[int] = set()

    def descend(self, saved: Saved, part: Part, how: How) -> None:
        """An object and the part that it is."""
        if part.layers is None:
            self._take_leaf(saved, part, how)
            return
        if saved.layers is None:
            self.found.missing += [weight for leaf in part.leaves() for weight in leaf.weights()]
        else:
            self._pair_layers(saved, part)
        for attribute, child in part.attributes.items():  # of a class of the user's
            below = saved.children.get(attribute)
            if below is None:
                self.found.missing += child.weights()
            else:
                self.descend(below, child, how)

    def _take_leaf(self, saved: Saved, part: Part, how: How) -> None:
        if id(part) in self.done:
            return
        self.done.add(id(part))
        leaf = find_weights(saved, part, trust_order=self.evidence.trust_order)
        for weight, variable in leaf.pairs:
            alike = Alike(weight, variable, how)
            (self.found.pairs if fits(variable, weight) else self.found.mismatched).append(alike)
        for inner_saved, container in leaf.containers:
            self.descend(inner_saved, container, how)
        self.found.missing += leaf.missing
        if leaf.alike:
            self.found.groups.append(Group(tuple(v for v, _ in leaf.alike),
                                           tuple(w for _, w in leaf.alike)))

    # The layers of a container.

    def _pair_layers(self, saved: Saved, part: Part) -> None:
        olds, news = saved.leaves(), part.leaves()
        named = _by_name(olds, news)
        for new, old in named:
            self.descend(old, new, "name")
        taken = {id(item) for pair in named for item in pair}
        olds = [old for old in olds if id(old) not in taken]
        news = [new for new in news if id(new) not in taken]
        orders, colour = self.evidence.orders(part)
        others = [[new for new in order if id(new) not in taken] for order in orders]
        self._pair_rest(olds, news, others, colour)

    def _pair_rest(self, olds: list[Saved], news: list[Part],
                   others: Sequence[Sequence[Part]], colour: Callable[[Part], Hashable]) -> None:
        by_order = len(olds) == len(news) and all(map(leaf_fits, olds, news))
        doubtful = set(range(len(news)))
        if by_order:
            places = {id(new): n for n, new in enumerate(news)}
            doubtful = _of_other_ranks(olds, news)
            for order in others:
                if all(map(leaf_fits, olds, order)):
                    doubtful |= {n for n, new in enumerate(order) if places[id(new)] != n
                                 and colour(new) != colour(news[n])}
        for old_places, new_places in _classes(olds, news):
            here, there = [olds[n] for n in old_places], [news[n] for n in new_places]
            if not here:
                self.found.missing += [weight for new in there for weight in new.weights()]
                continue
            ordered = by_order and old_places == new_places
            pairs = self._by_config(here, there, colour)
            if pairs is not None:
                self._take_all(pairs, "config")
            elif len(here) == len(there) == 1 and (ordered or _may_be(here[0], there[0])):
                self._take_all([(there[0], here[0])], "order" if ordered else "structure")
            elif ordered and (self.evidence.trust_order or not doubtful & set(new_places)):
                self._take_all(list(zip(there, here, strict=True)), "order")
            else:
                self._some_by_order(old_places, new_places, doubtful, olds, news,
                                    ordered=ordered)

    def _some_by_order(self, old_places: list[int], new_places: list[int], doubtful: set[int],
                       olds: list[Saved], news: list[Part], *, ordered: bool) -> None:
        """Take what order tells of a class of layers, and leave the rest as a group."""
        sure = [n for n in new_places if ordered and n not in doubtful]
        self._take_all([(news[n], olds[n]) for n in sure], "order")
        here = tuple(olds[n] for n in old_places if n not in sure)
        there = tuple(news[n] for n in new_places if n not in sure)
        if len(here) == len(there) == 1 and not _may_be(here[0], there[0]):
            self.found.missing += list(there[0].weights())
        elif here and there:
            self.found.groups.append(Group(here, there))

    def _by_config(self, olds: list[Saved], news: list[Part],
                   colour: Callable[[Part], Hashable]) -> list[tuple[Part, Saved]] | None:
        """Pairs of layers of one structure, if the old config tells them apart."""
        known = self.evidence.colours
        here = [known.get(id(old)) for old in olds]
        there = [colour(new) for new in news]
        if None in here or None in there or Counter(here) != Counter(there):
            return None
        waiting: dict[Hashable, list[Saved]] = {}
        for kind, old in zip(here, olds, strict=True):
            waiting.setdefault(kind, []).append(old)
        # Those of one colour can change places: any order of them is right.
        return [(new, waiting[kind].pop(0)) for kind, new in zip(there, news, strict=True)]

    def _take_all(self, pairs: Iterable[tuple[Part, Saved]], how: How) -> None:
        for new, old in pairs:
            self.descend(old, new, how)


def leaf_fits(old: Saved, new: Part) -> bool:
    """Whether a saved layer has all the weights of a layer, in its shapes."""
    found = find_weights(old, new)
    return not found.missing and all(fits(variable, weight) for weight, variable in found.pairs)


def _by_name(olds: Sequence[Saved], news: Sequence[Part]) -> list[tuple[Part, Saved]]:
    """Layers that have one name that somebody gave them, and that no other layer has."""
    mine = Counter(new.name for new in news if not is_automatic(new.layer))
    named: dict[str, list[Saved]] = {}
    for old in olds:
        for word in _names_of(old) & set(mine):
            named.setdefault(word, []).append(old)
    found = [(new, named[new.name][0]) for new in news
             if mine.get(new.name) == 1 and len(named.get(new.name, ())) == 1]
    claims = Counter(id(old) for _, old in found)
    return [(new, old) for new, old in found if claims[id(old)] == 1]


def _of_other_ranks(olds: Sequence[Saved], news: Sequence[Part]) -> set[int]:
    """Places at which names contradict the order.

    Names that Keras made count the layers that a program makes: the program made them in another
    order if the counts don't rise in the same way. Names that people gave contradict
    if they differ.
    """
    wrong: set[int] = set()
    counts: dict[str, list[tuple[int, int, int]]] = {}
    for n, (old, new) in enumerate(zip(olds, news, strict=True)):
        base, number = _counted(new.name)
        same = [_counted(word)[1] for word in _names_of(old) if _counted(word)[0] == base]
        if is_automatic(new.layer):
            if len(same) == 1:
                counts.setdefault(base, []).append((n, same[0], number))
        elif _names_of(old) and not any(_looks_automatic(word, new) for word in _names_of(old)):
            wrong.add(n)
    for rows in counts.values():
        here = [n for n, _, _ in sorted(rows, key=lambda row: row[1])]
        there = [n for n, _, _ in sorted(rows, key=lambda row: row[2])]
        wrong |= {n for pair in zip(here, there, strict=True) if pair[0] != pair[1] for n in pair}
    return wrong


def _names_of(old: Saved) -> frozenset[str]:
    return old.words | ({old.title, new_name(old.title)} if old.by_name else frozenset())


def _may_be(old: Saved, new: Part) -> bool:
    """Whether names allow that two layers are one: not if people gave them different ones."""
    return (is_automatic(new.layer) or not _names_of(old)
            or any(_looks_automatic(word, new) for word in _names_of(old)))


def _looks_automatic(word: str, new: Part) -> bool:
    class_name = type(new.layer).__name__.lower().replace("_", "")
    return _counted(word)[0].replace("_", "") == class_name


def _counted(name: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.*?)(?:_(\d{1,9}))?", name)
    assert match is not None
    return match[1], int(match[2] or 0)


def _classes(olds: Sequence[Saved], news: Sequence[Part]) -> list[tuple[list[int], list[int]]]:
    """Places of the layers of each structure, of both sides."""
    classes: list[tuple[list[int], list[int]]] = []
    for n, new in enumerate(news):
        here = [m for m, old in enumerate(olds) if leaf_fits(old, new)]
        for old_places, new_places in classes:
            if old_places == here and (here or leaf_alike(news[new_places[0]], new)):
                new_places.append(n)
                break
        else:
            classes.append((here, [n]))
    return classes


def leaf_alike(one: Part, other: Part) -> bool:
    """Whether two layers have weights of the same shapes."""
    return [part.shape for part in one.weights()] == [part.shape for part in other.weights()]
