"""Out of TensorFlow into files of other frameworks, and back in by a map."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from tfckpt.convert.cast import Lost, lost_notes
from tfckpt.convert.export import ExportOptions, export_metadata, plan_export
from tfckpt.convert.fitting import maps_for
from tfckpt.convert.running import reloaded, run_plan, run_v1_plan, write_file_plan
from tfckpt.convert.tf1_to_tf2 import under_root
from tfckpt.core.files.table import FileFormat
from tfckpt.core.files.writing import FileOptions
from tfckpt.core.opening import opened
from tfckpt.core.plan import Plan, Progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.source import Source
from tfckpt.core.writer import DataMode
from tfckpt.errors import UnsupportedError

if TYPE_CHECKING:
    from tfckpt.convert.mapfiles import MapChoice

__all__ = ["convert_into_checkpoint", "convert_to_file"]

Path = str | os.PathLike[str]


def convert_to_file(src: Path | Source, target: str, file_format: FileFormat,
                    options: ExportOptions, max_shard_size: int | None,
                    mapping: MapChoice | None = None, *, overwrite: bool, dry_run: bool,
                    progress: Progress) -> ConvertReport:
    """Convert to a file of another framework, under its own names if there is a map.

    Args:
        src: A checkpoint or file, or a source that is open.
        target: Where the file goes.
        file_format: Its format.
        options: What goes out.
        max_shard_size: See `FileOptions`.
        mapping: A map; its name, or its file.
        overwrite: Whether what is there is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes.

    Raises:
        CheckpointError: Nothing was written.
    """
    if max_shard_size is not None and file_format.name != "safetensors":
        raise UnsupportedError(f"{file_format.name} has no shards", file=target,
                               hint="--max-shard-size goes with safetensors.")
    lost: dict[str, Lost] = {}
    with opened(src) as source:
        if mapping is None:
            plan = plan_export(source, options, lost)
            plan = plan._replace(notes=(*plan.notes, *_hints(plan, file_format)))
            metadata = export_metadata(source, plan)
        else:
            from tfckpt.convert.mapfiles import map_of  # deferred: most have no map
            from tfckpt.convert.mapped import map_metadata, plan_map

            name_map = map_of(mapping)
            plan = plan_map(source, name_map, options, lost)
            metadata = map_metadata(name_map, export_metadata(source, plan))
        report = write_file_plan(
            source, plan, target, file_format, FileOptions(max_shard_size, metadata),
            overwrite=overwrite, dry_run=dry_run, progress=progress)
    return report._replace(plan=_with_losses(plan, lost, options))


def convert_into_checkpoint(src: Path | Source, target: str, to: Literal["tf1", "tf1-v1", "tf2"],
                            options: ExportOptions, mapping: MapChoice, max_shard_size: int | None,
                            *, root: str, data: DataMode, overwrite: bool, dry_run: bool,
                            progress: Progress) -> ConvertReport:
    """Convert a file of another framework to a checkpoint of TensorFlow, by a map.

    Args:
        src: A file, or a checkpoint that has the other framework's names.
        target: Prefix of the result.
        to: Its style.
        options: What goes in.
        mapping: A map; its name, or its file. It leads back unless it is inverted already.
        max_shard_size: Has no meaning here.
        root: For TF2, see `plan_tf1_to_tf2`.
        data: What becomes of data files, of which a file has none.
        overwrite: Whether what is there is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes.

    Raises:
        CheckpointError: Nothing was written.
    """
    if max_shard_size is not None:
        raise UnsupportedError("--max-shard-size goes with safetensors", file=target,
                               hint="`tfckpt reshard` cuts a checkpoint into shards.")
    from tfckpt.convert.mapfiles import map_of  # deferred, as above
    from tfckpt.convert.mapped import plan_map

    lost: dict[str, Lost] = {}
    found = map_of(mapping)
    with opened(src) as source:
        plan = plan_map(source, found if found.backwards else found.inverted, options, lost)
        if to == "tf1-v1":
            report = run_v1_plan(source, plan, target, overwrite=overwrite, dry_run=dry_run,
                                 progress=progress)
        else:
            if to == "tf2":
                plan = under_root(plan._replace(outputs=tuple(
                    sorted(plan.outputs, key=lambda output: output.key))), root)
            report = reloaded(run_plan(source, plan, target, data=data, overwrite=overwrite,
                                       dry_run=dry_run, progress=progress), "a file")
    return report._replace(plan=_with_losses(report.plan, lost, options))


def _hints(plan: Plan, file_format: FileFormat) -> Iterator[str]:
    """What somebody may have meant who goes to PyTorch without a map."""
    if file_format.name in ("safetensors", "torch"):
        for found in maps_for({output.key for output in plan.outputs}):
            if not found.backwards:
                yield (f"names and layouts are those of {found.here}; --map {found.name} gives"
                       f" those of {found.there}")


def _with_losses(plan: Plan, lost: dict[str, Lost], options: ExportOptions) -> Plan:
    return plan._replace(notes=(*plan.notes, *lost_notes(lost, options.dtype or "")))
