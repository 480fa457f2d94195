"""``tfckpt set``: other values for some tensors."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from tfckpt.cli.edits import add_data, add_edit_arguments, print_edit
from tfckpt.cli.options import add_path
from tfckpt.cli.progress import progress_bar
from tfckpt.convert.setting import set_values
from tfckpt.errors import FormatError, StorageError, UnsupportedError

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = """\
Write a checkpoint in which some tensors have other values; the rest is linked.

A value is a number, for a scalar, or a file of numpy's (.npy). Shape and dtype must be those
of the tensor. A KEY that isn't there becomes a new tensor."""
EPILOG = """Examples:
  tfckpt set model.ckpt-1000 global_step=0 -o fresh.ckpt
  tfckpt set model.ckpt-1000 conv1/weights=new.npy bn/gamma=gamma.npy -o edited.ckpt"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_path(parser)
    parser.add_argument("values", metavar="KEY=VALUE", nargs="+", type=_assignment,
                        help="a number, or a .npy file")
    parser.add_argument("--force", action="store_true",
                        help="store values of another shape or dtype too")
    add_edit_arguments(parser)
    add_data(parser)


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.rpartition("=")
    if not key or not equals or not value:
        raise ArgumentTypeError("expected KEY=NUMBER or KEY=FILE.npy")
    return key, value


def run(options: Namespace) -> int:
    """Set them."""
    values: dict[str, Any] = {}
    for key, text in options.values:
        if key in values:
            raise UnsupportedError("one tensor is set twice", tensor=key)
        values[key] = _value(text)
    with progress_bar("writing") as progress:
        report = set_values(options.path, options.output, values, force=options.force,
                            data=options.data, overwrite=options.overwrite,
                            dry_run=options.dry_run, progress=progress)
    return print_edit(report, options)


def _value(text: str) -> Any:
    if not text.endswith(".npy"):
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
        raise UnsupportedError("a value is a number or the path of a .npy file", got=text)
    import numpy as np  # deferred: numbers need none

    try:
        return np.load(os.fsencode(text), allow_pickle=False)
    except OSError as error:
        raise StorageError(f"cannot read: {error.strerror or error}", file=text) from None
    except (ValueError, EOFError) as error:
        raise FormatError(f"this is no array that numpy saved ({error})", file=text) from None
