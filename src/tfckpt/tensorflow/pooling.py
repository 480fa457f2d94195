"""Pooling as functions with the arguments of TF1's; they have no variables."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfckpt.tensorflow.convolutions import data_format_of, padding_of, several

__all__ = ["average_pooling1d", "average_pooling2d", "average_pooling3d", "max_pooling1d",
           "max_pooling2d", "max_pooling3d"]


def max_pooling1d(inputs: Any, pool_size: Any, strides: Any, padding: str = "valid",
                  data_format: str = "channels_last", name: str | None = None) -> Any:
    """``tf1.layers.max_pooling1d``."""
    return _pool(1, "MAX", inputs, pool_size, strides, padding, data_format, name)


def max_pooling2d(inputs: Any, pool_size: Any, strides: Any, padding: str = "valid",
                  data_format: str = "channels_last", name: str | None = None) -> Any:
    """``tf1.layers.max_pooling2d``."""
    return _pool(2, "MAX", inputs, pool_size, strides, padding, data_format, name)


def max_pooling3d(inputs: Any, pool_size: Any, strides: Any, padding: str = "valid",
                  data_format: str = "channels_last", name: str | None = None) -> Any:
    """``tf1.layers.max_pooling3d``."""
    return _pool(3, "MAX", inputs, pool_size, strides, padding, data_format, name)


def average_pooling1d(inputs: Any, pool_size: Any, strides: Any, padding: str = "valid",
                      data_format: str = "channels_last", name: str | None = None) -> Any:
    """``tf1.layers.average_pooling1d``."""
    return _pool(1, "AVG", inputs, pool_size, strides, padding, data_format, name)


def average_pooling2d(inputs: Any, pool_size: Any, strides: Any, padding: str = "valid",
                      data_format: str = "channels_last", name: str | None = None) -> Any:
    """``tf1.layers.average_pooling2d``."""
    return _pool(2, "AVG", inputs, pool_size, strides, padding, data_format, name)


def average_pooling3d(inputs: Any, pool_size: Any, strides: Any, padding: str = "valid",
                      data_format: str = "channels_last", name: str | None = None) -> Any:
    """``tf1.layers.average_pooling3d``."""
    return _pool(3, "AVG", inputs, pool_size, strides, padding, data_format, name)


def _pool(rank: int, kind: str, inputs: Any, pool_size: Any, strides: Any, padding: str,
          data_format: str, name: str | None) -> Any:
    spatial = "DHW"[3 - rank:]
    return tf.nn.pool(
        tf.convert_to_tensor(inputs), several(pool_size, rank), kind,
        strides=several(strides, rank), padding=padding_of(padding),
        data_format=f"N{spatial}C" if data_format_of(data_format) else f"NC{spatial}", name=name)
