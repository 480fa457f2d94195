"""The variables of an optimizer in ``.weights.h5``, which are numbered and have no names.

First the count of iterations, then the learning rate unless a schedule makes it, then slots
in the order in which Keras makes them for the trained variables. Which variables these are, and
in which order, isn't stored: it is found out from shapes. Layers of one class are numbered in
the model's order, so two of equal shape are no riddle; where another order would do as
well, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import combinations

from tfckpt.convert.anatomy import Anatomy
from tfckpt.convert.optimizers.state import Optimizer, Slot
from tfckpt.convert.optimizers.state import Plan as OptimizerPlan
from tfckpt.convert.optimizers.table import (
    COMMON_SLOTS,
    KINDS,
    Kind,
    SlotNames,
    kind_of_title,
)
from tfckpt.errors import UnsupportedError
from tfckpt.keras.weights_h5 import OPTIMIZER, WeightsH5

__all__ = ["INNER", "read_h5_anatomy"]

INNER = OPTIMIZER + "/inner_optimizer/vars/"
_OWN = OPTIMIZER + "/vars/"
_WRAPPER = ("outer_iterations", "outer_learning_rate", "good_steps", "loss_scale")
_OPTIONAL = frozenset({("sgd", "momentum"), ("rmsprop", "momentum"), ("adam", "velocity_hat"),
                       ("rmsprop", "average_gradient"), ("adamw", "velocity_hat")})
_NOT_TRAINED = frozenset({"moving_mean", "moving_variance", "mean", "variance", "count"})

Shape = tuple[int, ...]


def read_h5_anatomy(source: WeightsH5, other: Anatomy | None = None) -> Anatomy:
    """The parts of a ``.weights.h5`` file.

    Args:
        source: The file.
        other: The parts of a checkpoint that belongs to it: what its optimizer keeps is tried
            first. The file alone doesn't tell averages from accumulated gradients.

    Raises:
        UnsupportedError: Which variable a slot belongs to can't be told.
    """
    variables = tuple(key for key in source.index if not key.startswith(OPTIMIZER + "/"))
    inner = [key for key in source.paths if key.startswith(INNER)]
    own = [key for key in source.paths if key.startswith(_OWN)]
    if not own:
        return Anatomy(variables, (), {}, ())
    keys = inner or own
    likely = {slot.name for state in (other.optimizers if other else ()) for slot in state.slots}
    found = _read_optimizer(source, keys, variables, likely)
    others: tuple[str, ...] = ()
    if inner:
        found = found._replace(values={**found.values, **dict(zip(_WRAPPER, own, strict=False))})
        others = tuple(own[len(_WRAPPER):])  # the inner ones once more
    return Anatomy(variables, (found,), {}, others)


def _read_optimizer(source: WeightsH5, keys: Sequence[str], variables: Sequence[str],
                    likely: AbstractSet[str]) -> Optimizer:
    name = kind_of_title(source.optimizer_name)
    if name is None or name == "muon":
        raise UnsupportedError("which optimizer the file holds can't be told", file=source.prefix,
                               got=source.optimizer_name or "no name")
    kind = KINDS[name]
    values = {"iterations": keys[0]}
    rest = list(keys[1:])
    heads = source.index
    if rest and not heads[rest[0]].shape and heads[rest[0]].dtype.name.startswith("float"):
        values["learning_rate"] = rest.pop(0)
    if name == "nadam":
        values["u_product"] = rest.pop()
    shapes = [heads[key].shape for key in rest]
    for slots in sorted(_possible_slots(kind), key=lambda slots: len(
            likely ^ {slot.name for slot in slots}) if likely else 0):
        plan = _plan(kind, slots, len(shapes))
        if plan is None:
            continue
        order = plan.order()
        wanted = _shapes_of_places(order, shapes, len(plan.variables))
        if wanted is None:
            continue
        owners = _assign(source, variables, wanted)
        if owners is not None:
            return Optimizer("keras3", name, {
                Slot(slot.name, owners[place]): key
                for (slot, place), key in zip(order, rest, strict=True)}, values,
                source.optimizer_name)
    raise UnsupportedError("which variables the optimizer's slots belong to can't be told from"
                           " their shapes", file=source.prefix,
                           hint="Save the training with tf.train.Checkpoint instead.")


def _possible_slots(kind: Kind) -> Iterator[tuple[SlotNames, ...]]:
    """What the optimizer may keep, the usual first."""
    optional = [slot for slot in kind.slots if (kind.name, slot.name) in _OPTIONAL]
    always = [slot for slot in kind.slots if slot not in optional]
    more = sorted(optional, key=lambda slot: slot.name != "momentum")
    for n in range(len(more) + len(COMMON_SLOTS) + 1):
        for chosen in combinations((*more, *COMMON_SLOTS), n):
            kept = {*always, *chosen}
            yield tuple(slot for slot in (*kind.slots, *COMMON_SLOTS) if slot in kept)


def _plan(kind: Kind, slots: tuple[SlotNames, ...], count: int) -> OptimizerPlan | None:
    if not slots:
        return None if count else OptimizerPlan(kind, (), (), None)
    if count % len(slots) or not count:
        return None
    return OptimizerPlan(kind, slots, tuple((n, "") for n in range(count // len(slots))), None)


def _shapes_of_places(order: Sequence[tuple[SlotNames, int]], shapes: Sequence[Shape], n: int
                      ) -> list[Shape] | None:
    """The shape of each trained variable, or None if its slots contradict each other."""
    found: dict[int, Shape] = {}
    for (slot, place), shape in zip(order, shapes, strict=True):
        if slot.name in ("r", "c"):  # Adafactor's rows and columns
            continue
        if found.setdefault(place, shape) != shape:
            return None
    return [found[place] for place in range(n)]


def _assign(source: WeightsH5, variables: Sequence[str], wanted: list[Shape]
            ) -> list[str] | None:
    """The variables in the order of training, if shapes allow only one."""
    layers: dict[str, list[str]] = {}
    for key, path in source.paths.items():
        if key in set(variables) and key.rpartition("/")[2] not in _NOT_TRAINED:
            layers.setdefault(path.rpartition("/vars/")[0], []).append(key)
    groups = list(layers.items())
    solutions: list[list[str]] = []

    def search(at: int, used: frozenset[int], chosen: list[str]) -> None:
        if len(solutions) > 1:
            return
        if at == len(wanted):
            solutions.append(chosen)
            return
        for n, (group, keys) in enumerate(groups):
            if n in used or not _may_follow(group, groups, used):
                continue
            shapes = [source.index[key].shape for key in keys]
            if shapes == wanted[at:at + len(shapes)]:
                search(at + len(shapes), used | {n}, chosen + keys)

    search(0, frozenset(), [])
    return solutions[0] if len(solutions) == 1 else None


def _may_follow(group: str, groups: Sequence[tuple[str, list[str]]], used: frozenset[int]) -> bool:
    """Whether no later layer of the same class came before."""
    return not any(_class(groups[n][0]) == _class(group)
                   and _number(groups[n][0]) > _number(group) for n in used)


def _class(group: str) -> str:
    head, _, last = group.rpartition("_")
    return head if last.isdecimal() else group


def _number(group: str) -> int:
    last = group.rpartition("_")[2]
    return int(last) if last.isdecimal() and len(last) < 10 else 0
