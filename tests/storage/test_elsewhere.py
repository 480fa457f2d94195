"""Nothing that writes takes an address for a local path: it would make a folder ``gs:``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE
from tfckpt.cli.main import run
from tfckpt.errors import UnsupportedError

GS = "Write to a local path and copy all files of the result there: gcloud storage cp NAME* FOLDER/"


def save(address):
    return tfckpt.Saver({"a": tfckpt.Variable(1.0)}).save(None, address)


def write(address):
    return tfckpt.Checkpoint(a=tfckpt.Variable(1.0)).write(address)


def convert(address):
    return tfckpt.convert(EXAMPLE, address, to="tf2")


def plan(address):
    return tfckpt.convert(EXAMPLE, address, to="tf2", dry_run=True)


def convert_to_v1(address):
    return tfckpt.convert(EXAMPLE, address, to="tf1-v1")


def convert_to_file(address):
    return tfckpt.convert(EXAMPLE, address, to="npz")


def plan_file(address):
    return tfckpt.convert(EXAMPLE, address, to="npz", dry_run=True)


def save_file(address):
    return tfckpt.save_file({"a": np.zeros(3)}, f"{address}.safetensors")


def update_state(address):
    return tfckpt.update_checkpoint_state(os.path.dirname(address), address)


@pytest.mark.parametrize("address", ["gs://bucket/run/model", Path("gs://bucket/run/model")])
@pytest.mark.parametrize("write", [save, write, convert, plan, convert_to_v1, convert_to_file,
                                   plan_file, save_file, update_state])
def test_an_address_is_no_folder_to_write_to(tmp_path, monkeypatch, write, address):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedError) as caught:
        write(address)
    first, hint = str(caught.value).splitlines()
    assert first.startswith("nothing can be written elsewhere, only local files (file gs:/")
    assert hint == GS
    assert os.listdir() == []


@pytest.mark.parametrize(("address", "hint"), [
    ("gs://bucket/out", f": {GS.partition(': ')[2]}"),
    ("s3://bucket/out", ": aws s3 cp --recursive --exclude '*' --include 'NAME*' . FOLDER"),
    ("hdfs://node/out", ": hdfs dfs -put NAME* FOLDER"),
    ("abfs://host/out", ".")])
def test_the_command_line_says_what_copies_the_result(tmp_path, monkeypatch, capsys, address,
                                                      hint):
    monkeypatch.chdir(tmp_path)
    assert run(["strip", str(EXAMPLE), "-o", address]) == 2
    assert capsys.readouterr().err == (
        f"error: nothing can be written elsewhere, only local files (file {address})\n"
        f"Write to a local path and copy all files of the result there{hint}\n")
    assert os.listdir() == []


def test_a_colon_in_a_local_name_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("run:1/model", "exp/a:b", "gs/model", "file://" + str(tmp_path / "model")):
        assert save(name)
