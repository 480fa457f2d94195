"""PyTorch: modules that take over TensorFlow's checkpoints, and are saved as such.

    >>> import tfckpt.torch
    >>> report = tfckpt.torch.load(module, "model_dir")         # doctest: +SKIP
    >>> print(report)                                           # doctest: +SKIP
    8 tensors of Net loaded (8 by name).
    layout:  conv: conv1.weight, conv2.weight
    layout:  same: conv1.bias, conv2.bias, fc.bias, head.bias
    layout:  dense: fc.weight, head.weight
    >>> _ = tfckpt.torch.save(module, "served/model", style="tf1")  # doctest: +SKIP

`tfckpt.Saver` and `tfckpt.Checkpoint` take modules as well. A module is seen as TensorFlow would
have it: the table of tfckpt/torch/layers.py says what each layer's weights are there.

Importing this imports PyTorch only when something of it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfckpt.errors import MissingDependencyError

if TYPE_CHECKING:
    from tfckpt.torch.choices import set_layouts
    from tfckpt.torch.converting import convert_module, open_module
    from tfckpt.torch.loading import load
    from tfckpt.torch.reports import LoadReport
    from tfckpt.torch.saving import save

__all__ = ["LoadReport", "convert_module", "load", "open_module", "save", "set_layouts"]

_WHERE = {"LoadReport": "reports", "convert_module": "converting", "load": "loading",
          "open_module": "converting", "save": "saving", "set_layouts": "choices"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tfckpt.torch' has no attribute {name!r}")
    from importlib import import_module  # deferred: PyTorch takes seconds

    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingDependencyError("tfckpt.torch needs PyTorch",
                                     hint="Run: pip install 'tfckpt[torch]'") from None
    return getattr(import_module(f"tfckpt.torch.{_WHERE[name]}"), name)
