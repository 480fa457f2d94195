"""Live TensorFlow: its variables, models and sessions, saved and restored by tfckpt.

Importing this imports TensorFlow. `tfckpt.Saver` and `tfckpt.Checkpoint` do it by themselves
when they meet an object of TensorFlow's.
"""

from __future__ import annotations

from tfckpt.errors import MissingDependencyError

try:
    import tensorflow as tf  # noqa: F401 - whether it is there
except ImportError as error:
    if error.name != "tensorflow":  # it is there, and broken: its own words say more
        raise
    raise MissingDependencyError("tfckpt.tensorflow needs TensorFlow",
                                 hint="Run: pip install 'tfckpt[tensorflow]'") from None
