"""Which tensor is which, as text and as JSON."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tfckpt.core.matching import Head, MatchReport, Missing
from tfckpt.core.rules import (
    AddPrefix,
    Names,
    Regex,
    Replace,
    Rule,
    Scopes,
    StripPrefix,
    encode_rules,
)
from tfckpt.core.shapes import shape_text
from tfckpt.report.text import columns, printable, short_key

__all__ = ["match_json", "name_map", "render_match"]

_SHOWN = 20
_HOW = {"map": "by the map", "name": "by name", "rule": "by a rule",
        "structure": "by their layer's structure", "values": "by their values"}


def render_match(report: MatchReport, *, everything: bool = False) -> Iterator[str]:
    """A summary, then everything that isn't matched and the rules that would rename.

    Args:
        report: What was found.
        everything: Whether all pairs are listed, and no list is cut.
    """
    yield _summary(report)
    if everything:
        yield from columns(("=", _name(pair.a), "=", _name(pair.b), _HOW[pair.how])
                           for pair in report.matched)
    most = None if everything else _SHOWN
    yield from _section("missing:", [_missing(item) for item in report.missing], most)
    yield from _section("shape:", [
        [_name(item.b), f"here {_what(item.head_a)}", f"there {_what(item.head_b)}"]
        for item in report.mismatched], most)
    yield from _section("unused:", [[_name(key)] for key in report.unused], most)
    for group in report.groups:
        weights = ", ".join(f"{kind} {shape_text(head[1])}" for kind, head in group.weights)
        yield f"alike:    {len(group.a)} layers of {weights}; nothing tells them apart:"
        yield f"          here  {_names(group.a, most)}"
        yield f"          there {_names(group.b, most)}"
    for rule, count in report.rules:
        if count:
            yield f"rule:     {_flag(rule)}   names {count:,}"
        else:
            yield f"rule:     {_flag(rule)}"


def _summary(report: MatchReport) -> str:
    hows = Counter(pair.how for pair in report.matched)
    parts = [f"matched {len(report.matched):,}"
             + (f" ({', '.join(f'{n:,} {_HOW[how]}' for how, n in hows.items())})"
                if set(hows) - {"name"} else ""),
             f"missing in checkpoint {len(report.missing):,}",
             f"unused in checkpoint {_unused(report)}"]
    if report.mismatched:
        parts.append(f"shape differs {len(report.mismatched):,}")
    if report.groups:
        n_alike = sum(len(group.b) * len(group.weights) for group in report.groups)
        parts.append(f"can't be told apart {n_alike:,}")
    return "   ".join(parts)


def _unused(report: MatchReport) -> str:
    aside = {role: counts[0] for role, counts in report.n_left_aside.items() if counts[0]}
    total = len(report.unused) + sum(aside.values())
    said = [f"{count:,} {role}" for role, count in aside.items()]
    return f"{total:,}" + (f" ({', '.join(said)})" if said else "")


def _section(title: str, rows: list[list[str]], most: int | None) -> Iterator[str]:
    lines = list(columns(rows if most is None else rows[:most]))
    for n, line in enumerate(lines):
        yield f"{title if n == 0 else '':<10}{line}"
    if len(rows) > len(lines):
        yield f"{'':<10}… and {len(rows) - len(lines):,} more (--all shows them)"


def _missing(item: Missing) -> list[str]:
    near = f"nearest: {', '.join(printable(name) for name in item.near)}" if item.near else ""
    return [_name(item.key), _what(item.head), near]


def _names(titles: tuple[str, ...], most: int | None) -> str:
    shown = titles if most is None else titles[:most]
    return ", ".join(printable(title or "(the root)") for title in shown) + (
        ", …" if len(shown) < len(titles) else "")


def _name(key: str) -> str:
    return printable(short_key(key))


def _what(head: Head) -> str:
    return f"{head[0]} {shape_text(head[1])}".strip()


def _flag(rule: Rule) -> str:
    """A rule as a flag of `tfckpt rename`."""
    if isinstance(rule, StripPrefix):
        words = ["--strip-prefix", rule.prefix]
    elif isinstance(rule, AddPrefix):
        words = ["--add-prefix", rule.prefix]
    elif isinstance(rule, Replace):
        words = ["--replace", f"{rule.old}={rule.new}"]
    elif isinstance(rule, Scopes):
        words = ["--regex", f"s#^{rule.old}#{rule.new}#"]
    elif isinstance(rule, Regex):
        words = ["--regex", f"s#{rule.pattern}#{rule.template}#"]
    elif isinstance(rule, Names):
        words = ["--map", "the numbers in names are shifted; -o FILE writes the names"]
        return " ".join(words)
    else:
        words = ["--drop", rule.pattern]
    return printable(shlex.join(words))


def name_map(report: MatchReport) -> dict[str, str]:
    """What each matched tensor of A is called in B, as a map that `tfckpt rename` takes."""
    return {short_key(pair.a): short_key(pair.b) for pair in report.matched}


def match_json(report: MatchReport) -> dict[str, Any]:
    """Everything, for programs."""
    def head(value: Head) -> dict[str, Any]:
        return {"dtype": value[0] or None, "shape": list(value[1])}

    return {
        "checkpoint": report.a, "against": report.b, "ok": report.ok,
        "matched": [{"here": pair.a, "there": pair.b, "how": pair.how}
                    for pair in report.matched],
        "missing": [{"there": item.key, **head(item.head), "nearest": list(item.near)}
                    for item in report.missing],
        "unused": list(report.unused),
        "mismatched": [{"here": item.a, "there": item.b, "here_is": head(item.head_a),
                        "there_is": head(item.head_b)} for item in report.mismatched],
        "alike": [{"weights": [{"kind": kind, **head(value)} for kind, value in group.weights],
                   "here": list(group.a), "there": list(group.b)} for group in report.groups],
        "rules": [{"rule": encode_rules([rule])["rules"][0], "names": count}
                  for rule, count in report.rules],
        "left_aside": {role: {"here": counts[0], "there": counts[1]}
                       for role, counts in report.n_left_aside.items()},
    }
