"""What the weights of each of PyTorch's layers are in TensorFlow: names, layouts, and where.

    ====================== =========================================================================
    layer                  TensorFlow's variables (layout)
    ====================== =========================================================================
    Linear                 kernel (dense), bias
    Conv1d, 2d, 3d         kernel (conv), bias; with a group for each channel depthwise_kernel
                           (depthwise)
    ConvTranspose1d, …     kernel (conv), bias
    Embedding              embeddings
    BatchNorm, SyncBatch-, gamma, beta, moving_mean, moving_variance; num_batches_tracked is left
    InstanceNorm           aside
    LayerNorm, GroupNorm   gamma, beta
    RMSNorm                scale
    PReLU                  alpha
    RNN, LSTM, GRU         see recurrent.py
    MultiheadAttention     see attention.py
    Conv1D of transformers kernel, bias
    all others             what they have, under its own name and as it is
    ====================== =========================================================================

A *choice* says that a layer is something else than the table says: ``"flattened(7,7)"`` for a
Linear after an image, ``"lstm_cell"`` for an LSTM. It is the name of a layout, or of a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from tfckpt.errors import UnsupportedError
from tfckpt.torch.attention import ATTENTION
from tfckpt.torch.recurrent import CELLS, LAYERS
from tfckpt.torch.rows import Row, Seen, Weights, checked, not_that, one

__all__ = ["see"]

_LINEAR = ("dense", "flattened(h,w)", "unflattened(h,w)", "heads_in(n)", "heads_out(n)",
           "pointwise", "same")
# Layouts of a kernel that its bias has too, and what that is called.
_WITH_BIAS = {"unflattened": "unflattened", "heads_in": "heads_bias"}


def _linear(module: Any, choice: str | None) -> list[Weights]:
    layout = choice or "dense"
    kind = checked(module, layout, _LINEAR)
    shape = (1, 1, module.in_features, module.out_features) if kind == "pointwise" else None
    bias = layout.replace(kind, _WITH_BIAS[kind]) if kind in _WITH_BIAS else "same"
    return [one("weight", layout, "kernel", shape), one("bias", bias, "bias")]


def _conv(module: Any, choice: str | None) -> list[Weights]:
    by_channel = module.groups == module.in_channels > 1
    layout = choice or ("depthwise" if by_channel else "conv")
    checked(module, layout, ("conv", "depthwise", "same"))
    bias = one("bias", "same", "bias")
    if layout != "depthwise":
        return [one("weight", layout, "kernel"), bias]
    if module.groups != module.in_channels:
        raise not_that(module, choice, ("conv", "same"))
    shape = (*module.kernel_size, module.in_channels, module.out_channels // module.in_channels)
    return [one("weight", layout, "depthwise_kernel", shape), bias]


def _conv_transpose(module: Any, choice: str | None) -> list[Weights]:
    layout = choice or "conv"
    checked(module, layout, ("conv", "same"))
    return [one("weight", layout, "kernel"), one("bias", "same", "bias")]


def _vectors(*names: tuple[str, str], choices: tuple[str, ...] = ("same",)
             ) -> Callable[[Any, str | None], list[Weights]]:
    def weights(module: Any, choice: str | None) -> list[Weights]:
        layout = choice or "same"
        checked(module, layout, choices)
        return [one(here, layout, there) for here, there in names]

    return weights


_SCALED = Row(_vectors(("weight", "gamma"), ("bias", "beta"), choices=(
    "same", "flattened(h,w)", "image")))
_RUNNING = Row(
    _vectors(("weight", "gamma"), ("bias", "beta"), ("running_mean", "moving_mean"),
             ("running_var", "moving_variance"), choices=("same", "flattened(h,w)")),
    left_aside=("num_batches_tracked",))
_ROWS: dict[str, Row] = {
    "torch.Linear": Row(_linear),
    "torch._ConvTransposeNd": Row(_conv_transpose),
    "torch._ConvNd": Row(_conv),
    "torch.Embedding": Row(_vectors(("weight", "embeddings"))),
    "torch.EmbeddingBag": Row(_vectors(("weight", "embeddings"))),
    "torch._NormBase": _RUNNING,
    "torch.LayerNorm": _SCALED,
    "torch.GroupNorm": _SCALED,
    "torch.RMSNorm": Row(_vectors(("weight", "scale"))),
    "torch.PReLU": Row(_vectors(("weight", "alpha"))),
    "transformers.Conv1D": Row(_vectors(("weight", "kernel"), ("bias", "bias"))),
    "torch.MultiheadAttention": ATTENTION,
    **{f"torch.{kind}": LAYERS for kind in ("RNN", "LSTM", "GRU")},
    **{f"torch.{kind}Cell": CELLS for kind in ("RNN", "LSTM", "GRU")},
}


def see(module: nn.Module, choice: str | None = None) -> Seen:
    """A module as TensorFlow would have it.

    Args:
        module: The module.
        choice: What it is, if not what the table says.

    Raises:
        UnsupportedError: The module can't be what was chosen.
        FormatError: There is no such layout.

    Example:
        >>> see(nn.Linear(3, 2)).weights[0]._asdict()["layout"]
        'dense'
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise UnsupportedError("a scripted module doesn't say what its layers are",
                               got=str(module.original_name),
                               hint="Use the module that it was made of, and script it afterwards.")
    own = _own_names(module)
    row = _row_of(module)
    if row is None:
        return Seen(tuple(_unknown(module, name, choice or "same") for name in own),
                    is_known=not own)
    weights = [item for item in row.weights(module, choice)
               if all(_has(module, name) for name in item.names)]
    hidden = frozenset(name for name in row.hidden if _is_covered(module, name, weights))
    weights = [item for item in weights if all(
        name.partition(".")[0] in hidden for name in item.names if "." in name)]
    is_known = bool(weights) or not own
    covered = {*row.left_aside, *(name for item in weights for name in item.names)}
    # What a class of the user's own adds to the layer that it is.
    added = tuple(name for name in own if name not in covered)
    weights += [one(name, "same", name) for name in added]
    return Seen(tuple(weights), hidden, tuple(name for name in row.left_aside if name in own),
                is_known, added)


