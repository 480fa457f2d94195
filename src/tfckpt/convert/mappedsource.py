"""A checkpoint seen through a map, for comparing it with what another framework has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfckpt.convert.export import model_names
from tfckpt.convert.mapfiles import MapChoice, map_of
from tfckpt.convert.mapped import array_of, plan_map
from tfckpt.convert.resolving import resolve
from tfckpt.core.emit import data_bytes, strings_of
from tfckpt.core.index import Entry, GivenIndex
from tfckpt.core.plan import Output, Plan
from tfckpt.core.source import Source, WholeSource
from tfckpt.format.dtypes import STRING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["MappedSource", "seen_through"]


class MappedSource(WholeSource):
    """A source whose tensors are made of another's when they are read.

    Args:
        source: The other, which stays open as long as this one is used.
        plan: Its tensors, none of them in slices.
    """

    def __init__(self, source: Source, plan: Plan) -> None:
        self.format = source.format
        self.prefix = source.prefix
        self.notes = (*source.notes, *plan.notes,
                      *(f"left out: {item.key} ({item.reason})" for item in plan.left_out
                        if item.reason != "optimizer state"))
        self._source = source
        self._plan = plan
        self._outputs: dict[str, Output] = {output.key: output for output in plan.outputs}
        self._index = GivenIndex(Entry(output.key, output.dtype, output.shape, 0, 0,
                                       data_bytes(output), 0) for output in plan.outputs)

    def files(self) -> tuple[str, ...]:
        return self._source.files()

    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        output = self._outputs[part.key]
        if part.dtype is not STRING:
            return array_of(output, self._plan)
        import numpy as np  # deferred: as everywhere

        found: np.ndarray[Any, Any] = np.empty(part.n_elements, object)
        found[:] = strings_of(output, self._plan)
        return found.reshape(part.shape)


def seen_through(source: Source, mapping: MapChoice, other: Source) -> MappedSource:
    """A checkpoint with the names and layouts that a file of another framework has, or back.

    Args:
        source: The checkpoint, or the file.
        mapping: A map; its name, or its file. It leads from the source to the other, whichever of
            them is TensorFlow's.
        other: What it is to be like.

    Raises:
        MismatchError: The map doesn't cover the source's names.
        UnsupportedError: A shape has no place in its layout.

    Example:
        >>> import tempfile, tfckpt
        >>> file = tempfile.mkdtemp() + "/m.safetensors"
        >>> _ = tfckpt.convert("examples/tf1", file, map="examples/pytorch.json")
        >>> with tfckpt.open("examples/tf1") as source, tfckpt.open(file) as other:
        ...     seen_through(source, "examples/pytorch.json", other)["dense.weight"].shape
        (4, 3)
    """
    name_map = map_of(mapping)._replace(backwards=False)
    wanted = model_names(other)
    if len(resolve(name_map, wanted).moves) > len(resolve(name_map.inverted, wanted).moves):
        name_map = name_map.inverted  # the other side has TensorFlow's names
    return MappedSource(source, plan_map(source, name_map, wanted=frozenset(wanted)))
