"""Work on threads."""

from __future__ import annotations

import threading
import time

import pytest

from tfckpt.core.threads import in_order, meanwhile


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tfckpt")]


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_results_come_in_order_whoever_is_done_first(jobs):
    def late(n: int) -> int:
        time.sleep(0.002 * (5 - n % 5))
        return n

    assert list(in_order(late, range(20), jobs)) == list(range(20))
    assert alive() == []


def test_several_work_at_once():
    both = threading.Barrier(2)
    assert list(in_order(lambda n: both.wait(10) >= 0, [0, 1], 2)) == [True, True]


def test_an_error_comes_where_its_result_would_and_ends_the_work():
    begun: list[int] = []

    def work(n: int) -> int:
        begun.append(n)
        if n == 3:
            raise ValueError(n)
        time.sleep(0.001)
        return n

    results = in_order(work, range(1000), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)
    assert len(begun) < 1000
    assert alive() == []


def test_who_wants_no_more_results_leaves_no_thread():
    results = in_order(lambda n: time.sleep(0.001), range(1000), 2)
    next(results)
    results.close()
    assert alive() == []


def test_the_body_runs_meanwhile():
    go = threading.Event()
    with meanwhile(lambda: go.wait(10)) as result:
        go.set()
        assert result() is True
    assert alive() == []


def test_an_error_is_raised_where_the_result_is_asked_for():
    def fail():
        raise KeyError("thread")

    with pytest.raises(KeyError, match="thread"), meanwhile(fail) as result:
        result()
    assert alive() == []


def test_an_error_of_the_body_goes_first_and_leaves_no_thread():
    with pytest.raises(ValueError, match="body"), meanwhile(lambda: time.sleep(0.01)):
        raise ValueError("body")
    assert alive() == []
