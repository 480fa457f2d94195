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


@pytest.mark.parametrize("wrong", [np.inf, -np.inf])
def test_what_is_infinite_must_be_the_same(wrong):
    def model(value):
        return lambda arrays: [np.where(np.arange(3) == 1, value, arrays[0])]

    assert prove(model(wrong), model(wrong), INPUTS[:1]).ok
    for old, new in ((0, wrong), (wrong, 0), (wrong, np.nan), (wrong, -wrong)):
        with pytest.raises(ProofError):
            prove(model(old), model(new), INPUTS[:1])


@pytest.mark.parametrize(("outputs", "what"), [
    ([[1.0, np.nan]], "have NaN"), ([[1.0, 2.0], [np.nan] * 2], "have NaN"),
    ([[0.0, 0.0]], "are one number everywhere"),
    ([[[1.0], [1.0]], []], "are one number everywhere"),
    ([], "are empty"), ([np.zeros((0, 3))], "are empty")])
def test_what_proves_nothing_is_no_proof(outputs, what):
    with pytest.raises(ProofError) as caught:
        prove(lambda _: outputs, lambda _: outputs, INPUTS)
    assert str(caught.value) == (f"the old model's outputs {what}, which proves nothing\n"
                                 "--prove-input gives the models another input.")


def test_one_of_the_outputs_may_be_zeros_if_another_tells():
    zeros = np.zeros(3)
    assert prove(lambda x: [x[0], zeros], lambda x: [x[0], zeros], INPUTS).ok
    with pytest.raises(ProofError):
        prove(lambda x: [x[0], zeros], lambda x: [x[0], zeros + 1e-30], INPUTS)


def test_imaginary_parts_count_and_text_is_refused():
    with pytest.raises(ProofError):
        prove(lambda _: [np.complex64([1j, 1])], lambda _: [np.complex64([-1j, 1])], INPUTS)
    with pytest.raises(UnsupportedError, match="an output of the models is text"):
        prove(lambda _: [np.array(["a"])], lambda _: [np.array(["b"])], INPUTS)


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
