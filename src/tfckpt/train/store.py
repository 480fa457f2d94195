"""The variables that `get_variable` made, by name: creating, finding, and the refusals.

Source: python/ops/variable_scope.py of TensorFlow 1.15.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

from tfckpt.errors import VariableError, nearest
from tfckpt.format.dtypes import DType
from tfckpt.train.graphs import (
    add_to_collection,
    executing_eagerly,
    get_default_graph,
    name_scope,
)
from tfckpt.train.initializers import Partitioner, PartitionInfo, default_initializer
from tfckpt.train.partitioned import PartitionedVariable
from tfckpt.train.values import Shape, as_array, as_dtype, as_shape, is_compatible, is_known
from tfckpt.train.variables import SaveSliceInfo, Variable

__all__ = ["AUTO_REUSE", "EagerVariableStore", "Request", "Reuse", "VariableStore",
           "current_store"]


class ReuseMode(enum.Enum):
    """What ``reuse`` can be beside True and False."""

    AUTO_REUSE = 1


AUTO_REUSE = ReuseMode.AUTO_REUSE
"""Take the variable if it exists, and make it if it doesn't."""

Reuse = bool | ReuseMode | None


@dataclass(frozen=True)
class Request:
    """What is asked of `get_variable`, after the scope added its part.

    The fields are the arguments that TensorFlow hands to a custom getter.
    """

    name: str
    shape: Any = None
    dtype: Any = "float32"
    initializer: Any = None
    regularizer: Callable[[Variable], Any] | None = None
    reuse: Reuse = None
    trainable: bool | None = None
    collections: Sequence[Any] | None = None
    caching_device: object = None
    partitioner: Partitioner | None = None
    validate_shape: bool = True
    use_resource: bool | None = None
    constraint: Callable[..., Any] | None = None
    synchronization: object = None
    aggregation: object = None

    def arguments(self) -> dict[str, Any]:
        """The fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class VariableStore:
    """Variables and partitioned variables by name.

    Args:
        keeps_eager: Whether variables made outside a graph are kept and found again.
    """

    def __init__(self, keeps_eager: bool = False) -> None:
        self.keeps_eager = keeps_eager
        self.variables: dict[str, Variable] = {}
        self.partitioned: dict[str, PartitionedVariable] = {}

    def get(self, request: Request, custom_getter: Callable[..., Any] | None = None) -> Any:
        """Take or make what is asked for; a custom getter may do it in its own way.

        Raises:
            VariableError: What is asked for contradicts what is there.
        """
        if custom_getter is not None and not callable(custom_getter):
            raise VariableError("the custom getter is no function", got=repr(custom_getter))
        if executing_eagerly() and self.keeps_eager:
            request = replace(request, reuse=AUTO_REUSE)
        if custom_getter is None:
            return self._get(request)
        arguments = request.arguments()
        if not _accepts(custom_getter, "constraint"):  # getters older than that argument
            del arguments["constraint"]

        def getter(*given: Any, **named: Any) -> Any:
            return self._get(Request(*given, **named))

        return custom_getter(getter=getter, **arguments)

    @property
    def _keeps(self) -> bool:
        return self.keeps_eager or not executing_eagerly()

    def _get(self, request: Request) -> Variable | PartitionedVariable:
        name, partitioner = request.name, request.partitioner
        is_scalar = isinstance(request.shape, Sequence) and not request.shape
        if partitioner is not None and not is_scalar:
            if not callable(partitioner):
                raise VariableError("the partitioner is no function", got=repr(partitioner))
            with name_scope(None):
                return self._get_partitioned(request)
        if request.reuse is True and partitioner is None and name in self.partitioned:
            return self._get_partitioned(request)
        if f"{name}/part_0" in self.variables:
            raise VariableError(
                "the variable was made in parts, and this asks for one that isn't", tensor=name,
                hint="Give the same partitioner, or reuse=True to get it in its parts.")
        return self._get_single(request)

    # Whole variables.

    def _get_single(self, request: Request, part: PartitionInfo | None = None) -> Variable:
        shape, dtype = as_shape(request.shape), as_dtype(request.dtype)
        is_value = request.initializer is not None and not callable(request.initializer)
        if is_value and request.shape is not None:
            raise VariableError("a value as initializer has a shape already", tensor=request.name,
                                hint="Leave out shape, or give constant_initializer(value).")
        if request.name in self.variables:
            return self._found(self.variables[request.name], request, shape, dtype)
        if request.reuse is True:
            raise self._missing(request.name)
        return self._make(request, shape, dtype, part)

    def _found(self, found: Variable, request: Request, shape: Shape | None, dtype: DType
               ) -> Variable:
        if request.reuse is False:
            raise _exists(found.dtype, found.shape, request.name)
        _compare(found, request.name, shape, dtype)
        return found

    def _missing(self, name: str) -> VariableError:
        made = [*self.variables, *self.partitioned]
        near = nearest(name, made)
        there = (f"Nearest: {', '.join(near)}." if near else
                 f"get_variable has made {len(made) or 'no'} variables in this graph.")
        return VariableError("there is no variable of this name to reuse", tensor=name,
                             hint=f"{there} With reuse=AUTO_REUSE it would be made.")

    def _make(self, request: Request, shape: Shape | None, dtype: DType,
              part: PartitionInfo | None) -> Variable:
        initializer = request.initializer
        if initializer is None:
            initializer = default_initializer(dtype, request.name)
        initial_value, value_dtype = _initial_value(request, initializer, shape, dtype, part)
        variable = Variable(
            initial_value, name=request.name, trainable=request.trainable, dtype=value_dtype,
            collections=request.collections, validate_shape=request.validate_shape,
            constraint=request.constraint)
        if self._keeps:
            self.variables[request.name] = variable
        if request.regularizer is not None:
            loss = request.regularizer(variable)
            if loss is not None:
                add_to_collection("regularization_losses", loss)
        return variable

    # Variables in parts.

    def _get_partitioned(self, request: Request) -> PartitionedVariable:
        name, shape, dtype = request.name, as_shape(request.shape), as_dtype(request.dtype)
        if name in self.variables:
            raise VariableError(
                "the variable was made whole, and this asks for it in parts", tensor=name,
                hint="Ask without a partitioner, or under another name.")
        partitions = None
        if not request.reuse or request.partitioner is not None:
            partitions = _call_partitioner(request.partitioner, shape, dtype, name)
        found = self.partitioned.get(name)
        if found is not None:
            if request.reuse is False:
                raise _exists(found.dtype, found.shape, name)
            _compare(found, name, shape, dtype)
            if partitions is not None and found.partitions != partitions:
                raise VariableError("the variable exists in another number of parts", tensor=name,
                                    expected=list(found.partitions), got=list(partitions),
                                    hint="Give the partitioner that it was made with.")
            return found
        if request.reuse is True or partitions is None or shape is None:
            raise self._missing(name)
        return self._make_partitioned(request, shape, dtype, partitions)

    def _make_partitioned(self, request: Request, shape: Shape, dtype: DType,
                          partitions: tuple[int, ...]) -> PartitionedVariable:
        name = request.name
        full = tuple(dim for dim in shape if dim is not None)
        self._check_parts(name, max(partitions))
        parts = []
        for number, (offset, size) in enumerate(_cuts(full, partitions)):
            part_name = f"{name}/part_{number}"
            with name_scope(f"{part_name}/PartitionedInitializer"):
                initializer, part_shape = _part_initializer(request, dtype, offset, size)
            with name_scope(None):
                part = self._get_single(
                    replace(request, name=part_name, shape=part_shape, initializer=initializer,
                            partitioner=None), PartitionInfo(full, offset))
            part.save_slice_info = SaveSliceInfo(name, full, offset, size)
            parts.append(part)
        whole = PartitionedVariable(name, full, dtype, parts, partitions)
        if self._keeps:
            self.partitioned[name] = whole
        return whole

    def _check_parts(self, name: str, count: int) -> None:
        """Refuse parts that were made one by one and are another number than these."""
        if f"{name}/part_0" not in self.variables:
            return
        if (f"{name}/part_{count - 1}" not in self.variables
                or f"{name}/part_{count}" in self.variables):
            raise VariableError("there are parts of this name, but another number of them",
                                tensor=name, expected=f"{count} parts")


def _exists(dtype: DType, shape: Shape, name: str) -> VariableError:
    return VariableError(
        "a variable of this name exists already", tensor=name,
        hint=f"It is {dtype} {list(shape)}. To take it, give variable_scope reuse=True or"
             " reuse=AUTO_REUSE; to make another, choose another name.")


def _compare(found: Variable | PartitionedVariable, name: str, shape: Shape | None, dtype: DType
             ) -> None:
    if not is_compatible(shape, found.shape):
        raise VariableError("the variable exists with another shape", tensor=name,
                            expected=list(found.shape), got=list(shape or ()),
                            hint="Ask for that shape, or leave it out.")
    if dtype != found.dtype:
        raise VariableError("the variable exists with another dtype", tensor=name,
                            expected=found.dtype, got=dtype,
                            hint=f"Ask with dtype={found.dtype.name!r}.")


def _initial_value(request: Request, initializer: Any, shape: Shape | None, dtype: DType,
                   part: PartitionInfo | None) -> tuple[Any, DType | None]:
    """What to give to Variable, and the dtype; None if the value brings its own."""
    if not callable(initializer):
        return initializer, None
    if inspect.isclass(initializer):
        initializer = initializer()
    if is_known(shape):
        # Numpy's dtype, because that is what functions of numpy take.
        options: dict[str, Any] = {"dtype": dtype.numpy()}
        if _accepts(initializer, "partition_info"):
            options["partition_info"] = part
        dims = list(shape or ())
        return (lambda: initializer(dims, **options)), dtype
    if _needs_no_arguments(initializer):
        return initializer, None
    raise VariableError(
        "a variable needs a shape that is known", tensor=request.name,
        got="none" if shape is None else list(shape),
        hint="Give shape, or a value or a function without arguments as initializer.")


def _part_initializer(request: Request, dtype: DType, offset: tuple[int, ...],
                      size: tuple[int, ...]) -> tuple[Any, tuple[int, ...] | None]:
    """The initializer of one part and its shape; None if the initializer is a value."""
    if request.initializer is None or callable(request.initializer):
        return request.initializer, size
    value = as_array(request.initializer, dtype)[0]
    cut = tuple(slice(start, start + length) for start, length in zip(offset, size, strict=True))
    if value.ndim != len(size) or value[cut].shape != size:
        raise VariableError("the initializer has another shape than the variable",
                            expected=request.shape, got=value.shape, tensor=request.name)
    return value[cut], None


def _call_partitioner(partitioner: Partitioner | None, shape: Shape | None, dtype: DType,
                      name: str) -> tuple[int, ...]:
    if shape is None or not is_known(shape):
        raise VariableError("a variable in parts needs a shape that is known", tensor=name,
                            got="none" if shape is None else list(shape))
    if not shape:
        raise VariableError("a scalar can't be cut into parts", tensor=name)
    answer = partitioner(shape=shape, dtype=dtype) if partitioner is not None else ()
    if not isinstance(answer, Sequence):
        raise VariableError("the partitioner returned no list", tensor=name, got=repr(answer))
    if len(answer) != len(shape) or min(answer) < 1 or sum(count > 1 for count in answer) > 1:
        raise VariableError("the partitioner returned what can't be done", tensor=name,
                            expected=f"{len(shape)} numbers of parts, one above 1 at most",
                            got=list(answer))
    return tuple(answer)


def _cuts(full: tuple[int, ...], partitions: tuple[int, ...]
          ) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Offset and shape of each part; the first parts are one longer if it doesn't divide."""
    count = max(partitions)
    axis = partitions.index(count) if count > 1 else 0
    least, longer = divmod(full[axis], count)
    begin = 0
    for number in range(count):
        length = least + (number < longer)
        offset = tuple(begin if a == axis else 0 for a in range(len(full)))
        yield offset, (*full[:axis], length, *full[axis + 1:])
        begin += length


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions written in C don't tell
        return []


