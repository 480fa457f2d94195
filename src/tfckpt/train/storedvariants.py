"""Values that are no arrays: variants, which only the framework that made them rebuilds."""

from __future__ import annotations

from typing import NamedTuple

from tfckpt.core.origin import Given
from tfckpt.core.plan import Output
from tfckpt.format.dtypes import VARIANT

__all__ = ["StoredVariants"]


class StoredVariants(NamedTuple):
    """A variant tensor, its elements serialized.

    Attributes:
        elements: A VariantTensorDataProto each, in C order.
        shape: The tensor's shape.
    """

    elements: list[bytes]
    shape: tuple[int, ...] = ()

    def output(self, key: str) -> Output:
        """The tensor to write."""
        from tfckpt.format.variants import encode_variants  # deferred: rare

        return Output(key, VARIANT, self.shape, Given(*encode_variants(self.elements)))
