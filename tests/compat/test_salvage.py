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


LOST = "model/layers/1/w/.ATTRIBUTES/VARIABLE_VALUE"


def saved(tf2, folder) -> str:
    return tf2("save_structure", "salvage_snippets", prefix=str(folder / "ckpt"))


def test_a_program_is_told_which_of_its_variables_is_lost(tmp_path, tf2):
    prefix = saved(tf2, tmp_path)
    damage(prefix, LOST)
    report = salvage(prefix, tmp_path / "out")
    assert [item.key for item in report.plan.left_out] == [LOST]
    got = tf2("restore_structure", "salvage_snippets", prefix=str(tmp_path / "out"))
    # Its slot goes with it: nothing leads from a variable that isn't there to its momentum.
    assert got["values"] == {"layers/0": [1.0, 2.0], "layers/1": [-1.0, -1.0],
                             "slot/0": [5.0, 6.0], "slot/1": [0.0, 0.0], "step": 3}
    assert got["nontrivial"] == "no error"
    assert "AssertionError" in got["existing"]
    assert got["partial"] == "no error"


def test_a_lost_slot_is_all_that_is_lost(tmp_path, tf2):
    prefix = saved(tf2, tmp_path)
    with tfckpt.open(prefix) as source:
        slot = next(key for key in source if ".OPTIMIZER_SLOT" in key and "layers/0" in key)
    damage(prefix, slot)
    salvage(prefix, tmp_path / "out")
    got = tf2("restore_structure", "salvage_snippets", prefix=str(tmp_path / "out"))
    assert got["values"] == {"layers/0": [1.0, 2.0], "layers/1": [3.0, 4.0],
                             "slot/0": [0.0, 0.0], "slot/1": [7.0, 8.0], "step": 3}
    assert got["partial"] == "no error"


def test_a_graph_made_from_keys_restores_all_variables_and_slots(tmp_path, tf2):
    prefix = saved(tf2, tmp_path)
    damage(prefix, "_CHECKPOINTABLE_OBJECT_GRAPH")
    report = salvage(prefix, tmp_path / "out")
    assert report.plan.style == "object-based"
    with tfckpt.open(tmp_path / "out") as source:
        assert tfckpt.verify(source).ok
    got = tf2("restore_structure", "salvage_snippets", prefix=str(tmp_path / "out"))
    assert got["values"] == {"layers/0": [1.0, 2.0], "layers/1": [3.0, 4.0],
                             "slot/0": [5.0, 6.0], "slot/1": [7.0, 8.0], "step": 3}
    assert got["existing"] == "no error"


def test_tables_and_iterators_restore_by_a_graph_made_from_keys(tmp_path, tf221):
    prefix = tf221("save_table", "salvage_snippets", prefix=str(tmp_path / "ckpt"))
    damage(prefix, "_CHECKPOINTABLE_OBJECT_GRAPH")
    salvage(prefix, tmp_path / "out")
    assert tf221("restore_table", "salvage_snippets", prefix=str(tmp_path / "out")) == {
        "table": {"a": 1, "b": 2}, "next": 3}


def test_an_index_with_a_flipped_bit_is_refused_by_tensorflow_and_read_after_salvage(tmp_path, tf):
    import pytest
    from live import TensorFlowError

    prefix = copy_checkpoint(EXAMPLE, tmp_path / "src")
    with open(prefix + ".index", "r+b") as index:
        index.seek(100)
        byte = index.read(1)[0]
        index.seek(100)
        index.write(bytes([byte ^ 2]))
    with pytest.raises(TensorFlowError):
        tf("read_all", prefix=prefix)
    salvage(prefix, tmp_path / "out")
    with tfckpt.open(EXAMPLE) as source:
        assert tf("read_all", prefix=str(tmp_path / "out")) == packed(source, list(source))
