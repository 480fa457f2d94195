"""State files, retention and managers, compared with real TensorFlow.

`state_scripts` runs the same scripts in both.
"""

from __future__ import annotations

import os
import random
import shutil
import warnings
from pathlib import Path

import pytest
import state_scripts

import tfckpt
from helpers import GOLDENS
from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointWarning
from tfckpt.train.manager import CheckpointManager
from tfckpt.train.retention import Retention
from tfckpt.train.state import (
    checkpoint_exists,
    get_checkpoint_state,
    latest_checkpoint,
    remove_checkpoint,
    write_state,
)

MODULE = "state_scripts"
HOUR = 3600.0


def write(prefix, count=1) -> str:
    """A real checkpoint that has a save counter."""
    outputs = (given_int64("save_counter/.ATTRIBUTES/VARIABLE_VALUE", count, "little"),)
    write_plan(Plan(outputs, "object-based"), str(prefix), overwrite=True)
    return str(prefix)


class Counter:
    """A variable."""

    def __init__(self) -> None:
        self.value = 0

    def assign_add(self, delta: int) -> None:
        self.value += delta

    def numpy(self) -> int:
        return self.value


class Checkpoint:
    """Saves how often it was saved, and nothing else."""

    def __init__(self) -> None:
        self.save_counter = Counter()

    def write(self, prefix: str) -> str:
        return write(prefix, self.save_counter.value)

    def restore(self, prefix: str) -> None:
        with tfckpt.open(prefix) as source:
            self.save_counter.value = int(source["save_counter"])


