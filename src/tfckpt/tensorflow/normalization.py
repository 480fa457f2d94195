"""Batch normalization as TF1's layer computes it.

Source: TensorFlow 1.15's ``python/keras/layers/normalization.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfckpt.errors import VariableError
from tfckpt.tensorflow.scoped import ScopedLayer, resolve

__all__ = ["BatchNormalization", "either"]

_CLIPPING = ("rmin", "rmax", "dmax")


class _Moments(NamedTuple):
    """Of a batch, with the inputs' rank: what it is normalized by, and what is averaged."""

    mean: Any
    variance: Any
    batch_mean: Any
    batch_variance: Any


class BatchNormalization(ScopedLayer):
    """Normalizes over all axes but one, or some.

    With ``training=True`` the moving averages move in the call itself. In a TF1 graph that is an
    operation in the collection ``UPDATE_OPS``, as there.

    Four-dimensional inputs take TensorFlow's fused kernel, as in TF1. It counts N - 1 in the
    variance that is averaged, where the plain formula counts N.

    With `renorm` a batch is normalized by its own statistics, and corrected towards the moving
    ones; with `virtual_batch_size` each part of that size by its own.
    """

    base_name = "batch_normalization"

    def __init__(
        self, axis: Any = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
        scale: bool = True, beta_initializer: Any = "zeros", gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros", moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None, gamma_regularizer: Any = None, beta_constraint: Any = None,
        gamma_constraint: Any = None, renorm: bool = False,
        renorm_clipping: dict[str, Any] | None = None, renorm_momentum: float = 0.99,
        fused: bool | None = None, trainable: bool = True, virtual_batch_size: int | None = None,
        adjustment: Callable[[Any], tuple[Any, Any]] | None = None, name: str | None = None, *,
        reuse: Any = None, scope: Any = None,
    ) -> None:
        super().__init__(name=name, reuse=reuse, scope=scope, trainable=trainable)
        self._axes = [axis] if isinstance(axis, int) else list(axis)
        self._momentum = momentum
        self._epsilon = epsilon
        self._gamma_options = gamma_initializer, gamma_regularizer, gamma_constraint
        self._beta_options = beta_initializer, beta_regularizer, beta_constraint
        self._moving_initializers = moving_mean_initializer, moving_variance_initializer
        self._has = scale, center
        self._renorm = renorm
        self._clipping = _checked_clipping(renorm_clipping or {})
        self._renorm_momentum = renorm_momentum
        self._virtual = virtual_batch_size
        self._adjustment = adjustment
        # As in TF1, what the kernel can't do is computed without it, also if fused=True.
        self._fused = fused is not False and not (renorm or virtual_batch_size or adjustment)

    def build(self, shape: Any) -> None:
        self._axes = [axis % shape.rank for axis in self._axes]
        self._fused = self._fused and shape.rank == 4 and self._axes == [3]
        self._check_virtual()
        if self.dtype in {tf.float16, tf.bfloat16}:
            self.dtype = tf.float32
        self._spread = [shape[axis] if axis in self._axes else 1 for axis in range(shape.rank)]
        if self._virtual:
            self._spread.insert(1, 1)
        own = [shape[self._axes[0]]] if len(self._axes) == 1 and not self._virtual else self._spread
        scale, center = self._has
        self.gamma = self.add_weight("gamma", own, *self._gamma_options) if scale else None
        self.beta = self.add_weight("beta", own, *self._beta_options) if center else None
        self._build_averages(own)

    def _check_virtual(self) -> None:
        if self._virtual is None:
            return
        if self._virtual <= 0 or 0 in self._axes or self._adjustment:
            raise VariableError(
                "virtual batches need a size above 0, no adjustment, and an axis that isn't the"
                " batch's", got=f"size {self._virtual}, axis {self._axes}", tensor=self.name)

    def _build_averages(self, own: Sequence[int]) -> None:
        mean, variance = (resolve(initializer, "initializers")
                          for initializer in self._moving_initializers)

        def stddev(*args: Any, **kwargs: Any) -> Any:
            return tf.sqrt(variance(*args, **kwargs))

        scope = tf.compat.v1.get_variable_scope()
        partitioner = scope.partitioner
        scope.set_partitioner(None)  # as TF1 does for these
        try:
            self.moving_mean = self._average("moving_mean", own, mean)
            self.moving_variance = self._average("moving_variance", own, variance)
            if self._renorm:
                self.moving_stddev = self._average("moving_stddev", own, stddev)
                self.renorm_mean = self._average("renorm_mean", own, mean)
                self.renorm_stddev = self._average("renorm_stddev", own, stddev)
        finally:
            scope.set_partitioner(partitioner)

    def _average(self, name: str, shape: Sequence[int], initializer: Any) -> Any:
        return self.add_weight(name, shape, initializer, trainable=False,
                               synchronization=tf.VariableSynchronization.ON_READ,
                               aggregation=tf.VariableAggregation.MEAN)

    def call(self, inputs: Any, training: Any = False) -> Any:
        if self._fused:
            return self._call_fused(inputs, training)
        if not self._virtual:
            return self._call_plainly(inputs, training)
        rest = inputs.shape.as_list()[1:]
        parts = tf.reshape(inputs, [self._virtual, -1, *rest])
        return tf.reshape(self._call_plainly(parts, training), [-1, *rest])

    # ---- TensorFlow's kernel

    def _call_fused(self, inputs: Any, training: Any) -> Any:
        outputs, mean, variance = either(
            training, lambda: self._kernel(inputs, {}),
            lambda: self._kernel(inputs, {"mean": tf.convert_to_tensor(self.moving_mean),
                                          "variance": tf.convert_to_tensor(self.moving_variance)}))
        self._move(training, self.moving_mean, mean, self._momentum)
        self._move(training, self.moving_variance, variance, self._momentum)
        return outputs

    def _kernel(self, inputs: Any, given: dict[str, Any]) -> tuple[Any, Any, Any]:
        size = inputs.shape[-1]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.ones([size], self.dtype) if self.gamma is None else self.gamma,
            tf.zeros([size], self.dtype) if self.beta is None else self.beta,
            epsilon=self._epsilon, is_training=not given, **given)
        return outputs, mean, variance

    # ---- the formula

    def _call_plainly(self, inputs: Any, training: Any) -> Any:
        scale, offset = self._at_axes(self.gamma), self._at_axes(self.beta)
        if _known(training) is False:
            mean, variance = (self._at_axes(self.moving_mean), self._at_axes(self.moving_variance))
        else:
            if self._adjustment:
                first = self._adjustment(tf.shape(inputs))
                scale, offset = _then(*_only(training, *first), scale, offset)
            moments = self._moments(inputs, training)
            mean, variance = moments.mean, moments.variance
            if self._renorm:
                corrections = self._corrections(moments, training)
                scale, offset = _then(*corrections, scale, offset)
            self._move_averages(moments, training)
        mean, variance, offset, scale = (
            None if value is None else tf.cast(value, inputs.dtype)
            for value in (mean, variance, offset, scale))
        return tf.nn.batch_normalization(inputs, mean, variance, offset, scale, self._epsilon)

    def _at_axes(self, value: Any) -> Any:
        """A vector along the axis that it belongs to."""
        return None if value is None else tf.reshape(value, self._spread)

    def _moments(self, inputs: Any, training: Any) -> _Moments:
        kept = [axis + 1 for axis in self._axes] + [1] if self._virtual else self._axes
        reduced = [axis for axis in range(inputs.shape.rank) if axis not in kept]
        batch = tf.nn.moments(tf.cast(inputs, self.dtype), reduced, keepdims=True)
        mean = either(training, lambda: batch[0], lambda: self._at_axes(self.moving_mean))
        variance = either(training, lambda: batch[1],
                          lambda: self._at_axes(self.moving_variance))
        if not self._virtual:
            return _Moments(mean, variance, mean, variance)
        return _Moments(mean, variance, *(tf.reduce_mean(value, axis=1, keepdims=True)
                                          for value in (mean, variance)))

    def _corrections(self, moments: _Moments, training: Any) -> tuple[Any, Any]:
        """Renorm's scale and offset. It is told of the batch after they are computed."""
        floor = tf.sqrt(tf.constant(self._epsilon, self.dtype))
        stddev = tf.sqrt(moments.batch_variance + self._epsilon)
        usual = tf.maximum(self._at_axes(self.renorm_stddev), floor)
        ratio = stddev / usual
        shift = (moments.batch_mean - self._at_axes(self.renorm_mean)) / usual
        with tf.control_dependencies([ratio, shift]):
            self._move(training, self.renorm_mean, tf.identity(moments.batch_mean),
                       self._renorm_momentum)
            self._move(training, self.renorm_stddev, tf.identity(stddev), self._renorm_momentum)
        rmin, rmax, dmax = (self._clipping.get(name) for name in _CLIPPING)
        if rmin is not None:
            ratio = tf.maximum(ratio, rmin)
        if rmax is not None:
            ratio = tf.minimum(ratio, rmax)
        if dmax is not None:
            shift = tf.minimum(tf.maximum(shift, -dmax), dmax)
        ratio, shift = _only(training, ratio, shift)
        return tf.stop_gradient(ratio), tf.stop_gradient(shift)

    def _move_averages(self, moments: _Moments, training: Any) -> None:
        self._move(training, self.moving_mean, moments.batch_mean, self._momentum)
        if not self._renorm:
            self._move(training, self.moving_variance, moments.batch_variance, self._momentum)
            return
        stddev = tf.sqrt(moments.batch_variance + self._epsilon)

        def moved() -> Any:
            after = _moved(self.moving_stddev, stddev, self._momentum)
            return tf.compat.v1.assign(self.moving_variance, tf.nn.relu(
                after * after - self._epsilon))

        _update(training, moved, self.moving_variance)

    @staticmethod
    def _move(training: Any, average: Any, value: Any, momentum: float) -> None:
        _update(training, lambda: _moved(average, value, momentum), average)


