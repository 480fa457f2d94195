"""``tfckpt convert --to keras``: old weights by way of the model that they are for."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import Any

from tfckpt.cli.options import given_values, print_error, print_json, print_lines
from tfckpt.cli.proving import prover
from tfckpt.errors import CheckpointError, MismatchError, ProofError, UnsupportedError
from tfckpt.keras import proving
from tfckpt.keras.convert_model import (
    ModelReport,
    config_beside,
    config_named,
    convert_model,
    find_backend,
    open_model,
)

__all__ = ["run_model", "save_map"]


def run_model(options: Namespace) -> int:
    """Convert; returns the exit status."""
    what, told = _which_model(options)
    # Keras takes TensorFlow if nobody says otherwise, and stops where it isn't installed.
    if "KERAS_BACKEND" not in os.environ:
        os.environ["KERAS_BACKEND"] = find_backend()
    model = open_model(what)
    try:
        report = convert_model(
            options.path, options.output, model, map=options.map,
            config=options.config or _evidence(what), root=options.object,
            allow_missing=options.allow_missing, allow_unused=options.allow_unused,
            skip_mismatch=options.skip_mismatch, trust_order=options.trust_order,
            optimizer=options.optimizer or "auto", given=given_values(options),
            prove=prover(options, proving), overwrite=options.overwrite, dry_run=options.dry_run)
    except ProofError as error:
        print_error(error)
        return 1
    except MismatchError as error:
        save_map(options.save_map, error)
        raise
    if options.json:
        print_json(_as_json(report))
    else:
        print_lines(told + _as_text(report, verbose=options.verbose or options.dry_run))
    return 0


def _which_model(options: Namespace) -> tuple[str, list[str]]:
    """What ``--model`` says, or where a config stands, and a line that says so.

    Raises:
        UnsupportedError: Nothing says what the model is.
    """
    if options.model:
        return options.model, []
    found = config_beside(options.path)
    if found is None:
        raise UnsupportedError(
            "a .weights.h5 of Keras 3 needs the model: names in it are those of its layers",
            hint="Give --model package.module:function, a function that makes it, or --model"
                 " model.json, what to_json() of the old one gave; or --like FILE.weights.h5, one"
                 " that it saved.")
    where = found[1] if os.path.exists(found[1]) else options.path
    return (where if where.endswith(".json") else options.path,
            [f"model: made from the config in {where}"])


def _evidence(model: str) -> dict[str, Any] | None:
    """The config that a model was made from, if Keras 2 wrote it: it tells layers apart."""
    config = config_named(model)
    return config if config and "module" not in config else None


def save_map(file: str | None, error: CheckpointError) -> None:
    """Write the map that people fill in, and have the error say so."""
    found = getattr(error, "report", None)
    if file is None or found is None:
        return
    from tfckpt.core.namefiles import write_name_file  # deferred: it rarely comes to that

    write_name_file(file, found.map_to_fill_in())
    error.hint = (f"Nothing was loaded. Fill in {file}, where a question mark stands before the"
                  f" weights to choose from, and give it as --map {file}.")


def _as_text(report: ModelReport, *, verbose: bool) -> list[str]:
    lines = str(report.load).splitlines()
    if verbose:
        lines += [f"  {item.key}  ->  {item.weight}  (by {item.how})" for item in report.load.found]
    if report.proof is not None:
        lines.append(str(report.proof))
    if report.verified is None:
        return [*lines, "Nothing written (--dry-run)."]
    return [*lines, f"{report.load.source} -> {report.target}",
            f"verified: {report.verified} of {report.verified} weights"
            + (" and values of the optimizer" if report.state else "") + " bit-equal after reload"]


def _as_json(report: ModelReport) -> dict[str, Any]:
    load = report.load
    return {"source": load.source, "target": report.target, "model": load.model,
            "optimizer": None if report.state is None else {
                "title": report.state.title, "values": len(report.state.values),
                "notes": list(report.state.notes)},
            "proof": report.proof and report.proof._asdict(),
            "written": report.verified is not None, "verified": report.verified,
            "found": [item._asdict() for item in load.found],
            "missing": [name for name, _ in load.missing],
            "mismatched": [item._asdict() for item in load.mismatched],
            "unused": list(load.unused), "left_aside": dict(load.left_aside),
            "notes": list(load.notes)}
