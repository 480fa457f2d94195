"""Comparing two checkpoints: which tensors belong together, and how each pair stands.

Both files are read from start to end and their checksums made on the way, so "same" means equal
bytes that are still those that were written. ``quick`` believes stored checksums instead: equal
ones of 32 bits make equal bytes likely, and are no proof.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from tfckpt.core.differences import Aside, DiffReport, Side
from tfckpt.core.pairing import Names, Naming, Pairing, pair_names, plain_name
from tfckpt.core.pairwise import BITS, Comparison, Rules
from tfckpt.core.plan import Progress, no_progress
from tfckpt.core.roles import assign_roles
from tfckpt.core.source import Source
from tfckpt.errors import AmbiguousNamesError, TensorNotFoundError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, VARIABLE_VALUE
from tfckpt.format.objectkeys import ATTRIBUTES, object_key

__all__ = ["compare"]

PairMore = Callable[[Source, Source, Mapping[str, str]], Iterable[tuple[str, str]]]

_OPTIMIZER = "optimizer"
_MOST_SCOPES = 16  # before a name's partner; a name of 64 KiB may be slashes only
_CONFIG = ATTRIBUTES + "OBJECT_CONFIG_JSON"
_SAVE_COUNTER = object_key("save_counter", VARIABLE_VALUE)
_OBJECT_BASED_ONLY = {
    OBJECT_GRAPH_KEY: "only object-based checkpoints have an object graph",
    _SAVE_COUNTER: "tf.train.Checkpoint's own count of saves",
}


def compare(a: Source, b: Source, *, by: Naming = "auto",
            names: Mapping[str, str | None] | None = None,
            strip_prefixes: tuple[str, str] = ("", ""), ignore_optimizer: bool = False,
            rules: Rules = BITS, more: PairMore | None = None,
            progress: Progress = no_progress) -> DiffReport:
    """Compare two opened checkpoints; see `tfckpt.convert.comparing.diff`.

    Args:
        a: The one.
        b: The other.
        by: See there, as for the other arguments.
        names: Pairs that are known.
        strip_prefixes: Taken from the start of each side's names.
        ignore_optimizer: Whether its state stays out.
        rules: What counts as different.
        more: Gives further pairs, once names have told all that they can; they count more.
        progress: Told about bytes of both.
    """
    aside: list[Aside] = []
    hints: list[str] = []
    given = _given_pairs(names or {}, a, b, aside, hints)
    by_key = by in ("auto", "key") and not names and not any(strip_prefixes)
    reason = ("" if by_key else "tensors are compared by other names than the keys in it")
    if ignore_optimizer:
        reason = "it describes the optimizer too"
    dropped = {item.key for item in aside}
    keys_a = _keys_of("a", a, dropped, set(given), ignore_optimizer, reason, aside)
    keys_b = _keys_of("b", b, set(), set(given.values()), ignore_optimizer, reason, aside)
    pairing = _pair(a, b, keys_a, keys_b, strip_prefixes, by, given)
    if more is not None and (pairing.only_a or pairing.only_b):
        pairing = _with_more(pairing, more(a, b, dict(pairing.pairs)), given)
    if ignore_optimizer:
        pairing = _without_their_partners(a, b, pairing, aside)
    if a.style != b.style:
        pairing = _without_bookkeeping(pairing, aside)
    tensors = Comparison(a, b, rules, progress).run(keys_a, pairing)
    hints += _prefix_hints(pairing, strip_prefixes)
    return DiffReport(a.prefix, b.prefix, (a.style, b.style), tuple(tensors), tuple(aside),
                      rules.quick, tuple(hints))


def _pair(a: Source, b: Source, keys_a: list[str], keys_b: list[str],
          strip_prefixes: tuple[str, str], by: Naming, given: Mapping[str, str]) -> Pairing:
    """The pairs; a count of saves of the one style is no variable of that name of the other."""
    apart = {_SAVE_COUNTER} - {*given, *given.values()} if a.style != b.style else set()
    names_a, names_b = ([key for key in keys if key not in apart] for keys in (keys_a, keys_b))
    found = pair_names(Names(a, names_a, strip_prefixes[0]), Names(b, names_b, strip_prefixes[1]),
                       by, given)
    if len(names_a) == len(keys_a) and len(names_b) == len(keys_b):
        return found
    only_a, only_b = {*found.only_a, *apart}, {*found.only_b, *apart}
    return found._replace(only_a=[key for key in keys_a if key in only_a],
                          only_b=[key for key in keys_b if key in only_b])


def _with_more(pairing: Pairing, pairs: Iterable[tuple[str, str]], given: Mapping[str, str]
               ) -> Pairing:
    """With pairs that are more certain than those of names: lists of other layouts have equal keys.

    What was given stays, and what loses its partner may find none.
    """
    found = dict(pairing.pairs)
    back = {other: key for key, other in found.items()}
    fixed = {*given, *given.values()}
    loose_a, loose_b = dict.fromkeys(pairing.only_a), dict.fromkeys(pairing.only_b)
    for key, other in pairs:
        if found.get(key) == other or key in fixed or other in fixed:
            continue
        if key in found:
            loose_b[found[key]] = None
            del back[found[key]]
        if other in back:
            loose_a[back[other]] = None
            del found[back[other]]
        found[key], back[other] = other, key
        loose_a.pop(key, None)
        loose_b.pop(other, None)
    return Pairing(list(found.items()), list(loose_a), list(loose_b))


def _given_pairs(names: Mapping[str, str | None], a: Source, b: Source, aside: list[Aside],
                 hints: list[str]) -> dict[str, str]:
    """Key to key of the names that both have."""
    pairs: dict[str, str] = {}
    strange: list[str] = []
    for name_a, name_b in names.items():
        key_a = _find(a, name_a)
        key_b = None if name_b is None else _find(b, name_b)
        if key_a is not None and name_b is None:
            aside.append(Aside("a", key_a, "the map leaves it out"))
        elif key_a is None or key_b is None:
            strange.append(f"{name_a} in A" if key_a is None else f"{name_b} in B")
        elif key_a in pairs or key_b in pairs.values():
            raise AmbiguousNamesError("the map pairs a tensor twice", groups={
                key_b: [*(key for key, other in pairs.items() if other == key_b), key_a]})
        else:
            pairs[key_a] = key_b
    if strange:
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        hints.append(f"the map names tensors that aren't there: {', '.join(strange[:3])}{more}")
    return pairs


def _find(source: Source, name: str) -> str | None:
    try:
        return source.index.resolve(name).key
    except TensorNotFoundError:
        return None


def _keys_of(side: Side, source: Source, dropped: set[str], wanted: set[str],
             ignore_optimizer: bool, graph_reason: str, aside: list[Aside]) -> list[str]:
    """The keys to compare; the others go aside."""
    reasons = dict.fromkeys(dropped, "")  # these are told of already
    if graph_reason:
        reasons[OBJECT_GRAPH_KEY] = graph_reason
    if ignore_optimizer:
        reasons |= {key: _OPTIMIZER for key, assigned in assign_roles(source).items()
                    if assigned.role == "optimizer"}
    if not reasons:
        return list(source.index)
    keys = []
    for key in source.index:
        if key not in reasons or key in wanted:
            keys.append(key)
        elif reasons[key]:
            aside.append(Aside(side, key, reasons[key]))
    return keys


def _without_their_partners(a: Source, b: Source, pairing: Pairing, aside: list[Aside]) -> Pairing:
    """Put aside what is optimizer state only to the other side.

    What was converted to another style may have nothing left that tells.
    """
    left: dict[Side, set[str]] = {side: {item.key for item in aside if item.side == side
                                         and item.reason == _OPTIMIZER} for side in ("a", "b")}
    of_a = pair_names(Names(a, pairing.only_a), Names(b, left["b"]))
    of_b = pair_names(Names(a, left["a"]), Names(b, pairing.only_b))
    aside += [Aside("a", key, _OPTIMIZER) for key, _ in of_a.pairs]
    aside += [Aside("b", key, _OPTIMIZER) for _, key in of_b.pairs]
    return pairing._replace(only_a=of_a.only_a, only_b=of_b.only_b)


def _without_bookkeeping(pairing: Pairing, aside: list[Aside]) -> Pairing:
    """Put aside what a checkpoint of the other style can't have."""
    kept: dict[Side, list[str]] = {"a": [], "b": []}
    sides: tuple[tuple[Side, list[str]], ...] = (("a", pairing.only_a), ("b", pairing.only_b))
    for side, keys in sides:
        for key in keys:
            reason = _OBJECT_BASED_ONLY.get(key)
            if reason is None and key.endswith(_CONFIG):
                reason = "Keras' description of a layer, not a value"
            if reason is None:
                kept[side].append(key)
            else:
                aside.append(Aside(side, key, reason))
    return pairing._replace(only_a=kept["a"], only_b=kept["b"])


def _prefix_hints(pairing: Pairing, strip_prefixes: tuple[str, str]) -> Iterator[str]:
    """Prefixes whose removal would find partners for tensors that have none."""
    sides = [[plain_name(key) for key in keys] for keys in (pairing.only_a, pairing.only_b)]
    for n, (names, others) in enumerate((sides, sides[::-1])):
        wanted = set(others)
        found: Counter[str] = Counter()
        for name in names if wanted and not strip_prefixes[n] else ():
            at = name.find("/")
            for _ in range(_MOST_SCOPES):
                if at < 0:
                    break
                found[name[:at + 1]] += name[at + 1:] in wanted
                at = name.find("/", at + 1)
        for prefix, count in found.most_common(1):
            if count:
                yield (f"{count} of the tensors that only {'AB'[n]} has would have a partner with"
                       f" --strip-prefix-{n + 1} {prefix}")