def _moved(average: Any, value: Any, momentum: float) -> Any:
    value = tf.cast(tf.reshape(value, average.shape), average.dtype)
    weight = tf.constant(1 - momentum, value.dtype)
    return tf.compat.v1.assign_sub(average, (average - value) * weight)


def _update(training: Any, change: Callable[[], Any], variable: Any) -> None:
    """Change a variable while training; in a TF1 graph, once somebody runs the operation."""
    v1 = tf.compat.v1
    if _known(training) is False:
        return
    changed = either(training, lambda: tf.identity(change()),
                     lambda: tf.convert_to_tensor(variable))
    if not v1.executing_eagerly_outside_functions():
        v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, changed)


def _only(training: Any, scale: Any, offset: Any) -> tuple[Any, Any]:
    """A scale and an offset that leave things as they are unless in training."""
    return (either(training, lambda: scale, lambda: tf.ones_like(scale)),
            either(training, lambda: offset, lambda: tf.zeros_like(offset)))


def _then(scale: Any, offset: Any, then_scale: Any, then_offset: Any) -> tuple[Any, Any]:
    """One scale and offset for two of them, one after the other."""
    if then_scale is not None:
        scale, offset = scale * then_scale, offset * then_scale
    return scale, offset if then_offset is None else offset + then_offset


def _checked_clipping(clipping: dict[str, Any]) -> dict[str, Any]:
    if not clipping.keys() <= set(_CLIPPING):
        raise VariableError("renorm_clipping has other keys", expected=", ".join(_CLIPPING),
                            got=", ".join(clipping))
    return clipping


def either(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """One of two results; `condition` may be a bool, a number, None for false, or a tensor."""
    known = _known(condition)
    if known is None:
        return tf.cond(tf.cast(condition, tf.bool), yes, no)
    return yes() if known else no()


def _known(condition: Any) -> bool | None:
    """The condition, if it is known before the graph runs."""
    if tf.is_tensor(condition) or isinstance(condition, tf.Variable):
        value = tf.get_static_value(tf.convert_to_tensor(condition))
        return None if value is None else bool(value)
    return bool(condition)
