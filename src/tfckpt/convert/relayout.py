"""An optimizer's state in another layout, without a template.

The rest of an object-based checkpoint stays as it is: its object graph gets another optimizer
in the place of the old one. Out of a name-based one becomes what
``tf.train.Checkpoint(vars={name: variable}, optimizer=optimizer)`` saves, the optimizer built
for the variables in ascending order of their names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Literal

from tfckpt.convert.anatomy import Anatomy
from tfckpt.convert.like import LikeOptions, plan_like, read_parts
from tfckpt.convert.optimizers.differences import same_state
from tfckpt.convert.optimizers.drawing import Drawing, Drawn
from tfckpt.convert.optimizers.keras2 import draw_keras2
from tfckpt.convert.optimizers.keras3 import draw_keras3
from tfckpt.convert.optimizers.legacy import draw_legacy
from tfckpt.convert.optimizers.nodes import Nodes
from tfckpt.convert.optimizers.state import Optimizer, Slot
from tfckpt.convert.optimizers.state import Plan as OptimizerPlan
from tfckpt.convert.optimizers.table import KINDS, Kind, SlotNames, tf1_order
from tfckpt.convert.optimizers.tf1 import tf1_slot_key
from tfckpt.convert.running import DataChoice, run_plan
from tfckpt.convert.tf1_to_tf2 import SAVE_COUNTER
from tfckpt.convert.tf2_to_tf1 import NameChoice, plan_tf2_to_tf1
from tfckpt.core.discovery import as_path
from tfckpt.core.matching import MatchReport, Pair
from tfckpt.core.opening import open_source
from tfckpt.core.plan import Plan, Progress, no_progress, old_key
from tfckpt.core.report import ConvertReport
from tfckpt.core.roles import optimizer_nodes
from tfckpt.core.source import Source
from tfckpt.errors import UnsupportedError
from tfckpt.format.dtypes import INT64
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, Node
from tfckpt.format.objectkeys import escape_local_name

__all__ = ["LayoutChoice", "convert_optimizer", "plan_optimizer"]

Path = str | os.PathLike[str]
LayoutChoice = Literal["tf1", "legacy", "keras2", "keras3"]
_DRAW: dict[str, Callable[[Drawing, int, str, OptimizerPlan], None]] = {
    "legacy": draw_legacy, "keras2": draw_keras2, "keras3": draw_keras3}
_LEARNING_RATES = {"sgd": 0.01}  # Keras' defaults; 0.001 for all others
_NOT_LEGACY = frozenset({"adamw", "lion", "lamb", "muon", "adafactor"})
_NOT_KERAS2 = frozenset({"lamb", "muon"})


def convert_optimizer(src: Path, dst: Path, *, to: LayoutChoice, kind: str = "auto",
                      given: Mapping[str, float] | None = None, root: str = "vars",
                      names: NameChoice = "auto", data: DataChoice = "link",
                      overwrite: bool = False, dry_run: bool = False,
                      progress: Progress = no_progress) -> ConvertReport:
    """Convert a checkpoint with the state of its optimizer.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder. It is never changed.
        dst: Prefix of the result, used exactly as it is.
        to: How the state is stored: ``"tf1"``, by names for a ``Saver``; ``"legacy"``,
            ``"keras2"``, ``"keras3"``, in an object graph.
        kind: The optimizer; ``"auto"`` believes names and structure.
        given: Values that count more than those of the source: ``learning_rate``, ``beta_1``.
        root: For a name-based source, the name of the dictionary that holds the variables.
        names: For ``"tf1"``, where names come from; see `plan_tf2_to_tf1`.
        data: ``"link"`` the data files, ``"copy"`` them, or ``"pack"`` what is kept of them.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was done, with the plan; its notes say what the next step will do otherwise.

    Raises:
        UnsupportedError: There is no such optimizer, or a value can't be told.
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile
        >>> report = convert_optimizer("examples/tf1", tempfile.mkdtemp() + "/ckpt", to="legacy",
        ...                            given={"learning_rate": 0.01})
        >>> [output.key for output in report.plan.outputs if "OPTIMIZER_SLOT" in output.key][0]
        'vars/block..1.Sw/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE'
    """
    with open_source(src) as source:
        plan = plan_optimizer(source, to, kind=kind, given=given or {}, root=root, names=names)
        return run_plan(source, plan, as_path(dst), data=data, overwrite=overwrite,
                        dry_run=dry_run, progress=progress)


def plan_optimizer(source: Source, to: LayoutChoice, *, kind: str = "auto",
                   given: Mapping[str, float], root: str = "vars", names: NameChoice = "auto"
                   ) -> Plan:
    """Plan it.

    Raises:
        UnsupportedError: There is no such optimizer, or a value can't be told.
    """
    anatomy = read_parts(source, kind)
    old = _only_optimizer(source, anatomy, kind)
    target = _target_kind(old, to)
    if to == "tf1":
        drawn, partners = _draw_names(source, anatomy, old, target, names)
    elif source.style == "name-based":
        drawn, partners = _draw_dictionary(source, anatomy, old, target, to, root, given)
    else:
        drawn, partners = _draw_in_place(source, anatomy, old, target, to, given)
    matched = MatchReport(source.prefix, drawn.prefix, tuple(
        Pair(key, other, "name") for other, key in partners.items()))
    plan = plan_like(source, drawn, matched, LikeOptions(kind, given))
    return plan._replace(left_out=tuple(
        item._replace(reason="kept otherwise") if item.key == OBJECT_GRAPH_KEY else item
        for item in plan.left_out))


def _only_optimizer(source: Source, anatomy: Anatomy, kind: str) -> Optimizer:
    if not anatomy.variables:
        raise UnsupportedError("the checkpoint has no model", file=source.prefix)
    if len(anatomy.optimizers) == 1:
        return anatomy.optimizers[0]
    if not anatomy.optimizers and kind == "sgd":  # keeps nothing in TF1
        return Optimizer("tf1", "sgd", {}, {})
    raise UnsupportedError(
        "the checkpoint has no optimizer state that is known" if not anatomy.optimizers else
        f"the checkpoint has {len(anatomy.optimizers)} optimizers", file=source.prefix,
        hint="Convert it with a template: --like." if anatomy.optimizers else
        "Plain SGD keeps none in TF1: say so with --optimizer sgd.")


def _target_kind(old: Optimizer, to: LayoutChoice) -> Kind:
    name = {"bert": "adamw", "proximal_adagrad": "adagrad"}.get(old.kind, old.kind)
    if to == "tf1" and old.layout.startswith("tf1"):
        name = old.kind
    kind = KINDS[name]
    missing = {"tf1": not kind.tf1, "legacy": name in _NOT_LEGACY, "keras2": name in _NOT_KERAS2,
               "keras3": False}[to]
    if missing:
        others = [other for other in KINDS if same_state(name, other)]
        raise UnsupportedError(f"{to} has no optimizer {kind.keras or name}",
                               hint=f"Its state is also that of: {', '.join(others)}.")
    return kind


def _slots(old: Optimizer, target: Kind, to: LayoutChoice, momentum: float | None
           ) -> tuple[SlotNames, ...]:
    """What the target keeps for each variable: what the old one did, as far as it goes.

    TF1's RMSProp keeps momentum even where it is 0, Keras doesn't; only the user knows.
    """
    kept = [slot for name in old.slot_names if (slot := target.slot(name)) is not None]
    if to == "legacy":
        kept = [slot for slot in kept if slot.legacy and slot.name != "average"]
    elif to == "keras2" and target.name == "sgd" and not kept:
        kept = list(target.slots)  # it keeps momentum even if there is none
    if momentum == 0 and (target.name == "rmsprop" or (target.name == "sgd" and to != "keras2")):
        kept = [slot for slot in kept if slot.name != "momentum"]
    order = [slot.name for slot in target.slots]
    return tuple(sorted(kept, key=lambda slot: order.index(slot.name)
                        if slot.name in order else -1))


def _variables(old: Optimizer, anatomy: Anatomy) -> list[str]:
    """Keys of the trained variables, in the order of training as far as the layout tells."""
    found = list(dict.fromkeys(slot.variable for slot in old.slots if slot.name != "average"))
    return found or list(anatomy.variables)


def _plan(old: Optimizer, target: Kind, to: LayoutChoice, variables: list[tuple[int, str]],
          given: Mapping[str, float]) -> OptimizerPlan:
    scheduled = "iterations" in old.values and "learning_rate" not in old.values
    return OptimizerPlan(
        target, _slots(old, target, to, given.get("momentum")), tuple(variables),
        None if scheduled else _LEARNING_RATES.get(target.name, 0.001), "loss_scale" in old.values)


def _draw_dictionary(source: Source, anatomy: Anatomy, old: Optimizer, target: Kind,
                     to: LayoutChoice, root: str, given: Mapping[str, float]
                     ) -> tuple[Drawn, dict[str, str]]:
    drawing = Drawing()
    holder = drawing.node(0, root)
    optimizer = drawing.node(0, "optimizer")
    drawing.count(0, "", SAVE_COUNTER, SAVE_COUNTER)
    partners, numbers = {}, {}
    state = old.keys
    path = escape_local_name(root)
    for key, entry in source.index.items():
        if key not in state:
            numbers[key] = drawing.variable(holder, path, key, key, (entry.dtype, entry.shape))
            partners[drawing.nodes[numbers[key]].attributes[0].checkpoint_key] = key
    variables = [(numbers[key], key) for key in sorted(_variables(old, anatomy))]
    _DRAW[to](drawing, optimizer, "optimizer", _plan(old, target, to, variables, given))
    return drawing.finish(source.byte_order), partners


def _draw_in_place(source: Source, anatomy: Anatomy, old: Optimizer, target: Kind,
                   to: LayoutChoice, given: Mapping[str, float]) -> tuple[Drawn, dict[str, str]]:
    graph = source.object_graph
    state = old.keys
    nodes = Nodes(graph)
    inner = {nodes.child(n, "inner_optimizer") for n in optimizer_nodes(graph)}
    number = min(optimizer_nodes(graph) - inner)
    heads = {key: (entry.dtype, entry.shape) for key, entry in source.index.items()
             if key not in state and key != OBJECT_GRAPH_KEY}
    blank = [node._replace(attributes=(), children=(), slot_variables=()) if n == number
             or any(item.checkpoint_key in state for item in node.attributes) else node
             for n, node in enumerate(graph)]
    drawing = Drawing(_reachable_only(blank, number), heads)
    by_key = {item.checkpoint_key: (n, item.full_name) for n, node in enumerate(drawing.nodes)
              for item in node.attributes}
    trained = _variables(old, anatomy)
    if not old.slots:  # the order in which TensorFlow came by them
        trained.sort(key=lambda key: by_key[key][0])
    variables = [by_key[key] for key in trained]
    place = _path_of(graph, number)
    _DRAW[to](drawing, number, place, _plan(old, target, to, variables, given))
    return drawing.finish(source.byte_order), {key: key for key in heads}


def _reachable_only(nodes: list[Node], optimizer: int) -> list[Node]:
    """The same, but for values that only the old optimizer led to: its lists are empty now."""
    seen, queue = {0, optimizer}, [0, optimizer]
    while queue:
        for child in nodes[queue.pop()].children:
            if child.node_id not in seen:
                seen.add(child.node_id)
                queue.append(child.node_id)
    return [node if n in seen or node.attributes else Node() for n, node in enumerate(nodes)]


def _path_of(graph: tuple[Node, ...], wanted: int) -> str:
    """The shortest path to a node, as it stands in keys."""
    paths = {0: ""}
    queue = [0]
    for at in queue:
        for child in graph[at].children:
            if child.node_id not in paths:
                paths[child.node_id] = (paths[at] + "/" if paths[at] else "") + escape_local_name(
                    child.local_name)
                queue.append(child.node_id)
    return paths.get(wanted, "optimizer")


def _draw_names(source: Source, anatomy: Anatomy, old: Optimizer, target: Kind, names: NameChoice
                ) -> tuple[Drawn, dict[str, str]]:
    if source.style == "name-based":
        raise UnsupportedError("the checkpoint is name-based (TF1) already", file=source.prefix)
    state = old.keys
    renamed = {old_key(output) or "": output.key for output in plan_tf2_to_tf1(
        source, names).outputs}
    partners = {name: key for key, name in renamed.items() if key not in state}
    heads = {name: (source.index[key].dtype, source.index[key].shape)
             for name, key in partners.items()}
    kept = {slot.name for slot in _slots(old, target, "tf1", None)} - {"velocity_hat"}
    if target.name == "rmsprop":
        kept |= {"velocity", "momentum"}  # TF1 always keeps both
    order = tf1_order(target, sum(slot.name in kept for slot in target.slots))
    for key in _variables(old, anatomy) if order else ():
        for name in order:
            slot_key = tf1_slot_key(target.name, order, Slot(name, renamed[key]))
            heads[slot_key] = source.index[key].dtype, source.index[key].shape
    values: dict[str, float] = {}
    float32 = source.index[anatomy.variables[0]].dtype
    for name in target.powers:
        heads[name] = float32, ()
        values[name] = dict(target.hypers)["beta_1" if name == "beta1_power" else "beta_2"]
    if "global_step" not in heads:
        heads["global_step"] = INT64, ()
    return Drawn(heads, values, (), source.byte_order), partners
