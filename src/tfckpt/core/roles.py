"""What each tensor of a checkpoint is for: model, optimizer, moving average, or other.

Told by structure and never by a prefix alone. In an object-based checkpoint the object
graph says what an optimizer is and what it keeps; a compiled Keras 3 model may even have
its own kernels stored under ``optimizer/_trainable_variables``, and they count as model.
In a name-based one a slot is named after its variable: ``w/Adam`` beside ``w``.
"""

from __future__ import annotations

from typing import NamedTuple

from tfckpt.core.index import Index
from tfckpt.core.report import Role
from tfckpt.core.source import Source
from tfckpt.errors import CheckpointError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, VARIABLE_VALUE, Node
from tfckpt.format.objectkeys import OPTIMIZER_SLOT, parse_object_key

__all__ = ["EMA_SUFFIX", "Assigned", "assign_roles"]

EMA_SUFFIX = "ExponentialMovingAverage"

# Last parts of slot names as tf.train's optimizers, contrib's, BERT's and T5's write them.
_SLOTS = frozenset({
    "Adam", "Adam_1", "Adam_2", "AdaMax", "AdaMax_1", "AdamW", "AdamW_1", "adam_m", "adam_v",
    "Adadelta", "Adadelta_1", "Adagrad", "AdagradDA", "AdagradDA_1", "Ftrl", "Ftrl_1",
    "lamb_m", "lamb_v", "LARSOptimizer", "LAMB", "LAMB_1", "LazyAdam", "LazyAdam_1", "Momentum",
    "Nadam", "Nadam_1", "ProximalAdagrad", "RMSProp", "RMSProp_1", "RMSProp_2", "slot_v",
    "slot_vc", "slot_vr", "vr", "vc",
})
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
    return {key: by_node.get(key) or _by_object_key(key) for key in source.index}


def _by_name(key: str, index: Index) -> Assigned:
    owner, _, last = key.rpartition("/")
    if last in _SLOTS:
        # tensor2tensor has its slots of model/w at training/model/w/Adam.
        for _ in range(_MOST_SCOPES):
            if owner in index or "/" not in owner:
                break
            owner = owner.partition("/")[2]
    if EMA_SUFFIX in key.split("/"):
        return Assigned("ema", EMA_SUFFIX)
    if last in _SLOTS and owner in index:
        return Assigned("optimizer", last)
    for suffix in _SLOT_SUFFIXES:
        if key.endswith(suffix) and key.removesuffix(suffix) in index:
            return Assigned("optimizer", suffix.lstrip("_"))
    if last.startswith(_POWERS):
        return Assigned("optimizer", last)
    if last in _COUNTERS:
        return Assigned("other", last)
    return Assigned("model")


def _by_object_key(key: str) -> Assigned:
    parsed = parse_object_key(key)
    if parsed is None or parsed.attribute != VARIABLE_VALUE:
        return Assigned("other", "object graph" if key == OBJECT_GRAPH_KEY else "")
    if OPTIMIZER_SLOT in parsed.path:
        return Assigned("optimizer", parsed.path[-1])
    if len(parsed.path) == 1 and parsed.path[0] in _COUNTERS:
        return Assigned("other", parsed.path[0])
    if parsed.path[:2] == ("keras_api", "metrics"):  # running sums in a SavedModel of Keras
        return Assigned("other", "metrics")
    return Assigned("model")


def _is_optimizer(node: Node) -> bool:
    if node.slot_variables:
        return True
    names = {child.local_name for child in node.children}
    return bool(names & {"_iterations", "iterations", "iter"}
                and names & {"_variables", "_learning_rate", "learning_rate", "decay", "beta_1"})


def _by_graph(nodes: tuple[Node, ...]) -> dict[str, Assigned]:
    if not nodes:
        return {}
    optimizers = {n for n, node in enumerate(nodes) if _is_optimizer(node)}
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
                    if "moving_average" in child.local_name or "average" in child.local_name}
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
