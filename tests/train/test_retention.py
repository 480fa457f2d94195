from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointWarning, StorageError
from tfckpt.train import state as state_module
from tfckpt.train.retention import Retention
from tfckpt.train.state import checkpoint_exists, get_checkpoint_state

HOUR = 3600.0


class Clock:
    """Moved by hand."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def save(prefix, step=1) -> str:
    """A real checkpoint, with a graph beside it."""
    write_plan(Plan((given_int64("global_step", step, "little"),), "name-based"), str(prefix),
               overwrite=True)
    Path(f"{prefix}.meta").write_bytes(b"graph")
    return str(prefix)


def kept(folder) -> list[str]:
    """Names of the checkpoints of a folder."""
    return sorted(name.removesuffix(".index") for name in os.listdir(folder)
                  if name.endswith(".index"))


def test_the_save_after_n_deletes_the_oldest_with_all_its_files(tmp_path):
    """Behaviour 26."""
    retention = Retention(2)
    paths = [save(tmp_path / f"s{n}") for n in range(3)]
    for path in paths[:2]:
        retention.saved(path)
    assert retention.last_checkpoints == paths[:2]
    assert kept(tmp_path) == ["s0", "s1", "s2"]
    retention.saved(paths[2])
    assert retention.last_checkpoints == paths[1:]
    assert [name for name in os.listdir(tmp_path) if name.startswith("s0")] == []
    state = get_checkpoint_state(tmp_path)
    assert state.model_checkpoint_path == paths[2]
    assert list(state.all_model_checkpoint_paths) == paths[1:]
    assert state.all_model_checkpoint_timestamps == ()


def test_a_name_that_is_listed_moves_to_the_end(tmp_path):
    """Behaviour 27."""
    retention = Retention(2)
    first, second = save(tmp_path / "s1"), save(tmp_path / "s2")
    retention.saved(first)
    retention.saved(second)
    retention.saved(save(first))
    assert retention.last_checkpoints == [second, first]
    third = save(tmp_path / "s3")
    retention.saved(third)
    assert retention.last_checkpoints == [first, third]
    assert kept(tmp_path) == ["s1", "s3"]


def test_without_history_every_older_file_is_left_alone(tmp_path):
    """Behaviour 28."""
    before = Retention(2)
    for n in range(2):
        before.saved(save(tmp_path / f"old-{n}"))
    after = Retention(1)
    for n in range(2):
        after.saved(save(tmp_path / f"new-{n}"))
    assert kept(tmp_path) == ["new-1", "old-0", "old-1"]
    assert get_checkpoint_state(tmp_path).all_model_checkpoint_paths == (f"{tmp_path}/new-1",)


@pytest.mark.parametrize("limit", [None, 0])
def test_no_limit_keeps_every_file_and_lists_none(tmp_path, limit):
    """Behaviour 29."""
    retention = Retention(limit)
    paths = [save(tmp_path / f"s{n}") for n in range(7)]
    for path in paths:
        retention.saved(path)
        assert retention.last_checkpoints == []
        assert get_checkpoint_state(tmp_path).all_model_checkpoint_paths == (path,)
    assert all(map(checkpoint_exists, paths))


def test_recovery_drops_what_is_gone(tmp_path):
    """Behaviour 30."""
    paths = [save(tmp_path / f"s{n}") for n in range(3)]
    for file in (paths[1] + ".index", paths[1] + ".data-00000-of-00001"):
        os.unlink(file)
    retention = Retention(2)
    retention.recover_last_checkpoints(map(Path, paths))
    assert retention.last_checkpoints == [paths[0], paths[2]]
    last = save(tmp_path / "s3")
    retention.saved(last)
    assert retention.last_checkpoints == [paths[2], last]
    assert kept(tmp_path) == ["s2", "s3"]


def test_one_is_kept_for_good_every_so_many_hours(tmp_path):
    """Behaviour 31."""
    clock = Clock(100.0)
    retention = Retention(2, 1.0, clock=clock)
    paths = [save(tmp_path / f"s{n}") for n in range(7)]
    # Due from an hour after the start; then from an hour after that time, and so on.
    for path, now in zip(paths, (0.5, 1.1, 1.5, 1.9, 2.1, 2.2, 2.3), strict=True):
        clock.now = 100 + now * HOUR
        retention.saved(path)
    assert retention.last_checkpoints == paths[5:]
    assert kept(tmp_path) == ["s1", "s4", "s5", "s6"]


def test_exactly_the_hours_are_not_enough(tmp_path):
    """Behaviour 31; a manager decides otherwise, in TensorFlow too."""
    clock = Clock()
    retention = Retention(1, 1.0, clock=clock)
    for n, now in enumerate((HOUR, HOUR + 0.5, HOUR + 0.5)):
        clock.now = now
        retention.saved(save(tmp_path / f"s{n}"))
    assert kept(tmp_path) == ["s1", "s2"]


def test_recovered_files_count_with_their_own_times(tmp_path):
    """Behaviour 31."""
    paths = [save(tmp_path / f"s{n}") for n in range(3)]
    for n, path in enumerate(paths):
        os.utime(path + ".index", (0, 100 + n * HOUR))
    retention = Retention(2, 0.5, clock=Clock(100 + 0.2 * HOUR))
    retention.recover_last_checkpoints(paths[:2])
    retention.saved(paths[2])  # the first is older than any that is due
    retention.saved(save(tmp_path / "s3"))  # the second isn't
    assert kept(tmp_path) == ["s1", "s2", "s3"]


def test_a_list_without_times_is_never_deleted(tmp_path):
    """Behaviour 30."""
    paths = [save(tmp_path / f"s{n}") for n in range(3)]
    retention = Retention(1, 1.0)
    retention.set_last_checkpoints(paths[:2])
    assert retention.last_checkpoints == paths[:2]
    for path in (paths[2], save(tmp_path / "s3")):
        retention.saved(path)
    assert kept(tmp_path) == ["s0", "s1", "s2", "s3"]
    retention.set_last_checkpoints_with_time([(path, math.inf) for path in paths])
    assert retention.last_checkpoints == paths


def test_a_long_list_shrinks_by_one_each_time_as_in_tensorflow(tmp_path):
    """Behaviour 26."""
    paths = [save(tmp_path / f"s{n}") for n in range(5)]
    retention = Retention(2)
    retention.set_last_checkpoints_with_time([(path, 0.0) for path in paths[:4]])
    retention.saved(paths[4])
    assert retention.last_checkpoints == paths[1:]
    assert kept(tmp_path) == ["s1", "s2", "s3", "s4"]


def test_relative_paths_and_another_state_file(tmp_path):
    """Behaviour 20."""
    path = save(tmp_path / "s0")
    Retention(2, save_relative_paths=True).saved(path, latest_filename="last")
    assert ((tmp_path / "last").read_text()
            == 'model_checkpoint_path: "s0"\nall_model_checkpoint_paths: "s0"\n')


def test_a_graph_with_another_ending_is_deleted_too(tmp_path):
    """Behaviour 26."""
    retention = Retention(1)
    for n in range(2):
        save(tmp_path / f"s{n}")
        os.rename(tmp_path / f"s{n}.meta", tmp_path / f"s{n}.graph")
        retention.saved(tmp_path / f"s{n}", meta_graph_suffix="graph")
    assert sorted(os.listdir(tmp_path)) == [
        "checkpoint", "s1.data-00000-of-00001", "s1.graph", "s1.index"]


def test_what_cannot_be_deleted_is_a_warning_and_not_a_failed_save(tmp_path, monkeypatch):
    retention = Retention(1)
    retention.saved(save(tmp_path / "s0"))

    def refuse(file):
        raise StorageError("cannot remove: Permission denied", file=file)

    monkeypatch.setattr(state_module, "_unlink", refuse)
    with pytest.warns(CheckpointWarning) as caught:
        retention.saved(save(tmp_path / "s1"))
    assert [str(warning.message) for warning in caught] == [
        "an old checkpoint is still there: cannot remove: Permission denied"
        f" (file {tmp_path}/s0.index)"]
    assert retention.last_checkpoints == [f"{tmp_path}/s1"]
