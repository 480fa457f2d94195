from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import tfckpt
from helpers import GOLDENS, copy_checkpoint
from tfckpt.convert.merge import merge
from tfckpt.convert.reshard import Split, reshard
from tfckpt.core.arrays import array_output
from tfckpt.core.origin import Given, Part, Sliced
from tfckpt.core.plan import Output, Plan
from tfckpt.core.writer import write_plan
from tfckpt.errors import (
    AmbiguousNamesError,
    DestinationExistsError,
    FormatError,
    TruncatedError,
    UnsupportedError,
)
from tfckpt.format.dtypes import dtype_named


def save(prefix, byte_order="little", **arrays) -> str:
    outputs = tuple(array_output(key, array, dtype_named(str(array.dtype)))
                    for key, array in arrays.items())
    write_plan(Plan(outputs, "name-based", byte_order), str(prefix))
    return str(prefix)


def save_part(prefix, start, array, shape) -> str:
    """A checkpoint that has only some rows of ``w``."""
    box = ((start, len(array)), *((0, size) for size in shape[1:]))
    origin = Sliced((Part(box, Given(array.tobytes(), None)),))
    write_plan(Plan((Output("w", dtype_named(str(array.dtype)), shape, origin),), "name-based"),
               str(prefix))
    return str(prefix)


def values(prefix) -> dict:
    with tfckpt.open(prefix) as source:
        assert tfckpt.verify(source).ok
        return {key: source[key].tolist() for key in source}


def test_behaviour_93_the_sorted_union_with_renumbered_data(tmp_path):
    a = save(tmp_path / "a", y=np.arange(2), m=np.arange(3))
    b = save(tmp_path / "b", x=np.arange(4))
    report = merge([a, b], tmp_path / "both")
    assert values(tmp_path / "both") == {"m": [0, 1, 2], "x": [0, 1, 2, 3], "y": [0, 1]}
    assert [(os.path.basename(file.file), file.origin) for file in report.files] == [
        ("both.data-00000-of-00002", a + ".data-00000-of-00001"),
        ("both.data-00001-of-00002", b + ".data-00000-of-00001"), ("both.index", None)]
    assert os.path.exists(a + ".index")  # sources stay


def test_behaviour_93_one_alone_is_a_rename(tmp_path):
    a = save(tmp_path / "a", y=np.arange(2), m=np.arange(3))
    merge([a], tmp_path / "alone")
    for ending in (".index", ".data-00000-of-00001"):
        assert Path(a + ending).read_bytes() == (tmp_path / ("alone" + ending)).read_bytes()


def test_behaviour_93_sources_are_removed_only_when_asked(tmp_path):
    parts = tmp_path / "m_temp"
    save(parts / "part-00000-of-00002", a=np.arange(2))
    save(parts / "part-00001-of-00002", b=np.arange(3))
    merge(parts, tmp_path / "kept")
    assert len(list(parts.iterdir())) == 4
    merge([parts], tmp_path / "m", delete_sources=True)
    assert not parts.exists()
    assert values(tmp_path / "m") == values(tmp_path / "kept") == {"a": [0, 1], "b": [0, 1, 2]}


def test_what_else_is_in_the_folder_stays(tmp_path):
    parts = tmp_path / "m_temp"
    save(parts / "part-00000-of-00001", a=np.arange(2))
    (parts / "mine.txt").write_text("mine")
    merge([parts], tmp_path / "m", delete_sources=True)
    assert os.listdir(parts) == ["mine.txt"]


def test_slices_of_one_variable_are_united(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    a = save_part(tmp_path / "a", 0, array[:1], (4, 3))
    b = save_part(tmp_path / "b", 1, array[1:], (4, 3))
    merge([a, b], tmp_path / "w")
    assert values(tmp_path / "w") == {"w": array.tolist()}
    other = save_part(tmp_path / "c", 1, array[1:, :2].copy(), (4, 2))
    with pytest.raises(FormatError, match="slices of one name are of different tensors"):
        merge([a, other], tmp_path / "x")


def test_a_name_that_two_have_is_refused(tmp_path):
    a, b = save(tmp_path / "a", m=np.arange(3)), save(tmp_path / "b", m=np.arange(3))
    with pytest.raises(AmbiguousNamesError) as caught:
        merge([a, b], tmp_path / "both")
    assert caught.value.groups == {"m": [a, b]}
    reshard(a, tmp_path / "parts", split={"m": Split(3)})
    with pytest.raises(AmbiguousNamesError):
        merge([tmp_path / "parts", b], tmp_path / "both")
    assert not list(tmp_path.glob("both*"))


def test_missing_parts_are_named(tmp_path):
    parts = tmp_path / "m_temp"
    save(parts / "part-00000-of-00003", a=np.arange(2))
    save(parts / "part-00002-of-00003", b=np.arange(2))
    with pytest.raises(TruncatedError) as caught:
        merge([parts], tmp_path / "m")
    assert str(caught.value) == (
        "1 of the 3 parts of the save are missing: expected part-00001-of-00003"
        f" (file {parts})\nMerge what is there with --allow-missing.")
    merge([parts], tmp_path / "m", allow_missing=True)
    assert list(values(tmp_path / "m")) == ["a", "b"]


def test_behaviour_97_big_endian_parts_stay_big_endian(tmp_path):
    array = (np.arange(3) + 2j).astype(np.complex64)
    a = save(tmp_path / "a", "big", c=array.byteswap())
    b = save(tmp_path / "b", "big", d=np.arange(3, dtype=np.int16).byteswap())
    merge([a, b], tmp_path / "both")
    with tfckpt.open(tmp_path / "both") as source:
        assert source.byte_order == "big"
        assert source["c"].tolist() == array.tolist()
        assert source["d"].tolist() == [0, 1, 2]
    little = save(tmp_path / "l", e=np.arange(2))
    with pytest.raises(UnsupportedError, match="sources of different byte order"):
        merge([a, little], tmp_path / "x")


def test_v1_and_v2_become_one(tmp_path):
    a = save(tmp_path / "a", m=np.arange(3))
    merge([a, GOLDENS / "tf1.15" / "v1.ckpt"], tmp_path / "both")
    assert set(values(tmp_path / "both")) == {"m", "v"}


def test_a_source_is_never_the_result(tmp_path):
    a = save(tmp_path / "a", m=np.arange(3))
    b = copy_checkpoint(GOLDENS / "tf1.15" / "names", tmp_path / "b")
    with pytest.raises(DestinationExistsError, match="the output would replace its own source"):
        merge([a, b], a, overwrite=True)


def test_a_dry_run_writes_and_removes_nothing(tmp_path):
    a = save(tmp_path / "a", m=np.arange(3))
    report = merge([a], tmp_path / "m", dry_run=True, delete_sources=True)
    assert (report.files, len(report.plan.outputs)) == ((), 1)
    assert sorted(os.listdir(tmp_path)) == ["a.data-00000-of-00001", "a.index"]
