"""What a restore says of itself: its asserts, its report, and what it says in the end."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import textwrap

import pytest

from helpers import ROOT, net
from tfckpt.errors import CheckpointWarning
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.loadreport import LoadReport, MatchError, Mismatch, Missing, RestoreError
from tfckpt.train.objects import PythonState
from tfckpt.train.optimizer import Optimizer
from tfckpt.train.saver import Saver
from tfckpt.train.variables import Variable


@pytest.fixture
def path(tmp_path):
    """Prefix to save under."""
    return str(tmp_path / "model")


CHECKS = ("assert_existing_objects_matched", "assert_consumed", "assert_nontrivial_match")


def failing(status) -> list[str]:
    """Which asserts fail."""
    found = []
    for name in CHECKS:
        try:
            assert getattr(status, name)() is status
        except AssertionError as error:
            assert isinstance(error, MatchError)
            assert isinstance(error, RestoreError)
            assert isinstance(error, ValueError)
            assert error.report == status.report
            found.append(name)
    return found


@pytest.mark.filterwarnings("ignore:none of the program")
def test_each_assert_of_an_object_based_restore_asks_its_own_question(path):
    Checkpoint(a=Variable(1.0), b=net(c=2)).write(path)
    program = [({"a": 0, "b": net(c=0)}, []),
               ({"a": 0}, ["assert_consumed"]),
               ({"a": 0, "b": net()}, ["assert_consumed"]),
               ({"a": 0, "b": net(c=0), "d": 0}, [*CHECKS[:2]]),
               ({"b": net(), "d": 0}, [*CHECKS[:2]]),
               ({}, [*CHECKS[1:]])]
    for children, expected in program:
        assert failing(Checkpoint(net(**children)).read(path).expect_partial()) == expected


@pytest.mark.filterwarnings("ignore:none of the program")
def test_nothing_but_the_root_matched(path):
    Checkpoint(a=Variable(1.0)).write(path)
    status = Checkpoint(x=Variable(0.0)).read(path).expect_partial()
    assert failing(status) == [*CHECKS]
    with pytest.raises(MatchError) as caught:
        status.assert_nontrivial_match()
    assert str(caught.value) == (
        f"nothing but the root object was matched (file {path})\n"
        "matched 0   missing in checkpoint 1   unused in checkpoint 1   differs 0\n"
        "missing:  x  float32 []\nunused:   a")


def test_each_assert_of_a_name_based_restore_asks_for_the_program(path):
    Saver({"a": Variable(1.0), "b": Variable(1.0)}).save(None, path)
    a, c = Variable(0.0, name="a"), Variable(0.0, name="c")
    assert failing(Checkpoint(a=a).restore(path)) == []
    assert failing(Checkpoint(a=a, c=c).restore(path)) == [*CHECKS]


def test_the_counter_may_be_missing_from_a_name_based_file_after_restore_only(path):
    Saver({"a": Variable(1.0)}).save(None, path)
    checkpoint = Checkpoint(a=Variable(0.0, name="a"))
    assert failing(checkpoint.restore(path)) == []
    assert failing(checkpoint.read(path)) == [*CHECKS]


class State(PythonState):
    def serialize(self):
        return "7"

    def deserialize(self, string_value):
        pass


def test_python_state_is_missing_from_a_name_based_file(path):
    Saver({"a": Variable(1.0)}).save(None, path)
    status = Checkpoint(a=Variable(0.0, name="a"), state=State()).read(path)
    assert failing(status) == [*CHECKS]
    assert status.report.missing == (Missing("state", "py_state"),)


def test_an_error_carries_the_whole_table(path):
    Checkpoint(model=net(kernel=1, bias=2, old=3)).write(path)
    model = net(kernel=0, biases=0, own=State())
    status = Checkpoint(model=model).read(path).expect_partial()
    with pytest.raises(MatchError) as caught:
        status.assert_consumed()
    assert str(caught.value) == (
        f"2 values of the program were not restored (file {path})\n"
        "matched 1   missing in checkpoint 2   unused in checkpoint 2   differs 0\n"
        "missing:  model/biases  float32 []   nearest: model/bias\n"
        "missing:  model/own  py_state\n"
        "unused:   model/bias\n"
        "unused:   model/old")
    report = caught.value.report
    assert report.matched == ("model/kernel/.ATTRIBUTES/VARIABLE_VALUE",)
    assert report.missing_keys == ["model/biases", "model/own"]
    assert report.unexpected_keys == ["model/bias/.ATTRIBUTES/VARIABLE_VALUE",
                                      "model/old/.ATTRIBUTES/VARIABLE_VALUE"]


def test_a_long_table_is_cut():
    report = LoadReport(unused=tuple(f"v{n}" for n in range(25)),
                        missing=tuple(Missing(f"w{n}", "float32 []") for n in range(21)),
                        mismatched=(Mismatch("x", "float32 []", "int32 []"),))
    lines = str(report).splitlines()
    assert lines[0] == "matched 0   missing in checkpoint 21   unused in checkpoint 25   differs 1"
    assert (len(lines), lines[-2:]) == (1 + 20 + 1 + 20 + 2, ["… and 1 more missing",
                                                              "… and 5 more unused"])


@pytest.mark.filterwarnings("ignore:none of the program")
def test_an_object_of_the_program_where_the_file_has_one_without_values_is_missing(path):
    """TensorFlow takes it for matched."""
    Checkpoint(net(a=net(b=1))).write(path)
    status = Checkpoint(net(a=8)).read(path).expect_partial()
    assert failing(status) == [*CHECKS[:2]]
    assert status.report.missing == (Missing("a", "float32 []"),)


@pytest.mark.filterwarnings("ignore:none of the program")
@pytest.mark.parametrize("swap", [True, False])
def test_an_object_that_takes_no_value_of_the_file_is_missing(path, swap):
    """TensorFlow takes it for matched."""
    both = net(a=1), net(a=State())
    saved, program = both if swap else both[::-1]
    Checkpoint(saved).write(path)
    with pytest.warns(CheckpointWarning, match="nothing takes the value"):
        status = Checkpoint(program).read(path).expect_partial()
    assert failing(status) == [*CHECKS[:2]]
    assert [item.name for item in status.report.missing] == ["a"]
    assert len(status.report.unused) == 1


def test_a_status_sees_the_program_as_it_is_when_it_is_asked(path):
    Checkpoint(net(a=1)).write(path)
    root = net(a=0)
    status = Checkpoint(root).read(path)
    assert failing(status) == []
    root.late = net(b=8)
    assert failing(status) == [*CHECKS[:2]]
    del root.late
    assert failing(status) == []
    root.a = Variable(8.0)
    assert failing(status) == [*CHECKS[:2]]


def test_a_value_from_a_later_restore_counts(path):
    for n in (1, 2):
        Checkpoint(net(a=n)).write(f"{path}-{n}")
    root = net()
    checkpoint = Checkpoint(root)
    statuses = [checkpoint.read(f"{path}-{n}") for n in (1, 2)]
    root.a = Variable(0.0)
    assert [failing(status) for status in statuses] == [[], []]
    assert [status.report.matched for status in statuses] == [
        (), ("a/.ATTRIBUTES/VARIABLE_VALUE",)]


# What is said in the end.


def unrestored(path, *names) -> str:
    return (f"{len(names)} values of {path} were never restored, because no object of the program"
            f" took them: {', '.join(names)}. If that is meant, call expect_partial() on what"
            " restore returned.")


def test_what_still_waits_is_told_when_the_root_goes_and_not_before(path, caplog):
    """Behaviour 68."""
    Checkpoint(net(a=1, b=net(c=2, d=3))).write(path)
    root = net(a=0)
    Checkpoint(root).read(path)
    gc.collect()
    assert caplog.messages == []
    root.b = net(c=0)
    gc.collect()
    assert caplog.messages == []
    del root
    gc.collect()
    assert caplog.messages == [unrestored(path, "b/d")]
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("tfckpt", logging.WARNING)]


def test_what_still_waits_is_not_told_while_the_status_is_kept(path, caplog):
    """Behaviour 68."""
    Checkpoint(net(a=1, b=2)).write(path)
    status = Checkpoint(net(a=0)).read(path)
    gc.collect()
    assert caplog.messages == []
    del status
    gc.collect()
    assert caplog.messages == [unrestored(path, "b")]


def test_nothing_is_told_when_all_was_restored(path, caplog):
    """Behaviour 68."""
    Checkpoint(net(a=1, b=2)).write(path)
    root = net()
    Checkpoint(root).read(path)
    root.a, root.b = Variable(0.0), Variable(0.0)
    del root
    gc.collect()
    assert caplog.messages == []


@pytest.mark.parametrize("with_optimizer", [True, False])
def test_slots_that_still_wait_are_told_with_optimizer_state_and_variable(
        path, caplog, with_optimizer):
    """Behaviour 68."""
    w, optimizer = Variable(1.0), Optimizer()
    optimizer.add_slot(w, "m", 2.0)
    Checkpoint(layer=net(w=w), opt=optimizer).write(path)
    others = {"opt": Optimizer()} if with_optimizer else {"layer": net(w=0)}
    Checkpoint(**others).read(path)
    del others
    gc.collect()
    first = ["layer/w"] if with_optimizer else []
    assert caplog.messages == [unrestored(path, *first, "slot 'm' of opt for layer/w")]


def test_values_that_an_object_did_not_take_are_told_with_their_names(path, caplog):
    """Behaviours 67 and 68."""
    Checkpoint(net(a=1, b=net(v=2))).write(path)
    with pytest.warns(UserWarning, match="nothing takes the value VARIABLE_VALUE of a"):
        Checkpoint(net(a=net(), b=net(v=0))).read(path)
    gc.collect()
    assert caplog.messages == [unrestored(path, "a")]


def test_saying_that_a_partial_restore_is_expected_silences_it(path, caplog):
    """Behaviour 68."""
    Checkpoint(net(a=1, b=2)).write(path)
    status = Checkpoint(net(a=0)).read(path)
    assert status.expect_partial() is status
    del status
    gc.collect()
    assert caplog.messages == []


def test_many_values_are_told_in_one_line(path, caplog):
    """Behaviour 68."""
    Checkpoint(net(a=1, parts=[Variable(0.0) for _ in range(15)])).write(path)
    Checkpoint(net(a=0)).read(path)
    gc.collect()
    names = [f"parts/{n}" for n in range(10)]
    assert caplog.messages == [unrestored(path, *names).replace("10 values", "15 values").replace(
        "parts/9.", "parts/9 ….")]


@pytest.mark.parametrize("kept", ["checkpoint", "status", "nothing"])
def test_what_still_waits_is_told_at_the_end_of_a_program(tmp_path, path, kept):
    """Behaviour 68."""
    Checkpoint(net(a=1, b=2)).write(path)
    script = textwrap.dedent(f"""
        from tfckpt.train.checkpoint import Checkpoint
        from tfckpt.train.variables import Variable
        checkpoint = Checkpoint(a=Variable(0.0))
        status = checkpoint.read({path!r})
        """) + {"checkpoint": "del status", "status": "del checkpoint", "nothing": ""}[kept]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          check=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT / "src")})
    assert done.stderr == unrestored(path, "b") + "\n"
