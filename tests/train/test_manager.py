from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import tfckpt
from helpers import SHARED, needs_shared
from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointNotFoundError, CheckpointWarning, FormatError
from tfckpt.train.manager import CheckpointManager
from tfckpt.train.state import (
    checkpoint_exists,
    get_checkpoint_state,
    latest_checkpoint,
    relocate,
    update_checkpoint_state,
    write_state,
)

HOUR = 3600.0


class Counter:
    """A variable."""

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def assign_add(self, delta: int) -> None:
        self.value += delta

    def numpy(self) -> np.int64:
        return np.int64(self.value)


class Checkpoint:
    """Saves a counter, a value, and nothing else."""

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self._save_counter: Counter | None = None
        self.options: list = []

    @property
    def save_counter(self) -> Counter:
        if self._save_counter is None:
            self._save_counter = Counter()
        return self._save_counter

    def write(self, prefix: str, options=None) -> str:
        self.options.append(options)
        key = "{}/.ATTRIBUTES/VARIABLE_VALUE".format
        plan = Plan((given_int64(key("save_counter"), self.save_counter.value, "little"),
                     given_int64(key("value"), self.value, "little")), "object-based")
        write_plan(plan, prefix, overwrite=True)
        return prefix

    def save(self, prefix: str) -> str:
        """As Checkpoint.save: a number, and a state file with nothing else in its list."""
        self.save_counter.assign_add(1)
        path = self.write(f"{prefix}-{self.save_counter.value}")
        write_state(os.path.dirname(path), path, [path], save_relative_paths=True)
        return path

    def restore(self, prefix: str) -> str:
        with tfckpt.open(prefix) as source:
            self.save_counter.value = int(source["save_counter"])
            self.value = int(source["value"])
        return "status"


class Clock:
    """Moved by hand."""

    def __init__(self, now: float = 10000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def kept(folder) -> list[str]:
    """Names of the checkpoints of a folder."""
    return sorted(name.removesuffix(".index") for name in os.listdir(folder)
                  if name.endswith(".index"))


def test_the_save_after_n_deletes_the_oldest(tmp_path):
    """Behaviour 26."""
    manager = CheckpointManager(Checkpoint(), tmp_path, max_to_keep=3)
    assert manager.latest_checkpoint is None
    assert manager.checkpoints == []
    paths = [manager.save() for _ in range(4)]
    assert paths == [f"{tmp_path}/ckpt-{n}" for n in (1, 2, 3, 4)]
    assert manager.checkpoints == paths[1:]
    assert manager.latest_checkpoint == paths[3] == latest_checkpoint(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", *sorted(
        f"ckpt-{n}{ending}" for n in (2, 3, 4) for ending in (".index", ".data-00000-of-00001"))]
    assert list(get_checkpoint_state(tmp_path).all_model_checkpoint_paths) == paths[1:]


def test_the_state_file_has_relative_paths_and_times(tmp_path):
    """Behaviour 26."""
    clock = Clock()
    manager = CheckpointManager(Checkpoint(), tmp_path, 2, clock=clock)
    for _ in range(3):
        clock.now += 0.25
        manager.save()
    assert (tmp_path / "checkpoint").read_text() == (
        'model_checkpoint_path: "ckpt-3"\n'
        'all_model_checkpoint_paths: "ckpt-2"\n'
        'all_model_checkpoint_paths: "ckpt-3"\n'
        "all_model_checkpoint_timestamps: 10000.5\n"
        "all_model_checkpoint_timestamps: 10000.75\n"
        "last_preserved_timestamp: 9999.0\n")


def test_no_limit_keeps_all_in_the_list(tmp_path):
    """Behaviour 29."""
    manager = CheckpointManager(Checkpoint(), tmp_path, None)
    paths = [manager.save() for _ in range(7)]
    assert manager.checkpoints == paths
    assert list(get_checkpoint_state(tmp_path).all_model_checkpoint_paths) == paths
    assert all(map(checkpoint_exists, paths))


