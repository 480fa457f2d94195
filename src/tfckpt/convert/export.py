"""Out of a checkpoint into names and numbers: the rule in front of every other format.

What files of other frameworks hold is a flat table from names to numbers, as a name-based
checkpoint is. So this is the rule of `--to tf1`, and what people ask of such files besides:
without the optimizer's state, some names only, averages for variables, another dtype.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from tfckpt.convert.anatomy import read_anatomy
from tfckpt.convert.cast import CastTo, Lost, cast_output
from tfckpt.convert.chunks import FLOATS
from tfckpt.convert.ema import averages_of, lone_averages, plan_ema
from tfckpt.convert.same_names import plan_same_names
from tfckpt.convert.tf2_to_tf1 import NameChoice, plan_tf2_to_tf1
from tfckpt.core.origin import Sliced
from tfckpt.core.plan import LeftOut, Output, Plan, old_key
from tfckpt.core.roles import assign_roles
from tfckpt.core.source import Source
from tfckpt.core.summary import find_step
from tfckpt.errors import TensorNotFoundError, UnsupportedError
from tfckpt.format.dtypes import dtype_named

__all__ = ["EmaChoice", "ExportOptions", "export_metadata", "model_names", "plan_export"]

EmaChoice = Literal["use", "ignore", "keep"]


class ExportOptions(NamedTuple):
    """What goes out, and how.

    Attributes:
        names: Where the names of an object-based checkpoint come from; see `plan_tf2_to_tf1`.
        include: Only names in which this regular expression is found.
        exclude: No names in which this one is found.
        skip_optimizer: Whether the state of optimizers stays behind.
        ema: Of a checkpoint that has moving averages beside the variables: ``"use"`` gives the
            variables the averages' values, ``"ignore"`` leaves the averages behind, ``"keep"``
            takes both. Must be given for such a checkpoint.
        dtype: What tensors of floating point become; None leaves them.
    """

    names: NameChoice = "auto"
    include: str | None = None
    exclude: str | None = None
    skip_optimizer: bool = False
    ema: EmaChoice | None = None
    dtype: CastTo | None = None


def plan_export(source: Source, options: ExportOptions, lost: dict[str, Lost] | None = None
                ) -> Plan:
    """Plan a flat table of tensors, none of them in slices.

    Args:
        source: Any checkpoint.
        options: What goes out.
        lost: Filled when the plan is executed: what didn't fit the dtype.

    Raises:
        AmbiguousNamesError: Two tensors would get one name.
        TensorNotFoundError: Nothing would be left.
        UnsupportedError: Averages are there and nothing says which are wanted; a regular
            expression isn't valid.

    Example:
        >>> import tfckpt
        >>> with tfckpt.open("examples/tf1") as source:
        ...     plan = plan_export(source, ExportOptions(skip_optimizer=True))
        >>> [output.key for output in plan.outputs][:2]
        ['block.1/w', 'dense/bias']
    """
    names, left_out = _names(source, options.names)
    taken, notes = _taken(source, options.ema)
    roles = assign_roles(source) if options.skip_optimizer else {}
    wanted, unwanted = _compiled(options.include), _compiled(options.exclude)
    reasons = {item.key: item.reason for item in (*left_out, *taken.left_out)}
    outputs = []
    for output in taken.outputs:
        name = names.get(output.key)
        if name is None:  # the object graph; or a variable of which only the average is there
            if output.key in reasons:
                continue
            name = output.key
        if output.key in roles and roles[output.key].role == "optimizer":
            reasons[output.key] = "optimizer state"
        elif (wanted and not wanted.search(name)) or (unwanted and unwanted.search(name)):
            reasons[output.key] = "not asked for"
        else:
            outputs.append(_output(source, output, name, options.dtype, lost))
    if not outputs:
        raise TensorNotFoundError("no tensor would be left", file=source.prefix,
                                  hint="Names are what `tfckpt convert --dry-run` shows.")
    if options.dtype:
        notes = (*notes, f"tensors of floating point become {options.dtype}")
    return Plan(tuple(outputs), "name-based", source.byte_order,
                tuple(LeftOut(*item) for item in reasons.items()), notes)


def _names(source: Source, choice: NameChoice) -> tuple[Mapping[str, str], tuple[LeftOut, ...]]:
    """The name of each key that has one, and why the others have none."""
    if source.style == "name-based":
        return {key: key for key in source.index}, ()
    plan = plan_tf2_to_tf1(source, choice)
    return {old_key(output) or "": output.key for output in plan.outputs}, plan.left_out


def model_names(source: Source, choice: NameChoice = "auto") -> list[str]:
    """What `plan_export` calls the tensors that are neither an optimizer's state nor averages.

    Raises:
        AmbiguousNamesError: Two tensors would get one name.

    Example:
        >>> import tfckpt
        >>> with tfckpt.open("examples/tf1") as source:
        ...     model_names(source)[:2]
        ['block.1/w', 'dense/bias']
    """
    roles = assign_roles(source)
    return [name for key, name in _names(source, choice)[0].items()
            if roles[key].role not in ("optimizer", "ema")]


def _taken(source: Source, ema: EmaChoice | None) -> tuple[Plan, tuple[str, ...]]:
    """Whose values are taken, and what to say of it."""
    averages = averages_of(read_anatomy(source))
    if averages and ema is None:
        raise UnsupportedError(
            f"the checkpoint has moving averages of {len(averages)} variables beside the variables",
            file=source.prefix, hint="Say which are wanted: --ema use takes the averages, which"
            " usually predict better; --ema ignore the variables; --ema keep both.")
    if ema in ("use", "ignore") and (averages or lone_averages(source)):
        plan = plan_ema(source, "use" if ema == "use" else "drop")
        return plan, plan.notes
    if ema in ("use", "ignore"):
        raise UnsupportedError("the checkpoint has no moving averages", file=source.prefix)
    return plan_same_names(source), ()


def _output(source: Source, output: Output, name: str, dtype: CastTo | None,
            lost: dict[str, Lost] | None) -> Output:
    entry = source.index[old_key(output) or output.key]
    if dtype and entry.dtype.name in FLOATS and entry.dtype.name != dtype:
        found = cast_output(source, entry, dtype_named(dtype), {} if lost is None else lost)
        return found._replace(key=name)
    if isinstance(output.origin, Sliced):
        return output._replace(key=name, origin=source.streamed(entry))
    return output._replace(key=name)


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise UnsupportedError(f"the regular expression is not valid ({error})",
                               got=repr(pattern)) from None


def export_metadata(source: Source, plan: Plan) -> tuple[tuple[str, str], ...]:
    """What a file may say of its source beside the tensors: text by name.

    ``format`` is ``tf``: names and layouts are TensorFlow's. ``tfckpt.keys`` is a JSON object from
    names to the source's keys, of those that differ.
    """
    step = find_step(source, assign_roles(source))
    keys = {output.key: key for output in plan.outputs
            if (key := old_key(output)) not in (None, output.key)}
    found = {"format": "tf", **getattr(source, "metadata", {})}
    if not hasattr(source, "metadata"):
        found["tfckpt.style"] = source.style
    if step is not None:
        found["tfckpt.step"] = str(step)
    if keys:
        found["tfckpt.keys"] = json.dumps(keys)
    return tuple(found.items())
