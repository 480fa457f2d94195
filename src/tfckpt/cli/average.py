"""``tfckpt average``: the mean of several checkpoints."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from tfckpt.cli.edits import add_edit_arguments, print_edit
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.average import average

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Write the mean of several checkpoints of one training. Sums are made in float64, tensor by
tensor and streamed; integers and strings are those of the last checkpoint. A checkpoint that
is one step after another, as savers write them at the end, counts only once."""
EPILOG = """Examples:
  tfckpt average runs/ --last 5 -o avg/model.ckpt
  tfckpt average m.ckpt-10 m.ckpt-20 --weights 1,3 -o avg/model.ckpt"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("paths", metavar="SRC", nargs="+",
                        help="a checkpoint: its prefix, any of its files, or the folder it is in")
    parser.add_argument("--last", type=int, metavar="N",
                        help="the N newest checkpoints of the folder SRC")
    parser.add_argument("--weights", type=_weights, metavar="W,W,...",
                        help="how much each counts (default: all the same)")
    parser.add_argument("--keep-twins", action="store_true",
                        help="count checkpoints too that are one step after another")
    parser.add_argument("--keep-optimizer", action="store_true",
                        help="average the optimizer's state too (default: leave it out)")
    add_edit_arguments(parser)


def _weights(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentTypeError("expected numbers and commas, such as 1,1,2") from None


def run(options: Namespace) -> int:
    """Average them."""
    with progress_bar("writing") as progress:
        report = average(options.paths, options.output, last=options.last,
                         weights=options.weights, keep_twins=options.keep_twins,
                         keep_optimizer=options.keep_optimizer, overwrite=options.overwrite,
                         dry_run=options.dry_run, progress=progress)
    return print_edit(report, options)
