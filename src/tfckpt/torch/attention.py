"""What PyTorch's MultiheadAttention is in TensorFlow: Keras's ``MultiHeadAttention``.

Keras has a dense layer for each of query, key and value, whose kernel is [in, heads, size], and one
for the output, [heads, size, out]. PyTorch has the first three in one tensor if all of them take
vectors of the same length. ``bias_k`` and ``bias_v``, which Keras doesn't have, are as they are.
"""

from __future__ import annotations

from typing import Any

from tfckpt.torch.rows import Row, Weights, not_that

__all__ = ["ATTENTION"]

_PARTS = (("q", "query"), ("k", "key"), ("v", "value"))
_ATTRIBUTES = tuple(f"_{word}_dense" for _, word in _PARTS)
_WORDS = tuple(word for _, word in _PARTS)


def _attention(module: Any, choice: str | None) -> list[Weights]:
    if choice not in (None, "keras"):
        raise not_that(module, choice, ("keras",))
    heads, size = module.num_heads, module.head_dim
    lengths = (module.embed_dim, module.kdim, module.vdim)
    kernels = tuple((length, heads, size) for length in lengths)

    def three(name: str, layout: str, last: str, shapes: tuple[tuple[int, ...], ...]) -> Weights:
        return Weights((name,), layout, tuple(f"{part}/{last}" for part in _ATTRIBUTES),
                       tuple(f"{part}/{last}" for part in _WORDS), shapes)

    weights = [three("in_proj_weight", "qkv", "kernel", kernels)]
    if module.in_proj_weight is None:
        weights = [Weights((f"{letter}_proj_weight",), "heads_in", (f"_{word}_dense/kernel",),
                           (f"{word}/kernel",), (shape,))
                   for (letter, word), shape in zip(_PARTS, kernels, strict=True)]
    return [*weights, three("in_proj_bias", "qkv_bias", "bias", ((heads, size),) * 3),
            Weights(("out_proj.weight",), "heads_out", ("_output_dense/kernel",),
                    ("attention_output/kernel",), ((heads, size, module.embed_dim),)),
            Weights(("out_proj.bias",), "same", ("_output_dense/bias",),
                    ("attention_output/bias",))]


ATTENTION = Row(_attention, hidden=frozenset({"out_proj"}))
