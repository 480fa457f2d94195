"""A callback that saves while a Keras 3 model trains, in several formats at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import keras
from tfckpt.convert.running import run_plan
from tfckpt.core.discovery import as_path
from tfckpt.core.plan import Plan
from tfckpt.errors import UnsupportedError
from tfckpt.keras.saving import SaveStyle, plan_weights
from tfckpt.train.background import BackgroundSaves
from tfckpt.train.pending import PendingSave

__all__ = ["Format", "ModelCheckpoint"]

Format = Literal["keras", "keras2", "tf2", "tf1"]
_STYLES: tuple[SaveStyle, ...] = ("keras2", "tf2", "tf1")
_SUFFIX = ".weights.h5"


class ModelCheckpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """``keras.callbacks.ModelCheckpoint`` that also writes checkpoints of TensorFlow.

    Args:
        filepath: Prefix of the files, with ``{epoch}`` and the like as Keras has them.
        formats: What to write: ``"keras"`` is ``PREFIX.weights.h5``; ``"keras2"``, ``"tf2"`` and
            ``"tf1"`` are the styles of `save_weights`. The first of these that is named has the
            prefix itself, others the prefix with a dash and their name.
        background: Whether TensorFlow's formats are written while training goes on, of copies of
            the values: a save that failed is told by the next one, and the last save is waited
            for when training ends. ``"keras"`` is Keras's own work, and is there at once.
        options: Those of ``keras.callbacks.ModelCheckpoint``, but ``save_weights_only``.
    """

    def __init__(self, filepath: str | os.PathLike[str], *,
                 formats: Sequence[Format] = ("keras", "keras2"), background: bool = False,
                 **options: Any) -> None:
        unknown = sorted(set(formats) - {"keras", *_STYLES})
        if unknown or not formats:
            raise UnsupportedError("this is no format that a callback can write",
                                   expected="keras, keras2, tf2, tf1",
                                   got=", ".join(unknown) or "none")
        self.formats = tuple(formats)
        self._background = BackgroundSaves() if background else None
        prefix = os.fspath(filepath).removesuffix(_SUFFIX)
        super().__init__(prefix + _SUFFIX, save_weights_only=True, **options)

    def set_model(self, model: Any) -> None:
        """Keras's model, whose weights are saved in our way."""
        super().set_model(_Saving(model, self.formats, self._background))

    def on_train_end(self, logs: Any = None) -> None:
        """Wait for the last save; Keras calls this."""
        super().on_train_end(logs)
        if self._background is not None:
            self._background.wait()


class _Saving:
    """A model, but for how its weights are saved."""

    def __init__(self, model: Any, formats: Sequence[Format],
                 background: BackgroundSaves | None) -> None:
        self._model = model
        self._formats = formats
        self._background = background

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def save_weights(self, filepath: str, *, overwrite: bool = True) -> None:
        """Save them in every format."""
        prefix = os.fspath(filepath).removesuffix(_SUFFIX)
        if "keras" in self._formats:
            self._model.save_weights(filepath, overwrite=overwrite)
        styles = [style for style in self._formats if style != "keras"]
        plans = {prefix if style == styles[0] else f"{prefix}-{style}": plan_weights(
            self._model, style) for style in styles}

        def write(_: Plan) -> None:
            for path, plan in plans.items():
                run_plan([], plan, as_path(path), overwrite=overwrite)

        if not plans:
            return
        pending = PendingSave(prefix, plans[prefix], write)
        if self._background is None:
            pending.finish()
        else:
            self._background.start(pending)
