"""The moment at which a Keras 3 model is built and can be given values.

Models are built by a call, by ``fit`` or by ``predict``, and then it may be no plain program that
runs:

    ==================== ============================================ ========================
    it is built          what assigning a value would do              so it is assigned
    ==================== ============================================ ========================
    by ``build``, a call what it says                                 at once
    in a `tf.function`   become a part of the function                outside of the function
    in a stateless scope be forgotten; variables have no value yet    when the scope has ended
    ==================== ============================================ ========================
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Any

from tfckpt.keras.program import every_layer, is_built

__all__ = ["when_built"]


def when_built(model: Any, finish: Callable[[], None]) -> None:
    """Call a function once, as soon as the model and all of its layers are built.

    Usually that is at the end of ``build``. A model whose ``build`` leaves layers to the first
    call is called once more after they have their values, so that this call has them too.
    """
    build, call = model.build, model.call
    asked = False

    def give() -> None:
        model.build, model.call = build, call
        with _outside_of_functions():
            finish()

    def ask() -> bool:
        """Whether the values are given now; if not, they are asked for."""
        nonlocal asked
        if not _in_stateless_scope():
            give()
            return True
        if not asked:
            asked = True
            _after_the_scope(give)
        return False

    @functools.wraps(build)
    def build_and_load(*args: Any, **kwargs: Any) -> Any:
        result = build(*args, **kwargs)
        if is_built(model):
            ask()
        return result

    @functools.wraps(call)
    def call_and_load(*args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        if all(layer.built for layer in every_layer(model)) and ask():
            return call(*args, **kwargs)
        return result

    model.build, model.call = build_and_load, call_and_load


def _outside_of_functions() -> Any:
    """Lifts what is done out of a `tf.function` that is being traced."""
    tf = sys.modules.get("tensorflow")
    return contextlib.nullcontext() if tf is None else tf.init_scope()


def _in_stateless_scope() -> bool:
    # Deferred: the program has Keras already.
    from keras.src.backend.common.stateless_scope import in_stateless_scope

    return bool(in_stateless_scope())


def _after_the_scope(act: Callable[[], None]) -> None:
    """Do something when the outermost stateless scope has ended and variables have values."""
    from keras.src.backend.common.variables import register_uninitialized_variable

    register_uninitialized_variable(_Last(act))


class _Last:
    """Stands after the variables that Keras is going to initialize, and is called as they are."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    def _deferred_initialize(self) -> None:
        try:
            self._act()
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        """Take what is done off Keras's list, or it would be done again."""
        from keras.src.backend.common import global_state

        waiting = iter(global_state.get_global_attribute("uninitialized_variables"))
        any(item is self for item in waiting)  # up to here
        global_state.set_global_attribute("uninitialized_variables", list(waiting))
