"""``tfckpt verify``: is a checkpoint whole."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from tfckpt.cli.options import (
    add_jobs,
    add_json,
    add_path,
    print_json,
    print_lines,
    print_notes,
)
from tfckpt.cli.progress import progress_bar
from tfckpt.core.folder import find_newest_good, verify_folder
from tfckpt.core.report import VerifyReport
from tfckpt.core.verify import verify_path
from tfckpt.report.json import folder_json, state_fix_json, verify_json
from tfckpt.report.text import (
    render_leftovers,
    render_state_fix,
    render_verified_line,
    render_verify,
)
from tfckpt.train.fixstate import fix_state

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """Check every checksum and size of a checkpoint; name what is damaged.

  FAIL  damage, with every tensor that it hits
  note  unusual, but no damage: bytes of nobody, files of another save
  ok    what is whole

Exit status: 0 whole, 1 damaged (or NaN, Inf with --nan), 2 there is nothing to check."""
EPILOG = """Examples:
  tfckpt verify runs/exp1
  tfckpt verify --quick model.ckpt-1000 && echo whole
  tfckpt verify --nan model.ckpt-1000
  tfckpt verify runs/exp1 --all
  tfckpt verify runs/exp1 --latest-good
  tfckpt verify runs/exp1 --fix-state --dry-run

What is whole of a damaged checkpoint is taken out by: tfckpt salvage"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    parser.add_argument("--quick", action="store_true",
                        help="compare only sizes: milliseconds, however big")
    parser.add_argument("--nan", "--finite", action="store_true",
                        help="also count NaN and Inf; the answer is no if there are any")
    parser.add_argument("--all", action="store_true",
                        help="check every checkpoint of the folder PATH, a line for each")
    parser.add_argument("--latest-good", action="store_true",
                        help="print the newest checkpoint of the folder PATH that is whole, by"
                             " step and time; status 1 if none is")
    parser.add_argument("--fix-state", action="store_true",
                        help="as --all; then rewrite the folder's state file so that it names"
                             " whole checkpoints only, the last of them as the latest; the old"
                             " one is kept as checkpoint.bak")
    parser.add_argument("--dry-run", action="store_true",
                        help="with --fix-state: say what would change, write nothing")
    add_jobs(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    """Check it."""
    how: dict[str, Any] = {"quick": options.quick, "nan": options.nan, "jobs": options.jobs}
    if options.latest_good and not options.fix_state:
        return _print_newest(options, how)
    if options.all or options.fix_state:
        return _check_all(options, how)
    with progress_bar("verifying") as progress:
        report, notes = verify_path(options.path, progress=progress, **how)
    print_notes(notes)
    if options.json:
        print_json(verify_json(report))
    else:
        print_lines(render_verify(report))
    return 0 if report.ok else 1


def _print_newest(options: Namespace, how: dict[str, Any]) -> int:
    seen: list[VerifyReport] = []
    prefix = find_newest_good(options.path, tell=seen.append, **how)
    bad = [report for report in seen if not report.ok]
    if options.json:
        print_json({"prefix": prefix, "damaged": [verify_json(report) for report in bad]})
    else:
        print_notes(line for report in bad for line in render_verified_line(report))
        if prefix is not None:
            print(prefix)
    return 0 if prefix is not None else 1


def _check_all(options: Namespace, how: dict[str, Any]) -> int:
    def tell(report: VerifyReport) -> None:
        if not options.json:
            print_lines(render_verified_line(report, details=True))

    folder = verify_folder(options.path, tell=tell, **how)
    fix = (fix_state(folder.folder, folder.reports, dry_run=options.dry_run)
           if options.fix_state else None)
    if options.json:
        print_json({**folder_json(folder), **({"state": state_fix_json(fix)} if fix else {})})
    else:
        print_lines(render_leftovers(folder))
        if fix is not None:
            print_lines(render_state_fix(fix))
        if options.latest_good and folder.newest_good is not None:
            print(folder.newest_good)
    return 0 if folder.ok else 1
