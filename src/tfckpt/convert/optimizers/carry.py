"""Filling one layout of an optimizer from another."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.convert.chunks import encode_numbers, numbers_of
from tfckpt.convert.optimizers.differences import differences, same_state
from tfckpt.convert.optimizers.state import Optimizer, Slot
from tfckpt.convert.optimizers.values import Values
from tfckpt.core.origin import Given, Origin, Streamed
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError
from tfckpt.format.dtypes import DType
from tfckpt.format.strings import ByteOrder

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Carried", "Carrier", "encode_value", "read_value"]

# Where nothing is stored because nothing was added up, zeros are the same state.
_ZEROS = frozenset({("sgd", "momentum"), ("rmsprop", "momentum")})
_SCALED = frozenset({"legacy", "keras2", "keras3"})
_CHUNK = 4 << 20


class Carried(NamedTuple):
    """One tensor of the target, filled.

    Attributes:
        origin: Where its bytes come from; None if the source has nothing for it.
        key: The source's tensor, if it is one.
        shape: Shape of what fills it.
        dtype: Its dtype.
    """

    origin: Origin | None
    key: str | None = None
    shape: tuple[int, ...] = ()
    dtype: DType | None = None


_NOTHING = Carried(None)


def read_value(source: Source, key: str) -> float:
    """A single number that a checkpoint stores.

    Raises:
        UnsupportedError: It is no single number.
    """
    array = source.read_array(source.index[key])
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise UnsupportedError("a single number was expected", tensor=key, file=source.prefix,
                               got=f"{array.dtype} {list(array.shape)}")
    number = array.reshape(-1)[0].item()
    return int(number) if array.dtype.kind in "biu" else float(number)


def encode_value(number: float, dtype: DType, byte_order: ByteOrder) -> bytes:
    """A single number as a checkpoint stores it.

    Example:
        >>> from tfckpt.format.dtypes import INT64
        >>> encode_value(3, INT64, "big").hex()
        '0000000000000003'
    """
    import numpy as np  # deferred: not every plan has values

    array = np.asarray(number).astype(dtype.numpy())
    return (array if byte_order == sys.byteorder else array.byteswap()).tobytes()


class Carrier:
    """Takes an optimizer's state out of a source.

    Args:
        source: The checkpoint.
        old: The optimizer's state there; None if there is none, as of plain SGD in TF1.
        new: The layout to fill.
        step: The source's count of training steps.
        given: Values that the user gave.
        fallback: Values that the target has if nobody says otherwise.

    Raises:
        UnsupportedError: These optimizers don't keep the same.
    """

    def __init__(self, source: Source, old: Optimizer | None, new: Optimizer, *,
                 step: int | None, given: Mapping[str, float],
                 fallback: Callable[[str], float | None]) -> None:
        if old is not None and not same_state(old.kind, new.kind):
            raise UnsupportedError(f"the state of {old.title or old.kind} can't become that of"
                                   f" {new.title or new.kind}", file=source.prefix,
                                   hint="Leave it behind with --optimizer none.")
        self.source = source
        self.old = old
        self.new = new
        stored = {name: read_value(source, key) for name, key in old.values.items()} if old else {}
        self.values = Values(stored, step, given, fallback)

    def notes(self) -> list[str]:
        """What a reader of the result should know, a sentence each."""
        said = differences(self.old, self.new) if self.old else []
        if self.values.stored.get("decay"):
            said.append(f"The learning rate decays by {self.values.stored['decay']:g} per step in"
                        " the source; only a target that has `decay` goes on with it.")
        if self.values.assumed:
            what = ", ".join(f"{name} {value:g}" for name, value in self.values.assumed.items())
            said.append(f"Not in the source, so the target's own: {what}.")
        return said

    def slot(self, slot: Slot, dtype: DType, shape: tuple[int, ...]) -> Carried:
        """A slot of the target.

        Args:
            slot: Its name, and the key of its variable in the source.
            dtype: The target's.
            shape: The target's; only zeros need to know it.

        Raises:
            UnsupportedError: It has to be scaled, and the learning rate can't be told.
        """
        key = self.old.slots.get(slot) if self.old else None
        if key is None:
            if (self.new.kind, slot.name) not in _ZEROS:
                return _NOTHING
            n_bytes = math.prod(shape) * (dtype.size or 0)
            return Carried(Streamed(n_bytes, partial(_zeros, n_bytes)), None, shape, dtype)
        entry = self.source.index[key]
        factor = self._factor(slot.name)
        origin = (self.source.origin(entry) if factor == 1 else
                  self.source.streamed(entry)._replace(
                      chunks=partial(self._scaled, key, factor)))
        return Carried(origin, key, entry.shape, entry.dtype)

    def value(self, name: str, dtype: DType) -> Carried:
        """A single value of the target.

        Raises:
            UnsupportedError: The count of iterations can't be told.
        """
        number = self.values.get(name)
        if number is None:
            return _NOTHING
        key = self.old.values.get(name) if self.old else None
        return Carried(Given(encode_value(number, dtype, self.source.byte_order), None), key, (),
                       dtype)

    def _factor(self, slot: str) -> float:
        """TF1 adds gradients up and scales the sum; Keras adds up what is scaled, and negated."""
        old = self.old
        if old is None or self.new.kind != "sgd" or slot != "momentum":
            return 1
        before, after = old.layout in _SCALED, self.new.layout in _SCALED
        if before == after:
            return 1
        rate = self.values.learning_rate()
        if not rate:
            raise UnsupportedError("the momentum of TF1 and of Keras differ by the learning rate,"
                                   " and that isn't stored", hint="Say it: --lr 0.01.")
        return -rate if after else -1 / rate

    def _scaled(self, key: str, factor: float
                ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
        import numpy as np  # deferred: see above

        for numbers in numbers_of(self.source, self.source.index[key]):
            yield encode_numbers(numbers * np.asarray(factor, numbers.dtype),
                                 self.source.byte_order)
        return None


def _zeros(n_bytes: int) -> Generator[bytes, None, int | None]:
    for start in range(0, n_bytes, _CHUNK):
        yield bytes(min(_CHUNK, n_bytes - start))
    return None
