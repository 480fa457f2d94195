"""What several commands share: their arguments, and how they print."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _ActionsContainer
from collections.abc import Iterable
from typing import Any

from tfckpt.errors import CheckpointError

__all__ = ["add_dtype", "add_jobs", "add_json", "add_path", "given_values", "print_error",
           "print_json", "print_lines", "print_notes"]

_COLOURS = {"FAIL": "\x1b[1;31m", "ok": "\x1b[32m", "warning:": "\x1b[1;33m",
            "differ": "\x1b[1;31m", "!": "\x1b[1;31m", "~": "\x1b[33m", "-": "\x1b[31m",
            "+": "\x1b[32m"}
_DTYPES_CALLED = {"half": "float16", "fp16": "float16", "f16": "float16",
                  "bf16": "bfloat16",
                  "float": "float32", "fp32": "float32", "f32": "float32",
                  "double": "float64", "fp64": "float64", "f64": "float64"}
_PLAIN = "\x1b[0m"


def add_path(parser: ArgumentParser) -> None:
    """The checkpoint that the command reads."""
    parser.add_argument("path", metavar="PATH", help="a checkpoint: its prefix, any of its files,"
                                                     " or the folder it is in")


def add_dtype(parser: _ActionsContainer, what: str, *, required: bool = False) -> None:
    """``--dtype``, by the dtypes' names or what people call them."""
    names = ["float16", "bfloat16", "float32", "float64"]
    parser.add_argument("--dtype", required=required, choices=names, help=what,
                        type=lambda text: _DTYPES_CALLED.get(text, text))


def add_json(parser: ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_jobs(parser: ArgumentParser) -> None:
    """``--jobs``."""
    parser.add_argument("-j", "--jobs", type=_positive, metavar="N",
                        help="how many threads may read (default: one per core)")


def given_values(options: Namespace) -> dict[str, float]:
    """What ``--hyper``, ``--lr`` and ``--iterations`` say of an optimizer."""
    given = dict(options.hyper)
    if options.lr is not None:
        given["learning_rate"] = options.lr
    if options.iterations is not None:
        given["iterations"] = options.iterations
    return given


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError("expected 1 or more")
    return int(text)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines to standard output; on a terminal, colour the words that tell good from bad."""
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for line in lines:
        word = line.partition(" ")[0]
        if coloured and word in _COLOURS:
            print(_COLOURS[word] + word + _PLAIN + line[len(word):])
        else:
            print(line)


def print_error(error: CheckpointError) -> None:
    """Say on standard error what went wrong."""
    from tfckpt.report.text import render_error  # deferred: rarely needed

    sys.stdout.flush()
    print("\n".join(render_error(error)), file=sys.stderr)


def print_notes(notes: Iterable[str]) -> None:
    """Say on standard error what was corrected in a path."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print a JSON value."""
    import json  # deferred: few ask for it

    print(json.dumps(value, indent=2, allow_nan=False))
