"""The ``checkpoint`` state file: which checkpoints a folder has, and which is the newest.

A ``CheckpointState`` message in protobuf's text format, one ``field: value`` a line:

    ================================== =================================================
    field                              meaning
    ================================== =================================================
    model_checkpoint_path              prefix of the newest checkpoint
    all_model_checkpoint_paths         all that are kept, oldest first (repeated)
    all_model_checkpoint_timestamps    when each was saved, seconds since 1970 (repeated)
    last_preserved_timestamp           when one was last kept for good, seconds since 1970
    ================================== =================================================

Paths may be absolute or relative to the folder of the file. Text is quoted, with C escapes
and octal escapes for bytes that aren't printable ASCII.

Source: python/checkpoint/checkpoint_management.py; python/training/checkpoint_state.proto.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tfckpt.errors import FormatError

__all__ = ["CheckpointState", "encode_state", "parse_state"]


class CheckpointState(NamedTuple):
    """Contents of a state file; see the module's table."""

    model_checkpoint_path: str
    all_model_checkpoint_paths: tuple[str, ...] = ()
    all_model_checkpoint_timestamps: tuple[float, ...] = ()
    last_preserved_timestamp: float | None = None


_TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | [,;]                       # between fields
      | (?P<name>[A-Za-z_]\w*) \s* :                # a field's name
      | (?P<text>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*')
      | (?P<number>[-+]?(?:inf|nan|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)f?)
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f",
          b"v": b"\v"}


def parse_state(data: bytes) -> CheckpointState:
    """Parse a state file.

    Raises:
        FormatError: It isn't one, or doesn't name a newest checkpoint.

    Example:
        >>> parse_state(b'model_checkpoint_path: "model-7"').model_checkpoint_path
        'model-7'
    """
    text = data.decode("utf-8", "surrogateescape")
    texts: dict[str, list[str]] = {}
    numbers: dict[str, list[float]] = {}
    name, joins, at = "", False, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or (not name and (match["text"] or match["number"])):
            offset = len(text[:at].encode("utf-8", "surrogateescape"))
            raise FormatError("the checkpoint state file is not in protobuf's text format",
                              got=repr(text[at:at + 40]), offset=offset)
        if match["name"]:
            name, joins = match["name"], False
        elif match["text"]:
            values = texts.setdefault(name, [])
            # Adjacent quoted pieces are one text, as in C.
            if joins and values:
                values[-1] += _unquote(match["text"])
            else:
                values.append(_unquote(match["text"]))
            joins = True
        elif match["number"]:
            numbers.setdefault(name, []).append(float(match["number"].removesuffix("f")))
        at = match.end()
    paths = texts.get("model_checkpoint_path", [])
    if not paths or not paths[-1]:
        raise FormatError("the checkpoint state file names no newest checkpoint",
                          expected='a line model_checkpoint_path: "..."',
                          got="an empty file" if not text.strip() else "none")
    preserved = numbers.get("last_preserved_timestamp")
    return CheckpointState(
        paths[-1],
        tuple(texts.get("all_model_checkpoint_paths", ())),
        tuple(numbers.get("all_model_checkpoint_timestamps", ())),
        preserved[-1] if preserved else None,
    )


def _unquote(quoted: str) -> str:
    raw = quoted[1:-1].encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_escaped_byte, raw).decode("utf-8", "surrogateescape")


def _escaped_byte(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, other = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    return _NAMED.get(other, other)


def encode_state(state: CheckpointState) -> bytes:
    """Encode a state file, byte for byte as TensorFlow does.

    Example:
        >>> encode_state(CheckpointState("model-7", ("model-7",))).decode().splitlines()
        ['model_checkpoint_path: "model-7"', 'all_model_checkpoint_paths: "model-7"']
    """
    lines = [f"model_checkpoint_path: {_quote(state.model_checkpoint_path)}"]
    lines += [f"all_model_checkpoint_paths: {_quote(path)}"
              for path in state.all_model_checkpoint_paths]
    lines += [f"all_model_checkpoint_timestamps: {_number(time)}"
              for time in state.all_model_checkpoint_timestamps]
    if state.last_preserved_timestamp is not None:
        lines.append(f"last_preserved_timestamp: {_number(state.last_preserved_timestamp)}")
    return "".join(line + "\n" for line in lines).encode("ascii")


_SPECIAL = {"\n": r"\n", "\r": r"\r", "\t": r"\t", '"': r"\"", "'": r"\'", "\\": r"\\"}


def _quote(text: str) -> str:
    out = []
    for byte in text.encode("utf-8", "surrogateescape"):
        char = chr(byte)
        out.append(_SPECIAL.get(char) or (char if 32 <= byte < 127 else f"\\{byte:03o}"))
    return '"' + "".join(out) + '"'


def _number(value: float) -> str:
    # protobuf prints a double with as many digits as it takes, and whole ones with ".0".
    return repr(value)
