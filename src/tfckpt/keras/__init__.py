"""Keras: its files, and Keras 3 models on any backend.

    >>> import tfckpt.keras
    >>> report = tfckpt.keras.load_weights(model, "old/ckpt")  # doctest: +SKIP
    >>> print(report)                                          # doctest: +SKIP
    19 of 19 model weights loaded (11 by path, 8 by order).

The only room that knows HDF5 and Keras. Importing it imports neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfckpt.errors import MissingDependencyError

if TYPE_CHECKING:
    from tfckpt.keras.callbacks import ModelCheckpoint
    from tfckpt.keras.loading import load_weights
    from tfckpt.keras.reports import LoadReport
    from tfckpt.keras.saving import save_weights

__all__ = ["LoadReport", "ModelCheckpoint", "load_weights", "save_weights"]

_WHERE = {"LoadReport": "reports", "ModelCheckpoint": "callbacks", "load_weights": "loading",
          "save_weights": "saving"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tfckpt.keras' has no attribute {name!r}")
    from importlib import import_module  # deferred: the files need nothing of this

    try:
        module = import_module(f"tfckpt.keras.{_WHERE[name]}")
    except ModuleNotFoundError as error:
        if error.name != "keras":
            raise
        raise MissingDependencyError(f"tfckpt.keras.{name} needs Keras",
                                     hint="Run: pip install 'tfckpt[keras]' keras") from None
    return getattr(module, name)
