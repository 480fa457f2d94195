"""Optimizers in an object graph: which nodes they are, and in which layout."""

from __future__ import annotations

from collections.abc import Sequence

from tfckpt.convert.optimizers.keras2 import read_keras2
from tfckpt.convert.optimizers.keras3 import read_keras3
from tfckpt.convert.optimizers.legacy import read_legacy
from tfckpt.convert.optimizers.nodes import Nodes
from tfckpt.convert.optimizers.state import Optimizer
from tfckpt.core.roles import optimizer_nodes
from tfckpt.format.objectgraph import Node

__all__ = ["find_in_graph"]


def find_in_graph(graph: Sequence[Node], variables: Sequence[str], kind_hint: str | None = None
                  ) -> list[Optimizer]:
    """The optimizers of an object-based checkpoint.

    Args:
        graph: Its object graph.
        variables: Keys of the model's variables.
        kind_hint: Which optimizer it is where names don't say.

    Raises:
        UnsupportedError: A slot's variable can't be told.
    """
    nodes = Nodes(graph)
    numbers = optimizer_nodes(graph)
    # The optimizer inside a loss-scale wrapper of Keras 3 is read with the wrapper.
    inner = {nodes.child(n, "inner_optimizer") for n in numbers}
    found = []
    for n in sorted(numbers - inner):
        if nodes.child(n, "_trainable_variables") is not None:
            found.append(read_keras3(nodes, n, kind_hint))
        elif nodes.child(n, "_variables") is not None:
            found.append(read_keras2(nodes, n, variables, kind_hint))
        else:
            found.append(read_legacy(nodes, n, kind_hint))
    return found
