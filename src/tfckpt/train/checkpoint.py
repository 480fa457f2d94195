"""`Checkpoint`: saving and restoring a structure of objects (TF2's object-based checkpoints).

Source: python/checkpoint/checkpoint.py.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

from tfckpt.core.collection import no_collection
from tfckpt.core.discovery import as_path
from tfckpt.core.plan import Plan
from tfckpt.core.source import Source
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointNotFoundError, VariableError, VariableTypeError
from tfckpt.train.adapters import session_in, stand_in, tree_of, using_session, why_not
from tfckpt.train.byname import NamedRestoration
from tfckpt.train.deferred import SAVE_COUNTER, fill_waiting
from tfckpt.train.fetching import open_for_objects
from tfckpt.train.graphview import GraphView, plan_objects, view_objects
from tfckpt.train.loadreport import RestoreError
from tfckpt.train.objects import Trackable, children_of
from tfckpt.train.pending import PendingSave
from tfckpt.train.refusals import warn
from tfckpt.train.restoring import Restoration
from tfckpt.train.state import write_state
from tfckpt.train.status import NameBasedStatus, NothingStatus, ObjectStatus, RestoreStatus
from tfckpt.train.tracking import is_trackable, tracked
from tfckpt.train.untracked import untracked_in
from tfckpt.train.variables import Variable

__all__ = ["Checkpoint"]

Path = str | os.PathLike[str]


class Checkpoint(Trackable):
    """Saves and restores variables by where they are in a structure of objects.

    Keys are made from attribute names, list indexes and dict keys, not from variables' names:
    ``Checkpoint(vars={"a": v})`` stores ``v`` as ``vars/a/.ATTRIBUTES/VARIABLE_VALUE``, as
    TensorFlow does, and each reads what the other wrote.

    Args:
        root: An object whose children become the checkpoint's own: `Module`, list, dict or
            another trackable, or a weak reference to one. ``Checkpoint(model)`` and
            ``Checkpoint(model=model)`` are different structures.
        **kwargs: Further children by name.

    Raises:
        VariableTypeError: A child is nothing that can be saved.
        VariableError: A keyword names an attribute that the root has for another object.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> saved = Checkpoint(variables=[Variable(5.0), Variable(6.0)]).save(folder + "/ckpt")
        >>> a, b = Variable(0.0), Variable(0.0)
        >>> status = Checkpoint(variables=[a, b]).restore(saved).assert_consumed()
        >>> float(a), float(b)
        (5.0, 6.0)
    """

    def __init__(self, root: Any = None, **kwargs: Any) -> None:
        self.__dict__["_save_counter"] = None
        self.__dict__["_root"] = None
        self.__dict__["_attached"] = {}
        if root is not None:
            self._set_root(root)
            kwargs["root"] = self.__dict__["_root"] if tree_of(root) is None else root
        for name, value in sorted(kwargs.items()):
            setattr(self, name, value)
            child = self._children().get(name, self.__dict__[name])
            if isinstance(child, weakref.ref):
                continue  # found through the reference, and not kept alive
            if not is_trackable(child):
                reason = why_not(child)  # an object of a framework may be pages of text
                got = f"{name}={type(value).__name__ if reason else repr(value)}"
                raise VariableTypeError("this is nothing that a checkpoint can save", got=got,
                                        hint=reason or "Give variables, modules, and lists and"
                                             " dicts of them.")
            if root is not None:
                self._attach(name, child)

    _attached: dict[str, Any]
    _save_counter: Variable | None

    def _set_root(self, root: Any) -> None:
        tree = tree_of(root)
        if tree is not None:
            target = tree
        else:
            target = root() if isinstance(root, weakref.ref) else tracked(root)
        if not is_trackable(target) or (tree is not None and isinstance(tree, Variable)):
            reason = why_not(target)
            raise VariableTypeError(
                "the root is nothing that a checkpoint can save", hint=reason,
                got=type(target).__name__ if reason else repr(target if tree is None else root))
        self.__dict__["_root"] = root if isinstance(root, weakref.ref) else target

    def _trackable_children(self) -> dict[str, Any]:
        """Children by name, for a checkpoint that is itself a child of something."""
        root, counter = self.__dict__["_root"], self._save_counter
        first = {} if root is None or isinstance(root, weakref.ref) else {"_root": root}
        last = {} if counter is None else {SAVE_COUNTER: counter}
        return first | super()._trackable_children() | last

    def _attach(self, name: str, child: Any) -> None:
        own = self._root_children().get(name)
        if own is not None and not _is_same(own, stand_in(child)):
            raise VariableError(
                "the root already has an attribute of this name, which is another object",
                got=name, hint="Give the keyword another name.")
        if own is None:
            self._attached[name] = child

    def _target(self) -> Any:
        """The object that node 0 is: the root that was given, or this checkpoint."""
        root = self.__dict__["_root"]
        if isinstance(root, weakref.ref):
            root = root()
            if root is None:
                raise VariableError("the root of the checkpoint has died")
        return self if root is None else stand_in(root)

    def _root_children(self) -> dict[str, Any]:
        return children_of(self._target())

    def _all_attached(self) -> dict[str, Any]:
        attached = {name: stand_in(child) for name, child in self._attached.items()}
        if isinstance(self.__dict__["_root"], weakref.ref):
            attached = {"root": self._target(), **attached}
        if self._save_counter is not None:
            attached[SAVE_COUNTER] = self._save_counter
        return attached

    def view(self) -> GraphView:
        """The objects below the root as they are now."""
        return view_objects(self._target(), self._all_attached())

    @property
    def save_counter(self) -> Variable:
        """How often `save` was called: an int64 variable, made when it is first needed."""
        return self._maybe_create_save_counter()

    def _maybe_create_save_counter(self) -> Variable:
        if self._save_counter is None:
            counter = self._root_children().get(SAVE_COUNTER)
            if not isinstance(counter, Variable):
                counter = Variable(0, name=SAVE_COUNTER, dtype="int64", trainable=False,
                                   collections=[])
            self.__dict__["_save_counter"] = counter
            for parent in {id(self): self, id(self._target()): self._target()}.values():
                fill_waiting(parent, SAVE_COUNTER, counter)
        assert self._save_counter is not None
        return self._save_counter

    def write(self, file_prefix: Path, options: object = None, *, session: Any = None) -> str:
        """Write a checkpoint exactly at a prefix: no number, no save counter, no state file.

        What is there already is replaced, and stays whole until then.

        Args:
            file_prefix: The prefix.
            options: Not used; a session may be in this place, where TensorFlow 1 had it.
            session: The session that has the values of TensorFlow's graph variables; the
                default one if it is None.

        Returns:
            The prefix.
        """
        with no_collection():
            prefix: str = self.prepare_write(file_prefix, options, session=session).finish()
        return prefix

    def save(self, file_prefix: Path, options: object = None, *, session: Any = None) -> str:
        """Write a numbered checkpoint, and note it in the folder's state file.

        Args:
            file_prefix: The prefix, to which the number is added.
            options: As for `write`.
            session: As for `write`.

        Returns:
            The prefix with ``-`` and the number of this save.
        """
        with no_collection():
            prefix: str = self.prepare(file_prefix, options, session=session).finish()
        return prefix

    def prepare_write(self, file_prefix: Path, options: object = None, *, session: Any = None
                      ) -> PendingSave:
        """`write` as far as taking the values; see `PendingSave`."""
        prefix = as_path(file_prefix)
        with using_session(session or session_in(options)):
            view = self.view()
            _warn_of_untracked(view)
            plan = plan_objects(view)
        return PendingSave(prefix, plan, lambda plan: write_plan(plan, prefix, overwrite=True))

    def prepare(self, file_prefix: Path, options: object = None, *, session: Any = None
                ) -> PendingSave:
        """`save` as far as taking the values. The save is counted."""
        counter = self._maybe_create_save_counter().assign_add(1)
        pending = self.prepare_write(f"{as_path(file_prefix)}-{int(counter)}", options,
                                     session=session)

        def write(plan: Plan) -> None:
            pending.write(plan)
            write_state(os.path.dirname(pending.result) or ".", pending.result,
                        save_relative_paths=True)

        return pending._replace(write=write)

    def restore(self, save_path: Path | None, options: object = None) -> RestoreStatus:
        """Restore values, now and as further objects are attached.

        Args:
            save_path: A checkpoint of either style: its prefix, any of its files, or a folder.
                None restores nothing, for a first run.
            options: Not used.

        Returns:
            A status, to assert what has to have matched.

        Raises:
            RestoreError: Shapes or dtypes differ; or the checkpoint is name-based and none of
                the program's variables is in it. Nothing was loaded.
        """
        status = self.read(save_path)
        if save_path is not None:
            counter = self._maybe_create_save_counter()
            if isinstance(status, NameBasedStatus):
                status.leave_out(counter)
        return status

    def read(self, save_path: Path | None, options: object = None) -> RestoreStatus:
        """Restore values as `restore` does, but of a checkpoint that `write` wrote.

        The only difference is that no save counter is made for it.
        """
        if save_path is None:
            return NothingStatus(self._lasting_view())
        with _open(save_path) as source:
            if source.style == "name-based":
                return self._read_by_name(NamedRestoration(source))
            return self._read_by_object(Restoration(source))

    def _read_by_object(self, restoration: Restoration) -> ObjectStatus:
        status = ObjectStatus(restoration, self._lasting_view())
        try:
            restoration.start(self._target(), self._all_attached())
        except RestoreError as error:
            error.report = status.report
            raise
        _warn_of_nothing(restoration, self.view())
        return status

    def _read_by_name(self, restoration: NamedRestoration) -> NameBasedStatus:
        status = NameBasedStatus(restoration, self._lasting_view())
        view = self.view()
        try:
            restoration.restore(view)
        except RestoreError as error:
            error.report = status.report
            raise
        counted = {item.owner.full_name for item in view.stored if isinstance(item.owner, Variable)}
        if counted - {SAVE_COUNTER} and not restoration.loaded:
            raise RestoreError(
                "the checkpoint is name-based (TF1), and none of the program's variables is in it",
                report=status.report, file=restoration.source.prefix,
                hint="Variables are found by their names; `tfckpt ls` shows those of the"
                     " checkpoint.")
        return status

    def _lasting_view(self) -> Callable[[], GraphView]:
        """`view`, for as long as it is asked: it keeps a root alive that we don't."""
        target = self._target()
        return lambda: view_objects(target, self._all_attached())