def _unknown(module: nn.Module, name: str, choice: str) -> Weights:
    """A tensor of a class that isn't in the table."""
    kind = checked(module, choice, ("same", "dense", "conv"))
    n_axes = getattr(module, name).ndim
    if (kind == "dense" and n_axes == 2) or (kind == "conv" and n_axes > 2):
        return one(name, choice, "kernel" if name == "weight" else name)
    return one(name, "same", name)


def _own_names(module: nn.Module) -> list[str]:
    """Names of the parameters and of the buffers that a state_dict has."""
    passing = module._non_persistent_buffers_set  # noqa: SLF001 - PyTorch has no public way
    return [name for name, value in (*module._parameters.items(), *module._buffers.items())  # noqa: SLF001
            if value is not None and name not in passing]


def _is_covered(module: nn.Module, child: str, weights: Sequence[Weights]) -> bool:
    """Whether all tensors of a module in another are among the other's weights."""
    inner = module._modules.get(child)  # noqa: SLF001 - as above
    known = {name for item in weights for name in item.names}
    return inner is not None and all(f"{child}.{name}" in known for name in inner.state_dict())


def _has(module: nn.Module, name: str) -> bool:
    *path, last = name.split(".")
    for part in path:
        inner = module._modules.get(part)  # noqa: SLF001 - as above
        if inner is None:
            return False
        module = inner
    return (module._parameters.get(last) is not None  # noqa: SLF001
            or module._buffers.get(last) is not None)  # noqa: SLF001


def _row_of(module: nn.Module) -> Row | None:
    for kind in type(module).__mro__:
        row = _ROWS.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
        if row is not None:
            return row
    return None
