"""The table of file formats: what each is called, and where it lives."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, NamedTuple

__all__ = ["FILE_FORMATS", "FileFormat", "format_named", "format_of_path"]


class FileFormat(NamedTuple):
    """One format.

    Attributes:
        name: What ``--to`` calls it.
        what: What it is, for people.
        endings: Endings of paths that mean it; the first is the usual one.
        module: Module beside this one that reads and writes it: ``read`` takes a path and gives
            a `Source`; ``check`` refuses what the format can't hold; ``write`` puts a plan's
            tensors at a path.
        is_folder: Whether it is a folder.
    """

    name: str
    what: str
    endings: tuple[str, ...]
    module: str
    is_folder: bool = False

    def load(self) -> Any:
        """The module; imported when the format is used."""
        return import_module(f"tfckpt.core.files.{self.module}")


FILE_FORMATS: tuple[FileFormat, ...] = (
    FileFormat("safetensors", "a safetensors file",
               (".safetensors", ".safetensors.index.json"), "safetensors"),
    FileFormat("torch", "a PyTorch file", (".pt", ".pth"), "torch"),
    FileFormat("msgpack", "a msgpack file, as Flax writes it", (".msgpack",), "msgpack"),
    FileFormat("orbax", "an Orbax checkpoint", (".orbax",), "orbax", is_folder=True),
    FileFormat("npz", "a NumPy archive", (".npz",), "npz"),
    FileFormat("npy", "a folder of NumPy arrays", (), "npy", is_folder=True),
)


def format_named(name: str | None) -> FileFormat | None:
    """The format of this name, or None if there is none.

    Example:
        >>> format_named("safetensors").endings[0]
        '.safetensors'
    """
    return next((item for item in FILE_FORMATS if item.name == name), None)


def format_of_path(path: str) -> FileFormat | None:
    """The format that the ending of a path means, or None.

    Example:
        >>> format_of_path("out/model.safetensors").name
        'safetensors'
    """
    name = os.path.basename(path).lower()
    return next((item for item in FILE_FORMATS if name.endswith(item.endings or "\0")), None)
