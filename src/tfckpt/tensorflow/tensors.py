"""Arrays of TensorFlow's tensors, without a copy where it allows that, and tensors of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfckpt.format.dtypes import VARIANT
from tfckpt.format.proto import encode_bytes, encode_int, parse_fields
from tfckpt.format.varint import encode_varint, parse_varint
from tfckpt.train.storedvariants import StoredVariants
from tfckpt.train.values import as_dtype

if TYPE_CHECKING:
    from tfckpt.format.dtypes import DType

__all__ = ["array_of", "as_array_of", "proto_of", "tensor_of", "value_of", "variants_of"]

# Fields of TensorProto, core/framework/tensor.proto.
_DTYPE, _SHAPE, _CONTENT = 1, 2, 4


def array_of(tensor: Any) -> np.ndarray[Any, Any]:
    """The value of an eager tensor, as a read-only view of its buffer if it is in memory.

    TensorFlow never writes to a buffer that a tensor refers to: a variable that is changed
    while somebody has its old value gets a new buffer. So the view is a snapshot.
    """
    # EagerTensor.numpy() copies what _numpy() gives; some kinds of tensors have only the first.
    read = getattr(tensor, "_numpy", tensor.numpy)
    return as_array_of(read(), as_dtype(tensor.dtype.name))


def as_array_of(value: Any, dtype: DType) -> np.ndarray[Any, Any]:
    """A read-only array of what TensorFlow gives as a tensor's value, for a scalar too."""
    if not isinstance(value, np.ndarray):
        scalar: np.ndarray[Any, Any] = np.empty((), dtype.numpy())
        scalar[()] = value
        value = scalar
    array: np.ndarray[Any, Any] = value.view()
    if array.dtype != dtype.numpy() and array.dtype.itemsize == dtype.numpy().itemsize:
        array = array.view(dtype.numpy())  # quantized kinds have dtypes of their own
    array.flags.writeable = False
    return array


def value_of(tensor: Any) -> Any:
    """The value of an eager tensor: an array, or `StoredVariants`."""
    if tensor.dtype.base_dtype != tf.variant:
        return array_of(tensor)
    return variants_of(tf.io.serialize_tensor(tensor).numpy(), tuple(tensor.shape))


def variants_of(proto: bytes, shape: tuple[int, ...]) -> StoredVariants:
    """The elements of a variant tensor, from its TensorProto.

    All lengths come first and then all elements: EncodeVariantList in
    core/framework/variant_encode_decode.cc.
    """
    content = b"".join(field.as_bytes() for field in parse_fields(proto)
                       if field.number == _CONTENT)
    lengths, at = [], 0
    for _ in range(int(np.prod(shape, dtype=np.int64))):
        length, at = parse_varint(content, at)
        lengths.append(length)
    elements = []
    for length in lengths:
        elements.append(content[at:at + length])
        at += length
    return StoredVariants(elements, shape)


def tensor_of(value: Any, dtype: Any = None) -> Any:
    """An eager tensor, or in a graph a constant, of what `value_of` gave.

    Args:
        value: The value.
        dtype: TensorFlow's dtype for it, if that isn't the array's: a quantized kind.
    """
    if not isinstance(value, StoredVariants):
        tensor = tf.convert_to_tensor(value)
        return tensor if dtype in (None, tensor.dtype) else tf.bitcast(tensor, dtype)
    return tf.io.parse_tensor(proto_of(value), tf.variant)


def proto_of(value: StoredVariants) -> bytes:
    """A variant tensor as a TensorProto; `variants_of` is the other way."""
    shape = b"".join(encode_bytes(2, encode_int(1, size)) for size in value.shape)
    content = b"".join(map(encode_varint, map(len, value.elements))) + b"".join(value.elements)
    return (encode_int(_DTYPE, VARIANT.number) + encode_bytes(_SHAPE, shape)
            + encode_bytes(_CONTENT, content))