def _accepts(function: Callable[..., Any], name: str) -> bool:
    return any(parameter.name == name
               or (parameter.kind is parameter.VAR_KEYWORD and name == "constraint")
               for parameter in _parameters(function))


def _needs_no_arguments(function: Callable[..., Any]) -> bool:
    return all(parameter.default is not parameter.empty
               or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
               for parameter in _parameters(function))


class EagerVariableStore:
    """Lets `get_variable` find variables again outside a graph.

    There it otherwise makes a new variable on each call, and nobody but the caller keeps it.

    Example:
        >>> from tfckpt.train.getting import get_variable
        >>> store = EagerVariableStore()
        >>> with store.as_default():
        ...     first = get_variable("a", [2])
        >>> with store.as_default():
        ...     second = get_variable("a", [2])
        >>> first is second, [variable.name for variable in store.variables()]
        (True, ['a:0'])
    """

    def __init__(self) -> None:
        self._store = VariableStore(keeps_eager=True)

    @contextmanager
    def as_default(self) -> Iterator[EagerVariableStore]:
        """Use this store for the time of a ``with``."""
        slot = get_default_graph().part(_Slot)
        before, slot.store = slot.store, self._store
        try:
            yield self
        finally:
            slot.store = before

    def variables(self) -> list[Variable]:
        """Every variable in it, by name."""
        return sorted(self._store.variables.values(), key=lambda variable: variable.name)

    def trainable_variables(self) -> list[Variable]:
        """Those that training changes, by name."""
        return [variable for variable in self.variables() if variable.trainable]


class _Slot:
    """Where a graph has its store."""

    def __init__(self) -> None:
        self.store = VariableStore()


def current_store() -> VariableStore:
    """The store of the default graph."""
    return get_default_graph().part(_Slot).store
