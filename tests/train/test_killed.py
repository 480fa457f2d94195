"""A training process that is killed while it saves loses nothing that was saved before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tfckpt

# Saves without end: each checkpoint holds its number, many times over.
TRAINING = """
import sys
import numpy as np
import tfckpt
kind, folder = sys.argv[1:]
background = tfckpt.BackgroundSaves()
parts = [tfckpt.Variable(np.zeros(20_000, "float32"), name=f"v{n}") for n in range(5)]
checkpoint = tfckpt.Checkpoint(parts=parts)
manager = tfckpt.CheckpointManager(checkpoint, folder + "/tf2", max_to_keep=2)
saver = tfckpt.Saver(parts, max_to_keep=2)
for number in range(1, 1_000_000):
    for part in parts:
        part.assign(np.full(20_000, number, "float32"))
    if kind == "saver":
        saver.save(None, folder + "/tf1/m", global_step=number)
    elif kind == "manager":
        manager.save()
    elif kind == "overwrite":
        saver.save(None, folder + "/tf1/m")
    elif kind == "both":
        tfckpt.save_both(saver, manager, folder + "/tf1/m", global_step=number)
    elif kind == "manager in the background":
        background.save(manager)
    else:
        background.save_both(saver, manager, folder + "/tf1/m", global_step=number)
    # In the background the save before this one has ended.
    print(number - kind.endswith("background"), flush=True)
"""


def check(folder: str, least: int) -> int:
    """The number of the latest checkpoint, all of whose tensors must be whole and equal."""
    latest = tfckpt.latest_checkpoint(folder)
    assert latest is not None
    with tfckpt.open(latest) as source:
        assert tfckpt.verify(source).ok
        numbers = {float(value) for key, entry in source.index.items()
                   if entry.dtype.name == "float32" for value in np.unique(source[key])}
    assert len(numbers) == 1
    number = int(numbers.pop())
    assert number >= least
    return number


@pytest.mark.parametrize(("kind", "folders"), [
    ("saver", ["tf1"]), ("overwrite", ["tf1"]), ("manager", ["tf2"]), ("both", ["tf1", "tf2"]),
    ("manager in the background", ["tf2"]), ("both in the background", ["tf1", "tf2"])])
def test_a_save_killed_at_any_instant_leaves_a_whole_latest_checkpoint(tmp_path, kind, folders):
    script = tmp_path / "training.py"
    script.write_text(TRAINING)
    for attempt in range(12):
        folder = tmp_path / f"run{attempt}"
        (folder / "tf1").mkdir(parents=True)
        process = subprocess.Popen([sys.executable, script, kind, str(folder)],
                                   stdout=subprocess.PIPE, text=True)
        for _ in range(2):
            process.stdout.readline()
        time.sleep(0.0013 * attempt)  # somewhere in one of the next saves
        os.kill(process.pid, signal.SIGKILL)
        done = [line for line in process.stdout.read().splitlines(keepends=True)
                if line.endswith("\n")]
        process.stdout.close()
        process.wait()
        # These saves had ended.
        least = int(done[-1]) if done else 2 - kind.endswith("background")
        for name in folders:
            check(str(folder / name), least)
