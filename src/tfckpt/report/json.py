"""Reports as JSON values: dicts, lists, text, numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfckpt.core.plan import made_of, old_key

if TYPE_CHECKING:  # each command imports what it reports on, and not what the others do
    from tfckpt.core.catalog import Catalog, Relocation, Removal
    from tfckpt.core.index import Entry
    from tfckpt.core.report import (
        ConvertReport,
        FolderReport,
        SalvageReport,
        StateFix,
        Summary,
        VerifyReport,
    )
    from tfckpt.errors import CheckpointError
    from tfckpt.format.state import CheckpointState

__all__ = ["catalog_json", "convert_json", "entry_json", "error_json", "folder_json",
           "relocation_json", "removal_json", "salvage_json", "state_fix_json", "summary_json",
           "verify_json"]

Json = dict[str, Any]


def entry_json(entry: Entry) -> Json:
    """One tensor of a listing."""
    return {
        "key": entry.key, "dtype": entry.dtype.name, "shape": list(entry.shape),
        "bytes": entry.n_bytes, "shard": entry.shard_id, "offset": entry.offset,
        "masked_crc32c": entry.masked_crc32c, "slices": len(entry.slices),
    }


def summary_json(summary: Summary) -> Json:
    """What a checkpoint is."""
    return {
        "prefix": summary.prefix, "format": summary.format, "style": summary.style,
        "shards": summary.n_shards, "bytes": summary.n_bytes, "step": summary.step,
        "groups": {group.role: {
            "tensors": group.n_tensors, "values": group.n_params, "bytes": group.n_bytes,
            "dtypes": list(group.dtypes), "kinds": list(group.kinds),
        } for group in summary.groups},
        "notes": list(summary.notes), "hints": list(summary.hints),
    }


def error_json(error: CheckpointError) -> Json:
    """An error, with its facts."""
    facts = {name: getattr(error, name) for name in ("file", "offset", "tensor", "hint")}
    return {"kind": type(error).__name__, "message": error.message,
            **{name: None if value is None else str(value)
               for name, value in (("expected", error.expected), ("got", error.got))}, **facts}


def verify_json(report: VerifyReport) -> Json:
    """What verification found."""
    return {
        "prefix": report.prefix, "ok": report.ok, "quick": report.quick,
        "index_whole": report.index_whole, "tensors": report.n_tensors,
        "shards": report.n_shards, "bad_shards": report.n_bad_shards, "bytes": report.n_bytes,
        "damaged": list(report.damaged),
        "problems": [{**error_json(problem.error), "tensors": list(problem.tensors)}
                     for problem in report.problems],
        "notes": list(report.notes),
        **({} if report.values is None else {"values": [
            {"tensor": count.tensor, "values": count.n_values, "nan": count.n_nan,
             "inf": count.n_inf} for count in report.values]}),
    }


def folder_json(report: FolderReport) -> Json:
    """What verification of a folder found."""
    return {
        "folder": report.folder, "ok": report.ok, "latest_good": report.newest_good,
        "checkpoints": [verify_json(item) for item in report.reports],
        "leftovers": [{"path": path, "bytes": n_bytes, "what": what}
                      for path, n_bytes, what in report.leftovers],
    }


def state_fix_json(fix: StateFix) -> Json:
    """How a state file was brought to name good checkpoints only."""
    return {
        "state_file": fix.state_file, "dry_run": fix.dry_run, "backup": fix.backup,
        "dropped": [{"path": path, "reason": reason} for path, reason in fix.dropped],
        "old": _state(fix.old), "new": _state(fix.new),
    }


def salvage_json(report: SalvageReport) -> Json:
    """What was taken out of a damaged checkpoint."""
    plan = report.plan
    return {
        "source": report.source, "target": report.target, "ok": report.ok,
        "dry_run": report.dry_run, "saved": [output.key for output in plan.outputs],
        "lost": [{"key": item.key, "reason": item.reason} for item in plan.left_out],
        "unknown": [error_json(error) for error in report.unknown],
        "files": [{"file": file.file, "bytes": file.n_bytes, "how": file.how,
                   "origin": file.origin} for file in report.files],
        "notes": [*report.notes, *plan.notes],
    }


def convert_json(report: ConvertReport) -> Json:
    """What a conversion did or would do."""
    return {
        "source": report.source, "target": report.target, "style": report.plan.style,
        "outputs": [{
            "key": output.key, "dtype": output.dtype.name, "shape": list(output.shape),
            "from": old_key(output),
            **({"made_of": list(made.keys), "layout": made.layout}
               if (made := made_of(output)) else {}),
        } for output in report.plan.outputs],
        "left_out": [{"key": item.key, "reason": item.reason} for item in report.plan.left_out],
        "files": [{"file": file.file, "bytes": file.n_bytes, "how": file.how,
                   "origin": file.origin} for file in report.files],
        "notes": [*report.notes, *report.plan.notes],
        **({"values": list(report.n_values)} if report.n_values else {}),
        **({"format": report.format} if report.format else {}),
        **({"verified": {"equal": report.verified[0], "of": report.verified[1]}}
           if report.verified else {}),
    }


def catalog_json(catalog: Catalog) -> Json:
    """What a folder holds."""
    return {
        "folder": catalog.folder,
        "checkpoints": [{
            "prefix": entry.prefix, "state": entry.state, "latest": entry.latest,
            "listed": entry.listed, "problem": entry.problem, "step": entry.step,
            "bytes": entry.n_bytes, "files": list(entry.files),
        } for entry in catalog.checkpoints],
        "leftovers": [{"path": item.path, "bytes": item.n_bytes, "what": item.what}
                      for item in catalog.leftovers],
        "gone": list(catalog.gone), "notes": list(catalog.notes),
    }


def relocation_json(relocation: Relocation) -> Json:
    """How a state file was brought back to what is in its folder."""
    return {
        "state_file": relocation.state_file, "dry_run": relocation.dry_run,
        "changes": [{"from": old, "to": new} for old, new in relocation.changes],
        "old": _state(relocation.old), "new": _state(relocation.new),
    }


def removal_json(removal: Removal) -> Json:
    """How a checkpoint was removed."""
    return {
        "prefix": removal.prefix, "dry_run": removal.dry_run,
        "files": [{"file": file, "bytes": n_bytes} for file, n_bytes in removal.files],
        "state_file": removal.state_file, "old": _state(removal.old), "new": _state(removal.new),
        "notes": list(removal.notes),
    }


def _state(state: CheckpointState | None) -> Json | None:
    if state is None:
        return None
    return {"latest": state.model_checkpoint_path, "all": list(state.all_model_checkpoint_paths)}
