"""``tfckpt rm``: remove one checkpoint."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.options import add_json, print_json, print_lines, print_notes
from tfckpt.report.json import removal_json
from tfckpt.report.text import render_removal
from tfckpt.train.state import remove_and_unlist

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Remove all files of one checkpoint, and its entry in the state file of its folder.

It asks nothing. Every character of PREFIX stands for itself; there are no patterns, and
a folder or a single file is refused."""
EPILOG = """Examples:
  tfckpt rm runs/exp1/model.ckpt-1000
  tfckpt rm --dry-run runs/exp1/model.ckpt-1000"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", metavar="PREFIX", help="the prefix of a checkpoint")
    parser.add_argument("--dry-run", action="store_true",
                        help="print what would be removed; remove nothing")
    add_json(parser)


def run(options: Namespace) -> int:
    """Remove it."""
    removal = remove_and_unlist(options.path, dry_run=options.dry_run)
    print_notes(removal.notes)
    if options.json:
        print_json(removal_json(removal))
    else:
        print_lines(render_removal(removal))
    return 0
