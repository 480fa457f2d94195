"""What the commands share that write an edited checkpoint."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from tfckpt.cli.options import add_json, print_json, print_lines, print_notes
from tfckpt.core.files.table import format_of_path
from tfckpt.core.report import ConvertReport
from tfckpt.report.json import convert_json
from tfckpt.report.text import render_convert, render_plan

__all__ = ["add_data", "add_edit_arguments", "add_output", "add_write_arguments",
           "checkpoint_prefix", "note_size", "pattern", "print_edit"]


def add_edit_arguments(parser: ArgumentParser) -> None:
    """``-o``, ``--overwrite``, ``--dry-run``, ``-v`` and ``--json``."""
    add_output(parser)
    add_write_arguments(parser)


def add_output(parser: ArgumentParser) -> None:
    """``-o``."""
    parser.add_argument("-o", "--output", required=True, metavar="DST", type=checkpoint_prefix,
                        help="prefix of the result, used exactly as given")


def add_write_arguments(parser: ArgumentParser) -> None:
    """The same without ``-o``."""
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a checkpoint that is there already")
    parser.add_argument("--dry-run", action="store_true",
                        help="print what every tensor becomes; write nothing, and need no -o")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="print what every tensor became")
    add_json(parser)


def add_data(parser: ArgumentParser) -> None:
    """``--data``."""
    parser.add_argument("--data", default="link", choices=["link", "copy", "pack"],
                        help="link the data files (the default), copy them, or pack what is kept"
                             " of them into a new one")


def checkpoint_prefix(text: str) -> str:
    """Where a checkpoint is written, as the type of an argument."""
    file_format = format_of_path(text)
    if file_format is None:
        return text
    # Nobody who says m.safetensors expects m.safetensors.index.
    raise ArgumentTypeError(f"{text} is no prefix of a checkpoint, which this command writes; give"
                            f" one, and make a {file_format.name} file of it with: tfckpt convert")


def pattern(text: str) -> str:
    """A regular expression, as the type of an argument."""
    try:
        re.compile(text)
    except re.error as error:
        raise ArgumentTypeError(f"not a regular expression: {error}") from None
    return text


def print_edit(report: ConvertReport, options: Namespace) -> int:
    """Print what was done; returns the exit status."""
    print_notes((*report.notes, *report.plan.notes))
    if options.json:
        print_json(convert_json(report))
        return 0
    if options.dry_run or options.verbose:
        print_lines(render_plan(report))
    print_lines(render_convert(report))
    return 0


def note_size(report: ConvertReport, options: Namespace) -> None:
    """Say that files don't get smaller by what is left out of them, where people expect that."""
    if report.plan.left_out and options.data == "link" and not options.dry_run:
        note = "the data files stay as large as they are; --data pack writes only what is kept"
        print_notes((note,))
