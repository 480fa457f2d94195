"""Which of the maps that ship fit a checkpoint."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError

if TYPE_CHECKING:
    from tfckpt.convert.namemap import NameMap

__all__ = ["SIGNS", "fitting_maps", "maps_for"]

SIGNS: dict[str, tuple[str, ...]] = {
    "hf-bert": ("bert/embeddings/word_embeddings", "embeddings.word_embeddings.weight",
                "bert.embeddings.word_embeddings.weight"),
    "hf-gpt2": ("model/wte", "wte.weight", "transformer.wte.weight"),
    "hf-t5": ("shared/embedding", "shared.weight"),
    "hf-t5-v1.1": ("shared/embedding", "shared.weight"),
    "hf-resnet": ("conv1_conv/kernel", "embedder.embedder.convolution.weight",
                  "resnet.embedder.embedder.convolution.weight"),
    "hf-mobilenet-v2": ("Conv1/kernel", "conv_stem.first_conv.convolution.weight",
                        "mobilenet_v2.conv_stem.first_conv.convolution.weight"),
    **{f"hf-efficientnet-b{n}": ("stem_conv/kernel", "embeddings.convolution.weight",
                                 "efficientnet.embeddings.convolution.weight") for n in range(8)},
}
"""Of each map that ships, names on both sides of which a checkpoint for it has one: so that a map
is read only where it may fit."""


def fitting_maps(source: Source) -> list[NameMap]:
    """The maps that ship and cover a checkpoint, each in the direction that leads out of its names.

    Args:
        source: A checkpoint, or a file of another framework.

    Example:
        >>> import tfckpt
        >>> with tfckpt.open("examples/tf1") as source:
        ...     fitting_maps(source)
        []
    """
    full_names: Collection[str] = {attribute.full_name for node in source.object_graph
                  for attribute in node.attributes} if source.style == "object-based" else ()
    if not any(sign in source.index or sign in full_names
               for signs in SIGNS.values() for sign in signs):
        return []
    from tfckpt.convert.export import model_names  # deferred: most fit none

    try:
        return maps_for(set(model_names(source)))
    except CheckpointError:  # a hint is not worth an error
        return []


def maps_for(names: Collection[str]) -> list[NameMap]:
    """The maps that ship and cover names, each in the direction that leads out of them.

    Example:
        >>> names = {"bert/embeddings/word_embeddings", "bert/pooler/dense/kernel", "global_step"}
        >>> [found.name for found in maps_for(names)]
        ['hf-bert']
    """
    likely = [name for name, signs in SIGNS.items() if any(sign in names for sign in signs)]
    if not likely:
        return []
    from tfckpt.convert.mapfiles import read_map  # deferred, as above
    from tfckpt.convert.resolving import resolve

    return [found for name in likely for name_map in [read_map(name)]
            for found in (name_map, name_map.inverted) if not resolve(found, names).problems]
