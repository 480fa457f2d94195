"""Variables by name, in the current variable scope.

Source: python/ops/variable_scope.py of TensorFlow 1.15 and 2.21.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tfckpt.errors import VariableError
from tfckpt.format.dtypes import DType
from tfckpt.train.graphs import (
    GraphKeys,
    executing_eagerly,
    get_default_graph,
    name_scope,
)
from tfckpt.train.initializers import Partitioner
from tfckpt.train.scopes import get_variable_scope
from tfckpt.train.store import Request, current_store
from tfckpt.train.values import as_array, as_dtype
from tfckpt.train.variables import Variable

__all__ = ["get_local_variable", "get_variable"]


def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Callable[[Variable], Any] | None = None,
    trainable: bool | None = None,
    collections: Sequence[Any] | None = None,
    caching_device: object = None,
    partitioner: Partitioner | None = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Callable[..., Any] | None = None,
    constraint: Callable[..., Any] | None = None,
    synchronization: object = None,
    aggregation: object = None,
) -> Any:
    """Make a variable under the current variable scope, or find it, by the scope's reuse.

    Args:
        name: Its name, put under the variable scope's.
        shape: Its shape; left out if the initializer is a value.
        dtype: Its dtype; by default the scope's, which is float32 if nothing else is said.
        initializer: A value, a function of shape and (numpy's) dtype, or one without
            arguments. Without one in any scope around floats are random (see
            `glorot_uniform_initializer`), and others zero.
        regularizer: Called with a new variable; what it returns goes into the collection
            ``regularization_losses``.
        trainable: Whether training changes it; yes by default.
        collections: The graph's collections to list it in, instead of the global variables.
        caching_device: Handed to custom getters.
        partitioner: Told shape and dtype, says into how many parts each axis is cut.
        validate_shape: If False, values of any shape can be assigned.
        use_resource: Handed to custom getters.
        custom_getter: Called instead, with the true getter as its argument ``getter``.
        constraint: Kept with a new variable.
        synchronization: Handed to custom getters.
        aggregation: Handed to custom getters.

    Returns:
        A `Variable`, or a `PartitionedVariable` if there is a partitioner.

    Raises:
        VariableError: It exists and may not, or the other way round, or in another shape,
            dtype or number of parts; or shape and initializer contradict each other.

    Example:
        >>> from tfckpt import Graph, variable_scope
        >>> with Graph().as_default():
        ...     with variable_scope("model"):
        ...         made = get_variable("w", initializer=[1.0, 2.0])
        ...     with variable_scope("model", reuse=True):
        ...         found = get_variable("w")
        >>> made is found, found
        (True, <tfckpt.Variable 'model/w:0' shape=(2,) dtype=float32, numpy=array([1., 2.], dtype=float32)>)
    """  # noqa: E501 - the answer of the example is one line
    _check_text(name)
    wanted = None if dtype is None else as_dtype(dtype)
    scope = get_variable_scope()
    # Names depend on the variable scope alone.
    with name_scope(None):
        if wanted is not None and initializer is not None and not callable(initializer):
            _check_dtype(initializer, wanted, name)
        request = scope.complete(Request(
            name, shape, wanted, initializer, regularizer, None, trainable, collections,
            caching_device, partitioner, validate_shape, use_resource, constraint,
            synchronization, aggregation))
        return current_store().get(request, custom_getter or scope.custom_getter)


def _check_text(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"get_variable needs a name as text, not {name!r}")


def _check_dtype(value: Any, wanted: DType, name: str) -> None:
    found = value.dtype if isinstance(value, Variable) else as_array(value)[1]
    if not executing_eagerly() and not isinstance(value, Variable):
        get_default_graph().take_operation("Const")  # TensorFlow makes one to look at its dtype
    if found != wanted:
        raise VariableError("the initializer's value has another dtype than the one asked for",
                            expected=wanted, got=found, tensor=name,
                            hint="Leave out dtype, or convert the value.")


def get_local_variable(name: str, shape: Any = None, dtype: Any = None, initializer: Any = None,
                       regularizer: Callable[[Variable], Any] | None = None,
                       trainable: bool = False, collections: Sequence[Any] | None = None,
                       **options: Any) -> Any:
    """A variable that no checkpoint holds: listed among the local variables only.

    Arguments are those of `get_variable`; ``trainable`` is not used.

    Example:
        >>> from tfckpt import Graph, global_variables, local_variables
        >>> with Graph().as_default():
        ...     _ = get_local_variable("count", [], "int64")
        ...     print(len(local_variables()), len(global_variables()))
        1 0
    """
    return get_variable(name, shape, dtype, initializer, regularizer, False,
                        [*(collections or ()), GraphKeys.LOCAL_VARIABLES], **options)
