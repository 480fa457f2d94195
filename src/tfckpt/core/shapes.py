"""Shapes as people read them."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["shape_text"]


def shape_text(shape: Iterable[int]) -> str:
    """A shape for people.

    Example:
        >>> shape_text((2, 3))
        '[2,3]'
    """
    return f"[{','.join(map(str, shape))}]"
