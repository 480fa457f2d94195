"""Orbax checkpoints of JAX: a folder of one PyTree of nested dictionaries.

Orbax itself reads and writes them. Of what is read, one tensor is in memory at a time. To write,
the tensors are put into one hidden file, and Orbax is given views of it; what it holds of them
while it writes is its own affair.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tfckpt.core.emit import data_bytes
from tfckpt.core.files.writing import FileOptions, append_outputs, refuse_dtypes, refuse_names
from tfckpt.core.index import Entry, GivenIndex
from tfckpt.core.nesting import nest
from tfckpt.core.plan import Plan
from tfckpt.core.source import WholeSource
from tfckpt.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    FormatError,
    MissingDependencyError,
    UnsupportedError,
    located,
)
from tfckpt.format.dtypes import DType, dtype_named

if TYPE_CHECKING:
    import numpy as np

__all__ = ["METADATA_FILE", "ORBAX_NAMES", "OrbaxSource", "check", "read", "write"]

METADATA_FILE = "_METADATA"
ORBAX_NAMES = frozenset({
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16",
    "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e5m2", "float8_e4m3fn",
    "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e4m3b11fnuz", "int4"})
"""TensorFlow's dtypes that Orbax stores."""

_Path = tuple[str | int, ...]


def _orbax() -> Any:
    try:
        import orbax.checkpoint as ocp  # deferred: an extra, and seconds long
    except ImportError:
        raise MissingDependencyError("checkpoints of Orbax need the package orbax-checkpoint",
                                     hint="Run: pip install 'tfckpt[orbax]'") from None
    return ocp


@contextlib.contextmanager
def _orbax_told(path: str) -> Iterator[None]:
    """What Orbax raises, as an error that says which checkpoint it is; it logs it too."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # its own, TensorStore's, and those of JSON and JAX
        raise FormatError(f"Orbax says: {type(error).__name__}: {error}"[:500], file=path) from None
    finally:
        logger.setLevel(level)


class OrbaxSource(WholeSource):
    """An opened Orbax checkpoint; keys of nested dictionaries and numbers of lists are joined by
    slashes.

    Args:
        path: Its folder.
        notes: See `Source`.

    Raises:
        CheckpointError: It is damaged, or there is none.
        MissingDependencyError: Orbax isn't installed.
    """

    format = "orbax"

    def __init__(self, path: str, *, notes: tuple[str, ...] = ()) -> None:
        self.prefix = path
        self.notes = notes
        self._ocp = _orbax()
        if not os.path.isfile(os.path.join(path, METADATA_FILE)):
            raise CheckpointNotFoundError("the folder holds no PyTree of Orbax", file=path,
                                          expected=f"a file {METADATA_FILE}")
        self._paths: dict[str, _Path] = {}
        with _orbax_told(path):
            self._checkpointer = self._ocp.PyTreeCheckpointer()
            found = self._checkpointer.metadata(os.path.abspath(path))
            found = getattr(found, "item_metadata", found)
            self._tree = getattr(found, "tree", found)
            self._index = GivenIndex(list(self._entries(self._tree, ())))

    def _entries(self, node: Any, path: _Path) -> Iterator[Entry]:
        if isinstance(node, (dict, list, tuple)):
            for name, inner in node.items() if isinstance(node, dict) else enumerate(node):
                yield from self._entries(inner, (*path, name))
        elif node is not None:
            key = "/".join(map(str, path))
            if key in self._paths:
                raise FormatError("two values of the checkpoint have one name", tensor=key)
            self._paths[key] = path
            dtype = _dtype(getattr(node, "dtype", None))
            shape = tuple(getattr(node, "shape", None) or ())
            entry = Entry(key, dtype, shape, 0, 0, 0, 0)
            yield entry._replace(n_bytes=(dtype.size or 0) * entry.n_elements)

    def files(self) -> tuple[str, ...]:
        return (self.shard_file(0),)

    def shard_file(self, shard_id: int) -> str:
        return os.path.join(self.prefix, METADATA_FILE)

    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        import numpy as np  # deferred: as everywhere

        dtype = part.dtype.numpy()
        path = self._paths[part.key]
        # A part of a list can't be asked for; all of it can.
        end = next((n for n, name in enumerate(path) if isinstance(name, int)), len(path))
        wanted: Any = self._tree
        for name in path[:end]:
            wanted = wanted[name]
        for name in reversed(path[:end]):
            wanted = {name: wanted}
        with located(tensor=part.key), _orbax_told(self.prefix):
            arguments = self._ocp.args.PyTreeRestore(
                item=wanted, partial_restore=True,
                restore_args=_as_arrays(self._ocp, wanted))
            found = self._checkpointer.restore(os.path.abspath(self.prefix), args=arguments)
            for name in path:
                found = found[name]
            return np.asarray(found, dtype).reshape(part.shape)

    def close(self) -> None:
        """Let go of it."""
        self._checkpointer.close()


def _as_arrays(ocp: Any, node: Any) -> Any:
    """The same tree, of what asks Orbax for arrays of NumPy."""
    import numpy as np  # deferred: as everywhere

    if isinstance(node, dict):
        return {name: _as_arrays(ocp, inner) for name, inner in node.items()}
    if isinstance(node, (list, tuple)):
        return [_as_arrays(ocp, inner) for inner in node]
    return ocp.RestoreArgs(restore_type=np.ndarray)


def _dtype(dtype: Any) -> DType:
    name = str(dtype)
    return dtype_named(name) if name in ORBAX_NAMES else DType(0, name, None)


def read(path: str, *, notes: tuple[str, ...] = (), mmap: bool = True) -> OrbaxSource:
    """Open an Orbax checkpoint; see `OrbaxSource`."""
    return OrbaxSource(path, notes=notes)


def check(plan: Plan) -> None:
    """Refuse what the format can't hold.

    Raises:
        UnsupportedError: With the tensors.
        MissingDependencyError: Orbax isn't installed.
    """
    refuse_dtypes(plan, ORBAX_NAMES, "orbax", "--to npz holds strings."
                  if any(output.dtype.name == "string" for output in plan.outputs) else "")
    empty = [output.key for output in plan.outputs if 0 in output.shape]
    if empty:
        raise UnsupportedError("Orbax can't hold tensors without elements",
                               got=", ".join(empty[:5]), hint="--exclude REGEX leaves tensors out.")
    refuse_names(plan, "orbax")
    nest({output.key: None for output in plan.outputs})
    _orbax()


def write(plan: Plan, path: str, options: FileOptions, advance: Callable[[int], None]
          ) -> list[str]:
    """Write a plan's tensors as Orbax's checkpointer of PyTrees does; the folder's name."""
    import numpy as np  # deferred: as everywhere

    ocp = _orbax()
    raw = path + ".raw"
    # Wide elements first, so that all are aligned.
    outputs = sorted(plan.outputs, key=lambda output: -(output.dtype.size or 0))
    with open(raw, "xb", buffering=0) as file:
        append_outputs(outputs, plan, file, advance)
    arrays: dict[str, Any] = {}
    at = 0
    for output in outputs:
        arrays[output.key] = np.memmap(raw, output.dtype.numpy(), "r", at, output.shape or (1,)
                                       ).reshape(output.shape).view(np.ndarray)
        at += data_bytes(output)
    with _orbax_told(path), ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(os.path.abspath(path), nest(arrays))
    del arrays
    os.unlink(raw)
    return [os.path.basename(path)]
