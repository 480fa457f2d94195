"""Single values of an optimizer: iteration counts, decay rates and their powers.

TF1 stores no count of iterations but the powers of Adam's decay rates, one step ahead:
``beta1_power`` is ``beta_1 ** (iterations + 1)``. The rates themselves aren't stored either,
so the two are found together, from the powers and from ``global_step``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tfckpt.errors import UnsupportedError

__all__ = ["Decay", "Values", "find_decay"]

_POWERS = {"beta1_power": "beta_1", "beta2_power": "beta_2"}
# Rates that people use, the defaults first.
_LIKELY = {"beta_1": (0.9, 0.5, 0.8, 0.85, 0.95, 0.99, 0.0),
           "beta_2": (0.999, 0.99, 0.98, 0.95, 0.997, 0.995, 0.9, 0.9999)}
_ROUNDING = 3e-8  # of one product of float32 numbers
_SMALLEST = 1e-30  # below, a float32 power has lost its digits


class Decay(NamedTuple):
    """Decay rates and how often they were applied."""

    iterations: int | None
    rates: Mapping[str, float]


def find_decay(powers: Mapping[str, float], step: int | None, known: Mapping[str, float]) -> Decay:
    """Take the powers of decay rates apart.

    Args:
        powers: ``beta1_power`` and ``beta2_power``, as far as they are stored.
        step: The checkpoint's count of training steps, if it has one. It may have started
            before the optimizer did, so it only counts if it agrees with a power.
        known: Rates that are known, by ``beta_1`` and ``beta_2``.

    Example:
        >>> find_decay({"beta1_power": 0.6561, "beta2_power": 0.9605961}, 3, {})
        Decay(iterations=3, rates={'beta_1': 0.9, 'beta_2': 0.99})
    """
    usable = {_POWERS[name]: power for name, power in powers.items() if power > _SMALLEST}
    if not usable:  # underflown, or never there
        return Decay(step, dict(known))
    if step is not None:
        rates = {name: _rate(power, step, known.get(name)) for name, power in usable.items()}
        if all(rate is not None for rate in rates.values()):
            return Decay(step, {**known, **{name: rate for name, rate in rates.items()
                                            if rate is not None}})
    for iterations, rate in _candidates(usable, known):
        rates = {name: _rate(power, iterations, known.get(name)) for name, power in usable.items()}
        if all(found is not None and (found in _LIKELY[name] or name in known)
               for name, found in rates.items()):
            return Decay(iterations, {**known, **{name: found for name, found in rates.items()
                                                  if found is not None}, **rate})
    return Decay(None, dict(known))


def _candidates(usable: Mapping[str, float], known: Mapping[str, float]
                ) -> list[tuple[int, dict[str, float]]]:
    """Counts of iterations that fit one of the powers under a likely rate."""
    found = []
    for name, power in usable.items():
        for rate in (known[name],) if name in known else _LIKELY[name]:
            if 0 < rate < 1:
                count = round(math.log(power) / math.log(_float32(rate))) - 1
                if count >= 0 and _fits(rate, count, power):
                    found.append((count, {name: rate}))
    return found


def _rate(power: float, iterations: int, known: float | None) -> float | None:
    """The rate whose power this is; None if no rate with few digits fits."""
    rate = known if known is not None else round(power ** (1 / (iterations + 1)), 5)
    return rate if _fits(rate, iterations, power) else None


def _fits(rate: float, iterations: int, power: float) -> bool:
    expected: float = _float32(rate) ** (iterations + 1)
    return abs(expected - power) <= (1e-5 + iterations * _ROUNDING) * power


def _float32(number: float) -> float:
    (rounded,) = struct.unpack("f", struct.pack("f", number))
    return float(rounded)


class Values:
    """The values of an optimizer, in whatever layout they are asked for.

    Args:
        stored: Those that the source has.
        step: The source's count of training steps.
        given: Those that the user gave; they win.
        fallback: What there is if the source has none: the template's, a default.
    """

    def __init__(self, stored: Mapping[str, float], step: int | None,
                 given: Mapping[str, float], fallback: Callable[[str], float | None]) -> None:
        self.stored = stored
        self.step = step
        self.given = given
        self.fallback = fallback
        self.assumed: dict[str, float] = {}

    def get(self, name: str) -> float | None:
        """One value, or None if there is none.

        Raises:
            UnsupportedError: The count of iterations can't be told.
        """
        if name in self.given:
            return self.given[name]
        if name.startswith("outer_"):  # a loss-scale wrapper's own, which never change
            return self.fallback(name)
        if name == "iterations":
            return self._iterations()
        if name in self.stored and name not in _POWERS:
            return self.stored[name]
        if name in _POWERS:
            rate = self.get(_POWERS[name])
            return None if rate is None else float(rate) ** (self._iterations() + 1)
        if name in _POWERS.values():
            rate = self._decay().rates.get(name)
            if rate is not None:
                return rate
        return self._assume(name)

    def learning_rate(self) -> float | None:
        """The learning rate of the last step, by which TF1 and Keras scale momentum otherwise."""
        for name in ("learning_rate", "current_learning_rate"):
            if name in self.given or name in self.stored:
                return self.get(name)
        return self._assume("learning_rate")

    def _assume(self, name: str) -> float | None:
        value = self.fallback(name)
        if value is not None:
            self.assumed[name] = value
        return value

    def _decay(self) -> Decay:
        powers = {name: self.stored[name] for name in _POWERS if name in self.stored}
        known = {name: value for name in _POWERS.values()
                 if (value := self.given.get(name, self.stored.get(name))) is not None}
        return find_decay(powers, self.step, known)

    def _iterations(self) -> int:
        if "iterations" in self.given:
            return int(self.given["iterations"])
        if "iterations" in self.stored:
            return int(self.stored["iterations"])
        found = self._decay().iterations
        if found is None:
            powers = [name for name in _POWERS if name in self.stored]
            raise UnsupportedError(
                "how many steps the optimizer took can't be told"
                + (f" from {' and '.join(powers)}" if powers else ""),
                hint="Say it: --iterations N, or the decay rates: --hyper beta_1=0.9.")
        return found
