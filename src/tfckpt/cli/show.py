"""``tfckpt show``: values of tensors."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.options import add_json, add_path, print_json, print_notes
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError
from tfckpt.report.text import printable
from tfckpt.report.values import render_tensor, tensor_json

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = "Show the values of tensors; of all, shortened, if no KEY is given."
EPILOG = """Examples:
  tfckpt show model.ckpt-1000 dense/bias
  tfckpt show model.ckpt-1000"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    parser.add_argument("keys", metavar="KEY", nargs="*", help="a tensor's name as ls shows it")
    parser.add_argument("--full", action="store_true",
                        help="show every value, however many there are")
    add_json(parser)


def run(options: Namespace) -> int:
    """Show them."""
    with open_source(options.path) as source:
        print_notes(source.notes)
        entries = [source.index.resolve(key) for key in options.keys] or source.index.values()
        if options.json:
            print_json([tensor_json(entry, source.read_array(entry)) for entry in entries])
            return 0
        print(f"Checkpoint at '{source.prefix}':")
        for entry in entries:
            print("  " + _line(source, entry, options))
    return 0


def _line(source: Source, entry: Entry, options: Namespace) -> str:
    try:
        return render_tensor(entry, source.read_array(entry), full=options.full)
    except UnsupportedError as error:
        if options.keys:
            raise
        # One tensor without a form as an array must not hide the others.
        return (f"(key='{printable(entry.key)}', shape={list(entry.shape)},"
                f" dtype={entry.dtype.name}, value not shown: {error.message})")
