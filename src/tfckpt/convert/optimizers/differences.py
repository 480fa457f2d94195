"""What will differ after a conversion although the state is carried exactly.

Some algorithms changed between TensorFlow 1, Keras 2 and Keras 3. The state is what it was;
the next step isn't the one that the old program would have taken. Each case is told by name.
"""

from __future__ import annotations

from tfckpt.convert.optimizers.state import Layout, Optimizer

__all__ = ["differences", "same_state"]

_GENERATION: dict[Layout, str] = {"tf1": "TF1", "tf1-object": "TF1", "legacy": "legacy Keras",
                                  "keras2": "new Keras", "keras3": "new Keras"}
_ADAMS = frozenset({"adam", "adamw", "bert", "nadam", "lamb"})
_ADAGRADS = frozenset({"adagrad", "proximal_adagrad"})
_SQUARES = frozenset({"adam", "adamw", "bert", "nadam", "lamb", "rmsprop", "adagrad", "adadelta",
                      "adamax"})


def same_state(old: str, new: str) -> bool:
    """Whether the state of one optimizer means the same to the other."""
    return old == new or {old, new} <= _ADAMS or {old, new} <= _ADAGRADS


def differences(old: Optimizer, new: Optimizer) -> list[str]:
    """What the next step will do otherwise, a sentence each.

    Args:
        old: The state that is carried.
        new: Where it goes.

    Example:
        >>> differences(Optimizer("legacy", "nadam", {}, {}), Optimizer("keras2", "nadam", {}, {}))
        ["Nadam: the schedule of its momentum in legacy Keras isn't that of new Keras."]
    """
    before, after = _GENERATION[old.layout], _GENERATION[new.layout]
    said = []
    if old.kind != new.kind:
        said.append(f"{old.title or old.kind} becomes {new.title or new.kind}: "
                    + _OTHER_RULE.get(old.kind, "the state is the same, the update isn't."))
    if before != after:
        said += _between_generations(old, new, before, after)
    if "velocity_hat" in old.slot_names and after == "TF1":
        said.append("Adam: TF1 has no AMSGrad; the largest mean of squares is left behind.")
    if old.kind == "nadam" and (old.layout, new.layout) == ("keras3", "keras2"):
        said.append("Nadam: Keras 2 multiplies the product of its momentum's schedule once for"
                    " every variable, Keras 3 once for every step.")
    if (new.layout == "keras3") != (old.layout == "keras3") and old.kind in _SQUARES:
        said.append("Keras 3 on TensorFlow adds up the squares of a gradient's parts where a batch"
                    " uses one row of an embedding several times; the others square the sum.")
    return said


_OTHER_RULE = {
    "bert": "BERT's optimizer didn't correct the bias of its means.",
    "proximal_adagrad": "its regularization isn't part of the state.",
}


def _between_generations(old: Optimizer, new: Optimizer, before: str, after: str) -> list[str]:
    said = []
    kinds = {old.kind, new.kind}
    generations = {before, after}
    if "nadam" in kinds:
        said.append(f"Nadam: the schedule of its momentum in {before} isn't that of {after}.")
    if kinds == {"rmsprop"} and "legacy Keras" in generations and old.slot_names <= {
            "velocity", "momentum"} and not {"momentum"} <= old.slot_names & new.slot_names:
        said.append("RMSprop: without momentum, legacy Keras adds epsilon outside of the root,"
                    " the others inside.")
    if kinds == {"ftrl"} and "new Keras" in generations:
        said.append("Ftrl: new Keras updates all rows of an embedding; rows that were never used"
                    " become 0, where the others left them as they were initialized.")
    if kinds == {"adamw"} and before == "TF1":
        said.append("AdamW: contrib's took weight_decay as it is, Keras multiplies it by the"
                    " learning rate.")
    return said
