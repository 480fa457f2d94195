"""Conversions judged by real TensorFlow."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfckpt
from helpers import EXAMPLE, GOLDENS, SHARED, needs_shared

NAMES = ["a", "scoped/c", "block.1/w", "v.Stage/w", "x.S", "über/größe", "a/b.S/.c/..d", "Variable"]
NUMBERS = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8",
           "uint16", "bool", "complex64", "complex128"]


def packed(prefix, keys=None) -> dict:
    """Tensors of a checkpoint as we read them, in the form of snippets.py."""
    with tfckpt.open(prefix) as source:
        out = {}
        for key in source if keys is None else keys:
            entry = source.index[key]
            if entry.dtype.name in ("variant", "resource"):
                continue
            array = source[key]
            data = ([item.hex() for item in array.reshape(-1)] if entry.dtype.name == "string"
                    else array.tobytes().hex())
            out[key] = {"dtype": entry.dtype.name, "shape": list(entry.shape), "hex": data}
    return out


def tensors(rng, names=NAMES, dtypes=NUMBERS) -> dict:
    from tfckpt.format.dtypes import dtype_named

    out = {}
    for n, name in enumerate(names):
        dtype = dtype_named(dtypes[n % len(dtypes)]).numpy()
        shape = [(), (3,), (2, 0), (2, 3)][n % 4]
        array = (rng.random(shape) * 4).astype(dtype)
        out[name] = {"dtype": dtypes[n % len(dtypes)], "shape": list(shape),
                     "hex": np.asarray(array).tobytes().hex()}
    return out


def test_tf1_to_tf2_is_restored_and_consumed(tmp_path, tf115, tf2):
    source, target = str(tmp_path / "tf1" / "m"), str(tmp_path / "tf2" / "ckpt")
    values = tensors(np.random.default_rng(0), NAMES + [f"n{n}" for n in range(8)])
    os.makedirs(tmp_path / "tf1")
    tf115("save_tf1", prefix=source, tensors=values)
    tfckpt.convert(source, target, to="tf2")
    assert {"values": values, "save_counter": 1} == tf2(
        "restore_tf2", prefix=target, root="vars", tensors=values)


@pytest.mark.parametrize("root", ["vars", "model", "a.b/c"])
def test_the_root_can_be_chosen(tmp_path, tf221, root):
    values = packed(EXAMPLE)
    tfckpt.convert(EXAMPLE, tmp_path / "ckpt", to="tf2", root=root)
    got = tf221("restore_tf2", prefix=tmp_path / "ckpt", root=root, tensors=values)
    assert values == got["values"]


def test_tf2_to_tf1_is_restored_by_a_saver(tmp_path, tf221, tf):
    values = tensors(np.random.default_rng(1))
    saved = tf221("save_tf2", prefix=tmp_path / "ckpt", root="var_list", tensors=values)
    tfckpt.convert(saved, tmp_path / "tf1" / "m", to="tf1")
    assert values == tf("restore_tf1", prefix=tmp_path / "tf1" / "m", tensors=values)


def test_there_and_back_the_names_are_what_they_were(tmp_path, tf115):
    values = packed(GOLDENS / "tf1.15" / "names")
    tfckpt.convert(GOLDENS / "tf1.15" / "names", tmp_path / "ckpt", to="tf2")
    tfckpt.convert(tmp_path / "ckpt", tmp_path / "back", to="tf1")
    assert values == packed(tmp_path / "back")
    assert values == tf115("restore_tf1", prefix=tmp_path / "back", tensors=values)


def test_keys_and_object_graph_are_those_that_tensorflow_writes(tmp_path, tf221):
    """For the same structure, byte for byte; TensorFlow keeps the order of a dictionary."""
    values = tensors(np.random.default_rng(2), sorted(NAMES))
    theirs = tf221("save_tf2", prefix=tmp_path / "theirs", root="vars", tensors=values)
    tf221("save_v2", prefix=tmp_path / "m", tensors=values)
    tfckpt.convert(tmp_path / "m", tmp_path / "ours", to="tf2")
    assert packed(theirs) == packed(tmp_path / "ours")


@pytest.mark.parametrize("order", ["given", "reversed"])
def test_index_and_data_are_those_that_tensorflow_writes(tmp_path, tf, order):
    """The same tensors in the same order: every file byte-identical."""
    from helpers import files_of
    from tfckpt.core.plan import Given, Output, Plan
    from tfckpt.core.writer import write_plan
    from tfckpt.format.crc32c import masked_crc32c
    from tfckpt.format.dtypes import dtype_named
    from tfckpt.format.strings import encode_strings

    values = tensors(np.random.default_rng(3), [f"layer_{n}/w" for n in range(40)])
    values["text"] = {"dtype": "string", "shape": [2], "hex": ["00ff", ""]}
    if order == "reversed":
        values = dict(reversed(values.items()))
    os.makedirs(tmp_path / "theirs")
    tf("save_v2", prefix=tmp_path / "theirs" / "m", tensors=values)
    outputs = []
    for name, value in values.items():
        if value["dtype"] == "string":
            given = Given(*encode_strings([bytes.fromhex(item) for item in value["hex"]]))
        else:
            data = bytes.fromhex(value["hex"])
            given = Given(data, masked_crc32c(data))
        outputs.append(Output(name, dtype_named(value["dtype"]), tuple(value["shape"]), given))
    write_plan(Plan(tuple(outputs), "name-based"), str(tmp_path / "ours" / "m"))
    assert files_of(str(tmp_path / "theirs" / "m")) == files_of(str(tmp_path / "ours" / "m"))


def test_an_overwritten_checkpoint_is_read_by_tensorflow(tmp_path, tf):
    """Its data files may count one (empty) shard more than it needs."""
    for _ in range(3):
        tfckpt.convert(EXAMPLE, tmp_path / "two", to="tf2", overwrite=True)
        tfckpt.convert(tmp_path / "two", tmp_path / "one", to="tf1", overwrite=True)
        assert packed(EXAMPLE) == tf("read_all", prefix=tmp_path / "one")


parts = st.text(alphabet=st.sampled_from("aB0_.-/Sé€ "), min_size=1, max_size=8)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(parts.filter(lambda name: name.strip("/")), min_size=1, max_size=6))
def test_any_names_are_restored_and_consumed(tmp_path, tf221, names):
    values = {name: {"dtype": "float32", "shape": [], "hex": np.float32(n).tobytes().hex()}
              for n, name in enumerate(sorted(names))}
    tf221("save_v2", prefix=tmp_path / "any", tensors=values)
    tfckpt.convert(tmp_path / "any", tmp_path / "ckpt", to="tf2", overwrite=True)
    got = tf221("restore_tf2", prefix=tmp_path / "ckpt", root="vars", tensors=values)
    assert values == got["values"]
    tfckpt.convert(tmp_path / "ckpt", tmp_path / "back", to="tf1", overwrite=True)
    assert values == packed(tmp_path / "back")


def object_based() -> list:
    """Object-based checkpoints of the fixtures and the corpus that can become TF1."""
    found = []
    if SHARED.is_dir():
        for folder in ("fixtures/guide", "fixtures/optimizers", "fixtures/keras", "corpus"):
            for index in sorted((SHARED / folder).rglob("*.index")):
                first = index.with_name(index.stem + ".data-00000-of-00001")
                if b"git-lfs" not in index.read_bytes() and first.exists():
                    found.append(str(index)[:-len(".index")])
    return found


@needs_shared
def test_real_checkpoints_are_read_by_tensorflow_after_conversion(tmp_path, tf221):
    """Every object-based one goes to TF1, every name-based one to TF2; nothing changes value."""
    counts = {"tf1": 0, "tf2": 0, "sliced": 0}
    for n, prefix in enumerate(object_based()):
        with tfckpt.open(prefix) as source:
            to = "tf1" if source.style == "object-based" else "tf2"
        try:
            report = tfckpt.convert(prefix, tmp_path / str(n), to=to, data="copy")
        except tfckpt.UnsupportedError as error:
            assert "slices" in str(error)
            counts["sliced"] += 1
            continue
        ours, theirs = packed(tmp_path / str(n)), tf221("read_all", prefix=tmp_path / str(n))
        assert ours == theirs
        old = packed(prefix)
        for output in report.plan.outputs:
            entry = getattr(output.origin, "entry", None)
            if entry is not None and entry.key in old:
                assert old[entry.key] == ours[output.key]
        counts[to] += 1
    assert counts["tf1"] > 100
    assert counts["tf2"] > 40
