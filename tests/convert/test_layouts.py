"""How weights lie here and there: each layout by its meaning, and there and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfckpt.convert.layouts import LAYOUT_NAMES, parse_layout
from tfckpt.errors import FormatError, UnsupportedError

# Layout, shapes in TensorFlow, shapes elsewhere, and an element of the first of the latter: where
# it comes from, as (tensor, index) here.
TABLE = [
    ("same", [(2, 3)], [(2, 3)], (1, 2), (0, (1, 2))),
    ("dense", [(2, 3)], [(3, 2)], (2, 1), (0, (1, 2))),
    ("conv", [(5, 7, 2, 3)], [(3, 2, 5, 7)], (1, 0, 4, 6), (0, (4, 6, 0, 1))),
    ("conv", [(5, 2, 3)], [(3, 2, 5)], (1, 0, 4), (0, (4, 0, 1))),
    ("depthwise", [(5, 7, 2, 3)], [(6, 1, 5, 7)], (4, 0, 3, 2), (0, (3, 2, 1, 1))),
    ("squeeze", [(1, 4, 6)], [(4, 6)], (3, 5), (0, (0, 3, 5))),
    ("pointwise", [(1, 1, 4, 6)], [(6, 4)], (5, 3), (0, (0, 0, 3, 5))),
    ("flattened(2,3)", [(24, 5)], [(5, 24)], (4, 1 * 6 + 1 * 3 + 2), (0, ((1 * 3 + 2) * 4 + 1, 4))),
    ("flattened(2,3)", [(24,)], [(24,)], (1 * 6 + 1 * 3 + 2,), (0, ((1 * 3 + 2) * 4 + 1,))),
    ("unflattened(2,3)", [(5, 24)], [(24, 5)], (1 * 6 + 1 * 3 + 2, 4),
     (0, (4, (1 * 3 + 2) * 4 + 1))),
    ("unflattened(2,3)", [(24,)], [(24,)], (1 * 6 + 1 * 3 + 2,), (0, ((1 * 3 + 2) * 4 + 1,))),
    ("image", [(5, 7, 3)], [(3, 5, 7)], (2, 4, 6), (0, (4, 6, 2))),
    ("heads_in", [(5, 2, 3)], [(6, 5)], (4, 1), (0, (1, 1, 1))),
    ("heads_bias", [(2, 3)], [(6,)], (4,), (0, (1, 1))),
    ("heads_out", [(2, 3, 5)], [(5, 6)], (1, 4), (0, (1, 1, 1))),
    ("qkv", [(5, 2, 3)] * 3, [(18, 5)], (6 + 4, 1), (1, (1, 1, 1))),
    ("qkv_bias", [(2, 3)] * 3, [(18,)], (12 + 4,), (2, (1, 1))),
    ("rnn_bias", [(3,)], [(3,), (3,)], (2,), (0, (2,))),
    ("lstm_bias", [(8,)], [(8,), (8,)], (3,), (0, (3,))),
    ("lstm1_kernel", [(5, 8)], [(8, 3), (8, 2)], (2, 1), (0, (1, 4))),  # the first forget gate
    ("lstm1_bias(0)", [(8,)], [(8,), (8,)], (2,), (0, (4,))),
    ("gru_kernel", [(5, 6)], [(6, 5)], (0, 1), (0, (1, 2))),  # the first reset gate
    ("gru_bias", [(2, 6)], [(6,), (6,)], (0,), (0, (0, 2))),
    ("depthwise(2)", [(5, 7, 2, 2)], [(4, 1, 5, 7)], (2, 0, 3, 2), (0, (3, 2, 1, 0))),
    ("heads_in(2)", [(5, 2, 3)], [(6, 5)], (4, 1), (0, (1, 1, 1))),
    ("heads_bias(2)", [(2, 3)], [(6,)], (4,), (0, (1, 1))),
    ("heads_out(2)", [(2, 3, 5)], [(5, 6)], (1, 4), (0, (1, 1, 1))),
    ("qkv(2)", [(5, 2, 3)] * 3, [(18, 5)], (6 + 4, 1), (1, (1, 1, 1))),
    ("qkv_bias(2)", [(2, 3)] * 3, [(18,)], (12 + 4,), (2, (1, 1))),
]


def numbered(shapes):
    arrays, start = [], 1
    for shape in shapes:
        n = int(np.prod(shape))
        arrays.append(np.arange(start, start + n, dtype=np.float32).reshape(shape))
        start += n
    return arrays


@pytest.mark.parametrize(("name", "here", "there", "at", "origin"), TABLE)
def test_element_goes_where_the_layer_looks_for_it(name, here, there, at, origin):
    arrays = numbered(here)
    moved = parse_layout(name).out(arrays, there)
    tensor, index = origin
    assert moved[0][at] == arrays[tensor][index]
    assert parse_layout(name).shapes_out(here) == there


@pytest.mark.parametrize(("name", "here", "there", "at", "origin"), TABLE)
def test_back_is_where_it_was(name, here, there, at, origin):
    layout = parse_layout(name)
    arrays = numbered(here)
    again = layout.back(layout.out(arrays), here)
    assert all(map(np.array_equal, again, arrays))
    assert layout.shapes_back(there, here) == here
    assert [array.dtype for array in again] == [array.dtype for array in arrays]


def test_every_layout_is_in_the_table_of_this_test():
    assert {row[0].partition("(")[0] for row in TABLE} | {"biased_mean"} == set(LAYOUT_NAMES)


@pytest.mark.parametrize(("name", "here"), [row[:2] for row in TABLE if row[0].endswith("(2)")])
def test_number_in_the_name_says_how_an_axis_is_divided(name, here):
    layout = parse_layout(name)
    arrays = numbered(here)
    there = layout.out(arrays)
    assert all(map(np.array_equal, layout.back(there), arrays))
    for other in ("3", "0", "-2", "nan", "inf"):
        with pytest.raises(UnsupportedError, match="the shape doesn't fit the layout"):
            parse_layout(name.replace("2", other)).out(arrays)
    with pytest.raises(UnsupportedError, match="the shape doesn't fit the layout"):
        parse_layout(name.replace("2", "5")).back(there)


def test_bias_before_a_normalization_is_taken_off_its_mean():
    layout = parse_layout("biased_mean")
    mean, bias = np.float32([1, 2, 3]), np.float32([10, 20, 30])
    assert layout.out([mean, bias])[0].tolist() == [-9, -18, -27]
    assert [array.tolist() for array in layout.back([mean])] == [[1, 2, 3], [0, 0, 0]]
    with pytest.raises(UnsupportedError, match="expected 2 x .channels., got .3., .2."):
        layout.out([mean, bias[:2]])


@given(st.integers(1, 4), st.integers(1, 4))
def test_forget_bias_is_added_to_the_forget_gates_and_taken_off_again(n_units, amount):
    layout = parse_layout(f"lstm1_bias({amount})")
    bias = np.arange(4 * n_units, dtype=np.float32)
    of_input, of_state = layout.out([bias])
    forget = bias[2 * n_units:3 * n_units]
    assert of_input[n_units:2 * n_units].tolist() == (forget + amount).tolist()
    assert not of_state.any()
    assert np.array_equal(layout.back([of_input, of_state])[0], bias)


def test_lstm1_bias_adds_one_unless_told_otherwise():
    assert parse_layout("lstm1_bias").out([np.zeros(4)])[0].tolist() == [0, 1, 0, 0]


def test_nan_in_a_bias_does_not_spread():
    of_state = parse_layout("lstm_bias").out([np.full(4, np.nan)])[1]
    assert of_state.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("call", "message"), [
    (lambda: parse_layout("dense").out([np.zeros(3)]),
     "the shape doesn't fit the layout dense: expected [in, out], got [3]"),
    (lambda: parse_layout("conv").out([np.zeros([2, 3])]),
     "the shape doesn't fit the layout conv: expected [..., in, out], got [2, 3]"),
    (lambda: parse_layout("gru_bias").out([np.zeros(6)]),
     "the shape doesn't fit the layout gru_bias: expected [2, 3 x units], of a GRU with"
     " reset_after, got [6]"),
    (lambda: parse_layout("qkv").out([np.zeros([2, 3, 4])]),
     "the layout qkv takes 3 tensors together: got 1: [2, 3, 4]"),
    (lambda: parse_layout("dense").out([np.zeros([2, 3])], [(2, 3)]),
     "the layout dense gives another shape: expected [2, 3], got [3, 2]"),
    (lambda: parse_layout("depthwise").back([np.zeros([6, 1, 3, 3])]),
     "the shapes don't tell how the tensor is divided here\n"
     "A model says the shapes that it has in TensorFlow, or a map a number: depthwise(1),"
     " heads_in(12)."),
    (lambda: parse_layout("flattened"),
     "the layout flattened takes other numbers: expected between 2 and 2 numbers in parentheses,"
     " got 'flattened'"),
    (lambda: parse_layout("lstm1_bias(x)"),
     "the layout lstm1_bias takes other numbers: expected between 0 and 1 numbers in parentheses,"
     " got 'lstm1_bias(x)'"),
    (lambda: parse_layout("flattened(0,0)").out([np.zeros([4, 2])]),
     "the shape doesn't fit the layout flattened(0,0): expected [height x width x channels, out],"
     " got [4, 2]"),
])
def test_refusals(call, message):
    with pytest.raises((FormatError, UnsupportedError)) as raised:
        call()
    assert str(raised.value) == message


def test_unknown_layout():
    with pytest.raises(FormatError) as raised:
        parse_layout("denser")
    assert str(raised.value) == (
        f"no layout has this name: expected one of {', '.join(LAYOUT_NAMES)}, got 'denser'")
