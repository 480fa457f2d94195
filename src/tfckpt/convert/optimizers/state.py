"""An optimizer's state, whatever layout it is stored in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

__all__ = ["Layout", "Optimizer", "Slot"]

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