def test_a_number_that_is_listed_moves_to_the_end(tmp_path):
    """Behaviour 27."""
    manager = CheckpointManager(Checkpoint(), tmp_path, 2)
    for number in (1, 2, 1, 3):
        manager.save(number)
    assert manager.checkpoints == [f"{tmp_path}/ckpt-1", f"{tmp_path}/ckpt-3"]
    assert kept(tmp_path) == ["ckpt-1", "ckpt-3"]


def test_a_restart_goes_on_with_the_same_rhythm(tmp_path):
    """Behaviour 31."""
    clock, checkpoint = Clock(3.0), Checkpoint()
    first = CheckpointManager(checkpoint, tmp_path, 2, clock=clock)
    clock.now = 10000.0
    paths = [first.save()]
    clock.now += HOUR + 10
    paths.append(first.save())
    state = get_checkpoint_state(tmp_path)
    assert state.all_model_checkpoint_timestamps == (10000.0, 10000.0 + HOUR + 10)
    assert state.last_preserved_timestamp == 2.0

    second = CheckpointManager(checkpoint, tmp_path, 2, 1.5, clock=clock)
    assert second.checkpoints == paths
    assert second.latest_checkpoint == paths[1]
    clock.now += 0.2 * HOUR
    paths.append(second.save())
    assert checkpoint_exists(paths[0])  # kept for good: the last was longer ago
    assert second.checkpoints == paths[1:]
    assert get_checkpoint_state(tmp_path).last_preserved_timestamp == 10000.0

    third = CheckpointManager(checkpoint, tmp_path, 2, 1.5, clock=clock)
    clock.now += 0.5 * HOUR
    paths.append(third.save())
    assert not checkpoint_exists(paths[1])  # too soon after the first
    clock.now += HOUR
    paths.append(third.save())
    assert not checkpoint_exists(paths[2])
    paths.append(third.save())
    assert checkpoint_exists(paths[3])
    assert third.checkpoints == paths[4:]
    assert kept(tmp_path) == ["ckpt-1", "ckpt-4", "ckpt-5", "ckpt-6"]


def test_exactly_the_hours_are_enough(tmp_path):
    """Behaviour 31."""
    clock = Clock()
    manager = CheckpointManager(Checkpoint(), tmp_path, 1, 1.0, clock=clock)
    for after in (HOUR - 1.5, 0.5, 0.0):  # it counts from a second before its start
        clock.now += after
        manager.save()
    assert kept(tmp_path) == ["ckpt-2", "ckpt-3"]


def test_a_clock_that_runs_behind_keeps_everything(tmp_path):
    """Behaviour 32."""
    clock, checkpoint = Clock(), Checkpoint()
    first = CheckpointManager(checkpoint, tmp_path, 1, 1.0, clock=clock)
    for _ in range(3):
        clock.now += 2 * HOUR
        first.save()
    assert get_checkpoint_state(tmp_path).last_preserved_timestamp == 10000.0 + 4 * HOUR
    clock.now = 10000.0
    with pytest.warns(CheckpointWarning) as caught:
        second = CheckpointManager(checkpoint, tmp_path, 1, clock=clock)
    assert [str(warning.message) for warning in caught] == [
        "the clock is 14400 seconds behind the time at which a checkpoint was last kept for good;"
        f" all that are in {tmp_path} now will be kept"]
    assert caught[0].filename == __file__
    assert second.latest_checkpoint == f"{tmp_path}/ckpt-3"
    assert second.checkpoints == []
    for _ in range(2):
        clock.now += 1
        second.save()
    assert second.checkpoints == [f"{tmp_path}/ckpt-5"]
    assert kept(tmp_path) == ["ckpt-1", "ckpt-2", "ckpt-3", "ckpt-5"]
    # From here on the rhythm counts from this clock.
    assert get_checkpoint_state(tmp_path).last_preserved_timestamp == 10000.0
    assert CheckpointManager(checkpoint, tmp_path, 1, clock=clock).checkpoints == [
        f"{tmp_path}/ckpt-5"]


