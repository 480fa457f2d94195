"""Keys of object-based checkpoints: escaped paths through the object graph.

    <path>/.ATTRIBUTES/<attribute>                             a value
    <path>/.OPTIMIZER_SLOT/<optimizer's path>/<slot>/.ATTRIBUTES/VARIABLE_VALUE
                                                               an optimizer's slot for a variable

A path is local names joined by ``/``. Inside one name ``.`` is doubled first and ``/``
becomes ``.S`` after that, so no name can look like a path, a slot or an attribute. The
root has the empty path, and its values keys that begin with the slash.

Source: python/trackable/trackable_utils.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["ATTRIBUTES", "OPTIMIZER_SLOT", "ObjectKey", "escape_local_name", "escape_local_names",
           "object_key",
           "parse_object_key", "unescape_local_name"]

ATTRIBUTES = "/.ATTRIBUTES/"
OPTIMIZER_SLOT = ".OPTIMIZER_SLOT"

_ESCAPED = re.compile(r"\.([.S])")
_PLAIN = {".": ".", "S": "/"}


def escape_local_name(name: str) -> str:
    """One local name as it stands in a key.

    Example:
        >>> escape_local_name("block.1/w")
        'block..1.Sw'
    """
    return name.replace(".", "..").replace("/", ".S")


def escape_local_names(names: Sequence[str]) -> list[str]:
    """Many local names as they stand in keys, all at once.

    Example:
        >>> escape_local_names(["block.1/w", "b"])
        ['block..1.Sw', 'b']
    """
    joined = "\0".join(names)
    escaped = joined.replace(".", "..").replace("/", ".S").split("\0")
    if len(escaped) != len(names):  # a name holds the character that divides them
        return list(map(escape_local_name, names))
    return escaped


def unescape_local_name(escaped: str) -> str:
    """The local name that was escaped; read from the left, so ``v..Stage`` is ``v.Stage``.

    Example:
        >>> unescape_local_name("v..Stage.Sw")
        'v.Stage/w'
    """
    return _ESCAPED.sub(lambda match: _PLAIN[match[1]], escaped)


def object_key(path: str, attribute: str) -> str:
    """Key of a value of the object at this (escaped) path.

    Example:
        >>> object_key("vars/" + escape_local_name("scoped/c"), "VARIABLE_VALUE")
        'vars/scoped.Sc/.ATTRIBUTES/VARIABLE_VALUE'
    """
    return path + ATTRIBUTES + attribute


class ObjectKey(NamedTuple):
    """A key taken apart.

    Attributes:
        path: Escaped local names from the root to the object; for a slot those of the
            variable, `OPTIMIZER_SLOT`, those of the optimizer, and the slot's name.
        attribute: Name of the value.
    """

    path: tuple[str, ...]
    attribute: str

    @property
    def names(self) -> tuple[str, ...]:
        """The path's local names as they were before escaping, without the slot marker."""
        return tuple(unescape_local_name(part) for part in self.path if part != OPTIMIZER_SLOT)


def parse_object_key(key: str) -> ObjectKey | None:
    """Take a key apart, or None if it isn't one of an object-based checkpoint.

    Example:
        >>> parse_object_key("m/w/.OPTIMIZER_SLOT/opt/m/.ATTRIBUTES/VARIABLE_VALUE").names
        ('m', 'w', 'opt', 'm')
    """
    path, found, attribute = key.rpartition(ATTRIBUTES)
    if not found:
        return None
    return ObjectKey(tuple(path.split("/")) if path else (), attribute)
