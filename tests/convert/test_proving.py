"""Proof of functions of arrays, whatever makes them."""

from __future__ import annotations

import numpy as np
import pytest

from tfckpt.convert.proving import Input, parse_input, prove, random_inputs
from tfckpt.errors import MismatchError, ProofError, UnsupportedError

INPUTS = [Input((2, 3)), Input((4,), "int32", 5)]


def both(arrays):
    return [arrays[0] * 2, arrays[1][:, None]]


def test_models_that_compute_the_same():
    proof = prove(both, lambda arrays: [arrays[0] * np.float32(2 + 1e-6), arrays[1][:, None]],
                  INPUTS)
    assert proof.ok
    assert 0 < proof.difference < 1e-5
    assert str(proof) == (f"largest difference: {proof.difference:.2g} (output of [2, 3], random"
                          " inputs [2, 3], [4])")


@pytest.mark.parametrize("factor", [1e-8, 1, 1e8])
def test_a_difference_counts_in_proportion_to_what_comes_out(factor):
    def model(times):
        return lambda arrays: [arrays[0].astype("float64") * factor * times]

    assert prove(model(1), model(1 + 9e-6), INPUTS[:1]).ok
    with pytest.raises(ProofError) as caught:
        prove(model(1), model(1 + 11e-6), INPUTS[:1])
    assert not caught.value.proof.ok
    assert prove(model(1), model(1 + 11e-6), INPUTS[:1], tolerance=1e-4).ok


def test_one_output_of_several_that_differs():
    with pytest.raises(ProofError) as caught:
        prove(both, lambda arrays: [arrays[0] * 2, arrays[1][::-1, None]], INPUTS)
    proof = caught.value.proof
    assert proof.output == (4, 1)
    assert str(caught.value) == (
        f"the models compute different things; largest difference: {proof.difference:g} (output of"
        f" [4, 1], random inputs [2, 3], [4]): expected at most 1e-05 of {proof.scale:g}\n"
        "--tolerance X accepts larger differences.")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_must_be_the_same(wrong):
    def model(value):
        return lambda arrays: [np.where(np.arange(3) == 1, value, arrays[0])]

    assert prove(model(wrong), model(wrong), INPUTS[:1]).ok
    for old, new in ((0, wrong), (wrong, 0), (wrong, 1 if np.isnan(wrong) else -wrong)):
        with pytest.raises(ProofError):
            prove(model(old), model(new), INPUTS[:1])


def test_a_model_that_gives_nothing_but_zeros_is_equal_to_none_but_itself():
    zeros = np.zeros(3)
    assert prove(lambda _: [zeros], lambda _: [zeros], INPUTS).ok
    with pytest.raises(ProofError):
        prove(lambda _: [zeros], lambda _: [zeros + 1e-30], INPUTS)


def test_other_outputs():
    with pytest.raises(MismatchError) as caught:
        prove(both, lambda arrays: arrays[:1], INPUTS)
    assert str(caught.value) == (
        "the models don't have the same outputs: expected [2, 3], [4, 1], got [2, 3]")


def test_inputs_are_the_same_every_time_and_integers_below_their_bound():
    first, second = random_inputs(INPUTS), random_inputs(INPUTS)
    assert all(map(np.array_equal, first, second))
    many, = random_inputs([Input((500,), "int64", 7)])
    assert sorted(set(many.tolist())) == list(range(7))
    assert sorted(set(random_inputs([Input((50,), "int32")])[0].tolist())) == [0, 1]
    assert random_inputs([Input((50,), "bool")])[0].dtype == bool
    with pytest.raises(UnsupportedError) as caught:
        random_inputs([Input((1,), "string", name="word")])
    assert str(caught.value) == "there is no random text to prove with: got word"


@pytest.mark.parametrize("text", ["", "a", "2,0", "2,-1", "2:int33", "2:string", "2:int32:x", "2:"
                                  "object"])
def test_inputs_that_are_none(text):
    with pytest.raises(ValueError, match="expected SHAPE"):
        parse_input(text)


def test_inputs_as_people_write_them():
    assert parse_input("2,28,28,1") == Input((2, 28, 28, 1))
    assert parse_input("3:bool") == Input((3,), "bool")
