"""``tfckpt ls``: a line per tensor."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from tfckpt.cli.options import add_json, add_path, print_json, print_notes
from tfckpt.core.opening import open_source
from tfckpt.report.json import entry_json
from tfckpt.report.text import render_listing

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = "List the tensors of a checkpoint: name, dtype, shape."
EPILOG = r"""Examples:
  tfckpt ls model.ckpt-1000
  tfckpt ls --long runs/exp1
  tfckpt ls --exclude '/Adam(_1)?$' model.ckpt-1000"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    parser.add_argument("-l", "--long", action="store_true",
                        help="add bytes, shard, offset and checksum")
    parser.add_argument("--raw", action="store_true",
                        help="show keys whole, with /.ATTRIBUTES/VARIABLE_VALUE")
    parser.add_argument("--include", metavar="REGEX", type=_pattern,
                        help="only keys in which this is found")
    parser.add_argument("--exclude", metavar="REGEX", type=_pattern,
                        help="no keys in which this is found")
    add_json(parser)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def run(options: Namespace) -> int:
    """List the tensors."""
    with open_source(options.path) as source:
        print_notes(source.notes)
        entries = [entry for entry in source.index.values()
                   if (options.include is None or options.include.search(entry.key))
                   and (options.exclude is None or not options.exclude.search(entry.key))]
    if options.json:
        print_json([entry_json(entry) for entry in entries])
    elif entries:
        print("\n".join(render_listing(entries, long=options.long, raw=options.raw)))
    return 0
