"""The names by which programs that go by names ask for a checkpoint's tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from tfckpt.core.index import Entry
from tfckpt.core.source import Source

__all__ = ["StoredNames"]


class StoredNames:
    """A checkpoint's tensors by the names that a Saver knows them by.

    In an object-based one these are its keys and the full names in its object graph.

    Args:
        source: The checkpoint.
    """

    def __init__(self, source: Source) -> None:
        self.prefix = source.prefix
        self.index = source.index
        self._keys: dict[str, list[str]] = {}
        for node in source.object_graph:
            for attribute in node.attributes:
                if attribute.full_name and attribute.checkpoint_key in source.index:
                    self._keys.setdefault(attribute.full_name, []).append(attribute.checkpoint_key)

    @cached_property
    def all(self) -> list[str]:
        """Every name."""
        return [*self._keys, *self.index]

    def keys_of(self, name: str) -> list[str]:
        """Keys that a name may stand for."""
        return [name] if name in self.index else self._keys.get(name, [])

    def ambiguous(self, names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
        """Those names that stand for several keys, with the keys."""
        if self._keys:
            for name in names:
                if len(self.keys_of(name)) > 1:
                    yield name, self.keys_of(name)

    def entry(self, name: str) -> Entry | None:
        """What a name stands for; of several the last, as in TensorFlow."""
        keys = self.keys_of(name)
        return self.index[keys[-1]] if keys else None
