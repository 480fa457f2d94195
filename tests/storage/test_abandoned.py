"""Hidden folders of saves that were killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfckpt.core.residue import find_leftovers
from tfckpt.storage.abandoned import held
from tfckpt.storage.publish import Staging, replace_file

KILLED = """
import sys, time
from tfckpt.storage.publish import Staging
with Staging(sys.argv[1]) as staging:
    staging.write("data", [b"half of it"])
    print(staging.path(""), flush=True)
    time.sleep(60)
"""


def age(folder: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    for path in (*folder.iterdir(), folder):
        os.utime(path, (then, then))


@pytest.fixture
def saving(tmp_path):
    """A process in the middle of a save, and its hidden folder."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "m.index")],
                               stdout=subprocess.PIPE, text=True)
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()


def test_the_next_save_removes_what_a_killed_one_left_an_hour_ago(tmp_path, saving):
    process, folder = saving
    process.send_signal(signal.SIGKILL)
    process.wait()
    age(folder, 1.1)
    assert [leftover.path for leftover in find_leftovers(str(tmp_path))] == [str(folder)]
    replace_file(str(tmp_path / "other"), b"a save beside it")
    assert sorted(os.listdir(tmp_path)) == ["other"]


def test_what_was_left_a_moment_ago_stays(tmp_path, saving):
    process, folder = saving
    process.send_signal(signal.SIGKILL)
    process.wait()
    age(folder, 0.9)
    replace_file(str(tmp_path / "other"), b"a save beside it")
    assert (folder / "data").read_bytes() == b"half of it"


def test_a_save_that_takes_longer_than_an_hour_is_left_alone(tmp_path, saving):
    _, folder = saving
    age(folder, 50)
    replace_file(str(tmp_path / "other"), b"a save beside it")
    assert (folder / "data").read_bytes() == b"half of it"


def test_a_file_that_grows_keeps_a_folder_whose_lock_nobody_sees(tmp_path, saving):
    process, folder = saving
    process.send_signal(signal.SIGKILL)
    process.wait()
    age(folder, 50)
    os.utime(folder / "data")
    replace_file(str(tmp_path / "other"), b"a save beside it")
    assert (folder / "data").read_bytes() == b"half of it"


@pytest.mark.parametrize("name", [".tfckpt-mine", ".tfckpt-0123456789abcdef0",
                                  "tfckpt-0123456789abcdef"])
def test_folders_of_other_names_are_their_owners(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "data").write_bytes(b"mine")
    age(tmp_path / name, 50)
    replace_file(str(tmp_path / "other"), b"a save beside it")
    assert (tmp_path / name / "data").read_bytes() == b"mine"


def test_a_folder_is_held_as_long_as_its_save_goes_on(tmp_path):
    with Staging(str(tmp_path / "m")) as staging:
        with held(staging.path("")) as ours:
            assert not ours
    folder = tmp_path / "free"
    folder.mkdir()
    with held(str(folder)) as ours:
        assert ours
