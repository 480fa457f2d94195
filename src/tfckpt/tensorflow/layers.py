"""The layers of ``tf.compat.v1.layers``, which TensorFlow with Keras 3 no longer has.

The functions take the arguments of TF1's, in their order, and make variables of the same names
and shapes with ``tf.compat.v1.get_variable``. So they serve in methods under
`tfckpt.tensorflow.shim.track_tf1_style_variables`, and in TF1 graphs.

Example::

    from tfckpt.tensorflow import layers

    hidden = layers.dense(x, 64, activation=tf.nn.relu, name="hidden")
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfckpt.tensorflow.convolutions import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    SeparableConv2D,
)
from tfckpt.tensorflow.normalization import BatchNormalization, either
from tfckpt.tensorflow.pooling import (
    average_pooling1d,
    average_pooling2d,
    average_pooling3d,
    max_pooling1d,
    max_pooling2d,
    max_pooling3d,
)
from tfckpt.tensorflow.scoped import ScopedLayer, resolve, unsupported

__all__ = [
    "BatchNormalization", "Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D", "Dense",
    "SeparableConv2D", "average_pooling1d", "average_pooling2d", "average_pooling3d",
    "batch_normalization", "conv1d", "conv2d", "conv2d_transpose", "conv3d", "dense", "dropout",
    "flatten", "max_pooling1d", "max_pooling2d", "max_pooling3d", "separable_conv2d",
]


class Dense(ScopedLayer):
    """``activation(inputs @ kernel + bias)`` over the last axis."""

    base_name = "dense"

    def __init__(
        self, units: int, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = None, bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: str | None = None,
        reuse: Any = None, scope: Any = None,
    ) -> None:
        super().__init__(name=name, reuse=reuse, scope=scope, trainable=trainable)
        unsupported("dense", activity_regularizer=activity_regularizer)
        self.units = units
        self._activation = resolve(activation, "activations")
        self._kernel_options = kernel_initializer, kernel_regularizer, kernel_constraint
        self._bias_options = bias_initializer, bias_regularizer, bias_constraint
        self._use_bias = use_bias

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight("kernel", [shape[-1], self.units], *self._kernel_options)
        self.bias = (self.add_weight("bias", [self.units], *self._bias_options)
                     if self._use_bias else None)

    def call(self, inputs: Any) -> Any:
        if inputs.shape.rank == 2:
            outputs = tf.matmul(inputs, self.kernel)
        else:
            outputs = tf.tensordot(inputs, self.kernel, [[inputs.shape.rank - 1], [0]])
        if self.bias is not None:
            outputs = tf.nn.bias_add(outputs, self.bias)
        return self._activation(outputs) if self._activation else outputs


def dense(inputs: Any, units: int, *args: Any, **kwargs: Any) -> Any:
    """``tf1.layers.dense``: the arguments of `Dense`."""
    return _applied(Dense, inputs, (units, *args), kwargs)


def conv1d(inputs: Any, filters: int, kernel_size: Any, *args: Any, **kwargs: Any) -> Any:
    """``tf1.layers.conv1d``: the arguments of `Conv1D`."""
    return _applied(Conv1D, inputs, (filters, kernel_size, *args), kwargs)


def conv2d(inputs: Any, filters: int, kernel_size: Any, *args: Any, **kwargs: Any) -> Any:
    """``tf1.layers.conv2d``: the arguments of `Conv2D`."""
    return _applied(Conv2D, inputs, (filters, kernel_size, *args), kwargs)


def conv3d(inputs: Any, filters: int, kernel_size: Any, *args: Any, **kwargs: Any) -> Any:
    """``tf1.layers.conv3d``: the arguments of `Conv3D`."""
    return _applied(Conv3D, inputs, (filters, kernel_size, *args), kwargs)


def conv2d_transpose(inputs: Any, filters: int, kernel_size: Any, *args: Any,
                     **kwargs: Any) -> Any:
    """``tf1.layers.conv2d_transpose``: the arguments of `Conv2DTranspose`."""
    return _applied(Conv2DTranspose, inputs, (filters, kernel_size, *args), kwargs)


def separable_conv2d(inputs: Any, filters: int, kernel_size: Any, *args: Any,
                     **kwargs: Any) -> Any:
    """``tf1.layers.separable_conv2d``: the arguments of `SeparableConv2D`."""
    return _applied(SeparableConv2D, inputs, (filters, kernel_size, *args), kwargs)


def batch_normalization(
    inputs: Any, axis: Any = -1, momentum: float = 0.99, epsilon: float = 1e-3,
    center: bool = True, scale: bool = True, beta_initializer: Any = "zeros",
    gamma_initializer: Any = "ones", moving_mean_initializer: Any = "zeros",
    moving_variance_initializer: Any = "ones", beta_regularizer: Any = None,
    gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None,
    training: Any = False, trainable: bool = True, name: str | None = None, reuse: Any = None,
    renorm: bool = False, renorm_clipping: Any = None, renorm_momentum: float = 0.99,
    fused: bool | None = None, virtual_batch_size: int | None = None, adjustment: Any = None,
) -> Any:
    """``tf1.layers.batch_normalization``; `BatchNormalization` says when averages move."""
    layer = BatchNormalization(
        axis, momentum, epsilon, center, scale, beta_initializer, gamma_initializer,
        moving_mean_initializer, moving_variance_initializer, beta_regularizer,
        gamma_regularizer, beta_constraint, gamma_constraint, renorm, renorm_clipping,
        renorm_momentum, fused, trainable, virtual_batch_size, adjustment, name, reuse=reuse,
        scope=name)
    return layer(inputs, training=training)


def dropout(inputs: Any, rate: float = 0.5, noise_shape: Any = None, seed: int | None = None,
            training: Any = False, name: str | None = None) -> Any:
    """``tf1.layers.dropout``: nothing happens unless `training`, which may be a tensor."""
    inputs = tf.convert_to_tensor(inputs)
    return either(
        training,
        lambda: tf.nn.dropout(inputs, rate=rate, noise_shape=noise_shape, seed=seed, name=name),
        lambda: tf.identity(inputs))


def flatten(inputs: Any, name: str | None = None, data_format: str = "channels_last") -> Any:
    """``tf1.layers.flatten``: ``[batch, ...]`` to ``[batch, n]``."""
    inputs = tf.convert_to_tensor(inputs)
    if data_format == "channels_first" and inputs.shape.rank > 2:
        inputs = tf.transpose(inputs, [0, *range(2, inputs.shape.rank), 1])
    size = 1
    for n in inputs.shape[1:]:
        size = -1 if n is None or size == -1 else size * n
    batch = inputs.shape[0] if size == -1 else -1
    return tf.reshape(inputs, [tf.shape(inputs)[0] if batch is None else batch, size], name=name)


def _applied(kind: type[Any], inputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # As in TF1: a function's name is its scope as it is, and a class's is made unique.
    return kind(*args, scope=kwargs.get("name"), **kwargs)(inputs)
