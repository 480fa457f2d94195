"""Syncs beside the writer."""

from __future__ import annotations

import threading

import pytest

from tfckpt.storage.earlysync import EarlySync
from tfckpt.storage.publish import Staging


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "tfckpt sync"]


def test_the_last_sync_comes_after_the_last_byte():
    written: list[int] = []
    seen: list[list[int]] = []
    with EarlySync(lambda: seen.append(list(written)), every=1) as early:
        for n in range(5):
            written.append(n)
            early.more(1)
        early.finish()
        early.wait()
    assert seen[-1] == [0, 1, 2, 3, 4]
    assert threads() == []


def test_little_work_is_synced_without_a_thread():
    where: list[str] = []
    with EarlySync(lambda: where.append(threading.current_thread().name), every=10) as early:
        early.more(9)
        early.wait()
    assert where == [threading.current_thread().name]


def test_early_syncs_run_while_more_is_written():
    synced = threading.Event()
    with EarlySync(synced.set, every=10) as early:
        early.more(9)
        assert threads() == [], "a thread for a few bytes"
        early.more(1)
        assert synced.wait(10), "nothing was synced before the end"
        early.finish()
        early.wait()


@pytest.mark.parametrize("n_good", [0, 2])
def test_an_error_of_an_early_sync_is_raised_even_if_the_last_would_have_none(n_good):
    """The system tells one caller that a disk failed, and the next one that all is well."""
    calls: list[int] = []
    begun = threading.Semaphore(0)

    def sync():
        calls.append(1)
        begun.release()
        if len(calls) == n_good + 1:
            raise OSError(5, "Input/output error")

    with EarlySync(sync, every=1) as early:
        for _ in range(n_good + 1):
            early.more(1)
            assert begun.acquire(timeout=10)
        early.finish()
        with pytest.raises(OSError, match="Input/output error"):
            early.wait()
    assert len(calls) == n_good + 1
    assert threads() == []


def test_who_gives_up_leaves_no_thread():
    with EarlySync(lambda: None, every=1) as early:
        early.more(1)
    assert threads() == []


def test_files_that_go_away_meanwhile_need_no_sync(tmp_path, monkeypatch):
    with Staging(str(tmp_path / "m")) as staging:
        for name in "abc":
            staging.write(name, [b"bytes"])
        walked = [(staging.path(""), [], ["a", "gone", "b", "c"]), (staging.path("moved"), [], [])]
        monkeypatch.setattr("os.walk", lambda folder: walked)
        staging.sync()
