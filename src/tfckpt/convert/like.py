"""A checkpoint like another one: the keys, the object graph and the layout of a template,
filled with the values of a source.

A template is what the user's own program saves, right after it was built: only the program
knows its object graph for sure. ``tf.train.Checkpoint(model=model).save("template")`` makes
one, and so does a ``Saver`` for names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple

from tfckpt.convert.anatomy import Anatomy, read_anatomy
from tfckpt.convert.optimizers.carry import Carried, Carrier, read_value
from tfckpt.convert.optimizers.state import Optimizer, Slot
from tfckpt.convert.optimizers.table import KINDS
from tfckpt.convert.running import run_plan
from tfckpt.convert.steps import step_keys
from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry
from tfckpt.core.matching import MatchReport, match, side_of_source
from tfckpt.core.opening import open_source
from tfckpt.core.origin import Origin
from tfckpt.core.pairing import plain_name
from tfckpt.core.plan import LeftOut, Output, Plan, Progress, common_byte_order, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.shapes import shape_text
from tfckpt.core.source import Source
from tfckpt.core.writer import DataMode
from tfckpt.errors import MismatchError, UnsupportedError
from tfckpt.format.dtypes import STRING
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, VARIABLE_VALUE
from tfckpt.format.objectkeys import object_key

__all__ = ["KEPT_OTHERWISE", "EmaChoice", "LikeOptions", "convert_like", "plan_like", "read_parts"]

Path = str | os.PathLike[str]
EmaChoice = Literal["ignore", "use"]

KEPT_OTHERWISE = "the result keeps this otherwise"
"""Why a value isn't among the result's that the result has in another form."""


class LikeOptions(NamedTuple):
    """How a template is filled.

    Attributes:
        optimizer: Which optimizer the source's state is of, where its names can't tell (``"nadam"``
            keeps the same slots as ``"adam"`` in TF1); ``"auto"`` believes them, ``"none"``
            leaves the state behind, and the result has the template's.
        given: Values that count more than those of the source: ``learning_rate``, ``beta_1``.
        allow_missing: Whether the result keeps the template's values where the source has none.
        ema: Whether moving averages take the place of the variables.
    """

    optimizer: str = "auto"
    given: Mapping[str, float] = {}
    allow_missing: bool = False
    ema: EmaChoice = "ignore"


def convert_like(src: Path, dst: Path, template: Path, *, names: Mapping[str, str] | None = None,
                 options: LikeOptions | None = None, data: DataMode = "link",
                 overwrite: bool = False, dry_run: bool = False,
                 progress: Progress = no_progress) -> ConvertReport:
    """Convert a checkpoint to what a program would have saved.

    The result has the keys and the object graph of the template, and the source's values:
    those of the model's variables linked, an optimizer's state in the layout that the template
    has. Which variable is which is found out as `tfckpt match` does.

    Args:
        src: The checkpoint that has the values: its prefix, any of its files, or a folder.
        dst: Prefix of the result, used exactly as it is.
        template: A checkpoint that the program saved after it was built.
        names: Names of variables that are known, from the source's to the template's.
        options: How the template is filled.
        data: ``"link"`` the data files (reflink, else hard link, else copy) or ``"copy"``.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was done, with the plan.

    Raises:
        MismatchError: Not every variable of the template can be filled; with all of them.
        UnsupportedError: The optimizers don't keep the same, or a value can't be told.
        CheckpointError: Nothing was written.
    """
    with open_source(src) as source, open_source(template) as wanted:
        a, b = side_of_source(source), side_of_source(wanted)
        known = {a.key(here, "names"): b.key(there, "names")
                 for here, there in (names or {}).items()}
        report = match(a, b, given=known)
        plan = plan_like(source, wanted, report, options or LikeOptions())
        return run_plan([source, wanted], plan, as_path(dst), data=data, overwrite=overwrite,
                        dry_run=dry_run, progress=progress)


def plan_like(source: Source, template: Source, matched: MatchReport, options: LikeOptions,
              parts: tuple[Anatomy, Anatomy] | None = None) -> Plan:
    """Plan a checkpoint with the keys of one and the values of another.

    Args:
        source: Where the values come from.
        template: Where the keys and the object graph come from.
        matched: Which variable of the source is which of the template.
        options: How it is filled.
        parts: What both consist of, where that isn't told as in other checkpoints.

    Raises:
        MismatchError: The source has no value for something, or one of another shape or dtype;
            with all of them.
        UnsupportedError: The optimizers don't keep the same, or a value can't be told.
    """
    filler = _Filler(source, template, matched, options, parts)
    return filler.plan()


class _Filler:
    def __init__(self, source: Source, template: Source, matched: MatchReport,
                 options: LikeOptions, parts: tuple[Anatomy, Anatomy] | None) -> None:
        self.source, self.template, self.options = source, template, options
        self.old, self.new = parts or _read_both(source, template, options.optimizer)
        self.partners = {**matched.partners, **{item.b: item.a for item in matched.mismatched}}
        self.byte_order = common_byte_order([source, template])
        self.fills: dict[str, Callable[[Entry], Carried]] = {}
        self.used: set[str] = set()
        self.kept: list[str] = []
        self.problems = [
            f"{', '.join(group.b)}: which of them is {', '.join(group.a)} can't be told"
            for group in matched.groups]
        self.carriers: list[Carrier] = []

    def plan(self) -> Plan:
        self._fill_variables()
        for optimizer in self.new.optimizers:
            self._fill_optimizer(optimizer)
        self._fill_steps()
        outputs = tuple(self._output(entry) for entry in self.template.index.values())
        if self.problems:
            raise MismatchError("the checkpoint can't fill the template", file=self.source.prefix,
                                problems=self.problems, hint=_HINT)
        return Plan(outputs, self.template.style, self.byte_order, self._left_out(), self._notes())

    def _output(self, entry: Entry) -> Output:
        fill = self.fills.get(entry.key)
        carried = fill(entry) if fill else Carried(None)
        origin = carried.origin
        if origin is None and entry.key in self._needed and not self.options.allow_missing:
            self.problems.append(f"{plain_name(entry.key)} {_what(entry)}: nothing in the source")
        elif origin is not None and (carried.shape, carried.dtype) != (entry.shape, entry.dtype):
            self.problems.append(
                f"{plain_name(entry.key)} {_what(entry)}: {plain_name(carried.key or '')} is"
                f" {carried.dtype} {shape_text(carried.shape)}")
        if origin is None:
            origin = self._own(entry)
        elif carried.key:
            self.used.add(carried.key)
        return Output(entry.key, entry.dtype, entry.shape, origin)

    @property
    def _needed(self) -> set[str]:
        """Keys of the template that must not stay as they are."""
        if self.options.optimizer == "none":
            return set(self.new.variables)
        return {*self.new.variables,
                *(key for optimizer in self.new.optimizers for key in optimizer.slots.values())}

    def _own(self, entry: Entry) -> Origin:
        """A tensor of the template as it is there, copied: its files stay out of the result."""
        if entry.key not in (OBJECT_GRAPH_KEY, object_key("save_counter", VARIABLE_VALUE)):
            self.kept.append(entry.key)
        return self.template.streamed(entry)

    def _fill_variables(self) -> None:
        for key, partner in self.partners.items():
            self.fills[key] = partial(self._taken, self._raw_or_average(partner))
        for variable, key in self.new.averages.items():
            average = self._average(self.partners.get(variable, ""))
            if average is not None:
                self.fills[key] = partial(self._taken, average)

    def _raw_or_average(self, key: str) -> str:
        return (self._average(key) if self.options.ema == "use" else None) or key

    def _average(self, variable: str) -> str | None:
        for optimizer in self.old.optimizers:
            found = optimizer.slots.get(Slot("average", variable))
            if found is not None:
                return found
        return self.old.averages.get(variable)

    def _taken(self, key: str, entry: Entry) -> Carried:
        found = self.source.index[key]
        if found.dtype is STRING and entry.dtype is STRING:
            return Carried(self.source.streamed(found), key, found.shape, found.dtype)
        return Carried(self.source.origin(found), key, found.shape, found.dtype)

    def _fill_optimizer(self, new: Optimizer) -> None:
        if self.options.optimizer == "none":
            return
        old = self._counterpart(new)
        carrier = Carrier(self.source, old, new, step=_step(self.source, self.old),
                          given=self.options.given, fallback=partial(_value_of, self.template, new,
                                                                     self.new))
        self.carriers.append(carrier)
        for slot, key in new.slots.items():
            variable = self.partners.get(slot.variable, "")
            if slot.name == "average":
                average = self._average(variable)
                if average is not None:
                    self.fills[key] = partial(self._taken, average)
            else:
                self.fills[key] = partial(_slot_of, carrier, Slot(slot.name, variable))
        for name, key in new.values.items():
            self.fills[key] = partial(_value_of_carrier, carrier, name)

    def _counterpart(self, new: Optimizer) -> Optimizer | None:
        """The source's optimizer of the same variables."""
        wanted = {self.partners.get(slot.variable) for slot in new.slots}
        ranked = sorted(self.old.optimizers, key=lambda old: -len(
            wanted & {slot.variable for slot in old.slots}))
        return ranked[0] if ranked else None

    def _fill_steps(self) -> None:
        step = _step(self.source, self.old)
        mine = step_keys(self.template, self.new)
        if step is None:
            step = next((int(read_value(self.source, old.values["iterations"]))
                         for old in self.old.optimizers if "iterations" in old.values), None)
        if step is None or len(mine) != 1 or mine[0] in self.fills:
            return
        counter = Carrier(self.source, None, Optimizer("tf1", "sgd", {}, {}), step=None,
                          given={"iterations": step}, fallback=lambda name: None)
        self.fills[mine[0]] = partial(_value_of_carrier, counter, "iterations")
        self.used.update(step_keys(self.source, self.old))

    def _left_out(self) -> tuple[LeftOut, ...]:
        state = {key for old in self.old.optimizers for key in old.keys}
        values = {*(key for old in self.old.optimizers for key in old.values.values()),
                  *step_keys(self.source, self.old)}  # an optimizer may count them itself
        averages = set(self.old.averages.values())

        def reason(key: str) -> str:
            if key == OBJECT_GRAPH_KEY:
                return "the result has the template's object graph"
            if key in values and self.carriers:
                return KEPT_OTHERWISE
            if key in state:
                return "optimizer state that the template doesn't have"
            if key in averages:
                return "moving average that the template doesn't have"
            return "nothing in the template is like it"

        return tuple(LeftOut(key, reason(key)) for key in self.source.index
                     if key not in self.used)

    def _notes(self) -> tuple[str, ...]:
        notes = [note for carrier in self.carriers for note in carrier.notes()]
        kept = [plain_name(key) for key in self.kept]
        if kept:
            notes.append(f"{len(kept)} values are the template's own: {', '.join(kept[:5])}"
                         + (", ..." if len(kept) > 5 else ""))
        if self.old.averages and self.options.ema == "ignore":
            notes.append(f"The source has moving averages of {len(self.old.averages)} variables;"
                         " the result has the variables themselves (--ema use takes the averages).")
        return tuple(notes)


