"""TensorFlow checkpoints without TensorFlow: read, verify, convert.

    >>> import tfckpt
    >>> checkpoint = tfckpt.open("examples/tf1/model.ckpt-7")
    >>> checkpoint.style, checkpoint["global_step"]
    ('name-based', array(7))

Importing this imports no framework, and not even numpy: that happens when an array is read.
"""

from tfckpt.convert.api import convert
from tfckpt.core.index import Entry, Index
from tfckpt.core.opening import open_source as open
from tfckpt.core.source import Source
from tfckpt.core.verify import verify
from tfckpt.errors import (
    AmbiguousNamesError,
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointWarning,
    ChecksumError,
    DestinationExistsError,
    FormatError,
    MissingDependencyError,
    NotACheckpointError,
    StorageError,
    TensorNotFoundError,
    TruncatedError,
    UnsupportedError,
)
from tfckpt.train.reading import (
    CheckpointReader,
    checkpoint_exists,
    latest_checkpoint,
    list_variables,
    load_checkpoint,
    load_variable,
)

__all__ = [
    "AmbiguousNamesError",
    "CheckpointError",
    "CheckpointNotFoundError",
    "CheckpointReader",
    "CheckpointWarning",
    "ChecksumError",
    "DestinationExistsError",
    "Entry",
    "FormatError",
    "Index",
    "MissingDependencyError",
    "NotACheckpointError",
    "Source",
    "StorageError",
    "TensorNotFoundError",
    "TruncatedError",
    "UnsupportedError",
    "checkpoint_exists",
    "convert",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "open",
    "verify",
]
