"""Live JAX: arrays in dicts, lists and modules of Flax, saved and restored by tfckpt.

    >>> import tfckpt.jax
    >>> params, report = tfckpt.jax.load(params, "old/model.ckpt-1000")   # doctest: +SKIP
    >>> tfckpt.jax.save(params, "new/ckpt", style="tf2")                  # doctest: +SKIP

`tfckpt.Saver` and `tfckpt.Checkpoint` take trees by themselves, once the program has imported JAX.
Importing this imports nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfckpt.errors import MissingDependencyError

if TYPE_CHECKING:
    from tfckpt.jax.loading import Loaded, load
    from tfckpt.jax.saving import save

__all__ = ["Loaded", "load", "save"]

_WHERE = {"Loaded": "loading", "load": "loading", "save": "saving"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tfckpt.jax' has no attribute {name!r}")
    from importlib import import_module  # deferred: JAX takes a second

    try:
        import jax  # noqa: F401
    except ImportError:
        raise MissingDependencyError("trees of JAX's need JAX",
                                     hint="Run: pip install 'tfckpt[jax]'") from None
    return getattr(import_module(f"tfckpt.jax.{_WHERE[name]}"), name)
