"""Map files: those that ship with tfckpt, and those of users."""

from __future__ import annotations

import os

from tfckpt.convert.mapform import is_map, parse_map
from tfckpt.convert.namemap import NameMap
from tfckpt.core.discovery import as_path
from tfckpt.core.namefiles import read_name_file
from tfckpt.errors import FormatError, StorageError, nearest

__all__ = ["MapChoice", "map_of", "read_map", "shipped_names"]

MapChoice = str | os.PathLike[str] | NameMap
"""A map, or where it is."""

_FOLDER = os.path.join(os.path.dirname(__file__), "maps")
_ENDING = ".json"


def shipped_names() -> tuple[str, ...]:
    """Names of the maps that ship.

    Example:
        >>> "hf-bert" in shipped_names()
        True
    """
    return tuple(sorted(file.removesuffix(_ENDING) for file in os.listdir(_FOLDER)
                        if file.endswith(_ENDING)))


def read_map(name: str | os.PathLike[str]) -> NameMap:
    """A map that ships, by its name, or one in a file.

    Args:
        name: ``"hf-bert"``, or the path of a JSON file; ``-`` is standard input.

    Raises:
        FormatError: The file isn't a map.
        StorageError: There is no such map, or it can't be read.

    Example:
        >>> read_map("hf-bert").ends[0]
        "google-research's BERT"
    """
    path = as_path(name)
    shipped = shipped_names()
    if path in shipped:
        return parse_map(read_name_file(os.path.join(_FOLDER, path + _ENDING)), path)
    if path != "-" and not path.endswith(_ENDING) and not os.path.exists(path):
        near = nearest(path, shipped)
        raise StorageError("no map that ships has this name, and it is no file", got=repr(path),
                           hint=(f"Did you mean {near[0]}? " if near else "")
                           + "`tfckpt maps` lists those that ship.")
    value = read_name_file(path)
    if not is_map(value):
        raise FormatError("the file is not a map between frameworks", file=path,
                          expected='{"tfckpt-map": 1, …}',
                          hint="docs/maps.md describes the form. Plain pairs of names are for"
                               " --like and `tfckpt rename`.")
    return parse_map(value, path)


def map_of(choice: MapChoice) -> NameMap:
    """The map that is meant.

    Raises:
        CheckpointError: As for `read_map`.
    """
    return choice if isinstance(choice, NameMap) else read_map(choice)
