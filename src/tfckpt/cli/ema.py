"""``tfckpt ema``: moving averages in place of the variables, or left out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.edits import add_data, add_edit_arguments, print_edit
from tfckpt.cli.options import add_path
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.ema import ema

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Use the moving averages of a checkpoint as its variables, or leave them out.

Known are /ExponentialMovingAverage of TF1, with its helpers biased and local_step, use_ema of
Keras, MovingAverage of TensorFlow Addons, and checkpoints that have only averages."""
EPILOG = """Examples:
  tfckpt ema model.ckpt-1000 --use -o averaged/model.ckpt
  tfckpt ema model.ckpt-1000 --drop -o plain/model.ckpt"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--use", dest="action", action="store_const", const="use",
                        help="give each variable its average; those without one stay")
    action.add_argument("--drop", dest="action", action="store_const", const="drop",
                        help="leave the averages out")
    add_edit_arguments(parser)
    add_data(parser)


def run(options: Namespace) -> int:
    """Use or drop them."""
    with progress_bar("writing") as progress:
        report = ema(options.path, options.output, options.action, data=options.data,
                     overwrite=options.overwrite, dry_run=options.dry_run, progress=progress)
    return print_edit(report, options)
