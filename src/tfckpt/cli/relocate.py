"""``tfckpt relocate``: repair the state file of a folder that was moved."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.options import add_json, print_json, print_lines
from tfckpt.report.json import relocation_json
from tfckpt.report.text import render_relocation
from tfckpt.train.state import relocate

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Rewrite a folder's state file so that it has relative paths, of checkpoints that exist.

TensorFlow writes absolute paths by default, and they die when the folder is moved. What is
nowhere leaves the list; if that was the latest, the last that is left takes its place."""
EPILOG = """Examples:
  tfckpt relocate runs/exp1
  tfckpt relocate --dry-run runs/exp1"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", metavar="DIR", help="a folder with a state file")
    parser.add_argument("--dry-run", action="store_true",
                        help="print what would change; write nothing")
    add_json(parser)


def run(options: Namespace) -> int:
    """Rewrite it."""
    relocation = relocate(options.path, dry_run=options.dry_run)
    if options.json:
        print_json(relocation_json(relocation))
    else:
        print_lines(render_relocation(relocation))
    return 0
