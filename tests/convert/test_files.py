"""Out of checkpoints into files of other frameworks and back, read again and compared."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfckpt
from helpers import EXAMPLE, GOLDENS
from tfckpt.cli.main import run
from tfckpt.core.arrays import array_output
from tfckpt.core.files.table import FILE_FORMATS
from tfckpt.core.files.writing import FileOptions, write_files
from tfckpt.core.origin import Streamed
from tfckpt.core.plan import Output, Plan
from tfckpt.core.writer import write_plan
from tfckpt.errors import (
    ChecksumError,
    DestinationExistsError,
    FormatError,
    StorageError,
    TensorNotFoundError,
    UnsupportedError,
)
from tfckpt.format.dtypes import DTYPES, dtype_named

FORMATS = {item.name: item for item in FILE_FORMATS}
HERE = [name for name in FORMATS if name != "orbax"]  # it is judged in its own environment
# What each format holds of TensorFlow's dtypes of fixed size that numpy or ml_dtypes has.
PLAIN = {"float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "bool",
         "uint16", "float16", "uint32", "uint64"}
HOLDS = {
    "safetensors": PLAIN | {"bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz",
                            "float8_e5m2fnuz"},
    "torch": PLAIN | {"complex128", "bfloat16", "float8_e5m2", "float8_e4m3fn",
                      "float8_e4m3fnuz", "float8_e5m2fnuz"},
    "msgpack": PLAIN | {"complex128", "bfloat16"},
    "npz": PLAIN | {"complex128", "string"},
    "npy": PLAIN | {"complex128", "string"},
}


def checkpoint(prefix, arrays) -> str:
    """A TF1 checkpoint of arrays by name and TensorFlow's dtype."""
    outputs = [array_output(key, array, dtype_named(dtype)) for key, (dtype, array)
               in arrays.items()]
    write_plan(Plan(tuple(outputs), "name-based"), str(prefix))
    return str(prefix)


def some(dtype, shape=(2, 3)):
    """Bits of any kind as elements of a dtype."""
    wanted = dtype_named(dtype).numpy()
    n = int(np.prod(shape, dtype=int))
    if dtype == "string":
        return np.array([b"", b"a\xffb", "ünï".encode()] * n, object)[:n].reshape(shape)
    if dtype == "bool":
        return (np.arange(n) % 2 == 0).reshape(shape)
    return np.arange(n * wanted.itemsize, dtype=np.uint8).view(wanted).reshape(shape)


def target_of(tmp_path, name) -> str:
    return str(tmp_path / ("m" + (FORMATS[name].endings or ("",))[0]))


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("dtype", [item.name for item in DTYPES if item.numpy_name])
def test_every_dtype_comes_back_bit_by_bit_or_is_refused_by_name(tmp_path, name, dtype):
    arrays = {"a": (dtype, some(dtype)), "s/c": (dtype, some(dtype, ())),
              "e": (dtype, some(dtype, (0, 3))), "x/y.z": (dtype, some(dtype, (5,)))}
    prefix = checkpoint(tmp_path / "m.ckpt", arrays)
    target = target_of(tmp_path, name)
    if dtype not in HOLDS[name]:
        with pytest.raises(UnsupportedError) as caught:
            tfckpt.convert(prefix, target, to=name)
        assert str(caught.value).startswith(f"{name} can't hold 4 tensors: a ({dtype}), e (")
        assert "--exclude REGEX leaves tensors out." in str(caught.value)
        assert not os.path.exists(target)
        return
    report = tfckpt.convert(prefix, target, to=name)
    assert report.verified == (4, 4)
    back = tfckpt.convert(target, tmp_path / "back", to="tf1")
    assert back.verified == (4, 4)
    for path in (target, tmp_path / "back"):
        with tfckpt.open(path) as source:
            assert set(source) == set(arrays)
            for key, (_, array) in arrays.items():
                assert source.index[key].dtype.name == dtype
                assert source[key].shape == array.shape
                assert source[key].tobytes() == array.tobytes() or dtype == "string"
                if dtype == "string":
                    assert source[key].tolist() == array.tolist()
        assert tfckpt.diff(prefix, path).counts["same"] == 4


