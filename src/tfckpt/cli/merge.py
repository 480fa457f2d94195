"""``tfckpt merge``: several checkpoints as one."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace

from tfckpt.cli.edits import add_output
from tfckpt.cli.options import add_json, print_json, print_lines, print_notes
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.merge import merge
from tfckpt.report.json import convert_json
from tfckpt.report.text import render_convert, render_plan

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

_MOST_PREFIXES = 9  # with a flag of their own

DESCRIPTION = """\
Write several checkpoints as one, without moving their data.

The result has all tensors of all of them. A name that two of them have is refused, unless
both hold slices of one partitioned variable; --prefix-1, --prefix-2 … keep such names apart.
Object-based checkpoints (TF2) become one under one root. A folder P_temp that an interrupted
sharded save left behind stands for the parts in it."""
EPILOG = """Examples:
  tfckpt merge encoder/ckpt decoder/ckpt -o both/ckpt
  tfckpt merge enc.ckpt dec.ckpt --prefix-1 encoder/ --prefix-2 decoder/ -o both.ckpt
  tfckpt merge model.ckpt-1000_temp_* -o model.ckpt-1000
  tfckpt merge model.ckpt-1000_temp -o model.ckpt-1000 --delete-parts"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("paths", metavar="SRC", nargs="+",
                        help="a checkpoint: its prefix, any of its files, or the folder it is in;"
                             " or a folder of parts")
    add_output(parser)
    for n in range(1, _MOST_PREFIXES + 1):
        parser.add_argument(f"--prefix-{n}", metavar="P", help=SUPPRESS if n > 2 else
                            f"put P before the names of the {('first', 'second')[n - 1]} SRC")
    parser.add_argument("--prefix", action="append", default=[], type=_prefix, metavar="N=P",
                        help="put P before the names of the N-th SRC; repeat it for more")
    parser.add_argument("--allow-missing", action="store_true",
                        help="merge the parts that are there, if some are missing")
    parser.add_argument("--delete-parts", action="store_true",
                        help="remove the sources when the result is written")
    parser.add_argument("--data", default="link", choices=["link", "copy"],
                        help="link the data files (the default), or copy them")
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a checkpoint that is there already")
    parser.add_argument("--dry-run", action="store_true",
                        help="print every tensor; write nothing, and need no -o")
    add_json(parser)


def _prefix(text: str) -> tuple[int, str]:
    number, equals, prefix = text.partition("=")
    if not number.isdecimal() or not equals:
        raise ArgumentTypeError("expected N=P, such as 1=encoder/")
    return int(number), prefix


def run(options: Namespace) -> int:
    """Merge them."""
    prefixes = {n: prefix for n in range(1, _MOST_PREFIXES + 1)
                if (prefix := getattr(options, f"prefix_{n}")) is not None}
    with progress_bar("copying") as progress:
        report = merge(options.paths, options.output, data=options.data,
                       overwrite=options.overwrite, dry_run=options.dry_run,
                       allow_missing=options.allow_missing, delete_sources=options.delete_parts,
                       prefixes={**prefixes, **dict(options.prefix)}, progress=progress)
    print_notes((*report.notes, *report.plan.notes))
    if options.json:
        print_json(convert_json(report))
        return 0
    if options.dry_run:
        print_lines(render_plan(report))
    print_lines(render_convert(report))
    return 0
