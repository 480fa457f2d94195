"""What conversions by way of a live model share: how they end, and what is printed of them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from tfckpt.cli.options import print_error, print_json, print_lines
from tfckpt.errors import CheckpointError, MismatchError, ProofError

__all__ = ["finish", "json_of_file", "json_of_rest", "lines_of_file"]


def finish(options: Namespace, convert: Callable[[], Any], as_text: Callable[[Any], list[str]],
           as_json: Callable[[Any], dict[str, Any]]) -> int:
    """Convert and print the report; returns the exit status."""
    try:
        report = convert()
    except ProofError as error:
        print_error(error)
        return 1
    except MismatchError as error:
        _save_map(options.save_map, error)
        raise
    if options.json:
        print_json(as_json(report))
    else:
        print_lines(as_text(report))
    return 0


def lines_of_file(report: Any, what: str) -> list[str]:
    """The last lines of a report: what was proved, and that the file is whole.

    Args:
        report: The report.
        what: What was compared when the file was read again.
    """
    lines = [] if report.proof is None else [str(report.proof)]
    if report.verified is None:
        return [*lines, "Nothing written (--dry-run)."]
    return [*lines, f"{report.load.source} -> {report.target}",
            f"verified: {report.verified} of {report.verified} {what} bit-equal after reload"]


def json_of_file(report: Any) -> dict[str, Any]:
    """The same for JSON."""
    return {"proof": report.proof and report.proof._asdict(),
            "written": report.verified is not None, "verified": report.verified}


def json_of_rest(load: Any) -> dict[str, Any]:
    """What of a report of a load is called the same for all models, for JSON."""
    return {"mismatched": [item._asdict() for item in load.mismatched],
            "unused": list(load.unused), "left_aside": dict(load.left_aside),
            "notes": list(load.notes)}


def _save_map(file: str | None, error: CheckpointError) -> None:
    """Write the map that people fill in, and have the error say so."""
    found = getattr(error, "report", None)
    if file is None or found is None:
        return
    from tfckpt.core.namefiles import write_name_file  # deferred: it rarely comes to that

    write_name_file(file, found.map_to_fill_in())
    error.hint = (f"Nothing was loaded. Fill in {file}, where a question mark stands before the"
                  f" weights to choose from, and give it as --map {file}.")
