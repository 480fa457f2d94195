"""Maps between TensorFlow's names of a model's weights and another framework's.

A map is a table of rules, each of which says for weights of one kind what they are called on
both sides and how they lie there (`layouts`). Names are templates (`templates`), so a map
serves in both directions. `mapform` is its form in files.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from tfckpt.convert.layouts import Layout
from tfckpt.convert.templates import Template, Words

__all__ = ["Constant", "Exempt", "MapRule", "NameMap"]


class MapRule(NamedTuple):
    """Weights of one kind.

    Attributes:
        here: What TensorFlow calls each tensor that the layout takes together.
        there: What the other framework calls each of what it makes of them.
        layout: How they lie on both sides.
        tied: What else the other framework calls ``there``, of which it has one.
        formerly: What older files of it call that; read, but not written.
    """

    here: tuple[Template, ...]
    there: tuple[Template, ...]
    layout: Layout
    tied: tuple[Template, ...] = ()
    formerly: tuple[Template, ...] = ()


class Constant(NamedTuple):
    """A tensor that only the other framework has, the same in every model.

    Attributes:
        there: Its name.
        each: One for each tensor here that is called so.
        value: Its value.
        dtype: Its dtype.
    """

    there: Template
    each: Template
    value: float
    dtype: str


class Exempt(NamedTuple):
    """Tensors that have no counterpart, and why."""

    names: Template
    why: str


class NameMap(NamedTuple):
    """A map; see the module.

    Attributes:
        name: Its name.
        here: What has names and layouts of TensorFlow.
        there: What has the others.
        rules: They; the first that a name fits is the one.
        constants: See `Constant`.
        exempt_here: What of TensorFlow is left behind.
        exempt_there: What of the other framework is.
        tables: How fields are written on both sides: text there by text here, for each field.
        whole: Fields of which every value in their table must occur: in a model of another size,
            the same names mean other layers.
        metadata: What a file of the other framework says of itself: text by name.
        backwards: Whether it leads from there to here.

    Example:
        >>> from tfckpt.convert.mapform import parse_map
        >>> found = parse_map({
        ...     "tfckpt-map": 1, "name": "mine", "here": "a model", "there": "its port", "rules": [
        ...         {"here": "layer_{n}/kernel", "there": "{n}.weight", "layout": "dense"}]})
        >>> found.rules[0].there[0].fill({"n": "3"}), found.inverted.backwards
        ('3.weight', True)
    """

    name: str
    here: str
    there: str
    rules: tuple[MapRule, ...]
    constants: tuple[Constant, ...] = ()
    exempt_here: tuple[Exempt, ...] = ()
    exempt_there: tuple[Exempt, ...] = ()
    tables: Words = MappingProxyType({})
    whole: tuple[str, ...] = ()
    metadata: Mapping[str, str] = MappingProxyType({})
    backwards: bool = False

    @property
    def inverted(self) -> NameMap:
        """The same map in the other direction."""
        return self._replace(backwards=not self.backwards)

    @property
    def ends(self) -> tuple[str, str]:
        """What it leads from and to."""
        return (self.there, self.here) if self.backwards else (self.here, self.there)
