"""Variables that hold a numpy array: what `Saver` and `Checkpoint` save and restore.

A variable's array is never written to but replaced, so what ``numpy()`` gave stays what it
was, and giving it costs no copy.
Source: python/ops/resource_variable_ops.py of TensorFlow 2.21, python/ops/variables.py of 1.15.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.errors import UnsupportedError, VariableError, VariableTypeError
from tfckpt.format.dtypes import DType
from tfckpt.train.graphs import (
    GraphKeys,
    executing_eagerly,
    get_default_graph,
    name_scope,
)
from tfckpt.train.values import Shape, as_array, as_dtype, as_shape, is_compatible, kind_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SaveSliceInfo", "Variable"]


class SaveSliceInfo(NamedTuple):
    """Which part of a whole a variable is.

    Attributes:
        full_name: Name of the whole, under which checkpoints store the part.
        full_shape: Shape of the whole.
        var_offset: Where the part begins, along each axis.
        var_shape: Shape of the part.
    """

    full_name: str
    full_shape: tuple[int, ...]
    var_offset: tuple[int, ...]
    var_shape: tuple[int, ...]

    @property
    def axis(self) -> int:
        """The axis that was cut; 0 if the part is the whole."""
        for axis, (full, size) in enumerate(zip(self.full_shape, self.var_shape, strict=True)):
            if full != size:
                return axis
        return 0

    @property
    def offset(self) -> int:
        """Where the part begins along the cut axis."""
        return self.var_offset[self.axis]

    @property
    def size(self) -> int:
        """How long the part is along the cut axis."""
        return self.var_shape[self.axis]

    @property
    def cut(self) -> tuple[slice, ...]:
        """The part as an index of the whole."""
        return tuple(slice(offset, offset + size) for offset, size
                     in zip(self.var_offset, self.var_shape, strict=True))

    @property
    def spec(self) -> str:
        """The text by which TensorFlow's save operation knows the part.

        Example:
            >>> SaveSliceInfo("w", (5, 2), (2, 0), (2, 2)).spec
            '5 2 2,2:0,2'
        """
        dims = " ".join(str(dim) for dim in self.full_shape)
        parts = zip(self.var_offset, self.var_shape, strict=True)
        return f"{dims} " + ":".join(f"{offset},{size}" for offset, size in parts)


class Op(NamedTuple):
    """What scripts for TensorFlow 1 ask of ``variable.op``: the name without output number."""

    name: str


class Variable:
    """A named array that can be assigned to, saved and restored.

    Two variables are equal only if they are the same one. In a `Graph` the name is made
    unique and the variable is listed in the graph's collections; elsewhere neither happens.

    Args:
        initial_value: Its first value: a number, text, an array, rows of these, another
            variable, or a function without arguments that returns one.
        trainable: Whether training changes it; yes by default.
        validate_shape: If False, values of any shape can be assigned.
        caching_device: Not used.
        name: Its name, put under the name scopes around; ``Variable`` by default.
        variable_def: Not supported.
        dtype: Its dtype: a `DType`, the name of one, or numpy's. By default the one that
            TensorFlow would choose for the value.
        import_scope: Not used.
        constraint: Kept as an attribute.
        synchronization: Not used.
        aggregation: Not used.
        shape: Shape of every value to come, with None for what may differ; that of the
            first value by default.
        collections: The graph's collections to list it in, instead of the global variables.

    Raises:
        VariableError: There is no value, or it contradicts dtype or shape, or the name is
            not valid in a graph.
        GraphStateError: The graph is finalized.

    Example:
        >>> step = Variable(1, name="step")
        >>> step.assign_add(2)
        <tfckpt.Variable 'step:0' shape=() dtype=int32, numpy=3>
    """

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: object = None,
        name: str | bytes | None = None,
        variable_def: object = None,
        dtype: Any = None,
        import_scope: str | None = None,
        constraint: Callable[..., Any] | None = None,
        synchronization: object = None,
        aggregation: object = None,
        shape: Any = None,
        *,
        collections: Sequence[Any] | None = None,
    ) -> None:
        _check_arguments(initial_value, variable_def, constraint, collections)
        self.trainable = True if trainable is None else bool(trainable)
        self.constraint = constraint
        self.save_slice_info: SaveSliceInfo | None = None
        with name_scope(name, "Variable") as prefix:
            self._full_name = prefix.removesuffix("/")
            self._value, self._dtype = self._first_value(initial_value, dtype)
            if not executing_eagerly():
                _take_names(self._full_name)
        self._shape: Shape | None = self._value.shape if shape is None else as_shape(shape)
        if not validate_shape:
            self._shape = None
        if not is_compatible(self._shape, self._value.shape):
            raise VariableError("the initial value has another shape", expected=self._shape,
                                got=self._value.shape, tensor=self._full_name)
        # A function is kept instead of its value, so that a big value isn't held twice.
        self._initial_value = initial_value if callable(initial_value) else self._value
        self._list_in(collections)

    def _first_value(self, given: Any, dtype: Any) -> tuple[np.ndarray[Any, Any], DType]:
        wanted = None if dtype is None else as_dtype(dtype)
        if executing_eagerly():
            return _as_value(given() if callable(given) else given, wanted)
        graph = get_default_graph()
        graph.check_not_finalized()
        if callable(given):
            with name_scope("Initializer"):
                return _as_value(given(), wanted)
        value = _as_value(given, wanted)
        if not isinstance(given, Variable):
            graph.take_operation("initial_value")
        return value

    def _list_in(self, collections: Sequence[Any] | None) -> None:
        keys = [GraphKeys.GLOBAL_VARIABLES] if collections is None else list(collections)
        if executing_eagerly():  # there only the global step is listed
            keys = [key for key in keys if key == GraphKeys.GLOBAL_STEP]
        elif self.trainable and GraphKeys.TRAINABLE_VARIABLES not in keys:
            keys.append(GraphKeys.TRAINABLE_VARIABLES)
        for key in dict.fromkeys(keys):
            get_default_graph().add_to_collection(key, self)

    @property
    def name(self) -> str:
        """Its name with the output number, ``scoped/c:0``."""
        return f"{self._full_name}:0"

    @property
    def full_name(self) -> str:
        """Its name without output number, ``scoped/c``: its key in a name-based checkpoint."""
        return self._full_name

    @property
    def op(self) -> Op:
        """Its ``op.name`` is its name without output number, as in TensorFlow 1."""
        return Op(self._full_name)

    @property
    def dtype(self) -> DType:
        """Dtype of every value; its ``name`` is TensorFlow's."""
        return self._dtype

    @property
    def shape(self) -> Shape:
        """Its dimensions; None for one that may differ from value to value."""
        return self._value.shape if self._shape is None else self._shape

    def get_shape(self) -> Shape:
        """Its dimensions, as `shape`."""
        return self.shape

    def accepts(self, shape: Shape) -> bool:
        """Whether values of this shape can be assigned; more than `shape` tells if any can."""
        return is_compatible(self._shape, shape)

    @property
    def initial_value(self) -> Any:
        """The value it began with; from a function, what the function returns now."""
        given = self._initial_value
        return _scalar(_as_value(given() if callable(given) else given, self._dtype)[0])

    def numpy(self) -> Any:
        """Its value: a read-only array, for a scalar numpy's scalar, for a scalar string bytes.

        The array stays what it is when the variable is assigned another value.

        Example:
            >>> Variable([1.0, 2.0]).numpy()
            array([1., 2.], dtype=float32)
        """
        return _scalar(self._value)

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """Its value as the read-only array that it holds, for a scalar too."""
        return self._value

    def value(self) -> Any:
        """Its value, as `numpy`."""
        return self.numpy()

    def read_value(self) -> Any:
        """Its value, as `numpy`."""
        return self.numpy()

    def assign(self, value: Any, use_locking: bool = False, name: str | None = None,
               read_value: bool = True) -> Variable:
        """Give it another value.

        Args:
            value: The value. Python numbers are taken in the variable's dtype, and so is a
                number or array of another dtype if that loses no more than precision;
                another variable must have the same dtype.
            use_locking: Not used.
            name: Not used.
            read_value: Not used.

        Returns:
            The variable.

        Raises:
            VariableTypeError: The value is of another kind; a float is never cut to an
                integer.
            VariableError: It has another shape.

        Example:
            >>> Variable(0.0).assign(2).numpy()
            np.float32(2.0)
        """
        self._value = self._checked(value)
        return self

    def assign_add(self, delta: Any, use_locking: bool = False, name: str | None = None,
                   read_value: bool = True) -> Variable:
        """Add to its value; integers wrap around, as in TensorFlow. See `assign`.

        Example:
            >>> Variable([1, 2]).assign_add([10, 20]).numpy()
            array([11, 22], dtype=int32)
        """
        import numpy as np  # deferred: making names needs no numpy

        return self._update(np.add, delta)

    def assign_sub(self, delta: Any, use_locking: bool = False, name: str | None = None,
                   read_value: bool = True) -> Variable:
        """Subtract from its value. See `assign_add`."""
        import numpy as np  # deferred, as above

        return self._update(np.subtract, delta)

    def restore(self, array: np.ndarray[Any, Any], *, as_initial: bool = False) -> None:
        """Take over a read-only array of its dtype and shape, without a copy.

        Args:
            array: The array.
            as_initial: Whether it becomes the initial value too.
        """
        self._value = array
        if as_initial:
            self._initial_value = array

    def _update(self, function: Callable[..., Any], delta: Any) -> Variable:
        import numpy as np  # deferred, as above

        if kind_of(self._dtype) in ("bool", "string"):
            raise VariableTypeError(f"nothing can be added to a variable of dtype {self._dtype}",
                                    tensor=self._full_name)
        change = self._checked(delta)
        with np.errstate(over="ignore", invalid="ignore"):  # infinities, as in TensorFlow
            array = np.asarray(function(self._value, change), self._value.dtype)
        array.flags.writeable = False
        self._value = array
        return self

    def _checked(self, value: Any) -> np.ndarray[Any, Any]:
        try:
            array = _as_value(value, self._dtype)[0]
        except VariableError as error:
            error.tensor = self._full_name
            raise
        if not is_compatible(self._shape, array.shape):
            raise VariableError("the value has another shape than the variable",
                                expected=self._shape, got=array.shape, tensor=self._full_name)
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        import numpy as np  # deferred, as above

        array: np.ndarray[Any, Any] = (np.array(self._value, dtype) if copy
                                       else np.asarray(self._value, dtype))
        return array

    def __int__(self) -> int:
        return int(self._value)

    def __float__(self) -> float:
        return float(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __index__(self) -> int:
        return self._value.__index__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        # The array can be shared because it is never written to.
        memo[id(self)] = twin = copy.copy(self)
        return twin

    def __repr__(self) -> str:
        text = str(self.numpy()) if not self._value.shape else repr(self._value)
        text = f"\n{text}" if "\n" in text else text
        return (f"<tfckpt.Variable {self.name!r} shape={self.shape} dtype={self._dtype.name},"
                f" numpy={text}>")


def _check_arguments(initial_value: Any, variable_def: object, constraint: object,
                     collections: object) -> None:
    if variable_def is not None:
        raise UnsupportedError("a variable can't be made from a variable_def",
                               hint="Give an initial_value.")
    if initial_value is None:
        raise VariableError("a variable needs an initial value")
    if constraint is not None and not callable(constraint):
        raise VariableError("the constraint is no function", got=repr(constraint))
    if not isinstance(collections, (list, tuple, set, type(None))):
        raise VariableError("collections is no list", got=repr(collections))


def _as_value(value: Any, dtype: DType | None) -> tuple[np.ndarray[Any, Any], DType]:
    if not isinstance(value, Variable):
        return as_array(value, dtype)
    if dtype is not None and value.dtype != dtype:
        raise VariableTypeError("the other variable has another dtype", expected=dtype,
                                got=f"{value.dtype} of {value.name!r}",
                                hint="Give its numpy() converted, if that is meant.")
    return value._value, value.dtype  # noqa: SLF001 - arrays are never written to: shared


def _take_names(full_name: str) -> None:
    """Take the names that TensorFlow 1.15 gives a variable and the operations around it."""
    graph = get_default_graph()
    graph.take_node(full_name)
    for operation in ("Assign", "read"):
        graph.take_operation(operation)


def _scalar(array: np.ndarray[Any, Any]) -> Any:
    return array if array.shape else array[()]
