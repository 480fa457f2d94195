"""Values that are no arrays: variants, which only the framework that made them rebuilds."""

from __future__ import annotations

from typing import Any, NamedTuple

from tfckpt.core.bundle import BundleSource
from tfckpt.core.index import Entry
from tfckpt.core.origin import Given
from tfckpt.core.plan import Output
from tfckpt.core.source import Source
from tfckpt.format.dtypes import VARIANT

__all__ = ["StoredVariants", "read_value"]


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


def read_value(source: Source, entry: Entry) -> Any:
    """A stored value for a live object: an array, or `StoredVariants`.

    Raises:
        CheckpointError: It can't be read.
    """
    if entry.dtype is not VARIANT or not isinstance(source, BundleSource):
        return source.read_array(entry)
    from tfckpt.format.variants import parse_variants  # deferred: rare

    region = parse_variants(source.read_checked(entry), entry.n_elements)
    return StoredVariants(region.elements, entry.shape)
