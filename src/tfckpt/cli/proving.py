"""``--prove``: the old model and the new one on the same random input."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError, Namespace, _ArgumentGroup
from collections.abc import Callable
from typing import Any

from tfckpt.convert.proving import TOLERANCE, Input, Proof, parse_input, prove
from tfckpt.errors import CheckpointError, MissingDependencyError, UnsupportedError

__all__ = ["add_prove_arguments", "prover"]

_FUNCTION = ("Name a function that takes SRC and gives the old model: --prove"
             " package.module:function.")


def add_prove_arguments(group: _ArgumentGroup) -> None:
    """``--prove`` and what goes with it."""
    group.add_argument("--prove", metavar="MODULE:FUNCTION", nargs="?", const="",
                       help="also run both models on the same random input, and write nothing if"
                            " they differ: the old one is what the function makes of SRC in"
                            " TensorFlow, or SRC itself if that is a SavedModel")
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


def prover(options: Namespace) -> Callable[[Any], Proof] | None:
    """What proves a Keras 3 model, if that is wanted; the old model is made now.

    Raises:
        UnsupportedError: The old model can't be made.
        MissingDependencyError: TensorFlow isn't installed.
    """
    if options.prove is None:
        if options.prove_input or options.tolerance is not None:
            raise UnsupportedError("--prove-input and --tolerance are for --prove")
        return None
    try:
        from tfckpt.tensorflow import proving  # deferred: it imports TensorFlow
    except ImportError as error:
        if "tensorflow" not in str(error):
            raise
        raise MissingDependencyError("--prove runs the old model, which needs TensorFlow",
                                     hint="Run: pip install 'tfckpt[tensorflow]'") from None
    # Deferred: every conversion declares these options, and few have models.
    from tfckpt.convert.programs import named_in_program
    from tfckpt.keras.proving import function_of, inputs_of, packed

    given = named_in_program(options.prove) if options.prove else None
    folder = "" if given else _saved_model(options.path)

    def run(model: Any) -> Proof:
        def pack(values: Any) -> Any:
            return packed(model, values)

        old = (proving.function_of(given(options.path), pack) if given else
               proving.saved_model_function(folder, pack))
        inputs = options.prove_input or inputs_of(model)
        tolerance = TOLERANCE if options.tolerance is None else options.tolerance
        try:
            return prove(old, function_of(model), inputs, tolerance)
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


def _saved_model(path: str) -> str:
    from tfckpt.keras.loading import open_old  # deferred, as above

    with open_old(path) as source:
        folder = os.path.dirname(os.path.dirname(source.prefix))
    if not os.path.isfile(os.path.join(folder, "saved_model.pb")):
        raise UnsupportedError("only a SavedModel can be run by itself", file=path,
                               hint=_FUNCTION)
    return folder
