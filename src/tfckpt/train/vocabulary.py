"""Variables whose rows or columns belong to the words of a vocabulary.

Words move when a vocabulary is made anew. `remap` has each row or column of a stored value
follow its word; words that are new, and the buckets for words that are in no vocabulary, come
from an initializer.

A vocabulary is a text file with one word on each line. Lines are compared as bytes, without
the carriage return that may be at their end.
Source: python/training/checkpoint_ops.py, core/kernels/generate_vocab_remapping_op.cc.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.errors import CheckpointNotFoundError, StorageError, VariableError
from tfckpt.format.dtypes import DType
from tfckpt.train.initializers import zeros_initializer

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Remapped", "VocabInfo", "remap"]

Path = str | os.PathLike[str]
Initializer = Callable[..., Any]


class _Fields(NamedTuple):
    new_vocab: Path
    new_vocab_size: int
    num_oov_buckets: int
    old_vocab: Path
    old_vocab_size: int = -1
    backup_initializer: Initializer | None = None
    axis: int = 0


class VocabInfo(_Fields):
    """Which vocabularies a variable's rows or columns belong to, before and now.

    Args:
        new_vocab: File with the words of the variable, in the order of its rows.
        new_vocab_size: How many words of that file the variable has.
        num_oov_buckets: How many rows follow them for words that aren't in the file.
        old_vocab: File with the words of the stored value.
        old_vocab_size: How many words of that file the stored value has; -1 for all.
        backup_initializer: Makes the rows of new words and of the buckets; zeros by default.
        axis: 0 if rows belong to words, 1 if columns do.

    Raises:
        VariableError: The axis is neither 0 nor 1; it is a ValueError too, as in TensorFlow.

    Example:
        >>> VocabInfo("words.txt", 100, num_oov_buckets=1, old_vocab="old.txt").old_vocab_size
        -1
    """

    __slots__ = ()

    def __new__(cls, new_vocab: Path, new_vocab_size: int, num_oov_buckets: int, old_vocab: Path,
                old_vocab_size: int = -1, backup_initializer: Initializer | None = None,
                axis: int = 0) -> VocabInfo:
        if axis not in (0, 1):
            raise VariableError("a vocabulary belongs to rows or to columns",
                                expected="axis 0 or 1", got=axis)
        return super().__new__(cls, new_vocab, new_vocab_size, num_oov_buckets, old_vocab,
                               old_vocab_size, backup_initializer, axis)


class Remapped(NamedTuple):
    """A value for a new vocabulary.

    Attributes:
        array: The value.
        known: How many words of the new vocabulary the old one has too.
        new: How many it doesn't have.
        buckets: How many rows or columns belong to no word.
    """

    array: np.ndarray[Any, Any]
    known: int
    new: int
    buckets: int

    def __str__(self) -> str:
        return (f"{self.known} of {self.known + self.new} words of the new vocabulary are in the"
                f" old one; {self.new} words and {self.buckets} buckets come from the initializer")


def remap(stored: np.ndarray[Any, Any], info: Any, shape: tuple[int, ...], dtype: DType, *,
          compute: Callable[[Callable[[], Any]], Any] = lambda make: make()) -> Remapped:
    """A stored value with its rows or columns in the order of another vocabulary.

    Rows that belong to no word of the old vocabulary are not taken over.

    Args:
        stored: The whole stored value.
        info: A `VocabInfo`, or TensorFlow's.
        shape: Shape of the whole variable.
        dtype: Its dtype.
        compute: Calls the initializer, where that takes a framework.

    Raises:
        VariableError: The vocabularies and the shapes contradict each other, or a file isn't a
            vocabulary.
        CheckpointNotFoundError: A file isn't there.

    Example:
        >>> import tempfile, pathlib, numpy
        >>> from tfckpt.train.values import as_dtype
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "old").write_text("red\\ngreen\\n")
        >>> _ = (folder / "new").write_text("green\\nblue\\nred\\n")
        >>> info = VocabInfo(folder / "new", 3, 0, folder / "old")
        >>> remap(numpy.array([[1.0], [2.0]]), info, (3, 1), as_dtype("float32")).array.tolist()
        [[2.0], [0.0], [1.0]]
    """
    import numpy as np  # deferred: making names needs no numpy

    axis, old, new = _read(info)
    _check_shapes(stored.shape, info, shape, len(old))
    numbers = {word: number for number, word in enumerate(old)}
    taken = [numbers.get(word, -1) for word in new]
    places = np.array([number for number, old_number in enumerate(taken) if old_number >= 0], int)
    own = np.array([number for number in taken if number >= 0], int)

    array = np.empty(shape, dtype.numpy())
    is_new = np.ones(shape[axis], bool)
    is_new[places] = False
    words, buckets = is_new[:len(new)], shape[axis] - len(new)
    before: tuple[Any, ...] = (slice(None),) * axis
    array[(*before, places)] = np.take(stored, own, axis)
    initializer = info.backup_initializer or zeros_initializer()
    for where in (np.flatnonzero(words), np.arange(len(new), shape[axis])):
        if len(where):
            part = (*shape[:axis], len(where), *shape[axis + 1:])
            array[(*before, where)] = _initial(initializer, part, dtype, compute)
    array.flags.writeable = False
    return Remapped(array, len(own), len(new) - len(own), buckets)


def _initial(initializer: Initializer, shape: tuple[int, ...], dtype: DType,
             compute: Callable[[Callable[[], Any]], Any]) -> np.ndarray[Any, Any]:
    import numpy as np  # deferred, as above

    options = {"dtype": dtype.numpy()} if _takes_dtype(initializer) else {}
    value = np.asarray(compute(lambda: initializer(list(shape), **options)))
    if value.shape != shape:
        raise VariableError("the backup initializer returned another shape", expected=shape,
                            got=value.shape)
    return value


def _takes_dtype(initializer: Initializer) -> bool:
    """Whether it can be told the dtype; TensorFlow only ever gives it the shape."""
    try:
        parameters = inspect.signature(initializer).parameters.values()
    except (TypeError, ValueError):  # some functions written in C don't tell
        return False
    return any(parameter.name == "dtype" or parameter.kind is parameter.VAR_KEYWORD
               for parameter in parameters)


def _read(info: Any) -> tuple[int, list[bytes], list[bytes]]:
    """The axis, the words of the old vocabulary and those of the new one."""
    if info.axis not in (0, 1):  # TensorFlow's, or a tuple's
        raise VariableError("a vocabulary belongs to rows or to columns", expected="axis 0 or 1",
                            got=info.axis)
    old_size = None if info.old_vocab_size is None or info.old_vocab_size < 0 else (
        info.old_vocab_size)
    return (info.axis, _words(info.old_vocab, old_size, "old_vocab_size"),
            _words(info.new_vocab, info.new_vocab_size, "new_vocab_size"))


def _words(path: Path, size: int | None, what: str) -> list[bytes]:
    """The first words of a vocabulary file, or all.

    Raises:
        VariableError: There are fewer, a line is empty, or a word is there twice.
    """
    try:
        with open(path, "rb") as file:
            lines = [line.rstrip(b"\r\n") for line in file]
    except FileNotFoundError:
        raise CheckpointNotFoundError("there is no such vocabulary file", file=path) from None
    except OSError as error:
        raise StorageError(f"the vocabulary can't be read: {error.strerror}", file=path) from error
    if size is not None and len(lines) < size:
        raise VariableError("the vocabulary has fewer words than the settings say",
                            expected=f"{what} of {len(lines)} at most", got=size, file=path)
    words = lines[:size]
    first: dict[bytes, int] = {}
    for number, word in enumerate(words, 1):
        if not word:
            raise VariableError(f"line {number} of the vocabulary is empty", file=path)
        if first.setdefault(word, number) != number:
            raise VariableError(f"the word {word.decode(errors='backslashreplace')!r} is on line"
                                f" {first[word]} of the vocabulary and on line {number}",
                                file=path)
    return words


def _check_shapes(stored: tuple[int, ...], info: Any, shape: tuple[int, ...], n_old: int) -> None:
    axis = info.axis
    if len(shape) <= axis or len(stored) != len(shape):
        raise VariableError("the variable has no axis for the vocabulary, or the stored value has"
                            " another rank", expected=f"axis {axis}",
                            got=f"{list(shape)} from {list(stored)}")
    wanted = info.new_vocab_size + info.num_oov_buckets
    if info.num_oov_buckets < 0 or shape[axis] != wanted:
        raise VariableError(
            "the variable has another size than words and buckets together",
            expected=f"{info.new_vocab_size} + {info.num_oov_buckets} along axis {axis}",
            got=list(shape))
    if stored[axis] < n_old:
        raise VariableError(
            "the old vocabulary has more words than the stored value", got=f"{n_old} words",
            expected=f"{stored[axis]} at most for {list(stored)}",
            hint="old_vocab_size says how many of them the stored value has.")
    if any(a != b for number, (a, b) in enumerate(zip(stored, shape, strict=True))
           if number != axis):
        raise VariableError("the stored value differs along another axis than the vocabulary's",
                            expected=list(shape), got=list(stored))
