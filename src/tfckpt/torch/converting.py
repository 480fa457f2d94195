"""A checkpoint of TensorFlow's as a file of PyTorch's, by way of the module that it is for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from torch import nn

from tfckpt.convert.namemap import NameMap
from tfckpt.convert.programs import named_in_program
from tfckpt.convert.proving import Proof
from tfckpt.core.arrays import array_outputs
from tfckpt.core.discovery import as_path
from tfckpt.core.files.table import FileFormat
from tfckpt.core.files.writing import FileOptions, check_file_destination, write_files
from tfckpt.core.plan import Plan
from tfckpt.errors import UnsupportedError
from tfckpt.torch.loading import load
from tfckpt.torch.reports import LoadReport
from tfckpt.torch.tensors import dtype_of, view_of

__all__ = ["ModuleReport", "convert_module", "open_module"]

Path = str | os.PathLike[str]


class ModuleReport(NamedTuple):
    """What a conversion by way of a module did.

    Attributes:
        load: Which tensor went into which.
        target: The file; nothing is there after a dry run.
        verified: How many tensors were equal, bit for bit, when the file was read again; None
            after a dry run.
        proof: How far apart the two models are, if that was asked for.
    """

    load: LoadReport
    target: str
    verified: int | None = None
    proof: Proof | None = None


def open_module(what: str) -> nn.Module:
    """The module that a word on the command line means.

    Args:
        what: ``package.module:name``, a module, or a class or a function without arguments that
            makes one.

    Raises:
        UnsupportedError: It gives none.
    """
    value = named_in_program(what)
    made = value() if callable(value) and not isinstance(value, nn.Module) else value
    if not isinstance(made, nn.Module):
        raise UnsupportedError("this is no module of PyTorch", got=f"{what}: {type(made).__name__}",
                               hint="Models of Keras 3 go with --to keras.")
    return made


def convert_module(src: Path, dst: Path, module: nn.Module, file_format: FileFormat, *,
                   map: NameMap | Path | None = None,  # noqa: A002 - as everywhere here
                   names: Mapping[str, str] | None = None,
                   layouts: Mapping[str, str] | None = None,
                   allow_missing: bool | str = False, allow_unused: bool | str = False,
                   trust_order: bool = False, ema: Literal["ignore", "use"] = "ignore",
                   prove: Callable[[Any], Proof] | None = None, overwrite: bool = False,
                   dry_run: bool = False) -> ModuleReport:
    """Load a checkpoint into a module, save its ``state_dict``, and compare what was saved.

    Args:
        src: A checkpoint; see `tfckpt.torch.load`.
        dst: The file.
        module: A module. It has the weights afterwards.
        file_format: Safetensors or PyTorch's own.
        map: As for `tfckpt.torch.load`, like all up to ``ema``.
        names: Names that are known, from the checkpoint's to the module's.
        layouts: What modules are in TensorFlow, where their class doesn't tell.
        allow_missing: Whether tensors that the checkpoint doesn't have keep their values.
        allow_unused: Whether the checkpoint's model may have more.
        trust_order: Whether layers that nothing tells apart are taken in the module's order.
        ema: ``"use"`` to take moving averages in the place of the variables.
        prove: Compares the module with the old model, once it is loaded.
        overwrite: Whether a file at ``dst`` is replaced.
        dry_run: Whether to stop before anything is written.

    Raises:
        MismatchError: Not everything has its place; with all of it.
        ProofError: The models compute different things; nothing is at ``dst``.
        DestinationExistsError: Something is at ``dst``, or it is the source.
        StorageError: The file doesn't give back what was saved; it isn't at ``dst``.
    """
    target = as_path(dst)
    check_file_destination(target, file_format, (as_path(src),), overwrite=overwrite)
    report = load(module, src, map=map, names=names, layouts=layouts or None,
                  allow_missing=allow_missing, allow_unused=allow_unused, trust_order=trust_order,
                  ema=ema)
    plan = _plan(module)
    file_format.load().check(plan)
    proof = prove and prove(module)
    if dry_run:
        return ModuleReport(report, target, proof=proof)
    # Without this word transformers doesn't take the file for PyTorch's.
    _, n_equal = write_files(plan, target, file_format, FileOptions(metadata=(("format", "pt"),)),
                             sources=(as_path(src),), overwrite=overwrite)
    return ModuleReport(report, target, n_equal, proof)


def _plan(module: nn.Module) -> Plan:
    """What ``module.load_state_dict`` takes; the tensors' memory isn't copied."""
    tensors = module.state_dict()
    names = sorted(tensors)
    outputs = array_outputs(names, [view_of(tensors[name], name) for name in names],
                            [dtype_of(tensors[name]) for name in names])
    return Plan(tuple(outputs), "name-based")
