"""``tfckpt convert``: TF1 to TF2 and back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.options import add_json, print_json, print_lines, print_notes
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.api import convert
from tfckpt.report.json import convert_json
from tfckpt.report.text import render_convert, render_plan

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Convert a checkpoint between TF1 and TF2 without moving its data.

The tensors' bytes are not read: the data files get a second name, and a new index new
keys. SRC is never changed, and nothing appears at DST until all of it is there."""
EPILOG = """Examples:
  tfckpt convert model.ckpt-1000 --to tf2 -o tf2/ckpt
  tfckpt convert tf2/ckpt --to tf1 -o tf1/model.ckpt
  tfckpt convert old/model.ckpt --to tf1 -o new/model.ckpt     (from V1 to V2)
  tfckpt convert tf2/ckpt --to tf1 --names path --dry-run -o tf1/model.ckpt

In TensorFlow 2:  tf.train.Checkpoint(vars={name: variable}).restore("tf2/ckpt")
In TensorFlow 1:  tf.train.Saver().restore(session, "tf1/model.ckpt")"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", metavar="SRC", help="a checkpoint: its prefix, any of its files,"
                                                    " or the folder it is in")
    parser.add_argument("--to", required=True, choices=["tf2", "tf1", "tf1-v1"],
                        help="tf2: object-based; tf1: name-based; tf1-v1: name-based, in one file"
                             " of the V1 format")
    parser.add_argument("-o", "--output", required=True, metavar="DST",
                        help="prefix of the result, used exactly as given")
    parser.add_argument("--root", default="vars", metavar="NAME",
                        help="with --to tf2: name of the dictionary that holds the variables"
                             " (default: vars)")
    parser.add_argument("--names", default="auto", choices=["auto", "full-name", "path"],
                        help="with --to tf1: where names come from; auto (the default) takes the"
                             " name that the variable had in TensorFlow if it is unique and not a"
                             " default one, else the object's path")
    parser.add_argument("--data", default="link", choices=["link", "copy"],
                        help="link the data files (the default), or copy them")
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a checkpoint that is there already")
    parser.add_argument("--dry-run", action="store_true",
                        help="print every key and what it becomes; write nothing")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="print every key and what it became")
    add_json(parser)


def run(options: Namespace) -> int:
    """Convert it."""
    with progress_bar("copying") as progress:
        report = convert(options.path, options.output, to=options.to, root=options.root,
                         names=options.names, data=options.data, overwrite=options.overwrite,
                         dry_run=options.dry_run, progress=progress)
    print_notes(report.notes)
    if options.json:
        print_json(convert_json(report))
        return 0
    if options.dry_run or options.verbose:
        print_lines(render_plan(report))
    print_lines(render_convert(report))
    return 0
