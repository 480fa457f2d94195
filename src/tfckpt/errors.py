"""Every error that tfckpt raises, and how one says where it happened.

Drawn as a tree; in brackets the built-in that each leaf also is, so that a caller's
existing ``except`` keeps working::

    CheckpointError
    ├── FormatError (ValueError)             the bytes are not what the format demands
    │   ├── TruncatedError (EOFError)        they end too early
    │   └── ChecksumError                    they were changed after they were written
    ├── NotACheckpointError (ValueError)     the file is something else, and we know what
    ├── UnsupportedError (NotImplementedError)   valid, but tfckpt can't do that (yet)
    ├── CheckpointNotFoundError (FileNotFoundError, ValueError)
    ├── TensorNotFoundError (KeyError)
    ├── AmbiguousNamesError (ValueError)     two tensors would get one name
    ├── MismatchError (ValueError)           two checkpoints that should fit don't
    ├── ProofError (ValueError)              two models compute different things
    ├── VariableError (ValueError)           it contradicts the variables that are there
    │   └── VariableTypeError (TypeError)    the value is of a kind the variable can't take
    ├── GraphStateError (RuntimeError)       the graph or its scopes are in no state for it
    ├── DestinationExistsError (FileExistsError)
    ├── PathConflictError (RuntimeError, ValueError)  it would be where the state file goes
    ├── StorageError (OSError)               the operating system refused
    └── MissingDependencyError (ImportError) an optional package isn't installed

A message is one sentence, followed by expected and got, then by the place in brackets
(file, byte offset, tensor), and on a line of its own by what to do next. Each of these
facts is an attribute too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = [
    "AmbiguousNamesError",
    "CheckpointError",
    "CheckpointNotFoundError",
    "CheckpointWarning",
    "ChecksumError",
    "DestinationExistsError",
    "FormatError",
    "GraphStateError",
    "MismatchError",
    "MissingDependencyError",
    "NotACheckpointError",
    "PathConflictError",
    "ProofError",
    "StorageError",
    "TensorNotFoundError",
    "TruncatedError",
    "UnsupportedError",
    "VariableError",
    "VariableTypeError",
    "located",
    "nearest",
]


class CheckpointError(Exception):
    """Root of all errors of tfckpt.

    Args:
        message: What is wrong, without a full stop.
        expected: What should have been there.
        got: What was there instead.
        file: The file in question.
        offset: Byte offset in that file.
        tensor: Name of the tensor in question.
        hint: What the reader can do next, a sentence or a command.

    Example:
        >>> print(FormatError("block checksum does not match", expected="0x1a2b3c4d",
        ...                   got="0x99887766", file="m.index", offset=4096))
        block checksum does not match: expected 0x1a2b3c4d, got 0x99887766 (file m.index, byte 4096)
    """

    def __init__(
        self,
        message: str = "",
        *,
        expected: object = None,
        got: object = None,
        file: object = None,
        offset: int | None = None,
        tensor: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.got = got
        self.file = None if file is None else str(file)
        self.offset = offset
        self.tensor = tensor
        self.hint = hint

    # Attributes that __init__ takes by keyword, in the order of the message.
    _FACTS: tuple[str, ...] = ("expected", "got", "file", "offset", "tensor", "hint")

    def __str__(self) -> str:
        # Own __str__ for all: a plain KeyError would print its message in quotes.
        text = self.message
        if self.expected is not None:
            text += f": expected {self.expected}"
            if self.got is not None:
                text += f", got {self.got}"
        elif self.got is not None:
            text += f": got {self.got}"
        place = []
        if self.file is not None:
            place.append(f"file {self.file}")
        if self.offset is not None:
            place.append(f"byte {self.offset}")
        if self.tensor is not None:
            place.append(f"tensor {self.tensor!r}")
        if place:
            text += f" ({', '.join(place)})"
        if self.hint:
            text += f"\n{self.hint}"
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {name: getattr(self, name) for name in self._FACTS}
        return _rebuild, (type(self), self.message, facts)


def _rebuild(kind: type[CheckpointError], message: str, facts: dict[str, Any]) -> CheckpointError:
    return kind(message, **facts)


class FormatError(CheckpointError, ValueError):
    """The bytes are not what the format demands."""


class TruncatedError(FormatError, EOFError):
    """The bytes end before what they announce."""


class ChecksumError(FormatError):
    """A stored checksum and the bytes disagree: they changed after they were written."""


class NotACheckpointError(CheckpointError, ValueError):
    """The file is something else than a TensorFlow checkpoint."""


class UnsupportedError(CheckpointError, NotImplementedError):
    """The input is valid, but tfckpt can't do this with it."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError, ValueError):
    """There is no checkpoint at this path.

    Older TensorFlow called that not found, newer TensorFlow a wrong value; this is both.
    """


