"""Carrying out what a rule planned: the one step from a `Plan` to files and a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from tfckpt.core.destination import check_destination
from tfckpt.core.files.table import FileFormat
from tfckpt.core.opening import open_source
from tfckpt.core.plan import Plan, Progress, no_progress, packed
from tfckpt.core.report import ConvertReport
from tfckpt.core.source import Source
from tfckpt.core.writer import check_keys, write_plan

if TYPE_CHECKING:
    from tfckpt.core.files.writing import FileOptions

__all__ = ["DataChoice", "reloaded", "run_plan", "run_v1_plan", "write_file_plan"]

DataChoice = Literal["link", "copy", "pack"]
"""What becomes of data files: `DataMode`, or new ones with only what the result has."""


def run_plan(source: Source | Sequence[Source], plan: Plan, target: str, *,
             data: DataChoice = "link", overwrite: bool = False, dry_run: bool = False,
             progress: Progress = no_progress) -> ConvertReport:
    """Write what a rule made of one source or several, or only say what would be written.

    Raises:
        CheckpointError: Nothing was written.
    """
    check_keys(plan)
    if data == "pack":
        plan, data = packed(plan), "link"
    sources = [source] if isinstance(source, Source) else source
    prefixes = [item.prefix for item in sources]
    report = ConvertReport(", ".join(prefixes), target, plan,
                           notes=tuple(note for item in sources for note in item.notes))
    # Also what isn't linked but streamed must not be written over.
    check_destination(target, prefixes, overwrite=overwrite)
    if dry_run:
        return report
    files = write_plan(plan, target, data=data, overwrite=overwrite, progress=progress)
    return report._replace(files=files)


def run_v1_plan(source: Source, plan: Plan, target: str, *, overwrite: bool = False,
                dry_run: bool = False, progress: Progress = no_progress) -> ConvertReport:
    """Write what a rule made of a source in the V1 format, or only say what would be written.

    Raises:
        CheckpointError: Nothing was written.
    """
    from tfckpt.core.writer_v1 import check_v1_destination, write_v1_plan  # deferred: rare by now

    files = source.files()
    report = ConvertReport(source.prefix, target, plan, notes=source.notes)
    if dry_run:
        check_v1_destination(target, files, overwrite=overwrite)
        return report
    written = write_v1_plan(plan, target, sources=files, overwrite=overwrite, progress=progress)
    return reloaded(report._replace(files=written), "V1")


def write_file_plan(source: Source, plan: Plan, target: str, file_format: FileFormat,
                    options: FileOptions, *, overwrite: bool = False, dry_run: bool = False,
                    progress: Progress = no_progress) -> ConvertReport:
    """Write what a rule made of a source in another format, or only say what would be written.

    Raises:
        CheckpointError: Nothing was written.
    """
    from tfckpt.core.files.writing import check_file_destination, write_files  # deferred, as above

    report = ConvertReport(source.prefix, target, plan, notes=source.notes,
                           format=file_format.name)
    sources = (source.prefix, *source.files())
    if dry_run:
        check_keys(plan)
        file_format.load().check(plan)
        check_file_destination(target, file_format, sources, overwrite=overwrite)
        return report
    files, n_equal = write_files(plan, target, file_format, options, sources=sources,
                                 overwrite=overwrite, progress=progress)
    return report._replace(files=files, verified=(n_equal, len(plan.outputs)))


def reloaded(report: ConvertReport, source_format: str) -> ConvertReport:
    """The report with what reading the result again says, where the result has data of its own."""
    if not report.files or source_format == "V2":
        return report
    from tfckpt.core.reload import compare_reloaded  # deferred: linked data need none

    with open_source(report.target) as written:
        n_equal = compare_reloaded(report.plan, written)
    return report._replace(verified=(n_equal, len(report.plan.outputs)))
