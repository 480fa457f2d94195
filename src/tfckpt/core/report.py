"""What jobs found out, as values; `tfckpt.report` turns them into text and JSON."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tfckpt.core.index import Style
from tfckpt.core.plan import Plan
from tfckpt.core.writer import WrittenFile
from tfckpt.errors import CheckpointError
from tfckpt.format.state import CheckpointState

__all__ = ["ConvertReport", "FolderReport", "Group", "Problem", "SalvageReport", "StateFix",
           "Summary", "ValueCount", "VerifyReport"]


class Problem(NamedTuple):
    """One thing that is wrong with a checkpoint.

    Attributes:
        error: What, where, expected and got.
        tensors: Names of the tensors that are lost by it.
    """

    error: CheckpointError
    tensors: tuple[str, ...] = ()


class ValueCount(NamedTuple):
    """Values of one tensor that are no finite numbers.

    Attributes:
        tensor: Its name.
        n_values: How many values it has.
        n_nan: How many of them are NaN.
        n_inf: How many are infinite.
    """

    tensor: str
    n_values: int
    n_nan: int = 0
    n_inf: int = 0

    def plus(self, other: ValueCount) -> ValueCount:
        """The counts of two parts of one tensor together."""
        return ValueCount(self.tensor, *(a + b for a, b in zip(self[1:], other[1:], strict=True)))


class VerifyReport(NamedTuple):
    """What verification found.

    Attributes:
        prefix: The checkpoint.
        n_tensors: Tensors in its index, as far as that can be read.
        n_shards: Data files that its tensors are in.
        n_bytes: Bytes of tensors that were read and are whole.
        problems: What is wrong; empty if nothing.
        quick: Whether only sizes were compared, and no checksum of a tensor.
        n_bad_shards: Data files that are missing or too short.
        index_whole: Whether every block of the index is.
        notes: What is unusual but no damage, a sentence each.
        values: NaN and Inf in each tensor that can have them; None if they weren't counted.
    """

    prefix: str
    n_tensors: int = 0
    n_shards: int = 0
    n_bytes: int = 0
    problems: tuple[Problem, ...] = ()
    quick: bool = False
    n_bad_shards: int = 0
    index_whole: bool = True
    notes: tuple[str, ...] = ()
    values: tuple[ValueCount, ...] | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong: no damage, and no NaN or Inf if they were asked for."""
        return not self.problems and not self.not_finite

    @property
    def not_finite(self) -> tuple[ValueCount, ...]:
        """The tensors that have NaN or Inf, if these were counted."""
        return tuple(count for count in self.values or () if count.n_nan or count.n_inf)

    @property
    def damaged(self) -> tuple[str, ...]:
        """Names of all tensors that can't be read as they were written."""
        return tuple(dict.fromkeys(name for p in self.problems for name in p.tensors))

    def raise_if_damaged(self) -> None:
        """Raise the first problem, if there is one."""
        if self.problems:
            raise self.problems[0].error


class FolderReport(NamedTuple):
    """What verification of a folder found.

    Attributes:
        folder: The folder.
        reports: What each of its checkpoints is like, by name and number.
        leftovers: What saves left behind that didn't finish: path, bytes, and what it is.
        newest_good: Prefix of the newest checkpoint that is whole, or None.
    """

    folder: str
    reports: tuple[VerifyReport, ...] = ()
    leftovers: tuple[tuple[str, int, str], ...] = ()
    newest_good: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every checkpoint is whole."""
        return all(report.ok for report in self.reports)


class StateFix(NamedTuple):
    """How a state file was brought to name good checkpoints only.

    Attributes:
        state_file: The file.
        old: What it said; None if there was none.
        new: What it says now, or would say.
        dropped: Each path that left it, and why.
        backup: Where the old file is kept; None if nothing had to change, or there was none.
        dry_run: Whether all was left as it is.
    """

    state_file: str
    old: CheckpointState | None
    new: CheckpointState
    dropped: tuple[tuple[str, str], ...] = ()
    backup: str | None = None
    dry_run: bool = False


class SalvageReport(NamedTuple):
    """What was taken out of a damaged checkpoint, or would be.

    Attributes:
        source: Prefix that was read.
        target: Prefix that was written.
        plan: Every output; what is lost, and why, is in its ``left_out``.
        unknown: Damaged places of the index whose tensors nobody can name for sure.
        files: Files that were written; empty after a dry run, or if nothing is whole.
        notes: What was corrected in the path of the source.
        dry_run: Whether nothing was to be written.
    """

    source: str
    target: str
    plan: Plan
    unknown: tuple[CheckpointError, ...] = ()
    files: tuple[WrittenFile, ...] = ()
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is lost."""
        return not self.plan.left_out and not self.unknown


Role = Literal["model", "optimizer", "ema", "other"]


class Group(NamedTuple):
    """The tensors of one role.

    Attributes:
        role: What they are for.
        n_tensors: How many there are.
        n_params: Their elements.
        n_bytes: Their bytes as stored.
        dtypes: Names of their dtypes, most frequent first.
        kinds: Kinds of slots, or names of single values, for a reader to recognise.
    """

    role: Role
    n_tensors: int = 0
    n_params: int = 0
    n_bytes: int = 0
    dtypes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


class Summary(NamedTuple):
    """What a checkpoint is.

    Attributes:
        prefix: Its prefix.
        format: ``"V2"``, a bundle of an index and data files, ``"V1"``, tables, or the name of
            a format that isn't TensorFlow's.
        style: How its keys are made.
        n_shards: Its data files.
        n_bytes: Bytes of all tensors.
        step: Training step, if it says one.
        groups: Tensors by role.
        notes: What was corrected in the path.
        hints: What its owner may want to know or do.
    """

    prefix: str
    format: str
    style: Style
    n_shards: int
    n_bytes: int
    step: int | None
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    def group(self, role: Role) -> Group:
        """The group of this role, empty if it has no tensors."""
        return next((g for g in self.groups if g.role == role), Group(role))


class ConvertReport(NamedTuple):
    """What a conversion did, or would do.

    Attributes:
        source: Prefix that was read.
        target: Prefix that was written.
        plan: Every output, with the key that it came from.
        files: Files that were written; empty after a dry run.
        notes: What was corrected in the path of the source.
        n_values: Elements of all tensors that the source has, and that the result has; None
            if they weren't compared.
        format: Name of the format that was written, if it isn't a TensorFlow checkpoint.
        verified: How many tensors were read again from what was written and are equal, and how
            many there are; None if nothing was, because data were linked and not read.
    """

    source: str
    target: str
    plan: Plan
    files: tuple[WrittenFile, ...] = ()
    notes: tuple[str, ...] = ()
    n_values: tuple[int, int] | None = None
    format: str | None = None
    verified: tuple[int, int] | None = None
