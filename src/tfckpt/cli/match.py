"""``tfckpt match``: which tensor of one checkpoint is which of another."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack

from tfckpt.cli.options import add_json, add_path, print_json, print_lines, print_notes
from tfckpt.core.matching import MatchReport, Side, match, side_of_source
from tfckpt.core.namefiles import parse_wanted, read_name_file, read_pairs, write_name_file
from tfckpt.core.opening import open_source
from tfckpt.report.match import match_json, name_map, render_match

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Find out which tensor of a checkpoint is which of another, or of a list of names.

Names are compared in all their forms (TF1 names, Keras' full names, object paths); then rules
are looked for that make the one side's names out of the other's; then layers are told by the
weights they have. Layers that nothing tells apart are shown and never guessed.

Optimizer state is left aside: it follows its variables. Exit status: 0 everything that the
other side wants was found, 1 not, 2 a checkpoint can't be read."""
EPILOG = """Examples:
  tfckpt match model.ckpt-1000 --against keras/ckpt
  tfckpt match model.ckpt-1000 --against names.json -o map.json
  tfckpt match old/ckpt --against new/ckpt --map known.json --allow-missing '^head/'

names.json: {"dense/kernel": [3, 4], "dense/bias": {"shape": [4], "dtype": "float32"}}
What -o writes is taken by: tfckpt rename --map, convert --like --map, diff --map"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    parser.add_argument("--against", required=True, metavar="OTHER",
                        help="a checkpoint, or a JSON file of names and shapes")
    parser.add_argument("--map", metavar="FILE",
                        help="names that are known already (JSON or CSV), here to there")
    parser.add_argument("-o", "--output", metavar="FILE",
                        help="write the names of all pairs to a JSON file")
    parser.add_argument("--allow-missing", type=_pattern, metavar="REGEX",
                        help="names that may be missing in the checkpoint")
    parser.add_argument("--skip-mismatch", action="store_true",
                        help="tensors of other shapes don't count")
    parser.add_argument("--use-values", action="store_true",
                        help="tensors with equal bits are the same, if no others have these")
    parser.add_argument("--everything", action="store_true",
                        help="match optimizer state, averages and counters too, as names")
    parser.add_argument("--all", action="store_true", help="list all pairs, and cut no list")
    add_json(parser)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ArgumentTypeError(f"not a regular expression: {error}") from None


def run(options: Namespace) -> int:
    """Match them."""
    with ExitStack() as stack:
        source = stack.enter_context(open_source(options.path))
        print_notes(source.notes)
        a = side_of_source(source, everything=options.everything)
        if options.against.endswith(".json"):
            b = Side(options.against, parse_wanted(read_name_file(options.against),
                                                   options.against))
        else:
            other = stack.enter_context(open_source(options.against))
            print_notes(other.notes)
            b = side_of_source(other, everything=options.everything)
        given = _known(options.map, a, b) if options.map else {}
        report = match(a, b, given=given, use_values=options.use_values)
    report = _allowed(report, options.allow_missing, options.skip_mismatch)
    if options.output:
        write_name_file(options.output, name_map(report))
    if options.json:
        print_json(match_json(report))
    else:
        print_lines(render_match(report, everything=options.all))
    return 0 if report.ok else 1


def _known(file: str, a: Side, b: Side) -> dict[str, str]:
    """Keys of the pairs that a map names."""
    names = read_pairs(file)
    return {a.key(here, file): b.key(there, file) for here, there in names.items()}


def _allowed(report: MatchReport, missing: re.Pattern[str] | None, skip_mismatch: bool
             ) -> MatchReport:
    if missing is not None:
        report = report._replace(missing=tuple(item for item in report.missing
                                               if not missing.search(item.key)))
    return report._replace(mismatched=()) if skip_mismatch else report
