"""Convolutions as TF1's layers make them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfckpt.errors import UnsupportedError
from tfckpt.tensorflow.scoped import ScopedLayer, resolve, unsupported

__all__ = ["Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D", "SeparableConv2D", "data_format_of",
           "padding_of", "several"]


class _Conv(ScopedLayer):
    """Convolution of `rank` spatial axes. ``dilation_rate`` needs strides of 1."""

    rank: int

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = 1, activation: Any = None,
        use_bias: bool = True, kernel_initializer: Any = None, bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: str | None = None,
        reuse: Any = None, scope: Any = None,
    ) -> None:
        super().__init__(name=name, reuse=reuse, scope=scope, trainable=trainable)
        unsupported(self.base_name, activity_regularizer=activity_regularizer)
        self._filters = filters
        self._size = several(kernel_size, self.rank)
        self._strides = several(strides, self.rank)
        self._dilations = several(dilation_rate, self.rank)
        self._padding = padding_of(padding)
        self._last = data_format_of(data_format)
        self._activation = resolve(activation, "activations")
        self._use_bias = use_bias
        self._kernel_options = kernel_initializer, kernel_regularizer, kernel_constraint
        self._bias_options = bias_initializer, bias_regularizer, bias_constraint

    def build(self, shape: Any) -> None:
        self._build_kernels(shape[-1 if self._last else 1])
        self.bias = (self.add_weight("bias", [self._filters], *self._bias_options)
                     if self._use_bias else None)

    def _build_kernels(self, channels: int) -> None:
        self.kernel = self.add_weight(
            "kernel", [*self._size, channels, self._filters], *self._kernel_options)

    def call(self, inputs: Any) -> Any:
        outputs = self._convolve(inputs)
        if self.bias is not None:
            outputs = tf.nn.bias_add(outputs, self.bias,
                                     data_format=None if self._last else "NC..")
        return self._activation(outputs) if self._activation else outputs

    def _convolve(self, inputs: Any) -> Any:
        return tf.nn.convolution(
            inputs, self.kernel, strides=self._strides, padding=self._padding,
            data_format=self._layout, dilations=self._dilations)

    @property
    def _layout(self) -> str:
        spatial = "DHW"[3 - self.rank:] if self.rank > 1 else "W"
        return f"N{spatial}C" if self._last else f"NC{spatial}"


class Conv1D(_Conv):
    """Kernel ``[width, in, out]``."""

    base_name = "conv1d"
    rank = 1


class Conv2D(_Conv):
    """Kernel ``[height, width, in, out]``."""

    base_name = "conv2d"
    rank = 2


class Conv3D(_Conv):
    """Kernel ``[depth, height, width, in, out]``."""

    base_name = "conv3d"
    rank = 3


class Conv2DTranspose(_Conv):
    """Kernel ``[height, width, out, in]``: the gradient of a convolution, as a layer."""

    base_name = "conv2d_transpose"
    rank = 2

    def __init__(self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
                 data_format: str = "channels_last", *args: Any, **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, strides, padding, data_format, 1, *args, **kwargs)

    def _build_kernels(self, channels: int) -> None:
        self.kernel = self.add_weight(
            "kernel", [*self._size, self._filters, channels], *self._kernel_options)

    def _convolve(self, inputs: Any) -> Any:
        first = 1 if self._last else 2
        shape = tf.shape(inputs)
        spatial = []
        for i, (size, stride) in enumerate(zip(self._size, self._strides, strict=True)):
            length = inputs.shape[first + i]
            length = shape[first + i] if length is None else length
            more = max(size - stride, 0) if self._padding == "VALID" else 0
            spatial.append(length * stride + more)
        batch = shape[0] if inputs.shape[0] is None else inputs.shape[0]
        output = ([batch, *spatial, self._filters] if self._last
                  else [batch, self._filters, *spatial])
        return tf.nn.conv2d_transpose(
            inputs, self.kernel, output, strides=self._strides, padding=self._padding,
            data_format=self._layout)


class SeparableConv2D(_Conv):
    """A depthwise convolution, then one of size 1.

    Args are those of TF1: `depth_multiplier` after `dilation_rate`, and initializers,
    regularizers and constraints of both kernels.
    """

    base_name = "separable_conv2d"
    rank = 2

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = 1, depth_multiplier: int = 1,
        activation: Any = None, use_bias: bool = True, depthwise_initializer: Any = None,
        pointwise_initializer: Any = None, bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, pointwise_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None,
        depthwise_constraint: Any = None, pointwise_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: str | None = None,
        reuse: Any = None, scope: Any = None,
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, activation,
            use_bias, bias_initializer=bias_initializer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, bias_constraint=bias_constraint,
            trainable=trainable, name=name, reuse=reuse, scope=scope)
        self._multiplier = depth_multiplier
        self._depthwise_options = (
            depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self._pointwise_options = (
            pointwise_initializer, pointwise_regularizer, pointwise_constraint)

    def _build_kernels(self, channels: int) -> None:
        self.depthwise_kernel = self.add_weight(
            "depthwise_kernel", [*self._size, channels, self._multiplier],
            *self._depthwise_options)
        self.pointwise_kernel = self.add_weight(
            "pointwise_kernel", [1, 1, channels * self._multiplier, self._filters],
            *self._pointwise_options)

    def _convolve(self, inputs: Any) -> Any:
        strides = [1, *self._strides, 1] if self._last else [1, 1, *self._strides]
        return tf.nn.separable_conv2d(
            inputs, self.depthwise_kernel, self.pointwise_kernel, strides, self._padding,
            data_format=self._layout, dilations=self._dilations)


def several(value: Any, count: int) -> list[int]:
    """One number for each spatial axis."""
    return [value] * count if isinstance(value, int) else list(value)


def padding_of(padding: str) -> str:
    """``VALID`` or ``SAME``.

    Raises:
        UnsupportedError: Anything else.
    """
    if padding.upper() not in {"VALID", "SAME"}:
        raise UnsupportedError("unknown padding", expected="valid or same", got=padding)
    return padding.upper()


def data_format_of(data_format: str) -> bool:
    """Whether channels come last.

    Raises:
        UnsupportedError: Neither ``channels_last`` nor ``channels_first``.
    """
    if data_format not in {"channels_last", "channels_first"}:
        raise UnsupportedError("unknown data format",
                               expected="channels_last or channels_first", got=data_format)
    return data_format == "channels_last"
