"""``tfckpt diff``: how two checkpoints differ."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from tfckpt.cli.options import add_json, print_json, print_lines, print_notes
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.comparing import diff
from tfckpt.core.namefiles import read_name_file
from tfckpt.core.opening import open_source
from tfckpt.core.pairing import NAMINGS
from tfckpt.errors import FormatError
from tfckpt.report.diff import diff_json, render_diff

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """Compare two checkpoints tensor by tensor: name, shape, dtype, bits, and by how much
the values differ. Their formats may differ (TF1 and TF2, sharded, sliced).

Without --atol or --rtol only equal bits are the same. With them, numbers are close if
|a - b| <= ATOL or |a - b| <= RTOL * max(|a|, |b|).

Exit status: 0 the same, 1 they differ, 2 a tensor or a checkpoint can't be read."""
EPILOG = """Lines: ~ differs, - only in A, + only in B, ! can't be read, = the same (with --all).

Examples:
  tfckpt diff base.ckpt tuned.ckpt --ignore-optimizer
  tfckpt diff base.ckpt tuned.ckpt --strip-prefix-2 model/
  tfckpt diff tf1/model.ckpt tf2/ckpt --rtol 1e-6 && echo converted well"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    for name in ("A", "B"):
        parser.add_argument(name.lower(), metavar=name, help="a checkpoint: its prefix, any of its"
                                                            " files, or the folder it is in")
    parser.add_argument("--atol", type=_tolerance, metavar="X",
                        help="numbers this close are the same")
    parser.add_argument("--rtol", type=_tolerance, metavar="X",
                        help="likewise, as a share of the larger one")
    parser.add_argument("--equal-nan", action="store_true", help="any NaN equals any other")
    parser.add_argument("--ignore-optimizer", action="store_true",
                        help="leave out slots and the like, told by structure")
    parser.add_argument("--ignore-dtype", action="store_true",
                        help="equal values are the same in any dtype")
    parser.add_argument("--strip-prefix-1", metavar="P", default="",
                        help="remove P from the start of A's names")
    parser.add_argument("--strip-prefix-2", metavar="P", default="",
                        help="remove P from the start of B's names")
    parser.add_argument("--map", metavar="FILE", help="JSON (an object) or CSV: names in A, and"
                        " those in B; null, or an empty field, leaves one out")
    parser.add_argument("--by", choices=NAMINGS, default="auto",
                        help="what pairs tensors: equal keys, full names in the object graph, paths"
                             " through it, or all in turn (default)")
    parser.add_argument("--quick", action="store_true",
                        help="trust stored checksums: don't read tensors for which they are equal."
                             " Quick, and no proof")
    parser.add_argument("--all", action="store_true",
                        help="list equal tensors too, and cut no list")
    add_json(parser)


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ArgumentTypeError("expected a number from 0")
    return value


def run(options: Namespace) -> int:
    """Compare them."""
    names = None if options.map is None else _read_map(options.map)
    with open_source(options.a) as a, open_source(options.b) as b, \
            progress_bar("comparing") as progress:
        print_notes((*a.notes, *b.notes))
        report = diff(a, b, by=options.by, names=names, strip_prefix_a=options.strip_prefix_1,
                      strip_prefix_b=options.strip_prefix_2,
                      ignore_optimizer=options.ignore_optimizer,
                      ignore_dtype=options.ignore_dtype, atol=options.atol, rtol=options.rtol,
                      equal_nan=options.equal_nan, quick=options.quick, progress=progress)
    if options.json:
        print_json(diff_json(report, everything=options.all))
    else:
        print_lines(render_diff(report, everything=options.all))
    if report.of("unreadable"):
        return 2
    return 0 if report.same else 1


def _read_map(file: str) -> dict[str, str | None]:
    names = read_name_file(file)
    if not isinstance(names, dict) or not all(
            value is None or isinstance(value, str) for value in names.values()):
        raise FormatError("the map has another form", file=file,
                          expected='an object of names, {"name in A": "name in B"}')
    return names
