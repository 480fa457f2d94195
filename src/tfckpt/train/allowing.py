"""What the options of a load may be: what it may leave out, words, names and layouts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tfckpt.errors import UnsupportedError, VariableTypeError

__all__ = ["allowance", "check_layouts", "check_word"]


def allowance(rule: bool | str, option: str) -> Callable[[str], bool]:
    """Whether a name is allowed.

    Args:
        rule: ``True``, ``False``, or a regular expression.
        option: What the caller knows the rule as, for the error.

    Raises:
        UnsupportedError: It is no regular expression.

    Example:
        >>> allowance("^head/", "allow_missing")("head/bias")
        True
    """
    if isinstance(rule, bool):
        return lambda _: rule
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise UnsupportedError(f"{option} isn't a valid regular expression ({error})",
                               got=repr(rule)) from None
    return lambda name: pattern.search(name) is not None


def check_word(option: str, got: object, known: tuple[str, ...]) -> None:
    """See that an option has one of the values that it can have.

    Raises:
        UnsupportedError: It doesn't: it would mean nothing.

    Example:
        >>> check_word("ema", "use", ("ignore", "use"))
    """
    if got not in known:
        raise UnsupportedError(f"there is no such {option}", expected=" or ".join(known),
                               got=str(got))


def check_layouts(layouts: Mapping[Any, Any]) -> None:
    """See that what is said of layers is text, and so are their names.

    None isn't looked at: it says nothing.

    Raises:
        VariableTypeError: It isn't.

    Example:
        >>> check_layouts({"fc": "flattened(7,7)"})
    """
    for name, layout in layouts.items():
        if not isinstance(name, str):
            raise VariableTypeError("layouts has a name that isn't text",
                                    expected="the name of a layer, such as '2'",
                                    got=type(name).__name__)
        if layout is not None and not isinstance(layout, str):
            raise VariableTypeError("layouts has a layout that isn't text",
                                    expected="the name of one, such as 'same'",
                                    got=type(layout).__name__, tensor=name)
