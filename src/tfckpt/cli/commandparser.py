"""How a command's arguments are parsed: what argparse would say too roughly, or ask for in vain."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Collection, Sequence

from tfckpt.errors import nearest

__all__ = ["CommandParser"]

# What scripts of TensorFlow's time have: inspect_checkpoint, the converters of Hugging Face, and
# the rename script that so many projects copied.
_PATHS = ("--checkpoint", "--checkpoint-dir", "--checkpoint-file", "--checkpoint-path", "--ckpt",
          "--ckpt-path", "--file-name", "--init-checkpoint", "--input", "--model-dir",
          "--tf-checkpoint-path")
_OUTPUTS = ("--out", "--output-dir", "--output-file", "--output-path", "--pytorch-dump-path")
_ELSEWHERE = {
    "--all-tensor-names": "tfckpt ls PATH lists all names",
    "--all-tensors": "tfckpt show PATH shows all values",
    "--printoptions": "tfckpt show PATH KEY --full shows every value",
    "--tensor-name": "tfckpt show PATH KEY shows one tensor",
}
# Each with the option that a command must have for it, and how that is given.
_RENAMED = {
    "--ignore-optimizer": ("--everything", "the optimizer's state counts only with --everything"),
    "--skip-optimizer": ("--everything", "the optimizer's state counts only with --everything"),
    "--replace-from": ("--replace", "it is --replace FROM=TO"),
    "--replace-to": ("--replace", "it is --replace FROM=TO"),
    "--steps": ("--last", "it is --last N"),
    "--num-last-checkpoints": ("--last", "it is --last N"),
}


_NO_OUTPUT = "DST"


class CommandParser(ArgumentParser):
    """The arguments of one command.

    Of an option that isn't there, argparse would first say that PATH is missing, and then show the
    usage of ``tfckpt`` as a whole. And it would have who only wants to see what would be done say
    where to: a dry run calls that DST, as the help does.
    """

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - argparse has overloads of it
        """As argparse does, but end with a word on each option that the command doesn't have."""
        known = self._option_string_actions  # argparse has no public way to ask for this
        unknown = [option for option in _given(args or ()) if option not in known]
        if unknown:
            command = self.prog.rpartition(" ")[2]
            self.error("; ".join(f"there is no {option}{_instead(option, command, known)}"
                                 for option in unknown))
        if self._is_dry_run_to_nowhere(args or ()):
            args = ["-o", _NO_OUTPUT, *args]
        return super().parse_known_args(args, namespace)

    def _is_dry_run_to_nowhere(self, arguments: Sequence[str]) -> bool:
        known = self._option_string_actions
        given = _given(arguments)
        return "--dry-run" in given and "--output" in known and not (
            {"--output", "--in-place"}.intersection(given)
            or any(argument.startswith("-o") for argument in arguments))


def _given(arguments: Sequence[str]) -> list[str]:
    """The options among arguments; as for argparse, none has a space, or comes after ``--``."""
    end = arguments.index("--") if "--" in arguments else None
    return list(dict.fromkeys(argument.partition("=")[0] for argument in arguments[:end]
                              if argument.startswith("--") and " " not in argument))


def _instead(option: str, command: str, known: Collection[str]) -> str:
    if option in _ELSEWHERE:
        return f": {_ELSEWHERE[option]}"
    if option in _PATHS:
        return f": the checkpoint stands alone, as in tfckpt {command} PATH"
    if option in _OUTPUTS and "-o" in known:
        return ": it is -o DST"
    counterpart, word = _RENAMED.get(option, ("", ""))
    if counterpart in known:
        return f": {word}"
    near = nearest(option, [name for name in known if name.startswith("--")], 1)
    return f"; did you mean {near[0]}?" if near else ""
