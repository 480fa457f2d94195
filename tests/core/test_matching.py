"""Which tensor is which: never wrong, and as much as can be known."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import match_pairs
import tfckpt
from helpers import EXAMPLE, SHARED, needs_shared
from tfckpt.core.leaves import leaf_kind
from tfckpt.core.matching import Group, Side, match, side_of_source
from tfckpt.core.numbering import renumber
from tfckpt.core.rules import AddPrefix, Names, Regex, Replace, StripPrefix, apply_rules
from tfckpt.errors import TensorNotFoundError

CASES = list(match_pairs.cases()) if SHARED.is_dir() else []
MADE_UP = list(match_pairs.made_up())


def side(**names) -> Side:
    return named({name.replace("__", "/"): shape for name, shape in names.items()})


def named(names) -> Side:
    return Side("names", {name: ("float32", shape) for name, shape in names.items()})


@needs_shared
@pytest.mark.parametrize("case", CASES,
                         ids=lambda case: "-".join(case.a.parts[-3:-1]) + case.b.name)
def test_known_pairs_are_found_and_none_is_wrong(case):
    found = match_pairs.score(case)
    assert found.wrong == []
    assert found.n_right == found.n_known


@pytest.mark.parametrize(("title", "names", "others", "true_name"), MADE_UP,
                         ids=lambda value: value if isinstance(value, str) else "")
def test_names_that_were_changed_by_rules_are_found(title, names, others, true_name):
    found = match_pairs.score_made_up(names, others, true_name)
    assert found.wrong == []
    assert found.n_right == found.n_known == len(others)


@pytest.mark.parametrize(("title", "names", "others", "true_name"), MADE_UP,
                         ids=lambda value: value if isinstance(value, str) else "")
def test_the_suggested_rules_make_the_names(title, names, others, true_name):
    report = match_pairs.score_made_up(names, others, true_name).report
    rules = [rule for rule, _ in report.rules]
    assert {apply_rules(rules, name) for name in names} == set(others)


def test_one_rule_is_better_than_many():
    report = match(named({f"m/conv{n}/weights": (3, n) for n in range(9)}),
                   named({f"conv{n}/kernel": (3, n) for n in range(9)}))
    assert report.rules == ((StripPrefix("m/"), 0), (Replace("weights", "kernel"), 9))


def test_a_part_of_a_word_is_not_renamed():
    report = match(named({"a/w_w/w": (1,), "b/w_w/w": (2,)}),
                   named({"a/w_w/kernel": (1,), "b/w_w/kernel": (2,)}))
    assert report.rules == ((Regex(r"\bw\b", "kernel"), 2),)


def test_layers_that_nothing_tells_apart_are_shown_and_not_guessed():
    report = match(side(left__a__kernel=(4, 4), right__a__kernel=(4, 4)),
                   side(l__a__kernel=(4, 4), r__a__kernel=(4, 4)))
    assert report.groups == (Group((("kernel", ("float32", (4, 4))),), ("left/a", "right/a"),
                                   ("l/a", "r/a")),)
    assert (report.matched, report.missing, report.unused, report.ok) == ((), (), (), False)


def test_layers_that_only_their_weights_tell_are_matched():
    report = match(named({"x/kernel": (4, 3), "x/bias": (3,), "y/kernel": (3, 2), "y/bias": (2,)}),
                   named({"0/_kernel": (3, 2), "0/bias": (2,), "1/_kernel": (4, 3),
                          "1/bias": (3,)}))
    assert {(pair.a, pair.b, pair.how) for pair in report.matched} == {
        ("x/kernel", "1/_kernel", "structure"), ("x/bias", "1/bias", "structure"),
        ("y/kernel", "0/_kernel", "structure"), ("y/bias", "0/bias", "structure")}


def test_heads_of_one_shape_are_not_the_same():
    body = {f"encoder/layer_{n}/kernel": (8, n) for n in range(5)}
    report = match(named({**body, "cls/seq/kernel": (8, 2), "cls/seq/bias": (2,)}),
                   named({**body, "classifier/kernel": (8, 2), "classifier/bias": (2,)}))
    assert len(report.matched) == 5
    assert [(item.key, item.near) for item in report.missing] == [
        ("classifier/kernel", ("cls/seq/kernel",)), ("classifier/bias", ("cls/seq/bias",))]
    assert report.unused == ("cls/seq/kernel", "cls/seq/bias")


def test_a_head_of_another_shape_is_told_under_its_new_name():
    body = {f"layer_{n}/kernel": (8, n) for n in range(5)}
    report = match(named({**body, "head/kernel": (8, 2)}),
                   named({**{"net/" + name: shape for name, shape in body.items()},
                          "net/head/kernel": (8, 5)}))
    assert report.rules == ((AddPrefix("net/"), 6),)
    assert [(item.a, item.b) for item in report.mismatched] == [("head/kernel", "net/head/kernel")]


@pytest.mark.parametrize(("here", "there", "names", "n_doubtful"), [
    (["dense_1/w", "dense_2/w"], ["dense/w", "dense_1/w"],
     {"dense_1/w": "dense/w", "dense_2/w": "dense_1/w"}, 0),
    (["dense/w", "dense_1/w"], ["dense/w", "dense_1/w"], {}, 0),
    (["dense/w", "dense_1/w", "dense_2/w"], ["dense/w", "dense_1/w"], {}, 0),
    (["dense_1/w", "dense_2/w", "dense_4/w"], ["dense/w", "dense_1/w"], {}, 5),
    (["layer_0/w", "layer_1/w"], ["layer_1/w", "layer_2/w"],
     {"layer_0/w": "layer_1/w", "layer_1/w": "layer_2/w"}, 0),
    (["layer_0/w", "layer_1/w", "layer_5/w"], ["layer_1/w", "layer_2/w"], {}, 0),
    (["conv1/w", "conv2/w"], ["conv2/w", "conv3/w"], {}, 0)])
def test_numbers_in_names(here, there, names, n_doubtful):
    found = renumber({name: name for name in here}, {"b:" + name: name for name in there})
    assert found.names == names
    assert len(found.doubtful) == n_doubtful


def test_shifted_numbers_are_told_as_a_map():
    report = match(side(dense_1__kernel=(4, 4), dense_2__kernel=(4, 4)),
                   side(dense__kernel=(4, 4), dense_1__kernel=(4, 4)))
    assert report.rules == ((Names({"dense_1/kernel": "dense/kernel",
                                    "dense_2/kernel": "dense_1/kernel"}), 2),)
    assert report.ok


def test_equal_names_prove_nothing_where_numbers_differ():
    report = match(side(dense_1__kernel=(4, 4), dense_2__kernel=(4, 4), dense_4__kernel=(4, 4)),
                   side(dense__kernel=(4, 4), dense_1__kernel=(4, 4)))
    assert report.matched == ()
    assert len(report.missing) == 2


def test_a_known_pair_comes_first():
    report = match(side(a=(1,), b=(1,)), side(a=(1,), b=(1,)), given={"a": "b"})
    assert [(pair.a, pair.b, pair.how) for pair in report.matched] == [("a", "b", "map")]


def test_a_name_of_a_map_that_is_not_there():
    with pytest.raises(TensorNotFoundError) as caught:
        side(kernel=(1,)).key("kernle", "map.json")
    assert str(caught.value) == ("the map names a tensor that names doesn't have (file map.json,"
                                 " tensor 'kernle')\nNearest: kernel.")


def test_equal_bits_count_only_if_asked_for():
    values = {"x": b"\1\2\3\4", "y": b"\5\6\7\x08", "zero": b"\0\0\0\0"}
    a = Side("a", dict.fromkeys(values, ("float32", ())), read=values.__getitem__)
    b = Side("b", {"p": ("float32", ()), "q": ("float32", ()), "nil": ("float32", ())},
             read={"p": values["y"], "q": values["x"], "nil": values["zero"]}.__getitem__)
    assert match(a, b).matched == ()
    assert [(pair.a, pair.b, pair.how) for pair in match(a, b, use_values=True).matched] == [
        ("y", "p", "values"), ("x", "q", "values")]


def test_optimizer_state_is_left_aside():
    with tfckpt.open(EXAMPLE) as source:
        a = side_of_source(source)
        assert a.left_aside == {"optimizer": 14, "other": 1}
        assert len(side_of_source(source, everything=True).heads) == len(source)


def test_dtypes_that_a_list_does_not_tell_fit_any():
    report = match(side(a__kernel=(2, 3)), Side("wanted", {"a/kernel": ("", (2, 3))}))
    assert report.ok


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 4))
def test_no_pair_is_ever_wrong_however_names_are_changed(seed, n_changes):
    """Names of few words and few shapes, changed by rules that make no two words one."""
    rng = random.Random(seed)
    words = ["enc", "dec", "dense", "dense_1", "layer_0", "layer_1", "conv1", "att", "q", "k"]
    leaves = ["kernel", "bias", "gamma", "w"]
    names = {"/".join([*(rng.choice(words) for _ in range(rng.randint(1, 3))), rng.choice(leaves)]):
             rng.choice([(4, 4), (4,), (8, 4)]) for _ in range(rng.randint(1, 30))}
    true = {name: name for name in names}
    for n in range(n_changes):
        old, new = rng.choice([*words, *leaves]), f"new{n}"
        prefix = rng.choice(["", "", "net/", "model/net/"])
        true = {name: prefix + other.replace(old, new) for name, other in true.items()}
    count = Counter(true.values())
    true = {name: other for name, other in true.items() if count[other] == 1}
    report = match(named(names), named({other: names[name] for name, other in true.items()}))
    assert [(pair.a, pair.b) for pair in report.matched if true.get(pair.a) != pair.b] == []


def test_kinds_of_weights():
    assert [leaf_kind(leaf) for leaf in ("biases", "b", "_bias", "bias")] == ["bias"] * 4
    assert leaf_kind("depthwise_kernel") != leaf_kind("kernel")


def places(numbers, shape=(4, 4)):
    return named({f"layers/{number}/kernel": shape for number in numbers})


@pytest.mark.parametrize(("here", "there"), [((0, 2, 4), (0, 1, 2)), ((0, 1, 2), (0, 2, 4)),
                                             ((0, 2), (0, 1)), ((1, 3), (3, 5, 7))])
def test_places_in_lists_that_count_otherwise_prove_nothing(here, there):
    report = match(places(here), places(there))
    assert report.matched == ()
    assert not report.ok


def test_places_that_one_side_has_more_of_or_all_shifted_do():
    assert match(places((0, 1, 2)), places((0, 1))).partners == {
        "layers/0/kernel": "layers/0/kernel", "layers/1/kernel": "layers/1/kernel"}
    assert match(places((1, 2, 3)), places((0, 1, 2))).partners == {
        f"layers/{n}/kernel": f"layers/{n + 1}/kernel" for n in range(3)}


def test_shapes_tell_layers_of_lists_that_count_otherwise():
    a = named({"layers/0/kernel": (1, 2), "layers/2/kernel": (2, 3), "layers/4/kernel": (3, 4)})
    b = named({"layers/0/kernel": (1, 2), "layers/1/kernel": (2, 3), "layers/2/kernel": (3, 4)})
    assert match(a, b).partners == {"layers/0/kernel": "layers/0/kernel",
                                    "layers/1/kernel": "layers/2/kernel",
                                    "layers/2/kernel": "layers/4/kernel"}
