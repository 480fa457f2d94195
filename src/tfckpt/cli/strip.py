"""``tfckpt strip``: the model alone, without its optimizer's state."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.edits import add_data, add_edit_arguments, note_size, print_edit
from tfckpt.cli.options import add_path
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.strip import strip

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Write a checkpoint without the state of its optimizer: slots, powers of decay rates, counts of
iterations. Counters of steps stay. What is the optimizer's is told by structure, never by a
prefix: kernels of a Keras 3 model that are stored below its optimizer are kept.

The result links the data files of SRC, so it takes no space and is there at once, but these
files stay as large as they are. To get a small file, --data pack writes only what is kept."""
EPILOG = """Examples:
  tfckpt strip model.ckpt-322 -o slim/model.ckpt --data pack
  tfckpt strip runs/ckpt-9 -o slim/ckpt --ema drop --dry-run"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    parser.add_argument("--ema", default="keep", choices=["keep", "drop"],
                        help="whether moving averages stay (default: keep)")
    add_edit_arguments(parser)
    add_data(parser)


def run(options: Namespace) -> int:
    """Strip it."""
    with progress_bar("writing") as progress:
        report = strip(options.path, options.output, ema=options.ema, data=options.data,
                       overwrite=options.overwrite, dry_run=options.dry_run, progress=progress)
    note_size(report, options)
    return print_edit(report, options)