@pytest.mark.parametrize("name", HERE)
def test_a_real_checkpoint_goes_out_and_comes_back_to_tf1_and_tf2(tmp_path, name, capsys):
    """Names with dots and slashes too; the slots' names begin with their variable's."""
    target = target_of(tmp_path, name)
    wanted = [] if name in ("msgpack", "orbax") else ["--names", "auto"]
    options = ["--skip-optimizer"] if not wanted else []
    assert run(["convert", str(EXAMPLE), "--to", name, "-o", target, *options]) == 0
    out = capsys.readouterr().out
    n = 7 if options else 21
    assert f"  verified: reloaded and compared, {n}/{n} equal" in out
    for to in ("tf1", "tf2"):
        assert run(["convert", target, "--to", to, "-o", str(tmp_path / to), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["verified"]["equal"] == found["verified"]["of"] == n + 2 * (to == "tf2")
        report = tfckpt.diff(EXAMPLE, tmp_path / to, ignore_optimizer=bool(options))
        assert report.counts["same"] == n
        assert not report.only_b


@pytest.mark.parametrize("golden", ["tf1.15/sliced", "tf2.21/nested", "tf2.21/vars-1"])
def test_parts_are_joined_and_object_paths_become_names(tmp_path, golden):
    report = tfckpt.convert(GOLDENS / golden, tmp_path / "m.safetensors", exclude="string|str")
    assert report.verified == (len(report.plan.outputs),) * 2
    with tfckpt.open(GOLDENS / golden) as source, tfckpt.open(tmp_path / "m.safetensors") as out:
        by_name = {output.key: tfckpt.core.plan.old_key(output) for output in report.plan.outputs}
        for name, array in out.items():
            assert array.tobytes() == source[by_name[name]].tobytes()
        if source.style == "object-based":
            assert out.metadata["tfckpt.style"] == "object-based"
            assert json.loads(out.metadata["tfckpt.keys"]) == by_name
            assert report.plan.left_out[0].key == "_CHECKPOINTABLE_OBJECT_GRAPH"


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1,
                max_size=8).filter(lambda name: name != "__metadata__")
SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@pytest.mark.parametrize("name", HERE)
@given(data=st.data())
def test_any_tensors_come_back(tmp_path_factory, name, data):
    folder = tmp_path_factory.mktemp("m")
    kinds = st.tuples(st.sampled_from(sorted(HOLDS[name])), SHAPES)
    names = data.draw(st.dictionaries(
        NAMES if name == "safetensors" else st.from_regex(r"[a-z.]{1,3}(/[a-z.]{1,3})?",
                                                          fullmatch=True), kinds, min_size=1,
        max_size=4))
    if any(other.startswith(key + "/") for key in names for other in names):
        return
    arrays = {key: (dtype, some(dtype, shape)) for key, (dtype, shape) in names.items()}
    outputs = [array_output(key, array, dtype_named(dtype))
               for key, (dtype, array) in arrays.items()]
    target = target_of(folder, name)
    plan = Plan(tuple(outputs), "name-based")
    _, n_equal = write_files(plan, target, FORMATS[name], FileOptions())
    assert n_equal == len(arrays)
    with FORMATS[name].load().read(target) as source:
        assert {key: (entry.dtype.name, entry.shape) for key, entry in source.index.items()} == \
            names


def test_the_ending_of_the_output_says_the_format(tmp_path, capsys):
    assert run(["convert", str(EXAMPLE), "-o", str(tmp_path / "m.safetensors")]) == 0
    capsys.readouterr()
    assert run(["convert", str(EXAMPLE), "-o", str(tmp_path / "m.what")]) == 2
    assert "nothing says what to convert to" in capsys.readouterr().err


def test_an_ending_that_says_another_format_is_refused(tmp_path):
    with pytest.raises(UnsupportedError) as caught:
        tfckpt.convert(EXAMPLE, tmp_path / "m.npz", to="safetensors")
    assert str(caught.value) == ("the ending of the output says npz: expected one of safetensors,"
                                 f" such as .safetensors (file {tmp_path / 'm.npz'})")
    report = tfckpt.convert(EXAMPLE, tmp_path / "m.safetensors", to="torch")
    assert report.format == "safetensors"  # a state_dict may be either
    with pytest.raises(UnsupportedError, match="npz has no shards"):
        tfckpt.convert(EXAMPLE, tmp_path / "m.npz", max_shard_size=100)


@pytest.mark.parametrize("ending", [".safetensors", ".npz", ".pt", ".msgpack"])
def test_arrays_are_saved_and_loaded_as_with_safetensors(tmp_path, ending):
    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "n": np.array(7, ">i8")}
    file = tmp_path / ("m" + ending)
    tfckpt.save_file(tensors, file, {"author": "me"})
    found = tfckpt.load_file(file)
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in tensors.items()}
    if ending == ".safetensors":
        with tfckpt.open(file) as source:
            assert source.metadata == {"author": "me"}
    with pytest.raises(UnsupportedError, match="nothing says which format is wanted"):
        tfckpt.save_file(tensors, tmp_path / "m.what")


