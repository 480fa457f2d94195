"""TF1 to TF2: from variable names to paths through an object graph.

The result is what TensorFlow 2.21 saves for ``tf.train.Checkpoint(vars={name: variable})``
with the names in ascending order, as the guide's recipe has it. Its bytes are those of the
source: only the object graph and the save counter are new.
"""

from __future__ import annotations

from tfckpt.core.plan import Output, Plan, given_int64, given_string
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError
from tfckpt.format.objectgraph import (
    OBJECT_GRAPH_KEY,
    VARIABLE_VALUE,
    Child,
    Node,
    encode_node,
    encode_variable_nodes,
)
from tfckpt.format.objectkeys import escape_local_name, object_key

__all__ = ["SAVE_COUNTER", "plan_tf1_to_tf2", "under_root"]

SAVE_COUNTER = "save_counter"


def plan_tf1_to_tf2(source: Source, root: str = "vars") -> Plan:
    """Plan an object-based checkpoint with the tensors of a name-based one.

    Args:
        source: A name-based checkpoint.
        root: Name of the dictionary that holds the variables.

    Raises:
        UnsupportedError: The source is object-based already, or has a name that isn't valid
            Unicode.
    """
    if source.style == "object-based":
        raise UnsupportedError("the checkpoint is object-based (TF2) already", file=source.prefix)
    return under_root(Plan(tuple(Output(name, entry.dtype, entry.shape, source.origin(entry))
                                 for name, entry in source.index.items()),
                           "name-based", source.byte_order), root)


def under_root(plan: Plan, root: str = "vars") -> Plan:
    """A name-based plan as an object-based one.

    Args:
        plan: The plan; its outputs' names, in ascending order, become those of the dictionary's
            variables.
        root: Name of the dictionary.

    Raises:
        UnsupportedError: A name isn't valid Unicode, or the root is none.
    """
    if not root or root == SAVE_COUNTER:
        raise UnsupportedError("the root needs a name of its own", got=repr(root))
    outputs = []
    variables = []
    path = escape_local_name(root) + "/"
    for name, dtype, shape, origin in plan.outputs:
        _check_unicode(name)
        key = object_key(path + escape_local_name(name), VARIABLE_VALUE)
        outputs.append(Output(key, dtype, shape, origin))
        variables.append((name, key))
    counter_key = object_key(SAVE_COUNTER, VARIABLE_VALUE)
    graph = _encode_graph(root, variables, counter_key)
    outputs.append(given_int64(counter_key, 1, plan.byte_order))
    outputs.append(given_string(OBJECT_GRAPH_KEY, graph, plan.byte_order))
    return plan._replace(outputs=tuple(outputs), style="object-based")


def _check_unicode(name: str) -> None:
    if not name.isascii():
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise UnsupportedError("an object graph can't hold a name that isn't valid Unicode",
                                   tensor=name) from None


def _encode_graph(root: str, variables: list[tuple[str, str]], counter_key: str) -> bytes:
    """Nodes in TensorFlow's order: breadth first, so all variables come after the counter."""
    first = 3
    children = tuple([Child(n, name) for n, (name, _) in enumerate(variables, first)])
    return b"".join([
        encode_node(Node((Child(1, root), Child(2, SAVE_COUNTER)), has_checkpoint_values=True)),
        encode_node(Node(children, has_checkpoint_values=bool(variables))),
        encode_variable_nodes([SAVE_COUNTER, *(name for name, _ in variables)],
                              [counter_key, *(key for _, key in variables)]),
    ])
