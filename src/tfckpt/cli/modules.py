"""``tfckpt convert --model`` to a file of PyTorch: by way of the module that it is for."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from tfckpt.cli.models import save_map
from tfckpt.cli.options import print_error, print_json, print_lines
from tfckpt.cli.proving import prover
from tfckpt.convert.mapfiles import read_map, shipped_names
from tfckpt.convert.mapform import is_map
from tfckpt.core.files.table import FileFormat
from tfckpt.core.namefiles import read_name_file, read_pairs
from tfckpt.errors import MismatchError, ProofError, UnsupportedError

__all__ = ["run_module"]


def run_module(options: Namespace, file_format: FileFormat | None) -> int:
    """Convert; returns the exit status."""
    if file_format is None or file_format.name not in ("safetensors", "torch"):
        raise UnsupportedError(
            "--model is for --to keras and for files of PyTorch", file=options.output,
            expected="an output that ends in .safetensors, .pt or .pth, or --to keras")
    # Through the front door, which says what to install where PyTorch isn't.
    from tfckpt.torch import convert_module, open_module
    from tfckpt.torch import proving as framework

    try:
        report = convert_module(
            options.path, options.output, open_module(options.model), file_format,
            **_map(options.map), layouts=dict(options.layout), allow_missing=options.allow_missing,
            allow_unused=options.allow_unused, trust_order=options.trust_order,
            ema=options.ema or "ignore", prove=prover(options, framework),
            overwrite=options.overwrite, dry_run=options.dry_run)
    except ProofError as error:
        print_error(error)
        return 1
    except MismatchError as error:
        save_map(options.save_map, error)
        raise
    if options.json:
        print_json(_as_json(report))
    else:
        print_lines(_as_text(report, verbose=options.verbose or options.dry_run))
    return 0


def _map(what: str | None) -> dict[str, Any]:
    """What ``--map`` says: a map between frameworks, or pairs of names."""
    if what is None:
        return {}
    if what in shipped_names() or what == "-" or is_map(read_name_file(what)):
        return {"map": read_map(what)}
    return {"names": read_pairs(what)}


def _as_text(report: Any, *, verbose: bool) -> list[str]:
    lines = str(report.load).splitlines()
    if verbose:
        lines += [f"  {line}" for line in report.load.table().splitlines()]
    if report.proof is not None:
        lines.append(str(report.proof))
    if report.verified is None:
        return [*lines, "Nothing written (--dry-run)."]
    return [*lines, f"{report.load.source} -> {report.target}",
            f"verified: {report.verified} of {report.verified} tensors bit-equal after reload"]


def _as_json(report: Any) -> dict[str, Any]:
    load = report.load
    return {"source": load.source, "target": report.target, "module": load.module,
            "proof": report.proof and report.proof._asdict(),
            "written": report.verified is not None, "verified": report.verified,
            "loaded": [item._asdict() for item in load.loaded],
            "missing": list(load.missing_keys),
            "mismatched": [item._asdict() for item in load.mismatched],
            "unused": list(load.unused), "left_aside": dict(load.left_aside),
            "notes": list(load.notes)}
