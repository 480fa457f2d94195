"""A callback that saves a Keras 2 model while it trains, for TF1 and TF2 programs at once.

The Keras of TensorFlow 2.15, and tf_keras with later ones. For Keras 3 there is
`tfckpt.keras`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Literal

from tfckpt.core.collection import no_collection
from tfckpt.core.plan import Plan
from tfckpt.errors import UnsupportedError, VariableTypeError
from tfckpt.train.background import BackgroundSaves
from tfckpt.train.both import prepare_shared
from tfckpt.train.checkpoint import Checkpoint
from tfckpt.train.pending import PendingSave
from tfckpt.train.saver import Saver
from tfckpt.train.state import write_state
from tfckpt.train.varlist import plan_names

__all__ = ["Format", "ModelCheckpoint"]

Format = Literal["tf1", "tf2"]


class ModelCheckpoint:
    """Keras 2's ``ModelCheckpoint``, which writes checkpoints of TensorFlow in either style.

    When to save, and under which name, is Keras's business: all of its options but
    ``save_weights_only`` can be given. Both formats come from one pass over the values, and
    share their data.

    ``"tf2"`` is what ``model.save_weights`` writes in TensorFlow's format, byte for byte, with
    the optimizer's state; ``model.load_weights`` and ``tf.train.Checkpoint(model)`` read it.
    ``"tf1"`` has the model's weights, and the optimizer's variables, under their names.

    Args:
        filepath: Prefix of the checkpoints, with ``{epoch}`` and the like as Keras has them.
        formats: What to write. The first has the prefix itself, and is what the folder's state
            file names; the other has the prefix with a dash and its name.
        background: Whether files are written while training goes on, as by `BackgroundSaves`. The
            last save is waited for when training ends.
        **options: Those of Keras's ``ModelCheckpoint``.

    Raises:
        UnsupportedError: There is no such format; or, when training begins, the model is one of
            Keras 3.

    Example::

        model.fit(x, y, callbacks=[ModelCheckpoint("ckpt/e{epoch}", formats=("tf1", "tf2"))])
    """

    def __init__(self, filepath: str | os.PathLike[str], *,
                 formats: Sequence[Format] = ("tf1", "tf2"), background: bool = False,
                 **options: Any) -> None:
        self.formats = (formats,) if isinstance(formats, str) else tuple(formats)
        if not self.formats or set(self.formats) - {"tf1", "tf2"}:
            raise UnsupportedError("this is no format that a callback can write",
                                   expected='"tf1", "tf2" or both', got=repr(formats))
        self._filepath = os.fspath(filepath)
        self._background = BackgroundSaves() if background else None
        self._options = options
        self._keras: Any = None  # Keras's own, from when the model is known

    def set_model(self, model: Any) -> None:
        """The model to save; Keras calls this."""
        keras = _keras_of(model)
        if self._keras is None:
            self._keras = keras.callbacks.ModelCheckpoint(
                self._filepath, **{**self._options, "save_weights_only": True})
        self._keras.set_model(_Saving(model, self.formats, self._background))

    def on_train_end(self, logs: Any = None) -> None:
        """Wait for the last save; Keras calls this."""
        self._keras.on_train_end(logs)
        if self._background is not None:
            self._background.wait()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.__dict__.get("_keras") is None:
            raise AttributeError(name)
        return getattr(self._keras, name)


def _keras_of(model: Any) -> Any:
    """The Keras that a model is of.

    Raises:
        VariableTypeError: It is no Keras model.
        UnsupportedError: It is one of Keras 3.
    """
    roots = [cls.__module__.partition(".")[0] for cls in type(model).__mro__]
    name = next((root for root in roots if root in {"keras", "tf_keras"}), None)
    if name is None:
        raise VariableTypeError("this is no Keras model", got=type(model).__name__)
    keras = sys.modules[name]
    if not keras.__version__.startswith("2."):
        raise UnsupportedError("this callback is for Keras 2", got=f"Keras {keras.__version__}",
                               hint="For Keras 3 there is ModelCheckpoint in tfckpt.keras.")
    return keras


class _Saving:
    """A model, but for how its weights are saved."""

    def __init__(self, model: Any, formats: tuple[str, ...],
                 background: BackgroundSaves | None) -> None:
        self._model = model
        self._formats = formats
        self._background = background

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def save_weights(self, filepath: str, overwrite: bool = True, **options: Any) -> None:
        """Save them in every format; Keras's callback has seen to it that they may be."""
        prefix = os.fspath(filepath)
        paths = {name: prefix if name == self._formats[0] else f"{prefix}-{name}"
                 for name in self._formats}
        with no_collection():
            pending = self._prepare(paths)

        def write(plan: Plan) -> None:
            pending.write(plan)
            write_state(os.path.dirname(prefix) or ".", prefix, save_relative_paths=True)

        noted = pending._replace(write=write)
        if self._background is None:
            noted.finish()
        else:
            self._background.start(noted)

    def _prepare(self, paths: dict[str, str]) -> PendingSave:
        if "tf1" not in paths:
            return Checkpoint(self._model).prepare_write(paths["tf2"])
        saver = Saver([*self._model.weights, *_optimizer_variables(self._model)])
        if "tf2" not in paths:
            return saver.prepare_plan(plan_names(saver.variables), paths["tf1"], write_state=False)
        checkpoint = Checkpoint(self._model)
        return prepare_shared(
            saver, checkpoint, checkpoint.prepare_write(paths["tf2"]),
            lambda rest: saver.prepare_plan(rest, paths["tf1"], write_state=False))


def _optimizer_variables(model: Any) -> list[Any]:
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return []
    variables = optimizer.variables
    return list(variables() if callable(variables) else variables)
