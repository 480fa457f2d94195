"""The variable that counts the steps of a training.

Source: python/training/training_util.py.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from tfckpt.errors import VariableError
from tfckpt.train.getting import get_variable
from tfckpt.train.graphs import Graph, GraphKeys, executing_eagerly, get_default_graph
from tfckpt.train.initializers import zeros_initializer
from tfckpt.train.values import as_dtype

__all__ = ["create_global_step", "get_global_step", "get_or_create_global_step"]


def get_global_step(graph: Graph | None = None) -> Any:
    """The graph's step counter, or None.

    That is what the collection ``global_step`` holds, or else a variable ``global_step:0``.

    Raises:
        TypeError: It is no scalar integer.

    Example:
        >>> with Graph().as_default():
        ...     print(get_global_step(), get_or_create_global_step().name, get_global_step().name)
        None global_step:0 global_step:0
    """
    graph = graph or get_default_graph()
    listed = graph.get_collection(GraphKeys.GLOBAL_STEP)
    if len(listed) > 1:
        return None
    if not listed:
        listed = [v for v in graph.get_collection(GraphKeys.GLOBAL_VARIABLES)
                  if getattr(v, "name", None) == "global_step:0"]
    if not listed:
        return None
    step = listed[0]
    if step.shape or not as_dtype(step.dtype).name.startswith(("int", "uint")):
        raise TypeError("the global step must be one integer, and there is"
                        f" {as_dtype(step.dtype).name} {list(step.shape)} under its name")
    return step


def create_global_step(graph: Graph | None = None) -> Any:
    """Make the graph's step counter, an int64 that begins at 0 and isn't trained.

    Raises:
        VariableError: There is one.
    """
    graph = graph or get_default_graph()
    if get_global_step(graph) is not None:
        raise VariableError("the graph has a global step already",
                            hint="get_or_create_global_step() gives it.")
    with ExitStack() as entered:
        if not executing_eagerly():
            entered.enter_context(graph.as_default())
        return get_variable(
            GraphKeys.GLOBAL_STEP, [], "int64", zeros_initializer(), trainable=False,
            collections=[GraphKeys.GLOBAL_VARIABLES, GraphKeys.GLOBAL_STEP])


def get_or_create_global_step(graph: Graph | None = None) -> Any:
    """The graph's step counter, made if there is none.

    Example:
        >>> with Graph().as_default():
        ...     get_or_create_global_step() is get_or_create_global_step()
        True
    """
    step = get_global_step(graph)
    return create_global_step(graph) if step is None else step
