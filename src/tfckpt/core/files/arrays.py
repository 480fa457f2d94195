"""Arrays into a file and out of it, as the safetensors package's functions of these names do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfckpt.core.arrays import array_output
from tfckpt.core.discovery import as_path
from tfckpt.core.files.table import FILE_FORMATS, format_named, format_of_path
from tfckpt.core.files.writing import FileOptions, write_files
from tfckpt.core.opening import open_source
from tfckpt.core.plan import Plan
from tfckpt.errors import UnsupportedError
from tfckpt.format.dtypes import dtype_named

if TYPE_CHECKING:
    import numpy as np

__all__ = ["load_file", "save_file"]


def load_file(path: str | os.PathLike[str]) -> dict[str, np.ndarray[Any, Any]]:
    """All tensors of a file or checkpoint, by name.

    Args:
        path: Anything that `tfckpt.open` takes.

    Returns:
        Read-only arrays, views of the mapped file where it allows that.

    Raises:
        CheckpointError: As `tfckpt.open` and reading its tensors.

    Example:
        >>> load_file("examples/tf1")["dense/kernel"].shape
        (3, 4)
    """
    with open_source(path) as source:
        return dict(source)


def save_file(tensors: Mapping[str, np.ndarray[Any, Any]], path: str | os.PathLike[str],
              metadata: Mapping[str, str] | None = None, *, to: str | None = None,
              overwrite: bool = False) -> None:
    """Write arrays in the format that the path's ending means; read again and compared.

    Args:
        tensors: Arrays by name; strings as arrays of ``bytes`` objects.
        path: Path of the file or folder.
        metadata: Text by name, if the format has room for it (safetensors).
        to: The format's name, if the ending doesn't say it; see `tfckpt.core.files.table`.
        overwrite: Whether a file that is there already is replaced.

    Raises:
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile, numpy as np
        >>> file = tempfile.mkdtemp() + "/m.safetensors"
        >>> save_file({"w": np.zeros((2, 3), np.float32)}, file)
        >>> load_file(file)["w"].shape
        (2, 3)
    """
    import numpy as np  # deferred: as everywhere

    target = as_path(path)
    file_format = format_named(to) if to else format_of_path(target)
    if file_format is None:
        raise UnsupportedError("nothing says which format is wanted", file=target, got=to,
                               hint=f"One of: {', '.join(item.name for item in FILE_FORMATS)}.")
    outputs = []
    for name, value in tensors.items():
        array = np.asarray(value)
        kind = "string" if array.dtype == object else array.dtype.newbyteorder("=").name
        dtype = dtype_named(kind)
        outputs.append(array_output(name, array if kind == "string" else
                                    array.astype(dtype.numpy(), copy=False), dtype))
    options = FileOptions(metadata=tuple((metadata or {}).items()))
    write_files(Plan(tuple(outputs), "name-based"), target, file_format, options,
                overwrite=overwrite)
