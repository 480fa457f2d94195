"""Arrays of PyTorch's tensors, without a copy where there is one in memory, and the other way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tfckpt.errors import UnsupportedError, VariableError
from tfckpt.format.dtypes import DType, dtype_named

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

__all__ = ["check_readable", "check_writable", "dtype_of", "snapshot", "tensors_of", "view_of",
           "write_tensor"]

# Integers of one size stand for what numpy itself has no dtype for.
_CARRIERS = {1: torch.uint8, 2: torch.int16}


def dtype_of(tensor: torch.Tensor) -> DType:
    """TensorFlow's dtype for a tensor's elements.

    Raises:
        UnsupportedError: TensorFlow has no such dtype.
    """
    return dtype_named(str(tensor.dtype).removeprefix("torch."))


def tensors_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters and buffers of a ``state_dict``, by their names.

    Without what ``get_extra_state`` adds, which may be anything and is no weight.
    """
    return {name: value for name, value in module.state_dict(keep_vars=True).items()
            if isinstance(value, torch.Tensor) and not name.endswith("_extra_state")}


def view_of(tensor: torch.Tensor, name: str) -> Array:
    """The elements of a tensor: its own memory if that is the CPU's, else a copy.

    Raises:
        VariableError: It has no elements yet.
        UnsupportedError: They don't lie in rows: it is sparse or quantized.
    """
    check_readable(tensor, name)
    return _as_array(tensor.detach().cpu().resolve_conj().resolve_neg())


def _as_array(value: torch.Tensor) -> Array:
    """The memory of a tensor of the CPU's."""
    dtype = dtype_of(value).numpy()
    if dtype.isbuiltin != 1:  # of ml_dtypes, which PyTorch doesn't know
        carried: Array = value.view(_CARRIERS[dtype.itemsize]).numpy()
        return carried.view(dtype)
    array: Array = value.numpy()
    return array


def check_readable(tensor: torch.Tensor, name: str) -> None:
    """See that a tensor has elements that can be read and set.

    Raises:
        VariableError: It has none yet.
        UnsupportedError: They don't lie in rows.
    """
    if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
        raise VariableError("the parameter has no shape yet", tensor=name,
                            hint="Call the module once on an input: its layers are lazy.")
    if tensor.is_meta:
        raise VariableError("the tensor is on the meta device, where nothing has a value",
                            tensor=name, hint="module.to_empty(device='cpu') gives it memory.")
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise UnsupportedError("the tensor is sparse or quantized, and no checkpoint of"
                               " TensorFlow's has such", tensor=name)


def check_writable(tensor: torch.Tensor, name: str) -> None:
    """See that a tensor's elements can be set, so that nothing fails when some are already.

    Raises:
        VariableError: They can't.
        UnsupportedError: As for `check_readable`.
    """
    check_readable(tensor, name)
    if tensor.is_inference():
        raise VariableError("the tensor was made in torch.inference_mode, and can't be set",
                            tensor=name)
    if any(step == 0 and size > 1 for step, size in zip(tensor.stride(), tensor.shape,
                                                        strict=True)):
        raise VariableError("several elements of the tensor are one in memory, and can't be set",
                            tensor=name, hint="tensor.contiguous() makes one where they aren't.")


def write_tensor(tensor: torch.Tensor, array: Array) -> None:
    """Set the elements of a tensor, where it is and as it is.

    What PyTorch has noted of it stays: device, dtype, ``requires_grad``, and who else has it.

    Args:
        tensor: A tensor of any device.
        array: Elements of its dtype and shape; a read-only view will do.
    """
    value = _lent(array)
    with torch.no_grad():
        tensor.copy_(value if value.dtype == tensor.dtype else value.view(tensor.dtype))


def snapshot(array: Array) -> Array:
    """The same elements in memory of their own, row after row, which nobody writes to."""
    own: Array = np.empty(array.shape, array.dtype)
    with torch.no_grad():
        _lent(own).copy_(_lent(array))
    own.flags.writeable = False
    return own


def _lent(array: Array) -> torch.Tensor:
    """An array as a tensor in the same memory, to be read; PyTorch moves axes in tiles.

    Of a dtype that PyTorch can't take from numpy it is the integer of that size.
    """
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.isbuiltin != 1:
        array = array.view(f"i{array.itemsize}" if array.itemsize > 1 else "u1")
    return torch.from_numpy(np.asarray(_Lent(array)))


class _Lent:
    """An array that is taken for one that may be written to: PyTorch warns of others."""

    def __init__(self, array: Array) -> None:
        self.array = array  # its memory must live as long
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
