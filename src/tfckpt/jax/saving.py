"""`save`: a tree of JAX's as a checkpoint of TensorFlow, for those who serve with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from tfckpt.convert.running import run_plan
from tfckpt.core.arrays import array_output
from tfckpt.core.discovery import as_path
from tfckpt.core.plan import LeftOut, Output, Plan, given_int64, given_string
from tfckpt.core.report import ConvertReport
from tfckpt.errors import AmbiguousNamesError, TensorNotFoundError, nearest
from tfckpt.format.objectgraph import (
    OBJECT_GRAPH_KEY,
    VARIABLE_VALUE,
    Attribute,
    Child,
    Node,
    encode_object_graph,
)
from tfckpt.format.objectkeys import escape_local_name, object_key
from tfckpt.jax.grouping import Choices, Weight, group_layers
from tfckpt.jax.layers import weights_of
from tfckpt.jax.layouts import SAME
from tfckpt.jax.leaves import Leaf, classes_of, leaves_of
from tfckpt.train.allowing import check_word

__all__ = ["save"]

Path = str | os.PathLike[str]
Style = Literal["tf2", "tf1"]


def save(tree: Any, prefix: Path, *, style: Style = "tf2", name: str = "",
         names: Mapping[str, str] | None = None, layouts: Mapping[str, str] | None = None,
         overwrite: bool = False) -> ConvertReport:
    """Save a tree as a checkpoint of TensorFlow, with TensorFlow's names and layouts of weights.

    Layers keep the names that they have in the tree; their weights get those of TensorFlow
    (`tfckpt.jax.layers`): ``params/norm/scale`` and ``batch_stats/norm/mean`` become ``norm/gamma``
    and ``norm/moving_mean``. State of random generators stays out.

    * ``"tf2"``: ``tf.train.Checkpoint(net).restore(prefix)``, where layers are attributes of the
      names that they have here; with ``name="net"`` ``tf.train.Checkpoint(net=net)``.
    * ``"tf1"``: ``tf.compat.v1.train.Saver().restore(session, prefix)``.

    Args:
        tree: As for `load`.
        prefix: Where, used exactly as given.
        style: The kind of checkpoint.
        name: Attributes around everything, with slashes between them; a scope in TF1.
        names: Other names of layers or variables, from the tree's to TensorFlow's:
            ``{"Dense_0": "dense"}``.
        layouts: As for `load`.
        overwrite: Whether a checkpoint that is there already is replaced.

    Returns:
        What was written; ``plan.notes`` says how weights lie, where that isn't as in the tree.

    Raises:
        AmbiguousNamesError: Two values get one name.
        TensorNotFoundError: ``names`` has a name that the tree doesn't have.
        UnsupportedError: There is no such style.
        VariableTypeError: What ``layouts`` says isn't text.
        VariableError: A value isn't at hand: it is traced, or was donated.
        DestinationExistsError: Something is there.
        StorageError: The system refuses.

    Example::

        tfckpt.jax.save(state.params, "export/ckpt", style="tf2", name="model")
    """
    check_word("style", style, ("tf2", "tf1"))
    leaves = leaves_of(tree)
    weights = [leaf for leaf in leaves if not leaf.is_random]
    layers = group_layers([(leaf.path, leaf.shape) for leaf in weights])
    variables = weights_of(layers, Choices(layouts or {}, None, classes_of(tree)))
    named = _named(variables, {ours.strip("/"): theirs.strip("/")
                               for ours, theirs in (names or {}).items()}, name)
    arrays = {leaf.path: leaf for leaf in weights}
    plan = (_plan_tf1 if style == "tf1" else _plan_tf2)(
        {key: _output(weight, arrays) for key, weight in named.items()})
    left = tuple(LeftOut(leaf.name, "state of a random generator") for leaf in leaves
                 if leaf.is_random)
    notes = tuple(f"{key} {list(weight.shape)} from {weight.places} ({weight.layout.name})"
                  for key, weight in named.items() if weight.layout is not SAME)
    return run_plan([], plan._replace(left_out=left, notes=notes), as_path(prefix),
                    overwrite=overwrite)


def _named(weights: list[Weight], names: Mapping[str, str], root: str) -> dict[str, Weight]:
    """Variables by the names that they get.

    Raises:
        AmbiguousNamesError: Two have one.
        TensorNotFoundError: One of the names is none of the tree's.
    """
    _check_used(names, [weight.name for weight in weights])
    found: dict[str, list[Weight]] = {}
    for weight in weights:
        name = _renamed(weight.name, names)
        found.setdefault("/".join([*filter(None, [root.strip("/")]), name]), []).append(weight)
    twice = {name: [weight.name for weight in own] for name, own in found.items() if len(own) > 1}
    if twice:
        raise AmbiguousNamesError("two values would get one name", groups=twice,
                                  got=", ".join(sorted(twice)),
                                  hint="names={ours: theirs} gives one of them another.")
    return {name: own[0] for name, own in found.items()}


def _check_used(names: Mapping[str, str], own: list[str]) -> None:
    known = {"/".join(parts[:n]) for name in own for parts in [name.split("/")]
             for n in range(1, len(parts) + 1)}
    for name in names:
        if name not in known:
            near = nearest(name, sorted(known))
            raise TensorNotFoundError(
                "names has a name that the tree doesn't have", tensor=name,
                hint=f"Nearest: {', '.join(near)}." if near else None)


def _renamed(name: str, names: Mapping[str, str]) -> str:
    """A name, with the longest part of its beginning that has another one replaced."""
    parts = name.split("/")
    for n in range(len(parts), 0, -1):
        other = names.get("/".join(parts[:n]))
        if other is not None:
            return "/".join([*filter(None, [other]), *parts[n:]])
    return name


def _output(weight: Weight, leaves: Mapping[tuple[str, ...], Leaf]) -> Output:
    parts = [leaves[path] for path in weight.paths]
    array = weight.layout.back([part.array() for part in parts], weight.shape)
    return array_output(weight.name, array, parts[0].dtype)


def _plan_tf1(outputs: Mapping[str, Output]) -> Plan:
    return Plan(tuple(output._replace(key=name) for name, output in outputs.items()),
                "name-based")


def _plan_tf2(outputs: Mapping[str, Output]) -> Plan:
    """An object graph with a node for each part of the names."""
    children: list[dict[str, int]] = [{}]
    at: dict[str, int] = {}
    for name in outputs:
        node = 0
        for part in name.split("/"):
            if part not in children[node]:
                children[node][part] = len(children)
                children.append({})
            node = children[node][part]
        at[name] = node
    counter = len(children)
    children.append({})
    children[0]["save_counter"] = counter
    keys = {name: object_key("/".join(map(escape_local_name, name.split("/"))), VARIABLE_VALUE)
            for name in outputs}
    attributes = {at[name]: (Attribute(VARIABLE_VALUE, name, key),) for name, key in keys.items()}
    counter_key = object_key("save_counter", VARIABLE_VALUE)
    attributes[counter] = (Attribute(VARIABLE_VALUE, "save_counter", counter_key),)
    nodes = [Node(tuple(Child(number, part) for part, number in own.items()),
                  attributes.get(n, ()), has_checkpoint_values=True)
             for n, own in enumerate(children)]
    return Plan((*(output._replace(key=keys[name]) for name, output in outputs.items()),
                 given_int64(counter_key, 1, "little"),
                 given_string(OBJECT_GRAPH_KEY, encode_object_graph(nodes), "little")),
                "object-based")
