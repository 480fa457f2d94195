from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, GOLDENS, ROOT, copy_checkpoint, files_of
from tfckpt.core.opening import open_source
from tfckpt.core.plan import Given, Output, Plan, Reuse, given_int64, given_string
from tfckpt.core.writer import write_plan
from tfckpt.errors import (
    AmbiguousNamesError,
    DestinationExistsError,
    StorageError,
    TruncatedError,
)
from tfckpt.format.crc32c import masked_crc32c


def values_plan(**values: int) -> Plan:
    """A small checkpoint of scalars."""
    return Plan(tuple(given_int64(key, value, "little") for key, value in values.items()),
                "name-based")


def reuse_all(source, **renamed: str) -> Plan:
    return Plan(tuple(Output(renamed.get(e.key, e.key), e.dtype, e.shape, Reuse(source, e))
                      for e in source.index.values()), source.style, source.byte_order)


@pytest.mark.parametrize("name", ["names", "dtypes", "strings"])
def test_what_is_written_is_byte_for_byte_what_tensorflow_wrote(tmp_path, name):
    """The same tensors in the same order give the same index and the same data."""
    golden = str(GOLDENS / "tf1.15" / name)
    with open_source(golden) as source:
        entries = sorted(source.index.values(), key=lambda e: (e.offset, e.n_bytes))
        outputs = tuple(Output(e.key, e.dtype, e.shape,
                               Given(source.read_stored(e), e.masked_crc32c)) for e in entries)
    write_plan(Plan(outputs, "name-based"), str(tmp_path / name))
    assert files_of(golden) == files_of(str(tmp_path / name))


@pytest.mark.parametrize("name", ["names", "sharded"])
def test_a_copy_by_linking_has_the_same_index(tmp_path, name):
    golden = str(GOLDENS / "tf1.15" / name)
    with open_source(golden) as source:
        write_plan(reuse_all(source), str(tmp_path / name))
    assert files_of(golden) == files_of(str(tmp_path / name))


def test_linked_data_is_the_same_file_and_copied_data_another(tmp_path, tf1):
    data = ".data-00000-of-00001"
    with open_source(tf1) as source:
        linked = write_plan(reuse_all(source), str(tmp_path / "linked"))
        copied = write_plan(reuse_all(source), str(tmp_path / "copied"), data="copy")
    assert linked[0].how in ("hard link", "reflink")
    if linked[0].how == "hard link":
        assert os.path.samefile(tf1 + data, tmp_path / ("linked" + data))
    assert copied[0].how == "copy"
    assert not os.path.samefile(tf1 + data, tmp_path / ("copied" + data))
    assert Path(tf1 + data).read_bytes() == (tmp_path / ("copied" + data)).read_bytes()


