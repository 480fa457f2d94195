"""What a layer's config of Keras 2 is in Keras 3: a class there, and its options.

Neither Keras is needed for that, and nothing that a config says is run or imported. An option that
Keras 3 doesn't have is dropped if it has the value that Keras 3 computes with, and else refused.

Source: get_config and __init__ of the layers in Keras 2.15 and in Keras 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tfckpt.errors import UnsupportedError

__all__ = ["INNER", "NewLayer", "is_model_config", "new_layer", "plain"]

INNER = ("layer", "backward_layer", "cell", "cells", "activation")
"""Options in which configs of other layers stand."""

_SAME = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU", "ThresholdedReLU": "ReLU",
         "SyncBatchNormalization": "BatchNormalization", "LSTMV1": "LSTM", "LSTMV2": "LSTM",
         "GRUV1": "GRU", "GRUV2": "GRU", "BatchNormalizationV1": "BatchNormalization",
         "BatchNormalizationV2": "BatchNormalization"}
_ANY = object()  # a value that changes nothing, whatever it is
# Options that went, by class, with the value that Keras 3 computes with.
_GONE_EVERYWHERE: dict[str, Any] = {"batch_input_shape": _ANY, "dynamic": False, "ragged": False,
                                    "time_major": False}
_SEPARABLE = {"groups": 1, "kernel_initializer": _ANY, "kernel_regularizer": _ANY,
              "kernel_constraint": _ANY}  # of the class that it is derived from; nothing reads them
_GONE: dict[str, dict[str, Any]] = {
    **{name: {"groups": 1} for name in ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose",
                                        "DepthwiseConv1D", "DepthwiseConv2D")},
    **{f"SeparableConv{n}D": _SEPARABLE for n in (1, 2)},
    **{f"SpatialDropout{n}D": {"noise_shape": _ANY, "trainable": _ANY} for n in (1, 2, 3)},
    "BatchNormalization": {"renorm": False, "renorm_clipping": _ANY, "renorm_momentum": _ANY,
                           "fused": _ANY, "virtual_batch_size": None, "adjustment": None},
    "Discretization": {"trainable": _ANY},
    "Embedding": {"input_length": _ANY},
    "MultiHeadAttention": {"query_shape": _ANY, "key_shape": _ANY, "value_shape": _ANY},
    "RNN": {"num_constants": None},
    "ConvLSTM2D": {"num_constants": None},
}
_RENAMED = {"ThresholdedReLU": {"theta": "threshold"}, "LeakyReLU": {"alpha": "negative_slope"}}
_TEXT_ONLY = {"softmax_v2": "softmax"}
# Layers of published architectures, which Keras has in these modules and nowhere else.
_APPLICATIONS = {"LayerScale": "convnext", "StochasticDepth": "convnext",
                 "CustomScaleLayer": "inception_resnet_v2"}
_KINDS = {"_initializer": "keras.initializers", "_regularizer": "keras.regularizers",
          "_constraint": "keras.constraints"}


class NewLayer(NamedTuple):
    """A layer of Keras 3.

    Attributes:
        name: The class in ``keras.layers``.
        options: What its constructor takes; those of `INNER` may be configs of Keras 2.
        application: Which architecture's module has the class instead.
    """

    name: str
    options: dict[str, Any]
    application: str = ""


def new_layer(config: Mapping[str, Any]) -> NewLayer:
    """A layer as Keras 3 has it.

    Args:
        config: ``{"class_name": …, "config": …}``, of Keras 2 or of Keras 3.

    Raises:
        UnsupportedError: Keras 3 computes something else, or code would have to be run.

    Example:
        >>> new_layer({"class_name": "SimpleRNN", "config": {"units": 2, "time_major": False}})
        NewLayer(name='SimpleRNN', options={'units': 2}, application='')
    """
    old = str(config["class_name"])
    _check_origin(config, old)
    name = _SAME.get(old, old)
    gone = {**_GONE_EVERYWHERE, **_GONE.get(name, {})}
    if name == "InputLayer":
        gone.pop("batch_input_shape")
    renamed = _RENAMED.get(old, {})
    options: dict[str, Any] = {}
    for option, value in config["config"].items():
        if option not in gone:
            options[renamed.get(option, option)] = _value(option, value)
        elif gone[option] is not _ANY and value != gone[option] and value is not None:
            raise UnsupportedError(f"{option}={value!r} is nothing that Keras 3 can compute")
    if name in ("GRU", "GRUCell"):  # Keras didn't always have it
        options.setdefault("reset_after", old == "CuDNNGRU")
    if name == "BatchNormalization" and isinstance(options.get("axis"), list):
        options["axis"] = _only(options["axis"])
    if name == "Bidirectional" and not options.get("backward_layer"):
        options.update(_other_way(options["layer"]))
    return NewLayer(name, options, _APPLICATIONS.get(name, ""))


def is_model_config(config: Mapping[str, Any]) -> bool:
    """Whether a config is that of a functional or sequential model."""
    return isinstance(config.get("config"), Mapping) and "layers" in config["config"]


def plain(value: Any) -> Any:
    """A value as it stands in JSON, without the wrappers that SavedModels put around tuples.

    Example:
        >>> plain({"class_name": "__tuple__", "items": [None, 4]})
        [None, 4]
    """
    if isinstance(value, dict):
        if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
            return [plain(item) for item in value["items"]]
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _check_origin(config: Mapping[str, Any], name: str) -> None:
    """Refuse what isn't a layer of Keras's own.

    Raises:
        UnsupportedError: Saying what it is.
    """
    if name == "Lambda":
        raise UnsupportedError("a Lambda is Python code, and code of a config is never run")
    module = config.get("module")
    if name in _APPLICATIONS and module == f"keras.src.applications.{_APPLICATIONS[name]}":
        return
    if name in _APPLICATIONS or config.get("registered_name") not in (None, name) or (
            isinstance(module, str) and not module.startswith("keras.")) or (
            "module" in config and module is None):
        raise UnsupportedError("the layer is one of the program's own")


def _other_way(layer: Mapping[str, Any]) -> dict[str, Any]:
    """The backward layer where the one that was given goes backwards: Keras 3 makes no other."""
    config = layer["config"]
    if not config.get("go_backwards"):
        return {}
    return {"backward_layer": {**layer, "config": {
        **config, "go_backwards": False, "name": f"backward_{config.get('name')}"}}}


def _only(axes: list[Any]) -> Any:
    if len(axes) != 1:
        raise UnsupportedError(f"axis={axes!r} is nothing that Keras 3 can compute")
    return axes[0]


def _value(option: str, value: Any) -> Any:
    if option == "dtype":
        return _policy(value)
    if option == "activation" or option.endswith("_activation"):
        return _activation(option, value)
    for ending, module in _KINDS.items():
        if option.endswith(ending) and isinstance(value, Mapping):
            return _known(option, value, module)
    if option not in INNER and isinstance(value, Mapping) and "class_name" in value:
        raise UnsupportedError(f"{option} is an object of its own ({value['class_name']})")
    return value


def _policy(value: Any) -> Any:
    """A dtype, or the name of a policy that comes with Keras."""
    if isinstance(value, Mapping):
        return value.get("config", {}).get("name")
    return value


def _activation(option: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return _TEXT_ONLY.get(value, value)
    if value.get("class_name") == "function" and value.get("module") in (
            "builtins", "keras.activations") and isinstance(value.get("config"), str):
        return _TEXT_ONLY.get(value["config"], value["config"])
    if str(value.get("module", "keras.")).startswith("keras.") and option in INNER \
            and isinstance(value.get("config"), Mapping):
        return value  # a layer that is called as a function
    raise UnsupportedError(f"{option} is a function of the program's own")


def _known(option: str, value: Mapping[str, Any], module: str) -> dict[str, Any]:
    """An object of a class of Keras's own, and no other module can come from a config."""
    if not str(value.get("module", module)).startswith("keras.") or value.get(
            "registered_name") not in (None, value["class_name"]):
        raise UnsupportedError(f"{option} is a class of the program's own"
                               f" ({value['class_name']})")
    options = {name: item for name, item in (value.get("config") or {}).items()
               if name != "dtype"}  # which the weight says, since TensorFlow 2
    return {"module": module, "class_name": value["class_name"], "config": options,
            "registered_name": None}
