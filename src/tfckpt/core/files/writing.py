"""Executing a plan as a file of another format, and publishing it once it is proven.

    plan ──write──▶ hidden files ──read again, compared──▶ renamed to their places

While the system brings the bytes to the disk, they are read again and compared with the plan;
only then does anything appear at the target.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tfckpt.core.bundle import missing_shard
from tfckpt.core.emit import Range, chunks_of, data_bytes, range_of
from tfckpt.core.files.table import FileFormat
from tfckpt.core.plan import Output, Plan, Progress, no_progress
from tfckpt.core.reload import compare_reloaded
from tfckpt.core.writer import WrittenFile, check_keys
from tfckpt.errors import DestinationExistsError, UnsupportedError
from tfckpt.storage.earlysync import EarlySync
from tfckpt.storage.elsewhere import refuse_target_elsewhere
from tfckpt.storage.link import append_range
from tfckpt.storage.local import DataFile, os_errors
from tfckpt.storage.publish import Staging

__all__ = ["FileOptions", "append_outputs", "check_file_destination", "refuse_dtypes",
           "refuse_names", "write_all", "write_files"]


class FileOptions(NamedTuple):
    """How a file is written.

    Attributes:
        max_shard_size: Bytes of tensors that one file may have; None puts all into one.
        metadata: Text that the file has beside the tensors, if its format has room for it.
    """

    max_shard_size: int | None = None
    metadata: tuple[tuple[str, str], ...] = ()


def write_files(plan: Plan, target: str, file_format: FileFormat, options: FileOptions, *,
                sources: Iterable[str] = (), overwrite: bool = False,
                progress: Progress = no_progress) -> tuple[tuple[WrittenFile, ...], int]:
    """Write a plan in another format; see this module.

    Args:
        plan: What to write.
        target: Path of the file or folder.
        file_format: Which format.
        options: How.
        sources: Files that are read, which must not be replaced.
        overwrite: Whether a file that is there already is replaced.
        progress: Told about bytes that are written and then read again.

    Returns:
        The files, and how many tensors were read again and are equal.

    Raises:
        CheckpointError: Nothing was written.
    """
    module = file_format.load()
    check_keys(plan)
    module.check(plan)
    check_file_destination(target, file_format, sources, overwrite=overwrite)
    total = 2 * sum(map(data_bytes, plan.outputs))
    with Staging(target) as staging:
        waiting = staging.path(os.path.basename(target))
        with EarlySync(staging.sync) as early:
            step = _Steps(progress, total, early)
            with os_errors(target, "write"):
                names = module.write(plan, waiting, options, step.advance)
            early.finish()
            folder = os.path.dirname(target)
            moves = [(name, os.path.join(folder, name)) for name in names]
            _check_free(moves, overwrite=overwrite)
            with module.read(staging.path(names[-1])) as written:
                n_equal = compare_reloaded(plan, written, progress=step.second)
            early.wait()
        files = tuple(_written(staging.path(name), path) for name, path in moves)
        staging.publish(moves, replace_last=overwrite)
    return files, n_equal


class _Steps:
    """The bytes of two rounds, for one progress."""

    def __init__(self, progress: Progress, total: int, early: EarlySync) -> None:
        self._progress, self._total, self._done = progress, total, 0
        self._early = early

    def advance(self, n_bytes: int) -> None:
        self._done += n_bytes
        self._early.more(n_bytes)
        self._progress(min(self._done, self._total // 2), self._total)

    def second(self, done: int, total: int) -> None:
        self._progress(min(self._total // 2 + done, self._total), self._total)


def _written(waiting: str, path: str) -> WrittenFile:
    if not os.path.isdir(waiting):
        return WrittenFile(path, os.path.getsize(waiting), "new")
    size = sum(os.path.getsize(os.path.join(folder, file))
               for folder, _, files in os.walk(waiting) for file in files)
    return WrittenFile(path, size, "new")


def check_file_destination(target: str, file_format: FileFormat, sources: Iterable[str], *,
                           overwrite: bool) -> None:
    """Refuse to write over a source, or over anything unless told to.

    Raises:
        DestinationExistsError: Saying what is there.
        UnsupportedError: It is an address of another machine.
    """
    refuse_target_elsewhere(target)
    ending = file_format.endings[0] if file_format.endings else ""
    if not os.path.basename(target) or (os.path.isdir(target) and not file_format.is_folder):
        raise DestinationExistsError("the output is a folder; a file is needed", file=target,
                                     hint=f"Try: {os.path.join(target, 'model' + ending)}")
    here = os.path.realpath(target)
    if any(os.path.realpath(source) == here for source in sources):
        raise DestinationExistsError("the output would replace its own source", file=target,
                                     hint="Give another path; the source is never changed.")
    if not os.path.lexists(target):
        return
    if file_format.is_folder:
        raise DestinationExistsError("there is already something, and a folder is never replaced",
                                     file=target, hint="Give another path.")
    if not overwrite:
        raise DestinationExistsError("there is already a file", file=target,
                                     hint="Give another path, or allow it with --overwrite.")


def _check_free(moves: list[tuple[str, str]], *, overwrite: bool) -> None:
    """Several files that replaced others one by one would be a mixture for a while."""
    for _, path in moves if len(moves) > 1 or not overwrite else ():
        if os.path.lexists(path):
            raise DestinationExistsError("there is already a file", file=path,
                                         hint="Give another path.")


def refuse_dtypes(plan: Plan, held: Iterable[str], what: str, hint: str = "") -> None:
    """Refuse a plan with tensors of a dtype that a format has not.

    Args:
        plan: The plan.
        held: Names of the dtypes that it has.
        what: The format, for people.
        hint: What helps, beside leaving them out.

    Raises:
        UnsupportedError: Naming them.
    """
    known = set(held)
    lost = [output for output in plan.outputs if output.dtype.name not in known]
    if not lost:
        return
    named = ", ".join(f"{output.key} ({output.dtype})" for output in lost[:5])
    more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
    noun = "tensor" if len(lost) == 1 else "tensors"
    helps = hint + " " if hint else ""
    raise UnsupportedError(f"{what} can't hold {len(lost)} {noun}: {named}{more}",
                           hint=f"{helps}--exclude REGEX leaves tensors out.")


def refuse_names(plan: Plan, what: str) -> None:
    """Refuse names that can't be those of files or of members of an archive.

    Raises:
        UnsupportedError: Naming the first.
    """
    for output in plan.outputs:
        try:
            output.key.encode("utf-8")
        except UnicodeEncodeError:
            raise UnsupportedError(f"{what} can't hold a name that isn't valid Unicode",
                                   tensor=output.key) from None
        if "\0" in output.key:
            raise UnsupportedError(f"{what} can't hold a name with a zero byte", tensor=output.key)


def append_outputs(outputs: Iterable[Output], plan: Plan, file: Any, advance: Any) -> None:
    """Append the bytes of tensors to an open file; what lies in files, the system moves.

    Neighbours in a file are moved at once.
    """
    with contextlib.ExitStack() as stack:
        opened: dict[str, DataFile] = {}
        for item in _runs(outputs, plan):
            if isinstance(item, Range):
                source = opened.get(item.file)
                if source is None:
                    try:
                        source = stack.enter_context(DataFile(item.file))
                    except FileNotFoundError:
                        raise missing_shard(item.file) from None
                    opened[item.file] = source
                append_range(source, item.offset, item.n_bytes, file, advance)
                continue
            for chunk in chunks_of(item, plan):
                write_all(file, chunk)
                advance(len(chunk))


def write_all(file: Any, chunk: Any) -> None:
    """Write all of some bytes, whatever number of them the system takes at a time."""
    view = memoryview(chunk).cast("B")
    while view:
        view = view[file.write(view) or 0:]


def _runs(outputs: Iterable[Output], plan: Plan) -> Iterator[Range | Output]:
    """Tensors to make, and ranges to move; ranges that touch are joined."""
    held: Range | None = None
    for output in outputs:
        found = range_of(output, plan)
        if found is not None and held is not None and found.file == held.file and \
                found.offset == held.offset + held.n_bytes:
            held = held._replace(n_bytes=held.n_bytes + found.n_bytes)
            continue
        if held is not None:
            yield held
        held = found
        if found is None:
            yield output
    if held is not None:
        yield held
