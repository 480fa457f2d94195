"""Every checkpoint of the shared fixtures and corpus reads equal to what TensorFlow read."""

from __future__ import annotations

import base64
import json
import os
import re
from collections import Counter

import pytest

import tfckpt
from helpers import SHARED, digest, needs_shared
from tfckpt.convert.export import ExportOptions, plan_export
from tfckpt.format.npy import NPY_NAMES
from tfckpt.format.safetensors import SAFETENSORS_NAMES

FIXTURES = sorted((SHARED / "fixtures").rglob("TRUTH.json"))
CORPUS = sorted((SHARED / "corpus").glob("*/TRUTH.json"))


def compare(source, key: str, facts: dict) -> str:
    """How a tensor compares with the truth: "equal", or why it can't be read (yet)."""
    entry = source.index[key]
    assert facts["shape"] == list(entry.shape)
    assert facts["dtype"] == entry.dtype.name
    if facts.get("opaque"):
        return "equal" if source.read_bytes(key) else "empty"
    try:
        array = source[key]
    except tfckpt.TruncatedError:
        assert "error" in facts, key
        return "no data"
    assert facts["sha256"] == digest(array), key
    return "equal"


@needs_shared
@pytest.mark.parametrize("truth", FIXTURES, ids=lambda p: str(p.parent.relative_to(SHARED)))
def test_fixtures_read_equal_to_what_tensorflow_read(truth):
    outcomes = Counter()
    for prefix, tensors in json.loads(truth.read_text()).get("checkpoints", {}).items():
        with tfckpt.open(truth.parent / prefix) as source:
            for name, facts in tensors.items():
                key = name
                if name.startswith("b64:"):
                    key = base64.b64decode(name[4:]).decode("utf-8", "surrogateescape")
                outcomes[compare(source, key, facts)] += 1
    assert set(outcomes) <= {"equal"}


@needs_shared
@pytest.mark.parametrize("truth", CORPUS, ids=lambda p: p.parent.name)
def test_real_checkpoints_read_equal_to_what_tensorflow_read(truth):
    manifest = (SHARED / "corpus/MANIFEST.tsv").read_text().splitlines()
    prefix = next(line.split("\t")[1] for line in manifest
                  if line.split("\t")[0] == truth.parent.name)
    tensors = json.loads(truth.read_text())
    try:
        source = tfckpt.open(os.path.join(truth.parent, prefix))
    except tfckpt.NotACheckpointError:
        assert "__load_error__" in tensors
        return
    with source:
        assert set(tensors) == set(source)
        outcomes = Counter(compare(source, key, facts) for key, facts in tensors.items())
    assert set(outcomes) <= {"equal", "no data"}


@needs_shared
@pytest.mark.parametrize("name", ["safetensors", "npz"])
@pytest.mark.parametrize("truth", CORPUS, ids=lambda p: p.parent.name)
def test_real_checkpoints_go_out_and_come_back(truth, name, tmp_path):
    """All tensors that the format has a dtype for; the rest, and damage, is refused by name."""
    manifest = (SHARED / "corpus/MANIFEST.tsv").read_text().splitlines()
    prefix = next(line.split("\t")[1] for line in manifest
                  if line.split("\t")[0] == truth.parent.name)
    held = {"safetensors": set(SAFETENSORS_NAMES), "npz": set(NPY_NAMES)}[name]
    try:
        with tfckpt.open(os.path.join(truth.parent, prefix)) as source:
            names = plan_export(source, ExportOptions(ema="keep"))
            n_bytes = sum(entry.n_bytes for entry in source.index.values())
    except (tfckpt.NotACheckpointError, tfckpt.TensorNotFoundError, tfckpt.UnsupportedError,
            tfckpt.TruncatedError):
        with pytest.raises(tfckpt.CheckpointError):
            tfckpt.convert(os.path.join(truth.parent, prefix), tmp_path / "m", to=name)
        return
    others = [output.key for output in names.outputs if output.dtype.name not in held]
    exclude = "^(" + "|".join(map(re.escape, others)) + ")$" if others else None
    if n_bytes > 100_000_000:
        pytest.skip("large ones would take minutes")
    target = tmp_path / f"m.{name}"
    try:
        report = tfckpt.convert(os.path.join(truth.parent, prefix), target, exclude=exclude,
                                ema="keep")
    except (tfckpt.TruncatedError, tfckpt.TensorNotFoundError):
        assert not target.exists()
        return
    kept = len(names.outputs) - len(others)
    assert report.verified == (kept, kept)
    back = tfckpt.convert(target, tmp_path / "back", to="tf1")
    assert back.verified == (kept, kept)
    assert tfckpt.diff(target, tmp_path / "back").counts["same"] == kept


@needs_shared
def test_the_counts_are_those_of_a_whole_library_of_checkpoints():
    """A folder that moved away must not pass for one that was read."""
    assert len(FIXTURES) > 250
    assert len(CORPUS) > 50
