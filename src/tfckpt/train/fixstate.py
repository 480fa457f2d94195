"""Bringing a state file to name checkpoints that are good, and no others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from tfckpt.core.catalog import locate, same_path
from tfckpt.core.discovery import STATE_FILE, as_path
from tfckpt.core.report import StateFix, VerifyReport
from tfckpt.core.verify import verify_path
from tfckpt.errors import CheckpointError, CheckpointNotFoundError, UnsupportedError, located
from tfckpt.format.state import CheckpointState, encode_state, parse_state
from tfckpt.storage.local import is_file, read_file
from tfckpt.storage.publish import replace_file
from tfckpt.train.state import edited_state

__all__ = ["fix_state"]


def fix_state(folder: str | os.PathLike[str], reports: Iterable[VerifyReport], *,
              dry_run: bool = False) -> StateFix:
    """Rewrite a folder's state file so that it names only good checkpoints.

    The last good one of its list becomes the latest. If none of them is good, or there is no
    state file (or a damaged one), it names all good checkpoints of the folder, in the order
    of their numbers. What it said before is kept beside it: in ``checkpoint.bak``, or
    ``checkpoint.bak2`` and so on if that exists and says something else.

    Args:
        folder: The folder.
        reports: What verification of its checkpoints found, in their order. What the state
            file names elsewhere is verified here.
        dry_run: Whether to change nothing and only say what would be.

    Raises:
        CheckpointNotFoundError: No checkpoint is good; the state file stays as it is.
        StorageError: The system refuses; the state file is as it was.
    """
    folder = as_path(folder)
    file = os.path.join(folder, STATE_FILE)
    known = {report.prefix: report for report in reports}
    before = read_file(file) if is_file(file) else None
    old, dropped = _read(file, before)
    new: CheckpointState | None = None
    if old is not None:
        why = {path: _why_not(folder, path, known)
               for path in (*old.all_model_checkpoint_paths, old.model_checkpoint_path)}
        dropped = [(path, reason) for path, reason in why.items() if reason]
        new = edited_state(old, lambda path: None if why[path] else path)
    new = new or _of_folder(folder, known)
    if new is None:
        raise CheckpointNotFoundError("no checkpoint here is good; the state file stays as it is",
                                      file=file, hint="`tfckpt salvage` takes out what is whole.")
    if new == old:
        return StateFix(file, old, new, dry_run=dry_run)
    backup = None if before is None else _free_name(file, before)
    if not dry_run:
        if backup is not None and before is not None:
            replace_file(backup, before)
        replace_file(file, encode_state(new))
    return StateFix(file, old, new, tuple(dropped), backup, dry_run)


def _read(file: str, data: bytes | None) -> tuple[CheckpointState | None, list[tuple[str, str]]]:
    if data is None:
        return None, []
    try:
        with located(file=file):
            return parse_state(data), []
    except CheckpointError as error:
        return None, [(file, error.message)]


def _why_not(folder: str, stored: str, known: Mapping[str, VerifyReport]) -> str | None:
    """Why a path of a state file isn't good, or None if it is."""
    found = locate(folder, stored)
    if found is None:
        return "nothing is there"
    report = next((r for prefix, r in known.items() if same_path(prefix, found.prefix)), None)
    if report is None:  # in another folder
        try:
            report = verify_path(found.prefix)[0]
        except CheckpointError as error:
            return error.message
    if report.problems and all(isinstance(p.error, UnsupportedError) for p in report.problems):
        return None  # it may be whole; we can't tell
    if report.problems:
        return report.problems[0].error.message
    return None if report.ok else "it has NaN or Inf"


def _of_folder(folder: str, known: Mapping[str, VerifyReport]) -> CheckpointState | None:
    names = tuple(os.path.relpath(prefix, folder or ".")
                  for prefix, report in known.items() if report.ok)
    return CheckpointState(names[-1], names) if names else None


def _free_name(file: str, data: bytes) -> str:
    """Where the old state file is kept: over nothing but a file of the same bytes."""
    n = 1
    while True:
        backup = f"{file}.bak{n if n > 1 else ''}"
        if not os.path.lexists(backup) or (is_file(backup) and read_file(backup) == data):
            return backup
        n += 1
