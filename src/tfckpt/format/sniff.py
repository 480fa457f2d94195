"""What a file is that isn't a checkpoint, told from its first bytes and its name.

Half of the reports of "not an sstable (bad magic number)" are not about damage: the file
is a data shard, a graph, or another framework's. Saying which, and what opens it, is the
whole answer.
"""

from __future__ import annotations

from typing import NamedTuple

from tfckpt.format.naming import parse_data_name, parse_meta_name
from tfckpt.format.table import has_magic

__all__ = ["HEAD_SIZE", "Kind", "sniff"]

HEAD_SIZE = 512


class Kind(NamedTuple):
    """What a file is, with its article, what to do with it, and the format that opens it."""

    what: str
    hint: str
    format: str | None = None


_ZIP = b"PK\x03\x04"

_MAGICS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89HDF\r\n\x1a\n", Kind(
        "an HDF5 file", "If it holds Keras weights, model.load_weights opens it, and tfckpt convert"
        " FILE --to keras those of Keras 2 for a model of Keras 3.")),
    (b"\x93NUMPY", Kind("a NumPy array", "Open it with numpy.load.")),
    (b"version https://git-lfs", Kind(
        "a Git LFS pointer, which stands for a file that was not downloaded",
        "Run: git lfs pull")),
    (b"\x1f\x8b", Kind("a gzip archive", "Unpack it first.")),
    (b"BZh", Kind("a bzip2 archive", "Unpack it first.")),
    (b"\xfd7zXZ\x00", Kind("an xz archive", "Unpack it first.")),
    (b"\x28\xb5\x2f\xfd", Kind("a Zstandard archive", "Unpack it first.")),
    (b"GGUF", Kind("a GGUF model", "Open it with llama.cpp.")),
    (b"<!DOCTYPE", Kind("a web page", "The download went wrong: it saved an HTML page.")),
    (b"<!doctype", Kind("a web page", "The download went wrong: it saved an HTML page.")),
    (b"<html", Kind("a web page", "The download went wrong: it saved an HTML page.")),
)


def sniff(name: str, head: bytes, tail: bytes = b"") -> Kind | None:
    """Say what a file is, or None if nothing tells.

    Args:
        name: Its path.
        head: Its first bytes, `HEAD_SIZE` of them or all.
        tail: Its last bytes, eight or more.

    Example:
        >>> sniff("epoch3.ckpt", b"\\x89HDF\\r\\n\\x1a\\n").what
        'an HDF5 file'
    """
    if not head:
        return Kind("an empty file", "It was probably cut off while it was written or copied.")
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return kind
    if head.startswith(_ZIP):
        return _zip(head)
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return Kind("a safetensors file", "Open it with the safetensors package.",
                    "safetensors")
    if head[257:262] == b"ustar":
        return Kind("a tar archive", "Unpack it first.")
    if _is_pickle(head):
        return _pickle(head)
    if has_magic(tail):
        return Kind("a table file (a V1 checkpoint, or a V2 index under another name)", "")
    data = parse_data_name(name)
    if data:
        return Kind("a data shard of a checkpoint", f"Give the prefix instead: {data.prefix}")
    prefix = parse_meta_name(name)
    if prefix is not None:
        return Kind("a TF1 graph (MetaGraphDef)", f"Give the prefix instead: {prefix}")
    if name.endswith(("saved_model.pb", "keras_metadata.pb")):
        return Kind("a part of a SavedModel", "Give the folder that it is in.")
    if _is_msgpack_map(head):
        return Kind("a msgpack file, as Flax saves", "Open it with flax.serialization.", "msgpack")
    if _is_text(head):
        return Kind("a text file", "")
    return None


def _zip(head: bytes) -> Kind:
    if any(name in head for name in (b"data.pkl", b"/data/", b"archive/", b".format_version")):
        return Kind("a PyTorch zip archive", "Open it with torch.load(..., weights_only=True).",
                    "torch")
    if b".npy" in head:
        return Kind("a NumPy archive (.npz)", "Open it with numpy.load.", "npz")
    if b"metadata.json" in head or b"config.json" in head:
        return Kind("a Keras 3 model archive", "Open it with keras.models.load_model.")
    return Kind("a zip archive", "Unpack it first.")


def _is_pickle(head: bytes) -> bool:
    # Protocol 2 and later begin with PROTO and a version; nothing here ever unpickles.
    return len(head) > 2 and head[0] == 0x80 and head[1] in range(2, 6)


def _pickle(head: bytes) -> Kind:
    # A legacy PyTorch file is several pickles; the first is this magic number.
    torch_magic = bytes.fromhex("6cfc9c46f9206aa85019")
    if torch_magic in head[:64]:
        return Kind("a PyTorch file in the legacy format",
                    "Open it with torch.load(..., weights_only=True).")
    return Kind("a Python pickle", "Opening one runs the code in it; tfckpt never does.")


def _is_msgpack_map(head: bytes) -> bool:
    # A map of few entries, the first key a short text.
    if 0x81 <= head[0] <= 0x8F:
        return len(head) > 2 and (0xA1 <= head[1] <= 0xBF or head[1] == 0xD9)
    return head[0] in (0xDE, 0xDF)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[:error.start].decode("utf-8")
    return all(char.isprintable() or char in "\r\n\t" for char in text)
