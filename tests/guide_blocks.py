"""The blocks of docs/guide.md: what they are called, and what they print in which environment."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from helpers import ROOT

PAGE = ROOT / "docs" / "guide.md"
RUNNER = Path(__file__).parent / "compat" / "guide_scripts.py"
TABLE_START = "| snippet | no TensorFlow |"

# Environment and variables of each column with TensorFlow.
COLUMNS = {
    "TensorFlow 2.15": ("tf2.15", {}),
    "2.21, Keras 3": ("tf2.21", {"TF_USE_LEGACY_KERAS": "0"}),
    "2.21, `tf_keras`": ("tf2.21", {"TF_USE_LEGACY_KERAS": "1"}),
}
# Why a snippet has no block in the half without TensorFlow.
WITHOUT = {
    8: "TF1 code computes with TensorFlow", 16: "an Estimator is TensorFlow's",
    17: "an Estimator is TensorFlow's", 18: "an Estimator is TensorFlow's",
    19: "an Estimator is TensorFlow's", 20: "Keras trains", 21: "Keras saves",
    22: "a model is Keras's", 30: "its session is TensorFlow's",
}
NEEDS = {"tf.estimator": "TensorFlow has no `tf.estimator` any more",
         "Keras 2": "Keras 3 can't save in this format",
         "Keras 3": "Keras 2 saves in this format itself"}

_BLOCK = re.compile(r"(?:^<!-- (\d+) ?([^;\n]*?)(?:; needs ([^\n]*?))? ?-->\n)?"
                    r"^```python( tensorflow)?\n(.*?)^```\n(?:\s*^```text\n(.*?)^```)?",
                    re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code: its row in the table, what it needs, and what it says that it prints."""

    row: int
    title: str
    needs: str
    is_live: bool
    code: str
    expected: str


def blocks(text: str | None = None) -> list[Block]:
    """All of them in order; row 0 has those that show what the guide doesn't have."""
    text = PAGE.read_text(encoding="utf-8") if text is None else text
    return [Block(int(row or 0), title, needs, bool(live), code, expected)
            for row, title, needs, live, code, expected in _BLOCK.findall(text)]


def prints(block: Block, output: str) -> bool:
    """Whether an output is what the page says."""
    return re.fullmatch(re.escape(block.expected).replace("…", ".*"), output) is not None


def run_plain(folder: Path) -> list[str]:
    """What each block without TensorFlow prints."""
    names: dict = {}
    printed = []
    before = os.getcwd()
    os.chdir(folder)
    try:
        for block in blocks():
            if not block.is_live:
                out = io.StringIO()
                with contextlib.redirect_stdout(out):
                    exec(compile(block.code, "docs/guide.md", "exec"), names)
                printed.append(out.getvalue())
    finally:
        os.chdir(before)
    return printed


def run_live(column: str, folder: Path, text: str | None = None) -> list[dict]:
    """What each block with TensorFlow printed, or why it didn't run; ours is the guide's page."""
    environment, variables = COLUMNS[column]
    done = subprocess.run(
        [ROOT / ".envs" / environment / "bin" / "python", RUNNER],
        input=json.dumps([(block.code, block.needs) for block in blocks(text)
                          if block.is_live]),
        cwd=folder, stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT / "src"),
             "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"})
    return json.loads(done.stdout.splitlines()[-1])


def cell(block: Block, result: dict) -> str:
    """What the table says of a run.

    Raises:
        AssertionError: It failed, or printed something else than the page says.
    """
    if result["lacks"]:
        return f"– {NEEDS[result['lacks']]}"
    assert not result["error"], f"{block.title}\n{result['error']}"
    assert prints(block, result["printed"]), f"{block.code}\n{result['printed']}"
    return "equal" if block.expected else "ran"


def table(plain: list[str], live: dict[str, list[dict]]) -> str:
    """The table of the page, of what ran."""
    ours = [block for block in blocks() if not block.is_live]
    theirs = [block for block in blocks() if block.is_live]
    without = {}
    for block, printed in zip(ours, plain, strict=True):
        if block.row:
            without[block.row] = cell(block, {"lacks": "", "error": "", "printed": printed})
    lines = [f"{TABLE_START} {' | '.join(live)} |", "|---" * (2 + len(live)) + "|"]
    for n, block in enumerate(theirs):
        cells = [without.get(block.row) or f"– {WITHOUT[block.row]}",
                 *(cell(block, results[n]) for results in live.values())]
        lines.append(f"| {block.row}. {block.title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
