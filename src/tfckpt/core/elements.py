"""By how much the numbers of two tensors differ, a block at a time.

Integers are compared exactly, everything else in float64 (complex128). Elements of equal bits
are equal, NaN too. Two others are close if ``|a - b| <= max(atol, rtol * max(|a|, |b|))``, as
`math.isclose` has it: the answer doesn't depend on which is A, and infinity is close to nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.core.differences import Delta
from tfckpt.format.dtypes import DType

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Tally", "Tolerance", "has_numbers"]

_BLOCK = 1 << 16  # elements; the intermediate arrays of a block stay in a core's cache


class Tolerance(NamedTuple):
    """What counts as different.

    Attributes:
        atol: Elements are close if they are no further apart; None for bits, as is ``rtol``.
        rtol: Likewise, as a share of the larger one.
        equal_nan: Whether one NaN is as good as another.
    """

    atol: float | None = None
    rtol: float | None = None
    equal_nan: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether only equal bits count as equal."""
        return self.atol is None and self.rtol is None


def has_numbers(dtype: DType) -> bool:
    """Whether its elements are numbers that arrays can hold."""
    return dtype.numpy_name is not None and dtype.size is not None


def at_index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Index of an element from its number in C order.

    Example:
        >>> at_index(5, (2, 3))
        (1, 2)
    """
    index = []
    for size in reversed(shape):
        flat, at = divmod(flat, size)
        index.append(at)
    return tuple(reversed(index))


class Tally:
    """Adds up how two tensors differ.

    Args:
        dtype_a: Of the one.
        dtype_b: Of the other.
        tolerance: What counts as different.

    Example:
        >>> import numpy as np
        >>> from tfckpt.format.dtypes import dtype_named
        >>> tally = Tally(dtype_named("float32"), dtype_named("float32"), Tolerance())
        >>> tally.add(np.float32([1, 2]).view(np.uint8), np.float32([1, 4]).view(np.uint8))
        >>> tally.delta((2,))
        Delta(n_elements=2, n_differ=1, max_abs=2.0, max_rel=0.5, at=(1,), n_nan=0)
    """

    def __init__(self, dtype_a: DType, dtype_b: DType, tolerance: Tolerance) -> None:
        self._dtypes = dtype_a.numpy(), dtype_b.numpy()
        self._tolerance = tolerance
        self._n_differ = self._n_nan = 0
        self._max_abs: float | None = None
        self._max_rel: float | None = None
        self._at = 0
        #: Whether any two elements had other bits (or values, of different dtypes).
        self.any_differ = False

    def add(self, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], at: int = 0) -> None:
        """Take in some elements.

        Args:
            a: Bytes of whole elements, an array of uint8 in this machine's byte order.
            b: Those of as many elements.
            at: Number of the first of them.
        """
        array_a, array_b = (array.view(dtype) for array, dtype in
                            zip((a, b), self._dtypes, strict=True))
        for start in range(0, len(array_a), _BLOCK):
            block = array_a[start:start + _BLOCK]
            self._add_block(block, array_b[start:start + _BLOCK], at + start)

    def _add_block(self, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], start: int) -> None:
        import numpy as np  # deferred: checkpoints of equal bytes need no numpy

        with np.errstate(all="ignore"):
            if a.dtype == b.dtype:
                which = np.flatnonzero(_bits(a) != _bits(b))
                a, b = _widened(a[which], b[which])
            else:
                a, b = _widened(a, b)
                which = np.flatnonzero(a != b)
                a, b = a[which], b[which]
            if self._tolerance.equal_nan and a.dtype.kind in "fc":
                keep = ~(np.isnan(a) & np.isnan(b))
                a, b, which = a[keep], b[keep], which[keep]
            if len(which):
                self._measure(a, b, which + start)

    def _measure(self, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any],
                 which: np.ndarray[Any, Any]) -> None:
        """Add up unequal elements; ``which`` has their numbers."""
        import numpy as np  # deferred, as above

        self.any_differ = True
        distance = _distance(a, b)
        real = distance.astype(np.float64)
        scale = np.maximum(_magnitude(a), _magnitude(b))
        n_nan = int(np.count_nonzero(np.isnan(real)))
        self._n_nan += n_nan
        if n_nan < len(real):
            ranked = distance if distance.dtype.kind == "u" else real
            at = int(np.nanargmax(ranked) if n_nan else ranked.argmax())
            largest = ranked[at].item()
            if self._max_abs is None or largest > self._max_abs:
                self._max_abs, self._at = largest, int(which[at])
            relative = np.divide(real, scale, out=np.zeros_like(real), where=scale > 0)
            relative[np.isinf(real)] = math.inf
            self._max_rel = max(self._max_rel or 0.0, float(relative.max()))
        self._n_differ += len(real) - int(np.count_nonzero(self._is_close(real, scale)))

    def _is_close(self, distance: np.ndarray[Any, Any], scale: np.ndarray[Any, Any]) -> Any:
        import numpy as np  # deferred, as above

        if self._tolerance.is_exact:
            return np.zeros(len(distance), bool)
        return ((distance <= (self._tolerance.atol or 0))
                | (distance <= (self._tolerance.rtol or 0) * scale)) & np.isfinite(distance)

    def delta(self, shape: tuple[int, ...]) -> Delta:
        """What was found in the elements of a tensor of this shape."""
        at = None if self._max_abs is None else at_index(self._at, shape)
        return Delta(math.prod(shape), self._n_differ, self._max_abs, self._max_rel, at,
                     self._n_nan)


def _bits(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same elements as unsigned integers, or pairs of them."""
    import numpy as np  # deferred, as above

    size = array.dtype.itemsize
    if size <= 8:
        return array.view(np.dtype(f"u{size}"))
    # As bytes: comparing them looks at all 16.
    return array.view(np.dtype(f"V{size}"))


def _widened(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]
             ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Both in one dtype in which they can be compared: integers exactly, others in float64."""
    import numpy as np  # deferred, as above

    a, b = _plain(a), _plain(b)
    if a.dtype == b.dtype and a.dtype.kind in "iu":
        return a, b
    kinds = a.dtype.kind + b.dtype.kind
    if "c" in kinds:
        return a.astype(np.complex128), b.astype(np.complex128)
    if "f" not in kinds and np.uint64 not in (a.dtype, b.dtype):
        return a.astype(np.int64), b.astype(np.int64)
    if a.dtype != b.dtype and any(x.dtype.kind in "iu" and x.dtype.itemsize == 8 for x in (a, b)):
        # float64 has not all of these integers. Slow, and rare.
        return a.astype(object), b.astype(object)
    return a.astype(np.float64), b.astype(np.float64)


def _plain(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In a dtype of numpy's own."""
    import numpy as np  # deferred, as above

    if array.dtype.kind in "iufc":
        return array
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    return array.astype(np.int8 if "int" in array.dtype.name else np.float64)


def _distance(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """|a - b|, of integers as unsigned ones, which have room for it."""
    import numpy as np  # deferred, as above

    if a.dtype.kind in "iu":
        unsigned = np.dtype(f"u{a.dtype.itemsize}")
        distance = np.maximum(a, b).view(unsigned) - np.minimum(a, b).view(unsigned)
    else:
        distance = np.abs(a - b)
    return np.asarray(distance)


def _magnitude(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """|a| in float64; the smallest integer has no absolute value of its own dtype."""
    import numpy as np  # deferred, as above

    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    return np.asarray(np.abs(array), np.float64)
