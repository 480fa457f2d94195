"""An optimizer's state, whatever layout it is stored in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tfckpt.convert.optimizers.table import Kind, SlotNames

__all__ = ["Layout", "Optimizer", "Plan", "Slot"]

Layout = Literal["tf1", "tf1-object", "legacy", "keras2", "keras3"]
"""How state is stored.

============== =========================================================================
``tf1``        ``w/Adam``, ``beta1_power``: `tf.compat.v1.train` optimizers, by name
``tf1-object`` the same optimizers below a `tf.train.Checkpoint`
``legacy``     ``.OPTIMIZER_SLOT``: Keras before 2.11, `tf.keras.optimizers.legacy` after
``keras2``     ``_variables/1``: Keras 2.11 to 2.15, tf_keras
``keras3``     ``_variables/2`` beside ``_trainable_variables``: Keras 3
============== =========================================================================
"""


class Slot(NamedTuple):
    """One of the variables that an optimizer keeps for each variable of a model.

    Attributes:
        name: What it is, as Keras 3 calls it: ``momentum``, ``velocity``.
        variable: Key of the model's variable.
    """

    name: str
    variable: str


class Optimizer(NamedTuple):
    """The state of one optimizer.

    Attributes:
        layout: How it is stored.
        kind: Which optimizer, by its name in the table.
        slots: Key of each slot.
        values: Key of each single value, by the table's name: ``iterations``, ``beta_1``.
        title: What the program calls it, as far as names tell: ``AdamW``, ``adam_m``.
    """

    layout: Layout
    kind: str
    slots: Mapping[Slot, str]
    values: Mapping[str, str]
    title: str = ""

    @property
    def keys(self) -> set[str]:
        """Keys of all its tensors."""
        return {*self.slots.values(), *self.values.values()}

    @property
    def slot_names(self) -> set[str]:
        """Which slots it keeps for at least one variable."""
        return {slot.name for slot in self.slots}


class Plan(NamedTuple):
    """An optimizer that is to be laid out anew.

    Attributes:
        kind: Which one.
        slots: What it keeps for each variable, in the order of the table.
        variables: Node number and full name of each variable, in the order of training.
        learning_rate: What there is if the source has none; None if a schedule makes it.
        scales_loss: Whether it is wrapped in a `LossScaleOptimizer`.
    """

    kind: Kind
    slots: tuple[SlotNames, ...]
    variables: tuple[tuple[int, str], ...]
    learning_rate: float | None
    scales_loss: bool = False

    def listed(self) -> tuple[SlotNames, ...]:
        """The slots for which there is a list; RMSProp has one for each, even if it is empty."""
        if self.kind.name != "rmsprop":
            return self.slots
        own = sorted(self.kind.slots, key=lambda slot: _RMSPROP.index(slot.name))
        return (*(slot for slot in self.slots if slot not in own), *own)

    def order(self) -> list[tuple[SlotNames, int]]:
        """Each slot and the place of its variable, in the order in which Keras makes them.

        Averages come first, each variable's slots together; but RMSProp makes one list after
        another, and the last of AMSGrad's lists comes when the others are there.
        """
        places = range(len(self.variables))
        apart = [slot for slot in self.slots if slot.name in ("average", "gradient_accumulator")]
        late = [slot for slot in self.slots if slot.name == "velocity_hat"]
        rest = [slot for slot in self.slots if slot not in apart and slot not in late]
        if self.kind.name == "rmsprop":
            rest.sort(key=lambda slot: _RMSPROP.index(slot.name))
            middle = [(slot, place) for slot in rest for place in places]
        else:
            middle = [(slot, place) for place in places for slot in rest]
        return [*((slot, place) for slot in apart for place in places), *middle,
                *((slot, place) for slot in late for place in places)]


_RMSPROP = ("velocity", "momentum", "average_gradient")
