"""``tfckpt inspect``: what a checkpoint is."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.options import add_json, add_path, print_json, print_lines, print_notes
from tfckpt.core.opening import open_source
from tfckpt.core.summary import summarize
from tfckpt.report.json import summary_json
from tfckpt.report.text import render_summary

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = "Say what a checkpoint is: its style, step, and tensors and bytes by role."
EPILOG = """Examples:
  tfckpt inspect runs/exp1
  tfckpt inspect model.ckpt-1000.data-00000-of-00001"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    """Say what it is."""
    with open_source(options.path) as source:
        summary = summarize(source)
    print_notes(summary.notes)
    if options.json:
        print_json(summary_json(summary))
    else:
        print_lines(render_summary(summary))
    return 0
