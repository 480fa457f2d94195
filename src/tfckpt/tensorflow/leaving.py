"""`load`: a live model takes over what an earlier program trained, whatever that was.

From an Estimator's ``model_dir`` to a Keras model or a ``tf.Module``: which variable is which is
found out as ``tfckpt match`` does, the optimizer's state is put into the layout that the live
optimizer has, and the count of steps goes with it.

What the live model would save is the template that ``tfckpt convert --like`` fills
(convert/like.py); the result is restored into the model.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfckpt.convert.like import KEPT_OTHERWISE, EmaChoice, LikeOptions, convert_like
from tfckpt.core.opening import open_source
from tfckpt.errors import GraphStateError, MismatchError, VariableError
from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.loadreport import LoadReport

__all__ = ["load"]

Path = str | os.PathLike[str]

_HINT = ("Nothing was loaded. Name pairs with names={stored: live}, where live begins with model/,"
         " or keep the model's own values with allow_missing=True.")


def load(model: Any, path: Path, *, optimizer: Any = None, step: Any = None,
         names: Mapping[str, str] | None = None, kind: str = "auto",
         given: Mapping[str, float] | None = None, allow_missing: bool = False,
         ema: EmaChoice = "ignore") -> LoadReport:
    """Load a checkpoint of another program into a live model, all of it or nothing.

    What is loaded is put together in a temporary folder, linked where the file system allows it;
    otherwise there must be room for a copy.

    Args:
        model: A Keras model that was built, a ``tf.Module``, or a dict from names to such.
        path: A checkpoint of either style: its prefix, any of its files, or a folder, such as
            an Estimator's ``model_dir``.
        optimizer: The optimizer that goes on with the training; of a compiled Keras model its
            own. Its slots are made if it has none yet. Hyperparameters that the checkpoint
            doesn't have stay what they are: TF1 stores no learning rate and no epsilon (1e-8
            for its Adam, where Keras has 1e-7).
        step: A variable that counts steps, if there is one beside the optimizer's.
        names: Names that are known, from the checkpoint's to the model's.
        kind: Which optimizer the checkpoint's state is of, where names can't tell it
            (``"nadam"``); ``"auto"`` believes them, ``"none"`` leaves the state behind.
        given: Hyperparameters that count more than those of the checkpoint.
        allow_missing: Whether the model keeps values that the checkpoint doesn't have.
        ema: ``"use"`` to load moving averages in the place of the variables.

    Returns:
        What was loaded, and what of the checkpoint wasn't, with the reason in the notes.

    Raises:
        MismatchError: Something of the model isn't in the checkpoint, or its place can't be
            told; with all of it.
        UnsupportedError: The optimizers don't keep the same.
        VariableError: The model has no variables yet.
        GraphStateError: It is called in a graph.

    Example::

        model.build((None, 8))
        report = load(model, "model_dir", optimizer=tf.keras.optimizers.Adam(1e-3))
        print(report)
    """
    if not tf.executing_eagerly():
        raise GraphStateError("a model is loaded outside of graphs",
                              hint="In a graph tfckpt.warm_start fills variables by name.")
    children = {"model": model}
    if step is not None:
        children["step"] = step
    if optimizer is not None:
        children["optimizer"] = optimizer
    _make_slots(model, optimizer)
    live = Checkpoint(**children)
    if len(live.view().stored) == (step is not None):
        raise VariableError("the model has no variables yet", got=type(model).__name__,
                            hint="Build it, or call it once on an input.")
    options = LikeOptions(optimizer=kind, given=given or {}, allow_missing=allow_missing, ema=ema)
    with tempfile.TemporaryDirectory(prefix="tfckpt-") as folder:
        template = live.write(os.path.join(folder, "template"))
        try:
            done = convert_like(path, os.path.join(folder, "filled"), template, names=names,
                                options=options)
        except MismatchError as error:
            error.hint = _HINT
            raise
        live.read(done.target).assert_consumed()
    left = {item.key: item.reason for item in done.plan.left_out
            if item.reason != KEPT_OTHERWISE and item.key != OBJECT_GRAPH_KEY}
    with open_source(path) as source:
        matched = tuple(key for key in source.index
                        if key not in left and key != OBJECT_GRAPH_KEY)
    reasons = [f"{key}: {reason}" for key, reason in left.items()]
    return LoadReport(matched, unused=tuple(left), notes=(*done.notes, *done.plan.notes, *reasons))


def _make_slots(model: Any, optimizer: Any) -> None:
    """Have an optimizer make what it keeps, as the first step of training would."""
    own = getattr(model, "optimizer", None) if optimizer is None else optimizer
    variables = getattr(model, "trainable_variables", None)
    if own is None or not variables:
        return
    if hasattr(own, "_create_all_weights"):  # Keras's older ones
        own._create_all_weights(variables)  # noqa: SLF001 - they have no other way
    elif hasattr(own, "build") and not getattr(own, "built", False):
        own.build(variables)
