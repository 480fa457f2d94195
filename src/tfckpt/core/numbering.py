"""Names that a framework numbered: ``dense``, ``dense_1``, ``dense_2`` in order of creation.

The same model made twice in one process has other numbers the second time, and then
``dense_1`` of one checkpoint is not ``dense_1`` of another. Where the numbers of one word
differ on both sides, equal names prove nothing. Nor do numbers in a list, where one side counts
what has no weights and the other doesn't: 0, 2, 4 are 0, 1, 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tfckpt.core.leaves import split_name

__all__ = ["Renumbered", "renumber"]

_NUMBERED = re.compile(r"(.*?[^\d_])(?:_(\d{1,9}))?")
# What Keras and TF1 call layers that were given no name, and number from the second one on.
_AUTOMATIC = re.compile(
    r"dense|einsum_dense|embedding|(separable_|depthwise_)?conv[123]d(_transpose)?|lstm|gru"
    r"|simple_rnn|(lstm|gru|simple_rnn)_cell|rnn|bidirectional|time_distributed"
    r"|multi_head_attention|(batch|layer|group)_normalization|p_re_lu|normalization|sequential"
    r"|model|functional|Variable")
_PLACE = "/#"  # behind the name of a list: the places in it


class Renumbered(NamedTuple):
    """What the numbers in names say.

    Attributes:
        names: New name of each key of A whose number is shifted.
        doubtful: Keys of A and of B whose equal names prove nothing.
    """

    names: dict[str, str]
    doubtful: frozenset[str]


def renumber(a: Mapping[str, str], b: Mapping[str, str]) -> Renumbered:
    """Compare the numbers in names.

    Args:
        a: Name of each key of A.
        b: Name of each key of B.

    Returns:
        Names with shifted numbers, where both sides have equally many of a word and all are
        apart by the same number; and the keys with other differing numbers.

    Example:
        >>> renumber({"x": "dense_1/w", "y": "dense_2/w"}, {"p": "dense/w", "q": "dense_1/w"}).names
        {'x': 'dense/w', 'y': 'dense_1/w'}
    """
    here, there = _numbers(a), _numbers(b)
    shifts: dict[str, int] = {}
    doubtful: set[str] = set()
    for base, numbers in here.items():
        others = there.get(base, set())
        if not others or numbers <= others or others <= numbers:
            continue
        apart = {m - n for n, m in zip(sorted(numbers), sorted(others), strict=False)}
        if len(numbers) == len(others) and len(apart) == 1:
            shifts[base] = apart.pop()
        elif _AUTOMATIC.fullmatch(base) or base.endswith(_PLACE):
            doubtful.add(base)
    names = {key: new for key, name in a.items() if (new := _shifted(name, shifts)) != name}
    bad = frozenset(key for side in (a, b) for key, name in side.items()
                    if any(base in doubtful for base, _ in _parts(name)))
    return Renumbered(names, bad)


def _parts(name: str) -> list[tuple[str, int | None]]:
    found: list[tuple[str, int | None]] = []
    before = ""
    for part in split_name(name):
        match = _NUMBERED.fullmatch(part)
        if part.isdecimal() and part.isascii() and len(part) < 10:
            found.append((before + _PLACE, int(part)))
        elif match is None:
            found.append((part, None))
        elif match[2] is not None:
            found.append((match[1], int(match[2])))
        else:
            found.append((part, 0 if _AUTOMATIC.fullmatch(part) else None))
        before = part
    return found


def _numbers(names: Mapping[str, str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for name in names.values():
        for base, number in _parts(name)[:-1]:
            if number is not None:
                found.setdefault(base, set()).add(number)
    return found


def _shifted(name: str, shifts: Mapping[str, int]) -> str:
    parts = []
    for part, (base, number) in zip(split_name(name), _parts(name), strict=True):
        if number is None or base not in shifts:
            parts.append(part)
            continue
        new = number + shifts[base]
        if base.endswith(_PLACE):
            parts.append(str(new))
            continue
        parts.append(base if new == 0 and _AUTOMATIC.fullmatch(base) else f"{base}_{new}")
    return "/".join(parts)
