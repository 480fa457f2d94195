"""Entry point of ``tfckpt``.

Built on argparse: a start that imports click takes 25 ms, half of what converting a
checkpoint of any size takes altogether.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from tfckpt.cli.commandparser import CommandParser
from tfckpt.cli.options import print_error
from tfckpt.errors import CheckpointError

__all__ = ["main", "run"]

_COMMANDS = ("inspect", "ls", "show", "verify", "diff", "match", "convert", "maps", "strip", "ema",
             "reset", "cast", "average", "rename", "select", "set", "merge", "reshard", "explain",
             "latest", "list", "relocate", "rm", "salvage")
_ALIASES = {"info": "inspect", "validate": "verify", "compare": "diff", "slim": "strip",
            "remap": "rename"}

_DESCRIPTION = """\
Read, verify and convert TensorFlow checkpoints, without TensorFlow.

PATH is a checkpoint's prefix, any of its files, or the folder it is in."""

_EPILOG = """\
Exit status: 0 yes or done, 1 the check says no, 2 wrong usage or cannot run.
Each command has its own help with examples: tfckpt convert --help"""


def _parser(command: str | None) -> argparse.ArgumentParser:
    """The parser; only the command at work is imported, so ``ls`` doesn't pay for the others."""
    parser = argparse.ArgumentParser(
        prog="tfckpt", description=_DESCRIPTION, epilog=_EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command",
                                       parser_class=CommandParser)
    for name in _COMMANDS if command is None else (command,):
        module = import_module(f"tfckpt.cli.{name}")
        words = str(module.__doc__).partition(": ")[2].strip().rstrip(".")
        module.add_arguments(subparsers.add_parser(
            name, help=words, description=module.DESCRIPTION, epilog=module.EPILOG,
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter))
    return parser


def _normal(argument: str) -> str:
    """``--dry_run`` as ``--dry-run``: every script of TensorFlow's time wrote underscores."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    return flag.replace("_", "-") + equals + value


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        Exit status: 0 yes or done, 1 the check says no, 2 cannot run.

    Raises:
        SystemExit: For wrong usage (status 2) and for help (status 0).
    """
    arguments = [_normal(argument) for argument in arguments]
    if arguments and arguments[0] in _ALIASES:
        arguments[0] = _ALIASES[arguments[0]]
    known = arguments[0] if arguments and arguments[0] in _COMMANDS else None
    parser = _parser(known)
    options = parser.parse_args(arguments)
    if options.version:
        from tfckpt._version import __version__

        print(f"tfckpt {__version__}")
        return 0
    if options.command is None:
        parser.print_help()
        return 2
    try:
        status: int = import_module(f"tfckpt.cli.{options.command}").run(options)
    except CheckpointError as error:
        print_error(error)
        return 2
    return status


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal can't show must not end the command.
        getattr(stream, "reconfigure", lambda **options: None)(errors="backslashreplace")
    # One command makes many small values and ends; looking for cycles among 100,000 tensors
    # would take a third of its time.
    gc.disable()
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # as in `tfckpt ls ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141  # what shells have for it; 0 would say that a check said yes
    sys.exit(status)


if __name__ == "__main__":
    main()