def test_times_in_the_future_count_as_now(tmp_path):
    """Behaviour 32."""
    clock, checkpoint = Clock(), Checkpoint()
    first = CheckpointManager(checkpoint, tmp_path, 2, clock=clock)
    clock.now = 1e9
    first.save()
    clock.now = 20000.0
    second = CheckpointManager(checkpoint, tmp_path, 2, clock=clock)
    second.save()
    assert get_checkpoint_state(tmp_path).all_model_checkpoint_timestamps == (20000.0, 20000.0)


def test_a_smaller_limit_deletes_nothing_before_the_first_save(tmp_path):
    """Behaviour 33."""
    checkpoint = Checkpoint()
    first = CheckpointManager(checkpoint, tmp_path, 5)
    paths = [first.save() for _ in range(5)]
    second = CheckpointManager(checkpoint, tmp_path, 2)
    assert second.checkpoints == paths
    assert all(map(checkpoint_exists, paths))
    second.save()
    assert kept(tmp_path) == ["ckpt-5", "ckpt-6"]


def test_checkpoints_that_no_manager_made_are_never_deleted_or_listed(tmp_path):
    """Behaviour 34."""
    checkpoint = Checkpoint(value=7)
    unmanaged = [checkpoint.save(f"{tmp_path}/unusual_prefix") for _ in range(2)]
    unmanaged.append(checkpoint.save(f"{tmp_path}/ckpt"))
    again = Checkpoint()
    manager = CheckpointManager(again, tmp_path, 2)
    assert manager.latest_checkpoint == unmanaged[-1]
    assert manager.checkpoints == []
    assert manager.restore_or_initialize() == unmanaged[-1]
    assert (again.value, again.save_counter.value) == (7, 3)
    paths = [manager.save() for _ in range(3)]
    assert paths == [f"{tmp_path}/ckpt-{n}" for n in (4, 5, 6)]
    assert manager.checkpoints == paths[1:]
    assert list(get_checkpoint_state(tmp_path).all_model_checkpoint_paths) == paths[1:]
    assert all(map(checkpoint_exists, unmanaged))
    assert not checkpoint_exists(paths[0])


def test_two_managers_in_one_folder_leave_each_other_alone(tmp_path):
    """Behaviour 34."""
    best = CheckpointManager(Checkpoint(), tmp_path, 1, checkpoint_name="best")
    every = CheckpointManager(Checkpoint(), tmp_path, 2)
    for n in range(4):
        every.save()
        if n % 2:
            best.save()
    assert kept(tmp_path) == ["best-2", "ckpt-3", "ckpt-4"]
    # Whoever starts next finds its own, though the other wrote last.
    assert CheckpointManager(Checkpoint(), tmp_path, 2).checkpoints == [
        f"{tmp_path}/ckpt-3", f"{tmp_path}/ckpt-4"]
    assert CheckpointManager(Checkpoint(), tmp_path, 1, checkpoint_name="best").checkpoints == [
        f"{tmp_path}/best-2"]
    every.save()
    assert get_checkpoint_state(tmp_path).all_model_checkpoint_paths == (
        f"{tmp_path}/best-2", f"{tmp_path}/ckpt-4", f"{tmp_path}/ckpt-5")


def test_files_beside_a_deleted_checkpoint_stay(tmp_path):
    """Behaviour 34."""
    manager = CheckpointManager(Checkpoint(), tmp_path, 1)
    manager.save()
    for name in ("ckpt-1.meta", "ckpt-1.txt", "ckpt-11.index"):
        (tmp_path / name).write_bytes(b"somebody else's")
    manager.save()
    assert [name for name in sorted(os.listdir(tmp_path)) if name.startswith("ckpt-1")] == [
        "ckpt-1.meta", "ckpt-1.txt", "ckpt-11.index"]


