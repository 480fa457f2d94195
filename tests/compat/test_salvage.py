"""What was salvaged, judged by real TensorFlow."""

from __future__ import annotations

import numpy as np

import tfckpt
from helpers import EXAMPLE, GOLDENS, copy_checkpoint
from tfckpt.convert.salvage import salvage


def damage(prefix, key) -> None:
    with tfckpt.open(prefix) as source:
        entry = source.index[key]
        file = source.shard_file(entry.shard_id)
    with open(file, "r+b") as data:
        data.seek(entry.offset)
        data.write(b"\xff\xff")


def packed(source, keys) -> dict:
    return {key: {"dtype": source.index[key].dtype.name, "shape": list(source[key].shape),
                  "hex": np.asarray(source[key]).tobytes().hex()} for key in keys}


def test_tensorflow_restores_what_is_left_of_a_name_based_one(tmp_path, tf):
    prefix = copy_checkpoint(EXAMPLE, tmp_path / "src")
    damage(prefix, "dense/kernel")
    salvage(prefix, tmp_path / "out")
    with tfckpt.open(EXAMPLE) as source:
        expected = packed(source, [key for key in source if key != "dense/kernel"])
    assert tf("restore_tf1", prefix=str(tmp_path / "out"), tensors=expected) == expected


def test_tensorflow_restores_what_is_left_of_an_object_based_one(tmp_path, tf2):
    """Its own assert holds for a program that has just that."""
    prefix = copy_checkpoint(GOLDENS / "tf2.21" / "vars-1", tmp_path / "src")
    damage(prefix, "vars/scoped.Sc/.ATTRIBUTES/VARIABLE_VALUE")
    salvage(prefix, tmp_path / "out")
    with tfckpt.open(GOLDENS / "tf2.21" / "vars-1") as source:
        held = packed(source, [key for key in source if key.startswith("vars/")
                               and "scoped.Sc" not in key])
    from tfckpt.format.objectkeys import parse_object_key

    tensors = {parse_object_key(key).names[-1]: value for key, value in held.items()}
    got = tf2("restore_tf2", prefix=str(tmp_path / "out"), root="vars", tensors=tensors)
    assert got["values"] == tensors
