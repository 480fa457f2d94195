"""``latest``, ``list``, ``relocate`` and ``rm``."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from helpers import GOLDENS, SHARED, needs_shared
from tfckpt.cli.main import run
from tfckpt.core.plan import Plan, given_int64
from tfckpt.core.writer import write_plan
from tfckpt.train.state import latest_checkpoint, update_checkpoint_state

FORMATS = SHARED / "fixtures" / "formats"


def save(prefix, step=1) -> str:
    """A real checkpoint."""
    write_plan(Plan((given_int64("global_step", step, "little"),), "name-based"), str(prefix))
    return str(prefix)


@pytest.fixture
def folder(tmp_path):
    """Three checkpoints, two of them listed."""
    folder = tmp_path / "exp [v1]"
    paths = [save(folder / f"model-{n}", step=n) for n in (1, 2, 3)]
    update_checkpoint_state(folder, paths[1], paths[:2])
    return folder


@pytest.fixture
def moved(folder):
    """The same, with paths of a folder that is gone."""
    update_checkpoint_state(folder, "/old/model-2", ["/old/model-0", "/old/model-1",
                                                     "/old/model-2"])
    return folder


def state_of(folder) -> str:
    return (folder / "checkpoint").read_text()


def test_latest_prints_the_prefix(folder, capsys):
    assert run(["latest", str(folder)]) == 0
    assert capsys.readouterr() == (f"{folder}/model-2\n", "")
    assert run(["latest", f"{folder}/checkpoint"]) == 0
    assert capsys.readouterr() == (f"{folder}/model-2\n", "")


def test_latest_says_when_it_had_to_correct_the_state_file(moved, capsys):
    """Feature F14."""
    assert run(["latest", str(moved)]) == 0
    assert capsys.readouterr() == (f"{moved}/model-2\n", (
        "note: the state file points to /old/model-2, which is gone;"
        f" using {moved}/model-2 beside it\n"
        f"note: `tfckpt relocate {moved}` repairs the state file\n"))


def test_latest_of_nothing_is_1(tmp_path, capsys):
    assert run(["latest", str(tmp_path)]) == 1
    assert capsys.readouterr() == ("", (
        f"note: there is no state file in {tmp_path}; `tfckpt list` shows what it holds\n"))
    save(tmp_path / "model-1")
    update_checkpoint_state(tmp_path, "model-2")
    assert run(["latest", str(tmp_path)]) == 1
    assert capsys.readouterr() == ("", (
        f"note: the checkpoint that the state file names is gone (file {tmp_path}/model-2)\n"
        f"note: In the folder: {tmp_path}/model-1.\n"))


def test_latest_of_what_cannot_be_read_is_2(tmp_path, capsys):
    assert run(["latest", f"{tmp_path}/gone"]) == 2
    assert capsys.readouterr().err == f"error: there is no such folder (file {tmp_path}/gone)\n"
    (tmp_path / "checkpoint").write_bytes(b"")
    assert run(["latest", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "error: the checkpoint state file names no newest checkpoint: expected a line"
        f' model_checkpoint_path: "...", got an empty file (file {tmp_path}/checkpoint)\n')


def test_latest_of_a_sharded_v1_checkpoint_is_its_pattern(tmp_path, capsys):
    """Behaviour 24."""
    for n in range(2):
        shutil.copy(GOLDENS / "tf1.15" / "v1.ckpt", tmp_path / f"model-{n:05d}-of-00002")
    update_checkpoint_state(tmp_path, f"{tmp_path}/model-?????-of-00002")
    assert run(["latest", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/model-?????-of-00002\n"


def test_latest_as_json(moved, capsys):
    assert run(["latest", "--json", str(moved)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["prefix"] == f"{moved}/model-2"
    assert len(answer["notes"]) == 2
    assert run(["latest", "--json", str(moved.parent)]) == 1
    assert json.loads(capsys.readouterr().out)["prefix"] is None


def test_list_marks_each_checkpoint(folder, capsys):
    """Feature F14."""
    save(folder / "model-4", step=4)
    os.unlink(folder / "model-4.data-00000-of-00001")
    (folder / "model-5_temp").mkdir()
    update_checkpoint_state(folder, "model-2", ["model-0", "model-1", "model-2"])
    assert run(["list", str(folder)]) == 0
    out, err = capsys.readouterr()
    index = os.path.getsize(folder / "model-1.index")
    whole, half, none = (f"{size:>{len(str(index + 8))}} B" for size in (index + 8, index, 0))
    assert out == (
        f"listed      model-1       step 1  {whole}\n"
        f"latest      model-2       step 2  {whole}\n"
        f"orphan      model-3       step 3  {whole}\n"
        f"incomplete  model-4       step 4  {half}  a data file of the checkpoint is missing"
        " (model-4.data-00000-of-00001)\n"
        f"leftover    model-5_temp          {none}  of a sharded save: no part yet\n"
        f"gone        model-0               {' ' * len(none)}  in the state file, but not here\n")
    assert err == ""


def test_list_says_when_the_latest_is_incomplete(folder, capsys):
    os.unlink(folder / "model-2.index")
    os.unlink(folder / "model-1.index")
    run(["list", str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("  ")[2] for line in lines[:2]] == [
        "the index is missing; it is listed", "the index is missing; it is the latest"]


def test_list_of_a_folder_without_checkpoints(tmp_path, capsys):
    assert run(["list", str(tmp_path)]) == 0
    assert capsys.readouterr() == (
        f"No checkpoint is in {tmp_path}.\n",
        "note: there is no state file, so nothing here is listed\n")
    assert run(["list", f"{tmp_path}/gone"]) == 2
    assert capsys.readouterr().err == f"error: there is no such folder (file {tmp_path}/gone)\n"


def test_list_is_not_ls(folder, capsys):
    assert run(["list", f"{folder}/model-2"]) == 2
    assert capsys.readouterr().err == (
        f"error: there is no such folder (file {folder}/model-2)\n"
        f"That is a checkpoint: `tfckpt ls {folder}/model-2` lists its tensors.\n")


def test_list_as_json(folder, capsys):
    assert run(["list", "--json", str(folder)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [(entry["prefix"], entry["state"]) for entry in answer["checkpoints"]] == [
        (f"{folder}/model-1", "listed"), (f"{folder}/model-2", "latest"),
        (f"{folder}/model-3", "orphan")]
    assert answer["checkpoints"][0] == {
        "prefix": f"{folder}/model-1", "state": "listed", "latest": False, "listed": True,
        "problem": None, "step": 1, "bytes": answer["checkpoints"][0]["bytes"],
        "files": [f"{folder}/model-1.data-00000-of-00001", f"{folder}/model-1.index"]}
    assert (answer["folder"], answer["leftovers"], answer["gone"], answer["notes"]) == (
        str(folder), [], [], [])


def test_relocate_says_what_it_changed(moved, capsys):
    """Feature F14."""
    assert run(["relocate", str(moved)]) == 0
    assert capsys.readouterr() == (
        f"{moved}/checkpoint\n"
        "  /old/model-0  --  dropped: nothing is there\n"
        "  /old/model-1  ->  model-1\n"
        "  /old/model-2  ->  model-2\n"
        "  latest: model-2\n", "")
    assert state_of(moved) == ('model_checkpoint_path: "model-2"\n'
                               'all_model_checkpoint_paths: "model-1"\n'
                               'all_model_checkpoint_paths: "model-2"\n')
    assert run(["relocate", str(moved)]) == 0
    assert capsys.readouterr().out == (
        f"{moved}/checkpoint\n"
        "  Nothing to change: every path in it is relative and leads to a checkpoint.\n")


def test_relocate_without_writing(moved, capsys):
    before = state_of(moved)
    assert run(["relocate", "--dry-run", str(moved)]) == 0
    assert capsys.readouterr().out.endswith("  latest: model-2\nNothing written (--dry-run).\n")
    assert run(["relocate", "--dry_run", "--json", str(moved)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "state_file": f"{moved}/checkpoint", "dry_run": True,
        "changes": [{"from": "/old/model-0", "to": None},
                    {"from": "/old/model-1", "to": "model-1"},
                    {"from": "/old/model-2", "to": "model-2"}],
        "old": {"latest": "/old/model-2",
                "all": ["/old/model-0", "/old/model-1", "/old/model-2"]},
        "new": {"latest": "model-2", "all": ["model-1", "model-2"]}}
    assert state_of(moved) == before


def test_relocate_of_nothing_is_2(tmp_path, capsys):
    assert run(["relocate", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: there is no state file in this folder (file {tmp_path})\n")


def sizes(*files) -> list[str]:
    """Sizes as they are printed, flush right."""
    texts = [f"{os.path.getsize(file)} B" for file in files]
    return [text.rjust(max(map(len, texts))) for text in texts]


def test_rm_removes_all_files_and_the_entry(folder, capsys):
    """Behaviour 24 and feature F14."""
    prefix = f"{folder}/model-1"
    Path(prefix + ".meta").write_bytes(b"graph")
    index, data, graph = sizes(prefix + ".index", prefix + ".data-00000-of-00001", prefix + ".meta")
    assert run(["rm", prefix]) == 0
    assert capsys.readouterr() == (
        f"removed  {prefix}.index                {index}\n"
        f"removed  {prefix}.data-00000-of-00001  {data}\n"
        f"removed  {prefix}.meta                 {graph}\n"
        f"removed  its entry in {folder}/checkpoint\n", "")
    assert sorted(os.listdir(folder)) == ["checkpoint", *sorted(
        f"model-{n}{ending}" for n in (2, 3) for ending in (".index", ".data-00000-of-00001"))]
    assert state_of(folder) == (f'model_checkpoint_path: "{folder}/model-2"\n'
                                f'all_model_checkpoint_paths: "{folder}/model-2"\n')


def test_rm_of_the_latest_makes_the_one_before_it_the_latest(folder, capsys):
    run(["rm", f"{folder}/model-2"])
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"removed  its entry in {folder}/checkpoint; the latest is now {folder}/model-1")
    assert latest_checkpoint(folder) == f"{folder}/model-1"


def test_rm_of_the_last_one_listed_removes_the_state_file(folder, capsys):
    run(["rm", f"{folder}/model-1"])
    run(["rm", f"{folder}/model-2"])
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"removed  {folder}/checkpoint, which names no other checkpoint")
    assert sorted(os.listdir(folder)) == ["model-3.data-00000-of-00001", "model-3.index"]


def test_rm_of_an_orphan_leaves_the_state_file_alone(folder, capsys):
    before = state_of(folder)
    assert run(["rm", f"{folder}/model-3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert state_of(folder) == before


def test_rm_without_removing(folder, capsys):
    before = sorted(os.listdir(folder)), state_of(folder)
    prefix = f"{folder}/model-2"
    index, data = sizes(prefix + ".index", prefix + ".data-00000-of-00001")
    assert run(["rm", "--dry-run", prefix]) == 0
    assert capsys.readouterr().out == (
        f"would remove  {prefix}.index                {index}\n"
        f"would remove  {prefix}.data-00000-of-00001  {data}\n"
        f"would remove  its entry in {folder}/checkpoint; the latest is now {folder}/model-1\n")
    assert run(["rm", "--dry-run", "--json", prefix]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [os.path.basename(file["file"]) for file in answer.pop("files")] == [
        "model-2.index", "model-2.data-00000-of-00001"]
    assert answer == {
        "prefix": prefix, "dry_run": True, "state_file": f"{folder}/checkpoint",
        "old": {"latest": prefix, "all": [f"{folder}/model-1", prefix]},
        "new": {"latest": f"{folder}/model-1", "all": [f"{folder}/model-1"]}, "notes": []}
    assert (sorted(os.listdir(folder)), state_of(folder)) == before


def test_rm_takes_what_is_left_of_a_checkpoint(folder):
    os.unlink(folder / "model-3.index")
    (folder / "model-3.data-00001-of-00002").write_bytes(b"another")
    assert run(["rm", f"{folder}/model-3"]) == 0
    assert [name for name in os.listdir(folder) if name.startswith("model-3")] == []


def test_rm_refuses_what_is_no_prefix(folder, capsys):
    before = sorted(os.listdir(folder)), state_of(folder)
    for path, message in {
        folder: f"that is a folder; give the prefix of the checkpoint to remove (file {folder})\n"
                f"`tfckpt list {folder}` shows what it holds.",
        folder / "model-2.index":
            "that is one file of a checkpoint; give its prefix to remove all of it"
            f" (file {folder}/model-2.index)\nIts prefix: {folder}/model-2",
        folder / "checkpoint": "that is a state file; give the prefix of the checkpoint to remove"
                               f" (file {folder}/checkpoint)",
        folder / "model": f"there is no checkpoint here (file {folder}/model)\n"
                          f"Beside it: {folder}/model-1, {folder}/model-2, {folder}/model-3."
                          f" Did you mean {folder}/model-3?",
    }.items():
        assert run(["rm", str(path)]) == 2
        assert capsys.readouterr() == ("", f"error: {message}\n")
    (folder / "model-?").write_bytes(b"")
    assert run(["rm", f"{folder}/model-?"]) == 2
    os.unlink(folder / "model-?")
    assert (sorted(os.listdir(folder)), state_of(folder)) == before


def test_rm_goes_on_without_a_state_file_that_can_be_used(folder, capsys):
    (folder / "checkpoint").write_bytes(b"")
    assert run(["rm", f"{folder}/model-2"]) == 0
    assert capsys.readouterr().err == (
        "note: the state file stays as it is, since it can't be used: the checkpoint state file"
        ' names no newest checkpoint: expected a line model_checkpoint_path: "...", got an empty'
        f" file (file {folder}/checkpoint)\n")
    assert not (folder / "model-2.index").exists()
    assert (folder / "checkpoint").exists()


@pytest.mark.parametrize("command", ["latest", "list", "relocate", "rm"])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as end:
        run([command, "--help"])
    assert end.value.code == 0
    assert f"Examples:\n  tfckpt {command} runs/exp1" in capsys.readouterr().out


@needs_shared
@pytest.mark.parametrize("folder", sorted(
    os.path.relpath(path.parent, FORMATS) for path in FORMATS.glob("*/state_*/run/checkpoint")))
def test_real_folders_are_listed_and_relocated(folder, tmp_path, capsys):
    """Feature F14."""
    copy = shutil.copytree(FORMATS / folder, tmp_path / "run")
    assert run(["list", "--json", str(copy)]) == 0
    before = json.loads(capsys.readouterr().out)
    assert {entry["state"] for entry in before["checkpoints"]} <= {"latest", "listed", "orphan"}
    assert run(["relocate", str(copy)]) == 0
    assert run(["latest", str(copy)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    run(["list", "--json", str(copy)])
    after = json.loads(capsys.readouterr().out)
    assert after["gone"] == []
    assert [entry["prefix"] for entry in after["checkpoints"] if entry["latest"]] == [
        out.splitlines()[-1]]
    if "missing_latest" not in folder:
        assert after["checkpoints"] == before["checkpoints"]
