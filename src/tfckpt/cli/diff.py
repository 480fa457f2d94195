"""``tfckpt diff``: how two checkpoints differ."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tfckpt.cli.options import add_json, print_json, print_lines, print_notes
from tfckpt.cli.progress import progress_bar
from tfckpt.cli.sources import keras_source
from tfckpt.convert.comparing import diff
from tfckpt.core.namefiles import read_name_file
from tfckpt.core.opening import opened
from tfckpt.core.pairing import NAMINGS
from tfckpt.errors import FormatError
from tfckpt.report.diff import diff_json, render_diff

if TYPE_CHECKING:
    from tfckpt.convert.namemap import NameMap

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
  tfckpt diff tf1/model.ckpt tf2/ckpt --rtol 1e-6 && echo converted well
  tfckpt diff bert_model.ckpt pytorch_model.bin --map hf-bert"""


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
    parser.add_argument("--ignore-optimizer", "--skip-optimizer", action="store_true",
                        help="leave out slots and the like, told by structure")
    parser.add_argument("--ignore-dtype", action="store_true",
                        help="equal values are the same in any dtype")
    parser.add_argument("--strip-prefix-1", metavar="P", default="",
                        help="remove P from the start of A's names")
    parser.add_argument("--strip-prefix-2", metavar="P", default="",
                        help="remove P from the start of B's names")
    parser.add_argument("--map", metavar="FILE|NAME", help="JSON (an object) or CSV: names in A,"
                        " and those in B; null, or an empty field, leaves one out. Or a map between"
                        " frameworks, as convert takes it: A is compared as B would have it")
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
    names, between = (None, None) if options.map is None else _read_map(options.map)
    with ExitStack() as stack:
        a, b = (stack.enter_context(opened(keras_source(path, stack)))
                for path in (options.a, options.b))
        if between is not None:
            from tfckpt.convert.mappedsource import seen_through  # deferred: rarely asked for

            a = seen_through(a, between, b)
        progress = stack.enter_context(progress_bar("comparing"))
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


def _read_map(file: str) -> tuple[dict[str, str | None] | None, NameMap | None]:
    """Pairs of names, or a map between frameworks."""
    from tfckpt.convert.mapfiles import read_map, shipped_names  # deferred: as above
    from tfckpt.convert.mapform import is_map, parse_map

    if file in shipped_names():
        return None, read_map(file)
    names = read_name_file(file)
    if is_map(names):
        return None, parse_map(names, file)
    if not isinstance(names, dict) or not all(
            value is None or isinstance(value, str) for value in names.values()):
        raise FormatError("the map has another form", file=file,
                          expected='an object of names, {"name in A": "name in B"}')
    return names, None