class TensorNotFoundError(CheckpointError, KeyError):
    """The checkpoint has no tensor of this name."""


class AmbiguousNamesError(CheckpointError, ValueError):
    """Two tensors would get one name.

    Attributes:
        groups: Each contested name and the keys that claim it.
    """

    _FACTS = ("expected", "got", "file", "offset", "tensor", "hint", "groups")

    def __init__(
        self, message: str = "", *, groups: dict[str, list[str]] | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.groups = groups or {}


class MismatchError(CheckpointError, ValueError):
    """What one checkpoint has and what another one wants don't fit.

    Attributes:
        problems: Everything that doesn't fit, a line each.
    """

    _FACTS = ("expected", "got", "file", "offset", "tensor", "hint", "problems")

    def __init__(
        self, message: str = "", *, problems: Iterable[str] = (), **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        first, _, hint = super().__str__().partition("\n")
        lines = [first, *(f"  {line}" for line in self.problems)]
        return "\n".join([*lines, hint] if hint else lines)


class ProofError(CheckpointError, ValueError):
    """Two models compute different things from the same input.

    Attributes:
        proof: How far apart they are, a `tfckpt.convert.proving.Proof`.
    """

    _FACTS = ("expected", "got", "file", "offset", "tensor", "hint", "proof")

    def __init__(self, message: str = "", *, proof: Any = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.proof = proof


class VariableError(CheckpointError, ValueError):
    """A name, shape, dtype or value contradicts the variables that are there."""


class VariableTypeError(VariableError, TypeError):
    """A variable can't take a value of this kind without changing it.

    TensorFlow calls some of these a wrong value and some a wrong type; this is both.
    """


class GraphStateError(CheckpointError, RuntimeError):
    """The graph or its scopes are not in a state in which this can be done."""


class DestinationExistsError(CheckpointError, FileExistsError):
    """Something is already where the result should go."""


class PathConflictError(CheckpointError, RuntimeError, ValueError):
    """A checkpoint would be where its folder's state file goes.

    TensorFlow raises either built-in for it, depending on who notices; this is both.
    """


class StorageError(CheckpointError, OSError):
    """The operating system refused to read or write a file."""


class MissingDependencyError(CheckpointError, ImportError):
    """An optional package isn't installed."""


class CheckpointWarning(UserWarning):
    """Something was corrected or is missing, and the caller should know."""


@contextmanager
def located(*, file: object = None, base: int | None = 0, tensor: str | None = None
            ) -> Iterator[None]:
    """Fill in where an error happened, for code below that doesn't know it.

    What the error already says stays. Low code raises with what it knows (an offset in a
    block); each caller above adds what it knows (the block's place, the file, the tensor).

    Args:
        file: The file that the offset counts in.
        base: Where in it the code below started to count; None if that has no meaning
            (inside a compressed block, say), and then no offset is told.
        tensor: The tensor at work.

    Example:
        >>> with located(file="m.index", base=4000):
        ...     raise FormatError("no restart array", offset=12)
        Traceback (most recent call last):
        tfckpt.errors.FormatError: no restart array (file m.index, byte 4012)
    """
    try:
        yield
    except CheckpointError as error:
        if error.file is None:
            if error.offset is not None:
                error.offset = None if base is None else error.offset + base
            error.file = None if file is None else str(file)
        if error.tensor is None:
            error.tensor = tensor
        raise


_LONGEST = 500  # comparing takes the square of the length, and names may have 64 KiB


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The names most like this one, best first, for the hint of a not-found error.

    A name that ends or begins with the other counts as near however long the rest is,
    because a lost or added scope is the most frequent cause.
    """
    import difflib  # deferred: only an error needs it

    if len(name) > _LONGEST:
        return []
    names = [other for other in names if len(other) <= _LONGEST]
    affine = [n for n in names if n.endswith("/" + name) or name.endswith("/" + n)]
    # difflib is quadratic: on huge checkpoints compare only names of the same last part.
    pool = names if len(names) <= 2000 else [n for n in names
                                             if n.rsplit("/", 1)[-1] == name.rsplit("/", 1)[-1]]
    similar = difflib.get_close_matches(name, pool[:2000], n=count, cutoff=0.6)
    return list(dict.fromkeys(affine + similar))[:count]
