"""Finding a pasted error message in the table of explanations, and showing the explanation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.report.explanations import EXPLANATIONS, Explanation
from tfckpt.report.text import printable, quoted

if TYPE_CHECKING:
    from tfckpt.core.diagnosis import Diagnosis

__all__ = ["Match", "errors_page", "explanation_json", "find_explanation", "nearest_explanations",
           "placeholders", "render_explanation", "render_unknown"]

_INTRODUCTION = """\
# Error messages about checkpoints

What TensorFlow 1.15 to 2.21 and Keras 2 and 3 say when a checkpoint doesn't load, word for word,
what it means, and what helps. Words in CAPITALS differ from case to case; … stands for what is left
out. `tfckpt explain "TEXT" CKPT` finds a message in this table, in a whole traceback too or from a
part of it, and looks at the checkpoint to say whether the cause applies.

This page is made from `src/tfckpt/report/explanations.py` by `python tools/make_errors_page.py`."""
_WIDTH = 100
_LONGEST = 100_000  # of a text, from its end, where a log has the error
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_PIECE = re.compile(r"(\{\w+\}|`[^`]*`|\s+|…)")
_LEAST_PART = 3  # words of a message; fewer are in many sentences
# A value is one line, which messages are wrapped in by what prints them.
_END = r"(?=\s*(?:\[\[|\[Op:|\n|['\"]?\s*$))"


class Match(NamedTuple):
    """A known message in a pasted text.

    Attributes:
        explanation: What it means.
        text: The message, as it stands in the table.
        facts: What stands in the place of its ``{name}``.
    """

    explanation: Explanation
    text: str
    facts: dict[str, str]


def find_explanation(text: str) -> Match | None:
    """The explanation of the most telling message in a text, or None if it has none that is known.

    A text may also be a part of a message, if it is a part of no other.

    Example:
        >>> found = find_explanation("NotFoundError: Key a/b not found in checkpoint [Op:X]")
        >>> found.explanation.name, found.facts
        ('key-not-found', {'key': 'a/b'})
    """
    text = text[-_LONGEST:]
    words = _words(text)
    for explanation in EXPLANATIONS:
        for known in explanation.texts:
            # Most texts are ruled out by a word; searching for each would take long in a log.
            found = _own_words(known) <= words and _pattern(known).search(text)
            if found:
                return Match(explanation, known, {name: value.strip() for name, value
                                                  in found.groupdict().items() if value})
    return _find_by_part(text)


def _find_by_part(text: str) -> Match | None:
    """The only explanation of messages that have these words in a row."""
    part = re.findall(r"\w+", re.sub(r"^\s*[\w.]+(?:Error|Warning):", "", text).lower())
    found = [Match(explanation, known, {}) for explanation in EXPLANATIONS
             for known in explanation.texts if _has_part(_sequence(known), part)]
    return found[0] if len({match.explanation.name for match in found}) == 1 else None


def _has_part(words: tuple[str, ...], part: list[str]) -> bool:
    """Whether the words of a message have a part in a row; "" is a word that differs."""
    return any(sum(map(bool, words[start:start + len(part)])) >= _LEAST_PART
               and all(word in ("", own) for word, own in zip(words[start:], part, strict=False))
               for start in range(len(words) - len(part) + 1))


@cache
def _sequence(known: str) -> tuple[str, ...]:
    """The words of a message, "" for each that differs from case to case."""
    return tuple(re.findall(r"\w+|(?=\x00)", _PLACEHOLDER.sub("\x00", known.lower())))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


@cache
def _own_words(known: str) -> set[str]:
    """The words of a message that are always in it."""
    return _words("".join(" " if piece.startswith(("{", "`")) else piece
                          for piece in _PIECE.split(known)))


@cache
def _pattern(known: str) -> re.Pattern[str]:
    """What finds a message: any white space between words, backquotes kept or eaten by a shell."""
    out = []
    pieces = [piece for piece in _PIECE.split(known) if piece]
    for n, piece in enumerate(pieces):
        if piece == "…":
            out.append("" if n + 1 == len(pieces) else r"[\s\S]{0,4000}?")
        elif piece.startswith("{"):
            last = n + 1 == len(pieces)
            out.append(f"(?P<{piece[1:-1]}>[^\\n]" + (f"+?){_END}" if last else "{1,1000}?)"))
        elif piece.startswith("`"):
            out.append(f"(?:`?{re.escape(piece[1:-1])}`?)?")
        else:
            out.append(r"\s+" if piece.isspace() else re.escape(piece))
    return re.compile("".join(out), re.IGNORECASE)


def nearest_explanations(text: str, count: int = 3) -> list[str]:
    """Known messages that share the most words with a text, best first."""
    words = _words(text[-_LONGEST:])
    scored = []
    for explanation in EXPLANATIONS:
        for known in explanation.texts:
            own = _own_words(known)
            share = len(own & words) / len(own)
            if share >= 0.4:  # below it, they share only "the" and "is"
                scored.append((-share, known))
    return [known for _, known in sorted(scored)[:count]]


def placeholders(text: str, facts: Mapping[str, str] | None = None) -> str:
    """A text with facts in the places of their names, which stand in capitals where unknown.

    Example:
        >>> placeholders("Key {key} of {path}", {"key": "w"})
        'Key w of PATH'
    """
    facts = facts or {}
    return _PLACEHOLDER.sub(lambda name: facts.get(name[1], name[1].upper()), text)


def render_explanation(match: Match, diagnosis: Diagnosis | None = None, path: str | None = None
                       ) -> Iterator[str]:
    """Cause and remedy, what a look at the checkpoint said, and the commands that help."""
    explanation = match.explanation
    yield printable(placeholders(match.text, match.facts))
    yield from _paragraph("cause:", placeholders(explanation.cause, match.facts))
    yield from _paragraph("do:", placeholders(explanation.remedy, match.facts))
    if diagnosis is not None:
        verdict = {True: "the cause applies", False: "the cause doesn't apply",
                   None: "the cause may apply"}[diagnosis.applies]
        yield f"here:  {verdict} to {printable(diagnosis.prefix or path or '')}".rstrip()
        for line in diagnosis.lines:
            yield from _paragraph("", line)
    for n, command in enumerate(commands_for(match, diagnosis, path)):
        yield f"{'' if n else 'try:':<6} {printable(command)}"
    yield f"more:  docs/errors.md#{explanation.name}"


def commands_for(match: Match, diagnosis: Diagnosis | None, path: str | None) -> list[str]:
    """The commands that help, with the user's path in them."""
    prefix = diagnosis.prefix if diagnosis and diagnosis.prefix else path
    out = []
    for command in match.explanation.commands:
        if "explain TEXT" in command and diagnosis is not None:
            continue  # that is what runs
        if prefix:
            folder = prefix.replace("\\", "/").rpartition("/")[0] or "."
            command = command.replace("CKPT", quoted(prefix))  # noqa: PLW2901 - its final form
            command = command.replace("DIR", quoted(folder))  # noqa: PLW2901 - likewise
        out.append(command)
    return out


