"""Does the cause of an error message apply to this checkpoint? A look that says so.

Each kind of look takes the facts that stood in the message (a key, shapes, an object's path)
and answers in sentences.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from tfckpt.core.discovery import as_path, discover, find_latest
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.pairing import plain_name
from tfckpt.core.roles import Assigned, assign_roles
from tfckpt.core.shapes import shape_text
from tfckpt.core.source import Source
from tfckpt.core.verify import verify
from tfckpt.errors import CheckpointError, FormatError, TensorNotFoundError, nearest
from tfckpt.format.objectkeys import escape_local_name

__all__ = ["LOOKS", "Diagnosis", "diagnose"]

_SHOWN = 3
_DTYPES = {"float": "float32", "double": "float64", "half": "float16"}  # as TensorFlow's C++ says
_SLOT = re.compile(
    r"(/(Adam\w*|Momentum|RMSProp(_\d)?|Adagrad\w*|Adadelta(_\d)?|Ftrl(_\d)?|adam_[mv]"
    r"|\.OPTIMIZER_SLOT/.*)|beta[12]_power(_\d+)?)$")
_PART = re.compile(r"(.+)/part_\d+")
_BY_FACTS = ("dtype", "key", "shape")  # looks that have nothing to look for without facts


class Diagnosis(NamedTuple):
    """What a look at a checkpoint said.

    Attributes:
        applies: Whether the cause applies to it; None if a look can't tell.
        lines: What was seen, a sentence or two each.
        prefix: The checkpoint, if the path led to one.
    """

    applies: bool | None
    lines: tuple[str, ...]
    prefix: str | None = None


Facts = Mapping[str, str]


def diagnose(look: str, facts: Facts, path: str) -> Diagnosis:
    """Look at a checkpoint for the cause of a message.

    Args:
        look: The kind of look, one of `LOOKS`.
        facts: What stood in the message, by the names of the table of explanations.
        path: The checkpoint, as `discover` takes it.

    Raises:
        CheckpointError: There is no checkpoint, where the look needs one.

    Example:
        >>> print(diagnose("key", {"key": "kernel"}, "examples/tf1").lines[0])
        It has no kernel; the nearest: dense/kernel float32 [3,4], logits/kernel float32 [4,2].
    """
    if look in _OF_PATHS:
        return _OF_PATHS[look](facts, as_path(path))
    try:
        source = open_source(path)
    except FormatError as error:  # the index itself is damaged
        if look != "damage":
            raise
        return _answer(True, *str(error).splitlines())
    with source:
        if look in _BY_FACTS and not facts:
            found = _answer(None, "The part of the message that names the tensor or its shape tells"
                                  " more: paste all of it.")
        else:
            found = _of_source(look, source, facts)
        return found._replace(prefix=source.prefix, lines=(*source.notes, *found.lines))


def _of_source(look: str, source: Source, facts: Facts) -> Diagnosis:
    try:
        return _OF_SOURCES[look](source, facts)
    except TensorNotFoundError:
        return _of_key(source, facts)


def _at_path(facts: Facts, path: str) -> Diagnosis:
    try:
        found = discover(path)
    except CheckpointError as error:
        return _answer(True, *str(error).splitlines())
    if found.notes:
        return _answer(True, *found.notes, f"Give TensorFlow this: {found.prefix}",
                       prefix=found.prefix)
    special = sorted(set(found.prefix) & set("[]*?"))
    if special:
        return _answer(True, f"The checkpoint is there, but TensorFlow reads {' '.join(special)} in"
                             " its path as a pattern, which finds nothing.", prefix=found.prefix)
    return _answer(False, f"{found.prefix} is the prefix of a checkpoint, and its index is there."
                          " Was the program given this path?", prefix=found.prefix)


def _at_state(facts: Facts, path: str) -> Diagnosis:
    folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
    try:
        found = find_latest(folder)
    except CheckpointError as error:
        return _answer(True, *str(error).splitlines())
    if found is None:
        return _answer(True, f"There is no state file `checkpoint` in {folder}.")
    if found.notes:
        return _answer(True, *found.notes, prefix=found.prefix)
    return _answer(False, f"The state file of {folder} names {found.prefix}, and it is there.",
                   prefix=found.prefix)


def _of_key(source: Source, facts: Facts) -> Diagnosis:
    key = facts.get("key", "")
    try:
        entry = source.index.resolve(key)
    except TensorNotFoundError:
        pass
    else:
        if entry.key != key:
            return _answer(True, f"It has it under another name: {entry.key} {_what(entry)}.")
        return _answer(False, f"It has {_named(entry)}: it isn't the checkpoint that the program"
                              " read.")
    roles = assign_roles(source)
    lines = [f"It has no {key}{_nearest_to(source, key, roles)}."]
    part = _PART.fullmatch(key)
    if part and part[1] in source.index and source.index[part[1]].slices:
        entry = source.index[part[1]]
        lines.append(f"{part[1]} {_what(entry)} is stored in {len(entry.slices)} slices under this"
                     " one name; a variable made with a partitioner restores it.")
    if is_slot_name(key) and not any(found.role == "optimizer" for found in roles.values()):
        lines.append("That is the name of an optimizer's slot, and the checkpoint has no optimizer"
                     " state at all.")
    if source.style == "object-based":
        lines.append("It is object-based (TF2): its keys are paths, and Saver asks for names.")
    return _answer(True, *lines)


def is_slot_name(key: str) -> bool:
    """Whether a key that isn't there would be a slot's.

    Example:
        >>> is_slot_name("dense/kernel/Adam_1"), is_slot_name("dense/kernel")
        (True, False)
    """
    return _SLOT.search(key) is not None


def _nearest_to(source: Source, name: str, roles: Mapping[str, Assigned]) -> str:
    keys = {plain_name(key): key for key, found in roles.items()
            if found.role != "optimizer" or is_slot_name(name)}
    scope, _, last = name.rpartition("/")
    word = last.rpartition("_")[2]
    beside = (key for key in keys if scope and key.rpartition("/")[0] == scope)
    alike = (key for key in keys if key.rpartition("/")[2] in (last, word))
    near = list(dict.fromkeys([*nearest(name, keys), *beside, *alike]))
    return f"; the nearest: {_list(source.index[keys[n]] for n in near[:_SHOWN])}" if near else ""


def _of_shape(source: Source, facts: Facts) -> Diagnosis:
    stored, wanted = (_parse_shape(facts.get(name, "")) for name in ("stored_shape", "shape"))
    key = facts.get("key")
    if key is not None:
        entry = source.index.resolve(key)
        if stored is not None and entry.shape != stored:
            return _answer(False, f"It has {_named(entry)}, not {_shape(stored)}: it isn't the"
                                  " checkpoint that the program read.")
        return _answer(True, f"It has {_named(entry)}, and the program wants {_shape(wanted)}.")
    same = [source.index[name] for name, (_, shape) in source.index.heads() if shape == stored]
    if not same:
        return _answer(False, f"No tensor in it has the shape {_shape(stored)}: it isn't the"
                              " checkpoint that the program read.")
    return _answer(True, f"The shape {_shape(stored)} is that of {_list(same)}. The variable of the"
                         f" program that restores one of them has {_shape(wanted)}.")


def _of_dtype(source: Source, facts: Facts) -> Diagnosis:
    entry = source.index.resolve(facts.get("key", ""))
    stored = facts.get("stored_dtype", "")
    return _answer(entry.dtype.name == _DTYPES.get(stored, stored),
                   f"It has {_named(entry)}; the program wants {facts.get('dtype')}.")


def _of_damage(source: Source, facts: Facts) -> Diagnosis:
    report = verify(source)
    if report.ok:
        return _answer(False, f"Every checksum of its {_count(report.n_tensors, 'tensor')} is"
                              " right: this checkpoint is whole.")
    lines = [str(problem.error).splitlines()[0] for problem in report.problems[:_SHOWN]]
    if len(report.problems) > _SHOWN:
        lines.append(f"and {len(report.problems) - _SHOWN} more")
    whole = report.n_tensors - len(report.damaged)
    return _answer(True, *lines, f"Whole: {whole} of {_count(report.n_tensors, 'tensor')}.")


def _of_style(source: Source, facts: Facts) -> Diagnosis:
    if source.style == "name-based":
        return _answer(True, f"It is name-based (TF1), {_count(len(source), 'tensor')}, such as"
                             f" {_list(_model_entries(source))}.")
    return _answer(False, f"It is object-based (TF2), {_count(len(source), 'tensor')}, saved with"
                          f" the attributes {_roots(source)}.")


def _of_roots(source: Source, facts: Facts) -> Diagnosis:
    if source.style == "name-based":
        return _answer(True, *_of_style(source, facts).lines,
                       "tf.train.Checkpoint can match it only by full names.")
    return _answer(None, f"It was saved with the attributes {_roots(source)}; the program has to"
                         " have the same: tf.train.Checkpoint(NAME=object), or"
                         " tf.train.Checkpoint(object) for the attributes of an object.")


def _of_object(source: Source, facts: Facts) -> Diagnosis:
    steps = facts.get("object", "").removeprefix("(root).")
    # Local names with dots in them can't be told from steps; each dot is taken for a step.
    path = "/".join(escape_local_name(step) for step in steps.split("."))
    roles = assign_roles(source)
    below = [key for key in source.index if path and (key + "/").startswith(path + "/")]
    if not below:
        counts = Counter(found.role for found in roles.values())
        told = ", ".join(f"{count} {role}" for role, count in sorted(counts.items()))
        return _answer(None, f"It has {_count(len(source), 'tensor')}: {told}.")
    entries = _list(source.index[key] for key in below)
    if all(roles[key].role == "optimizer" for key in below):
        return _answer(False, f"What is at {steps} is state of the optimizer ({entries}): a program"
                              " that only predicts doesn't need it.")
    return _answer(True, f"At {steps} it has {entries}, which the program didn't restore.")


def _of_optimizer(source: Source, facts: Facts) -> Diagnosis:
    slots = Counter(found.kind for found in assign_roles(source).values()
                    if found.role == "optimizer")
    if not slots:
        return _answer(False, "It has no optimizer state.")
    legacy = source.style == "name-based" or any(
        node.slot_variables for node in source.object_graph)
    layout = "one slot for each variable (legacy)" if legacy else "one list (Keras 2.11 and later)"
    kinds = ", ".join(sorted(filter(None, slots)))
    told = _count(sum(slots.values()), "tensor")
    return _answer(legacy, f"It has {told} of optimizer state, laid out as {layout}: {kinds}.")


def _of_keras(source: Source, facts: Facts) -> Diagnosis:
    entries = _model_entries(source)
    return _answer(True, f"It is a checkpoint in TensorFlow's format, {source.style}, with"
                         f" {_count(len(entries), 'tensor')} of the model: {_list(entries)}.")


def _answer(applies: bool | None, *lines: str, prefix: str | None = None) -> Diagnosis:
    return Diagnosis(applies, lines, prefix)


def _model_entries(source: Source) -> list[Entry]:
    return [source.index[key] for key, assigned in assign_roles(source).items()
            if assigned.role == "model"]


def _roots(source: Source) -> str:
    graph = source.object_graph
    return ", ".join(child.local_name for child in graph[0].children[:8]) if graph else "none"


def _named(entry: Entry) -> str:
    return f"{plain_name(entry.key)} {_what(entry)}"


def _what(entry: Entry) -> str:
    return f"{entry.dtype} {shape_text(entry.shape)}"


def _list(entries: Iterable[Entry]) -> str:
    entries = list(entries)
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return ", ".join(map(_named, entries[:_SHOWN])) + more


def _shape(shape: tuple[int, ...] | None) -> str:
    return "another shape" if shape is None else shape_text(shape)


def _parse_shape(text: str) -> tuple[int, ...] | None:
    """A shape as a message has it: ``[3,4]``, ``(3, 4)``, ``((3,))``."""
    if not re.fullmatch(r"[\[(]+[\d\s,]*[\])]+", text):
        return None
    return tuple(int(size) for size in re.findall(r"\d{1,20}", text))


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


_OF_PATHS: dict[str, Callable[[Facts, str], Diagnosis]] = {"path": _at_path, "state": _at_state}
_OF_SOURCES: dict[str, Callable[[Source, Facts], Diagnosis]] = {
    "damage": _of_damage, "dtype": _of_dtype, "key": _of_key, "keras": _of_keras,
    "object": _of_object, "optimizer": _of_optimizer, "roots": _of_roots, "shape": _of_shape,
    "style": _of_style,
}
LOOKS = frozenset({*_OF_PATHS, *_OF_SOURCES})
"""The kinds of looks."""
