"""``tfckpt rename``: the same tensors under other names."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import Any

from tfckpt.cli.edits import add_data, checkpoint_prefix, pattern
from tfckpt.cli.options import add_json, add_path, print_json, print_lines, print_notes
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.rename import rename
from tfckpt.core.namefiles import read_rules, write_name_file
from tfckpt.core.rules import AddPrefix, Rule, StripPrefix, parse_regex_flag, parse_replace_flag
from tfckpt.report.renaming import rename_json, render_rename

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Give tensors other names without moving their data.

A name is the key of a name-based checkpoint (TF1), and in an object-based one (TF2) the path
without /.ATTRIBUTES/VARIABLE_VALUE. Rules are applied in the order in which they are given.
Optimizer slots and moving averages follow their variable; the object graph is rewritten.
Two tensors with one name are an error, and nothing is written."""
EPILOG = """Examples:
  tfckpt rename old.ckpt -o new.ckpt --replace weights=kernel --strip-prefix model/ --dry-run
  tfckpt rename old.ckpt -o new.ckpt --regex 's#layer_(\\d+)/#block\\1/#'
  tfckpt rename old.ckpt -o new.ckpt --strip-prefix model/ --save-plan plan.json --dry-run
  tfckpt rename old.ckpt -o new.ckpt --map plan.json
  tfckpt rename model.ckpt-7 --add-prefix model/ --in-place --backup .bak

A map FILE is JSON, {"old name": "new name", "dropped": null}, or CSV, old,new. An entry of
TensorFlow's assignment_map is one too: {"old/": "new/"}, {"/": "scope/"}, {"a/": "/"}."""


class _AddRule(Action):
    """Keeps the rules of several flags in the order in which they were given."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any,
                 option_string: str | None = None) -> None:
        flag = (option_string or "").lstrip("-").replace("_", "-")
        namespace.rules = [*namespace.rules, (flag, values)]


_PARSERS: dict[str, Callable[[str], Sequence[Rule]]] = {
    "replace": lambda text: [parse_replace_flag(text)],
    "regex": lambda text: [parse_regex_flag(text)],
    "add-prefix": lambda text: [AddPrefix(text)],
    "strip-prefix": lambda text: [StripPrefix(text)],
    "map": read_rules,
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("-o", "--output", metavar="DST", type=checkpoint_prefix,
                        help="prefix of the result, used exactly as given")
    target.add_argument("--in-place", action="store_true",
                        help="put the result in the place of PATH; needs --backup")
    parser.add_argument("--backup", metavar="NAME",
                        help="with --in-place: where PATH is kept, a prefix such as old/m, or an"
                             " ending such as .bak")
    for flag, metavar, words in (
            ("--replace", "FROM=TO", "text for text, everywhere in a name"),
            ("--regex", "s#A#B#", "a regular expression for a template"),
            ("--add-prefix", "P", "text before every name"),
            ("--strip-prefix", "P", "text off the beginning of names that have it"),
            ("--map", "FILE", "whole names; - is standard input")):
        parser.add_argument(flag, dest="rules", action=_AddRule, default=[], metavar=metavar,
                            help=words)
    parser.add_argument("--include", type=pattern, metavar="REGEX",
                        help="rename only what it is found in")
    parser.add_argument("--exclude", type=pattern, metavar="REGEX",
                        help="leave alone what it is found in")
    parser.add_argument("--save-plan", metavar="FILE",
                        help="write every old and new name to a JSON file, to edit and to apply"
                             " with --map")
    add_data(parser)
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a checkpoint that is there already")
    parser.add_argument("--dry-run", action="store_true",
                        help="print every name that changes; write nothing, and need no -o")
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="print every name that changed")
    add_json(parser)


def run(options: Namespace) -> int:
    """Rename its tensors."""
    rules = [rule for flag, value in options.rules for rule in _PARSERS[flag](value)]
    with progress_bar("writing") as progress:
        report = rename(options.path, options.output, rules, include=options.include,
                        exclude=options.exclude, backup=options.backup, data=options.data,
                        overwrite=options.overwrite, dry_run=options.dry_run, progress=progress)
    if options.save_plan is not None:
        write_name_file(options.save_plan, report.names)
    print_notes(report.done.notes)
    if options.json:
        print_json(rename_json(report))
        return 0
    print_lines(render_rename(report, everything=options.dry_run or options.verbose))
    return 0
