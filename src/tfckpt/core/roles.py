"""What each tensor of a checkpoint is for: model, optimizer, moving average, or other.

Told by structure and never by a prefix alone. In an object-based checkpoint the object
graph says what an optimizer is and what it keeps; a compiled Keras 3 model may even have
its own kernels stored under ``optimizer/_trainable_variables``, and they count as model.
In a name-based one a slot is named after its variable: ``w/Adam`` beside ``w``.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import NamedTuple

from tfckpt.core.report import Role
from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, VARIABLE_VALUE, Node
from tfckpt.format.objectkeys import OPTIMIZER_SLOT, parse_object_key

__all__ = ["EMA_SUFFIX", "Assigned", "assign_roles", "optimizer_nodes", "slot_owner"]

EMA_SUFFIX = "ExponentialMovingAverage"

# Last parts of slot names as tf.train's optimizers, contrib's, BERT's and T5's write them.
# A further slot of the same optimizer, or of another one, is numbered.
_SLOT = re.compile(
    r"(Ada(Max|delta|factor|grad|gradDA|mW?)|Ftrl|LARSOptimizer|LAMB|LazyAdam|Momentum|Nadam"
    r"|ProximalAdagrad|RMSProp)(_\d+)?|(adam|lamb)_[mv]|slot_v[rc]?|v[rc]")
# An optimizer that was given a name has that in its slots' names: w/dqn_adam_1.
_NAMED_SLOT = re.compile(r"(?i)\w*(ada(m|grad|delta)|ftrl|momentum|rms_?prop|optimi[sz]er)\w*")
_SLOT_SUFFIXES = ("_slot_v", "_slot_vr", "_slot_vc", "_slot_m")  # mesh-tensorflow, T5
_MOST_SCOPES = 4  # before a slot's variable; a name of 64 KiB may be slashes only
_POWERS = ("beta1_power", "beta2_power")
_COUNTERS = frozenset({"global_step", "save_counter", "step", "epoch"})


class Assigned(NamedTuple):
    """A tensor's role, and the kind of slot or value that it is, for people."""

    role: Role
    kind: str = ""


def assign_roles(source: Source) -> dict[str, Assigned]:
    """The role of every key.

    An object graph that can't be read doesn't stop it: roles then come from the keys.
    """
    if source.style == "name-based":
        return {key: _by_name(key, source.index) for key in source.index}
    try:
        by_node = _by_graph(source.object_graph)
    except CheckpointError:
        by_node = {}
    names = {key: "/".join(parsed.names) for key in source.index
             if (parsed := parse_object_key(key)) and parsed.attribute == VARIABLE_VALUE}
    known = frozenset(names.values())
    return {key: by_node.get(key) or _by_object_key(key) or _by_name(names.get(key, key), known)
            for key in source.index}


def slot_owner(name: str, names: Container[str]) -> str | None:
    """The variable that a slot or a moving average belongs to, by its TF1 name.

    Args:
        name: Name of the slot: ``w/Adam_1``, ``w/ExponentialMovingAverage``. Those of
            tensor2tensor stand in a scope of their own: ``training/w/Adam``.
        names: All names of the checkpoint.

    Returns:
        The variable's name; None if this isn't a slot's name, or there is no such variable.

    Example:
        >>> slot_owner("training/w/Adam_1", ["w", "training/w/Adam_1"])
        'w'
    """
    parts = name.split("/")
    if EMA_SUFFIX in parts[1:]:
        owner = "/".join(parts[:parts.index(EMA_SUFFIX, 1)])
    elif _SLOT.fullmatch(parts[-1]) or _NAMED_SLOT.fullmatch(parts[-1]):
        owner = "/".join(parts[:-1])
    else:
        return next((name.removesuffix(suffix) for suffix in _SLOT_SUFFIXES
                     if name.endswith(suffix) and name.removesuffix(suffix) in names), None)
    for _ in range(_MOST_SCOPES):
        if owner in names or "/" not in owner:
            break
        owner = owner.partition("/")[2]
    return owner if owner in names else None


