"""A checkpoint that nobody saved: the keys, shapes and object graph that one would have."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from tfckpt.core.index import Entry, GivenIndex
from tfckpt.core.sliced import Box
from tfckpt.core.source import WholeSource
from tfckpt.format.dtypes import INT64, STRING, DType, dtype_named
from tfckpt.format.objectgraph import (
    OBJECT_GRAPH_KEY,
    VARIABLE_VALUE,
    Attribute,
    Child,
    Node,
    SlotVariable,
    encode_object_graph,
    nodes_with_values,
)
from tfckpt.format.objectkeys import OPTIMIZER_SLOT, escape_local_name, object_key
from tfckpt.format.strings import encode_strings

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FLOAT", "INT32", "Drawing", "Drawn"]

Head = tuple[DType, tuple[int, ...]]
FLOAT, INT32 = dtype_named("float32"), dtype_named("int32")


class Drawn(WholeSource):
    """A template made from its description.

    Args:
        heads: Dtype and shape of each tensor.
        values: What single numbers are; the others are zeros, and only their shapes count.
        graph: The object graph; empty for a name-based checkpoint.
        byte_order: That of its numbers.
    """

    def __init__(self, heads: Mapping[str, Head], values: Mapping[str, float],
                 graph: Iterable[Node], byte_order: Literal["little", "big"]) -> None:
        self.prefix = "(drawn)"
        self._values = values
        self._byte_order = byte_order
        self._graph = encode_object_graph(graph)
        entries = [Entry(key, dtype, shape, 0, 0, 0, 0) for key, (dtype, shape) in heads.items()]
        if self._graph:
            entries.append(Entry(OBJECT_GRAPH_KEY, STRING, (), 0, 0, 0, 0))
        self._index = GivenIndex(entries)

    @property
    def byte_order(self) -> Literal["little", "big"]:
        return self._byte_order

    def _read_part(self, part: Entry) -> np.ndarray[Any, Any]:
        import numpy as np  # deferred: listing needs none

        if part.key == OBJECT_GRAPH_KEY:
            return np.array(self._graph, object)
        return np.full(part.shape, self._values.get(part.key, 0), part.dtype.numpy())

    def read_bytes(self, key: str) -> bytes:
        return b"".join(bytes(chunk) for chunk in self.stream(self.index[key]))

    def stream(self, entry: Entry, request: Box | None = None
               ) -> Generator[bytes | np.ndarray[Any, Any], None, int | None]:
        if entry.key != OBJECT_GRAPH_KEY:
            return (yield from super().stream(entry, request))
        data, masked_crc32c = encode_strings([self._graph], self.byte_order)
        yield data
        return masked_crc32c


class Drawing:
    """An object graph on the way, with the keys of its values.

    Args:
        nodes: What is there already.
        heads: Dtype and shape of the tensors that it names.
    """

    def __init__(self, nodes: Iterable[Node] = (Node(),), heads: Mapping[str, Head] | None = None
                 ) -> None:
        self.nodes = list(nodes)
        self.heads = dict(heads or {})
        self.values: dict[str, float] = {}

    def node(self, parent: int, name: str) -> int:
        """A new node below another one."""
        self.nodes.append(Node())
        self.link(parent, name, len(self.nodes) - 1)
        return len(self.nodes) - 1

    def link(self, parent: int, name: str, node: int) -> None:
        """An edge to a node that is there."""
        before = self.nodes[parent]
        self.nodes[parent] = before._replace(children=(*before.children, Child(node, name)))

    def variable(self, parent: int, path: str, name: str, full_name: str, head: Head,
                 value: float | None = None) -> int:
        """A new variable below a node whose (escaped) path is given."""
        n = self.node(parent, name)
        place = f"{path}/{escape_local_name(name)}" if path else escape_local_name(name)
        self._store(n, object_key(place, VARIABLE_VALUE), full_name, head, value)
        return n

    def number(self, parent: int, path: str, name: str, full_name: str, value: float,
               dtype: DType = FLOAT) -> int:
        """A new variable that is a single number."""
        return self.variable(parent, path, name, full_name, (dtype, ()), value)

    def count(self, parent: int, path: str, name: str, full_name: str) -> int:
        """A new variable that counts, from 0."""
        return self.number(parent, path, name, full_name, 0, INT64)

    def head(self, variable: int) -> Head:
        """Dtype and shape of a variable that is there."""
        return self.heads[self._stored(variable).checkpoint_key]

    def _stored(self, variable: int) -> Attribute:
        return next(item for item in self.nodes[variable].attributes
                    if item.name == VARIABLE_VALUE)

    def slot(self, optimizer: int, path: str, variable: int, name: str, full_name: str) -> None:
        """A slot that the graph lists, for a variable that is there."""
        of = self._stored(variable)
        self.nodes.append(Node())
        n = len(self.nodes) - 1
        before = self.nodes[optimizer]
        self.nodes[optimizer] = before._replace(slot_variables=(
            *before.slot_variables, SlotVariable(variable, name, n)))
        place = of.checkpoint_key[:-len(object_key("", VARIABLE_VALUE))]
        key = object_key(f"{place}/{OPTIMIZER_SLOT}/{path}/{escape_local_name(name)}",
                         VARIABLE_VALUE)
        self._store(n, key, full_name, self.heads[of.checkpoint_key], None)

    def _store(self, n: int, key: str, full_name: str, head: Head, value: float | None) -> None:
        self.nodes[n] = Node(attributes=(Attribute(VARIABLE_VALUE, full_name, key),))
        self.heads[key] = head
        if value is not None:
            self.values[key] = value

    def finish(self, byte_order: Literal["little", "big"]) -> Drawn:
        """The checkpoint."""
        filled = nodes_with_values(self.nodes)
        nodes = [node._replace(has_checkpoint_values=n in filled)
                 for n, node in enumerate(self.nodes)]
        return Drawn(self.heads, self.values, nodes, byte_order)
