"""`save`: a module as a checkpoint that a program with TensorFlow restores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from torch import nn

from tfckpt.convert.namemap import NameMap
from tfckpt.convert.running import run_plan
from tfckpt.convert.tf1_to_tf2 import under_root
from tfckpt.core.discovery import as_path
from tfckpt.core.plan import Plan
from tfckpt.core.report import ConvertReport
from tfckpt.errors import UnsupportedError, VariableTypeError
from tfckpt.torch.choices import using_layouts
from tfckpt.torch.walking import unwrapped
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.saver import Saver

__all__ = ["save"]

Path = str | os.PathLike[str]


def save(module: nn.Module, prefix: Path, *, style: Literal["tf1", "tf2"] = "tf2", name: str = "",
         layouts: Mapping[str, str] | None = None,
         map: NameMap | Path | None = None,  # noqa: A002 - as everywhere here
         overwrite: bool = False) -> ConvertReport:
    """Save a module as TensorFlow would have it, exactly at a prefix.

    Args:
        module: A module.
        prefix: Prefix of the checkpoint.
        style: ``"tf2"`` for ``tf.train.Checkpoint``, where names of attributes count, or
            ``"tf1"`` for ``tf.compat.v1.train.Saver``, where names of variables do.
        name: Where the program has it: ``"model"`` for ``tf.train.Checkpoint(model=…)`` and for
            variables named ``model/…``. By default it is the root, as of
            ``tf.train.Checkpoint(model)``.
        layouts: What modules are in TensorFlow, where their class doesn't tell; see `set_layouts`.
            It is remembered.
        map: A map between TensorFlow's names and the module's, as for `load`. It says all names
            and layouts; ``tf2`` then is a dict of variables with these names, ``vars`` or ``name``.
        overwrite: Whether a checkpoint that is there already is replaced; it stays whole until
            then.

    Returns:
        What was written: ``target`` is the prefix.

    Raises:
        VariableTypeError: It is no module, or what ``layouts`` says isn't text.
        VariableError: Whether a layer stands beside a flattened image can't be told, or something
            has no value yet.
        MismatchError: The map doesn't cover the module's names.
        DestinationExistsError: Something is there.
        StorageError: The system refuses.

    Example::

        tfckpt.torch.save(module, "served/model", style="tf1")
    """
    module = unwrapped(module)
    if not isinstance(module, nn.Module):
        raise VariableTypeError("this is no module of PyTorch", got=type(module).__name__)
    if style not in ("tf1", "tf2"):
        raise UnsupportedError("there is no such style", expected="tf1 or tf2", got=style)
    if map is not None and layouts:
        raise UnsupportedError("a map says all names and layouts; layouts= goes without")
    with using_layouts(module, layouts):
        plan = _plan(module, style, name) if map is None else _plan_by_map(module, map, style, name)
        return run_plan([], plan, as_path(prefix), overwrite=overwrite)


def _plan_by_map(module: nn.Module, map: NameMap | Path, style: str, name: str) -> Plan:  # noqa: A002 - as above
    from tfckpt.torch.mapping import plan_by_map  # deferred: maps are rarely given

    plan = plan_by_map(module, map)
    return under_root(plan, name or "vars") if style == "tf2" else plan


def _plan(module: nn.Module, style: str, name: str) -> Plan:
    if style == "tf1":
        pending = Saver({name: module} if name else module).prepare(None, "")
        assert pending is not None
        return pending.plan
    checkpoint = Checkpoint(**{name: module}) if name else Checkpoint(module)
    # What `restore` of TensorFlow's looks for; only `read` doesn't.
    assert checkpoint.save_counter is not None
    return checkpoint.prepare_write("").plan
