"""Old weights as a ``.weights.h5`` file of Keras 3, by way of the model that they are for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tfckpt.convert.like import LikeOptions
from tfckpt.convert.optimizers.table import KINDS
from tfckpt.convert.programs import named_in_program
from tfckpt.convert.proving import Proof
from tfckpt.core.discovery import as_path
from tfckpt.errors import MissingDependencyError, ProofError, StorageError, UnsupportedError
from tfckpt.keras.loading import load_weights, open_old
from tfckpt.keras.oldconfig import find_config, read_config
from tfckpt.keras.optimizer_live import OptimizerState, plan_state
from tfckpt.keras.placing import ENDING, check_free, placed
from tfckpt.keras.program import is_built
from tfckpt.keras.reports import LoadReport
from tfckpt.keras.reviving import HINT, revive

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BACKENDS", "ModelReport", "config_beside", "config_named", "convert_model",
           "find_backend", "open_model"]

Path = str | os.PathLike[str]
BACKENDS = ("torch", "jax", "tensorflow", "numpy")
"""Backends of Keras 3, each called as the package it needs. No backend changes what weights are,
and TensorFlow takes longest to start; only numpy can't compute everything."""


class ModelReport(NamedTuple):
    """What became of a conversion.

    Attributes:
        load: Which tensor went into which weight.
        target: The file; nothing is there after a dry run.
        verified: How many weights were equal, bit for bit, when the file was read again; None
            after a dry run.
        state: What the optimizer got; None if the model isn't compiled, or the source has none.
        proof: How far apart the models are, if that was asked for.
    """

    load: LoadReport
    target: str
    verified: int | None = None
    state: OptimizerState | None = None
    proof: Proof | None = None


def find_backend() -> str:
    """The first backend of Keras 3 that is installed.

    Raises:
        MissingDependencyError: Keras isn't, or none is.
    """
    from importlib.util import find_spec  # deferred: few convert to a model

    if find_spec("keras") is None:
        raise MissingDependencyError("a Keras 3 model needs Keras",
                                     hint="Run: pip install 'tfckpt[keras]' keras")
    found = next((name for name in BACKENDS if find_spec(name) is not None), None)
    if found is None:
        raise MissingDependencyError("Keras 3 needs a backend", expected=" or ".join(BACKENDS),
                                     hint="Run: pip install torch")
    return found


def open_model(what: str) -> Any:
    """The model that a word on the command line means.

    Args:
        what: ``package.module:name``, a model or a function without arguments that makes one;
            modules are also looked for in the current folder, as ``python -m`` does. Or a
            ``.json`` file with what ``model.to_json()`` gave, or a SavedModel or ``.h5`` model
            that has it inside.

    Raises:
        UnsupportedError: It gives no model whose weights are there.
    """
    config = config_named(what)
    if config:
        model = _from_config(config, what)
    else:
        value = named_in_program(what)
        model = value if hasattr(value, "weights") or not callable(value) else value()
    if not hasattr(model, "save_weights") or not hasattr(model, "weights"):
        raise UnsupportedError("this is no Keras 3 model", got=f"{what}: {type(model).__name__}")
    if not is_built(model):
        raise UnsupportedError(
            "the model isn't built, so it has no weights yet", got=what,
            hint="Have the function call it once, or model.build(input_shape).")
    return model


def config_named(what: str) -> dict[str, Any] | None:
    """The config that a word on the command line means; None if it names code.

    Raises:
        UnsupportedError: It names a file or a folder, and no config is in or beside it.
        CheckpointError: The file can't be read.
    """
    if what.endswith(".json"):
        return read_config(what)
    if not os.path.exists(what):
        return None
    found = config_beside(what)
    if found is None:
        raise UnsupportedError("no config of a model is in the file or beside it", file=what,
                               hint=HINT)
    return found[0]


def config_beside(path: Path) -> tuple[dict[str, Any], str] | None:
    """The config of the model that a checkpoint or a file of Keras 2 is of, and where it stands."""
    with open_old(path) as source:
        return find_config(source)


def _from_config(config: dict[str, Any], file: str) -> Any:
    return _from_keras_3(config, file) if "module" in config else revive(config, file)


def _from_keras_3(config: dict[str, Any], file: str) -> Any:
    import keras  # deferred: it takes its time

    try:
        return keras.models.model_from_json(json.dumps(config))
    except Exception as error:  # whatever a config of other times makes Keras raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UnsupportedError(f"Keras 3 makes no model of this config: {reason[0]}", file=file,
                               hint=HINT) from error


