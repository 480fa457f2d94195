"""Layout ``tf1``: state under names that are made from those of the variables.

A slot is ``w/Adam``, the next one of the same optimizer ``w/Adam_1``. The powers of Adam's
decay rates are ``beta1_power`` and ``beta2_power``, one step ahead of the iteration count.
BERT's optimizer makes ``w/adam_m`` and ``w/adam_v`` and no powers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tfckpt.convert.optimizers.state import Optimizer, Slot
from tfckpt.convert.optimizers.table import KINDS, TF1_BASES, tf1_order
from tfckpt.core.roles import Assigned, slot_owner
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError

__all__ = ["find_tf1", "tf1_slot_key"]

_NUMBERED = re.compile(r"(.+?)(?:_(\d{1,9}))?")
_POWER = re.compile(r"(?:.*/)?(beta[12]_power)(?:_\d+)?")
_OF_BERT = {"adam_m": 0, "adam_v": 1}


def find_tf1(source: Source, roles: Mapping[str, Assigned]) -> list[Optimizer]:
    """The optimizers of a name-based checkpoint.

    Raises:
        UnsupportedError: One variable has slots of the same optimizer twice.
    """
    bases: dict[str, dict[str, dict[int, str]]] = {}
    powers: dict[str, str] = {}
    for key, assigned in roles.items():
        if assigned.role != "optimizer":
            continue
        owner, last = slot_owner(key, source.index), key.rpartition("/")[2]
        power = _POWER.fullmatch(key)
        if power:
            powers.setdefault(power[1], key)
        elif owner is not None:
            base, number = _base(last)
            bases.setdefault(base, {}).setdefault(owner, {})[number] = key
    return [_optimizer(base, owners, powers) for base, owners in bases.items()
            if base in TF1_BASES]


def _base(last: str) -> tuple[str, int]:
    if last in _OF_BERT:
        return "adam_m", _OF_BERT[last]
    match = _NUMBERED.fullmatch(last)
    return (match[1], int(match[2] or 0)) if match else (last, 0)


def _optimizer(base: str, owners: dict[str, dict[int, str]], powers: dict[str, str]) -> Optimizer:
    kind = KINDS[TF1_BASES[base]]
    slots: dict[Slot, str] = {}
    for owner, numbered in owners.items():
        if len(numbered) > len(kind.slots):
            raise UnsupportedError(f"two optimizers keep {base} slots for one variable",
                                   tensor=owner, hint="Drop one of them first: tfckpt select.")
        order = tf1_order(kind, len(numbered))
        for name, number in zip(order, sorted(numbered), strict=True):
            slots[Slot(name, owner)] = numbered[number]
    values = {name: powers[name] for name in kind.powers if name in powers}
    return Optimizer("tf1", kind.name, slots, values, base)


def tf1_slot_key(kind: str, names: tuple[str, ...], slot: Slot) -> str:
    """The name that TF1 gives a slot.

    Args:
        kind: The optimizer.
        names: All slots that it keeps for each variable.
        slot: The one, its variable by its TF1 name.

    Example:
        >>> tf1_slot_key("adam", ("momentum", "velocity"), Slot("velocity", "dense/kernel"))
        'dense/kernel/Adam_1'
    """
    base = KINDS[kind].tf1
    number = tf1_order(KINDS[kind], len(names)).index(slot.name)
    if base == "adam_m":
        return f"{slot.variable}/{('adam_m', 'adam_v')[number]}"
    return f"{slot.variable}/{base}" + (f"_{number}" if number else "")