def test_data_is_copied_where_it_can_not_be_linked(tmp_path, tf1, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with open_source(tf1) as source:
        files = write_plan(reuse_all(source), str(tmp_path / "out"))
    assert files[0].how == "copy"
    with open_source(tmp_path / "out") as source:
        assert tfckpt.verify(source).ok


def test_progress_counts_copied_bytes(tmp_path, tf1):
    seen = []
    with open_source(tf1) as source:
        write_plan(reuse_all(source), str(tmp_path / "out"), data="copy",
                   progress=lambda done, total: seen.append((done, total)))
    size = os.path.getsize(tf1 + ".data-00000-of-00001")
    assert (size, size) == seen[-1]


def test_several_sources_become_several_shards(tmp_path):
    with open_source(GOLDENS / "tf1.15" / "sharded") as a, open_source(EXAMPLE) as b:
        plan = reuse_all(a)
        plan = plan._replace(outputs=(*plan.outputs, *reuse_all(b).outputs,
                                      given_string("note", b"text", "little")))
        write_plan(plan, str(tmp_path / "both"))
        with open_source(tmp_path / "both") as both:
            assert both.header.num_shards == 5
            assert tfckpt.verify(both).ok
            for source in (a, b):
                assert all(np.array_equal(source[key], both[key]) for key in source)
            assert both["note"][()] == b"text"


def test_a_missing_folder_is_made(tmp_path):
    """Behaviour 5."""
    write_plan(values_plan(a=1), str(tmp_path / "new" / "folder" / "m"))
    assert tfckpt.open(tmp_path / "new" / "folder" / "m")["a"] == 1


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write in this folder") as caught:
        write_plan(values_plan(a=1), str(tmp_path / "file" / "m"))
    assert str(tmp_path / "file") in str(caught.value)


def test_behaviour_100_two_tensors_of_one_key_are_refused(tmp_path):
    plan = values_plan(a=1)
    with pytest.raises(AmbiguousNamesError) as caught:
        write_plan(plan._replace(outputs=plan.outputs * 2), str(tmp_path / "m"))
    assert caught.value.groups == {"a": ["(new)", "(new)"]}
    assert os.listdir(tmp_path) == []


def test_nothing_is_overwritten_unless_asked(tmp_path):
    prefix = str(tmp_path / "m")
    write_plan(values_plan(a=1), prefix)
    before = files_of(prefix)
    with pytest.raises(DestinationExistsError) as caught:
        write_plan(values_plan(a=2), prefix)
    assert str(caught.value) == (f"there is already a checkpoint (file {prefix})\n"
                                 "Give another prefix, or allow it with --overwrite.")
    assert isinstance(caught.value, FileExistsError)
    assert before == files_of(prefix)
    write_plan(values_plan(a=2), prefix, overwrite=True)
    assert tfckpt.open(prefix)["a"] == 2


def test_data_files_without_an_index_are_not_overwritten_either(tmp_path):
    (tmp_path / "m.data-00000-of-00001").write_bytes(b"precious")
    with pytest.raises(DestinationExistsError, match="a save that did not finish"):
        write_plan(values_plan(a=1), str(tmp_path / "m"))
    assert (tmp_path / "m.data-00000-of-00001").read_bytes() == b"precious"


def test_overwriting_again_and_again_leaves_only_the_last(tmp_path):
    prefix = str(tmp_path / "m")
    for n in range(4):
        write_plan(values_plan(a=n), prefix, overwrite=True)
        assert n == tfckpt.open(prefix)["a"]
        shards = len([name for name in os.listdir(tmp_path) if ".data-" in name])
        assert shards == tfckpt.open(prefix).header.num_shards <= 2


def test_the_source_is_never_the_destination(tf1):
    before = files_of(tf1)
    with open_source(tf1) as source:
        for name in (tf1, os.path.join(os.path.dirname(tf1), ".", os.path.basename(tf1))):
            with pytest.raises(DestinationExistsError, match="would replace its own source"):
                write_plan(reuse_all(source), name, overwrite=True)
    assert before == files_of(tf1)


def test_a_prefix_without_a_name_is_refused(tmp_path):
    with pytest.raises(DestinationExistsError, match="the output is a folder"):
        write_plan(values_plan(a=1), f"{tmp_path}/")


def test_a_short_source_is_refused_before_anything_is_written(tmp_path, tf1):
    os.truncate(tf1 + ".data-00000-of-00001", 60)
    with open_source(tf1) as source, pytest.raises(TruncatedError, match="ends before the tensor"):
        write_plan(reuse_all(source), str(tmp_path / "out" / "m"))
    os.unlink(tf1 + ".data-00000-of-00001")
    with open_source(tf1) as source, pytest.raises(TruncatedError, match="is missing"):
        write_plan(reuse_all(source), str(tmp_path / "out" / "m"))
    assert not (tmp_path / "out").exists()


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    """Between the check and the rename somebody else may have written there."""
    from tfckpt.core import writer

    monkeypatch.setattr(writer, "check_destination", lambda *args, **kwargs: None)
    (tmp_path / "m.index").write_bytes(b"precious")
    with pytest.raises(DestinationExistsError, match="there is already a file"):
        write_plan(values_plan(a=1), str(tmp_path / "m"))
    assert os.listdir(tmp_path) == ["m.index"]
    assert (tmp_path / "m.index").read_bytes() == b"precious"


# A process that is killed at its nth call of the file system, without any clean-up.
KILLED = """
import os, sys
sys.path.insert(0, {tests!r})
left = int(sys.argv[1])
def counted(call):
    def wrapper(*args, **kwargs):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return call(*args, **kwargs)
    return wrapper
import tfckpt
for name in ("mkdir", "link", "unlink", "replace", "fsync", "open", "rmdir"):
    setattr(os, name, counted(getattr(os, name)))
tfckpt.convert({source!r}, {target!r}, to="tf2", overwrite=True)
"""


@pytest.mark.parametrize("exists", [False, True])
def test_a_crash_at_any_instant_leaves_the_old_or_the_new_checkpoint(tmp_path, tf1, exists):
    source_before = files_of(tf1)
    target = str(tmp_path / "out" / "ckpt")
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(tests=str(ROOT / "tests"), source=tf1, target=target))
    killed = outcomes = 0
    for n in range(100):
        if exists:
            write_plan(values_plan(old=n), target, overwrite=True)
        done = subprocess.run([sys.executable, script, str(n)], check=False)
        if exists or os.path.exists(target + ".index"):
            with tfckpt.open(target) as found:
                assert tfckpt.verify(found).ok
                keys = set(found)
            new = "save_counter/.ATTRIBUTES/VARIABLE_VALUE" in keys
            assert new or keys == {"old"}
            outcomes |= 1 << new
        assert source_before == files_of(tf1)
        shutil.rmtree(os.path.dirname(target), ignore_errors=True)
        if done.returncode == 0:
            break
        killed += 1
    assert done.returncode == 0
    assert killed > 10
    assert (3 if exists else 2) == outcomes


def test_given_bytes_are_checked_like_any(tmp_path):
    data = np.float32([1, 2]).tobytes()
    from tfckpt.format.dtypes import dtype_named

    output = Output("a", dtype_named("float32"), (2,), Given(data, masked_crc32c(data)))
    write_plan(Plan((output,), "name-based"), str(tmp_path / "m"))
    with open_source(tmp_path / "m") as source:
        assert tfckpt.verify(source).ok
        assert source["a"].tolist() == [1, 2]


def test_links_of_the_source_are_followed(tmp_path, tf1):
    """A checkpoint of symbolic links, as tracking tools make them, is linked by its files."""
    folder = tmp_path / "links"
    folder.mkdir()
    for name in files_of(tf1):
        os.symlink(os.path.join(os.path.dirname(tf1), name), folder / name)
    with open_source(folder / "model.ckpt-7") as source:
        write_plan(reuse_all(source), str(tmp_path / "out"))
    assert not os.path.islink(tmp_path / "out.data-00000-of-00001")
    copy_checkpoint(str(tmp_path / "out"), tmp_path / "again")


def test_old_data_that_can_not_be_removed_does_not_fail_the_save(tmp_path, monkeypatch):
    """The new checkpoint is whole by then."""
    prefix = str(tmp_path / "m")
    write_plan(values_plan(a=1), prefix)
    unlink = os.unlink

    def refuse(path, *args, **kwargs):
        if os.path.basename(path) == "m.data-00000-of-00001":
            raise PermissionError(13, "Permission denied")
        unlink(path, *args, **kwargs)

    monkeypatch.setattr(os, "unlink", refuse)
    write_plan(values_plan(a=2), prefix, overwrite=True)
    assert tfckpt.open(prefix)["a"] == 2
