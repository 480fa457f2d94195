"""Batch normalization as TF1's layer computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfckpt.errors import UnsupportedError
from tfckpt.tensorflow.scoped import ScopedLayer

__all__ = ["BatchNormalization", "either"]


class BatchNormalization(ScopedLayer):
    """Normalizes over all axes but one.

    With ``training=True`` the moving averages move in the call itself. In a TF1 graph that is an
    operation in the collection ``UPDATE_OPS``, as there.

    Four-dimensional inputs take TensorFlow's fused kernel, as in TF1. It counts N - 1 in the
    variance that is averaged, where the plain formula counts N.
    """

    base_name = "batch_normalization"

    def __init__(
        self, axis: Any = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
        scale: bool = True, beta_initializer: Any = "zeros", gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros", moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None, gamma_regularizer: Any = None, beta_constraint: Any = None,
        gamma_constraint: Any = None, *, fused: bool | None = None, trainable: bool = True,
        name: str | None = None, reuse: Any = None, layer_scope: Any = None,
    ) -> None:
        super().__init__(name=name, reuse=reuse, scope=layer_scope, trainable=trainable)
        axes = [axis] if isinstance(axis, int) else list(axis)
        if len(axes) != 1:
            raise UnsupportedError("batch_normalization: only one axis is supported", got=axes)
        self._axis: int = axes[0]
        self._momentum = momentum
        self._epsilon = epsilon
        self._fused = fused
        self._gamma_options = gamma_initializer, gamma_regularizer, gamma_constraint
        self._beta_options = beta_initializer, beta_regularizer, beta_constraint
        self._moving_initializers = moving_mean_initializer, moving_variance_initializer
        self._has = scale, center

    def build(self, shape: Any) -> None:
        self._axis %= shape.rank
        self._fused = (self._fused is not False and shape.rank == 4 and self._axis == 3)
        if self.dtype in {tf.float16, tf.bfloat16}:
            self.dtype = tf.float32
        size = [shape[self._axis]]
        scale, center = self._has
        mean, variance = self._moving_initializers
        self.gamma = self.add_weight("gamma", size, *self._gamma_options) if scale else None
        self.beta = self.add_weight("beta", size, *self._beta_options) if center else None
        self.moving_mean = self.add_weight("moving_mean", size, mean, trainable=False)
        self.moving_variance = self.add_weight("moving_variance", size, variance, trainable=False)

    def call(self, inputs: Any, training: Any = False) -> Any:
        normalize = self._normalize_fused if self._fused else self._normalize_plainly
        outputs, mean, variance = either(
            training, lambda: normalize(inputs, None, None),
            lambda: normalize(inputs, tf.convert_to_tensor(self.moving_mean),
                              tf.convert_to_tensor(self.moving_variance)))
        if training is not False and training is not None:
            weight = either(training, lambda: tf.constant(1 - self._momentum, self.dtype),
                            lambda: tf.constant(0.0, self.dtype))
            self._move(self.moving_mean, mean, weight)
            self._move(self.moving_variance, variance, weight)
        return outputs

    def _normalize_fused(self, inputs: Any, mean: Any, variance: Any) -> tuple[Any, Any, Any]:
        size = inputs.shape[-1]
        given = {} if mean is None else {"mean": mean, "variance": variance}
        outputs, batch_mean, batch_variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.ones([size], self.dtype) if self.gamma is None else self.gamma,
            tf.zeros([size], self.dtype) if self.beta is None else self.beta,
            epsilon=self._epsilon, is_training=mean is None, **given)
        return outputs, batch_mean, batch_variance

    def _normalize_plainly(self, inputs: Any, mean: Any, variance: Any) -> tuple[Any, Any, Any]:
        if mean is None:
            axes = [axis for axis in range(inputs.shape.rank) if axis != self._axis]
            mean, variance = tf.nn.moments(tf.cast(inputs, self.dtype), axes)
        shape = [1] * inputs.shape.rank
        shape[self._axis] = inputs.shape[self._axis]

        def spread(value: Any) -> Any:
            return None if value is None else tf.cast(tf.reshape(value, shape), inputs.dtype)

        outputs = tf.nn.batch_normalization(
            inputs, spread(mean), spread(variance), spread(self.beta), spread(self.gamma),
            self._epsilon)
        return outputs, mean, variance

    @staticmethod
    def _move(average: Any, value: Any, weight: Any) -> None:
        v1 = tf.compat.v1
        update = v1.assign_sub(average, (average - tf.cast(value, average.dtype)) * weight)
        if not v1.executing_eagerly_outside_functions():
            v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)


def either(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """One of two results; `condition` may be a bool, a number, None for false, or a tensor."""
    if tf.is_tensor(condition) or isinstance(condition, tf.Variable):
        known = tf.get_static_value(tf.convert_to_tensor(condition))
        if known is None:
            return tf.cond(tf.cast(condition, tf.bool), yes, no)
        condition = known
    return yes() if condition else no()
