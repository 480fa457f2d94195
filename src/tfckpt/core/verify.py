"""Verification: is every byte of a checkpoint still what was written?

    ============= ==================================== ==================================
    step          looks at                             module
    ============= ==================================== ==================================
    index         checksum of every block              `tfckpt.format.recovery`
    entries       sizes, slices that overlap or lack   here, `tfckpt.core.sliced`
    data files    missing, short, long; overlaps       `tfckpt.core.coverage`
    tensors       checksum of every tensor; NaN, Inf   `tfckpt.core.checksums`
    object graph  keys that point nowhere              `tfckpt.core.graphcheck`
    ============= ==================================== ==================================

Each step goes on where the one before found damage, so that all of it is named at once.
"""

from __future__ import annotations

import os

from tfckpt.core.bundle import BundleSource, check_size
from tfckpt.core.checksums import Checked, check_tensors, usable_cores
from tfckpt.core.collection import no_collection
from tfckpt.core.coverage import ShardCheck, check_shard, other_files
from tfckpt.core.discovery import discover
from tfckpt.core.graphcheck import check_graph_keys
from tfckpt.core.index import Entry
from tfckpt.core.plan import Progress, no_progress
from tfckpt.core.recovery import RecoveredSource, legible_names, open_damaged
from tfckpt.core.report import Problem, ValueCount, VerifyReport
from tfckpt.core.residue import residue_of
from tfckpt.core.sliced import check_cover, whole
from tfckpt.core.source import Source
from tfckpt.core.v1 import V1Source
from tfckpt.errors import CheckpointError, FormatError, UnsupportedError
from tfckpt.format.naming import index_name
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY
from tfckpt.format.recovery import is_whole
from tfckpt.storage.local import read_file

__all__ = ["check_sizes", "verify", "verify_path"]

_MOST_READ = 4  # times the size of a data file; more is no checkpoint but an attack


def verify(source: str | os.PathLike[str] | Source, *, quick: bool = False, nan: bool = False,
           jobs: int | None = None, progress: Progress = no_progress) -> VerifyReport:
    """Check every checksum and size of a checkpoint, and collect what is wrong.

    Each thread keeps a few MiB in memory, whatever the tensors' sizes.

    Args:
        source: The checkpoint, opened, or its path: prefix, any of its files, or folder. By its
            path it may be so damaged that it doesn't open.
        quick: Compare only sizes, which takes milliseconds.
        nan: Count NaN and Inf too, in tensors of floating point.
        jobs: How many threads may read; by default as many as there are cores.
        progress: Told about bytes of tensors.

    Example:
        >>> import tfckpt
        >>> report = tfckpt.verify("examples/tf1")
        >>> report.ok, report.n_tensors, report.damaged
        (True, 21, ())
    """
    if not isinstance(source, Source):
        return verify_path(source, quick=quick, nan=nan, jobs=jobs, progress=progress)[0]
    if not isinstance(source, BundleSource):
        if not isinstance(source, V1Source):
            raise UnsupportedError(f"{source.format} has no checksums that could be verified",
                                   file=source.prefix,
                                   hint="What it says of its tensors was checked when it opened;"
                                        " `tfckpt diff` compares it with what it was made of.")
        from tfckpt.core.verify_v1 import verify_v1  # deferred: rare by now

        return verify_v1(source, quick=quick, nan=nan, progress=progress)
    with no_collection():
        check = _Verification(_with_damage(source))
        check.index()
        entries = check.entries()
        shards = check.shards(entries, quick=quick)
        check.beside(entries)
        if not quick:
            check.tensors(shards, usable_cores() if jobs is None else jobs, nan, progress)
            check.object_graph()
        return check.report(shards, quick=quick, nan=nan and not quick)


def verify_path(path: str | os.PathLike[str], *, quick: bool = False, nan: bool = False,
                jobs: int | None = None, progress: Progress = no_progress
                ) -> tuple[VerifyReport, tuple[str, ...]]:
    """Verify the checkpoint that a path means; see `verify`.

    Returns:
        What was found, and what was corrected in the path or guessed of a damaged index.

    Raises:
        CheckpointNotFoundError: Nothing is there; the error names what is beside it.
        NotACheckpointError: It is a file of another kind; the error says which.
        UnsupportedError: It asks for a newer reader.
    """
    found = discover(path)
    try:
        with open_damaged(path) as source:
            report = verify(source, quick=quick, nan=nan, jobs=jobs, progress=progress)
            return report, source.notes
    except FormatError as error:  # not even its header makes sense
        return VerifyReport(found.prefix, problems=(Problem(error),), quick=quick,
                            index_whole=False), found.notes


def check_sizes(source: BundleSource) -> tuple[Problem, ...]:
    """What is wrong by the index and the sizes of files; nothing is looked for beside them."""
    check = _Verification(_with_damage(source))
    check.index()
    check.shards(check.entries(), quick=True)
    return tuple(check.problems)


