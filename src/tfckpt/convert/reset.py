"""Reset: the weights as they are, the optimizer and the counters as at a start."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from tfckpt.convert.anatomy import Anatomy, read_anatomy
from tfckpt.convert.optimizers.carry import encode_value, read_value
from tfckpt.convert.optimizers.state import Optimizer
from tfckpt.convert.optimizers.values import find_decay
from tfckpt.convert.running import DataChoice, run_plan
from tfckpt.convert.steps import step_keys
from tfckpt.convert.without import as_it_is, plan_without
from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.origin import Given, Streamed
from tfckpt.core.plan import Output, Plan, Progress, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["plan_reset", "reset"]

Path = str | os.PathLike[str]
_CHUNK = 4 << 20
# What isn't zero at a start: TensorFlow's defaults.
_INITIAL = {("adagrad", "accumulator"): 0.1, ("proximal_adagrad", "accumulator"): 0.1,
            ("ftrl", "accumulator"): 0.1}
_INITIAL_TF1 = {**_INITIAL, ("rmsprop", "velocity"): 1.0}
_RATES = {"beta1_power": ("beta_1", 0.9), "beta2_power": ("beta_2", 0.999)}


def reset(src: Path, dst: Path, *, optimizer: bool = True, step: int | None = None,
          data: DataChoice = "link", overwrite: bool = False, dry_run: bool = False,
          progress: Progress = no_progress) -> ConvertReport:
    """Write a checkpoint for a new training from the same weights.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder. It is never changed.
        dst: Prefix of the result, used exactly as it is.
        optimizer: Whether slots get their initial values (zeros; Adagrad's and Ftrl's
            accumulators 0.1, RMSProp's mean in TF1 1), and the count of iterations 0.
            Learning rates and other hyper-parameters stay.
        step: What ``global_step`` (or ``step``) becomes; None leaves it.
        data: ``"link"`` the data files, ``"copy"`` them, or ``"pack"`` what is kept of them.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was done, with the plan.

    Raises:
        UnsupportedError: There is nothing to reset.
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile, tfckpt
        >>> target = tempfile.mkdtemp() + "/fresh"
        >>> _ = reset("examples/tf1", target, step=0)
        >>> with tfckpt.open(target) as source:
        ...     source["global_step"], source["dense/kernel/Adam"].any(), source["beta1_power"]
        (array(0), np.False_, array(0.9, dtype=float32))
    """
    with open_source(src) as source:
        return run_plan(source, plan_reset(source, optimizer=optimizer, step=step), as_path(dst),
                        data=data, overwrite=overwrite, dry_run=dry_run, progress=progress)


def plan_reset(source: Source, *, optimizer: bool = True, step: int | None = None) -> Plan:
    """Plan it.

    Raises:
        UnsupportedError: There is nothing to reset.
    """
    anatomy = read_anatomy(source)
    fills: dict[str, float] = {}
    for state in anatomy.optimizers if optimizer else ():
        fills.update(_initial(source, anatomy, state))
    if step is not None:
        fills.update(dict.fromkeys(step_keys(source, anatomy), step))
    if not fills:
        what = "optimizer state" if optimizer else "counter of steps"
        raise UnsupportedError(f"the checkpoint has no {what} to reset", file=source.prefix)
    plan = plan_without(source, {}, partial(_filled, source, fills))
    ones = sorted({value for key, value in fills.items()
                   if value and source.index[key].shape})
    notes = [f"slots that don't start at zero have {value:g}, TensorFlow's default"
             for value in ones]
    return plan._replace(notes=tuple(notes))


def _initial(source: Source, anatomy: Anatomy, state: Optimizer) -> dict[str, float]:
    starts = _INITIAL_TF1 if state.layout.startswith("tf1") else _INITIAL
    fills: dict[str, float] = {key: starts.get((state.kind, slot.name), 0)
                               for slot, key in state.slots.items() if slot.name != "average"}
    rates = _rates(source, anatomy, state)
    for name, key in state.values.items():
        if name == "iterations":
            fills[key] = 0
        elif name in _RATES:
            rate, default = _RATES[name]
            fills[key] = rates.get(rate, default)
        elif name == "u_product":
            fills[key] = 1
    return fills


def _rates(source: Source, anatomy: Anatomy, state: Optimizer) -> Mapping[str, float]:
    powers = {name: read_value(source, key) for name, key in state.values.items()
              if name in _RATES}
    steps = [int(read_value(source, key)) for key in step_keys(source, anatomy)]
    return find_decay(powers, steps[0] if len(steps) == 1 else None, {}).rates


def _filled(source: Source, fills: Mapping[str, float], entry: Entry) -> Output:
    if entry.key not in fills:
        return as_it_is(source, entry)
    one = encode_value(fills[entry.key], entry.dtype, source.byte_order)
    if not entry.shape:
        return Output(entry.key, entry.dtype, entry.shape, Given(one, None))
    n_bytes = len(one) * entry.n_elements
    return Output(entry.key, entry.dtype, entry.shape,
                  Streamed(n_bytes, partial(_repeated, one, n_bytes), key=entry.key))


def _repeated(one: bytes, n_bytes: int
              ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
    block = one * (_CHUNK // len(one))
    for start in range(0, n_bytes, len(block)):
        yield block[:min(len(block), n_bytes - start)]
    return None
