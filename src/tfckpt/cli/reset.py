"""``tfckpt reset``: the weights for a new training: no optimizer state, step 0."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.edits import add_data, add_edit_arguments, print_edit
from tfckpt.cli.options import add_path
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.reset import reset
from tfckpt.errors import UnsupportedError

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Keep the weights and begin anew with the rest.

--optimizer gives slots their initial values (zeros; accumulators of Adagrad and Ftrl 0.1,
RMSProp's mean in TF1 1) and sets the count of iterations to 0; learning rates stay. --step sets
the counter of training steps."""
EPILOG = """Examples:
  tfckpt reset model.ckpt-9000 --optimizer --step 0 -o fresh/model.ckpt
  tfckpt reset ckpt-9 --step 0 -o fresh/ckpt"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    parser.add_argument("--optimizer", action="store_true", help="reset the optimizer's state")
    parser.add_argument("--step", type=int, metavar="N",
                        help="what global_step (or step) becomes")
    add_edit_arguments(parser)
    add_data(parser)


def run(options: Namespace) -> int:
    """Reset it."""
    if not options.optimizer and options.step is None:
        raise UnsupportedError("nothing says what to reset",
                               hint="Give --optimizer, --step N, or both.")
    with progress_bar("writing") as progress:
        report = reset(options.path, options.output, optimizer=options.optimizer,
                       step=options.step, data=options.data, overwrite=options.overwrite,
                       dry_run=options.dry_run, progress=progress)
    return print_edit(report, options)
