"""``tfckpt list``: what a folder holds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.options import add_json, print_json, print_lines, print_notes
from tfckpt.core.catalog import read_catalog
from tfckpt.report.json import catalog_json
from tfckpt.report.text import render_catalog

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """List the checkpoints of a folder: state, name, step, size.

  latest      whole, and the newest by the state file
  listed      whole, and in the state file
  orphan      whole, but the state file doesn't know it
  incomplete  an index without all its data, or data without their index
  leftover    of a save that did not finish, or is at work
  gone        in the state file, but not there

Only names, sizes and indexes are looked at; `tfckpt verify` reads every byte."""
EPILOG = """Examples:
  tfckpt list runs/exp1
  tfckpt list --json runs/exp1"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", metavar="DIR", help="a folder")
    add_json(parser)


def run(options: Namespace) -> int:
    """List them."""
    catalog = read_catalog(options.path)
    print_notes(catalog.notes)
    if options.json:
        print_json(catalog_json(catalog))
    else:
        print_lines(render_catalog(catalog))
    return 0
