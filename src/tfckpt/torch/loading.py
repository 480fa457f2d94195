"""`load`: a module takes over what a program with TensorFlow trained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Literal

from torch import nn

from tfckpt.convert.namemap import NameMap
from tfckpt.core.opening import open_source
from tfckpt.core.source import Source
from tfckpt.errors import MismatchError, UnsupportedError, VariableTypeError
from tfckpt.torch.cells import found_cells
from tfckpt.torch.choices import using_layouts
from tfckpt.torch.finding import Finding, find
from tfckpt.torch.notes import notes_on
from tfckpt.torch.reports import LoadReport
from tfckpt.torch.walking import unwrapped
from tfckpt.train.allowing import allowance, check_word

__all__ = ["load"]

Path = str | os.PathLike[str]


def load(module: nn.Module, path: Path, *, map: NameMap | Path | None = None,  # noqa: A002 - as everywhere here
         names: Mapping[str, str] | None = None, layouts: Mapping[str, str] | None = None,
         allow_missing: bool | str = False, allow_unused: bool | str = False, cast: bool = False,
         ema: Literal["ignore", "use"] = "ignore", trust_order: bool = False) -> LoadReport:
    """Load a checkpoint of TensorFlow's into a module: all of it, or nothing and why.

    Without a map, which tensor is which is found out as ``tfckpt match`` does: by names, by rules
    that lead from one side's names to the other's, by what only one layer has. A layer's weights
    are put into PyTorch's layout by the layer's class. What can't be told apart isn't guessed.

    Args:
        module: A module. Lazy layers must have been called once.
        path: A checkpoint of TF1, TF2 or Keras 2, a SavedModel, or a file with TensorFlow's
            layouts: its prefix, any of its files, or a folder.
        map: A map between TensorFlow's names and the module's: one that ships, by its name
            (``"hf-bert"``), or a JSON file. It then says all names and layouts.
        names: Names that are known, from the checkpoint's to the module's: ``{"out/kernel":
            "fc.weight"}``.
        layouts: What modules are in TensorFlow, where their class doesn't tell; see `set_layouts`.
            It is remembered.
        allow_missing: Whether tensors that the checkpoint doesn't have keep their values: all, or
            those whose name a regular expression finds.
        allow_unused: Likewise, whether the checkpoint's model may have more.
        cast: Whether numbers of another precision are cast to the module's; the report says which.
        ema: ``"use"`` to load moving averages in the place of the variables.
        trust_order: Whether layers of equal weights that nothing else tells apart, and whose names
            in the checkpoint differ only by numbers, are taken in the order of these and of the
            module. Say so only if the program made its layers as the module does.

    Returns:
        What was loaded, by which evidence and in which layout. ``print`` it; ``table()`` has all.

    Raises:
        MismatchError: Something is missing, unused, of another shape or dtype, or can't be told
            from something else; with all of it. Its ``report`` is the whole report.
        VariableTypeError: It is no module, or what ``layouts`` says isn't text.
        VariableError: Whether a layer stands beside a flattened image can't be told.
        CheckpointError: The checkpoint can't be read. The module is as it was.

    Example::

        report = tfckpt.torch.load(module, "model_dir", layouts={"fc": "flattened(7,7)"})
        print(report)
    """
    module = unwrapped(module)
    if not isinstance(module, nn.Module):
        raise VariableTypeError("this is no module of PyTorch", got=type(module).__name__)
    if map is not None and (names or layouts or trust_order):
        raise UnsupportedError("a map says all names and layouts; names=, layouts= and trust_order="
                               " go without")
    check_word("ema", ema, ("ignore", "use"))
    may_miss = allowance(allow_missing, "allow_missing")
    may_leave = allowance(allow_unused, "allow_unused")
    with open_source(path) as source, using_layouts(module, layouts), ExitStack() as stack:
        more = stack.enter_context(found_cells(source, module)) if map is None else []
        _refuse_own_file(source, module)
        if map is None:
            finding = find(source, module, names or {}, cast=cast, ema=ema,
                           trust_order=trust_order)
        else:
            from tfckpt.torch.mapping import find_by_map  # deferred: maps are rarely given

            finding = find_by_map(source, module, map, cast=cast, ema=ema)
        report = finding.report
        rest = report._replace(
            missing=tuple(item for item in report.missing if not may_miss(item.name)),
            unused=tuple(key for key in report.unused if not may_leave(key)))
        if not rest.ok:
            raise _refusal(rest, finding, source)
        more += finding.assign(source)
    return report._replace(notes=(*report.notes, *more, *notes_on(module, by_map=finding.by_map)))


def _refuse_own_file(source: Source, module: nn.Module) -> None:
    """Refuse a file of PyTorch's own: shapes alone might not tell that its layouts are others."""
    own = set(module.state_dict()) & set(source.index)
    if any("." in name for name in own):
        raise UnsupportedError(
            "the file has PyTorch's names already, and so its layouts", file=source.prefix,
            got=", ".join(sorted(own)[:3]) + (", …" if len(own) > 3 else ""),
            hint="module.load_state_dict takes it, with safetensors.torch.load_file or torch.load.")


def _refusal(report: LoadReport, finding: Finding, source: Source) -> MismatchError:
    hint = "Nothing was loaded."
    if finding.by_map:
        hint += " What is missing has no rule in the map." if report.missing else ""
    elif report.unsure or report.missing or report.unused:
        hint += " names={stored: tensor} names pairs, map= takes rules for many."
    if report.unsure:
        hint += (" map_to_fill_in() of the error's report makes one to fill in; trust_order=True"
                 " takes in order those that are only counted.")
    if report.missing:
        hint += " allow_missing=True keeps the module's own values."
    if report.unused:
        hint += " allow_unused=True leaves tensors behind."
    if any(item.castable for item in report.mismatched):
        hint += " cast=True takes another precision."
    n_all = len(report.loaded) + len(report.missing) + len(report.mismatched)
    error = MismatchError(
        f"the checkpoint doesn't fill the {report.module}" + (
            "" if report.unsure else f": {len(report.loaded)} of {n_all} variables were found"),
        file=source.prefix, problems=report.problems(), hint=hint)
    error.report = report  # type: ignore[attr-defined]
    return error
