"""Reading checkpoints by TensorFlow's own function names.

A script works after ``tf.train.`` in it became ``tfckpt.``.
Source: python/training/checkpoint_utils.py.
"""

from __future__ import annotations

import os
from typing import Any

from tfckpt.core.collection import no_collection
from tfckpt.core.opening import open_source
from tfckpt.core.source import Source
from tfckpt.format.dtypes import DType

__all__ = ["CheckpointReader", "NewCheckpointReader", "list_variables", "load_checkpoint",
           "load_variable"]

Path = str | os.PathLike[str]


class CheckpointReader:
    """Answers of ``tf.train.load_checkpoint``.

    Args:
        source: The opened checkpoint.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Shape of each tensor, sorted by name."""
        with no_collection():
            return {key: list(shape) for key, (_, shape) in self._source.index.heads()}

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        """Dtype of each tensor; its ``name`` is TensorFlow's."""
        with no_collection():
            return {key: dtype for key, (dtype, _) in self._source.index.heads()}

    def has_tensor(self, tensor_str: str) -> bool:
        """Whether there is a tensor of exactly this name."""
        return tensor_str in self._source.index

    def get_tensor(self, tensor_str: str) -> Any:
        """Value of a tensor: an array, for a scalar numpy's scalar, for a scalar string bytes.

        Raises:
            TensorNotFoundError: There is none of this name; the error offers the nearest.
            ChecksumError: Its bytes are not those that were written.
        """
        array = self._source.read_array(self._source.index.require(tensor_str))
        return array if array.shape else array[()]

    def debug_string(self) -> str:
        """One line per tensor: name, dtype, shape."""
        return "".join(f"{key} ({dtype.name}) {list(shape)}\n"
                       for key, (dtype, shape) in self._source.index.heads())


def load_checkpoint(ckpt_dir_or_file: Path) -> CheckpointReader:
    """Open a checkpoint for reading by name.

    Args:
        ckpt_dir_or_file: Its prefix, any of its files, or a folder with a state file.

    Raises:
        CheckpointNotFoundError: There is none; it is also a ValueError, as in TensorFlow 2.

    Example:
        >>> reader = load_checkpoint("examples/tf1/model.ckpt-7")
        >>> reader.get_variable_to_shape_map()["dense/kernel"]
        [3, 4]
    """
    return CheckpointReader(open_source(ckpt_dir_or_file))


def NewCheckpointReader(  # noqa: N802 - TensorFlow 1's name of it, in tf.compat.v1.train too
        filepattern: Path) -> CheckpointReader:
    """Open a checkpoint for reading by name, as scripts of TensorFlow 1 do.

    Args:
        filepattern: As for `load_checkpoint`; no character in it is a wildcard.

    Example:
        >>> NewCheckpointReader("examples/tf1/model.ckpt-7").has_tensor("dense/kernel")
        True
    """
    return load_checkpoint(filepattern)


def list_variables(ckpt_dir_or_file: Path) -> list[tuple[str, list[int]]]:
    """Name and shape of each tensor, sorted by name.

    Example:
        >>> list_variables("examples/tf1/model.ckpt-7")[0]
        ('beta1_power', [])
    """
    with open_source(ckpt_dir_or_file) as source, no_collection():
        return [(key, list(shape)) for key, (_, shape) in source.index.heads()]


def load_variable(ckpt_dir_or_file: Path, name: str) -> Any:
    """Value of one tensor; ``name`` may end in ``:0``.

    Example:
        >>> load_variable("examples/tf1/model.ckpt-7", "global_step")
        np.int64(7)
    """
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))
