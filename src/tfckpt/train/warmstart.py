"""`warm_start`: a new model begins with the values of an earlier one, found by their names.

    ============================ =====================================================
    ``vars_to_warm_start``       which variables are filled
    ============================ =====================================================
    ``"dense.*"``                trainable ones whose name matches, from its beginning
    ``["dense.*", "step:0"]``    any whose name matches one of these
    ``[variable, variable]``     these
    ``None``                     trainable ones that have vocabulary settings
    ============================ =====================================================

The name is the one with output number, ``dense/kernel:0``, so that ``dense/kernel`` also takes
the slots below it, and ``dense/kernel[^/]`` takes it alone.

Source: python/training/warm_starting_util.py.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.source import Source
from tfckpt.errors import (
    CheckpointError,
    CheckpointWarning,
    nearest,
)
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY
from tfckpt.train.adapters import assign_all
from tfckpt.train.initial import adapter_of, in_graph, set_initial, set_initial_values
from tfckpt.train.loadreport import (
    MOST_SHOWN,
    LoadReport,
    Mismatch,
    Missing,
    RestoreError,
    nearest_keys,
)
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.selecting import Target, all_names, as_listed, grouped, select
from tfckpt.train.storednames import StoredNames
from tfckpt.train.vocabulary import VocabInfo, remap

if TYPE_CHECKING:
    import numpy as np

__all__ = ["WarmStartSettings", "warm_start"]

Path = str | os.PathLike[str]


class WarmStartSettings(NamedTuple):
    """How a model is warm-started: `warm_start`'s arguments, as ``warm_start(None, *settings)``.

    Attributes:
        ckpt_to_initialize_from: A checkpoint: its prefix, any of its files, or a folder.
        vars_to_warm_start: Which variables are filled.
        var_name_to_vocab_info: A `VocabInfo` for each variable whose vocabulary has changed.
        var_name_to_prev_var_name: Names that variables have in the checkpoint.
    """

    ckpt_to_initialize_from: Path
    vars_to_warm_start: str | Sequence[Any] | None = ".*"
    var_name_to_vocab_info: Mapping[str, Any] | None = None
    var_name_to_prev_var_name: Mapping[str, str] | None = None


def warm_start(variables: Iterable[Any] | Mapping[str, Any] | None, ckpt_to_initialize_from: Path,
               vars_to_warm_start: str | Sequence[Any] | None = ".*",
               var_name_to_vocab_info: Mapping[str, VocabInfo] | None = None,
               var_name_to_prev_var_name: Mapping[str, str] | None = None) -> LoadReport:
    """Fill variables from an earlier model's checkpoint, all that were selected or none.

    The values become the variables' initial values too. Variables of a TensorFlow graph get them
    when they are initialized.

    Args:
        variables: The model's variables, or a dict from names to variables; None for those of
            the current graph.
        ckpt_to_initialize_from: A checkpoint of either style: its prefix, any of its files, or
            a folder. In an object-based one variables are found by their full names, or by
            keys.
        vars_to_warm_start: Which of them are filled: a pattern, which only looks at trainable
            ones, a list of patterns, a list of variables, or None for the trainable ones that
            have a vocabulary. Patterns are matched from the beginning of ``name:0``.
        var_name_to_vocab_info: Vocabularies by variable name. Of a variable in parts it is the
            whole's.
        var_name_to_prev_var_name: Names in the checkpoint by variable name, where they differ.

    Returns:
        What was loaded, and what of the checkpoint wasn't. Notes say which variables keep
        their values, and how many words of a vocabulary were found.

    Raises:
        RestoreError: A variable isn't in the checkpoint, or differs in shape or dtype, or
            there are settings for a variable that isn't filled; with all of them.
        VariableError: A pattern is none, or two variables have one name.
        GraphStateError: No variables were given, and there is no graph to take them from.
        CheckpointNotFoundError: There is no checkpoint.

    Example:
        >>> from tfckpt.train.variables import Variable
        >>> kernel, step = Variable([[0.0] * 4] * 3, name="kernel"), Variable(0, name="step")
        >>> report = warm_start([kernel, step], "examples/tf1", "kern.*",
        ...                     var_name_to_prev_var_name={"kernel": "dense/kernel"})
        >>> report.matched, report.notes
        (('dense/kernel',), ('1 variables keep their values: step',))
    """
    listed = None if variables is None else as_listed(variables)
    selected = select(listed, vars_to_warm_start)
    vocabularies = dict(var_name_to_vocab_info or {})
    previous = dict(var_name_to_prev_var_name or {})
    targets = grouped(selected)
    if vars_to_warm_start is None:
        targets = {name: target for name, target in targets.items() if name in vocabularies}
    with open_source(ckpt_to_initialize_from, mmap=False) as source:
        found = _Findings(source, targets, vocabularies)
        found.check_settings("var_name_to_prev_var_name", previous)
        found.check_settings("var_name_to_vocab_info", vocabularies)
        for name, target in targets.items():
            found.find(name, target, previous.get(name) or name)
        arrays = found.read()
        found.give(arrays)
        report = found.report(all_names(listed))
    if not targets:
        warnings.warn("no variable was selected, and so none was warm-started", CheckpointWarning,
                      stacklevel=2)
    return report


class _Findings:
    """What the checkpoint has for each variable, and everything that is wrong."""

    def __init__(self, source: Source, targets: Mapping[str, Target],
                 vocabularies: Mapping[str, Any]) -> None:
        self.source = source
        self.names = StoredNames(source)
        self.targets = targets
        self.vocabularies = vocabularies
        self.entries: dict[str, Entry] = {}
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.missing: list[Missing] = []
        self.mismatched: list[Mismatch] = []

    def check_settings(self, what: str, settings: Mapping[str, Any]) -> None:
        """Settings for a variable that isn't filled are most likely a misspelt name."""
        for name in settings:
            if name not in self.targets:
                near = nearest(name, self.targets)
                self.problems.append(f"{what} has {name!r}, which isn't warm-started"
                                     + (f"; nearest: {', '.join(near)}" if near else ""))

    def find(self, name: str, target: Target, stored: str) -> None:
        """Find what a variable is filled from."""
        entry = self.names.entry(stored)
        what = f"{target.dtype} {list(target.shape)}"
        if entry is None:
            near = nearest_keys(stored, self.names.all) if len(self.missing) < MOST_SHOWN else ()
            self.missing.append(Missing(
                stored, what if stored == name else f"{what} for {name}", near))
            return
        if entry.dtype != target.dtype or (name not in self.vocabularies
                                           and not target.accepts(entry.shape)):
            self.mismatched.append(Mismatch(
                name if stored == name else f"{name} from {stored}", what,
                f"{entry.dtype} {list(entry.shape)}"))
            return
        self.entries[name] = entry
        for _, keys in self.names.ambiguous([stored]):
            text = (f"the checkpoint has {len(keys)} variables named {stored!r}, and TensorFlow"
                    f" takes the last: {', '.join(keys)}")
            warnings.warn(text, CheckpointWarning, stacklevel=3)
            self.notes.append(text)

    def read(self) -> dict[str, np.ndarray[Any, Any]]:
        """The value of each variable.

        Raises:
            RestoreError: Something is wrong; with all of it.
        """
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        for name, entry in sorted(self.entries.items(),
                                  key=lambda item: (item[1].shard_id, item[1].offset)):
            target = self.targets[name]
            if name not in self.vocabularies:
                # What is refused anyway, or read by the initializer, isn't worth reading.
                if not (self.problems or self.missing or self.mismatched or in_graph(target)):
                    arrays[name] = self.source.read_array(entry)
                continue
            adapter = adapter_of(target)
            try:
                remapped = remap(self.source.read_array(entry), self.vocabularies[name],
                                 tuple(size or 0 for size in target.shape), target.dtype,
                                 **({} if adapter is None else {"compute": adapter.compute}))
            except CheckpointError as error:
                self.problems.append(f"{name}: {error}".replace("\n", "; "))
                continue
            arrays[name] = remapped.array
            self.notes.append(f"{name}: {remapped}")
        self._refuse()
        return arrays

    def give(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Fill the variables; those of a framework's graph when they are initialized."""
        later = {name: target for name, target in self.targets.items() if in_graph(target)}
        set_initial(self.source.prefix, [(target, self.entries[name].key)
                                         for name, target in later.items() if name not in arrays])
        set_initial_values((target, arrays[name])
                           for name, target in later.items() if name in arrays)
        pairs: list[Any] = []
        for name, target in self.targets.items():
            if name not in later:
                pairs += (target.parts_of(arrays[name]) if isinstance(target, PartitionedVariable)
                          else [(target, arrays[name])])
        assign_all(pairs, as_initial=True)

    def _refuse(self) -> None:
        found = ((len(self.problems), "settings can't be followed"),
                 (len(self.missing), "variables are not in the checkpoint"),
                 (len(self.mismatched), "variables differ from the checkpoint's in shape or dtype"))
        said = [f"{count} {what}" for count, what in found if count]
        if said:
            raise RestoreError(
                ", ".join(said), file=self.source.prefix, hint="Nothing was loaded.",
                report=LoadReport((), tuple(self.missing), (), tuple(self.mismatched),
                                  tuple(self.problems)))

    def report(self, all_names: Iterable[str]) -> LoadReport:
        """What was loaded."""
        matched = tuple(dict.fromkeys(entry.key for entry in self.entries.values()))
        kept = [name for name in all_names if name not in self.targets]
        if kept:
            self.notes.append(f"{len(kept)} variables keep their values:"
                              f" {', '.join(kept[:MOST_SHOWN])}"
                              + (", ..." if len(kept) > MOST_SHOWN else ""))
        return LoadReport(matched, unused=tuple(
            key for key in self.source.index if key not in matched and key != OBJECT_GRAPH_KEY),
            notes=tuple(self.notes))
