"""Verification of V1 checkpoints: every block's checksum, and every tensor's values.

A V1 file has no checksum of a tensor, but one of every block, and values are in blocks.
"""

from __future__ import annotations

from tfckpt.core.index import Entry
from tfckpt.core.plan import Progress
from tfckpt.core.report import Problem, ValueCount, VerifyReport
from tfckpt.core.sliced import check_cover, whole
from tfckpt.core.v1 import V1Source
from tfckpt.errors import CheckpointError, TruncatedError, located

__all__ = ["verify_v1"]


def verify_v1(source: V1Source, *, quick: bool, nan: bool, progress: Progress) -> VerifyReport:
    """Check every block and every tensor of a V1 checkpoint, one slice in memory at a time.

    Args:
        source: The checkpoint.
        quick: Look only at what the lists of tensors say, not at values.
        nan: Count NaN and Inf too, in tensors of floating point.
        progress: Told about bytes of tensors.
    """
    check = _Verification(source)
    if not quick:
        check.blocks()
    total = sum(entry.n_bytes for entry in source.index.values())
    done = 0
    for entry in source.index.values():
        check.tensor(entry, quick=quick, nan=nan)
        done += entry.n_bytes
        progress(done, total)
    return check.report(quick=quick, nan=nan and not quick)


class _Verification:
    """Collects what the steps find."""

    def __init__(self, source: V1Source) -> None:
        self.source = source
        self.damaged: dict[tuple[str, int | str], tuple[CheckpointError, list[str]]] = {}
        self.bad_files: set[str] = set()
        self.n_bytes = 0
        self.values: dict[str, ValueCount] = {}

    def fail(self, error: CheckpointError, tensor: str = "") -> None:
        """Note damage; that of one block is one problem, whatever tensors it hits."""
        error.file = error.file or self.source.prefix
        place = error.file, tensor if error.offset is None else error.offset
        _, known = self.damaged.setdefault(place, (error, []))
        known += [tensor] if tensor else []
        self.bad_files.add(error.file)

    def blocks(self) -> None:
        """The checksum of every block."""
        for file, table in self.source.tables():
            try:
                handles = [table.metaindex, *table.handles()]
            except CheckpointError as error:
                error.file = file
                self.fail(error)
                continue
            for handle in handles:
                try:
                    with located(file=file):
                        table.read_block(handle)
                except CheckpointError as error:
                    self.fail(error)

    def tensor(self, entry: Entry, *, quick: bool, nan: bool) -> None:
        """The slices of one tensor, and their values."""
        try:
            parts = self.source.parts(entry)
            check_cover([box for box, _ in parts], whole(entry.shape), entry.key)
        except CheckpointError as error:
            self.fail(error, entry.key)
            return
        for _, part in () if quick else parts:
            try:
                array = self.source.read_array(part)
            except CheckpointError as error:
                error.file = error.file or self.source.shard_file(part.shard_id)
                self.fail(error, entry.key)
                continue
            self.n_bytes += array.nbytes
            if nan and ("float" in entry.dtype.name or "complex" in entry.dtype.name):
                self._count(entry.key, array)

    def _count(self, key: str, array: object) -> None:
        import numpy as np  # deferred: few ask for it

        numbers = np.asarray(array)
        if numbers.dtype.kind not in "fc":  # of ml_dtypes
            numbers = numbers.astype(np.float32)
        count = ValueCount(key, numbers.size, int(np.isnan(numbers).sum()),
                           int(np.isinf(numbers).sum()))
        before = self.values.get(key)
        self.values[key] = count.plus(before) if before else count

    def report(self, *, quick: bool, nan: bool) -> VerifyReport:
        """All of it."""
        problems = [Problem(error, tuple(dict.fromkeys(tensors)))
                    for error, tensors in self.damaged.values()]
        missing = [note for note in self.source.notes if note.startswith("only ")]
        problems += [Problem(TruncatedError(note, file=self.source.prefix)) for note in missing]
        return VerifyReport(
            self.source.prefix, len(self.source.index), len(self.source.files()), self.n_bytes,
            tuple(problems), quick, len(self.bad_files),
            values=tuple(self.values.values()) if nan else None)
