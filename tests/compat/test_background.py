"""Saves in the background of variables that TensorFlow trains on."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("in_function", [False, True])
def test_what_is_saved_are_the_values_of_the_call(tf2, in_function, tmp_path):
    got = tf2("trained_meanwhile", module="background_snippets", folder=tmp_path,
              in_function=in_function)
    assert got == [[[n + 0.5], [0.0, 2 * n + 1.0]] for n in range(8)]


def test_in_a_session_too(tf2, tmp_path):
    assert tf2("in_a_session", module="background_snippets", folder=tmp_path) == [[3.0], [4.0]]
