"""Proof that two models compute the same: both are run on the same random input.

What a model is to a framework doesn't matter here: it is a function from arrays to arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.errors import MismatchError, ProofError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np

    Arrays = Sequence[np.ndarray[Any, Any]]

__all__ = ["TOLERANCE", "Input", "Proof", "function_of_arrays", "parse_input", "prove",
           "random_inputs"]

TOLERANCE = 1e-5
"""How far outputs may differ, in proportion to the largest number in them."""
_SEED = 7
_HIGH = 2  # of integers of which nothing is known; 0 and 1 are good for most that count


class Input(NamedTuple):
    """One input of a model.

    Attributes:
        shape: Its shape, the batch with it.
        dtype: What numbers it has, by numpy's name.
        high: Integers are less than this.
        name: What messages call it.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    high: int | None = None
    name: str = ""


class Proof(NamedTuple):
    """How far apart the outputs of two models are, at the output that differs most.

    Attributes:
        difference: The largest difference of two numbers.
        scale: The largest number that the old model gave there.
        output: Shape of the output.
        inputs: Shapes of the inputs.
        tolerance: How much of the scale the difference may be.
    """

    difference: float
    scale: float
    output: tuple[int, ...]
    inputs: tuple[tuple[int, ...], ...]
    tolerance: float = TOLERANCE

    @property
    def ok(self) -> bool:
        """Whether the models compute the same."""
        return self.difference <= self.tolerance * self.scale

    def __str__(self) -> str:
        word = "input" if len(self.inputs) == 1 else "inputs"
        return (f"largest difference: {self.difference:.2g} (output of {list(self.output)},"
                f" random {word} {', '.join(str(list(shape)) for shape in self.inputs)})")


def parse_input(text: str) -> Input:
    """An input as people write it: ``SHAPE[:DTYPE[:HIGH]]``.

    Raises:
        ValueError: It isn't one.

    Example:
        >>> parse_input("2,16:int32:1000")
        Input(shape=(2, 16), dtype='int32', high=1000, name='')
    """
    import numpy as np  # deferred: as everywhere

    shape, _, rest = text.partition(":")
    dtype, _, high = rest.partition(":")
    try:
        kind = np.dtype(dtype or "float32")
        sizes = tuple(map(int, shape.split(",")))
    except (TypeError, ValueError):
        kind, sizes = np.dtype("O"), ()
    if kind.kind not in "biuf" or min(sizes, default=0) < 1 or (high and not high.isdecimal()):
        raise ValueError("expected SHAPE[:DTYPE[:HIGH]], such as 2,16:int32:1000")
    return Input(sizes, kind.name, int(high) if high else None)


def random_inputs(inputs: Sequence[Input]) -> list[np.ndarray[Any, Any]]:
    """Arrays for a model: numbers of a normal distribution, or integers from 0 on.

    They are the same in every run.

    Raises:
        UnsupportedError: An input is text.

    Example:
        >>> [array.shape for array in random_inputs([Input((2, 3)), Input((2,), "int32", 9)])]
        [(2, 3), (2,)]
    """
    import numpy as np  # deferred: as everywhere

    generator = np.random.default_rng(_SEED)
    found = []
    for item in inputs:
        if item.dtype == "string":
            raise UnsupportedError("there is no random text to prove with", got=item.name or None)
        if item.dtype.startswith(("float", "bfloat")):
            array = generator.standard_normal(item.shape).astype(
                item.dtype if item.dtype.startswith("float") else "float32")
        else:
            array = generator.integers(0, item.high or _HIGH, item.shape).astype(item.dtype)
        found.append(array)
    return found


def function_of_arrays(model: Callable[[Any], Any], pack: Callable[[Arrays], Any]
                       ) -> Callable[[Arrays], list[np.ndarray[Any, Any]]]:
    """A model that takes arrays and gives an array, or several in a list or a tuple.

    Example:
        >>> import numpy as np
        >>> double = function_of_arrays(lambda x: x * 2, lambda arrays: arrays[0])
        >>> double([np.float32([1, 2])])[0].tolist()
        [2.0, 4.0]
    """
    import numpy as np  # deferred: as everywhere

    def compute(arrays: Arrays) -> list[np.ndarray[Any, Any]]:
        found = model(pack(arrays))
        return [np.asarray(item) for item in (
            found if isinstance(found, (list, tuple)) else [found])]

    return compute


def prove(old: Callable[[Arrays], Arrays], new: Callable[[Arrays], Arrays],
          inputs: Sequence[Input], tolerance: float = TOLERANCE) -> Proof:
    """Run two models on the same random input and compare what they compute.

    Args:
        old: The one that is right.
        new: The other.
        inputs: What they take.
        tolerance: How much of the largest number of an output a difference in it may be.

    Raises:
        MismatchError: They don't have outputs of the same shapes.
        ProofError: They compute different things; or what they compute is no evidence: NaN,
            nothing, or one number everywhere.
        UnsupportedError: An output isn't of numbers.

    Example:
        >>> print(prove(lambda x: [x[0] * 2], lambda x: [x[0] + x[0]], [Input((2, 3))]))
        largest difference: 0 (output of [2, 3], random input [2, 3])
    """
    import numpy as np  # deferred: as everywhere

    arrays = random_inputs(inputs)
    wanted, got = [[np.asarray(item) for item in model(arrays)] for model in (old, new)]
    if [item.shape for item in wanted] != [item.shape for item in got]:
        raise MismatchError("the models don't have the same outputs", expected=_shapes(wanted),
                            got=_shapes(got))
    _check_telling(wanted, got)
    shapes = tuple(item.shape for item in inputs)
    proofs = [Proof(*_apart(a, b), a.shape, shapes, tolerance)
              for a, b in zip(wanted, got, strict=True)]
    worst = max(proofs, key=lambda proof: (not proof.ok, proof.difference))
    if not worst.ok:
        raise ProofError(f"the models compute different things; {worst}",
                         expected=f"at most {tolerance:g} of {worst.scale:.2g}",
                         hint="--tolerance X accepts larger differences.", proof=worst)
    return worst


def _check_telling(wanted: Arrays, got: Arrays) -> None:
    """Refuse outputs that two models could have in common for other reasons."""
    import numpy as np  # deferred: as everywhere

    if any(item.dtype.kind not in "biufcV" for item in (*wanted, *got)):
        raise UnsupportedError("an output of the models is text, and not numbers")
    numbers = [item.astype("complex128" if item.dtype.kind == "c" else "float64").ravel()
               for item in wanted]
    why = ""
    if any(np.isnan(item).any() for item in numbers):
        why = "the old model's outputs have NaN"
    elif not any(item.size for item in numbers):
        why = "the old model's outputs are empty"
    elif all(item.size != 1 and (item == item[:1]).all() for item in numbers):
        why = "the old model's outputs are one number everywhere"
    if why:
        raise ProofError(f"{why}, which proves nothing",
                         hint="--prove-input gives the models another input.")


def _apart(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> tuple[float, float]:
    """The largest difference, and the largest number of the first."""
    import numpy as np  # deferred: as everywhere

    kind = "complex128" if "c" in (a.dtype.kind, b.dtype.kind) else "float64"
    a, b = a.astype(kind), b.astype(kind)
    finite = np.isfinite(a)
    scale = float(np.abs(a[finite]).max(initial=0))
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(
            b[finite]).all():
        return float("inf"), scale
    return float(np.abs(a[finite] - b[finite]).max(initial=0)), scale


def _shapes(arrays: Arrays) -> str:
    return ", ".join(str(list(array.shape)) for array in arrays) or "none"
