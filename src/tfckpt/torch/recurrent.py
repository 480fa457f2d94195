"""What PyTorch's recurrent layers are in TensorFlow.

PyTorch stores for each layer and direction ``weight_ih``, ``weight_hh`` and two biases, which are
added; TensorFlow a cell. Of Keras's cells that is kernel (dense), recurrent_kernel (dense) and
bias, of TF1's a kernel for input and state together.

    ================ =============================== ==============================================
    choice           variables (layout)              what it is
    ================ =============================== ==============================================
    ``keras``        LSTM: dense, dense, lstm_bias   the default. A forget bias is in ``bias``
                     GRU: gru_kernel, gru_kernel,    ``reset_after=True``, which Keras 2 and 3 have
                     gru_bias                        by default; the other kind computes otherwise
                     RNN: dense, dense, rnn_bias     ``SimpleRNN``
    ``lstm_cell``    lstm1_kernel, lstm1_bias        TF1's ``LSTMCell``, which adds 1 to its forget
                                                     gates; ``lstm_cell(0)`` with forget_bias=0
    ``basic_lstm_    the same                        TF1's ``BasicLSTMCell``
    cell``
    ================ =============================== ==============================================

Where they are: ``cell`` of a layer; ``forward_layer/cell`` and ``backward_layer/cell`` of one that
goes both ways; ``cell/cells/0`` … of several one upon another; ``layers/0/forward_layer/cell`` … of
both. In names: ``lstm_cell``, ``forward_lstm/lstm_cell``, ``cell_0/lstm_cell``; TF1's cells as
``dynamic_rnn``, ``bidirectional_dynamic_rnn`` and ``MultiRNNCell`` call them.

Source: rnn_cell_impl.py and rnn.py of TensorFlow 1.15, layers/rnn of Keras 2.15, nn/modules/rnn.py
of PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfckpt.convert.layouts import parse_layout
from tfckpt.torch.rows import Row, Weights, kind_and_numbers, not_that

__all__ = ["CELLS", "LAYERS", "TF1_CELLS"]

TF1_CELLS = ("lstm_cell", "basic_lstm_cell")
_KERNELS = {"LSTM": "dense", "GRU": "gru_kernel", "RNN": "dense"}
_BIASES = {"LSTM": "lstm_bias", "GRU": "gru_bias", "RNN": "rnn_bias"}
_WORDS = {"LSTM": "lstm", "GRU": "gru", "RNN": "simple_rnn"}


def _kind(module: Any) -> str:
    names = [kind.__name__.removesuffix("Cell") for kind in type(module).__mro__]
    return next(name for name in names if name in _KERNELS)


def _cell(kind: str, suffix: str, choice: str, path: str, saver_path: str) -> list[Weights]:
    """The weights of one cell, whose tensors have this suffix."""
    name, numbers = kind_and_numbers(choice)
    kernels = f"weight_ih{suffix}", f"weight_hh{suffix}"
    biases = f"bias_ih{suffix}", f"bias_hh{suffix}"

    def weights(names: tuple[str, ...], layout: str, last: str) -> Weights:
        return Weights(names, layout, (path + last,), (saver_path + last,))

    if name in TF1_CELLS:
        return [weights(kernels, "lstm1_kernel", "kernel"),
                weights(biases, "lstm1_bias" + numbers, "bias")]
    return [weights(kernels[:1], _KERNELS[kind], "kernel"),
            weights(kernels[1:], _KERNELS[kind], "recurrent_kernel"),
            weights(biases, _BIASES[kind], "bias")]


def _checked(module: Any, choice: str | None) -> str:
    kind = _kind(module)
    choices = ("keras", *TF1_CELLS) if kind == "LSTM" else ("keras",)
    name, numbers = kind_and_numbers(choice or "keras")
    if name not in choices or (numbers and name == "keras"):
        raise not_that(module, choice, choices)
    parse_layout("lstm1_bias" + numbers)
    return choice or "keras"


def _places(module: Any, choice: str) -> Iterator[tuple[str, str, str]]:
    """Suffix of the tensors, path and path in names, for each cell."""
    name = kind_and_numbers(choice)[0]
    tf1 = name in TF1_CELLS
    word = _WORDS[_kind(module)]
    cell = f"{name if tf1 else word + '_cell'}/"
    many = module.num_layers > 1
    for layer in range(module.num_layers):
        number = ("multi_rnn_cell/" if tf1 else "") + f"cell_{layer}/" if many else ""
        if not module.bidirectional:
            path = f"cell/cells/{layer}/" if many else "cell/"
            yield f"_l{layer}", path, number + cell
            continue
        for suffix, way, short in (("", "forward", "fw"), ("_reverse", "backward", "bw")):
            path = (f"layers/{layer}/" if many else "") + f"{way}_layer/cell/"
            both = f"{short}/{number}" if tf1 else f"{number}{way}_{word}/"
            yield f"_l{layer}{suffix}", path, both + cell


def _layer(module: Any, choice: str | None) -> list[Weights]:
    if getattr(module, "proj_size", 0):  # TensorFlow's cells have that elsewhere
        return []
    choice = _checked(module, choice)
    return [item for suffix, path, saver_path in _places(module, choice)
            for item in _cell(_kind(module), suffix, choice, path, saver_path)]


def _lone_cell(module: Any, choice: str | None) -> list[Weights]:
    return _cell(_kind(module), "", _checked(module, choice), "", "")


LAYERS = Row(_layer)
CELLS = Row(_lone_cell)
