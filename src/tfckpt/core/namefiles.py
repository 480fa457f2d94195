"""Files with names: maps from old names to new ones, and lists of what a program wants."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from tfckpt.core.discovery import as_path
from tfckpt.core.rules import Rule, parse_rules
from tfckpt.errors import FormatError, StorageError
from tfckpt.format.dtypes import dtype_named
from tfckpt.storage.publish import replace_file

__all__ = ["parse_wanted", "read_name_file", "read_pairs", "read_rules", "write_name_file"]


def read_name_file(file: str | os.PathLike[str]) -> Any:
    """The value of a JSON file; of a CSV file, an object of its two columns.

    Args:
        file: Its path; ``-`` is standard input, as JSON. A CSV file ends in ``.csv``; an empty
            second column means null.

    Raises:
        StorageError: It can't be read.
        FormatError: It is neither, or names one name twice.
    """
    path = as_path(file)
    try:
        if path == "-":
            text = sys.stdin.read()
        else:
            with open(os.fsencode(path), encoding="utf-8", newline="") as stream:
                text = stream.read()
    except OSError as error:
        raise StorageError(f"cannot read: {error.strerror}", file=path) from None
    except UnicodeDecodeError:
        raise FormatError("the file is not text in UTF-8", file=path) from None
    return _parse_csv(text, path) if path.endswith(".csv") else _parse_json(text, path)


def _parse_json(text: str, file: str) -> Any:
    import json  # deferred: few commands have a map

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1)
            raise FormatError("one name stands twice in the map", got=repr(twice), file=file)
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the file is not JSON ({error})", file=file) from None


def _parse_csv(text: str, file: str) -> dict[str, str | None]:
    import csv  # deferred: see above

    found: dict[str, str | None] = {}
    for n, row in enumerate(csv.reader(text.splitlines()), 1):
        if not row or row[0].startswith("#"):
            continue
        if len(row) != 2 or not row[0]:
            raise FormatError(f"line {n} has another form", expected="old,new", file=file,
                              got=",".join(row)[:100])
        if row[0] in found:
            raise FormatError("one name stands twice in the map", got=repr(row[0]), file=file)
        found[row[0]] = row[1] or None
    return found


def read_pairs(file: str | os.PathLike[str]) -> dict[str, str]:
    """A file that says which name is which: ``{"name here": "name there"}``.

    Raises:
        StorageError: It can't be read.
        FormatError: It has another form.
    """
    names = read_name_file(file)
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise FormatError("the map has another form", file=file, got=repr(names)[:100],
                          expected='{"name here": "name there"}')
    return names


def write_name_file(file: str | os.PathLike[str], names: Mapping[str, str | None]) -> None:
    """Write a map from old names to new ones as a JSON file; one that is there is replaced.

    Raises:
        StorageError: The system refuses.
    """
    import json  # deferred: see above

    data = json.dumps(names, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")
    replace_file(as_path(file), data + b"\n")


def read_rules(file: str | os.PathLike[str]) -> list[Rule]:
    """The rules in a file; see `parse_rules` for their form.

    Raises:
        StorageError: It can't be read.
        FormatError: It has another form.
    """
    return parse_rules(read_name_file(file), as_path(file))


def parse_wanted(value: Any, file: str | None = None
                 ) -> Mapping[str, tuple[str, tuple[int, ...]]]:
    """Names that a program wants, with their shapes and dtypes.

    Args:
        value: ``{"name": [3, 4]}`` or ``{"name": {"shape": [3, 4], "dtype": "float32"}}``.
        file: Where it stands, for errors.

    Returns:
        Dtype (empty if it isn't said) and shape of each name.

    Raises:
        FormatError: It has another form.

    Example:
        >>> parse_wanted({"kernel": [3, 4]})
        {'kernel': ('', (3, 4))}
    """
    if not isinstance(value, dict):
        raise _other_form(value, file)
    found = {}
    for name, what in value.items():
        shape, dtype = (what.get("shape"), what.get("dtype") or "") if isinstance(
            what, dict) else (what, "")
        if (not isinstance(shape, list) or not isinstance(dtype, str) or not all(
                isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape)):
            raise _other_form({name: what}, file)
        found[name] = (dtype_named(dtype).name if dtype else "", tuple(shape))
    return found


def _other_form(value: Any, file: str | None) -> FormatError:
    return FormatError("the list of names has another form", file=file, got=repr(value)[:100],
                       expected='{"name": [3, 4]}, or {"name": {"shape": [3, 4], "dtype":'
                                ' "float32"}}')
