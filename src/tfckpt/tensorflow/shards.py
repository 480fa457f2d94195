"""Variables in shards, as those of a ParameterServerStrategy, and the slots that belong to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tensorflow.python.distribute import sharded_variable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["is_in_shards", "name_of", "shards_of", "the_same"]


def is_in_shards(live: Any) -> bool:
    """Whether an object is a variable in shards."""
    return isinstance(live, sharded_variable.ShardedVariableMixin)


def name_of(live: Any) -> str:
    """The name of a variable in shards that it was made with: its own is that of its class."""
    names = [shard.name.partition(":")[0] for shard in live.variables]
    whole: str = names[0].removesuffix("/part_0")
    parts = [f"{whole}/part_{number}" for number in range(len(names))]
    return whole if names == parts else str(live.name)


def shards_of(live: Any, whole: np.ndarray[Any, Any]) -> Iterator[tuple[Any, np.ndarray[Any, Any]]]:
    """Each shard of a variable, and what of an array is its part."""
    for shard, offsets in zip(live.variables, live._var_offsets, strict=True):  # noqa: SLF001 - no other way
        yield shard, whole[tuple(slice(start, start + size) for start, size
                                 in zip(offsets, shard.shape, strict=True))]


def the_same(slot: Any, memory: dict[str, Any], key: tuple[int, str]) -> Any:
    """A slot in shards as the object that it was when it was asked for before.

    Keras's older optimizers put the slots of the shards together anew each time that they are
    asked, and what a restore remembers of an object is by its identity.

    Args:
        slot: What the optimizer gave.
        memory: What is remembered of the optimizer, for as long as it lives.
        key: Which variable's slot it is, and its name.
    """
    known = memory.setdefault("slots_in_shards", {})
    before = known.get(key)
    if before is not None and [*map(id, before.variables)] == [*map(id, slot.variables)]:
        return before
    known[key] = slot
    return slot
