"""What README and the docs say is what happens."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import tfckpt
from helpers import ROOT
from tfckpt.cli import main

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def in_copy(tmp_path, monkeypatch):
    """A folder with only the examples in it, as the working directory."""
    (tmp_path / "examples").mkdir()
    for name in ("tf1", "pytorch.json"):
        os.symlink(ROOT / "examples" / name, tmp_path / "examples" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(kind: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def matches(expected: str, got: str) -> bool:
    """Compare, with … for any text and any run of spaces for any other."""
    pattern = "".join(".*" if part == "…" else r"\s+" if part.isspace() else re.escape(part)
                      for part in re.split(r"(…|\s+)", expected))
    return re.fullmatch(pattern, got, re.DOTALL) is not None


@pytest.mark.parametrize("page", ["README.md", "docs/edit.md", "docs/formats.md", "docs/maps.md"])
def test_the_commands_of_a_page_print_what_it_says(in_copy, page):
    text = (ROOT / page).read_text(encoding="utf-8")
    commands = [part for block in blocks("console", text)
                for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(commands) >= 6
    for part in commands:
        command, _, expected = part.partition("\n")
        words = shlex.split(command)
        assert words[0] == "tfckpt"
        done = subprocess.run([sys.executable, "-m", "tfckpt.cli.main", *words[1:]],
                              capture_output=True, text=True, check=False)
        assert matches(expected, done.stderr + done.stdout), command + "\n" + done.stdout


@pytest.mark.parametrize("page", ["README.md", "docs/formats.md"])
def test_the_python_of_a_page_runs(in_copy, page):
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    names: dict = {}
    for number, block in enumerate(blocks("python", (ROOT / page).read_text(
            encoding="utf-8"))):
        test = parser.get_doctest(block, names, f"{page} block {number}", page, 0)
        runner.run(test, clear_globs=False)
        names = test.globs
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries > 3


def test_the_demo_runs():
    """`make demo` is this, in an environment of its own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["sh", "examples/demo.sh"], cwd=ROOT, capture_output=True, text=True,
                          check=False, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("byte for byte what TensorFlow wrote.\n")


def test_every_command_is_in_the_readme_or_its_docs():
    text = README + "".join(path.read_text(encoding="utf-8")
                            for path in (ROOT / "docs").glob("*.md"))
    for command in main._COMMANDS:
        assert f"tfckpt {command}" in text, command


def test_the_front_door_exports_what_it_lists():
    assert sorted(tfckpt.__all__) == tfckpt.__all__
    for name in tfckpt.__all__:
        assert getattr(tfckpt, name).__doc__, name


def test_every_module_lists_what_it_exports():
    for path in sorted((ROOT / "src" / "tfckpt").rglob("*.py")):
        if path.name not in ("__init__.py", "_version.py"):
            assert "__all__ = [" in path.read_text(encoding="utf-8"), path


def test_every_room_and_make_target_in_the_docs_exists():
    architecture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for room in re.findall(r"^\| `(\w+)/`", architecture, re.MULTILINE):
        assert (ROOT / "src" / "tfckpt" / room).is_dir(), room
    for file in re.findall(r"`(\w+/\w+\.py)`", architecture):
        assert any((ROOT / base / file).exists() for base in ("src/tfckpt", ".")), file
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for target in re.findall(r"`make (\w+)`", README + contributing):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
