"""Set: other values for some tensors, or tensors of new names; the rest is linked."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfckpt.convert.running import DataChoice, run_plan
from tfckpt.convert.without import as_it_is
from tfckpt.core.arrays import array_output
from tfckpt.core.discovery import as_path
from tfckpt.core.index import Entry
from tfckpt.core.opening import open_source
from tfckpt.core.plan import Given, Output, Plan, Progress, given_string, no_progress
from tfckpt.core.report import ConvertReport
from tfckpt.core.source import Source
from tfckpt.errors import TensorNotFoundError, UnsupportedError, VariableError, nearest
from tfckpt.format.dtypes import STRING, DType, dtype_named
from tfckpt.format.objectgraph import (
    OBJECT_GRAPH_KEY,
    VARIABLE_VALUE,
    Attribute,
    Child,
    Node,
    encode_object_graph,
)
from tfckpt.format.objectkeys import (
    escape_local_name,
    object_key,
    parse_object_key,
    unescape_local_name,
)
from tfckpt.format.strings import encode_strings

if TYPE_CHECKING:
    import numpy as np

__all__ = ["plan_set", "set_values"]


def set_values(src: str | os.PathLike[str], dst: str | os.PathLike[str],
               values: Mapping[str, Any], *, force: bool = False, data: DataChoice = "link",
               overwrite: bool = False, dry_run: bool = False, progress: Progress = no_progress
               ) -> ConvertReport:
    """Write a checkpoint in which some tensors have other values.

    Args:
        src: A checkpoint: its prefix, any of its files, or a folder. It is never changed.
        dst: Prefix of the result, used exactly as it is.
        values: From names to arrays or numbers. A number takes the dtype that the tensor has.
            A name that isn't there becomes a new tensor; in an object-based checkpoint it is
            the path of a variable.
        force: Whether shape and dtype may be others than the tensor has.
        data: ``"link"`` the data files, ``"copy"`` them, or ``"pack"`` what is kept of them.
        overwrite: Whether a checkpoint at ``dst`` is replaced.
        dry_run: Whether to stop at the plan.
        progress: Told about bytes of data files.

    Returns:
        What was done, with the plan.

    Raises:
        VariableError: A value has another shape or dtype than the tensor.
        CheckpointError: Nothing was written.

    Example:
        >>> import tempfile, tfckpt
        >>> target = tempfile.mkdtemp() + "/m"
        >>> _ = tfckpt.set_values("examples/tf1", target, {"global_step": 100})
        >>> int(tfckpt.load_variable(target, "global_step"))
        100
    """
    with open_source(src) as source:
        return run_plan(source, plan_set(source, values, force=force), as_path(dst), data=data,
                        overwrite=overwrite, dry_run=dry_run, progress=progress)


def plan_set(source: Source, values: Mapping[str, Any], *, force: bool = False) -> Plan:
    """Plan a checkpoint with other values.

    Raises:
        VariableError: A value has another shape or dtype than the tensor it is for.
        UnsupportedError: A value or a name can't be stored.
    """
    made: dict[str, Output] = {}
    added = []
    for name, value in values.items():
        entry = _entry(source, name)
        key = _new_key(source, name) if entry is None else entry.key
        if key in made:
            raise UnsupportedError("one tensor is set twice", tensor=key)
        if key == OBJECT_GRAPH_KEY:
            raise UnsupportedError("the object graph can't be set; rename, select and merge"
                                   " rewrite it", tensor=key)
        made[key] = _output(key, entry, value, source, force=force)
        if entry is None:
            added.append(key)
    outputs = [made[entry.key] if entry.key in made else as_it_is(source, entry)
               for entry in source.index.values()]
    outputs += [made[key] for key in added]
    if added and source.style == "object-based":
        graph = encode_object_graph(_with_variables(source.object_graph, added))
        outputs = [given_string(output.key, graph, source.byte_order)
                   if output.key == OBJECT_GRAPH_KEY else output for output in outputs]
    notes = tuple(_note_of_new(key, source) for key in added)
    return Plan(tuple(outputs), source.style, source.byte_order, notes=notes)


def _entry(source: Source, name: str) -> Entry | None:
    try:
        return source.index.resolve(name)
    except TensorNotFoundError:
        return None


def _note_of_new(key: str, source: Source) -> str:
    near = nearest(key, source.index, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"there was no {key}: it is a new tensor{meant}"


def _new_key(source: Source, name: str) -> str:
    if source.style == "name-based" or parse_object_key(name):
        return name
    if "" in name.split("/"):
        raise UnsupportedError("the path of an object has a part without a name", tensor=name)
    return object_key("/".join(map(escape_local_name, name.split("/"))), VARIABLE_VALUE)


def _output(key: str, entry: Entry | None, value: Any, source: Source, *, force: bool) -> Output:
    import numpy as np  # deferred: only values need it

    is_number = isinstance(value, (bool, int, float))
    array = np.asarray(value)
    if entry is None or force:
        if is_number:
            array = _as_number(key, value, entry.dtype if entry and not entry.shape else
                               dtype_named("float32" if isinstance(value, float) else "int64"))
        return _encoded(key, array, _dtype_of(key, array), source)
    if is_number and not entry.shape:
        return _encoded(key, _as_number(key, value, entry.dtype), entry.dtype, source)
    array = _as_stored(array, entry.dtype)
    got = _dtype_of(key, array)
    if got.numpy_name != entry.dtype.numpy_name or array.shape != entry.shape:
        raise VariableError("the value doesn't fit the tensor", tensor=key,
                            expected=f"{entry.dtype} {list(entry.shape)}",
                            got=f"{got} {list(array.shape)}",
                            hint="Nothing was written. --force (force=True) stores it as it is.")
    return _encoded(key, array, entry.dtype, source)


def _as_number(key: str, value: float, dtype: DType) -> np.ndarray[Any, Any]:
    """A scalar of a dtype that can hold this number."""
    import numpy as np  # deferred, as above

    kind = dtype.numpy()
    try:
        array = np.asarray(value).astype(kind)
        fits = kind.kind not in "biu" or (array.item() == value)
    except (OverflowError, TypeError, ValueError):
        fits = False
    if not fits or kind.kind == "O":
        raise VariableError("the tensor can't hold this number", tensor=key,
                            expected=f"{dtype} []", got=value)
    return np.asarray(array)


def _as_stored(array: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """What numpy's own files call raw bytes, where they don't know the dtype (bfloat16)."""
    if array.dtype.kind == "V" and array.dtype.itemsize == dtype.size and dtype.numpy_name:
        return array.view(dtype.numpy())
    return array


def _dtype_of(key: str, array: np.ndarray[Any, Any]) -> DType:
    if array.dtype.kind in "SUO":
        return STRING
    try:
        return dtype_named(array.dtype.newbyteorder("=").name)
    except UnsupportedError as error:
        error.tensor = key
        raise


def _encoded(key: str, array: np.ndarray[Any, Any], dtype: DType, source: Source) -> Output:
    if dtype is STRING:
        items = [item.encode() if isinstance(item, str) else item
                 for item in array.reshape(-1).tolist()]
        if not all(isinstance(item, bytes) for item in items):
            raise UnsupportedError("a tensor of strings needs bytes or text", tensor=key)
        return Output(key, STRING, array.shape, Given(*encode_strings(items, source.byte_order)))
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    output = array_output(key, array, dtype)
    if source.byte_order == "big" and sys.byteorder == "little":
        return array_output(key, array.byteswap(), dtype)
    return output


def _with_variables(nodes: Sequence[Node], keys: Sequence[str]) -> list[Node]:
    """The graph with variables of these keys, below objects that are there or are made."""
    graph = list(nodes)
    flag = None if nodes[0].has_checkpoint_values is None else True
    for key in keys:
        parsed = parse_object_key(key)
        at = 0
        for part in parsed.path if parsed else ():
            name = unescape_local_name(part)
            graph[at] = graph[at]._replace(has_checkpoint_values=flag)
            below = next((child.node_id for child in graph[at].children
                          if child.local_name == name), None)
            if below is None:
                below = len(graph)
                graph.append(Node(has_checkpoint_values=flag))
                graph[at] = graph[at]._replace(
                    children=(*graph[at].children, Child(below, name)))
            at = below
        if parsed:
            attribute = Attribute(parsed.attribute, "", key)
            graph[at] = graph[at]._replace(attributes=(*graph[at].attributes, attribute),
                                           has_checkpoint_values=flag)
    return graph
