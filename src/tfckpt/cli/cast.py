"""``tfckpt cast``: floating-point tensors in another dtype."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.edits import add_edit_arguments, pattern, print_edit
from tfckpt.cli.options import add_dtype, add_path
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.cast import cast

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Write floating-point tensors in another dtype; all others stay as they are. Numbers that don't
fit are counted: those that become infinite, and those that become zero. Tensors are streamed,
so memory stays small however large they are."""
EPILOG = """Examples:
  tfckpt cast model.ckpt-322 --dtype bfloat16 -o half/model.ckpt
  tfckpt cast amp/ckpt-9 --dtype float32 -o full/ckpt
  tfckpt cast m.ckpt --dtype float16 --exclude '/gamma$' --skip-optimizer -o half/m"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    add_dtype(parser, "what they become", required=True)
    parser.add_argument("--include", type=pattern, metavar="REGEX",
                        help="only tensors in whose names this is found")
    parser.add_argument("--exclude", type=pattern, metavar="REGEX",
                        help="not those in whose names this is found")
    parser.add_argument("--skip-optimizer", "--ignore-optimizer", action="store_true",
                        help="leave the optimizer's state as it is")
    add_edit_arguments(parser)


def run(options: Namespace) -> int:
    """Cast it."""
    with progress_bar("writing") as progress:
        report = cast(options.path, options.output, options.dtype, include=options.include,
                      exclude=options.exclude, skip_optimizer=options.skip_optimizer,
                      overwrite=options.overwrite, dry_run=options.dry_run, progress=progress)
    return print_edit(report, options)
