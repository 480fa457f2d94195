from __future__ import annotations

import gc
import os
import shutil

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS, SHARED, copy_checkpoint, digest, golden_truths, needs_shared
from tfckpt.errors import (
    ChecksumError,
    FormatError,
    TensorNotFoundError,
    TruncatedError,
    UnsupportedError,
)
from tfckpt.format.dtypes import dtype_named

TRUTHS = list(golden_truths())


@pytest.mark.parametrize(("prefix", "tensors"), TRUTHS,
                         ids=[os.path.relpath(p, GOLDENS) for p, _ in TRUTHS])
@pytest.mark.parametrize("mmap", [True, False])
def test_goldens_read_as_tensorflow_wrote_them(prefix, tensors, mmap):
    """Behaviours 92, 94: every dtype, scalars, shapes with a zero."""
    with tfckpt.open(prefix, mmap=mmap) as source:
        for key, facts in tensors.items():
            entry = source.index[key]
            assert facts["dtype"] == entry.dtype.name
            assert facts["shape"] == list(entry.shape)
            if entry.slices:
                continue
            array = source[key]
            assert facts["sha256"] == digest(array)
            assert tuple(facts["shape"]) == array.shape
            assert entry.dtype.numpy() == array.dtype


def test_keys_come_sorted_by_their_bytes():
    with tfckpt.open(GOLDENS / "tf1.15" / "names") as source:
        assert sorted(source, key=str.encode) == list(source)
        assert "über/größe" in source
        assert len(source) == len(list(source.keys()))


def test_arrays_are_read_only_views_of_the_file_where_it_allows_that(tf1):
    with tfckpt.open(tf1) as source:
        array = source["dense/kernel"]
        assert not array.flags.writeable
        assert not array.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert array.shape == (3, 4)  # stays valid after the source is closed
    assert np.isfinite(array).all()


def test_a_tensor_at_an_odd_offset_is_an_aligned_copy():
    with tfckpt.open(GOLDENS / "tf1.15" / "dtypes") as source:
        odd = [entry for entry in source.index.values() if entry.dtype.size
               and entry.n_bytes and entry.offset % source[entry.key].dtype.alignment]
        assert odd
        for entry in odd:
            assert source[entry.key].flags.aligned
            assert source[entry.key].flags.owndata


def test_names_that_people_use_are_found():
    with tfckpt.open(GOLDENS / "tf2.21" / "vars-1") as source:
        assert source["vars/a"] is not None
        assert np.array_equal(source["vars/a"], source["vars/a/.ATTRIBUTES/VARIABLE_VALUE"])
    with tfckpt.open(EXAMPLE) as source:
        assert np.array_equal(source["dense/bias:0"], source["dense/bias"])
        assert "dense/bias:0" in source
        assert "dense/bia" not in source
        assert 7 not in source


def test_a_missing_name_offers_the_nearest():
    with tfckpt.open(EXAMPLE) as source, pytest.raises(TensorNotFoundError) as caught:
        source["dense/kernal"]
    assert str(caught.value) == (
        "the checkpoint has no such tensor (tensor 'dense/kernal')\n"
        "Nearest: dense/kernel, dense/kernel/Adam, dense/kernel/Adam_1.")
    assert isinstance(caught.value, KeyError)


def test_the_style_is_told():
    assert tfckpt.open(EXAMPLE).style == "name-based"
    assert tfckpt.open(GOLDENS / "tf2.21" / "nested").style == "object-based"
    assert "<name-based checkpoint" in repr(tfckpt.open(EXAMPLE))


def flip(prefix: str, key: str, at: int = 0) -> None:
    """Damage one bit of a tensor."""
    with tfckpt.open(prefix) as source:
        entry = source.index[key]
        file = source.shard_file(entry.shard_id)
    with open(file, "r+b") as data:
        data.seek(entry.offset + at)
        byte = data.read(1)[0]
        data.seek(entry.offset + at)
        data.write(bytes([byte ^ 1]))


def test_behaviour_98_a_damaged_tensor_is_found_when_it_is_read(tf1):
    flip(tf1, "dense/kernel", 5)
    with tfckpt.open(tf1) as source:
        source["dense/bias"]
        with pytest.raises(ChecksumError) as caught:
            source["dense/kernel"]
    error = caught.value
    assert ("dense/kernel", tf1 + ".data-00000-of-00001") == (error.tensor, error.file)
    assert str(error).startswith("the tensor's bytes are damaged: their checksum does not match:"
                                 " expected 0x")
    assert str(error).endswith("tensor 'dense/kernel')\n"
                               "`tfckpt verify` lists every damaged tensor.")


def test_checks_can_be_deferred_to_the_end(tf1):
    flip(tf1, "dense/kernel")
    source = tfckpt.open(tf1, check_crc="close")
    source["dense/kernel"]
    with pytest.raises(ChecksumError, match="dense/kernel"):
        source.close()
    source.close()


