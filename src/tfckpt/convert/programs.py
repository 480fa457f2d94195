"""What a word on the command line names in a user's own code."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from tfckpt.errors import UnsupportedError

__all__ = ["named_in_program"]


def named_in_program(what: str) -> Any:
    """The value that ``package.module:name`` names.

    Modules are also looked for in the current folder, as ``python -m`` does.

    Raises:
        UnsupportedError: There is none.

    Example:
        >>> named_in_program("os.path:sep")
        '/'
    """
    module_name, colon, name = what.partition(":")
    if not colon or not name:
        raise UnsupportedError("this names no model", expected="package.module:function", got=what)
    if "" not in sys.path:
        sys.path.insert(0, "")  # a console script doesn't have the folder that it is called in
    try:
        value: Any = import_module(module_name)
        for part in name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        raise UnsupportedError(f"the model can't be found: {error}", got=what) from error
    return value
