"""``--prove``: the old model and the new one on the same random input."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError, Namespace, _ArgumentGroup
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tfckpt.convert.proving import (
    TOLERANCE,
    Input,
    Proof,
    function_of_arrays,
    parse_input,
    prove,
)
from tfckpt.errors import CheckpointError, MissingDependencyError, UnsupportedError

__all__ = ["add_prove_arguments", "prover"]

_FUNCTION = ("Name a function that takes SRC and gives the old model: --prove"
             " package.module:function.")


def add_prove_arguments(group: _ArgumentGroup) -> None:
    """``--prove`` and what goes with it."""
    group.add_argument("--prove", metavar="MODULE:FUNCTION", nargs="?", const="",
                       help="also run both models on the same random input, and write nothing if"
                            " they differ: the old one is what the function makes of SRC, in"
                            " TensorFlow or otherwise, or SRC itself if that is a SavedModel")
    group.add_argument("--prove-input", metavar="SHAPE[:DTYPE[:HIGH]]", action="append",
                       default=[], type=_input,
                       help="an input to prove with, such as 2,28,28,1 or 2,16:int32:1000, where"
                            " integers are below 1000; once for each input (default: what the"
                            " model says of itself)")
    group.add_argument("--tolerance", metavar="X", type=float,
                       help="how large a difference may be, in proportion to the largest number"
                            f" of the output (default: {TOLERANCE:g})")


def _input(text: str) -> Input:
    try:
        return parse_input(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def prover(options: Namespace, framework: Any) -> Callable[[Any], Proof] | None:
    """What proves a new model, if that is wanted; the old one is found now.

    Args:
        options: Those of the command line.
        framework: The module that says what the new model is to a caller: ``function_of`` it,
            ``inputs_of`` it, and inputs ``packed`` as it takes them.

    Raises:
        UnsupportedError: There is no old model.
        MissingDependencyError: TensorFlow isn't installed, and the old model needs it.
    """
    if options.prove is None:
        if options.prove_input or options.tolerance is not None:
            raise UnsupportedError("--prove-input and --tolerance are for --prove")
        return None
    open_model = _old_model(options)

    def run(model: Any) -> Proof:
        old = open_model(lambda values: framework.packed(model, values))
        inputs = options.prove_input or framework.inputs_of(model)
        tolerance = TOLERANCE if options.tolerance is None else options.tolerance
        try:
            return prove(old, framework.function_of(model), inputs, tolerance)
        except CheckpointError:
            raise
        except Exception as error:  # whatever a framework raises over input it can't take
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise UnsupportedError(
                f"a model doesn't run on random input: {reason[0]}",
                got=", ".join(f"{list(item.shape)} of {item.dtype}" for item in inputs),
                hint="Say what it takes: --prove-input 2,28,28,1 or"
                     " --prove-input 2,16:int32:1000.") from error

    return run


def _old_model(options: Namespace) -> Callable[[Callable[[Any], Any]], Any]:
    """What makes a function of the old model, given what packs its inputs."""
    proving: Any = None
    with suppress(MissingDependencyError):  # see below
        from tfckpt.tensorflow import proving  # deferred: it imports TensorFlow
    if options.prove:
        from tfckpt.convert.programs import named_in_program  # deferred: few have models

        make = named_in_program(options.prove)
        if proving is None:  # then it must be something that takes arrays
            return lambda pack: function_of_arrays(make(options.path), pack)
        return lambda pack: proving.function_of(make(options.path), pack)
    if proving is None:
        raise MissingDependencyError("--prove runs the old model, which needs TensorFlow",
                                     hint="Run: pip install 'tfckpt[tensorflow]'")
    if any(len(item.shape) > 3 for item in options.prove_input) and options.to != "keras":
        raise UnsupportedError(
            "images have their channels last in TensorFlow and first in PyTorch",
            hint="Name a function that takes SRC and gives a function, which takes what the module"
                 " takes, moves the axes and calls the old model: --prove package.module:function.")
    folder = _saved_model(options.path)
    return lambda pack: proving.saved_model_function(folder, pack)


def _saved_model(path: str) -> str:
    from tfckpt.keras.loading import open_old  # deferred, as above

    with open_old(path) as source:
        folder = os.path.dirname(os.path.dirname(source.prefix))
    if not os.path.isfile(os.path.join(folder, "saved_model.pb")):
        raise UnsupportedError("only a SavedModel can be run by itself", file=path,
                               hint=_FUNCTION)
    return folder
