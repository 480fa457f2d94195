"""``tfckpt salvage``: what is whole of a damaged checkpoint."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.edits import add_output
from tfckpt.cli.options import add_jobs, add_json, print_json, print_lines, print_notes
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.salvage import salvage
from tfckpt.report.json import salvage_json
from tfckpt.report.text import render_salvage

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Write what is whole of a damaged checkpoint to another prefix, and list what is lost.

Every checksum is verified first. Data files are linked, not copied. A damaged index is read
block by block; one flipped bit in a block is put right. SRC is never changed.

Exit status: 0 nothing is lost, 1 something is lost, 2 there is nothing to read."""
EPILOG = """Examples:
  tfckpt salvage model.ckpt-1000 -o saved/model.ckpt-1000
  tfckpt salvage --dry-run --json model.ckpt-1000 -o saved/model.ckpt-1000

In TensorFlow 2:  tf.train.Checkpoint(...).restore("saved/ckpt").expect_partial()"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", metavar="SRC", help="a checkpoint: its prefix, any of its files,"
                                                    " or the folder it is in")
    add_output(parser)
    parser.add_argument("--data", default="link", choices=["link", "copy"],
                        help="link the data files (the default), or copy them")
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a checkpoint that is there already")
    parser.add_argument("--dry-run", action="store_true",
                        help="say what is whole and what is lost; write nothing, and need no -o")
    add_jobs(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    """Salvage it."""
    with progress_bar("verifying") as progress:
        report = salvage(options.path, options.output, data=options.data,
                         overwrite=options.overwrite, dry_run=options.dry_run, jobs=options.jobs,
                         progress=progress)
    print_notes(report.notes)
    if options.json:
        print_json(salvage_json(report))
    else:
        print_lines(render_salvage(report))
    return 0 if report.ok else 1
