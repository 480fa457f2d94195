from __future__ import annotations

import os

import pytest

from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointWarning, FormatError
from tfckpt.train.state import remove_checkpoint, update_checkpoint_state
from tfckpt.train.waiting import checkpoints_iterator, wait_for_new_checkpoint


class Time:
    """A clock that only sleeping moves; at some times something happens."""

    def __init__(self, **events) -> None:
        self.now = 0.0
        self.events = {float(name[2:]): event for name, event in events.items()}

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for at in [at for at in self.events if at <= self.now]:
            self.events.pop(at)()

    @property
    def both(self) -> dict:
        return {"clock": self.clock, "sleep": self.sleep}


def save(folder, name) -> str:
    """A real checkpoint, and the state file that names it."""
    prefix = str(folder / name)
    write_plan(Plan((given_int64("global_step", 1, "little"),), "name-based"), prefix)
    update_checkpoint_state(folder, prefix)
    return prefix


def test_the_iterator_ends_at_once_on_a_missing_folder(tmp_path):
    """Behaviour 40."""
    time = Time()
    assert list(checkpoints_iterator(tmp_path / "missing", timeout=0, **time.both)) == []
    assert time.now == 0.0


def test_the_iterator_yields_one_checkpoint_once(tmp_path):
    """Behaviour 40."""
    prefix = save(tmp_path, "model")
    for n in range(3):
        (tmp_path / f"model.data-{n:05d}-of-00003").write_bytes(b"")
    assert list(checkpoints_iterator(tmp_path, timeout=0)) == [prefix]


def test_the_iterator_yields_each_new_checkpoint(tmp_path):
    """Behaviour 40."""
    time = Time(at3=lambda: save(tmp_path, "model-2"), at5=lambda: save(tmp_path, "model-3"))
    save(tmp_path, "model-1")
    assert list(checkpoints_iterator(tmp_path, timeout=4, **time.both)) == [
        f"{tmp_path}/model-{n}" for n in (1, 2, 3)]
    assert time.now == 9.0


def test_the_iterator_keeps_its_interval(tmp_path):
    """Behaviour 40."""
    time = Time(at1=lambda: save(tmp_path, "model-2"), at2=lambda: save(tmp_path, "model-3"))
    save(tmp_path, "model-1")
    seen = [(time.now, path) for path in checkpoints_iterator(
        tmp_path, min_interval_secs=10, timeout=0, **time.both)]
    assert seen == [(0.0, f"{tmp_path}/model-1"), (10.0, f"{tmp_path}/model-3")]


def test_after_each_timeout_the_callers_function_decides(tmp_path):
    """Behaviour 41."""
    time = Time()
    asked = []

    def enough() -> bool:
        asked.append(time.now)
        return len(asked) == 3

    assert list(checkpoints_iterator(tmp_path, timeout=2, timeout_fn=enough, **time.both)) == []
    assert asked == [2.0, 4.0, 6.0]


def test_the_callers_function_is_asked_after_a_checkpoint_too(tmp_path):
    """Behaviour 41."""
    prefix = save(tmp_path, "model")
    assert list(checkpoints_iterator(tmp_path, timeout_fn=lambda: True)) == [prefix]


def test_waiting_ends_with_nothing_on_time(tmp_path):
    """Behaviour 41."""
    time = Time()
    assert wait_for_new_checkpoint(tmp_path / "missing", timeout=1.2, seconds_to_sleep=0.5,
                                   **time.both) is None
    assert time.now == 1.0
    prefix = save(tmp_path, "model-1")
    assert wait_for_new_checkpoint(tmp_path, prefix, timeout=0, **time.both) is None
    assert wait_for_new_checkpoint(tmp_path, tmp_path / "model-1", timeout=0, **time.both) is None


def test_waiting_ends_with_the_first_new_checkpoint(tmp_path):
    """Behaviour 41."""
    first = save(tmp_path, "model-1")
    time = Time(at4=lambda: save(tmp_path, "model-2"))
    assert wait_for_new_checkpoint(tmp_path, **time.both) == first
    assert wait_for_new_checkpoint(tmp_path, first, **time.both) == f"{tmp_path}/model-2"
    assert time.now == 4.0


def test_a_checkpoint_that_vanished_is_waited_over(tmp_path):
    """Behaviour 40."""
    remove_checkpoint(save(tmp_path, "model-1"))
    time = Time(at1=lambda: save(tmp_path, "model-2"))
    assert wait_for_new_checkpoint(tmp_path, **time.both) == f"{tmp_path}/model-2"


def test_a_moved_folder_is_told_of_once(tmp_path):
    prefix = save(tmp_path, "model-1")
    update_checkpoint_state(tmp_path, "/old/model-1")
    with pytest.warns(CheckpointWarning) as caught:
        assert list(checkpoints_iterator(tmp_path, timeout=3, **Time().both)) == [prefix]
    assert len(caught) == 1


def test_an_empty_state_file_ends_waiting(tmp_path):
    """Behaviour 22."""
    (tmp_path / "checkpoint").write_bytes(b"")
    with pytest.raises(FormatError):
        wait_for_new_checkpoint(tmp_path, timeout=0)
    os.unlink(tmp_path / "checkpoint")
    assert wait_for_new_checkpoint(tmp_path, timeout=0) is None
