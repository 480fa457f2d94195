"""The count of training steps that a program keeps beside its optimizer."""

from __future__ import annotations

from tfckpt.convert.anatomy import Anatomy
from tfckpt.core.pairing import plain_name
from tfckpt.core.source import Source

__all__ = ["step_keys"]

_STEPS = frozenset({"global_step", "step"})


def step_keys(source: Source, anatomy: Anatomy) -> list[str]:
    """Keys of the counters of steps.

    Example:
        >>> import tfckpt
        >>> from tfckpt.convert.anatomy import read_anatomy
        >>> with tfckpt.open("examples/tf1") as source:
        ...     step_keys(source, read_anatomy(source))
        ['global_step']
    """
    found = []
    for key in anatomy.others:
        entry = source.index[key]
        if (plain_name(key).rpartition("/")[2] in _STEPS and not entry.shape
                and entry.dtype.name in ("int32", "int64")):
            found.append(key)
    return found
