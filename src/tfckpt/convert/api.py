"""Conversion from end to end: open, plan, write, verify."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from tfckpt.convert.running import reloaded, run_plan, run_v1_plan
from tfckpt.convert.same_names import plan_same_names
from tfckpt.convert.tf1_to_tf2 import plan_tf1_to_tf2
from tfckpt.convert.tf2_to_tf1 import NameChoice, plan_tf2_to_tf1
from tfckpt.core.discovery import as_path
from tfckpt.core.files.table import FILE_FORMATS, FileFormat, format_named, format_of_path
from tfckpt.core.opening import opened
from tfckpt.core.plan import Plan, Progress, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.source import Source
from tfckpt.core.writer import DataMode
from tfckpt.errors import UnsupportedError

if TYPE_CHECKING:
    from tfckpt.convert.cast import CastTo
    from tfckpt.convert.namemap import NameMap

__all__ = ["Target", "convert", "file_format_of"]

Target = Literal["tf1", "tf2", "tf1-v1", "safetensors", "torch", "npz", "npy", "msgpack", "orbax"]


def convert(src: str | os.PathLike[str] | Source, dst: str | os.PathLike[str], *,
            to: Target | None = None, root: str = "vars", names: NameChoice = "auto",
            data: DataMode = "link",
            overwrite: bool = False, dry_run: bool = False, include: str | None = None,
            exclude: str | None = None, skip_optimizer: bool = False,
            ema: Literal["use", "ignore", "keep"] | None = None, dtype: CastTo | None = None,
            max_shard_size: int | None = None,
            map: str | os.PathLike[str] | NameMap | None = None,  # noqa: A002 - what it is
            progress: Progress = no_progress) -> ConvertReport:
    """Convert between TF1 (name-based), TF2 (object-based), and files of other frameworks.

    Between checkpoints the tensors' bytes are neither read nor rewritten: the data files get a
    second name, and a new index beside them new keys. What was written is read back before this
    returns; what isn't linked is compared tensor by tensor.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder; or a file of another format;
            or a source that is open, such as a `tfckpt.keras.legacy_h5.LegacyH5`. It is never
            changed.
        dst: Prefix or path of the result, used exactly as it is.
        to: ``"tf2"``: ``tf.train.Checkpoint(vars={name: variable})`` restores it, and
            ``assert_consumed()`` holds. ``"tf1"``: ``tf.compat.v1.train.Saver`` restores it.
            ``"tf1-v1"``: the same in one file of the V1 format, for programs from before 2017;
            its values are encoded anew. Or a format of files (`tfckpt.core.files.table`), by
            default the one that the ending of ``dst`` means.
        root: For TF2, the name that is ``vars`` above.
        names: For TF1 and files, where names come from; see `plan_tf2_to_tf1`.
        data: ``"link"`` the data files (reflink, else hard link, else copy) or ``"copy"``.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        include: For files, see `ExportOptions`, as for the next four.
        exclude: Likewise.
        skip_optimizer: Likewise.
        ema: Likewise.
        dtype: Likewise.
        max_shard_size: For safetensors, how many bytes of tensors one file may have.
        map: What the other framework calls each tensor, and how it lies there: the name of a map
            that ships, a file, or what `tfckpt.convert.mapfiles.read_map` gives. To a file it
            leads out of TensorFlow, to ``"tf1"`` and ``"tf2"`` back. State of optimizers stays
            behind.
        progress: Told about bytes of data files, as far as they are moved.

    Returns:
        What was done, with the plan.

    Raises:
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile, tfckpt
        >>> report = tfckpt.convert("examples/tf1", tempfile.mkdtemp() + "/ckpt", to="tf2")
        >>> report.plan.outputs[2].key
        'vars/block..1.Sw/.ATTRIBUTES/VARIABLE_VALUE'
    """
    target = as_path(dst)
    file_format = file_format_of(to, target)
    if file_format is not None or map is not None:
        from tfckpt.convert.export import ExportOptions  # deferred: between checkpoints, no need
        from tfckpt.convert.outside import convert_into_checkpoint, convert_to_file

        options = ExportOptions(names, include, exclude, skip_optimizer, ema, dtype)
        if file_format is not None:
            return convert_to_file(src, target, file_format, options, max_shard_size, map,
                                   overwrite=overwrite, dry_run=dry_run, progress=progress)
        if to not in ("tf1", "tf1-v1", "tf2") or map is None:
            raise _unknown_target(to)
        return convert_into_checkpoint(
            src, target, to, options, map, max_shard_size, root=root, data=data,
            overwrite=overwrite, dry_run=dry_run, progress=progress)
    if include or exclude or skip_optimizer or ema or dtype or max_shard_size is not None:
        raise UnsupportedError("the result is a TensorFlow checkpoint, and these options are for"
                               " other files: include, exclude, skip_optimizer, ema, dtype,"
                               " max_shard_size", file=target,
                               hint="Edit it before or after with `tfckpt select`, `strip`, `ema`,"
                                    " `cast`, `reshard`.")
    with opened(src) as source:
        if to == "tf2":
            plan = plan_tf1_to_tf2(source, root)
        elif to == "tf1":
            plan = plan_to_names(source, names)
        elif to == "tf1-v1":
            plan = (plan_tf2_to_tf1(source, names) if source.style == "object-based"
                    else plan_same_names(source))
            return run_v1_plan(source, plan, target,
                               overwrite=overwrite, dry_run=dry_run, progress=progress)
        else:
            raise _unknown_target(to)
        return reloaded(run_plan(source, plan, target, data=data, overwrite=overwrite,
                                  dry_run=dry_run, progress=progress), source.format)


def file_format_of(to: str | None, target: str) -> FileFormat | None:
    """The format of files that is wanted, or None if it is a checkpoint of TensorFlow.

    Raises:
        UnsupportedError: The ending of the target says another one.
    """
    wanted, named = format_named(to), format_of_path(target)
    if wanted is None or named is None or wanted is named:
        return named if to is None else wanted
    if (wanted.name, named.name) == ("torch", "safetensors"):  # people of PyTorch use both
        return named
    raise UnsupportedError(f"the ending of the output says {named.name}", file=target,
                           expected=f"one of {wanted.name}, such as"
                                    f" {wanted.endings[0] if wanted.endings else 'none'}")


def plan_to_names(source: Source, names: NameChoice) -> Plan:
    """Plan a name-based checkpoint; one that is name-based already keeps its names.

    Raises:
        UnsupportedError: It is a name-based V2 bundle already.
    """
    if source.style == "object-based" or source.format == "V2":
        return plan_tf2_to_tf1(source, names)
    return plan_same_names(source)


def _unknown_target(to: str | None) -> ValueError:
    known = ["tf1", "tf1-v1", "tf2", *(item.name for item in FILE_FORMATS)]
    return ValueError(f"to must be one of {', '.join(known)}, not {to!r}" if to else
                      f"say what to convert to: {', '.join(known)}")
