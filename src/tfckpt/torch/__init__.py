"""PyTorch: modules that take over TensorFlow's checkpoints, and are saved as such.

`tfckpt.Saver` and `tfckpt.Checkpoint` take modules. A module is seen as TensorFlow would
have it: the table of tfckpt/torch/layers.py says what each layer's weights are there.

Importing this imports PyTorch only when something of it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfckpt.errors import MissingDependencyError

if TYPE_CHECKING:
    from tfckpt.torch.choices import set_layouts

__all__ = ["set_layouts"]

_WHERE = {"set_layouts": "choices"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tfckpt.torch' has no attribute {name!r}")
    from importlib import import_module  # deferred: PyTorch takes seconds

    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingDependencyError("tfckpt.torch needs PyTorch",
                                     hint="pip install 'tfckpt[torch]'") from None
    return getattr(import_module(f"tfckpt.torch.{_WHERE[name]}"), name)
