"""TensorFlow checkpoints without TensorFlow: read, verify, convert.

    >>> import tfckpt
    >>> checkpoint = tfckpt.open("examples/tf1/model.ckpt-7")
    >>> checkpoint.style, checkpoint["global_step"]
    ('name-based', array(7))

Importing this imports no framework, and not even numpy: that happens when an array is read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tfckpt.convert.api import convert
from tfckpt.core.index import Entry, Index
from tfckpt.core.opening import open_source as open
from tfckpt.core.source import Source
from tfckpt.errors import (
    AmbiguousNamesError,
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointWarning,
    ChecksumError,
    DestinationExistsError,
    FormatError,
    GraphStateError,
    MissingDependencyError,
    NotACheckpointError,
    PathConflictError,
    StorageError,
    TensorNotFoundError,
    TruncatedError,
    UnsupportedError,
    VariableError,
    VariableTypeError,
)

if TYPE_CHECKING:
    from tfckpt._version import __version__
    from tfckpt.convert.average import average
    from tfckpt.convert.cast import cast
    from tfckpt.convert.comparing import diff
    from tfckpt.convert.ema import ema
    from tfckpt.convert.merge import merge
    from tfckpt.convert.rename import rename
    from tfckpt.convert.reset import reset
    from tfckpt.convert.reshard import Split, reshard
    from tfckpt.convert.select import select
    from tfckpt.convert.setting import set_values
    from tfckpt.convert.strip import strip
    from tfckpt.core.files.arrays import load_file, save_file
    from tfckpt.core.match_paths import match
    from tfckpt.core.verify import verify
    from tfckpt.train.assignment import init_from_checkpoint
    from tfckpt.train.background import BackgroundSaves
    from tfckpt.train.both import SavedBoth, save_both
    from tfckpt.train.checkpoint import Checkpoint
    from tfckpt.train.getting import get_local_variable, get_variable
    from tfckpt.train.globalstep import (
        create_global_step,
        get_global_step,
        get_or_create_global_step,
    )
    from tfckpt.train.graphs import (
        Graph,
        GraphKeys,
        add_to_collection,
        executing_eagerly,
        get_collection,
        get_collection_ref,
        get_default_graph,
        get_name_scope,
        global_variables,
        local_variables,
        model_variables,
        name_scope,
        reset_default_graph,
        trainable_variables,
    )
    from tfckpt.train.initializers import (
        constant_initializer,
        fixed_size_partitioner,
        glorot_uniform_initializer,
        ones_initializer,
        zeros_initializer,
    )
    from tfckpt.train.loadreport import LoadReport, MatchError, RestoreError
    from tfckpt.train.manager import CheckpointManager
    from tfckpt.train.modules import Module
    from tfckpt.train.objects import PythonState, Trackable
    from tfckpt.train.optimizer import Optimizer
    from tfckpt.train.partitioned import PartitionedVariable
    from tfckpt.train.reading import (
        CheckpointReader,
        NewCheckpointReader,
        list_variables,
        load_checkpoint,
        load_variable,
    )
    from tfckpt.train.saver import Saver
    from tfckpt.train.scopes import VariableScope, get_variable_scope, variable_scope
    from tfckpt.train.state import (
        checkpoint_exists,
        get_checkpoint_mtimes,
        get_checkpoint_state,
        latest_checkpoint,
        remove_checkpoint,
        update_checkpoint_state,
    )
    from tfckpt.train.store import AUTO_REUSE, EagerVariableStore
    from tfckpt.train.tracking import NoDependency
    from tfckpt.train.variables import SaveSliceInfo, Variable
    from tfckpt.train.vocabulary import VocabInfo
    from tfckpt.train.waiting import checkpoints_iterator, wait_for_new_checkpoint
    from tfckpt.train.warmstart import WarmStartSettings, warm_start

__all__ = [
    "AUTO_REUSE",
    "AmbiguousNamesError",
    "BackgroundSaves",
    "Checkpoint",
    "CheckpointError",
    "CheckpointManager",
    "CheckpointNotFoundError",
    "CheckpointReader",
    "CheckpointWarning",
    "ChecksumError",
    "DestinationExistsError",
    "EagerVariableStore",
    "Entry",
    "FormatError",
    "Graph",
    "GraphKeys",
    "GraphStateError",
    "Index",
    "LoadReport",
    "MatchError",
    "MissingDependencyError",
    "Module",
    "NewCheckpointReader",
    "NoDependency",
    "NotACheckpointError",
    "Optimizer",
    "PartitionedVariable",
    "PathConflictError",
    "PythonState",
    "RestoreError",
    "SaveSliceInfo",
    "SavedBoth",
    "Saver",
    "Source",
    "Split",
    "StorageError",
    "TensorNotFoundError",
    "Trackable",
    "TruncatedError",
    "UnsupportedError",
    "Variable",
    "VariableError",
    "VariableScope",
    "VariableTypeError",
    "VocabInfo",
    "WarmStartSettings",
    "__version__",
    "add_to_collection",
    "average",
    "cast",
    "checkpoint_exists",
    "checkpoints_iterator",
    "constant_initializer",
    "convert",
    "create_global_step",
    "diff",
    "ema",
    "executing_eagerly",
    "fixed_size_partitioner",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "get_collection",
    "get_collection_ref",
    "get_default_graph",
    "get_global_step",
    "get_local_variable",
    "get_name_scope",
    "get_or_create_global_step",
    "get_variable",
    "get_variable_scope",
    "global_variables",
    "glorot_uniform_initializer",
    "init_from_checkpoint",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_file",
    "load_variable",
    "local_variables",
    "match",
    "merge",
    "model_variables",
    "name_scope",
    "ones_initializer",
    "open",
    "remove_checkpoint",
    "rename",
    "reset",
    "reset_default_graph",
    "reshard",
    "save_both",
    "save_file",
    "select",
    "set_values",
    "strip",
    "trainable_variables",
    "update_checkpoint_state",
    "variable_scope",
    "verify",
    "wait_for_new_checkpoint",
    "warm_start",
    "zeros_initializer",
]

# Where the rest is. It is imported when it is first used, so that a program (or a command)
# that only reads or converts starts without it.
_LATER = {
    "tfckpt._version": ("__version__",),
    "tfckpt.convert.average": ("average",),
    "tfckpt.convert.cast": ("cast",),
    "tfckpt.convert.comparing": ("diff",),
    "tfckpt.convert.ema": ("ema",),
    "tfckpt.convert.merge": ("merge",),
    "tfckpt.convert.rename": ("rename",),
    "tfckpt.convert.reset": ("reset",),
    "tfckpt.convert.select": ("select",),
    "tfckpt.convert.setting": ("set_values",),
    "tfckpt.convert.strip": ("strip",),
    "tfckpt.convert.reshard": (
        "Split",
        "reshard",
    ),
    "tfckpt.core.files.arrays": (
        "load_file",
        "save_file",
    ),
    "tfckpt.core.match_paths": ("match",),
    "tfckpt.core.verify": ("verify",),
    "tfckpt.train.assignment": ("init_from_checkpoint",),
    "tfckpt.train.background": ("BackgroundSaves",),
    "tfckpt.train.both": (
        "SavedBoth",
        "save_both",
    ),
    "tfckpt.train.checkpoint": ("Checkpoint",),
    "tfckpt.train.getting": (
        "get_local_variable",
        "get_variable",
    ),
    "tfckpt.train.globalstep": (
        "create_global_step",
        "get_global_step",
        "get_or_create_global_step",
    ),
    "tfckpt.train.graphs": (
        "Graph",
        "GraphKeys",
        "add_to_collection",
        "executing_eagerly",
        "get_collection",
        "get_collection_ref",
        "get_default_graph",
        "get_name_scope",
        "global_variables",
        "local_variables",
        "model_variables",
        "name_scope",
        "reset_default_graph",
        "trainable_variables",
    ),
    "tfckpt.train.initializers": (
        "constant_initializer",
        "fixed_size_partitioner",
        "glorot_uniform_initializer",
        "ones_initializer",
        "zeros_initializer",
    ),
    "tfckpt.train.loadreport": (
        "LoadReport",
        "MatchError",
        "RestoreError",
    ),
    "tfckpt.train.manager": ("CheckpointManager",),
    "tfckpt.train.modules": ("Module",),
    "tfckpt.train.objects": (
        "PythonState",
        "Trackable",
    ),
    "tfckpt.train.optimizer": ("Optimizer",),
    "tfckpt.train.partitioned": ("PartitionedVariable",),
    "tfckpt.train.reading": (
        "CheckpointReader",
        "NewCheckpointReader",
        "list_variables",
        "load_checkpoint",
        "load_variable",
    ),
    "tfckpt.train.saver": ("Saver",),
    "tfckpt.train.scopes": (
        "VariableScope",
        "get_variable_scope",
        "variable_scope",
    ),
    "tfckpt.train.state": (
        "checkpoint_exists",
        "get_checkpoint_mtimes",
        "get_checkpoint_state",
        "latest_checkpoint",
        "remove_checkpoint",
        "update_checkpoint_state",
    ),
    "tfckpt.train.store": (
        "AUTO_REUSE",
        "EagerVariableStore",
    ),
    "tfckpt.train.variables": (
        "SaveSliceInfo",
        "Variable",
    ),
    "tfckpt.train.vocabulary": ("VocabInfo",),
    "tfckpt.train.waiting": (
        "checkpoints_iterator",
        "wait_for_new_checkpoint",
    ),
    "tfckpt.train.tracking": ("NoDependency",),
    "tfckpt.train.warmstart": (
        "WarmStartSettings",
        "warm_start",
    ),
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tfckpt' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
