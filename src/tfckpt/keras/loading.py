"""Loading old weights into a Keras 3 model, on any backend."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

from tfckpt.convert.like import LikeOptions
from tfckpt.core.discovery import as_path
from tfckpt.core.opening import open_source
from tfckpt.core.source import Source
from tfckpt.errors import MismatchError, UnsupportedError
from tfckpt.keras.building import when_built
from tfckpt.keras.finding import Choice, find
from tfckpt.keras.legacy_h5 import LegacyH5, is_legacy_h5
from tfckpt.keras.optimizer_live import OptimizerState, plan_state
from tfckpt.keras.program import check_model, is_built
from tfckpt.keras.reports import LoadReport
from tfckpt.keras.values import assign_values, changed_layers, read_values
from tfckpt.keras.weights_h5 import is_weights_h5
from tfckpt.train.allowing import allowance

__all__ = ["Loading", "load_weights", "open_old"]

_HINT = ("Nothing was loaded. map={{tensor: weight}} names pairs (map_to_fill_in() of the error's"
         " report makes one to fill in){more}.")


class Loading:
    """What `load_weights` returns: the report, also where it comes later.

    Attributes:
        report: What was found; of a model that isn't built yet, pending until it is.
    """

    def __init__(self, report: LoadReport) -> None:
        self.report = report

    def __str__(self) -> str:
        return str(self.report)

    def __getattr__(self, name: str) -> Any:
        if name == "report":  # not made yet: a copy, say
            raise AttributeError(name)
        return getattr(self.report, name)


def open_old(path: str | os.PathLike[str]) -> Source:
    """A checkpoint of any kind, or a legacy ``.h5`` file.

    Raises:
        UnsupportedError: It is of Keras 3, which reads it itself.
        CheckpointError: It can't be opened.
    """
    if is_legacy_h5(path):
        return LegacyH5(path)
    if is_weights_h5(path) or as_path(path).endswith(".keras"):
        raise UnsupportedError("the file is one of Keras 3", file=as_path(path), hint="Use"
                               " model.load_weights(path) of Keras, which reads it.")
    return open_source(path)


def load_weights(model: Any, path: str | os.PathLike[str], *,
                 map: Mapping[str, str] | str | os.PathLike[str] | None = None,  # noqa: A002
                 config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
                 root: str | None = None, allow_missing: bool | str = False,
                 allow_unused: bool | str = False, skip_mismatch: bool = False,
                 trust_order: bool = False, optimizer: bool = False) -> Loading:
    """Load old weights into a Keras 3 model: all of them, or none and a table that says why.

    Takes checkpoints of TF1 and TF2, what ``save_weights`` of Keras 2 wrote, SavedModels and legacy
    ``.h5`` files. Neither TensorFlow nor a graph is needed.

    Args:
        model: A Keras 3 model, on any backend. If it isn't built yet, weights are given when it is.
        path: The checkpoint: prefix, any of its files, or its folder; or the ``.h5`` file.
        map: Tensors that are known, ``{key or name: weight}``, or a JSON or CSV file of them.
        config: The old model's config (``model.to_json()``), as a file or a mapping. A
            ``model.json`` beside the checkpoint, and what a SavedModel or a whole ``.h5`` model
            holds, are found without it.
        root: Which object of the checkpoint the model is, where several may be.
        allow_missing: Whether weights without a tensor keep their values: all, or those whose
            name a regular expression finds.
        allow_unused: Likewise, whether the checkpoint may have more weights.
        skip_mismatch: Whether weights whose tensor has another shape keep their values.
        trust_order: Whether layers of equal shape that nothing else tells apart are taken in
            the model's order. Say so only if the program makes its layers as it did then.
        optimizer: Whether the optimizer of a compiled model gets the checkpoint's state too, from
            whatever generation of Keras or TF1.

    Returns:
        What was found. ``print`` it: how many weights by which evidence.

    Raises:
        MismatchError: Something is missing, unused, of another shape, or can't be told from
            something else; with the table. Its ``report`` is the whole report.
        VariableTypeError: It is no Keras 3 model.
        CheckpointError: The file can't be read. The model is as it was.
    """
    check_model(model)
    for option, rule in (("allow_missing", allow_missing), ("allow_unused", allow_unused)):
        allowance(rule, option)
    names = _names(map)
    choice = Choice(names, config, root, trust_order)
    load = functools.partial(_load, model, path, choice, allow_missing, allow_unused,
                             skip_mismatch, optimizer)
    if is_built(model):
        return Loading(load())
    open_old(path).close()  # that it can't be opened shouldn't come out only later
    loading = Loading(LoadReport(model.name, as_path(path), pending=True))

    def finish() -> None:
        loading.report = load()

    when_built(model, finish)
    return loading


def _names(given: Mapping[str, str] | str | os.PathLike[str] | None) -> Mapping[str, str]:
    if given is None or isinstance(given, Mapping):
        return given or {}
    from tfckpt.core.namefiles import read_pairs  # deferred: a file is rarely given

    return read_pairs(given)


def _load(model: Any, path: str | os.PathLike[str], choice: Choice, allow_missing: bool | str,
          allow_unused: bool | str, skip_mismatch: bool, optimizer: bool) -> LoadReport:
    with open_old(path) as source:
        finding = find(source, model, choice)
        report = finding.report
        may_miss = allowance(allow_missing, "allow_missing")
        may_leave = allowance(allow_unused, "allow_unused")
        rest = report._replace(
            missing=tuple(item for item in report.missing if not may_miss(item[0])),
            unused=tuple(key for key in report.unused if not may_leave(key)),
            mismatched=() if skip_mismatch else report.mismatched)
        if not rest.ok:
            raise _refusal(rest, source)
        values, notes = read_values(source, finding.pairs)
        state = _state(model, source, report, bool(allow_missing)) if optimizer else None
        assign_values(model, values)
    if state is not None:
        state.assign()
        report = state.told(report)
    return report._replace(notes=(*report.notes, *notes, *changed_layers(model)))


def _state(model: Any, source: Source, report: LoadReport, allow_missing: bool) -> OptimizerState:
    state = plan_state(model, source, report, LikeOptions(allow_missing=allow_missing))
    if state is None:
        raise UnsupportedError("there is no state of an optimizer", file=source.prefix,
                               hint="Nothing was loaded; optimizer=False doesn't ask for it.")
    return state


def _refusal(report: LoadReport, source: Source) -> MismatchError:
    more = ""
    if report.unsure:
        more += ("; config=FILE, what to_json() of the old model gave, tells layers apart;"
                 " trust_order=True takes them in order")
    if report.missing:
        more += "; allow_missing=True keeps the model's own values"
    if report.unused:
        more += "; allow_unused=True leaves tensors behind"
    if report.mismatched:
        more += "; skip_mismatch=True keeps values where shapes differ"
    error = MismatchError(
        f"{len(report.found)} of {report.n_weights} weights of {report.model} were found",
        file=source.prefix, problems=report.problems(), hint=_HINT.format(more=more))
    error.report = report  # type: ignore[attr-defined]
    return error
