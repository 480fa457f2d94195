"""Rules that give tensors other names.

A rule is a value and works on names alone. Several of them are applied one after another; a
name that a rule drops is gone. What a name is depends on the checkpoint: the key of a
name-based one, the path of an object without its attribute in an object-based one.

    ========================= ===============================================================
    ``Replace("a", "b")``     every ``a`` in a name becomes ``b``
    ``Regex("a+", "b")``      every match becomes the template, with groups as ``\\1``
    ``AddPrefix("p/")``       before every name
    ``StripPrefix("p/")``     from every name that begins with it
    ``Names({"a": "b"})``     whole names; None drops
    ``Scopes("a/", "b/")``    as an entry of TensorFlow's ``assignment_map``
    ``Drop("a+")``            names in which it is found
    ========================= ===============================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfckpt.errors import FormatError

__all__ = ["AddPrefix", "Drop", "Names", "Regex", "Replace", "Rule", "Scopes", "StripPrefix",
           "apply_rules", "encode_rules", "parse_regex_flag", "parse_replace_flag", "parse_rules"]


class Replace(NamedTuple):
    """Text for text."""

    old: str
    new: str

    def apply(self, name: str) -> str | None:
        """The new name."""
        return name.replace(self.old, self.new)


class Regex(NamedTuple):
    """A pattern for a template."""

    pattern: str
    template: str

    def apply(self, name: str) -> str | None:
        """The new name."""
        return re.sub(self.pattern, self.template, name)


class AddPrefix(NamedTuple):
    """Text before every name."""

    prefix: str

    def apply(self, name: str) -> str | None:
        """The new name."""
        return self.prefix + name


class StripPrefix(NamedTuple):
    """Text off the beginning of names that have it."""

    prefix: str

    def apply(self, name: str) -> str | None:
        """The new name."""
        return name.removeprefix(self.prefix)


class Names(NamedTuple):
    """Whole names; those that it doesn't have stay."""

    names: Mapping[str, str | None]

    def apply(self, name: str) -> str | None:
        """The new name, or None to drop it."""
        return self.names.get(name, name)


class Scopes(NamedTuple):
    """One entry of an ``assignment_map``: a scope for a scope, ``/`` being the root."""

    old: str
    new: str

    def apply(self, name: str) -> str | None:
        """The new name."""
        old, new = ("" if scope == "/" else scope for scope in self)
        return new + name.removeprefix(old) if name.startswith(old) else name


class Drop(NamedTuple):
    """Names in which a pattern is found are dropped."""

    pattern: str

    def apply(self, name: str) -> str | None:
        """The name, or None to drop it."""
        return None if re.search(self.pattern, name) else name


Rule = Replace | Regex | AddPrefix | StripPrefix | Names | Scopes | Drop

_KINDS: dict[str, Any] = {
    "replace": Replace, "regex": Regex, "add-prefix": AddPrefix, "strip-prefix": StripPrefix,
    "scopes": Scopes, "drop": Drop,
}


def apply_rules(rules: Sequence[Rule], name: str) -> str | None:
    """The name that a tensor gets, or None if it is dropped.

    Example:
        >>> apply_rules([StripPrefix("model/"), Replace("weights", "kernel")], "model/d/weights")
        'd/kernel'
    """
    found: str | None = name
    for rule in rules:
        if found is None:
            return None
        found = rule.apply(found)
    return found


def parse_rules(value: Any, file: str | None = None) -> list[Rule]:
    """Rules out of a JSON value.

    Either an object ``{"old": "new", "dropped": null}``, where a name that ends in a slash is a
    scope, or ``{"rules": [["strip-prefix", "model/"], ["replace", "weights", "kernel"],
    {"old": "new"}]}``.

    Args:
        value: What the JSON text means.
        file: Where it stands, for errors.

    Raises:
        FormatError: It has another form, or a pattern isn't a valid regular expression.

    Example:
        >>> parse_rules({"a": "b", "old/": "new/"})
        [Names(names={'a': 'b'}), Scopes(old='old/', new='new/')]
    """
    if isinstance(value, dict) and isinstance(value.get("rules"), list):
        return [rule for item in value["rules"] for rule in _parse_rule(item, file)]
    return _parse_rule(value, file)


def _parse_rule(value: Any, file: str | None) -> list[Rule]:
    if isinstance(value, dict):
        if not all(isinstance(name, str) and (new is None or isinstance(new, str))
                   for name, new in value.items()):
            raise _other_form(value, file)
        scopes = {old: new for old, new in value.items() if old.endswith("/") and new is not None}
        names = {old: new for old, new in value.items() if old not in scopes}
        found: list[Rule] = [Names(names)] if names else []
        return found + [Scopes(*item) for item in scopes.items()]
    if (isinstance(value, list) and value and all(isinstance(part, str) for part in value)
            and value[0] in _KINDS):
        kind = _KINDS[value[0]]
        if len(value) == len(kind._fields) + 1:
            rule = kind(*value[1:])
            _check_pattern(rule, file)
            return [rule]
    raise _other_form(value, file)


def _other_form(value: Any, file: str | None) -> FormatError:
    return FormatError("a rule has another form", file=file, got=repr(value)[:100],
                       expected='{"old name": "new name"}, or {"rules": [["strip-prefix", "p/"]]}')


def _check_pattern(rule: Any, file: str | None = None) -> None:
    if isinstance(rule, (Regex, Drop)):
        try:
            pattern = re.compile(rule.pattern)
            if isinstance(rule, Regex):
                pattern.sub(rule.template, "")  # looks at the template even if nothing matches
        except re.error as error:
            raise FormatError(f"the regular expression is not valid ({error})", file=file,
                              got=repr(rule.pattern)) from None


def encode_rules(rules: Sequence[Rule]) -> Any:
    """Rules as a JSON value, which `parse_rules` takes.

    Example:
        >>> encode_rules([StripPrefix("model/"), Names({"a": None})])
        {'rules': [['strip-prefix', 'model/'], {'a': None}]}
    """
    names = {kind: name for name, kind in _KINDS.items()}
    return {"rules": [dict(rule.names) if isinstance(rule, Names) else [names[type(rule)], *rule]
                      for rule in rules]}


def parse_replace_flag(text: str) -> Replace:
    """``--replace FROM=TO``.

    Raises:
        FormatError: It has no ``=``, or nothing before it.

    Example:
        >>> parse_replace_flag("weights=kernel")
        Replace(old='weights', new='kernel')
    """
    old, equals, new = text.partition("=")
    if not old or not equals:
        raise FormatError("a replacement has another form", expected="FROM=TO", got=text)
    return Replace(old, new)


def parse_regex_flag(text: str) -> Regex:
    """``--regex 's#PATTERN#TEMPLATE#'``; any character may stand for the ``#``.

    Raises:
        FormatError: It has another form, or the pattern isn't a valid regular expression.

    Example:
        >>> parse_regex_flag(r"s#layer_(\\d+)/#block\\1/#")
        Regex(pattern='layer_(\\\\d+)/', template='block\\\\1/')
    """
    parts = text[2:].split(text[1]) if len(text) > 3 and text[0] == "s" else []
    if len(parts) != 3 or parts[2] not in ("", "g") or not parts[0]:
        raise FormatError("a substitution has another form", expected="s#PATTERN#TEMPLATE#",
                          got=text)
    rule = Regex(parts[0], parts[1])
    _check_pattern(rule)
    return rule