def managers_here(parent, relative, script):
    clock = state_scripts.Clock()

    def make(folder, **options):
        return CheckpointManager(Checkpoint(), folder, clock=clock, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        return state_scripts.run(parent, relative, script, state_scripts.Managers(make, clock))


def savers_here(parent, relative, script):
    clock = state_scripts.Clock()

    def make(max_to_keep=5, keep_checkpoint_every_n_hours=10000.0, save_relative_paths=False):
        return Retention(max_to_keep, keep_checkpoint_every_n_hours,
                         save_relative_paths=save_relative_paths, clock=clock)

    def save(retention, path):
        retention.saved(write(path))

    return state_scripts.run(parent, relative, script, state_scripts.Savers(make, save, clock))


def manager_script(seed) -> list:
    """Restarts with other limits, given numbers, and a clock that also jumps back."""
    rng = random.Random(seed)
    script = []
    for _ in range(4):
        script.append(["start", {
            "max_to_keep": rng.choice([None, 1, 2, 3]),
            "keep_checkpoint_every_n_hours": rng.choice([None, 0.5, 1.0, 1.5])}])
        for _ in range(rng.randrange(6)):
            after = rng.choice([0.0, 1.0, 0.3 * HOUR, HOUR, 2 * HOUR] + [-3 * HOUR] * (seed % 3))
            number = rng.choice([None, None, None, rng.randrange(6)])
            script.append(["save", {"after": after, "number": number}])
    return script


def saver_script(seed) -> list:
    """Restarts with other limits and with lists that are handed over, and repeated names."""
    rng = random.Random(seed)
    script = []
    for n in range(3):
        script.append(["start", {
            "max_to_keep": rng.choice([None, 0, 1, 2, 3]),
            "keep_checkpoint_every_n_hours": rng.choice([0.5, 1.0, 10000.0]),
            "save_relative_paths": rng.random() < 0.5}])
        if n and rng.random() < 0.7:
            names = [f"m-{k}" for k in range(6)]
            script.append([rng.choice(["recover", "set"]), {"names": names[:rng.randrange(6)]}])
        for _ in range(rng.randrange(1, 6)):
            after = rng.choice([0.0, 1.0, 0.3 * HOUR, HOUR, 2 * HOUR])
            script.append(["save", {"after": after, "name": f"m-{rng.randrange(6)}"}])
    return script


@pytest.mark.parametrize("seed", range(24))
def test_managers_keep_and_delete_as_tensorflow_does(tmp_path, tf2, seed):
    """Behaviours 26, 27, 31 to 33 and 35, and every state file byte for byte."""
    script, relative = manager_script(seed), seed % 2 == 0
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    assert tf2("managers_in_tensorflow", MODULE, parent=tmp_path / "theirs", relative=relative,
                 script=script) == managers_here(str(tmp_path / "ours"), relative, script)


@pytest.mark.parametrize("seed", range(24))
def test_savers_keep_and_delete_as_tensorflow_does(tmp_path, tf115, seed):
    """Behaviours 26 to 31, and every state file byte for byte."""
    script, relative = saver_script(seed), seed % 2 == 0
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    assert tf115("savers_in_tensorflow", MODULE, parent=tmp_path / "theirs", relative=relative,
                 script=script) == savers_here(str(tmp_path / "ours"), relative, script)


def calls(cwd) -> list[dict]:
    """Arguments of state files: every form of folder, path and list."""
    found = []
    for save_dir, path in (("run", "run/m-2"), (f"{cwd}/run", f"{cwd}/run/m-2"), ("", "m-2"),
                           (f"{cwd}/run", "m-2"), ("run", f"{cwd}/run/m-2"), ("./run", "run/m-2"),
                           ("run", "run/sub/m-2"), ("run", "run/"), ("run", "./run/m'\"2")):
        for others in ([], ["-old"], ["-old", ""]):
            paths = [path + other for other in others]
            found.append({"save_dir": save_dir, "model_checkpoint_path": path,
                          "all_model_checkpoint_paths": paths})
            # There TensorFlow leaves the folder by one step too many.
            if not (os.path.isabs(path) and not os.path.isabs(save_dir)):
                found.append({**found[-1], "save_relative_paths": True})
    found += [{"save_dir": "run", "model_checkpoint_path": "run/m-2",
               "all_model_checkpoint_paths": ["run/m-1", "run/m-2"],
               "all_model_checkpoint_timestamps": times, "last_preserved_timestamp": times[1]}
              for times in ([1, 1e16], [1795420182.7253654, 1e-7], [0.1 + 0.2, 1234567890123.45])]
    found.append({"save_dir": "run", "model_checkpoint_path": "run/m-2",
                  "all_model_checkpoint_paths": [], "last_preserved_timestamp": 0.0})
    return [{**call, "latest_filename": f"state-{n}"} for n, call in enumerate(found)]


def test_state_files_are_written_byte_for_byte(tmp_path, tf, monkeypatch):
    """Behaviours 18 to 20."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    arguments = calls(cwd)
    tf("write_states", MODULE, cwd=cwd, calls=arguments)
    for call in arguments:
        file = Path(call["save_dir"], call["latest_filename"])
        theirs = file.read_bytes()
        write_state(**call)
        assert theirs == file.read_bytes(), call


@pytest.mark.parametrize("writer", ["ours", "theirs"])
def test_state_files_are_read_alike(tmp_path, tf, writer, monkeypatch):
    """Behaviours 18 to 21."""
    monkeypatch.chdir(tmp_path)
    folders = []
    names = (("run", "m-2"), ("über größe 漢", "ä"), ("q'\"", "m\\2\t"))
    for n, (folder, name) in enumerate(names):
        for relative in (False, True):
            path = write(os.path.join(f"{n}{relative} {folder}", name))
            folder_path = os.path.dirname(path)
            call = {"save_dir": folder_path, "model_checkpoint_path": path,
                    "all_model_checkpoint_paths": [path + "-old", path],
                    "all_model_checkpoint_timestamps": [1.5, 1795420182.7253654],
                    "last_preserved_timestamp": 0.25, "save_relative_paths": relative}
            if writer == "ours":
                write_state(**call)
            else:
                tf("write_states", MODULE, cwd=tmp_path, calls=[call])
            folders.append(folder_path)
    here = [[state.model_checkpoint_path, list(state.all_model_checkpoint_paths),
             list(state.all_model_checkpoint_timestamps), state.last_preserved_timestamp,
             latest_checkpoint(folder)]
            for folder in folders for state in [get_checkpoint_state(folder)]]
    theirs = tf("read_states", MODULE, cwd=tmp_path, folders=folders)
    for ours, real in zip(here, theirs, strict=True):
        if "\\" in ours[0]:  # TensorFlow looks for a pattern, in which that is an escape
            ours[4] = real[4]
        assert ours == real


@pytest.mark.parametrize("path", ["v2", "v2x", "v1", "sharded-?????-of-00003", "gone", "only_data"])
@pytest.mark.parametrize("version", [1, 2])
def test_checkpoints_exist_and_are_removed_alike(tmp_path, tf, path, version):
    """Behaviour 24."""
    folders = []
    for name in ("ours", "theirs"):
        folder = tmp_path / name
        write(folder / "v2")
        write(folder / "v2x")
        for ending in ("v1", *(f"sharded-{n:05d}-of-00003" for n in range(3))):
            shutil.copy(GOLDENS / "tf1.15" / "v1.ckpt", folder / ending)
        for graph in ("v2", "v1", "sharded", "only_data"):
            (folder / f"{graph}.meta").write_bytes(b"graph")
        for shard in ("v2.data-00001-of-00002", "only_data.data-00000-of-00001"):
            (folder / shard).write_bytes(b"data")
        folders.append(folder)
    ours, theirs = folders
    assert tf("existing", MODULE, paths=[theirs / path]) == [checkpoint_exists(ours / path)]
    remove_checkpoint(ours / path, version)
    tf("remove", MODULE, path=theirs / path, version=version)
    assert sorted(os.listdir(theirs)) == sorted(os.listdir(ours))
