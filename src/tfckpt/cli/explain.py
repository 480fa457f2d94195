"""``tfckpt explain``: what an error message of TensorFlow or Keras means."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from tfckpt.cli.options import add_json, print_json, print_lines
from tfckpt.core.discovery import discover
from tfckpt.errors import CheckpointError, CheckpointNotFoundError
from tfckpt.report.explain import (
    Match,
    explanation_json,
    find_explanation,
    nearest_explanations,
    placeholders,
    render_explanation,
    render_unknown,
)
from tfckpt.report.explanations import EXPLANATIONS

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """Say what an error message of TensorFlow or Keras means, and what helps.

With CKPT, look at that checkpoint and say whether the cause applies to it. Without, a path in
the message is looked at, if it is there.

Exit status: 0 the message is known, 1 it isn't, 2 CKPT can't be read."""
EPILOG = """Examples:
  tfckpt explain "Key output_bias not found in checkpoint" model.ckpt-1000
  python train.py 2>&1 | tfckpt explain - runs/exp1
  tfckpt explain --list"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("text", metavar="TEXT", nargs="?",
                        help="the message, or a whole traceback; - reads standard input")
    parser.add_argument("path", metavar="CKPT", nargs="?", help="the checkpoint that it is about")
    parser.add_argument("--ckpt", metavar="CKPT", help="the same, by name")
    parser.add_argument("--list", action="store_true", help="show the messages that are known")
    add_json(parser)


def run(options: Namespace) -> int:
    """Explain it."""
    if options.list:
        return _list(as_json=options.json)
    if options.text is None:
        print("error: give the message as TEXT, or - to read it from standard input",
              file=sys.stderr)
        return 2
    text = sys.stdin.read() if options.text == "-" else options.text
    match = find_explanation(text)
    if match is None:
        if options.json:
            print_json({"name": None, "nearest": nearest_explanations(text)})
        else:
            print_lines(render_unknown(text))
        return 1
    path = options.ckpt or options.path
    looked = path or _path_in(match)
    diagnosis = None
    if looked is not None and match.explanation.look:
        from tfckpt.core.diagnosis import diagnose  # deferred: a message alone needs none of it

        diagnosis = diagnose(match.explanation.look, match.facts, looked)
    if options.json:
        print_json(explanation_json(match, diagnosis, looked if diagnosis else path))
    else:
        print_lines(render_explanation(match, diagnosis, looked if diagnosis else path))
    return 0


def _path_in(match: Match) -> str | None:
    """The path in a message, if something is there."""
    path = match.facts.get("path") or match.facts.get("folder")
    if path is None:
        return None
    try:
        discover(path)
    except CheckpointNotFoundError:
        return None
    except CheckpointError:  # a file of another kind: that is what there is to say
        return path
    return path


def _list(*, as_json: bool) -> int:
    if as_json:
        print_json([{"name": item.name, "texts": list(item.texts)} for item in EXPLANATIONS])
    else:
        for item in EXPLANATIONS:
            print(f"{item.name}\n" + "\n".join(f"  {placeholders(text)}" for text in item.texts))
    return 0
