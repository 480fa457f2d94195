"""What is said of a layer in the table of layers.py, and of a module that is seen through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tfckpt.convert.layouts import parse_layout
from tfckpt.errors import UnsupportedError

__all__ = ["Row", "Seen", "Weights", "checked", "kind_and_numbers", "not_that", "one"]

Shape = tuple[int, ...]


class Weights(NamedTuple):
    """Tensors of a module that are variables of TensorFlow together.

    Attributes:
        names: The tensors, by the module's attributes.
        layout: How they lie; see `tfckpt.convert.layouts`.
        paths: Where TensorFlow has the variables, below the layer, as attributes.
        saver_paths: How they are called below the layer where names count.
        shapes: Their shapes, where the layout doesn't tell.
    """

    names: tuple[str, ...]
    layout: str
    paths: tuple[str, ...]
    saver_paths: tuple[str, ...]
    shapes: tuple[Shape, ...] | None = None


class Seen(NamedTuple):
    """A module as TensorFlow would have it, without the modules in it.

    Attributes:
        weights: What it stores itself.
        hidden: Names of child modules whose tensors are among these.
        left_aside: Names of tensors that TensorFlow has nothing like.
        is_known: Whether the table has its class, or it has nothing of its own.
        added: Names of tensors that it has beside those of its class.
    """

    weights: tuple[Weights, ...]
    hidden: frozenset[str] = frozenset()
    left_aside: tuple[str, ...] = ()
    is_known: bool = True
    added: tuple[str, ...] = ()


class Row(NamedTuple):
    """What the table has for a class.

    Attributes:
        weights: The weights of a module, for a choice or for None.
        hidden: As in `Seen`.
        left_aside: As in `Seen`.
    """

    weights: Callable[[Any, str | None], Sequence[Weights]]
    hidden: frozenset[str] = frozenset()
    left_aside: tuple[str, ...] = ()


def one(name: str, layout: str, path: str, shape: Shape | None = None) -> Weights:
    """One tensor that is one variable."""
    return Weights((name,), layout, (path,), (path,), None if shape is None else (shape,))


def not_that(module: Any, choice: str | None, choices: Sequence[str]) -> UnsupportedError:
    """The error for a choice that a module can't be."""
    return UnsupportedError(f"a {type(module).__name__} can't be this in TensorFlow",
                            expected=f"one of {', '.join(choices)}", got=choice)


def kind_and_numbers(choice: str) -> tuple[str, str]:
    """A choice's name, and its numbers with their parentheses.

    Example:
        >>> kind_and_numbers("flattened(7,7)"), kind_and_numbers("dense")
        (('flattened', '(7,7)'), ('dense', ''))
    """
    name, bracket, rest = choice.partition("(")
    return name, bracket + rest


def checked(module: Any, layout: str, choices: Sequence[str]) -> str:
    """The kind of a layout that is among the choices."""
    kind = kind_and_numbers(layout)[0]
    if kind not in {kind_and_numbers(one_of)[0] for one_of in choices}:
        raise not_that(module, layout, choices)
    parse_layout(layout)
    return kind
