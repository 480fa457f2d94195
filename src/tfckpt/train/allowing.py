"""What a load may leave out: all, nothing, or names that a regular expression finds."""

from __future__ import annotations

import re
from collections.abc import Callable

from tfckpt.errors import UnsupportedError

__all__ = ["allowance", "check_word"]


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
