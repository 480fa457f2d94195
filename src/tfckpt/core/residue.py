"""What saves leave behind that didn't finish (or are still at work).

    ============================= ========================================================
    in the folder                 from
    ============================= ========================================================
    ``P_temp/``, ``P_temp_HEX/``  a sharded save: parts that were not merged yet
    ``P.part-0-of-2.*``           the same, to a storage without folders
    ``P-Package.Name.*``          the part of a registered saver, beside a ``P_temp``
    ``*.tempstate123``            a file that was being written
    ``.tfckpt-*/``                a save of tfckpt
    ============================= ========================================================

Source: saver.py, functional_saver.py, tensor_bundle.cc.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tfckpt.format.naming import parse_data_name, parse_index_name
from tfckpt.storage.abandoned import STAGING_PREFIX
from tfckpt.storage.local import file_size, is_file, list_folder

__all__ = ["Leftover", "find_leftovers", "is_temporary_file", "residue_of"]

_TEMPORARY = re.compile(r"(?P<file>.*)\.tempstate\d+", re.DOTALL)
_TEMP_FOLDER = re.compile(r"(?P<owner>.*)_temp(_[0-9a-f]+)?", re.DOTALL)
_PART = re.compile(r"part-(?P<n>\d+)-of-(?P<count>\d+)(?=\.)")
_LOOSE_PART = re.compile(r"(?P<owner>.*)\.(?P<part>part-\d{5,}-of-\d{5,})", re.DOTALL)
_SAVER_PART = re.compile(r"(?P<owner>.*?)-(?P<saver>[A-Za-z_]\w*\.[A-Za-z_][\w.]*)", re.DOTALL)


class Leftover(NamedTuple):
    """What a save left behind that didn't finish (or is still at work).

    Attributes:
        path: A file, a folder, or the prefix of several files.
        n_bytes: Its size, or that of the files in it.
        what: What it is, in a few words.
        owner: Prefix of the checkpoint that was being saved, if its name says so.
    """

    path: str
    n_bytes: int
    what: str = ""
    owner: str | None = None


def is_temporary_file(name: str) -> bool:
    """Whether a file is one that TensorFlow renames when it is complete."""
    return _TEMPORARY.fullmatch(name) is not None


def find_leftovers(folder: str) -> list[Leftover]:
    """Everything that saves left behind in a folder.

    Example:
        >>> find_leftovers("examples/tf1")
        []
    """
    names = list_folder(folder)
    found = []
    for name in names:
        path = os.path.join(folder, name)
        if is_temporary_file(name) and is_file(path):
            found.append(Leftover(path, file_size(path) or 0, "a file that was being written",
                                  _owner(folder, name)))
        elif (name.startswith(STAGING_PREFIX) or _TEMP_FOLDER.fullmatch(name)) and (
                os.path.isdir(path)):
            found += _temporary_folder(folder, name)
    saved = {leftover.owner for leftover in found}
    return [*found, *_loose_parts(folder, names, saved)]


def _owner(folder: str, name: str) -> str | None:
    match = _TEMPORARY.fullmatch(name)
    file = match["file"] if match else name
    data = parse_data_name(file)
    stem = data.prefix if data else parse_index_name(file)
    return None if stem is None else os.path.join(folder, stem)


def _temporary_folder(folder: str, name: str) -> Iterator[Leftover]:
    path = os.path.join(folder, name)
    content = list_folder(path)
    n_bytes = sum(file_size(os.path.join(path, inner)) or 0 for inner in content)
    if name.startswith(STAGING_PREFIX):
        yield Leftover(path, n_bytes, "of a save by tfckpt")
        return
    match = _TEMP_FOLDER.fullmatch(name)
    parts = [_PART.match(inner) for inner in content]
    if match and all(parts):
        yield Leftover(path, n_bytes, _describe_parts(path, content),
                       os.path.join(folder, match["owner"]))


def _describe_parts(path: str, content: list[str]) -> str:
    """How many parts of a sharded save are in its folder."""
    counts = {int(match["count"]) for inner in content if (match := _PART.match(inner))}
    if not counts:
        return "of a sharded save: no part yet"
    done = {int(match["n"]) for inner in content if inner.endswith(".index")
            and (match := _PART.match(inner))}
    there = f"{len(done)} of {max(counts)} parts have their index"
    missing = [f"{n:05d}" for n in range(min(max(counts), 1000)) if n not in done]
    names = f"; without: {', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}"
    return f"of a sharded save that was not merged: {there}" + (names if missing else "")


def _loose_parts(folder: str, names: Iterable[str], saved: set[str | None]) -> Iterator[Leftover]:
    """Parts that lie beside the checkpoint that they were to become."""
    groups: dict[str, int] = {}
    for name in names:
        data = parse_data_name(name)
        stem = data.prefix if data else parse_index_name(name)
        if stem is not None:
            size = file_size(os.path.join(folder, name)) or 0
            groups[stem] = groups.get(stem, 0) + size
    for stem, n_bytes in groups.items():
        match = _LOOSE_PART.fullmatch(stem)
        if match:
            yield Leftover(os.path.join(folder, stem), n_bytes, "a part that was not merged",
                           os.path.join(folder, match["owner"]))
            continue
        match = _SAVER_PART.fullmatch(stem)
        # By its name alone it may be any checkpoint.
        if match and (owner := os.path.join(folder, match["owner"])) in saved:
            yield Leftover(os.path.join(folder, stem), n_bytes,
                           f"the part of the registered saver {match['saver']}", owner)


def residue_of(prefix: str) -> Iterator[str]:
    """Notes on what an unfinished save of this checkpoint left beside it."""
    folder = os.path.dirname(prefix)
    for leftover in find_leftovers(folder):
        if leftover.owner == prefix:
            yield (f"a save of this checkpoint did not finish, or is at work: {leftover.what}"
                   f" (file {leftover.path})")
