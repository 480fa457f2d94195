"""Make the TensorFlow environments that the compatibility tests and the benchmark use.

``python tools/tensorflow_envs.py [NAME ...]`` makes ``.envs/NAME`` for each table of
``tests/compat/environments.toml`` (all of them without a name), and leaves one that is
already complete alone. An environment that can't be made here is not an error: the
reason is printed and kept in ``.envs/NAME.skipped``, where the tests find it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPECS = ROOT / "tests" / "compat" / "environments.toml"
ENVS = ROOT / ".envs"


def read_specs(path: Path = SPECS) -> dict[str, dict[str, object]]:
    """Name of each environment to its ``python`` version and ``requirements``."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(path.read_text(encoding="utf-8"))


def find_python(version: str) -> str | None:
    """Path of an interpreter of this minor version, or None.

    A name on PATH may be a shim that refuses to run, so each candidate is tried.
    """
    names = [shutil.which(f"python{version}"), sys.executable]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    names += sorted(str(p) for p in pyenv.glob(f"versions/{version}.*/bin/python"))
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    for name in filter(None, names):
        try:
            answer = subprocess.run([name, "-c", ask], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if answer.stdout.strip() == version:
            return name
    return None


def fingerprint(spec: dict[str, object]) -> str:
    """Changes when the environment has to be made anew."""
    return hashlib.sha256(repr(sorted(spec.items())).encode()).hexdigest()


def make(name: str, spec: dict[str, object]) -> str | None:
    """Make one environment.

    Returns:
        None if it is there now, else the reason why it can't be.
    """
    home = ENVS / name
    stamp = home / "complete"
    if stamp.exists() and stamp.read_text() == fingerprint(spec):
        return None
    python = find_python(str(spec["python"]))
    if python is None:
        return f"no Python {spec['python']} on this machine"
    shutil.rmtree(home, ignore_errors=True)
    print(f"{name}: installing {' '.join(spec['requirements'])}", flush=True)
    steps = [
        [python, "-m", "venv", str(home)],
        [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *spec["requirements"]],
        [str(home / "bin" / "python"), "-c", f"import {spec.get('imports', 'tensorflow')}"],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines()
            reason = re.sub(r"\s+", " ", words[-1]) if words else f"exit status {done.returncode}"
            return f"{' '.join(step[1:3])} failed: {reason}"
    stamp.write_text(fingerprint(spec))
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args().names
    specs = read_specs()
    ENVS.mkdir(exist_ok=True)
    for name in names or specs:
        if name not in specs:
            parser.error(f"no environment {name!r}; there are {', '.join(specs)}")
        reason = make(name, specs[name])
        note = ENVS / f"{name}.skipped"
        if reason is None:
            note.unlink(missing_ok=True)
            print(f"{name}: ready")
        else:
            note.write_text(reason + "\n")
            print(f"{name}: not made: {reason}")


if __name__ == "__main__":
    main()
