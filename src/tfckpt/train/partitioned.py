"""A variable in parts, which a checkpoint has under one name.

Source: python/ops/variables.py of TensorFlow 1.15.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.errors import VariableError
from tfckpt.format.dtypes import DType
from tfckpt.train.values import Shape, as_array
from tfckpt.train.variables import Variable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["PartitionedVariable"]


class PartitionedVariable:
    """A variable that is held in parts, cut along one axis.

    The parts are variables of their own, ``name/part_0`` and so on; each part's
    ``save_slice_info`` says which part of the whole it is, and by that a checkpoint stores
    the whole under one name.

    Args:
        name: Name of the whole.
        shape: Shape of the whole.
        dtype: Its dtype.
        variable_list: The parts, in order.
        partitions: Into how many parts each axis was cut.

    Example:
        >>> from tfckpt.train.initializers import fixed_size_partitioner
        >>> from tfckpt.train.getting import get_variable
        >>> w = get_variable("w", [5, 2], partitioner=fixed_size_partitioner(2))
        >>> [(part.full_name, part.save_slice_info.offset, part.shape) for part in w]
        [('w/part_0', 0, (3, 2)), ('w/part_1', 3, (2, 2))]
        >>> w.numpy().shape
        (5, 2)
    """

    def __init__(self, name: str, shape: Sequence[int], dtype: DType,
                 variable_list: Sequence[Variable], partitions: Sequence[int]) -> None:
        self._name = name
        self._shape = tuple(shape)
        self._dtype = dtype
        self._parts = tuple(variable_list)
        self._partitions = tuple(partitions)
        for part in self._parts:
            info = part.save_slice_info
            if info is None or (info.full_name, info.full_shape) != (name, self._shape):
                raise VariableError("the variable is no part of this whole",
                                    expected=f"a part of {self._shape}", got=info, tensor=name)

    @classmethod
    def of_parts(cls, parts: Sequence[Any]) -> PartitionedVariable:
        """The whole that these variables are parts of; they need not be all of its parts.

        Raises:
            VariableError: Something is no part, or they are parts of different wholes.
        """
        infos = [part.save_slice_info for part in parts
                 if isinstance(part, Variable) and part.save_slice_info is not None]
        if not parts or len(infos) != len(parts):
            raise VariableError("these are not the parts of a partitioned variable",
                                got=repr(list(parts)))
        first = infos[0]
        counts = [len({info.var_offset[axis] for info in infos})
                  for axis in range(len(first.full_shape))]
        return cls(first.full_name, first.full_shape, parts[0].dtype, parts, counts)

    @property
    def name(self) -> str:
        """Name of the whole; it has no output number."""
        return self._name

    @property
    def full_name(self) -> str:
        """Name of the whole: its key in a name-based checkpoint."""
        return self._name

    @property
    def dtype(self) -> DType:
        """Dtype of the whole and of each part."""
        return self._dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole."""
        return self._shape

    def get_shape(self) -> tuple[int, ...]:
        """Shape of the whole, as `shape`."""
        return self._shape

    @property
    def partitions(self) -> tuple[int, ...]:
        """Into how many parts each axis is cut."""
        return self._partitions

    @property
    def axis(self) -> int:
        """The axis that is cut."""
        return next((axis for axis, count in enumerate(self._partitions) if count > 1), 0)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The whole as an array of its own."""
        import numpy as np  # deferred: making names needs no numpy

        return np.concatenate([part.numpy() for part in self._parts], axis=self.axis)

    def assign(self, value: Any) -> PartitionedVariable:
        """Give each part its part of a value.

        Raises:
            VariableError: The value has another shape or another kind; no part is changed.
        """
        array = as_array(value, self._dtype)[0]
        if array.shape != self._shape:
            raise VariableError("the value has another shape than the variable",
                                expected=self._shape, got=array.shape, tensor=self._name)
        for part in self._parts:
            info = part.save_slice_info
            assert info is not None  # __init__ saw to it
            part.assign(array[tuple(slice(offset, offset + size) for offset, size
                                    in zip(info.var_offset, info.var_shape, strict=True))])
        return self

    def accepts(self, shape: Shape) -> bool:
        """Whether values of this shape can be assigned."""
        return self._shape == shape

    def restore(self, array: np.ndarray[Any, Any], *, as_initial: bool = False) -> None:
        """Have each part take over its part of an array of the whole's dtype and shape.

        Args:
            array: The array.
            as_initial: Whether it becomes the initial value too.
        """
        for part, own in self.parts_of(array):
            part.restore(own, as_initial=as_initial)

    def parts_of(self, array: np.ndarray[Any, Any]
                 ) -> Iterator[tuple[Variable, np.ndarray[Any, Any]]]:
        """Each part with what it takes of an array of the whole's dtype and shape."""
        for part in self._parts:
            info = part.save_slice_info
            assert info is not None  # __init__ saw to it
            own = array[info.cut].copy()  # a view would keep the whole array alive
            own.flags.writeable = False
            yield part, own

    def __iter__(self) -> Iterator[Variable]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: int) -> Variable:
        return self._parts[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        import numpy as np  # deferred, as above

        array: np.ndarray[Any, Any] = np.asarray(self.numpy(), dtype)
        return array

    def __repr__(self) -> str:
        return (f"<tfckpt.PartitionedVariable {self._name!r} shape={self._shape}"
                f" dtype={self._dtype.name}, {len(self._parts)} parts>")
