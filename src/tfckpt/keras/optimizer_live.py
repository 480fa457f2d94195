"""The optimizer of a compiled Keras 3 model, filled with an older one's state.

What the live optimizer keeps is the template that ``tfckpt convert --like`` fills
(convert/like.py); which variable of the model is which of the checkpoint is known from loading
its weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.convert.anatomy import Anatomy, read_anatomy
from tfckpt.convert.like import LikeOptions, plan_like, read_parts
from tfckpt.convert.optimizers.state import Optimizer, Slot
from tfckpt.convert.optimizers.table import COMMON_SLOTS, KINDS, Kind, kind_of_title
from tfckpt.core.index import Entry, GivenIndex
from tfckpt.core.matching import MatchReport, Pair
from tfckpt.core.source import Source, WholeSource
from tfckpt.errors import UnsupportedError
from tfckpt.format.dtypes import dtype_named
from tfckpt.keras.convert_h5 import read_output
from tfckpt.keras.legacy_h5 import LegacyH5
from tfckpt.keras.program import read_program
from tfckpt.keras.reports import LoadReport

if TYPE_CHECKING:
    import numpy as np

__all__ = ["OptimizerState", "has_state", "plan_state"]


class OptimizerState(NamedTuple):
    """State for a live optimizer, in its layout.

    Attributes:
        title: The optimizer's class.
        values: Each of its variables that gets a value, and that value.
        notes: What a reader should know.
    """

    title: str
    values: tuple[tuple[Any, np.ndarray[Any, Any]], ...]
    notes: tuple[str, ...]

    def told(self, report: LoadReport) -> LoadReport:
        """A report that says so."""
        aside = {role: n for role, n in report.left_aside.items() if role != "optimizer"}
        return report._replace(left_aside=aside, notes=(
            *report.notes, f"{len(self.values)} values of the optimizer, {self.title}, are loaded",
            *self.notes))

    def assign(self) -> None:
        """Give the optimizer's variables their values."""
        for variable, value in self.values:
            variable.assign(value)


def has_state(source: Source) -> bool:
    """Whether a checkpoint has state of an optimizer that can be read."""
    return not isinstance(source, LegacyH5) and bool(read_anatomy(source).optimizers)


def plan_state(model: Any, source: Source, loaded: LoadReport, options: LikeOptions
               ) -> OptimizerState | None:
    """What a compiled model's optimizer gets from a checkpoint.

    Its slots are made if it has none yet; nothing is assigned.

    Args:
        model: A compiled model.
        source: The checkpoint.
        loaded: Which tensor each weight is loaded from.
        options: Which optimizer it is where names can't tell, values that are given, and
            whether slots that the checkpoint doesn't have stay as they are made.

    Returns:
        None if the checkpoint has no state.

    Raises:
        MismatchError: Slots would stay empty; with all of them.
        UnsupportedError: The optimizers don't keep the same, or the model isn't compiled.
    """
    if getattr(model, "optimizer", None) is None:
        raise UnsupportedError("the model isn't compiled, so it has no optimizer", got=model.name,
                               hint="Compile it before.")
    if not has_state(source):
        return None
    live = _LiveOptimizer(model)
    old = (read_parts(source, options.optimizer) if options.optimizer in KINDS else
           read_anatomy(source, live.kind.name))
    keys = {key.partition("/.ATTRIBUTES/")[0]: key for key in source.index}
    pairs = tuple(Pair(keys[item.key], item.weight, "map") for item in loaded.found)
    plan = plan_like(source, live, MatchReport(source.prefix, live.prefix, pairs), options,
                     (old, Anatomy((), (live.optimizer,), {}, ())))
    values = tuple((live.variables[output.key], read_output(source, output))
                   for output in plan.outputs)
    return OptimizerState(live.optimizer.title, values, plan.notes)


class _LiveOptimizer(WholeSource):
    """The variables of an optimizer, under the names that they have in ``.weights.h5``."""

    def __init__(self, model: Any) -> None:
        outer = model.optimizer
        inner = getattr(outer, "inner_optimizer", outer)
        self.prefix = title = type(inner).__name__
        name = kind_of_title(title)
        if name is None or name == "muon":
            raise UnsupportedError("state can't be carried into this optimizer", got=title,
                                   hint="Leave it behind with --optimizer none.")
        self.kind: Kind = KINDS[name]
        if not outer.built:
            outer.build(model.trainable_variables)
        self.variables = {f"optimizer/vars/{n}": variable
                          for n, variable in enumerate(outer.variables)}
        self._keys = {id(variable): key for key, variable in self.variables.items()}
        self.optimizer = Optimizer("keras3", name, self._slots(model, inner),
                                   self._values(inner, outer), title)
        self._index = GivenIndex([self._entry(key) for key in self.variables])

    def _slots(self, model: Any, optimizer: Any) -> dict[Slot, str]:
        """Lists of slots, each in the order of the variables that the optimizer trains."""
        titles = {id(part.variable): part.title for part in read_program(model).weights()}
        trained = [titles[id(variable)] for variable in model.trainable_variables]
        found = {}
        for names in (*self.kind.slots, *COMMON_SLOTS):
            for title, slot in zip(trained, getattr(optimizer, names.keras3, None) or (),
                                   strict=False):
                if id(slot) in self._keys:  # of what isn't kept, Adafactor has something else
                    found[Slot(names.name, title)] = self._keys[id(slot)]
        return found

    def _values(self, inner: Any, outer: Any) -> dict[str, str]:
        named = {"iterations": inner.iterations,
                 "learning_rate": getattr(inner, "_learning_rate", None),  # or a schedule
                 "u_product": getattr(inner, "_u_product", None)}
        if outer is not inner:
            named |= {"good_steps": outer.step_counter, "loss_scale": outer.dynamic_scale}
        return {name: self._keys[id(value)] for name, value in named.items()
                if id(value) in self._keys}

    def _entry(self, key: str) -> Entry:
        variable = self.variables[key]
        dtype = dtype_named(str(variable.dtype))
        shape = tuple(int(n) for n in variable.shape)
        n_bytes = (dtype.size or 0)
        for length in shape:
            n_bytes *= length
        return Entry(key, dtype, shape, 0, 0, n_bytes, 0)

    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        import numpy as np  # deferred: as everywhere

        from keras import ops

        return np.array(ops.convert_to_numpy(self.variables[part.key].value))