def _by_name(key: str, index: Container[str]) -> Assigned:
    """The role that a variable's TF1 name says; one may be the path of an object, too."""
    last = key.rpartition("/")[2]
    if EMA_SUFFIX in key.split("/"):
        return Assigned("ema", EMA_SUFFIX)
    owner = slot_owner(key, index)
    if owner is not None:
        is_whole = _SLOT.fullmatch(last) or _NAMED_SLOT.fullmatch(last)
        return Assigned("optimizer", last if is_whole else key[len(owner):].lstrip("_"))
    if last.startswith(_POWERS):
        return Assigned("optimizer", last)
    if last in _COUNTERS:
        return Assigned("other", last)
    return Assigned("model")


def _by_object_key(key: str) -> Assigned | None:
    """The role that a path says, if it says one."""
    parsed = parse_object_key(key)
    if parsed is None or parsed.attribute != VARIABLE_VALUE:
        return Assigned("other", "object graph" if key == OBJECT_GRAPH_KEY else "")
    if OPTIMIZER_SLOT in parsed.path:
        return Assigned("optimizer", parsed.path[-1])
    if len(parsed.path) == 1 and parsed.path[0] in _COUNTERS:
        return Assigned("other", parsed.path[0])
    if parsed.path[:2] == ("keras_api", "metrics"):  # running sums in a SavedModel of Keras
        return Assigned("other", "metrics")
    return None


def optimizer_nodes(nodes: Sequence[Node]) -> set[int]:
    """Numbers of the nodes that are optimizers, wrapped ones and their wrappers too."""
    return {n for n, node in enumerate(nodes) if _is_optimizer(node)}


def _is_optimizer(node: Node) -> bool:
    names = {child.local_name for child in node.children}
    if node.slot_variables or "_model_variables_moving_average" in names:
        return True
    return bool(names & {"_iterations", "iterations", "iter"}
                and names & {"_variables", "_learning_rate", "learning_rate", "decay", "beta_1"})


def _by_graph(nodes: tuple[Node, ...]) -> dict[str, Assigned]:
    if not nodes:
        return {}
    optimizers = optimizer_nodes(nodes)
    owned: dict[int, Assigned] = {}
    for n in optimizers:
        for slot in nodes[n].slot_variables:
            owned[slot.slot_variable_node_id] = Assigned("optimizer", slot.slot_name)
    program = _reachable(nodes, 0, avoid=optimizers)
    for n in optimizers:
        model = {child.node_id for child in nodes[n].children
                 if child.local_name == "_trainable_variables"}
        of_model = {child.node_id for at in model for child in nodes[at].children}
        averages = {child.node_id for child in nodes[n].children
                    if "moving_average" in child.local_name}  # not RMSprop's _average_gradients
        for at in sorted(averages):
            for child in nodes[at].children:
                owned.setdefault(child.node_id, Assigned("ema", "moving average"))
        names = _slot_kinds(nodes, n)
        for at in _reachable(nodes, n, avoid=program | of_model | model):
            owned.setdefault(at, Assigned("optimizer", names.get(at, "")))
    roles: dict[str, Assigned] = {}
    for n, node in enumerate(nodes):
        for attribute in node.attributes:
            if n in owned:
                roles[attribute.checkpoint_key] = owned[n]
    return roles


def _slot_kinds(nodes: tuple[Node, ...], optimizer: int) -> dict[int, str]:
    """What the variables of an optimizer's lists are, by the name of the list."""
    kinds: dict[int, str] = {}
    for child in nodes[optimizer].children:
        if child.local_name == "_variables":
            continue
        kinds.setdefault(child.node_id, child.local_name.lstrip("_"))
        for item in nodes[child.node_id].children:
            kinds.setdefault(item.node_id, child.local_name.lstrip("_"))
    return kinds


def _reachable(nodes: tuple[Node, ...], start: int, avoid: set[int]) -> set[int]:
    seen, queue = {start}, [start]
    while queue:
        for child in nodes[queue.pop()].children:
            if child.node_id not in seen and child.node_id not in avoid:
                seen.add(child.node_id)
                queue.append(child.node_id)
    return seen
