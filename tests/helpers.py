"""What many tests share: where the data is, and what is in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tfckpt.train.modules import Module
from tfckpt.train.variables import Variable

ROOT = Path(__file__).resolve().parent.parent
GOLDENS = ROOT / "tests" / "goldens"
EXAMPLE = ROOT / "examples" / "tf1" / "model.ckpt-7"
SHARED = ROOT.parent / "shared"

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared fixtures are not beside this checkout")


def digest(array: np.ndarray) -> str:
    """SHA-256 of the little-endian C-order bytes; of strings, each after its length."""
    if array.dtype == object:
        data = b"".join(len(item).to_bytes(8, "little") + item for item in array.reshape(-1))
    else:
        data = np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(data).hexdigest()


def golden_truths() -> Iterator[tuple[str, dict]]:
    """Prefix of each golden checkpoint, and what TensorFlow put into it: key to facts."""
    for truth in sorted(GOLDENS.glob("*/TRUTH.json")):
        for name, tensors in json.loads(truth.read_text())["checkpoints"].items():
            yield str(truth.parent / name), tensors


def far(got: list, wanted: list) -> float:
    """The largest difference between lists of arrays."""
    return max(float(np.abs(np.array(a) - np.array(b)).max())
               for a, b in zip(got, wanted, strict=True))


def files_of(prefix: str) -> dict[str, bytes]:
    """Name and contents of every file of a checkpoint."""
    folder, stem = os.path.split(prefix)
    return {name: (Path(folder) / name).read_bytes() for name in sorted(os.listdir(folder or "."))
            if name.startswith(stem + ".")}


def copy_checkpoint(prefix: str | Path, folder: Path, name: str | None = None) -> str:
    """Copy a checkpoint's files into a folder; returns the new prefix."""
    stem = os.path.basename(prefix)
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in files_of(str(prefix)).items():
        (folder / ((name or stem) + file[len(stem):])).write_bytes(data)
    return str(folder / (name or stem))


def net(**children) -> Module:
    """A module with these children; a number becomes a variable."""
    made = Module(name="net")
    for name, child in children.items():
        setattr(made, name, Variable(float(child)) if isinstance(child, (int, float)) else child)
    return made
