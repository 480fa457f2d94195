"""``tfckpt verify``: is a checkpoint whole."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.options import add_json, add_path, print_json, print_lines, print_notes
from tfckpt.cli.progress import progress_bar
from tfckpt.core.opening import open_source
from tfckpt.core.report import Problem, VerifyReport
from tfckpt.core.verify import verify
from tfckpt.errors import FormatError
from tfckpt.report.json import verify_json
from tfckpt.report.text import render_verify

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """Check every checksum and size of a checkpoint; name what is damaged.

Exit status: 0 whole, 1 damaged, 2 there is no checkpoint to check."""
EPILOG = """Examples:
  tfckpt verify runs/exp1
  tfckpt verify --quick model.ckpt-1000 && echo whole"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    parser.add_argument("--quick", action="store_true",
                        help="compare only sizes: milliseconds, however big")
    add_json(parser)


def run(options: Namespace) -> int:
    """Check it."""
    try:
        with open_source(options.path) as source, progress_bar("verifying") as progress:
            print_notes(source.notes)
            report = verify(source, quick=options.quick, progress=progress)
    except FormatError as error:  # the index itself is damaged
        report = VerifyReport(options.path, problems=(Problem(error),))
    if options.json:
        print_json(verify_json(report))
    else:
        print_lines(render_verify(report))
    return 0 if report.ok else 1