def test_absolute_entries_of_another_folder_are_not_its_own(tmp_path):
    """Behaviour 34."""
    checkpoint = Checkpoint()
    other = [CheckpointManager(checkpoint, tmp_path / "a", None).save() for _ in range(2)]
    update_checkpoint_state(tmp_path / "b", other[1], other, None, [9e3, 9e3], 1.0)
    manager = CheckpointManager(checkpoint, tmp_path / "b", 1, clock=Clock())
    assert manager.checkpoints == []
    for _ in range(2):
        manager.save()
    assert all(map(checkpoint_exists, other))


def test_the_number_may_be_given(tmp_path):
    """Behaviour 35."""
    checkpoint, step = Checkpoint(), Counter(100)
    manager = CheckpointManager(checkpoint, tmp_path, 2, checkpoint_name="model")
    for number in (step, 150, np.int64(151), np.array(152)):
        manager.save(checkpoint_number=number)
    assert manager.checkpoints == [f"{tmp_path}/model-151", f"{tmp_path}/model-152"]
    assert (step.value, checkpoint.save_counter.value) == (100, 4)
    with tfckpt.open(manager.latest_checkpoint) as source:
        assert int(source["save_counter"]) == 4
    assert manager.save() == f"{tmp_path}/model-5"


def test_a_save_that_is_not_due_returns_nothing(tmp_path):
    """Behaviour 36."""
    checkpoint, step = Checkpoint(), Counter()
    manager = CheckpointManager(checkpoint, tmp_path, None, step_counter=step,
                                checkpoint_interval=2)
    assert manager.checkpoint_interval == 2
    assert manager.save() is not None  # the first is due at once
    assert manager.save() is None
    step.assign_add(1)
    assert manager.save() is None
    assert manager.save(check_interval=False) is not None
    assert manager.save(check_interval=False) is None  # a saved step isn't saved again
    step.assign_add(2)
    assert manager.save() is not None
    assert checkpoint.save_counter.value == 3


def test_the_interval_may_count_from_a_given_step(tmp_path):
    """Behaviour 36."""
    step = Counter()
    manager = CheckpointManager(Checkpoint(), tmp_path, None, step_counter=step,
                                checkpoint_interval=2, last_checkpoint_step=-1)
    assert manager.save() is None
    step.assign_add(1)
    assert manager.save() == f"{tmp_path}/ckpt-1"


def test_a_restore_counts_as_a_save_at_its_step(tmp_path):
    """Behaviour 36."""
    step = Counter(5)
    CheckpointManager(Checkpoint(), tmp_path, None).save()
    manager = CheckpointManager(Checkpoint(), tmp_path, None, step_counter=step,
                                checkpoint_interval=2)
    assert manager.restore_or_initialize() == f"{tmp_path}/ckpt-1"
    step.assign_add(1)
    assert manager.save() is None
    step.assign_add(1)
    assert manager.save() == f"{tmp_path}/ckpt-2"


def test_a_save_that_failed_may_be_tried_again_at_its_step(tmp_path):
    """Behaviour 36."""
    checkpoint = Checkpoint()
    manager = CheckpointManager(checkpoint, tmp_path, None, step_counter=Counter(),
                                checkpoint_interval=2)
    good = checkpoint.write

    def fail(prefix):
        raise OSError("disk full")

    checkpoint.write = fail
    with pytest.raises(OSError, match="disk full"):
        manager.save()
    assert manager.latest_checkpoint is None
    checkpoint.write = good
    assert manager.save() == f"{tmp_path}/ckpt-2"


