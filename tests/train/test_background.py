"""Saves in the background leave what saves leave, and tell their errors."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

import tfckpt
from tfckpt.train import pending


def files(folder) -> dict:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != "checkpoint"}  # whose times differ


def train(folder, save, save_both):
    """Three steps, each saved in every way; what the saves returned."""
    kernel = tfckpt.Variable([1.0, 2.0], name="dense/kernel")
    step = tfckpt.Variable(0, dtype="int64", name="step")
    checkpoint = tfckpt.Checkpoint(kernel=kernel, step=step)
    saver = tfckpt.Saver([kernel, step], max_to_keep=2)
    v1 = tfckpt.Saver([kernel], write_version=1, sharded=True)
    other = tfckpt.Saver([kernel, step])
    manager = tfckpt.CheckpointManager(checkpoint, folder / "managed", 2, step_counter=step,
                                       checkpoint_interval=2)
    for name in ("v2", "v1", "tf2", "both"):
        (folder / name).mkdir(parents=True)
    returned = []
    for _ in range(3):
        kernel.assign_add([0.5, 0.5])
        step.assign_add(1)
        returned += [
            save(saver, None, folder / "v2" / "m", global_step=step),
            save(v1, None, folder / "v1" / "m"),
            save(checkpoint, folder / "tf2" / "ckpt"),
            save(manager),
            save_both(other, checkpoint, folder / "both" / "m", folder / "more" / "ckpt",
                      global_step=step)]
        kernel.assign([0.0, 0.0])  # the saves have their own values
        kernel.assign([float(step), 1.0])
    return returned, saver.last_checkpoints, manager.checkpoints


def test_they_leave_the_same_files_and_return_the_same(tmp_path):
    expected = train(tmp_path / "a", lambda saver, *args, **kwargs: saver.save(*args, **kwargs),
                     tfckpt.save_both)
    with tfckpt.BackgroundSaves() as background:
        got = train(tmp_path / "b", background.save, background.save_both)
    assert repr(got).replace("/b/", "/a/") == repr(expected)
    assert files(tmp_path / "b") == files(tmp_path / "a")
    for name in ("v2", "v1", "tf2", "managed", "both", "more"):
        latest = [tfckpt.latest_checkpoint(tmp_path / run / name) for run in "ab"]
        assert latest[1] == latest[0].replace("/a/", "/b/")


@pytest.fixture
def gate(monkeypatch):
    """Holds each write in the background until it is set."""
    opened = threading.Event()
    write_plan = tfckpt.train.checkpoint.write_plan

    def held(*args, **kwargs):
        assert opened.wait(10)
        return write_plan(*args, **kwargs)

    monkeypatch.setattr("tfckpt.train.checkpoint.write_plan", held)
    return opened


def test_training_goes_on_meanwhile_and_the_values_are_those_of_the_call(tmp_path, gate):
    variable = tfckpt.Variable(np.arange(1000.0))
    background = tfckpt.BackgroundSaves()
    path = background.save(tfckpt.Checkpoint(v=variable), tmp_path / "ckpt")
    assert background.is_writing
    assert not tfckpt.checkpoint_exists(path)
    variable.assign(np.zeros(1000))
    variable.assign_add(np.ones(1000))
    gate.set()
    background.wait()
    assert not background.is_writing
    np.testing.assert_array_equal(tfckpt.open(path)["v"], np.arange(1000.0))


def test_the_next_save_waits_for_the_one_before(tmp_path, gate):
    checkpoint = tfckpt.Checkpoint(v=tfckpt.Variable(1.0))
    with tfckpt.BackgroundSaves() as background:
        background.save(checkpoint, tmp_path / "ckpt")
        timer = threading.Timer(0.05, gate.set)
        timer.start()
        background.save(checkpoint, tmp_path / "ckpt")
        assert tfckpt.checkpoint_exists(tmp_path / "ckpt-1")
    assert tfckpt.latest_checkpoint(tmp_path) == str(tmp_path / "ckpt-2")


def test_an_error_is_raised_once_at_the_next_call(tmp_path):
    checkpoint = tfckpt.Checkpoint(v=tfckpt.Variable(1.0))
    (tmp_path / "file").write_text("")
    background = tfckpt.BackgroundSaves()
    background.save(checkpoint, tmp_path / "file" / "ckpt")
    with pytest.raises(tfckpt.StorageError):
        background.save(checkpoint, tmp_path / "ckpt")
    background.save(checkpoint, tmp_path / "ckpt")
    background.wait()
    assert tfckpt.latest_checkpoint(tmp_path) == str(tmp_path / "ckpt-2")
    with pytest.raises(tfckpt.StorageError):
        with background:
            background.save(checkpoint, tmp_path / "file" / "ckpt")


def test_an_error_of_the_program_is_not_hidden_by_one_of_the_save(tmp_path):
    (tmp_path / "file").write_text("")

    def program():
        with tfckpt.BackgroundSaves() as background:
            background.save(tfckpt.Checkpoint(v=tfckpt.Variable(1.0)), tmp_path / "file" / "ckpt")
            raise ZeroDivisionError

    with pytest.warns(tfckpt.CheckpointWarning, match="a save in the background failed: Storage"):
        with pytest.raises(ZeroDivisionError):
            program()


def test_a_failed_save_of_a_manager_is_due_again(tmp_path):
    step = tfckpt.Variable(0, dtype="int64")
    manager = tfckpt.CheckpointManager(tfckpt.Checkpoint(step=step), tmp_path / "a", 1,
                                       step_counter=step, checkpoint_interval=5)
    (tmp_path / "a").write_text("")  # where the folder should be
    background = tfckpt.BackgroundSaves()
    background.save(manager)
    with pytest.raises(tfckpt.StorageError):
        background.wait()
    (tmp_path / "a").unlink()
    assert background.save(manager) == str(tmp_path / "a" / "ckpt-2")
    background.wait()
    assert background.save(manager) is None


def test_only_savers_of_tfckpt_are_taken():
    with pytest.raises(tfckpt.VariableTypeError) as caught:
        tfckpt.BackgroundSaves().save(object(), "ckpt")
    assert str(caught.value) == (
        "only tfckpt's own savers can save in the background: expected Saver, Checkpoint or"
        " CheckpointManager, got object")

    class Theirs:
        save_counter = tfckpt.Variable(0, dtype="int64")

        def write(self, file_prefix):
            raise AssertionError

        def restore(self, save_path):
            raise AssertionError

    with pytest.raises(tfckpt.UnsupportedError) as caught:
        tfckpt.BackgroundSaves().save(tfckpt.CheckpointManager(Theirs(), "out", None))
    assert str(caught.value) == ("only tfckpt's Checkpoint can be saved in the background:"
                                 " got Theirs")


PROGRAM = """
import sys
import tfckpt
background = tfckpt.BackgroundSaves()
checkpoint = tfckpt.Checkpoint(v=tfckpt.Variable([1.0] * 1_000_000))
background.save(checkpoint, sys.argv[1])
"""


def test_the_end_of_the_program_waits_and_tells_of_a_failure(tmp_path):
    def run(path):
        return subprocess.run([sys.executable, "-c", PROGRAM, path], check=True,
                              capture_output=True, text=True).stderr

    assert run(tmp_path / "ckpt") == ""
    with tfckpt.open(tmp_path / "ckpt-1") as source:
        assert tfckpt.verify(source).ok
    (tmp_path / "file").write_text("")
    assert "CheckpointWarning: a save in the background failed: StorageError: " in run(
        tmp_path / "file" / "ckpt")


def test_a_pending_save_writes_nothing_until_it_is_finished(tmp_path):
    saved = tfckpt.Checkpoint(v=tfckpt.Variable(1.0)).prepare(tmp_path / "ckpt")
    assert isinstance(saved, pending.PendingSave)
    assert list(tmp_path.iterdir()) == []
    assert saved.finish() == str(tmp_path / "ckpt-1")
    assert tfckpt.latest_checkpoint(tmp_path) == str(tmp_path / "ckpt-1")
