"""Templates of names: text with fields in it, read in both directions.

A template says how names of one kind are made. Read, it tells the values of its fields in a name;
filled with these, it is the name again. So a rule of two templates works both ways, and nobody
has to write regular expressions:

    ============ ================================================================================
    ``{n}``      one letter: a number without leading zeros
    ``{n:03}``   the same with leading zeros up to three digits
    ``{n-1}``    a number that is smaller by 1 here than in ``{n}``; ``{n+1}`` likewise
    ``{name}``   more letters: text without slashes and dots, one segment of a path
    ``{*rest}``  any text
    ``[bert.]``  text that may be missing; written unless the other side lacks it
    ============ ================================================================================

Names with braces or brackets in them can only be had by ``{*rest}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, NamedTuple

from tfckpt.errors import FormatError

__all__ = ["Field", "Fields", "Found", "Maybe", "Template", "Words", "parse_template"]

Fields = Mapping[str, str]
"""The values of a template's fields."""
Words = Mapping[str, Mapping[str, str]]
"""For fields that are written by a table: text by value, for each field."""

_FIELD = re.compile(r"(?P<any>\*?)(?P<name>[A-Za-z][A-Za-z0-9_]*)(?P<offset>[+-][0-9]{1,9})?"
                    r"(?P<width>:0[1-9])?")
_MOST_FIELDS = 8  # reading a name takes time by their power, if nothing separates them
_PATTERNS = {"number": "[0-9]{1,18}", "segment": "[^/.]+", "any": ".+"}


class Field(NamedTuple):
    """A field in a template.

    Attributes:
        name: Its name.
        kind: What its values are.
        offset: What is added to a number where it is written.
        width: How many digits a number has at least.
        words: Text by value, if a table says how it is written.
    """

    name: str
    kind: Literal["number", "segment", "any"]
    offset: int = 0
    width: int = 0
    words: Mapping[str, str] | None = None

    def write(self, value: str) -> str | None:
        """How a value is written here; None if it can't be."""
        if self.words is not None:
            return self.words.get(value)
        if self.kind != "number":
            return value
        number = int(value) + self.offset
        return None if number < 0 else str(number).zfill(self.width)

    def read(self, text: str) -> str | None:
        """The value that is written so; None if there is none."""
        if self.words is not None:
            return next((value for value, word in self.words.items() if word == text), None)
        if self.kind != "number":
            return text
        number = int(text) - self.offset
        return None if number < 0 else str(number)


class Maybe(NamedTuple):
    """Text in a template that may be missing in a name."""

    text: str


class Found(NamedTuple):
    """What a template found in a name.

    Attributes:
        fields: The values of its fields.
        whole: Whether text that may be missing was there.
    """

    fields: dict[str, str]
    whole: bool = True


class Template(NamedTuple):
    """A template; see the module.

    Attributes:
        text: As it is written in a map.
        pieces: Text and fields, one after another.
        pattern: Finds its fields.
    """

    text: str
    pieces: tuple[str | Field | Maybe, ...]
    pattern: re.Pattern[str]

    @property
    def fields(self) -> frozenset[str]:
        """Names of its fields."""
        return frozenset(piece.name for piece in self.pieces if isinstance(piece, Field))

    @property
    def may_lack(self) -> bool:
        """Whether it has text that may be missing."""
        return any(isinstance(piece, Maybe) for piece in self.pieces)

    def find(self, name: str) -> Found | None:
        """The fields of a name that is made so, or None.

        Example:
            >>> parse_template("[bert.]layer.{n}.{what}").find("layer.11.query")
            Found(fields={'n': '11', 'what': 'query'}, whole=False)
        """
        match = self.pattern.fullmatch(name)
        if match is None:
            return None
        found: dict[str, str] = {}
        groups = iter(match.groups())
        whole = True
        for piece in self.pieces:
            if isinstance(piece, str):
                continue
            text = next(groups)
            if isinstance(piece, Maybe):
                whole = text is not None
                continue
            value = piece.read(text)
            # What wouldn't be written as it was read is another name: 007 for {n}.
            if value is None or found.setdefault(piece.name, value) != value or \
                    piece.write(value) != text:
                return None
        return Found(found, whole)

    def fill(self, fields: Fields, *, whole: bool = True) -> str | None:
        """The name that has these fields; None if a value has no place in it.

        Args:
            fields: A value for each field.
            whole: Whether text that may be missing is written.

        Example:
            >>> parse_template("block_{n:03}/w").fill({"n": "7"})
            'block_007/w'
        """
        found = []
        for piece in self.pieces:
            if isinstance(piece, Field):
                text = piece.write(fields[piece.name])
                if text is None:
                    return None
                found.append(text)
            elif isinstance(piece, str):
                found.append(piece)
            elif whole:
                found.append(piece.text)
        return "".join(found)


def parse_template(text: str, words: Words | None = None) -> Template:
    """Read a template.

    Args:
        text: As it is written in a map.
        words: Of the fields that a table says how to write, text by value.

    Raises:
        FormatError: It isn't well formed.

    Example:
        >>> sorted(parse_template("encoder/block_{n:03}/{what}").fields)
        ['n', 'what']
    """
    pieces: list[str | Field | Maybe] = []
    pattern = []
    for part in filter(None, re.split(r"(\{[^{}\[\]]*\}|\[[^{}\[\]]*\])", text)):
        ends = part[0] + part[-1]
        if ends == "{}":
            field = _field(part[1:-1], text, words or {})
            pieces.append(field)
            pattern.append(f"({_PATTERNS[field.kind]})" if field.words is None else
                           f"({'|'.join(map(re.escape, field.words.values()))})")
        elif ends == "[]":
            pieces.append(Maybe(part[1:-1]))
            pattern.append(f"({re.escape(part[1:-1])})?")
        elif set(part) & set("{}[]"):
            raise FormatError("a template's brackets don't pair", got=repr(text))
        else:
            pieces.append(part)
            pattern.append(re.escape(part))
    if any(isinstance(one, Field) and isinstance(other, Field)
           for one, other in pairwise(pieces)):
        raise FormatError("two fields of a template need text between them", got=repr(text))
    kinds = [piece.kind if isinstance(piece, Field) else type(piece).__name__ for piece in pieces]
    n_fields = len(kinds) - kinds.count("str") - kinds.count("Maybe")
    if not text or n_fields > _MOST_FIELDS or kinds.count("Maybe") > 1 or kinds.count("any") > 1:
        raise FormatError("a template has another form", got=repr(text),
                          expected=f"a name with at most {_MOST_FIELDS} fields, one {{*rest}} and"
                                   " one text in brackets")
    return Template(text, tuple(pieces), re.compile("".join(pattern), re.DOTALL))


def _field(text: str, template: str, words: Words) -> Field:
    found = _FIELD.fullmatch(text)
    number = found is not None and len(found["name"]) == 1 and not found["any"]
    if found is None or (not number and (found["offset"] or found["width"])):
        raise FormatError("a field of a template has another form",
                          got=f"{{{text}}} in {template!r}",
                          expected="{n}, {n:03}, {n-1}, {name} or {*rest}")
    if found["any"]:
        return Field(found["name"], "any")
    if not number:
        return Field(found["name"], "segment", words=words.get(found["name"]))
    return Field(found["name"], "number", int(found["offset"] or 0),
                 int((found["width"] or ":0")[1:]))
