"""The cells of ``tf.compat.v1.nn.rnn_cell``, which TensorFlow with Keras 3 no longer has.

They run in ``tf.compat.v1.nn.dynamic_rnn``, ``static_rnn`` and ``bidirectional_dynamic_rnn``,
which it still has. Names, shapes and formulas are those of TensorFlow 1.15's
``python/ops/rnn_cell_impl.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfckpt.tensorflow.scoped import ScopedLayer, resolve

__all__ = ["BasicLSTMCell", "BasicRNNCell", "DropoutWrapper", "GRUCell", "LSTMCell",
           "LSTMStateTuple", "MultiRNNCell", "RNNCell"]


class LSTMStateTuple(NamedTuple):
    """State of an LSTM cell."""

    c: Any
    h: Any


class RNNCell(ScopedLayer):
    """Base of cells: ``output, new_state = cell(inputs, state)``."""

    base_name = "rnn_cell"
    state_size: Any
    output_size: Any

    def __init__(self, activation: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self._activation: Callable[[Any], Any] = resolve(activation, "activations") or tf.tanh

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """A state of zeros, in the structure of `state_size`."""
        return tf.nest.map_structure(lambda n: tf.zeros([batch_size, n], dtype), self.state_size)

    @staticmethod
    def _affine(parts: Sequence[Any], kernel: Any, bias: Any) -> Any:
        return tf.nn.bias_add(tf.matmul(tf.concat(parts, 1), kernel), bias)


class BasicRNNCell(RNNCell):
    """``output = new_state = activation(W [input, state] + b)``."""

    base_name = "basic_rnn_cell"

    def __init__(self, num_units: int, activation: Any = None, reuse: Any = None,
                 name: str | None = None, dtype: Any = None) -> None:
        super().__init__(activation, reuse=reuse, name=name, dtype=dtype)
        self.state_size = self.output_size = num_units

    def build(self, shape: Any) -> None:
        units = self.state_size
        self._kernel = self.add_weight("kernel", [shape[-1] + units, units])
        self._bias = self.add_weight("bias", [units], "zeros")

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        output = self._activation(self._affine([inputs, state], self._kernel, self._bias))
        return output, output


class GRUCell(RNNCell):
    """Gated recurrent unit; its gates start open, with a bias of 1."""

    base_name = "gru_cell"

    def __init__(self, num_units: int, activation: Any = None, reuse: Any = None,
                 kernel_initializer: Any = None, bias_initializer: Any = None,
                 name: str | None = None, dtype: Any = None) -> None:
        super().__init__(activation, reuse=reuse, name=name, dtype=dtype)
        self.state_size = self.output_size = num_units
        self._initializers = kernel_initializer, bias_initializer

    def build(self, shape: Any) -> None:
        units = self.state_size
        depth = shape[-1] + units
        kernel, bias = self._initializers
        self._gates = (self.add_weight("gates/kernel", [depth, 2 * units], kernel),
                       self.add_weight("gates/bias", [2 * units], bias or "ones"))
        self._candidate = (self.add_weight("candidate/kernel", [depth, units], kernel),
                           self.add_weight("candidate/bias", [units], bias or "zeros"))

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        gates = tf.sigmoid(self._affine([inputs, state], *self._gates))
        reset, update = tf.split(gates, 2, axis=1)
        candidate = self._activation(self._affine([inputs, reset * state], *self._candidate))
        output = update * state + (1 - update) * candidate
        return output, output


class LSTMCell(RNNCell):
    """LSTM, if wanted with peepholes, a projection and clipping.

    ``num_unit_shards`` and ``num_proj_shards`` are accepted; the variables stay whole.
    """

    base_name = "lstm_cell"

    def __init__(
        self, num_units: int, use_peepholes: bool = False, cell_clip: float | None = None,
        initializer: Any = None, num_proj: int | None = None, proj_clip: float | None = None,
        num_unit_shards: int | None = None, num_proj_shards: int | None = None,
        forget_bias: float = 1.0, state_is_tuple: bool = True, activation: Any = None,
        reuse: Any = None, name: str | None = None, dtype: Any = None,
    ) -> None:
        super().__init__(activation, reuse=reuse, name=name, dtype=dtype)
        self._units = num_units
        self._peepholes = use_peepholes
        self._initializer = initializer
        self._projection = num_proj
        self._clips = cell_clip, proj_clip
        self._forget_bias = forget_bias
        self._tuple = state_is_tuple
        self.output_size = num_proj or num_units
        self.state_size = (LSTMStateTuple(num_units, self.output_size) if state_is_tuple
                           else num_units + self.output_size)

    def build(self, shape: Any) -> None:
        units = self._units
        self._kernel = self.add_weight(
            "kernel", [shape[-1] + self.output_size, 4 * units], self._initializer)
        self._bias = self.add_weight("bias", [4 * units], "zeros")
        if self._peepholes:
            self._diagonals = [self.add_weight(f"w_{gate}_diag", [units], self._initializer)
                               for gate in "fio"]
        if self._projection:
            self._proj_kernel = self.add_weight(
                "projection/kernel", [units, self._projection], self._initializer)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        cell_clip, proj_clip = self._clips
        c, h = state if self._tuple else tf.split(state, [self._units, self.output_size], axis=1)
        gates = self._affine([inputs, h], self._kernel, self._bias)
        i, j, f, o = tf.split(gates, 4, axis=1)
        f += self._forget_bias
        if self._peepholes:
            f += self._diagonals[0] * c
            i += self._diagonals[1] * c
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * self._activation(j)
        if cell_clip is not None:
            c = tf.clip_by_value(c, -cell_clip, cell_clip)
        if self._peepholes:
            o += self._diagonals[2] * c
        h = tf.sigmoid(o) * self._activation(c)
        if self._projection:
            h = tf.matmul(h, self._proj_kernel)
            if proj_clip is not None:
                h = tf.clip_by_value(h, -proj_clip, proj_clip)
        return h, LSTMStateTuple(c, h) if self._tuple else tf.concat([c, h], 1)


class BasicLSTMCell(LSTMCell):
    """LSTM without peepholes, projection or clipping."""

    base_name = "basic_lstm_cell"

    def __init__(self, num_units: int, forget_bias: float = 1.0, state_is_tuple: bool = True,
                 activation: Any = None, reuse: Any = None, name: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(num_units, forget_bias=forget_bias, state_is_tuple=state_is_tuple,
                         activation=activation, reuse=reuse, name=name, dtype=dtype)


class MultiRNNCell(RNNCell):
    """Cells on top of one another, in scopes ``cell_0``, ``cell_1`` and so on."""

    base_name = "multi_rnn_cell"

    def __init__(self, cells: Sequence[Any], state_is_tuple: bool = True) -> None:
        super().__init__()
        self._cells = list(cells)
        self._tuple = state_is_tuple
        sizes = [cell.state_size for cell in self._cells]
        self.state_size = tuple(sizes) if state_is_tuple else sum(sizes)
        self.output_size = self._cells[-1].output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        if self._tuple:
            return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)
        return super().zero_state(batch_size, dtype)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        if not self._tuple:
            state = tf.split(state, [cell.state_size for cell in self._cells], axis=1)
        states = []
        for i, cell in enumerate(self._cells):
            with tf.compat.v1.variable_scope(f"cell_{i}"):
                inputs, new_state = cell(inputs, state[i])
            states.append(new_state)
        return inputs, tuple(states) if self._tuple else tf.concat(states, 1)


class DropoutWrapper:
    """A cell with dropout on its inputs, outputs and states (but for the ``c`` of an LSTM)."""

    def __init__(self, cell: Any, input_keep_prob: Any = 1.0, output_keep_prob: Any = 1.0,
                 state_keep_prob: Any = 1.0, seed: int | None = None) -> None:
        self._cell = cell
        self._keep = input_keep_prob, state_keep_prob, output_keep_prob
        self._seed = seed
        self.state_size = cell.state_size
        self.output_size = cell.output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """That of the cell."""
        return self._cell.zero_state(batch_size, dtype)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        keep_input, keep_state, keep_output = self._keep
        output, state = self._cell(self._dropped(inputs, keep_input), state, scope=scope)
        return self._dropped(output, keep_output), self._dropped_state(state, keep_state)

    def _dropped_state(self, state: Any, keep: Any) -> Any:
        if hasattr(state, "c") and hasattr(state, "h"):
            return state._replace(h=self._dropped(state.h, keep))
        if isinstance(state, tuple):
            return tuple(self._dropped_state(part, keep) for part in state)
        return self._dropped(state, keep)

    def _dropped(self, value: Any, keep: Any) -> Any:
        if isinstance(keep, (int, float)) and keep >= 1:
            return value
        return tf.nn.dropout(value, rate=1 - keep, seed=self._seed)
