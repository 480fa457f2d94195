"""Real TensorFlow of several versions, each in a process of its own environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers import ROOT

ENVS = ROOT / ".envs"
VERSIONS = ("tf1.15", "tf2.15", "tf2.21")


class TensorFlowError(AssertionError):
    """TensorFlow raised; the text is its traceback."""


class Live:
    """One TensorFlow; calls functions of snippets.py in it.

    Args:
        version: The environment.
        backend: That of Keras 3, if it is needed.
        config: ``TF_CONFIG``, for one of several workers.
    """

    def __init__(self, version: str, backend: str = "", config: str = "") -> None:
        self.version = version
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1",
                 "PYTHONWARNINGS": "ignore"}
        if version != "tf1.15":  # whose Python is older than tfckpt's
            quiet["PYTHONPATH"] = str(ROOT / "src")
        if backend:
            quiet["KERAS_BACKEND"] = backend
        if config:
            quiet["TF_CONFIG"] = config
        self._process = subprocess.Popen(
            [ENVS / version / "bin" / "python", Path(__file__).with_name("worker.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=quiet)

    def __call__(self, function: str, module: str = "snippets", **arguments: Any) -> Any:
        """Value of a function of a module beside this one.

        Raises:
            TensorFlowError: It raised.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"module": module, "function": function, "arguments": arguments},
                               default=str) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise TensorFlowError(f"TensorFlow {self.version} ended the process in {function}")
        answer = json.loads(line)
        if "error" in answer:
            raise TensorFlowError(answer["error"])
        return answer["value"]

    def kill(self) -> None:
        """End it at once; a cluster takes its time."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


_running: dict[str, Live] = {}


def live(version: str, backend: str = "") -> Live:
    """The running framework of this version; skips the test, with the reason, without one.

    Args:
        version: The environment.
        backend: That of Keras 3, if it is needed; each has a process of its own.
    """
    name = f"{version} {backend}"
    if name not in _running:
        if not (ENVS / version / "complete").exists():
            note = ENVS / f"{version}.skipped"
            reason = note.read_text().strip() if note.exists() else "run make envs"
            pytest.skip(f"no environment {version}: {reason}")
        _running[name] = Live(version, backend)
    return _running[name]


def close_all() -> None:
    for process in _running.values():
        process.close()
    _running.clear()
