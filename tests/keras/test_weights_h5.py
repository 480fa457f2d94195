"""``.weights.h5`` of Keras 3: read by names, filled like a template, never guessed."""

from __future__ import annotations

import builtins
import os

import h5py
import numpy as np
import pytest

import tfckpt
from helpers import SHARED, needs_shared
from tfckpt.cli.main import run
from tfckpt.convert.optimizers.state import Slot
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    DestinationExistsError,
    FormatError,
    MismatchError,
    MissingDependencyError,
    NotACheckpointError,
    UnsupportedError,
)
from tfckpt.format.dtypes import dtype_named
from tfckpt.keras.convert_h5 import convert_h5
from tfckpt.keras.optimizer_h5 import read_h5_anatomy
from tfckpt.keras.weights_h5 import WeightsH5


def make(path, layers, optimizer="adam", slots=()) -> str:
    """A file as Keras 3 writes it: layers by group, with a name and weights each."""
    with h5py.File(path, "w") as file:
        file.create_group("vars").attrs["name"] = "net"
        for group, (name, *weights) in layers.items():
            holder = file.create_group(f"layers/{group}/vars")
            holder.attrs["name"] = name
            for n, weight in enumerate(weights):
                holder[str(n)] = weight
        if optimizer:
            holder = file.create_group("optimizer/vars")
            holder.attrs["name"] = optimizer
            for n, value in enumerate((np.int64(0), np.float32(0.5), *slots)):
                holder[str(n)] = value
    return str(path)


def ramp(*shape, start=0):
    return (np.arange(np.prod(shape, dtype=int)) + start).reshape(shape).astype(np.float32)


LAYERS = {"dense": ("first", ramp(3, 4), ramp(4)), "dense_1": ("second", ramp(4, 2), ramp(2)),
          "batch_normalization": ("norm", ramp(4), ramp(4), ramp(4), ramp(4)),
          "embedding": ("words", ramp(9, 3))}
ADAM = [array for shape in ((9, 3), (3, 4), (4,), (4,), (4,), (4, 2), (2,))
        for array in (ramp(*shape), ramp(*shape, start=1))]


def names_of(prefix, **arrays) -> str:
    outputs = [array_output(key.replace("__", "/"), np.asarray(array), dtype_named(
        np.asarray(array).dtype.name)) for key, array in arrays.items()]
    write_plan(Plan(tuple(outputs), "name-based"), str(prefix))
    return str(prefix)


def test_weights_have_the_names_that_keras_gives_them(tmp_path):
    with WeightsH5(make(tmp_path / "m.weights.h5", LAYERS, slots=ADAM)) as source:
        assert [key for key in source if not key.startswith("optimizer")] == [
            "first/bias", "first/kernel", "norm/beta", "norm/gamma", "norm/moving_mean",
            "norm/moving_variance", "second/bias", "second/kernel", "words/embeddings"]
        assert np.array_equal(source["second/kernel"], ramp(4, 2))


def test_slots_find_their_variables_by_shapes(tmp_path):
    with WeightsH5(make(tmp_path / "m.weights.h5", LAYERS, slots=ADAM)) as source:
        found = read_h5_anatomy(source).optimizers[0]
    assert found.values == {"iterations": "optimizer/vars/0", "learning_rate": "optimizer/vars/1"}
    assert found.slots[Slot("momentum", "words/embeddings")] == "optimizer/vars/2"
    assert found.slots[Slot("velocity", "second/bias")] == "optimizer/vars/15"
    assert Slot("momentum", "norm/moving_mean") not in found.slots


def test_layers_of_one_class_are_in_the_order_of_their_numbers(tmp_path):
    layers = {"dense": ("a", ramp(2, 2), ramp(2)), "dense_1": ("b", ramp(2, 2), ramp(2))}
    slots = [ramp(2, 2)] * 2 + [ramp(2)] * 2 + [ramp(2, 2)] * 2 + [ramp(2)] * 2
    with WeightsH5(make(tmp_path / "m.weights.h5", layers, slots=slots)) as source:
        found = read_h5_anatomy(source).optimizers[0]
    assert found.slots[Slot("momentum", "a/kernel")] == "optimizer/vars/2"
    assert found.slots[Slot("momentum", "b/kernel")] == "optimizer/vars/6"


def test_layers_that_shapes_do_not_tell_apart_are_no_guess(tmp_path):
    layers = {"dense": ("a", ramp(2, 2), ramp(2)), "einsum_dense": ("b", ramp(2, 2), ramp(2))}
    slots = [ramp(2, 2)] * 2 + [ramp(2)] * 2 + [ramp(2, 2)] * 2 + [ramp(2)] * 2
    path = make(tmp_path / "m.weights.h5", layers, slots=slots)
    with WeightsH5(path) as source, pytest.raises(UnsupportedError) as caught:
        read_h5_anatomy(source)
    assert str(caught.value) == (
        "which variables the optimizer's slots belong to can't be told from their shapes"
        f" (file {path})\nSave the training with tf.train.Checkpoint instead.")


