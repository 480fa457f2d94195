"""The table of optimizers: what each layout calls their slots and values.

Slots are named as Keras 3 does. Where a layout has a slot, it is found by these names:

    ============ ==================================================================
    ``tf1``      the n-th variable ``w/Adam``, ``w/Adam_1``, in the table's order
    ``graph``    slot name in the object graph, of TF1 optimizers below a Checkpoint
    ``legacy``   slot name in the object graph, of legacy Keras
    ``keras2``   list of the optimizer, and the part of the full name before the variable's
    ``keras3``   list of the optimizer; the full name ends in the slot's name
    ============ ==================================================================

Sources: python/training/*.py of TensorFlow 1.15; optimizers/legacy/*.py and optimizers/*.py
of Keras 2.15; src/optimizers/*.py of Keras 3.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMON_SLOTS", "KINDS", "TF1_BASES", "VALUES", "Kind", "SlotNames", "kind_of_title",
           "tf1_order"]


class SlotNames(NamedTuple):
    """The names of one slot."""

    name: str
    graph: str = ""
    legacy: str = ""
    keras2: tuple[str, str] = ("", "")
    keras3: str = ""


class Kind(NamedTuple):
    """One optimizer.

    Attributes:
        name: Its name here and on the command line.
        slots: Its slots, in the order in which TF1 numbers them.
        tf1: What TF1 names its slots after; empty if TF1 has no such optimizer.
        powers: Which powers of its decay rates TF1 stores.
        keras: Its class in Keras; empty if Keras has no such optimizer.
        hypers: What the legacy layout stores of it besides ``iter``, ``decay`` and
            ``learning_rate``, with the defaults of Keras.
    """

    name: str
    slots: tuple[SlotNames, ...] = ()
    tf1: str = ""
    powers: tuple[str, ...] = ()
    keras: str = ""
    hypers: tuple[tuple[str, float], ...] = ()

    def slot(self, name: str) -> SlotNames | None:
        """The names of one of its slots, or of one that every optimizer may have."""
        return next((slot for slot in (*self.slots, *COMMON_SLOTS) if slot.name == name), None)


_MOMENTUM = SlotNames("momentum", "m", "m", ("_momentums", "m"), "_momentums")
_VELOCITY = SlotNames("velocity", "v", "v", ("_velocities", "v"), "_velocities")
_VELOCITY_HAT = SlotNames("velocity_hat", "vhat", "vhat", ("_velocity_hats", "vhat"),
                          "_velocity_hats")
_ADAM = (_MOMENTUM, _VELOCITY, _VELOCITY_HAT)
_BETAS = (("beta_1", 0.9), ("beta_2", 0.999))
_POWERS = ("beta1_power", "beta2_power")
_ACCUMULATOR = SlotNames("accumulator", "accumulator", "accumulator",
                         ("_accumulators", "accumulator"), "_accumulators")

COMMON_SLOTS = (
    SlotNames("average", "average", "average", ("_model_variables_moving_average", "average"),
              "_model_variables_moving_average"),
    SlotNames("gradient_accumulator", "", "", ("_accumulated_gradients", "gradient_accumulator"),
              "_accumulated_gradients"),
)
"""What any Keras optimizer may keep: ``use_ema``, ``gradient_accumulation_steps``."""

KINDS: dict[str, Kind] = {kind.name: kind for kind in (
    Kind("sgd", (SlotNames("momentum", "momentum", "momentum", ("momentums", "m"), "momentums"),),
         "Momentum", keras="SGD", hypers=(("momentum", 0.0),)),
    Kind("rmsprop", (
        SlotNames("velocity", "rms", "rms", ("_velocities", "velocity"), "_velocities"),
        SlotNames("average_gradient", "mg", "mg", ("_average_gradients", "average_gradient"),
                  "_average_gradients"),
        SlotNames("momentum", "momentum", "momentum", ("_momentums", "momentum"), "_momentums")),
        "RMSProp", keras="RMSprop", hypers=(("momentum", 0.0), ("rho", 0.9))),
    Kind("adagrad", (_ACCUMULATOR,), "Adagrad", keras="Adagrad"),
    Kind("proximal_adagrad", (_ACCUMULATOR,), "ProximalAdagrad"),
    Kind("adadelta", (
        SlotNames("accumulated_grad", "accum", "accum_grad",
                  ("_accumulated_grads", "accumulated_grad"), "_accumulated_grads"),
        SlotNames("accumulated_delta_var", "accum_update", "accum_var",
                  ("_accumulated_delta_vars", "accumulated_delta_var"),
                  "_accumulated_delta_vars")),
        "Adadelta", keras="Adadelta", hypers=(("rho", 0.95),)),
    Kind("adam", _ADAM, "Adam", _POWERS, "Adam", _BETAS),
    Kind("adamw", _ADAM, "AdamW", _POWERS, "AdamW", _BETAS),
    Kind("bert", _ADAM[:2], "adam_m"),
    Kind("nadam", _ADAM[:2], "Adam", _POWERS, "Nadam", (*_BETAS, ("u_product", 1.0))),
    Kind("adamax", (
        SlotNames("momentum", "m", "m", ("_m", "m"), "_m"),
        SlotNames("norm", "v", "v", ("_u", "u"), "_u")),
        "AdaMax", _POWERS[:1], "Adamax", _BETAS),
    Kind("ftrl", (
        SlotNames("accumulator", "accum", "accumulator", ("_accumulators", "accumulator"),
                  "_accumulators"),
        SlotNames("linear", "linear", "linear", ("_linears", "linear"), "_linears")),
        "Ftrl", keras="Ftrl", hypers=(
            ("beta", 0.0), ("l1_regularization_strength", 0.0),
            ("l2_regularization_strength", 0.0), ("learning_rate_power", -0.5))),
    Kind("lion", (SlotNames("momentum", "", "", ("momentums", "m"), "_momentums"),),
         keras="Lion"),
    Kind("lamb", (SlotNames("momentum", "", "", ("", ""), "_momentums"),
                  SlotNames("velocity", "", "", ("", ""), "_velocities")), keras="Lamb"),
    Kind("muon", (SlotNames("momentum", "", "", ("", ""), "momentums"),
                  SlotNames("velocity", "", "", ("", ""), "adam_velocities")), keras="Muon"),
    Kind("adafactor", (
        SlotNames("r", "", "", ("_r", "r"), "_r"), SlotNames("c", "", "", ("_c", "c"), "_c"),
        SlotNames("velocity", "", "", ("_v", "v"), "_v")), keras="Adafactor"),
)}

TF1_BASES = {
    **{kind.tf1: kind.name for kind in reversed(KINDS.values()) if kind.tf1},
    "adam_v": "bert", "LazyAdam": "adam",
}
"""What TF1 names slots after, and the optimizer; Adam's slots may also be contrib's Nadam's."""

