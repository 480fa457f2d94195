"""The session that has the values of a graph, and what is kept with the graph for later calls."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from tfckpt.errors import GraphStateError, VariableError
from tfckpt.train.adapters import current_session

__all__ = ["initialize", "kept", "run", "session_for"]

# How references and resources say it.
_UNINITIALIZED = re.compile(
    r"(?:uninitialized value|Could not find variable|reading resource variable) (\S*[^\s.])")


def session_for(graph: Any) -> Any:
    """The session that was given, or the default one.

    Raises:
        GraphStateError: There is neither, or it is a session of another graph.
    """
    session = current_session() or tf.compat.v1.get_default_session()
    if session is None:
        raise GraphStateError(
            "the values of graph variables are in a session, and there is none",
            hint="Give it, as in Saver.save(sess, …) and Checkpoint.save(…, session=sess), or"
                 " enter it: `with sess.as_default():`.")
    if session.graph is not graph:
        raise GraphStateError("the session is one of another graph than the variables")
    return session


def run(session: Any, fetches: Any) -> Any:
    """Values that a session has.

    Raises:
        VariableError: One is of a variable that has none yet.
    """
    try:
        return session.run(fetches)
    except tf.errors.FailedPreconditionError as error:
        said = _UNINITIALIZED.search(str(error.message))
        raise VariableError("a variable of the graph has no value yet",
                            tensor=said[1] if said else None,
                            hint="Run the initializers, or restore, before you save.") from None


def kept(graph: Any, name: str) -> dict[Any, Any]:
    """What was made in a graph for later calls; it dies with the graph."""
    if not hasattr(graph, name):
        setattr(graph, name, {})
    found: dict[Any, Any] = getattr(graph, name)
    return found


def initialize(lives: Iterable[Any]) -> None:
    """Run the initializers of objects of a graph, where they have some."""
    ops = [op for live in lives if (op := getattr(live, "initializer", None)) is not None]
    if ops:
        session_for(ops[0].graph).run(ops)
