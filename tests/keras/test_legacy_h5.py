"""Legacy ``.h5`` files as a source: read by the names of layers, damaged ones told as such."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import tfckpt
from tfckpt.cli.main import run
from tfckpt.errors import CheckpointError, NotACheckpointError, UnsupportedError
from tfckpt.keras.legacy_h5 import LegacyH5, is_legacy_h5
from tfckpt.keras.placing import placed


def make(path, layers, *, top="") -> str:
    """A file as Keras 2 writes it; with ``top``, as part of a whole model."""
    with h5py.File(path, "w") as file:
        holder = file.create_group(top) if top else file
        holder.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, weights in layers.items():
            group = holder.create_group(layer)
            group.attrs["weight_names"] = np.array([name.encode() for name in weights], "S")
            for name, value in weights.items():
                group[name] = value
    return str(path)


KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)
LAYERS = {"first": {"first/kernel:0": KERNEL, "first/bias:0": KERNEL[0]},
          "second": {"cell/kernel:0": KERNEL}}


@pytest.mark.parametrize("top", ["", "model_weights"])
def test_weights_have_the_names_of_their_layers(tmp_path, top):
    path = make(tmp_path / "a.h5", LAYERS, top=top)
    assert is_legacy_h5(path)
    with LegacyH5(path) as source:
        assert sorted(source) == ["first/bias", "first/kernel", "second/cell/kernel"]
        assert list(source.groups) == ["first", "second"]
        np.testing.assert_array_equal(KERNEL, source["second/cell/kernel"])


def test_a_list_of_names_too_long_for_one_attribute_is_in_several(tmp_path):
    path = make(tmp_path / "a.h5", LAYERS)
    with h5py.File(path, "r+") as file:
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"first"], [b"second"]
    with LegacyH5(path) as source:
        assert list(source.groups) == ["first", "second"]


def test_the_ending_that_both_generations_use_is_told_by_what_is_inside(tmp_path):
    assert is_legacy_h5(make(tmp_path / "old.weights.h5", LAYERS))
    with h5py.File(tmp_path / "new.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = KERNEL
    assert not is_legacy_h5(tmp_path / "new.weights.h5")


def test_what_is_none(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["data"] = KERNEL
    with pytest.raises(NotACheckpointError) as told:
        LegacyH5(path)
    assert str(told.value) == (
        f"the file has no weights as Keras 2 stores them in HDF5 (file {path})")
    make(path, {"first": {"w": np.zeros(2, "V3")}})
    with pytest.raises(UnsupportedError) as unknown:
        LegacyH5(path)
    assert str(unknown.value) == ("the file holds a dtype that isn't TensorFlow's: got |V3"
                                  f" (file {path}, tensor 'first/w')")


def test_damage_gives_an_answer_or_an_error(tmp_path):
    path = tmp_path / "a.h5"
    with open(make(path, LAYERS), "rb") as file:
        whole = file.read()
    damaged = [whole[:n] for n in range(0, len(whole), 997)]
    for at in range(0, len(whole), 61):
        data = bytearray(whole)
        data[at] ^= 0xFF
        damaged.append(bytes(data))
    n_told = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            with LegacyH5(path) as source:
                for key in source:
                    source[key]
        except CheckpointError:
            n_told += 1
    assert n_told > len(damaged) // 20


def test_a_file_that_is_not_finished_leaves_the_old_one(tmp_path):
    target = tmp_path / "a.weights.h5"
    target.write_bytes(b"old")

    def write_half():
        with placed(str(target)) as waiting:
            with open(waiting, "wb") as file:
                file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["a.weights.h5"]
    assert target.read_bytes() == b"old"


def test_convert_takes_it_out_of_keras(tmp_path, capsys):
    """To TensorFlow's checkpoints and other files, with a map too."""
    path = make(tmp_path / "a.h5", LAYERS)
    for to in ("tf1", "tf2", "tf1-v1", "npz"):
        target = str(tmp_path / f"{to}.{to}")
        assert run(["convert", path, "--to", to, "-o", target]) == 0
        n = 3 + 2 * (to == "tf2")
        assert f"verified: reloaded and compared, {n}/{n} equal" in capsys.readouterr().out
        with LegacyH5(path) as source, tfckpt.open(target) as found:
            prefix = "vars/" if to == "tf2" else ""
            for name in source:
                key = name.replace("/", ".S") if prefix else name
                np.testing.assert_array_equal(source[name], found[prefix + key])
    (tmp_path / "map.json").write_text(
        '{"tfckpt-map": 1, "name": "mine", "here": "Keras", "there": "PyTorch", "rules": ['
        '{"here": "{*name}/kernel", "there": "{*name}.weight", "layout": "dense"},'
        '{"here": "{*name}/bias", "there": "{*name}.bias"}]}')
    assert run(["convert", path, "--map", str(tmp_path / "map.json"),
                "-o", str(tmp_path / "m.safetensors")]) == 0
    assert tfckpt.load_file(tmp_path / "m.safetensors")["first.weight"].tolist() == \
        KERNEL.T.tolist()
    capsys.readouterr()
    assert run(["maps", str(tmp_path / "map.json"), path]) == 0
    assert capsys.readouterr().out == (
        "mine: from Keras to PyTorch\nok    3 of 3 tensors become 3; 0 left out\n")
    with LegacyH5(path) as source:
        tfckpt.convert(source, tmp_path / "again.npz")
        assert source["first/bias"].tolist() == [0, 1, 2]  # it stays open
    assert run(["convert", str(tmp_path / "none.h5"), "--to", "tf1", "-o",
                str(tmp_path / "no")]) == 2
    assert "error: there is no checkpoint here" in capsys.readouterr().err
