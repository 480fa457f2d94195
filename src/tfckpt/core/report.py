"""What jobs found out, as values; `tfckpt.report` turns them into text and JSON."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tfckpt.core.index import Style
from tfckpt.core.plan import Plan
from tfckpt.core.writer import WrittenFile
from tfckpt.errors import CheckpointError

__all__ = ["ConvertReport", "Group", "Problem", "Summary", "VerifyReport"]


class Problem(NamedTuple):
    """One thing that is wrong with a checkpoint.

    Attributes:
        error: What, where, expected and got.
        tensors: Names of the tensors that are lost by it.
    """

    error: CheckpointError
    tensors: tuple[str, ...] = ()


class VerifyReport(NamedTuple):
    """What verification found.

    Attributes:
        prefix: The checkpoint.
        n_tensors: Tensors in its index.
        n_shards: Data files that its tensors are in.
        n_bytes: Bytes of tensors that were read and are whole.
        problems: What is wrong; empty if nothing.
        quick: Whether only sizes were compared, and no checksum of a tensor.
    """

    prefix: str
    n_tensors: int = 0
    n_shards: int = 0
    n_bytes: int = 0
    problems: tuple[Problem, ...] = ()
    quick: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def damaged(self) -> tuple[str, ...]:
        """Names of all tensors that can't be read as they were written."""
        return tuple(dict.fromkeys(name for p in self.problems for name in p.tensors))

    def raise_if_damaged(self) -> None:
        """Raise the first problem, if there is one."""
        if self.problems:
            raise self.problems[0].error


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
        style: How its keys are made.
        n_shards: Its data files.
        n_bytes: Bytes of all tensors.
        step: Training step, if it says one.
        groups: Tensors by role.
        notes: What was corrected in the path.
        hints: What its owner may want to know or do.
    """

    prefix: str
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
    """

    source: str
    target: str
    plan: Plan
    files: tuple[WrittenFile, ...] = ()
    notes: tuple[str, ...] = ()
    n_values: tuple[int, int] | None = None
