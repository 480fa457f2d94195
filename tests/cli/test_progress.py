from __future__ import annotations

import io
import sys

from tfckpt.cli.progress import progress_bar
from tfckpt.core.plan import no_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_no_bar_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar("verifying") as progress:
        assert progress is no_progress
        progress(1, 2)


def test_no_bar_for_short_work(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    clock = Clock()
    with progress_bar("verifying", clock) as progress:
        for done in range(10):
            clock.now += 0.1
            progress(done, 10)
        progress(10, 10)
    assert sys.stderr.getvalue() == ""


def test_a_bar_after_a_second_on_standard_error(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    clock = Clock()
    with progress_bar("verifying", clock) as progress:
        progress(1, 100)
        clock.now = 1.5
        progress(50_000_000, 100_000_000)
    assert "verifying" in sys.stderr.getvalue()
    assert "50.0/100.0 MB" in sys.stderr.getvalue()
    assert capsys.readouterr().out == ""
