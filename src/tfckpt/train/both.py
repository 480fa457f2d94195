"""Both formats at once: training moves to TF2 while serving still reads TF1.

One pass over the variables writes a TF2 checkpoint; the TF1 checkpoint beside it is a second
index over the same data files, which get a second name. Each has its own folder, state file
and retention, and either can be deleted without harm to the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from tfckpt.core.bundle import BundleSource
from tfckpt.core.collection import no_collection
from tfckpt.core.discovery import as_path
from tfckpt.core.plan import Output, Plan
from tfckpt.errors import PathConflictError, VariableError, VariableTypeError
from tfckpt.train.adapters import using_session
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.manager import CheckpointManager
from tfckpt.train.pending import PendingSave
from tfckpt.train.saver import Saver
from tfckpt.train.variables import Variable
from tfckpt.train.varlist import plan_names

__all__ = ["SavedBoth", "prepare_both", "prepare_shared", "save_both", "shared_plan",
           "split_shared"]

Path = str | os.PathLike[str]


class SavedBoth(NamedTuple):
    """Prefixes of the two checkpoints of one save.

    Attributes:
        tf1: The name-based one.
        tf2: The object-based one.
    """

    tf1: str
    tf2: str


def save_both(saver: Saver, checkpoint: Checkpoint | CheckpointManager, tf1_path: Path,
              tf2_path: Path | None = None, global_step: Any = None, *, session: Any = None
              ) -> SavedBoth | None:
    """Save the same values as a TF1 and a TF2 checkpoint that share their data.

    Args:
        saver: Says which variables the TF1 checkpoint has, under which names, and how many
            saves are kept.
        checkpoint: Says what the TF2 checkpoint has. A `Checkpoint` counts its saves; a
            `CheckpointManager` also keeps and deletes them.
        tf1_path: Prefix of the TF1 checkpoint; the step follows as in `Saver.save`.
        tf2_path: Prefix of the TF2 checkpoint, to which `Checkpoint.save` adds its number;
            None for a manager, which has its own.
        global_step: A number or variable; in the name of the TF1 checkpoint, and of the
            manager's.
        session: The session that has the values of TensorFlow's graph variables; the default
            one if it is None.

    Returns:
        The two prefixes, or None if the manager's interval says that no save is due.

    Raises:
        PathConflictError: Both would be in one folder, whose state file can name only one.

    Example:
        >>> import tempfile, tfckpt
        >>> from tfckpt.train.variables import Variable
        >>> folder, v = tempfile.mkdtemp(), Variable([1.0, 2.0], name="v")
        >>> saved = save_both(Saver([v]), Checkpoint(model={"v": v}), folder + "/tf1/model",
        ...                   folder + "/tf2/ckpt", global_step=7)
        >>> tfckpt.open(saved.tf1)["v"].tolist(), tfckpt.open(saved.tf2)["model/v"].tolist()
        ([1.0, 2.0], [1.0, 2.0])
    """
    with no_collection():
        pending = prepare_both(saver, checkpoint, tf1_path, tf2_path, global_step, session=session)
        return None if pending is None else pending.finish()


def prepare_both(saver: Saver, checkpoint: Checkpoint | CheckpointManager, tf1_path: Path,
                 tf2_path: Path | None = None, global_step: Any = None, *, session: Any = None
                 ) -> PendingSave | None:
    """`save_both` as far as taking the values; see `PendingSave`."""
    manager = checkpoint if isinstance(checkpoint, CheckpointManager) else None
    objects = checkpoint.checkpoint if isinstance(checkpoint, CheckpointManager) else checkpoint
    if not isinstance(objects, Checkpoint):
        raise VariableTypeError("the manager's checkpoint is no tfckpt.Checkpoint",
                                got=type(objects).__name__)
    if manager is None and tf2_path is None:
        raise VariableError("a Checkpoint needs a path for the TF2 checkpoint")
    folder = os.path.dirname(as_path(tf1_path))
    other = manager.directory if manager else os.path.dirname(as_path(tf2_path or ""))
    if os.path.realpath(folder or ".") == os.path.realpath(other or "."):
        raise PathConflictError(
            "a folder's state file names one checkpoint, and both would be in this folder",
            file=folder or ".", hint="Give each format a folder of its own.")
    with using_session(session):
        tf2 = (manager.prepare(checkpoint_number=global_step) if manager
               else objects.prepare(tf2_path or ""))
        if tf2 is None:
            return None
        return prepare_shared(saver, objects, tf2,
                              lambda rest: saver.prepare_plan(rest, tf1_path, global_step))


def prepare_shared(saver: Saver, checkpoint: Checkpoint, tf2: PendingSave,
                   prepare_names: Callable[[Plan], PendingSave]) -> PendingSave:
    """Two saves as one: of objects, and of names that takes its data from there.

    Args:
        saver: Whose variables have names.
        checkpoint: Whose objects are saved.
        tf2: The save of objects.
        prepare_names: Prepares the other save, given a plan of what isn't among the objects.
    """
    shared, rest = split_shared(saver, checkpoint)
    tf1 = prepare_names(rest)

    def write(plan: Plan) -> None:
        tf2.write(plan)
        with BundleSource(tf2.result) as source:
            tf1.write(shared_plan(shared, rest, source))

    return PendingSave(SavedBoth(tf1.result, tf2.result), tf2.plan, write)


def split_shared(saver: Saver, checkpoint: Checkpoint) -> tuple[dict[str, str], Plan]:
    """Key in the TF2 checkpoint of each variable that is there, by name; a plan of the rest."""
    keys = {id(item.owner): item.key for item in checkpoint.view().stored}
    shared, rest = {}, {}
    for name, value in saver.variables.items():
        # An object of the user's own may have several values, each under a name of its own.
        if isinstance(value, Variable) and id(value) in keys:
            shared[name] = keys[id(value)]
        else:
            rest[name] = value
    return shared, plan_names(rest)


def shared_plan(shared: dict[str, str], rest: Plan, source: BundleSource) -> Plan:
    """A TF1 checkpoint, with every value that the TF2 checkpoint has taken from there."""
    entries = {name: source.index[key] for name, key in shared.items()}
    linked = [Output(name, entry.dtype, entry.shape, source.origin(entry))
              for name, entry in entries.items()]
    return Plan((*linked, *rest.outputs), "name-based")
