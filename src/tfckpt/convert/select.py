"""Select: some of a checkpoint's tensors."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from tfckpt.convert.rename import variable_names
from tfckpt.convert.running import DataChoice, run_plan
from tfckpt.convert.without import plan_without
from tfckpt.core.discovery import as_path
from tfckpt.core.opening import open_source
from tfckpt.core.plan import Plan, Progress, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.source import Source
from tfckpt.errors import TensorNotFoundError, UnsupportedError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, VARIABLE_VALUE
from tfckpt.format.objectkeys import object_key

__all__ = ["plan_select", "select"]

_SAVE_COUNTER = object_key("save_counter", VARIABLE_VALUE)


def select(src: str | os.PathLike[str], dst: str | os.PathLike[str], *, keep: str | None = None,
           drop: str | None = None, data: DataChoice = "link", overwrite: bool = False,
           dry_run: bool = False, progress: Progress = no_progress) -> ConvertReport:
    """Write some of the tensors of a checkpoint; none of their bytes are moved.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder. It is never changed.
        dst: Prefix of the result, used exactly as it is.
        keep: See `plan_select`, as for the next one.
        drop: Likewise.
        data: ``"link"`` the data files, ``"copy"`` them, or ``"pack"`` what is kept of them.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was done, with the plan.

    Raises:
        TensorNotFoundError: Nothing is dropped, or nothing is left.
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile, tfckpt
        >>> report = tfckpt.select("examples/tf1", tempfile.mkdtemp() + "/m", drop="^dense/")
        >>> [item.key for item in report.plan.left_out][:2]
        ['dense/bias', 'dense/bias/Adam']
    """
    with open_source(src) as source:
        return run_plan(source, plan_select(source, keep, drop), as_path(dst), data=data,
                        overwrite=overwrite, dry_run=dry_run, progress=progress)


def plan_select(source: Source, keep: str | None = None, drop: str | None = None) -> Plan:
    """Plan a checkpoint of some tensors.

    Slots and moving averages stay and go with their variable. The object graph stays, without
    what is dropped, and so does tf.train.Checkpoint's own count of saves unless ``drop`` means
    it: without that, its ``assert_consumed()`` fails.

    Args:
        source: Any checkpoint.
        keep: A regular expression: names in which it isn't found are dropped.
        drop: Names in which this one is found are dropped.

    Raises:
        TensorNotFoundError: Nothing is dropped, or nothing is left.
        UnsupportedError: A regular expression isn't valid, or there is none.
    """
    if keep is None and drop is None:
        raise UnsupportedError("say what to keep or what to drop")
    wanted, unwanted = _compiled(keep), _compiled(drop)
    dropped = {}
    for key, name in variable_names(source).items():
        by_keep = wanted is not None and not wanted.search(name) and key != _SAVE_COUNTER
        if by_keep or (unwanted is not None and unwanted.search(name)):
            dropped[key] = "dropped"
    _check_something(source, dropped, keep, drop)
    return plan_without(source, dropped)


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UnsupportedError(f"the regular expression is not valid ({error})",
                               got=repr(pattern)) from None


def _check_something(source: Source, dropped: Mapping[str, str], keep: str | None, drop: str | None
                     ) -> None:
    hint = "Names are what `tfckpt ls` shows; slots count as their variable."
    if not any(key not in dropped for key in source.index
               if key not in (OBJECT_GRAPH_KEY, _SAVE_COUNTER)):
        raise TensorNotFoundError("no tensor would be left", file=source.prefix, hint=hint,
                                  got=repr(drop if keep is None else keep))
    if not dropped:
        raise TensorNotFoundError("no tensor would be dropped", file=source.prefix, hint=hint,
                                  got=repr(keep if drop is None else drop))
