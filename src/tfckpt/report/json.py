"""Reports as JSON values: dicts, lists, text, numbers."""

from __future__ import annotations

from typing import Any

from tfckpt.core.index import Entry
from tfckpt.core.plan import Reuse
from tfckpt.core.report import ConvertReport, Summary, VerifyReport
from tfckpt.errors import CheckpointError

__all__ = ["convert_json", "entry_json", "error_json", "summary_json", "verify_json"]

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
        "prefix": summary.prefix, "format": "V2", "style": summary.style,
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
        "tensors": report.n_tensors, "shards": report.n_shards, "bytes": report.n_bytes,
        "damaged": list(report.damaged),
        "problems": [{**error_json(problem.error), "tensors": list(problem.tensors)}
                     for problem in report.problems],
    }


def convert_json(report: ConvertReport) -> Json:
    """What a conversion did or would do."""
    return {
        "source": report.source, "target": report.target, "style": report.plan.style,
        "outputs": [{
            "key": output.key, "dtype": output.dtype.name, "shape": list(output.shape),
            "from": output.origin.entry.key if isinstance(output.origin, Reuse) else None,
        } for output in report.plan.outputs],
        "left_out": [{"key": item.key, "reason": item.reason} for item in report.plan.left_out],
        "files": [{"file": file.file, "bytes": file.n_bytes, "how": file.how,
                   "origin": file.origin} for file in report.files],
        "notes": list(report.notes),
    }