VALUES: dict[str, str] = {
    "iter": "iterations", "_iterations": "iterations", "momentum_cache": "u_product",
    "_u_product": "u_product", "_learning_rate": "learning_rate",
    "_current_learning_rate": "current_learning_rate", "current_loss_scale": "loss_scale",
    "dynamic_scale": "loss_scale", "step_counter": "good_steps",
}
"""Values whose names differ between layouts."""


def kind_of_title(title: str) -> str | None:
    """The optimizer of which this is Keras' name, as a class or in a variable's name.

    Example:
        >>> kind_of_title("AdamW"), kind_of_title("rm_sprop"), kind_of_title("mine")
        ('adamw', 'rmsprop', None)
    """
    plain = title.replace("_", "").lower()
    return plain if plain in KINDS else None


def tf1_order(kind: Kind, count: int) -> tuple[str, ...]:
    """What TF1's first, second … variable of this optimizer is.

    Args:
        kind: The optimizer.
        count: How many it keeps for each variable. RMSProp has the mean of the gradients
            between the others if it is centered.

    Example:
        >>> tf1_order(KINDS["rmsprop"], 2), tf1_order(KINDS["rmsprop"], 3)
        (('velocity', 'momentum'), ('velocity', 'average_gradient', 'momentum'))
    """
    names = tuple(slot.name for slot in kind.slots)
    if kind.name == "rmsprop" and count == 2:
        return names[0], names[2]
    return names[:count]