def convert_model(src: Path, dst: Path, model: Any, *,
                  map: Mapping[str, str] | Path | None = None,  # noqa: A002
                  config: Path | Mapping[str, Any] | None = None, root: str | None = None,
                  allow_missing: bool = False, allow_unused: bool = False,
                  skip_mismatch: bool = False, trust_order: bool = False,
                  optimizer: str = "auto", given: Mapping[str, float] | None = None,
                  prove: Callable[[Any], Proof] | None = None,
                  overwrite: bool = False, dry_run: bool = False) -> ModelReport:
    """Load old weights into a model, save them as Keras 3 does, and compare what was saved.

    Args:
        src: A checkpoint, a SavedModel or a legacy ``.h5`` file; see `load_weights`.
        dst: The file, whose name ends in ``.weights.h5``.
        model: A built Keras 3 model. It has the weights afterwards.
        map: As for `load_weights`, like all up to ``trust_order``.
        config: The old model's config.
        root: Which object of the checkpoint the model is.
        allow_missing: Whether weights without a tensor keep their values.
        allow_unused: Whether the checkpoint may have more weights.
        skip_mismatch: Whether weights whose tensor has another shape keep their values.
        trust_order: Whether layers that nothing tells apart are taken in the model's order.
        optimizer: Which optimizer the source's state is of, for a compiled model; ``"auto"``
            believes its names, ``"none"`` leaves it behind. If it is one and the model isn't
            compiled, the model is compiled with it.
        given: Values of the optimizer that count more than the source's: ``learning_rate``.
        prove: Compares the model with the old one, once it has loaded the file.
        overwrite: Whether a file at ``dst`` is replaced.
        dry_run: Whether to stop before anything is written.

    Raises:
        MismatchError: Not everything has its place; with the table.
        UnsupportedError: ``dst`` has another ending, or the optimizers don't keep the same.
        ProofError: The models compute different things; nothing is at ``dst``.
        DestinationExistsError: Something is at ``dst``, or it is the source.
        StorageError: The file doesn't give back what was saved; it isn't at ``dst``.
    """
    target = as_path(dst)
    if not target.endswith(ENDING):
        raise UnsupportedError("Keras 3 reads weights only from files with another ending",
                               expected=f"a name that ends in {ENDING}", got=target)
    check_free(target, (as_path(src),), overwrite=overwrite)
    loading = load_weights(model, src, map=map, config=config, root=root,
                           allow_missing=allow_missing, allow_unused=allow_unused,
                           skip_mismatch=skip_mismatch, trust_order=trust_order)
    state = _state(model, as_path(src), loading.report, LikeOptions(
        optimizer, given or {}, allow_missing))
    loaded = loading.report if state is None else state.told(loading.report)
    if dry_run:
        return ModelReport(loaded, target, state=state, proof=_proven(model, prove, loaded))
    if state is not None:
        state.assign()
    with placed(target) as waiting:
        model.save_weights(waiting)
        verified = _compare(model, waiting, target, state)
        proof = _proven(model, prove, loaded)
    return ModelReport(loaded, target, verified, state, proof)


def _proven(model: Any, prove: Callable[[Any], Proof] | None, loaded: LoadReport) -> Proof | None:
    """The proof, if it is asked for; what is known to differ is told if it fails.

    Raises:
        ProofError: The models compute different things.
    """
    try:
        return prove(model) if prove else None
    except ProofError as error:
        error.hint = "\n".join([*(f"note: {note}" for note in loaded.notes), error.hint or ""])
        raise


def _state(model: Any, src: str, loaded: LoadReport, options: LikeOptions
           ) -> OptimizerState | None:
    """The state that the model's optimizer gets.

    Raises:
        UnsupportedError: An optimizer was asked for that can't be had.
    """
    import keras  # deferred: as above

    kind = options.optimizer
    if kind == "none":
        return None
    asked = kind != "auto" or bool(options.given)
    if getattr(model, "optimizer", None) is None:
        if not asked:
            return None
        name = KINDS[kind].keras if kind in KINDS else ""
        if not hasattr(keras.optimizers, name or "-"):
            raise UnsupportedError("the model isn't compiled, so it has no optimizer", got=kind,
                                   hint="Have the function compile it.")
        model.compile(optimizer=getattr(keras.optimizers, name)())
    with open_old(src) as source:
        state = plan_state(model, source, loaded, options)
    if state is None and asked:
        raise UnsupportedError("there is no state of an optimizer", file=src)
    return state


def _compare(model: Any, file: str, target: str, state: OptimizerState | None) -> int:
    """Load a file into an emptied model, and count the weights that are as they were.

    Raises:
        StorageError: Some aren't, or variables of the optimizer.
    """
    import numpy as np  # deferred: as everywhere

    kept = [*model.weights, *(variable for variable, _ in (state.values if state else ()))]
    wanted = [_array(weight) for weight in kept]
    for weight, value in zip(kept, wanted, strict=True):
        weight.assign(np.zeros_like(value))  # so that nothing passes for loaded that isn't
    model.load_weights(file)
    wrong = [weight.path for weight, value in zip(kept, wanted, strict=True)
             if _array(weight).tobytes() != value.tobytes()]
    if wrong:
        raise StorageError(
            f"{len(wrong)} of {len(wanted)} weights are others when the file is read again",
            file=target, got=", ".join(wrong[:5]), hint="Nothing was written there.")
    return len(wanted)


def _array(weight: Any) -> np.ndarray[Any, Any]:
    import numpy as np  # deferred: as everywhere

    from keras import ops

    return np.array(ops.convert_to_numpy(weight.value))
