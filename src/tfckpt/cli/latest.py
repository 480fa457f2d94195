"""``tfckpt latest``: the newest checkpoint of a folder."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from tfckpt.cli.options import add_json, print_json, print_notes
from tfckpt.core.catalog import find_newest
from tfckpt.core.discovery import STATE_FILE, as_path, read_state
from tfckpt.errors import CheckpointNotFoundError

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """Print the prefix of a folder's newest checkpoint, by its state file.

It is also found after the folder was moved.

Exit status: 0 there is one, 1 there is none, 2 the state file is damaged."""
EPILOG = """Examples:
  tfckpt latest runs/exp1
  tfckpt verify "$(tfckpt latest runs/exp1)" """.rstrip()


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", metavar="DIR", help="a folder, or a state file in it")
    add_json(parser)


def run(options: Namespace) -> int:
    """Print it."""
    folder, state_file = as_path(options.path), STATE_FILE
    if not os.path.isdir(folder):
        if not os.path.isfile(folder):
            read_state(folder)  # says so if it is an address of another machine
            raise CheckpointNotFoundError("there is no such folder", file=folder)
        folder, state_file = os.path.split(folder)
    prefix, notes = _find(folder, state_file)
    print_notes(notes)
    if options.json:
        print_json({"prefix": prefix, "notes": notes})
    elif prefix is not None:
        print(prefix)
    return 0 if prefix is not None else 1


def _find(folder: str, state_file: str) -> tuple[str | None, list[str]]:
    try:
        found = find_newest(folder, state_file)
    except CheckpointNotFoundError as error:
        return None, str(error).splitlines()
    if found is None:
        return None, [f"there is no state file in {folder}; `tfckpt list` shows what it holds"]
    notes = list(found.notes)
    if notes:
        notes.append(f"`tfckpt relocate {folder or '.'}` repairs the state file")
    return found.prefix, notes
