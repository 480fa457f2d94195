"""TensorFlow's functions in functional models of Keras 2 (``TFOpLambda``), as Keras 3 has them.

Source: src/layers/core/tf_op_layer.py of Keras 2, src/ops of Keras 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tfckpt.errors import UnsupportedError

__all__ = ["OPERATIONS", "Operation", "call_operation", "is_operation"]


class Operation(NamedTuple):
    """A function of ``keras.ops``.

    Attributes:
        name: What it is called.
        options: Its name for each of TensorFlow's arguments.
        fixed: Arguments that it doesn't have, with the only value that may be given.
    """

    name: str
    options: Mapping[str, str] = {}
    fixed: Mapping[str, Any] = {}


_TWO = {"y": "x2"}
_AXIS = {"axis": "axis"}
_REDUCED = {"axis": "axis", "keepdims": "keepdims"}
_MATMUL = Operation("matmul", {"b": "x2"}, dict.fromkeys(
    ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse"), False))
_TRANSPOSE = Operation("transpose", {"perm": "axes"}, {"conjugate": False})

OPERATIONS = {
    **{old: Operation(new, _TWO) for old, new in (
        ("__operators__.add", "add"), ("math.add", "add"), ("math.subtract", "subtract"),
        ("math.multiply", "multiply"), ("math.truediv", "true_divide"),
        ("math.divide", "true_divide"), ("math.pow", "power"), ("math.maximum", "maximum"),
        ("math.minimum", "minimum"), ("math.greater", "greater"), ("math.less", "less"),
        ("math.greater_equal", "greater_equal"), ("math.less_equal", "less_equal"),
        ("math.equal", "equal"), ("math.not_equal", "not_equal"),
        ("math.logical_and", "logical_and"), ("math.logical_or", "logical_or"),
        ("__operators__.ne", "not_equal"), ("__operators__.eq", "equal"))},
    **{f"math.{name}": Operation(new) for name, new in (
        ("negative", "negative"), ("abs", "abs"), ("square", "square"), ("sqrt", "sqrt"),
        ("rsqrt", "rsqrt"), ("exp", "exp"), ("log", "log"), ("log1p", "log1p"), ("tanh", "tanh"),
        ("sigmoid", "sigmoid"), ("sin", "sin"), ("cos", "cos"), ("sign", "sign"),
        ("softplus", "softplus"), ("logical_not", "logical_not"), ("reciprocal", "reciprocal"))},
    **{f"nn.{name}": Operation(new) for name, new in (
        ("relu", "relu"), ("relu6", "relu6"), ("elu", "elu"), ("selu", "selu"),
        ("softplus", "softplus"), ("softsign", "softsign"), ("sigmoid", "sigmoid"),
        ("tanh", "tanh"))},
    **{f"math.reduce_{name}": Operation(name, _REDUCED) for name in (
        "mean", "sum", "max", "min", "prod", "all", "any")},
    "nn.leaky_relu": Operation("leaky_relu", {"alpha": "negative_slope"}),
    "nn.gelu": Operation("gelu", {"approximate": "approximate"}),
    "nn.silu": Operation("silu", fixed={"beta": 1.0}),
    "nn.softmax": Operation("softmax", _AXIS),
    "nn.log_softmax": Operation("log_softmax", _AXIS),
    "math.argmax": Operation("argmax", _AXIS),
    "math.cumsum": Operation("cumsum", _AXIS, {"exclusive": False, "reverse": False}),
    "reshape": Operation("reshape", {"shape": "newshape"}),
    "concat": Operation("concatenate", _AXIS),
    "stack": Operation("stack", _AXIS),
    "expand_dims": Operation("expand_dims", _AXIS),
    "squeeze": Operation("squeeze", _AXIS),
    "compat.v1.squeeze": Operation("squeeze", _AXIS, {"squeeze_dims": None}),
    "transpose": _TRANSPOSE,
    "compat.v1.transpose": _TRANSPOSE,
    "cast": Operation("cast", {"dtype": "dtype"}),
    "tile": Operation("tile", {"multiples": "repeats"}),
    "linalg.matmul": _MATMUL,
    "clip_by_value": Operation("clip", {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "identity": Operation("copy"),
    "stop_gradient": Operation("stop_gradient"),
    "zeros_like": Operation("zeros_like"),
    "ones_like": Operation("ones_like"),
}
_UNREAD = frozenset({"name"})  # a label in TensorFlow's graph


def is_operation(class_name: str) -> bool:
    """Whether Keras 2 calls a function of TensorFlow so."""
    return class_name in ("TFOpLambda", "SlicingOpLambda")


def call_operation(ops: Any, function: str, first: Any, others: Mapping[str, Any]) -> Any:
    """Call what Keras 3 has for a function of TensorFlow.

    Args:
        ops: ``keras.ops``.
        function: TensorFlow's name for it.
        first: Its first argument.
        others: The others by name.

    Raises:
        UnsupportedError: It has none, or an argument has another value than its own.
    """
    if function == "__operators__.getitem":
        return first[tuple(map(_item, others["slice_spec"]))]
    operation = OPERATIONS.get(function)
    if operation is None:
        raise UnsupportedError(f"tf.{function} isn't known in Keras 3")
    options = {}
    for name, value in others.items():
        if name in operation.options:
            new = operation.options[name]
            options[new] = _constant(first, value) if new == "x2" else value
        elif value is not None and value != operation.fixed.get(name) and name not in _UNREAD:
            raise UnsupportedError(f"tf.{function} with {name}={value!r} isn't known in Keras 3")
    other = options.get("x2")
    if not hasattr(first, "shape") and other is not None:
        first = _constant(other, first)
    return getattr(ops, operation.name)(first, **options)


def _item(spec: Any) -> Any:
    if isinstance(spec, Mapping):
        if spec.get("class_name") == "__ellipsis__":
            return Ellipsis
        return slice(spec["start"], spec["stop"], spec["step"])
    return spec


def _constant(beside: Any, value: Any) -> Any:
    """An array of the dtype of the tensor beside it, where a config has a list."""
    if not isinstance(value, list) or not hasattr(beside, "dtype"):
        return value
    import numpy as np  # deferred: as everywhere

    return np.array(value, str(beside.dtype))
