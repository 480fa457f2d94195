"""Files of other frameworks, judged by these frameworks."""

from __future__ import annotations

import hashlib

import live as live_module
import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE
from tfckpt.core.arrays import array_output
from tfckpt.core.files import msgpack as msgpack_files
from tfckpt.core.files.msgpack import FLAX_NAMES
from tfckpt.core.files.orbax import ORBAX_NAMES
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.errors import MissingDependencyError, UnsupportedError
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.safetensors import SAFETENSORS_NAMES
from tfckpt.format.torchpickle import TORCH_NAMES


@pytest.fixture
def theirs():
    def call(function, **arguments):
        return live_module.live("keras3")(function, module="formats_snippets", **arguments)
    return call


def facts(array) -> list:
    return [array.dtype.name, list(array.shape),
            hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()]


def every(prefix, names) -> dict:
    """A checkpoint with a tensor of each dtype, and its facts."""
    arrays = {name: np.arange(48, dtype=np.uint8).view(dtype_named(name).numpy())
              for name in sorted(names) if name != "bool"}
    arrays["bool"] = np.array([[True, False]])
    arrays["a/scalar"] = np.float32(1.5).reshape(())
    arrays["empty"] = np.zeros((0, 3), np.float32)
    outputs = [array_output(key, array, dtype_named(array.dtype.name))
               for key, array in arrays.items()]
    write_plan(Plan(tuple(outputs), "name-based"), str(prefix))
    return {key: facts(array) for key, array in arrays.items()}


def ours(path) -> dict:
    with tfckpt.open(path) as source:
        return {key: facts(array) for key, array in source.items() if array.dtype != object}


def test_safetensors_reads_what_is_written(theirs, tmp_path):
    wanted = every(tmp_path / "m", SAFETENSORS_NAMES)
    tfckpt.convert(tmp_path / "m", tmp_path / "m.safetensors")
    assert theirs("load_safetensors", path=tmp_path / "m.safetensors") == {
        "tensors": wanted, "metadata": {"format": "tf", "tfckpt.style": "name-based"}}


def test_what_safetensors_writes_is_read(theirs, tmp_path):
    assert ours_of(theirs, "save_safetensors", tmp_path / "m.safetensors")


def ours_of(theirs, function, path, **arguments) -> bool:
    wanted = theirs(function, path=path, **arguments)
    found = ours(path)
    assert {name: found[name] for name in wanted} == wanted
    report = tfckpt.convert(path, path.with_name("back"), to="tf1")
    assert report.verified == (len(report.plan.outputs),) * 2
    return len(found) >= len(wanted)


def test_torch_loads_what_is_written_with_weights_only(theirs, tmp_path):
    wanted = every(tmp_path / "m", TORCH_NAMES)
    tfckpt.convert(tmp_path / "m", tmp_path / "m.pt")
    assert theirs("load_torch", path=tmp_path / "m.pt") == {
        "kind": "OrderedDict", "tensors": wanted}


def test_what_torch_saves_is_read(theirs, tmp_path):
    path = tmp_path / "m.pt"
    assert ours_of(theirs, "save_torch", path)
    with tfckpt.open(path) as source:
        assert source["epoch"] == 3
        assert source["note"].tolist() == b"text"
        assert source["optimizer/state/0/exp_avg"].shape == (4, 3)
        assert source["optimizer/param_groups/0/betas/1"] == 0.999
        assert np.array_equal(source["tensors/turned"], np.arange(12.0).reshape(3, 4).T)


def test_a_file_with_code_is_refused_by_name(theirs, tmp_path):
    theirs("save_torch_model", path=tmp_path / "m.pt")
    with pytest.raises(UnsupportedError) as caught:
        tfckpt.open(tmp_path / "m.pt")
    assert str(caught.value).startswith(
        "the file holds more than tensors, and nothing in a file is ever run: got"
        " torch.nn.modules.linear.Linear (file ")


def test_a_real_checkpoint_is_the_same_in_all(theirs, tmp_path):
    wanted = ours(EXAMPLE)
    tfckpt.convert(EXAMPLE, tmp_path / "m.pt")
    tfckpt.convert(EXAMPLE, tmp_path / "m.safetensors")
    assert theirs("load_torch", path=tmp_path / "m.pt")["tensors"] == wanted
    assert theirs("load_safetensors", path=tmp_path / "m.safetensors")["tensors"] == wanted


def test_flax_restores_what_is_written(theirs, tmp_path):
    wanted = every(tmp_path / "m", FLAX_NAMES)
    tfckpt.convert(tmp_path / "m", tmp_path / "m.msgpack")
    assert theirs("load_flax", path=tmp_path / "m.msgpack") == wanted


@pytest.mark.parametrize("chunk", [0, 8])
def test_what_flax_writes_is_read(theirs, tmp_path, chunk):
    """Also arrays in runs, as those of more than a GiB are."""
    assert ours_of(theirs, "save_flax", tmp_path / "m.msgpack", chunk=chunk)
    with tfckpt.open(tmp_path / "m.msgpack") as source:
        assert source["plain"] == 3
        assert source["more/1"] == 2.5


def test_arrays_in_runs_are_what_flax_reads(theirs, tmp_path, monkeypatch):
    monkeypatch.setattr(msgpack_files, "_MOST_AT_ONCE", 16)
    wanted = every(tmp_path / "m", FLAX_NAMES)
    report = tfckpt.convert(tmp_path / "m", tmp_path / "m.msgpack")
    assert report.verified == (len(wanted), len(wanted))
    assert theirs("load_flax", path=tmp_path / "m.msgpack") == wanted


def test_orbax_restores_what_is_written(theirs, tmp_path):
    wanted = every(tmp_path / "m", ORBAX_NAMES)
    del wanted["empty"]
    assert theirs("tfckpt_command", arguments=[
        "convert", str(tmp_path / "m"), "--to", "orbax", "-o", str(tmp_path / "ob"), "--exclude",
        "empty"]) == 0
    assert theirs("load_orbax", path=tmp_path / "ob") == wanted
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["ob"]


def test_what_orbax_writes_is_read(theirs, tmp_path):
    wanted = theirs("save_orbax", path=tmp_path / "ob")
    assert theirs("tfckpt_command", arguments=[
        "convert", str(tmp_path / "ob"), "--to", "tf1", "-o", str(tmp_path / "back")]) == 0
    assert ours(tmp_path / "back") == wanted
    assert theirs("tfckpt_command", arguments=["diff", str(tmp_path / "ob"),
                                               str(tmp_path / "back")]) == 0


def test_a_missing_package_is_told_with_the_line_that_installs_it(tmp_path):
    with pytest.raises(MissingDependencyError) as caught:
        tfckpt.convert(EXAMPLE, tmp_path / "ob", to="orbax", skip_optimizer=True)
    assert str(caught.value) == ("checkpoints of Orbax need the package orbax-checkpoint\n"
                                 "Run: pip install 'tfckpt[orbax]'")