def test_an_empty_folder_is_initialized_and_another_restored(tmp_path):
    """Behaviour 37."""
    called = []
    manager = CheckpointManager(Checkpoint(), tmp_path, 1, init_fn=lambda: called.append(1))
    assert manager.restore_or_initialize() is None
    assert called == [1]
    assert CheckpointManager(Checkpoint(), tmp_path, 1).restore_or_initialize() is None
    manager.checkpoint.value = 42
    path = manager.save()
    again = CheckpointManager(Checkpoint(), tmp_path, 1, init_fn=lambda: called.append(2))
    assert again.restore_or_initialize() == path
    assert again.checkpoint.value == 42
    assert called == [1]


def test_a_latest_that_is_gone_fails_to_restore_instead_of_starting_anew(tmp_path):
    """Behaviour 37."""
    update_checkpoint_state(tmp_path, "ckpt-9")
    manager = CheckpointManager(Checkpoint(), tmp_path, 1, init_fn=lambda: None)
    assert manager.latest_checkpoint == f"{tmp_path}/ckpt-9"
    with pytest.raises(CheckpointNotFoundError):
        manager.restore_or_initialize()


def test_a_moved_folder_is_restored_from_with_a_note(tmp_path):
    """Behaviour 34."""
    path = Checkpoint(value=3).save(f"{tmp_path}/model")
    update_checkpoint_state(tmp_path, "/home/old/model-1")
    with pytest.warns(CheckpointWarning) as caught:
        manager = CheckpointManager(Checkpoint(), tmp_path, 1)
    assert [str(warning.message) for warning in caught] == [
        f"the state file points to /home/old/model-1, which is gone; using {path} beside it"]
    assert manager.restore_or_initialize() == path
    assert relocate(tmp_path).new.model_checkpoint_path == "model-1"


def test_what_a_manager_refuses(tmp_path):
    with pytest.raises(ValueError, match="max_to_keep") as error:
        CheckpointManager(Checkpoint(), tmp_path, 0)
    assert str(error.value) == "max_to_keep must be a positive number or None, not 0"
    with pytest.raises(ValueError, match="step_counter") as error:
        CheckpointManager(Checkpoint(), tmp_path, 1, checkpoint_interval=2)
    assert str(error.value) == "checkpoint_interval needs a step_counter"
    (tmp_path / "checkpoint").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError):
        CheckpointManager(Checkpoint(), tmp_path, 1)


@pytest.mark.parametrize("kind", ["relative", "empty", "path", "address", "brackets"])
def test_the_folder_may_be_given_in_many_ways(tmp_path, kind):
    """Behaviour 4."""
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        folder = {"relative": "run", "empty": "", "path": tmp_path / "run",
                  "address": f"file://{tmp_path}/run", "brackets": "exp [v1]"}[kind]
        manager = CheckpointManager(Checkpoint(), folder, 2)
        for _ in range(3):
            manager.save()
        text = manager.directory
        assert isinstance(text, str)
        assert manager.checkpoints == [os.path.join(text, f"ckpt-{n}") for n in (2, 3)]
        assert kept(text or ".") == ["ckpt-2", "ckpt-3"]
        assert 'model_checkpoint_path: "ckpt-3"\n' in Path(text, "checkpoint").read_text()
        assert CheckpointManager(Checkpoint(), folder, 2).checkpoints == manager.checkpoints
    finally:
        os.chdir(before)


def test_options_are_passed_on(tmp_path):
    checkpoint = Checkpoint()
    CheckpointManager(checkpoint, tmp_path, 1).save(options="options")
    assert checkpoint.options == ["options"]


@needs_shared
def test_the_state_of_a_real_manager_is_taken_over(tmp_path):
    """Behaviours 31 and 34."""
    run = SHARED / "fixtures" / "formats" / "tf2.15" / "state_manager" / "run"
    for file in run.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    checkpoint = Checkpoint()
    checkpoint.save_counter.value = 4
    manager = CheckpointManager(checkpoint, tmp_path, 2, checkpoint_name="ck")
    assert manager.checkpoints == [f"{tmp_path}/ck-3", f"{tmp_path}/ck-4"]
    manager.save()
    assert kept(tmp_path) == ["ck-4", "ck-5", "unlisted"]
