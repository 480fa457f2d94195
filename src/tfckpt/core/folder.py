"""Verification of all checkpoints of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from tfckpt.core.catalog import CatalogEntry, read_catalog
from tfckpt.core.discovery import as_path
from tfckpt.core.report import FolderReport, Problem, VerifyReport
from tfckpt.core.verify import verify_path
from tfckpt.errors import CheckpointError

__all__ = ["find_newest_good", "verify_folder"]

Tell = Callable[[VerifyReport], None]


def verify_folder(path: str | os.PathLike[str], *, quick: bool = False, nan: bool = False,
                  jobs: int | None = None, tell: Tell = lambda report: None) -> FolderReport:
    """Verify every checkpoint of a folder.

    Args:
        path: The folder.
        quick: As for `verify`.
        nan: As for `verify`.
        jobs: As for `verify`.
        tell: Told about each as soon as it is known.

    Raises:
        CheckpointNotFoundError: There is no such folder.
    """
    catalog = read_catalog(path)
    reports = []
    for entry in catalog.checkpoints:
        reports.append(_verify_entry(entry, quick=quick, nan=nan, jobs=jobs))
        tell(reports[-1])
    good = {report.prefix for report in reports if report.ok}
    newest = next((entry.prefix for entry in _newest_first(catalog.checkpoints)
                   if entry.prefix in good), None)
    return FolderReport(as_path(path), tuple(reports),
                        tuple((item.path, item.n_bytes, item.what) for item in catalog.leftovers),
                        newest)


def find_newest_good(path: str | os.PathLike[str], *, quick: bool = False, nan: bool = False,
                     jobs: int | None = None, tell: Tell = lambda report: None) -> str | None:
    """Prefix of the newest checkpoint of a folder that is whole, or None.

    The newest is that of the highest step; of equal ones, or without any, that which was
    written last. Others are read only as far as it takes: the newest is the first.

    Args:
        path: The folder.
        quick: As for `verify`.
        nan: As for `verify`.
        jobs: As for `verify`.
        tell: Told about each that was read.
    """
    for entry in _newest_first(read_catalog(path).checkpoints):
        report = _verify_entry(entry, quick=quick, nan=nan, jobs=jobs)
        tell(report)
        if report.ok:
            return entry.prefix
    return None


def _newest_first(entries: tuple[CatalogEntry, ...]) -> Iterator[CatalogEntry]:
    def age(entry: CatalogEntry) -> tuple[int, float]:
        return -1 if entry.step is None else entry.step, max(map(_written, entry.files))

    return iter(sorted(entries, key=age, reverse=True))


def _written(file: str) -> float:
    try:
        return os.stat(file).st_mtime
    except OSError:  # removed meanwhile
        return 0.0


def _verify_entry(entry: CatalogEntry, *, quick: bool, nan: bool, jobs: int | None) -> VerifyReport:
    try:
        return verify_path(entry.prefix, quick=quick, nan=nan, jobs=jobs)[0]
    except CheckpointError as error:  # its index is missing, say
        return VerifyReport(entry.prefix, problems=(Problem(error),), quick=quick,
                            index_whole=False)
