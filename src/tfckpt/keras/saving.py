"""Saving a Keras 3 model, on any backend, for those who still have TensorFlow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, get_args

from tfckpt.convert.running import run_plan
from tfckpt.core.discovery import as_path
from tfckpt.core.plan import Given, Output, Plan, given_int64, given_string
from tfckpt.core.report import ConvertReport
from tfckpt.errors import AmbiguousNamesError, GraphStateError
from tfckpt.format.dtypes import INT64, dtype_named
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, VARIABLE_VALUE, encode_object_graph
from tfckpt.format.objectkeys import object_key
from tfckpt.keras.drawing import Drawn, draw
from tfckpt.keras.program import check_model, is_built
from tfckpt.train.allowing import check_word

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SaveStyle", "plan_weights", "save_weights", "values_of"]

SaveStyle = Literal["keras2", "tf2", "tf1"]


def save_weights(model: Any, prefix: str | os.PathLike[str], *, style: SaveStyle = "keras2",
                 root: str = "", overwrite: bool = False) -> ConvertReport:
    """Save the weights of a Keras 3 model as a checkpoint of TensorFlow.

    Each style is what one program restores so that ``assert_consumed()`` holds:

    * ``"keras2"``: ``model.load_weights(prefix)`` of Keras 2, and
      ``tf.train.Checkpoint(model).read(prefix)``;
    * ``"tf2"``: ``tf.train.Checkpoint(model).restore(prefix)``, which wants a count of saves too,
      and with ``root="net"`` ``tf.train.Checkpoint(net=model).restore(prefix)``;
    * ``"tf1"``: ``tf.compat.v1.train.Saver().restore(session, prefix)``; tensors are called as the
      variables are (``dense/kernel``).

    Keras 2 and ``tf.train.Checkpoint`` load either of the first two if nothing is asserted.

    Args:
        model: A built Keras 3 model.
        prefix: Where, used exactly as given.
        style: The kind of checkpoint.
        root: The model's name in the ``tf.train.Checkpoint``, with ``style="tf2"``.
        overwrite: Whether a checkpoint that is there already is replaced.

    Raises:
        GraphStateError: The model isn't built yet.
        VariableTypeError: It is no Keras 3 model.
        AmbiguousNamesError: Two variables have one name, and the style is TF1's.
        DestinationExistsError: Something is there.
        StorageError: The system refuses.
    """
    return run_plan([], plan_weights(model, style, root), as_path(prefix), overwrite=overwrite)


def plan_weights(model: Any, style: SaveStyle, root: str = "") -> Plan:
    """`save_weights` as far as taking the values, which are copies.

    Args:
        model: As for `save_weights`.
        style: As for `save_weights`.
        root: As for `save_weights`.

    Raises:
        GraphStateError: The model isn't built yet.
        VariableTypeError: It is no Keras 3 model.
        AmbiguousNamesError: Two variables have one name, and the style is TF1's.
    """
    check_model(model)
    if not is_built(model):
        raise GraphStateError("the model isn't built: it has no weights to save",
                              got=model.name, hint="Call it once, or model.build(input_shape).")
    check_word("style", style, get_args(SaveStyle))
    drawn = draw(model, root if style == "tf2" else "", counted=style == "tf2")
    outputs = _named(drawn) if style == "tf1" else drawn.variables
    plan = [_output(key, variable) for key, variable in outputs.items()]
    if style == "tf1":
        return Plan(tuple(plan), "name-based")
    if style == "tf2":
        plan.append(given_int64(object_key("save_counter", VARIABLE_VALUE), 1, "little"))
    plan.append(given_string(OBJECT_GRAPH_KEY, encode_object_graph(drawn.nodes), "little"))
    return Plan(tuple(plan), "object-based")


def values_of(variable: Any) -> np.ndarray[Any, Any]:
    """The value of a variable of any backend, in the machine's byte order, contiguous."""
    import numpy as np  # deferred: as everywhere

    from keras import ops  # deferred: the program has it already

    dtype = dtype_named(str(variable.dtype)).numpy()
    return np.asarray(ops.convert_to_numpy(variable), dtype, order="C")


def _output(key: str, variable: Any) -> Output:
    array = values_of(variable)
    dtype = dtype_named(str(variable.dtype))
    if key.rpartition("/.ATTRIBUTES/")[0].endswith("/count") and not array.shape:
        array, dtype = array.astype("int64"), INT64  # what Normalization counts, in Keras 2
    data = array.reshape(-1).view("uint8")
    data.flags.writeable = False  # the view, not the variable
    return Output(key, dtype, tuple(array.shape), Given(data, None))


def _named(drawn: Drawn) -> dict[str, Any]:
    """Variables by name."""
    named: dict[str, list[str]] = {}
    for key, name in drawn.names.items():
        named.setdefault(name, []).append(key)
    twice = {name: keys for name, keys in named.items() if len(keys) > 1}
    if twice:
        raise AmbiguousNamesError("two variables have one name", groups=twice,
                                  got=", ".join(sorted(twice)),
                                  hint="Save it with style='tf2', which names paths.")
    return {name: drawn.variables[keys[0]] for name, keys in named.items()}