def read_parts(source: Source, kind: str) -> Anatomy:
    """The parts of a checkpoint, whose optimizer may be known.

    Args:
        source: The checkpoint.
        kind: The optimizer, where names can't tell; ``"auto"`` believes them.
    """
    if kind not in KINDS:
        return read_anatomy(source)
    parts = read_anatomy(source, kind)
    return parts._replace(optimizers=tuple(
        optimizer._replace(kind=kind) if optimizer.layout == "tf1" else optimizer
        for optimizer in parts.optimizers))


def _read_both(source: Source, template: Source, kind: str) -> tuple[Anatomy, Anatomy]:
    """The parts of both; what an optimizer is may only stand in one of them."""
    old, new = read_parts(source, kind), read_anatomy(template)
    hint = kind if kind in KINDS else _only_kind(old) or _only_kind(new)
    if hint is not None:
        old = old if _only_kind(old) or source.style == "name-based" else read_anatomy(source, hint)
        new = new if _only_kind(new) else read_anatomy(template, hint)
    return old, new


def _only_kind(anatomy: Anatomy) -> str | None:
    """The kind of a checkpoint's optimizer, if there is one and its names tell."""
    kinds = {optimizer.kind for optimizer in anatomy.optimizers if optimizer.title}
    return kinds.pop() if len(kinds) == 1 else None


_HINT = ("Nothing was written. Name pairs with --map FILE, or keep the template's own values with"
         " --allow-missing.")


def _slot_of(carrier: Carrier, slot: Slot, entry: Entry) -> Carried:
    return carrier.slot(slot, entry.dtype, entry.shape)


def _value_of_carrier(carrier: Carrier, name: str, entry: Entry) -> Carried:
    return carrier.value(name, entry.dtype)


def _what(entry: Entry) -> str:
    return f"{entry.dtype} {shape_text(entry.shape)}"


def _step(source: Source, anatomy: Anatomy) -> int | None:
    found = step_keys(source, anatomy)
    return int(read_value(source, found[0])) if len(found) == 1 else None


def _value_of(template: Source, optimizer: Optimizer, anatomy: Anatomy, name: str
              ) -> float | None:
    """A value of the template; what TF1 doesn't store follows from the powers that it does."""
    key = optimizer.values.get(name)
    if key is not None:
        return read_value(template, key)
    if name not in ("beta_1", "beta_2"):
        return None
    own = Carrier(template, optimizer, optimizer, step=_step(template, anatomy), given={},
                  fallback=lambda missing: None)
    try:
        return own.values.get(name)
    except UnsupportedError:
        return None
