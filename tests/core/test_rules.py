"""Rules that rename: one table of (rule, name, new name), and their two written forms."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfckpt.core.rules import (
    AddPrefix,
    Drop,
    Names,
    Regex,
    Replace,
    Scopes,
    StripPrefix,
    apply_rules,
    encode_rules,
    parse_regex_flag,
    parse_replace_flag,
    parse_rules,
)
from tfckpt.errors import FormatError

TABLE = [
    (Replace("weights", "kernel"), "d/weights", "d/kernel"),
    (Replace("weights", "kernel"), "d/bias", "d/bias"),
    (Regex(r"layer_(\d+)/", r"block\1/"), "enc/layer_11/w", "enc/block11/w"),
    (Regex("^a", "b"), "aa", "ba"),
    (AddPrefix("model/"), "w", "model/w"),
    (StripPrefix("model/"), "model/model/w", "model/w"),
    (StripPrefix("model/"), "w/model/", "w/model/"),
    (Names({"a": "b", "c": None}), "a", "b"),
    (Names({"a": "b", "c": None}), "c", None),
    (Names({"a": "b", "c": None}), "a/w", "a/w"),
    (Scopes("old/", "new/"), "old/w", "new/w"),
    (Scopes("old/", "new/"), "older/w", "older/w"),
    (Scopes("/", "scope/"), "w", "scope/w"),
    (Scopes("a/", "/"), "a/w", "w"),
    (Drop("^classifier/"), "classifier/w", None),
    (Drop("^classifier/"), "my/classifier/w", "my/classifier/w"),
]


@pytest.mark.parametrize(("rule", "name", "new"), TABLE)
def test_a_rule_makes_the_name(rule, name, new):
    assert rule.apply(name) == new
    assert apply_rules([rule], name) == new


@pytest.mark.parametrize("rule", [rule for rule, *_ in TABLE])
def test_rules_come_back_from_their_json(rule):
    assert parse_rules(json.loads(json.dumps(encode_rules([rule, rule])))) == [rule, rule]


def test_what_is_dropped_meets_no_other_rule():
    assert apply_rules([Names({"a": None}), AddPrefix("p/")], "a") is None


def test_rules_follow_one_another():
    assert apply_rules([StripPrefix("m/"), Replace("w", "kernel"), AddPrefix("n/")], "m/w") \
        == "n/kernel"


def test_a_plain_map_may_hold_scopes_as_an_assignment_map_does():
    assert parse_rules({"a": "b", "old/": "new/", "/": "root/", "x/": None}) == [
        Names({"a": "b", "x/": None}), Scopes("old/", "new/"), Scopes("/", "root/")]


@pytest.mark.parametrize("value", [[], 3, None, "a", {"a": 1}, ["regex", "("], ["regex", "a"],
                                   ["regex", "a", r"\2"], ["drop", 3], ["other", "a"],
                                   {"rules": [["add-prefix", 3]]}, {"rules": [[]]}])
def test_another_form_is_told(value):
    with pytest.raises(FormatError, match=r"a rule has another form|not valid"):
        parse_rules(value, "map.json")


def test_the_whole_message():
    with pytest.raises(FormatError) as caught:
        parse_rules(["regex", "(", "b"], "map.json")
    assert str(caught.value) == (
        "the regular expression is not valid (missing ), unterminated subpattern at position 0):"
        " got '(' (file map.json)")


@pytest.mark.parametrize(("text", "rule"), [
    ("a=b", Replace("a", "b")), ("a=", Replace("a", "")), ("a=b=c", Replace("a", "b=c"))])
def test_replace_as_a_flag(text, rule):
    assert parse_replace_flag(text) == rule


@pytest.mark.parametrize("text", ["a", "=b", ""])
def test_no_replacement(text):
    with pytest.raises(FormatError, match="a replacement has another form"):
        parse_replace_flag(text)


@pytest.mark.parametrize(("text", "rule"), [
    ("s#a#b#", Regex("a", "b")), ("s/a/b/g", Regex("a", "b")), ("s#a##", Regex("a", "")),
    (r"s|(\d)/|\1-|", Regex(r"(\d)/", r"\1-"))])
def test_regex_as_a_flag(text, rule):
    assert parse_regex_flag(text) == rule


@pytest.mark.parametrize("text", ["", "s", "a#b", "s#a#b", "s##b#", "s#a#b#x", "s#(#b#",
                                  r"s#a#\1#"])
def test_no_substitution(text):
    with pytest.raises(FormatError):
        parse_regex_flag(text)


@given(st.recursive(st.none() | st.text() | st.integers(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_json_gives_rules_or_an_error(value):
    try:
        rules = parse_rules(value)
    except FormatError:
        return
    assert parse_rules(encode_rules(rules)) == rules
