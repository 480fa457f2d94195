"""``tfckpt convert --to keras``: old weights by way of the model that they are for."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import Any

from tfckpt.cli.bymodel import finish, json_of_file, json_of_rest, lines_of_file
from tfckpt.cli.options import given_values
from tfckpt.cli.proving import prover
from tfckpt.errors import UnsupportedError
from tfckpt.keras import proving
from tfckpt.keras.convert_model import (
    ModelReport,
    config_beside,
    config_named,
    convert_model,
    find_backend,
    open_model,
)

__all__ = ["run_model"]


def run_model(options: Namespace) -> int:
    """Convert; returns the exit status."""
    what, told = _which_model(options)
    # Keras takes TensorFlow if nobody says otherwise, and stops where it isn't installed.
    if "KERAS_BACKEND" not in os.environ:
        os.environ["KERAS_BACKEND"] = find_backend()
    model = open_model(what)

    def convert() -> ModelReport:
        return convert_model(
            options.path, options.output, model, map=options.map,
            config=options.config or _evidence(what), root=options.object,
            allow_missing=options.allow_missing, allow_unused=options.allow_unused,
            skip_mismatch=options.skip_mismatch, trust_order=options.trust_order,
            optimizer=options.optimizer or "auto", given=given_values(options),
            prove=prover(options, proving), overwrite=options.overwrite, dry_run=options.dry_run)

    def as_text(report: ModelReport) -> list[str]:
        return told + _as_text(report, verbose=options.verbose or options.dry_run)

    return finish(options, convert, as_text, _as_json)


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


def _as_text(report: ModelReport, *, verbose: bool) -> list[str]:
    lines = str(report.load).splitlines()
    if verbose:
        lines += [f"  {item.key}  ->  {item.weight}  (by {item.how})" for item in report.load.found]
    return lines + lines_of_file(
        report, "weights" + (" and values of the optimizer" if report.state else ""))


def _as_json(report: ModelReport) -> dict[str, Any]:
    load = report.load
    return {"source": load.source, "target": report.target, "model": load.model,
            "optimizer": None if report.state is None else {
                "title": report.state.title, "values": len(report.state.values),
                "notes": list(report.state.notes)},
            **json_of_file(report),
            "found": [item._asdict() for item in load.found],
            "missing": [name for name, _ in load.missing], **json_of_rest(load)}
