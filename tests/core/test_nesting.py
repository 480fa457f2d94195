"""Flat names and nested dictionaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfckpt
from helpers import EXAMPLE
from tfckpt.core.nesting import flatten, nest
from tfckpt.errors import UnsupportedError

PARTS = st.lists(st.text("ab.:", min_size=1, max_size=2), min_size=1, max_size=3)


@given(st.dictionaries(PARTS.map("/".join), st.integers(), max_size=6))
def test_what_is_nested_is_flat_again_or_refused(flat):
    try:
        nested = nest(flat)
    except UnsupportedError:
        assert any(other.startswith(name + "/") for name in flat for other in flat)
        return
    assert flatten(nested) == flat


@pytest.mark.parametrize("nested", [{1: 2}, {"a/b": 1}, {"a": {"": 1}}])
def test_keys_that_would_be_ambiguous_are_refused(nested):
    with pytest.raises(UnsupportedError, match="text without slashes"):
        flatten(nested)


def test_slots_below_their_variable_have_no_place_in_a_dictionary(tmp_path):
    with pytest.raises(UnsupportedError) as caught:
        tfckpt.convert(EXAMPLE, tmp_path / "m.msgpack")
    assert str(caught.value) == (
        "a dictionary can't have a tensor and other names under one name: expected nothing below"
        " block.1/w, got block.1/w/Adam\n--skip-optimizer leaves slots out; `tfckpt rename` gives"
        " other names; --to safetensors keeps them.")
    with pytest.raises(UnsupportedError, match="a part of the name is empty"):
        nest({"/a": 1})