def test_a_name_based_checkpoint_fills_a_file_and_comes_back(tmp_path):
    layers = {"dense": ("first", np.zeros((3, 4)), np.zeros(4))}
    template = make(tmp_path / "fresh.weights.h5", layers, slots=[
        np.zeros((3, 4)), np.zeros((3, 4)), np.zeros(4), np.zeros(4)])
    values = {"first__kernel": ramp(3, 4), "first__bias": ramp(4)}
    values |= {f"{name}__{slot}": array + 7 for name, array in values.items()
               for slot in ("Adam", "Adam_1")}
    for name in ("fresh", "out"):  # float64, as the file's datasets are
        del name
    values = {name: array.astype(np.float64) for name, array in values.items()}
    values |= {"beta1_power": np.float32(0.9**6), "beta2_power": np.float32(0.999**6),
               "global_step": np.int64(5)}
    source = names_of(tmp_path / "m", **values)
    report = convert_h5(source, tmp_path / "out.weights.h5", template)
    assert [file.file for file in report.files] == [str(tmp_path / "out.weights.h5")]
    with h5py.File(tmp_path / "out.weights.h5") as file:
        assert file["optimizer/vars/0"][()] == 5
        assert np.array_equal(file["layers/dense/vars/0"], ramp(3, 4))
        assert np.array_equal(file["optimizer/vars/4"], ramp(4) + 7)
    convert_h5(tmp_path / "out.weights.h5", tmp_path / "back", source)
    with tfckpt.open(tmp_path / "back") as back:
        for name, array in values.items():
            assert np.allclose(back[name.replace("__", "/")], array, rtol=1e-6), name


def test_what_the_source_lacks_is_told_and_nothing_is_written(tmp_path):
    template = make(tmp_path / "fresh.weights.h5", LAYERS, slots=ADAM)
    source = names_of(tmp_path / "m", first__kernel=ramp(3, 4), global_step=np.int64(5))
    with pytest.raises(MismatchError) as caught:
        convert_h5(source, tmp_path / "out.weights.h5", template)
    assert "  first/bias float32 [4]: nothing in the source" in str(caught.value).splitlines()
    assert not (tmp_path / "out.weights.h5").exists()


def test_nothing_is_written_over(tmp_path):
    template = make(tmp_path / "t.weights.h5", {"dense": ("d", ramp(2, 2), ramp(2))}, "")
    source = names_of(tmp_path / "m", d__kernel=ramp(2, 2), d__bias=ramp(2))
    before = (tmp_path / "t.weights.h5").read_bytes()
    with pytest.raises(DestinationExistsError, match="can't replace what it is made of"):
        convert_h5(source, template, template, overwrite=True)
    convert_h5(source, tmp_path / "o.weights.h5", template)
    with pytest.raises(DestinationExistsError, match="something is there already"):
        convert_h5(source, tmp_path / "o.weights.h5", template)
    convert_h5(source, tmp_path / "o.weights.h5", template, overwrite=True)
    assert convert_h5(source, tmp_path / "dry.weights.h5", template, dry_run=True).files == ()
    assert (tmp_path / "t.weights.h5").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["m.data-00000-of-00001", "m.index", "o.weights.h5",
                                            "t.weights.h5"]


def test_what_is_no_such_file(tmp_path):
    with pytest.raises(CheckpointNotFoundError, match="there is no such file"):
        WeightsH5(tmp_path / "none.weights.h5")
    (tmp_path / "text.weights.h5").write_text("text")
    with pytest.raises(NotACheckpointError, match="this is not an HDF5 file"):
        WeightsH5(tmp_path / "text.weights.h5")
    with h5py.File(tmp_path / "other.weights.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(NotACheckpointError, match="no weights as Keras 3 stores them"):
        WeightsH5(tmp_path / "other.weights.h5")


def test_damage_gives_an_answer_or_an_error(tmp_path):
    make(tmp_path / "m.weights.h5", LAYERS, slots=ADAM)
    whole = (tmp_path / "m.weights.h5").read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:n] for n in range(0, len(whole), 997)]
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 3):
            data[at] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(data))
    file = tmp_path / "d.weights.h5"
    n_told = 0
    for data in damaged:
        file.write_bytes(data)
        try:
            with WeightsH5(file) as source:
                read_h5_anatomy(source)
                dict(source)
        except CheckpointError:
            n_told += 1
    assert n_told > len(damaged) // 10


def test_a_tensor_that_claims_more_than_there_is(tmp_path):
    path = make(tmp_path / "m.weights.h5", {"dense": ("d", ramp(2, 2))}, "")
    with h5py.File(path, "a") as file:
        file["layers/dense/vars"].create_dataset("1", (1 << 40,), "f4")
    with pytest.raises(FormatError, match="a tensor is larger than its file"):
        WeightsH5(path)


def test_without_h5py_one_is_told_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError) as caught:
        WeightsH5(tmp_path / "m.weights.h5")
    assert str(caught.value) == ("files of Keras need the package h5py\n"
                                 "Run: pip install 'tfckpt[keras]'")


def test_the_command_takes_them(tmp_path, capsys):
    template = make(tmp_path / "t.weights.h5", {"dense": ("d", ramp(2, 2), ramp(2))}, "")
    source = names_of(tmp_path / "m", d__kernel=ramp(2, 2), d__bias=ramp(2))
    assert run(["convert", source, "--like", template, "-o", str(tmp_path / "o.weights.h5")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        f"{source} -> {tmp_path / 'o.weights.h5'} (name-based)")


@needs_shared
@pytest.mark.parametrize("model", ["auto_names", "bidirectional", "cnn", "conv_misc",
                                   "equal_shapes", "frozen", "gru_reset_after", "lstm",
                                   "multi_io", "nested", "seq_dense", "transformer"])
def test_weights_of_keras_2_fill_files_of_keras_3(model, tmp_path):
    """The fixtures have the same weights in both, so the result is the file."""
    folder = SHARED / "fixtures" / "keras" / "tf2.21" / model
    convert_h5(folder / "weights", tmp_path / "out.weights.h5", folder / "keras3.weights.h5")
    with WeightsH5(tmp_path / "out.weights.h5") as out, WeightsH5(
            folder / "keras3.weights.h5") as truth:
        for key in truth:
            assert np.array_equal(out[key], truth[key]), key
