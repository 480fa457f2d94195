"""``tfckpt reshard``: other data files, other parts, the same tensors."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tfckpt.cli.edits import add_output, add_write_arguments
from tfckpt.cli.options import print_json, print_lines, print_notes
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.reshard import parse_size, parse_split, reshard
from tfckpt.report.json import convert_json
from tfckpt.report.text import render_convert, render_plan

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Store the tensors of a checkpoint in other data files or in other parts.

Names and values stay. What isn't touched is linked; what is, is streamed a few MiB at a
time. SRC is never changed."""
EPILOG = """Examples:
  tfckpt reshard model.ckpt-1000 --shards 8 -o eight/model.ckpt
  tfckpt reshard model.ckpt-1000 --max-shard-size 2GB -o small/model.ckpt
  tfckpt reshard model.ckpt-1000 --join -o whole/model.ckpt
  tfckpt reshard model.ckpt-1000 --split embedding/w=4:0 -o parts/model.ckpt

A tensor in parts keeps its name: TensorFlow restores it whole or in parts, as the program
has it."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", metavar="SRC", help="a checkpoint: its prefix, any of its files,"
                                                    " or the folder it is in")
    add_output(parser)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--shards", type=int, metavar="N",
                       help="spread whole tensors evenly over N data files")
    sizes.add_argument("--max-shard-size", metavar="SIZE",
                       help="cut tensors so that no data file is larger, such as 2GB or 500MiB")
    parser.add_argument("--join", action="store_true",
                        help="put partitioned variables together, each in one piece")
    parser.add_argument("--join-parts", action="store_true",
                        help="make NAME of tensors called NAME/part_0, NAME/part_1, ...")
    parser.add_argument("--split", action="append", default=[], metavar="KEY=N[:AXIS]",
                        help="cut a tensor into N parts along an axis (default: 0); repeat it"
                             " for more tensors")
    parser.add_argument("--align", type=int, default=1, metavar="BYTES",
                        help="start tensors at multiples of so many bytes, such as 64, so that"
                             " they can be mapped (default: packed)")
    add_write_arguments(parser)


def run(options: Namespace) -> int:
    """Reshard it."""
    size = None if options.max_shard_size is None else parse_size(options.max_shard_size)
    with progress_bar("writing") as progress:
        report = reshard(options.path, options.output, shards=options.shards, max_shard_size=size,
                         join=options.join, join_parts=options.join_parts,
                         split=dict(map(parse_split, options.split)), align=options.align,
                         overwrite=options.overwrite, dry_run=options.dry_run, progress=progress)
    print_notes((*report.notes, *report.plan.notes))
    if options.json:
        print_json(convert_json(report))
        return 0
    if options.dry_run or options.verbose:
        print_lines(render_plan(report))
    print_lines(render_convert(report))
    return 0