def test_what_goes_out_is_chosen_by_name_role_and_dtype(tmp_path, capsys):
    target = str(tmp_path / "m.safetensors")
    assert run(["convert", str(EXAMPLE), "-o", target, "--ignore-optimizer", "--include", "dense|v",
                "--exclude", "bias", "--dtype", "bfloat16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(item["key"], item["dtype"]) for item in found["outputs"]] == [
        ("dense/kernel", "bfloat16"), ("v.Stage/w", "bfloat16")]
    assert {item["reason"] for item in found["left_out"]} == {"optimizer state", "not asked for"}
    assert found["format"] == "safetensors"
    assert found["verified"] == {"equal": 2, "of": 2}
    with tfckpt.open(target) as source:
        assert source.metadata == {"format": "tf", "tfckpt.style": "name-based",
                                   "tfckpt.step": "7"}
    with pytest.raises(TensorNotFoundError, match="no tensor would be left"):
        tfckpt.convert(EXAMPLE, tmp_path / "n.safetensors", include="nothing")


def test_averages_beside_variables_need_a_choice(tmp_path):
    f = np.float32
    prefix = checkpoint(tmp_path / "m", {
        "w": ("float32", f([1])), "w/ExponentialMovingAverage": ("float32", f([2])),
        "b": ("float32", f([3]))})
    with pytest.raises(UnsupportedError) as caught:
        tfckpt.convert(prefix, tmp_path / "m.safetensors")
    assert str(caught.value) == (
        "the checkpoint has moving averages of 1 variables beside the variables"
        f" (file {prefix})\nSay which are wanted: --ema use takes the averages, which usually"
        " predict better; --ema ignore the variables; --ema keep both.")
    for ema, wanted in (("use", {"w": 2, "b": 3}), ("ignore", {"w": 1, "b": 3}),
                        ("keep", {"w": 1, "b": 3, "w/ExponentialMovingAverage": 2})):
        tfckpt.convert(prefix, tmp_path / f"{ema}.safetensors", ema=ema)
        with tfckpt.open(tmp_path / f"{ema}.safetensors") as source:
            assert {key: float(array[0]) for key, array in source.items()} == wanted
    with pytest.raises(UnsupportedError, match="the checkpoint has no moving averages"):
        tfckpt.convert(EXAMPLE, tmp_path / "n.safetensors", ema="use")


def test_shards_have_an_index_and_open_as_one(tmp_path):
    report = tfckpt.convert(EXAMPLE, tmp_path / "m.safetensors", max_shard_size=200)
    names = [os.path.basename(file.file) for file in report.files]
    assert names == [f"m-{n:05}-of-00005.safetensors" for n in range(1, 6)] + [
        "m.safetensors.index.json"]
    assert report.verified == (21, 21)
    index = tmp_path / names[-1]
    assert json.loads(index.read_text())["metadata"] == {"total_size": 712}
    assert tfckpt.diff(EXAMPLE, index).counts["same"] == 21
    with pytest.raises(DestinationExistsError, match="there is already a file"):
        tfckpt.convert(EXAMPLE, tmp_path / "m.safetensors", max_shard_size=200, overwrite=True)
    (tmp_path / names[0]).unlink()
    with pytest.raises(tfckpt.CheckpointNotFoundError, match="a shard that the index names is"):
        tfckpt.open(index)


def test_an_index_and_its_shards_must_agree(tmp_path):
    tfckpt.convert(EXAMPLE, tmp_path / "m.safetensors", max_shard_size=400)
    index = tmp_path / "m.safetensors.index.json"
    stored = json.loads(index.read_text())
    lost = dict(stored["weight_map"], more="m-00001-of-00002.safetensors")
    index.write_text(json.dumps({"weight_map": lost}))
    with pytest.raises(FormatError, match="the index names a tensor that its shard doesn't have"):
        tfckpt.open(index)
    lost = dict(stored["weight_map"])
    del lost["dense/kernel"]
    index.write_text(json.dumps({"weight_map": lost}))
    with pytest.raises(FormatError, match="a shard holds a tensor that the index has elsewhere"):
        tfckpt.open(index)


def test_nothing_is_replaced_unless_told(tmp_path):
    target = tmp_path / "m.safetensors"
    target.write_bytes(b"mine")
    with pytest.raises(DestinationExistsError, match="allow it with --overwrite"):
        tfckpt.convert(EXAMPLE, target)
    with pytest.raises(DestinationExistsError, match="allow it with --overwrite"):
        tfckpt.convert(EXAMPLE, target, dry_run=True)
    assert target.read_bytes() == b"mine"
    tfckpt.convert(EXAMPLE, target, overwrite=True)
    with pytest.raises(DestinationExistsError, match="would replace its own source"):
        tfckpt.convert(target, target, overwrite=True)
    with pytest.raises(DestinationExistsError, match=r"Try: .*/model\.safetensors"):
        tfckpt.convert(EXAMPLE, tmp_path, to="safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("to", ["safetensors", "torch", "npz"])
@pytest.mark.parametrize("name_map", [None, "examples/pytorch.json"])
def test_a_damaged_tensor_is_found_before_anything_appears(tmp_path, tf1, to, name_map):
    data = Path(f"{tf1}.data-00000-of-00001")
    entry = tfckpt.open(tf1).index["dense/kernel"]
    damaged = bytearray(data.read_bytes())
    damaged[entry.offset + 9] ^= 1
    data.write_bytes(damaged)
    with pytest.raises(ChecksumError) as caught:
        tfckpt.convert(tf1, tmp_path / "m.out", to=to, map=name_map)
    assert re.fullmatch(
        "the tensor's bytes are damaged: their checksum does not match: expected 0x.{8} as stored,"
        rf" got 0x.{{8}} from the bytes \(file {re.escape(str(data))}, byte {entry.offset},"
        r" tensor 'dense/kernel'\)\n`tfckpt verify` lists every damaged tensor\.",
        str(caught.value))
    assert not list(tmp_path.glob("m.out*"))
    assert not list(tmp_path.glob(".tfckpt-*"))


def test_a_file_that_reads_back_otherwise_is_not_published(tmp_path):
    """Bytes that come out otherwise the second time stand for a disk that forgets."""
    times = []

    def chunks():
        times.append(1)
        yield bytes([len(times)] * 8)

    plan = Plan((Output("a", dtype_named("float32"), (2,), Streamed(8, chunks)),), "name-based")
    with pytest.raises(StorageError) as caught:
        write_files(plan, str(tmp_path / "m"), FORMATS["safetensors"], FileOptions())
    assert str(caught.value).startswith(
        "what was written doesn't read back as it should: expected equal bits (file ")
    assert list(tmp_path.iterdir()) == []


def test_options_for_files_dont_go_with_checkpoints(tmp_path, capsys):
    assert run(["convert", str(EXAMPLE), "--to", "tf2", "-o", str(tmp_path / "x"),
                "--skip-optimizer"]) == 2
    assert "these options are for other files" in capsys.readouterr().err
    assert run(["convert", str(EXAMPLE), "-o", str(tmp_path / "x.safetensors"),
                "--optimizer", "auto"]) == 2
    assert "--skip-optimizer leaves them out." in capsys.readouterr().err


def test_the_rest_of_the_commands_take_such_files(tmp_path, capsys):
    target = str(tmp_path / "m.safetensors")
    tfckpt.convert(EXAMPLE, target)
    for command in (["inspect", target], ["ls", target], ["show", target, "global_step"],
                    ["diff", str(EXAMPLE), target], ["match", target, "--against", str(EXAMPLE)],
                    ["strip", target, "-o", str(tmp_path / "slim")],
                    ["cast", target, "--dtype", "float16", "-o", str(tmp_path / "half")]):
        assert run(command) == 0, command
    assert "safetensors, 1 file, 712 B, step 7" in capsys.readouterr().out


def test_converting_to_safetensors_imports_neither_numpy_nor_safetensors(tmp_path):
    import subprocess
    import sys

    code = ("import sys; from tfckpt.cli.main import run\n"
            f"assert run(['convert', {str(EXAMPLE)!r}, '-o', {str(tmp_path / 'm.safetensors')!r}])"
            " == 0\nprint({'numpy', 'safetensors', 'tensorflow', 'rich'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