def _paragraph(label: str, text: str) -> Iterator[str]:
    import textwrap  # deferred: only here

    yield from textwrap.wrap(printable(text), _WIDTH, initial_indent=f"{label:<6} ",
                             subsequent_indent=" " * 7, break_long_words=False,
                             break_on_hyphens=False) or [label]


def render_unknown(text: str) -> Iterator[str]:
    """What is said of a message that isn't in the table."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    first = first if len(first) <= _WIDTH else first[:_WIDTH] + "…"
    yield f"unknown: {printable(first)}"
    near = nearest_explanations(text)
    if near:
        yield "These are like it:"
        yield from (f"  {placeholders(known)}" for known in near)
    yield "`tfckpt explain --list` and docs/errors.md have all that are known."
    yield "Paste the whole message: the line that tells the cause is often in the middle."


def explanation_json(match: Match, diagnosis: Diagnosis | None = None, path: str | None = None
                     ) -> dict[str, Any]:
    """An explanation as JSON."""
    explanation = match.explanation
    return {
        "name": explanation.name, "text": match.text, "facts": match.facts,
        "cause": placeholders(explanation.cause, match.facts),
        "remedy": placeholders(explanation.remedy, match.facts),
        "commands": commands_for(match, diagnosis, path),
        "checkpoint": None if diagnosis is None else {
            "prefix": diagnosis.prefix, "applies": diagnosis.applies,
            "findings": list(diagnosis.lines)},
    }


def errors_page() -> Iterator[str]:
    """The table as the lines of ``docs/errors.md``."""
    import textwrap  # deferred: only a tool asks for it

    def wrapped(text: str) -> str:
        return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)

    yield _INTRODUCTION
    for item in EXPLANATIONS:
        yield f"\n## {item.name}\n\n```text"
        yield "\n\n".join(map(placeholders, item.texts))
        yield f"```\n\n{wrapped(placeholders(item.cause))}\n"
        yield wrapped(f"**What to do.** {placeholders(item.remedy)}")
        if item.commands:
            yield "\n```sh\n" + "\n".join(item.commands) + "\n```"
