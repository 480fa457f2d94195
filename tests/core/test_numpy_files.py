"""``.npz`` and ``.npy`` as NumPy itself writes and reads them."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE
from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.errors import CheckpointNotFoundError, FormatError, UnsupportedError
from tfckpt.format.dtypes import dtype_named

ARRAYS = {
    "a/b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "big": np.arange(4, dtype=">f8"), "scalar": np.array(7), "none": np.zeros((0, 2), np.bool_),
    "bytes": np.array([[b"ab", b""]]), "text": np.array(["ünï", "x"]),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saves_is_read(tmp_path, save):
    save(tmp_path / "m.npz", **ARRAYS)
    with tfckpt.open(tmp_path / "m.npz") as source:
        assert set(source) == set(ARRAYS)
        for key in ("a/b", "fortran", "big", "scalar", "none"):
            assert np.array_equal(source[key], ARRAYS[key])
            assert source[key].shape == ARRAYS[key].shape
            data = b"".join(bytes(chunk) for chunk in source.stream(source.index[key]))
            assert data == ARRAYS[key].astype(ARRAYS[key].dtype.newbyteorder("<")).tobytes("C")
        assert source["bytes"].tolist() == [[b"ab", b""]]
        assert source["text"].tolist() == ["ünï".encode(), b"x"]
    report = tfckpt.convert(tmp_path / "m.npz", tmp_path / "tf2", to="tf2")
    assert report.verified == (9, 9)


def test_numpy_reads_what_is_written(tmp_path):
    tfckpt.convert(EXAMPLE, tmp_path / "m.npz")
    tfckpt.convert(EXAMPLE, tmp_path / "m", to="npy")
    with tfckpt.open(EXAMPLE) as source, np.load(tmp_path / "m.npz") as arrays:
        assert set(arrays.files) == set(source)
        for key, array in source.items():
            assert arrays[key].dtype == array.dtype
            assert np.array_equal(arrays[key], array)
            assert np.array_equal(np.load(tmp_path / "m" / f"{key}.npy"), array)
    again = tmp_path / "again.npz"
    tfckpt.convert(EXAMPLE, again)
    assert again.read_bytes() == (tmp_path / "m.npz").read_bytes()


def test_odd_names_are_files_and_come_back(tmp_path):
    names = ["..", "a//b", "/x", "x:0", "%41", "ünï/.", "a/..", "w", "w/Adam", "."]
    outputs = [array_output(name, np.int32([n]), dtype_named("int32"))
               for n, name in enumerate(names)]
    write_plan(Plan(tuple(outputs), "name-based"), str(tmp_path / "odd"))
    report = tfckpt.convert(tmp_path / "odd", tmp_path / "out" / "m", to="npy")
    assert report.verified == (len(names),) * 2
    assert {path.name for path in tmp_path.iterdir()} == {
        "odd.index", "odd.data-00000-of-00001", "out"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m"]
    with pytest.raises(tfckpt.DestinationExistsError, match="a folder is never replaced"):
        tfckpt.convert(tmp_path / "odd", tmp_path / "out" / "m", to="npy", overwrite=True)


def test_bfloat16_never_becomes_raw_bytes(tmp_path):
    bfloat16 = dtype_named("bfloat16")
    outputs = (array_output("w", np.zeros(2, bfloat16.numpy()), bfloat16),)
    write_plan(Plan(outputs, "name-based"), str(tmp_path / "m"))
    with pytest.raises(UnsupportedError) as caught:
        tfckpt.convert(tmp_path / "m", tmp_path / "m.npz")
    assert str(caught.value) == (
        "npz can't hold 1 tensor: w (bfloat16)\nNumPy has no bfloat16 and would give raw bytes,"
        " |V2: --dtype float32 casts, --to safetensors keeps it. --exclude REGEX leaves tensors"
        " out.")
    report = tfckpt.convert(tmp_path / "m", tmp_path / "m.npz", dtype="float32")
    assert report.verified == (1, 1)
    assert np.load(tmp_path / "m.npz")["w"].dtype == np.float32
    np.savez(tmp_path / "raw.npz", w=np.zeros(2, bfloat16.numpy()))
    with tfckpt.open(tmp_path / "raw.npz") as source:
        assert source.index["w"].dtype.name == "|V2"
        with pytest.raises(UnsupportedError, match=r"dtype \|V2 have no form as an array"):
            source["w"]


def test_strings_that_numpy_would_change_are_refused(tmp_path):
    for value, message in ((b"ends\0", "NumPy takes zero bytes from the end of a string"),
                           (b"x" * (1 << 20), "which would take 67,108,864 bytes")):
        array = np.array([value] + [b""] * 63, object)
        write_plan(Plan((array_output("s", array, dtype_named("string")),), "name-based"),
                   str(tmp_path / "m"), overwrite=True)
        with pytest.raises(UnsupportedError, match=message):
            tfckpt.convert(tmp_path / "m", tmp_path / "m.npz")


def test_python_objects_are_never_opened(tmp_path):
    np.savez(tmp_path / "m.npz", o=np.array([{}], object))
    with tfckpt.open(tmp_path / "m.npz") as source, pytest.raises(UnsupportedError):
        source["o"]


def test_a_damaged_archive_says_so(tmp_path):
    np.savez_compressed(tmp_path / "m.npz", a=np.arange(1000))
    data = bytearray((tmp_path / "m.npz").read_bytes())
    data[200] ^= 255
    (tmp_path / "m.npz").write_bytes(data)
    with pytest.raises(FormatError, match="the zip archive"):
        tfckpt.convert(tmp_path / "m.npz", tmp_path / "m", to="tf1")
    with zipfile.ZipFile(tmp_path / "n.npz", "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\0\x10\0{'descr'")
    with pytest.raises(FormatError, match="this is no header of a NumPy array"):
        tfckpt.open(tmp_path / "n.npz")
    with pytest.raises(CheckpointNotFoundError, match="the folder holds no checkpoint"):
        tfckpt.open(tmp_path)
