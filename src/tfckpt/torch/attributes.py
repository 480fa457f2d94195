"""Variables by the attributes that lead to them, where only underscores differ.

Keras 3 keeps a kernel as ``_kernel``, and that is its key when ``tf.train.Checkpoint`` saves it;
its DepthwiseConv calls it ``kernel`` too. Attributes prove something only if all that a checkpoint
has are the program's: numbers of layers, say, may have been counted otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tfckpt.core.matching import Side
from tfckpt.format.objectgraph import VARIABLE_VALUE
from tfckpt.format.objectkeys import parse_object_key

__all__ = ["same_attributes"]

Path = tuple[str, ...]


def same_attributes(side: Side, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """The wanted name of each key of an object-based checkpoint, if they are the same attributes.

    Args:
        side: The checkpoint.
        wanted: Paths of attributes with slashes, and the shapes of what is there.

    Returns:
        Name by key; nothing if one of the checkpoint's has no partner of its shape.
    """
    paths = {key: parsed.names for key in side.heads if (parsed := parse_object_key(key))
             and parsed.attribute == VARIABLE_VALUE}
    below_root = {key: path[1:] for key, path in paths.items()}
    for stored in (paths, below_root if len({path[:1] for path in paths.values()}) == 1 else {}):
        found = _pairs(stored, wanted)
        if len(found) == len(side.heads) and all(
                side.heads[key][1] == wanted[name] for key, name in found.items()):
            return found
    return {}


def _pairs(stored: Mapping[str, Path], wanted: Iterable[str]) -> dict[str, str]:
    by_path: dict[Path, list[str]] = {}
    for name in wanted:
        by_path.setdefault(_plain(name.split("/")), []).append(name)
    found = {}
    for key, path in stored.items():
        names = by_path.get(_plain(path), [])
        if len(names) == 1:
            found[key] = names[0]
    return found if len(set(found.values())) == len(found) else {}


def _plain(path: Iterable[str]) -> Path:
    *above, last = (name.lstrip("_") or name for name in path)
    return (*above, "kernel" if last == "depthwise_kernel" else last)