def _with_damage(source: BundleSource) -> BundleSource:
    """The checkpoint anew, with what its index still says, if that is damaged."""
    if isinstance(source, RecoveredSource):
        return source
    try:
        if is_whole(read_file(index_name(source.prefix))):
            len(source.index)  # parses all rows
            return source
    except FormatError:
        pass
    return RecoveredSource(source.prefix, source.notes)


class _Verification:
    """Collects what the steps find."""

    def __init__(self, source: BundleSource) -> None:
        self.source = source
        self.index_file = index_name(source.prefix)
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.n_bytes = 0
        self.index_whole = True
        self.values: dict[str, ValueCount] = {}

    def fail(self, error: CheckpointError, tensors: list[str]) -> None:
        self.problems.append(Problem(error, tuple(dict.fromkeys(tensors))))

    def index(self) -> None:
        """The checksum of every block of the index."""
        if isinstance(self.source, RecoveredSource):
            self.index_whole = False
            for item in self.source.damage:
                self.fail(item.error, legible_names(item.rows))

    def entries(self) -> dict[int, list[Entry]]:
        """The stored parts of all tensors, by data file."""
        shards: dict[int, list[Entry]] = {}
        for key in self.source.index:
            try:
                entry = self.source.index[key]
                parts = self._parts(entry) if entry.slices else [entry]
                for part in parts:
                    check_size(part, self.index_file)
            except CheckpointError as error:
                error.file = error.file or self.index_file
                if isinstance(self.source, RecoveredSource) and error.file == self.index_file:
                    error.offset = None  # it was counted in what was left of the index
                self.fail(error, [key])
                continue
            for part in parts:
                shards.setdefault(part.shard_id, []).append(part)
        return shards

    def _parts(self, entry: Entry) -> list[Entry]:
        """The slices of a tensor, which must be all of it and none twice."""
        parts = self.source.parts(entry)
        check_cover([box for box, _ in parts], whole(entry.shape), entry.key)
        return [part for _, part in parts]

    def shards(self, entries: dict[int, list[Entry]], *, quick: bool) -> list[ShardCheck]:
        """Sizes of the data files, and what lies beside them."""
        checks = []
        for shard_id, parts in sorted(entries.items()):
            check = check_shard(self.source, shard_id, parts, quick=quick)
            for error, tensors in check.problems:
                self.fail(error, tensors)
            self.notes += check.notes
            checks.append(check)
        if quick:
            self.n_bytes = sum(entry.n_bytes for check in checks for entry in check.whole)
        return checks

    def beside(self, shards: dict[int, list[Entry]]) -> None:
        """Files that are no part of the checkpoint."""
        self.notes += other_files(self.source, set(shards))
        self.notes += residue_of(self.source.prefix)

    def tensors(self, shards: list[ShardCheck], jobs: int, nan: bool, progress: Progress) -> None:
        """The checksum of every tensor, and its values."""
        todo = [(check.path, self._readable(check)) for check in shards]
        for item in check_tensors(todo, self.source.byte_order, jobs=jobs, count_values=nan,
                                  progress=progress):
            self._take(item)

    def _readable(self, check: ShardCheck) -> list[Entry]:
        """The tensors to read of a data file; not more than it can honestly hold."""
        left = _MOST_READ * max((e.offset + e.n_bytes for e in check.whole), default=0)
        ranges: set[tuple[object, ...]] = set()
        found, refused = [], []
        for entry in check.whole:
            if entry[1:7] not in ranges:
                left -= entry.n_bytes
                if left < 0:
                    refused.append(entry.key)
                    left += entry.n_bytes
                    continue
                ranges.add(entry[1:7])
            found.append(entry)
        if refused:
            self.fail(FormatError("so many tensors overlap that these weren't read",
                                  file=check.path), refused)
        return found

    def _take(self, item: Checked) -> None:
        entry, error, values = item
        if error is not None:
            error.hint = None  # that verifying tells all
            self.fail(error, [entry.key])
            return
        self.n_bytes += entry.n_bytes
        if values is not None:
            before = self.values.get(entry.key)
            self.values[entry.key] = values.plus(before) if before else values

    def object_graph(self) -> None:
        """The keys that the object graph names, if it can be read."""
        damaged = {name for problem in self.problems for name in problem.tensors}
        if OBJECT_GRAPH_KEY in damaged or OBJECT_GRAPH_KEY not in self.source.index:
            return
        try:
            nodes = self.source.object_graph
        except CheckpointError as error:
            self.fail(error, [OBJECT_GRAPH_KEY])
            return
        problems, notes = check_graph_keys(nodes, self.source.index, damaged, self.index_file)
        for problem, tensors in problems:
            self.fail(problem, tensors)
        self.notes += notes

    def report(self, shards: list[ShardCheck], *, quick: bool, nan: bool) -> VerifyReport:
        """All of it."""
        known = {name for problem in self.problems for name in problem.tensors}
        return VerifyReport(
            self.source.prefix, len(known.union(self.source.index)), len(shards), self.n_bytes,
            tuple(self.problems), quick, sum(not check.usable for check in shards),
            self.index_whole, tuple(self.notes), tuple(self.values.values()) if nan else None)