def _open(save_path: Path) -> Source:
    """Open a checkpoint, or the variables of a SavedModel.

    Raises:
        CheckpointNotFoundError: There is neither.
    """
    try:
        source = open_for_objects(save_path)
    except CheckpointNotFoundError as error:
        error.message = f"neither a checkpoint nor a SavedModel can be restored: {error.message}"
        raise
    for note in source.notes:
        if "state file points" in note:
            warn(note)
    return source


def _is_same(own: Any, other: Any) -> bool:
    """Whether two children are one object, or two lists or dicts of the same objects."""
    if own is other or isinstance(own, Trackable) or type(own) is not type(other):
        return own is other
    ours, theirs = children_of(own), children_of(other)
    return bool(ours) and ours.keys() == theirs.keys() and all(
        _is_same(child, theirs[name]) for name, child in ours.items())


def _warn_of_untracked(view: GraphView) -> None:
    """Warn of what the objects hold that the checkpoint won't have."""
    for text in untracked_in(view):
        warn(text)


def _warn_of_nothing(restoration: Restoration, view: GraphView) -> None:
    """Warn at once if a program with variables got nothing of a checkpoint that has some."""
    ours = {item.key for item in view.stored if isinstance(item.owner, Variable)
            and item.owner.full_name != SAVE_COUNTER}
    loaded = [key for key in restoration.loaded if not key.startswith(SAVE_COUNTER)]
    if not ours or loaded or not restoration.taking.unused_keys():
        return
    theirs = set(restoration.source.index)
    stored = _some(_values(theirs)) or "none"
    text = (f"none of the program's {len(ours)} variables matched {restoration.source.prefix}:"
            f" the program has {_some(ours)}; the checkpoint has {stored}")
    hint = _better_root(ours, theirs)
    warn(f"{text}. {hint}".rstrip())


def _values(keys: set[str]) -> set[str]:
    return {key for key in keys if key.endswith("/VARIABLE_VALUE")
            and not key.startswith(SAVE_COUNTER)}


def _some(keys: set[str]) -> str:
    shown = sorted(key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for key in keys)
    return ", ".join(shown[:3]) + (" …" if len(shown) > 3 else "")


def _better_root(ours: set[str], theirs: set[str]) -> str:
    """Advice on the root, if with another one names would match."""
    best, advice = 0, ""
    for name in sorted({key.partition("/")[0] for key in theirs}):
        count = sum(f"{name}/{key}" in theirs for key in ours)
        if count > best:
            best = count
            advice = (f"With Checkpoint({name}=…) around it {count} of {len(ours)} would match:"
                      f" it was saved below {name}.")
    for name in sorted({key.partition("/")[0] for key in ours}):
        count = sum(key.removeprefix(name + "/") in theirs for key in ours
                    if key.startswith(name + "/"))
        if count > best:
            best = count
            advice = (f"Without the level {name}, as in Checkpoint({name}), {count} of {len(ours)}"
                      " would match: it was saved as the root.")
    return advice
