"""``tfckpt select``: some of a checkpoint's tensors."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.edits import add_data, add_edit_arguments, note_size, pattern, print_edit
from tfckpt.cli.options import add_path
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.select import select

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Keep some of a checkpoint's tensors, without moving their data.

A REGEX is searched in the name: the key in TF1, the path without
/.ATTRIBUTES/VARIABLE_VALUE in TF2. Optimizer slots and moving averages stay and go with
their variable. The object graph no longer names what is dropped. The data files are
linked as they are; --data pack writes only what is kept."""
EPILOG = """Examples:
  tfckpt select model.ckpt-1000 --drop '^classifier/' -o body.ckpt
  tfckpt select model.ckpt-1000 --keep '^encoder/' --drop bias -o encoder.ckpt --dry-run"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    parser.add_argument("--keep", type=pattern, metavar="REGEX",
                        help="keep only what it is found in")
    parser.add_argument("--drop", type=pattern, metavar="REGEX", help="drop what it is found in")
    add_edit_arguments(parser)
    add_data(parser)


def run(options: Namespace) -> int:
    """Select them."""
    with progress_bar("writing") as progress:
        report = select(options.path, options.output, keep=options.keep, drop=options.drop,
                        data=options.data, overwrite=options.overwrite, dry_run=options.dry_run,
                        progress=progress)
    note_size(report, options)
    return print_edit(report, options)
