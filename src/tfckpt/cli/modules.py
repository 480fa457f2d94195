"""``tfckpt convert --model`` to a file of PyTorch: by way of the module that it is for."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from tfckpt.cli.bymodel import finish, json_of_file, json_of_rest, lines_of_file
from tfckpt.cli.proving import prover
from tfckpt.convert.mapfiles import read_map, shipped_names
from tfckpt.convert.mapform import is_map
from tfckpt.core.files.table import FileFormat
from tfckpt.core.namefiles import read_name_file, read_pairs
from tfckpt.errors import UnsupportedError

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

    def convert() -> Any:
        return convert_module(
            options.path, options.output, open_module(options.model), file_format,
            **_map(options.map), layouts=dict(options.layout), allow_missing=options.allow_missing,
            allow_unused=options.allow_unused, trust_order=options.trust_order,
            ema=options.ema or "ignore", prove=prover(options, framework),
            overwrite=options.overwrite, dry_run=options.dry_run)

    def as_text(report: Any) -> list[str]:
        return _as_text(report, verbose=options.verbose or options.dry_run)

    return finish(options, convert, as_text, _as_json)


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
    return lines + lines_of_file(report, "tensors")


def _as_json(report: Any) -> dict[str, Any]:
    load = report.load
    return {"source": load.source, "target": report.target, "module": load.module,
            **json_of_file(report), "loaded": [item._asdict() for item in load.loaded],
            "missing": list(load.missing_keys), **json_of_rest(load)}