def test_checks_can_be_left_out(tf1):
    flip(tf1, "dense/kernel")
    with tfckpt.open(tf1, check_crc="never") as source:
        assert source["dense/kernel"].shape == (3, 4)


def test_behaviour_99_a_short_data_file_opens_and_lists_and_fails_at_the_read(tf1):
    data = tf1 + ".data-00000-of-00001"
    os.truncate(data, 60)
    with tfckpt.open(tf1) as source:
        assert len(list(source.index.values())) == 21
        name = next(e.key for e in source.index.values() if e.offset + e.n_bytes > 60)
        with pytest.raises(TruncatedError, match="the data file ends before the tensor does") as c:
            source[name]
    assert isinstance(c.value, EOFError)
    assert c.value.hint == "It was probably cut off while it was copied; fetch it again."


def test_a_missing_data_file_says_which_are_there(tmp_path):
    prefix = copy_checkpoint(GOLDENS / "tf1.15" / "sharded", tmp_path)
    os.unlink(prefix + ".data-00001-of-00003")
    with tfckpt.open(prefix) as source:
        source["v0"]
        with pytest.raises(TruncatedError) as caught:
            source["v1"]
    assert str(caught.value) == (
        "a data file of the checkpoint is missing"
        f" (file {prefix}.data-00001-of-00003, tensor 'v1')\n"
        "Beside it: sharded.data-00000-of-00003, sharded.data-00002-of-00003.")


def test_a_variant_has_bytes_but_no_array():
    with tfckpt.open(GOLDENS / "tf2.21" / "state") as source:
        key = "model/iterator/.ATTRIBUTES/ITERATOR_STATE"
        assert len(source.read_bytes(key)) == source.index[key].n_bytes
        with pytest.raises(UnsupportedError, match="tensors of dtype variant have no form"):
            source[key]


def test_behaviour_3_a_checkpoint_that_is_written_again_is_read_anew(tmp_path):
    prefix = copy_checkpoint(GOLDENS / "tf1.15" / "names", tmp_path, "m")
    assert "a" in tfckpt.open(prefix)
    copy_checkpoint(EXAMPLE, tmp_path, "m")
    assert "dense/bias" in tfckpt.open(prefix)


def test_no_file_stays_open(tf1):
    gc.collect()  # what other tests left open
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with tfckpt.open(tf1) as source:
        dict(source.items())
    source.close()
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert before == after


def test_a_pipe_is_not_waited_for(tf1):
    os.unlink(tf1 + ".data-00000-of-00001")
    os.mkfifo(tf1 + ".data-00000-of-00001")
    with tfckpt.open(tf1) as source, pytest.raises(tfckpt.StorageError, match="not a regular file"):
        source["dense/bias"]


def test_a_table_that_is_no_index_is_named(tmp_path):
    shutil.copy(GOLDENS / "tf1.15" / "v1.ckpt", tmp_path / "m.index")
    with pytest.raises((FormatError, UnsupportedError)) as caught:
        tfckpt.open(tmp_path / "m")
    assert caught.value.file == str(tmp_path / "m.index")


def test_a_big_endian_bundle_reads_right(tmp_path):
    """Behaviour 97."""
    from tfckpt.core.plan import Given, Output, Plan
    from tfckpt.core.writer import write_plan
    from tfckpt.format.crc32c import masked_crc32c
    from tfckpt.format.strings import encode_strings

    arrays = {"float32": np.float32([1.5, -2]), "complex64": np.complex64([1 + 2j]),
              "complex128": np.complex128([3 - 1j]), "int16": np.int16([[1, -2]]),
              "bool": np.array([True, False]), "float64": np.float64(0.1)}
    outputs = []
    for name, array in arrays.items():
        data = np.asarray(array).astype(array.dtype.newbyteorder(">")).tobytes()
        outputs.append(Output(name, dtype_named(name), array.shape,
                              Given(data, masked_crc32c(data))))
    text = Given(*encode_strings([b"a", b"bc"], "big"))
    outputs.append(Output("string", dtype_named("string"), (2,), text))
    write_plan(Plan(tuple(outputs), "name-based", "big"), str(tmp_path / "big"))
    with tfckpt.open(tmp_path / "big") as source:
        for name, array in arrays.items():
            assert np.array_equal(array, source[name])
            assert source[name].dtype == array.dtype
        assert source["string"].tolist() == [b"a", b"bc"]
        assert tfckpt.verify(source).ok


@needs_shared
def test_big_endian_bundles_of_the_fixtures_are_byte_swapped():
    with tfckpt.open(SHARED / "fixtures/formats/tf2.21/big_endian/numbers") as source:
        assert source.byte_order == "big"
        assert tfckpt.verify(source).ok
