"""The form of maps in files.

JSON, as this:

    {"tfckpt-map": 1,
     "name": "mine",
     "here": "TensorFlow's model",
     "there": "PyTorch's model",
     "rules": [
      {"here": "model/layer_{n}/kernel", "there": "layers.{n}.weight", "layout": "dense"},
      {"here": "model/embeddings", "there": "embed.weight", "tied": "head.weight"},
      {"here": "model/lstm/kernel", "there": ["lstm.weight_ih_l0", "lstm.weight_hh_l0"],
       "layout": "lstm1_kernel"}],
     "constants": [{"there": "norm.num_batches_tracked", "for": "model/norm/moving_mean",
                    "value": 0, "dtype": "int64"}],
     "left_out": [{"here": "global_step", "why": "the step of the training"}],
     "tables": {"block": {"1a": "0", "2a": "1"}},
     "whole": ["block"],
     "metadata": {"format": "pt"}}

docs/maps.md describes it for those who write one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfckpt.convert.layouts import parse_layout
from tfckpt.convert.namemap import Constant, Exempt, MapRule, NameMap
from tfckpt.convert.templates import Template, Words, parse_template
from tfckpt.errors import CheckpointError, FormatError

__all__ = ["encode_map", "is_map", "parse_map"]

_VERSION = 1
_MARK = "tfckpt-map"
_KEYS = {_MARK, "name", "here", "there", "rules", "constants", "left_out", "tables", "whole",
         "metadata"}
_RULE_KEYS = {"here", "there", "layout", "tied", "formerly"}
_DTYPES = ("int32", "int64", "float32", "float64", "bool")


def is_map(value: Any) -> bool:
    """Whether a JSON value is meant to be such a map.

    Example:
        >>> is_map({"tfckpt-map": 1}), is_map({"old": "new"})
        (True, False)
    """
    return isinstance(value, dict) and _MARK in value


def parse_map(value: Any, file: str | None = None) -> NameMap:
    """A map out of a JSON value; see the module for its form.

    Args:
        value: What the JSON text means.
        file: Where it stands, for errors.

    Raises:
        FormatError: It has another form. The message says where: ``rules[3].layout``.
    """
    reader = _Reader(file)
    top = reader.table(value, "the map", _KEYS, {"name", "here", "there", "rules"})
    if top.get(_MARK) != _VERSION or isinstance(top[_MARK], bool):
        raise reader.wrong(_MARK, top.get(_MARK), str(_VERSION))
    tables = reader.tables(top.get("tables", {}))
    here = {field: {text: text for text in table} for field, table in tables.items()}
    rules = tuple(reader.rule(item, f"rules[{n}]", here, tables)
                  for n, item in enumerate(reader.items(top["rules"], "rules")))
    if not rules:
        raise reader.wrong("rules", [], "one rule or more")
    constants = tuple(reader.constant(item, f"constants[{n}]", here, tables) for n, item in
                      enumerate(reader.items(top.get("constants", []), "constants")))
    exempt: dict[str, list[Exempt]] = {"here": [], "there": []}
    for n, item in enumerate(reader.items(top.get("left_out", []), "left_out")):
        where = f"left_out[{n}]"
        side = "there" if isinstance(item, dict) and "there" in item else "here"
        row = reader.table(item, where, {side, "why"}, {side, "why"})
        exempt[side].append(Exempt(
            reader.template(row[side], f"{where}.{side}", here if side == "here" else tables),
            reader.text(row["why"], f"{where}.why")))
    whole = tuple(reader.text(item, f"whole[{n}]")
                  for n, item in enumerate(reader.items(top.get("whole", []), "whole")))
    for n, field in enumerate(whole):
        if field not in tables:
            raise reader.wrong(f"whole[{n}]", field, "a field that has a table")
    metadata = reader.table(top.get("metadata", {}), "metadata", None, set())
    name, *ends = (reader.text(top[key], key) for key in ("name", "here", "there"))
    return NameMap(name, ends[0], ends[1], rules, constants, tuple(exempt["here"]),
                   tuple(exempt["there"]), tables, whole,
                   {key: reader.text(text, f"metadata.{key}") for key, text in metadata.items()})


class _Reader:
    """Reads the parts of a map, and says where in it something is wrong."""

    def __init__(self, file: str | None) -> None:
        self._file = file

    def wrong(self, where: str, got: Any, expected: str) -> FormatError:
        return FormatError(f"the map has another form at {where}", file=self._file,
                           expected=expected, got=repr(got)[:100])

    def table(self, value: Any, where: str, known: set[str] | None, needed: set[str]
               ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(where, value, "an object")
        strange = sorted(set(value) - known) if known is not None else []
        missing = sorted(needed - set(value))
        if strange:
            raise self.wrong(where, strange[0], f"only {', '.join(sorted(known or ()))}")
        if missing:
            raise self.wrong(where, ", ".join(sorted(value)), f"also {', '.join(missing)}")
        return value

    def items(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.wrong(where, value, "a list")
        return value

    def text(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not value:
            raise self.wrong(where, value, "text")
        return value

    def template(self, value: Any, where: str, words: Words) -> Template:
        text = self.text(value, where)
        try:
            return parse_template(text, words)
        except FormatError as error:
            raise self._placed(error, where) from None

    def _placed(self, error: CheckpointError, where: str) -> FormatError:
        return FormatError(f"the map has another form at {where}: {error.message}",
                           file=self._file, expected=error.expected, got=error.got)

    def templates(self, value: Any, where: str, words: Words) -> tuple[Template, ...]:
        if isinstance(value, list):
            return tuple(self.template(item, f"{where}[{n}]", words)
                         for n, item in enumerate(value))
        return (self.template(value, where, words),)

    def rule(self, value: Any, where: str, here: Words, there: Words) -> MapRule:
        row = self.table(value, where, _RULE_KEYS, {"here", "there"})
        try:
            layout = parse_layout(self.text(row.get("layout", "same"), f"{where}.layout"))
        except FormatError as error:
            raise self._placed(error, f"{where}.layout") from None
        rule = MapRule(self.templates(row["here"], f"{where}.here", here),
                       self.templates(row["there"], f"{where}.there", there), layout,
                       *(self.templates(row.get(key, []), f"{where}.{key}", there)
                         for key in ("tied", "formerly")))
        for side, templates, n in (("here", rule.here, layout.n_here),
                                   ("there", rule.there, layout.n_there)):
            if len(templates) != n:
                raise self.wrong(f"{where}.{side}", row[side],
                                 f"{n} names for the layout {layout.name}")
        for key in ("tied", "formerly"):
            if row.get(key) and len(rule.there) != 1:
                raise self.wrong(f"{where}.{key}", row[key], "none beside several names there")
        self._same_fields(where, [*rule.here, *rule.there, *rule.tied, *rule.formerly])
        return rule

    def _same_fields(self, where: str, templates: list[Template]) -> None:
        first, *others = templates
        for other in others:
            if other.fields != first.fields:
                raise self.wrong(where, other.text, f"the fields of {first.text}")

    def constant(self, value: Any, where: str, here: Words, there: Words) -> Constant:
        keys = {"there", "for", "value", "dtype"}
        row = self.table(value, where, keys, keys)
        number, dtype = row["value"], self.text(row["dtype"], f"{where}.dtype")
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise self.wrong(f"{where}.value", number, "a number")
        if dtype not in _DTYPES:
            raise self.wrong(f"{where}.dtype", dtype, f"one of {', '.join(_DTYPES)}")
        found = Constant(self.template(row["there"], f"{where}.there", there),
                         self.template(row["for"], f"{where}.for", here), number, dtype)
        self._same_fields(where, [found.each, found.there])
        return found

    def tables(self, value: Any) -> dict[str, dict[str, str]]:
        found = {}
        for field, table in self.table(value, "tables", None, set()).items():
            where = f"tables.{field}"
            if len(field) < 2:
                raise self.wrong(where, field, "a field of more than one letter")
            words = {self.text(text, where): self.text(other, f"{where}.{text}")
                     for text, other in self.table(table, where, None, set()).items()}
            if not words or len(set(words.values())) < len(words):
                raise self.wrong(where, table, "each text once on both sides")
            found[field] = words
        return found


def encode_map(name_map: NameMap) -> dict[str, Any]:
    """A map as a JSON value, which `parse_map` takes.

    Example:
        >>> value = {"tfckpt-map": 1, "name": "mine", "here": "a", "there": "b",
        ...          "rules": [{"here": "w", "there": "weight"}]}
        >>> encode_map(parse_map(value)) == value
        True
    """
    found: dict[str, Any] = {_MARK: _VERSION, "name": name_map.name, "here": name_map.here,
                             "there": name_map.there,
                             "rules": [_encode_rule(rule) for rule in name_map.rules]}
    if name_map.constants:
        found["constants"] = [{"there": item.there.text, "for": item.each.text,
                               "value": item.value, "dtype": item.dtype}
                              for item in name_map.constants]
    left_out = [{side: item.names.text, "why": item.why}
                for side, items in (("here", name_map.exempt_here),
                                    ("there", name_map.exempt_there)) for item in items]
    if left_out:
        found["left_out"] = left_out
    if name_map.whole:
        found["whole"] = list(name_map.whole)
    for key, mapping in (("tables", name_map.tables), ("metadata", name_map.metadata)):
        if mapping:
            found[key] = {name: dict(item) if isinstance(item, Mapping) else item
                          for name, item in mapping.items()}
    return found


def _encode_rule(rule: MapRule) -> dict[str, Any]:
    def texts(templates: tuple[Template, ...]) -> str | list[str]:
        found = [template.text for template in templates]
        return found[0] if len(found) == 1 else found

    row: dict[str, Any] = {"here": texts(rule.here), "there": texts(rule.there)}
    if rule.layout.name != "same":
        row["layout"] = rule.layout.name
    for key, templates in (("tied", rule.tied), ("formerly", rule.formerly)):
        if templates:
            row[key] = texts(templates)
    return row
