"""The commands that rename, select, merge and set."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tfckpt
from helpers import EXAMPLE, copy_checkpoint
from tfckpt.cli.main import run


@pytest.fixture
def tool(capsys):
    def call(*arguments):
        try:
            status = run([str(argument) for argument in arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err
    return call


def names(prefix) -> list[str]:
    with tfckpt.open(prefix) as source:
        return [key for key in source if "Adam" not in key]


def test_a_dry_run_shows_what_becomes_of_names(tool, tmp_path):
    status, text, err = tool("rename", EXAMPLE, "-o", tmp_path / "b", "--replace", "kernel=w",
                             "--strip_prefix", "dense/", "--dry-run")
    assert (status, err) == (0, "")
    assert text == (
        "  dense/bias     ->  bias      (+ 2 Adam slots)\n"
        "  dense/kernel   ->  w         (+ 2 Adam slots)\n"
        "  logits/kernel  ->  logits/w  (+ 2 Adam slots)\n"
        "3 renamed, 6 unchanged, 0 collisions. Nothing written (--dry-run).\n")
    assert not list(tmp_path.iterdir())


def test_rules_are_applied_in_the_order_of_their_flags(tool, tmp_path):
    tool("rename", EXAMPLE, "-o", tmp_path / "a", "--add-prefix", "x/", "--replace", "x/d=y")
    tool("rename", EXAMPLE, "-o", tmp_path / "b", "--replace", "x/d=y", "--add-prefix", "x/")
    assert "yense/bias" in names(tmp_path / "a")
    assert "x/dense/bias" in names(tmp_path / "b")


@pytest.mark.parametrize(("file", "text"), [
    ("map.json", '{"dense/": "d/", "global_step": null}'),
    ("map.csv", "dense/kernel,d/kernel\ndense/bias,d/bias\nglobal_step,\n"),
    ("rules.json", '{"rules": [["regex", "^dense/", "d/"], ["drop", "^global"]]}'),
])
def test_maps_of_every_form(tool, tmp_path, file, text):
    (tmp_path / file).write_text(text)
    status, out, _ = tool("rename", EXAMPLE, "-o", tmp_path / "b", "--map", tmp_path / file)
    assert status == 0
    assert "  global_step   --  dropped\n" in out
    assert "2 renamed, 1 dropped, 6 unchanged, 0 collisions. " in out
    assert "d/kernel" in names(tmp_path / "b")


def test_a_plan_is_saved_edited_and_applied(tool, tmp_path):
    plan = tmp_path / "plan.json"
    tool("rename", EXAMPLE, "-o", tmp_path / "b", "--regex", r"s#(\w+)/kernel#\1/w#", "--dry-run",
         "--save-plan", plan)
    saved = json.loads(plan.read_text())
    assert saved["dense/kernel"] == "dense/w"
    assert saved["dense/bias"] == "dense/bias"
    plan.write_text(json.dumps({**saved, "dense/kernel": "special"}))
    status, text, _ = tool("rename", EXAMPLE, "-o", tmp_path / "b", "--map", plan, "--json")
    assert status == 0
    told = json.loads(text)
    assert told["renamed"] == {"dense/kernel": "special", "logits/kernel": "logits/w"}
    assert told["followers"]["dense/kernel"] == ["Adam", "Adam_1"]
    assert told["unchanged"] == 7
    with tfckpt.open(tmp_path / "b") as source:
        assert "special/Adam" in source


def test_in_place_with_a_backup(tool, tmp_path):
    source = copy_checkpoint(EXAMPLE, tmp_path)
    status, text, err = tool("rename", source, "--in-place", "--backup", ".bak",
                             "--add-prefix", "p/")
    assert status == 0
    assert f"{source} -> {source}\n" in text
    assert f"note: the old checkpoint is kept as {source}.bak\n" in err
    assert "p/dense/bias" in names(source)
    assert "dense/bias" in names(source + ".bak")


@pytest.mark.parametrize(("arguments", "message"), [
    (["--replace", "a=b"], "one of the arguments -o/--output --in-place is required"),
    (["-o", "x", "--in-place"], "not allowed with argument"),
    (["--in-place", "--replace", "a=b"], "replaced only if the old one is kept"),
    (["-o", "x", "--replace", "ab"], "a replacement has another form"),
    (["-o", "x", "--include", "("], "not a regular expression"),
    (["-o", "x", "--replace", "logits=dense"], "several tensors would get one name"),
    (["-o", "x", "--map", "nowhere.json"], "cannot read"),
])
def test_what_cannot_be_renamed_ends_with_2(tool, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, err = tool("rename", EXAMPLE, *arguments)
    assert status == 2
    assert message in err
    assert not list(tmp_path.iterdir())


def test_many_names_are_cut_unless_asked_for(tool, tmp_path):
    big = tmp_path / "big"
    tfckpt.Saver({f"v{n:02}": tfckpt.Variable(float(n), name=f"v{n}") for n in range(30)}
                 ).save(None, str(big))
    _, text, _ = tool("rename", big, "-o", tmp_path / "b", "--add-prefix", "p/")
    assert "  … and 10 more (--verbose shows them)\n" in text
    _, text, _ = tool("rename", big, "-o", tmp_path / "c", "--add-prefix", "p/", "-v")
    assert text.count("->") == 31


def test_select(tool, tmp_path):
    status, text, _ = tool("select", EXAMPLE, "--keep", "^logits", "-o", tmp_path / "b")
    assert status == 0
    assert "  6 tensors kept, their bytes untouched; 0 new; 15 left out\n" in text
    assert names(tmp_path / "b") == ["logits/bias", "logits/kernel"]
    status, _, err = tool("select", EXAMPLE, "--keep", "^nothing", "-o", tmp_path / "c")
    assert (status, "no tensor would be left" in err) == (2, True)


def test_merge_with_prefixes(tool, tmp_path):
    status, _, _ = tool("merge", EXAMPLE, EXAMPLE, "--prefix-1", "a/", "--prefix", "2=b/", "-o",
                        tmp_path / "both")
    assert status == 0
    assert {"a/dense/bias", "b/dense/bias"} < set(names(tmp_path / "both"))
    status, _, err = tool("merge", EXAMPLE, EXAMPLE, "-o", tmp_path / "c")
    assert (status, "--prefix-1" in err) == (2, True)
    status, _, err = tool("merge", EXAMPLE, EXAMPLE, "--prefix", "b/", "-o", tmp_path / "c")
    assert (status, "expected N=P" in err) == (2, True)


def test_set(tool, tmp_path):
    np.save(tmp_path / "k.npy", np.ones((3, 4), np.float32))
    status, text, err = tool("set", EXAMPLE, "global_step=12", f"dense/kernel={tmp_path}/k.npy",
                             "extra=1.5", "-o", tmp_path / "b")
    assert status == 0
    assert err == "note: there was no extra: it is a new tensor\n"
    assert "  19 tensors kept, their bytes untouched; 3 new; 0 left out\n" in text
    with tfckpt.open(tmp_path / "b") as source:
        assert (source["global_step"], source["dense/kernel"].sum()) == (12, 12)


@pytest.mark.parametrize(("assignment", "message"), [
    ("global_step", "expected KEY=NUMBER or KEY=FILE.npy"),
    ("global_step=x", "a value is a number or the path of a .npy file: got x"),
    ("dense/kernel=nowhere.npy", "cannot read"),
    ("dense/kernel=text.npy", "this is no array that numpy saved"),
    ("global_step=1.5", "the tensor can't hold this number"),
])
def test_values_that_are_none(tool, tmp_path, monkeypatch, assignment, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.npy").write_text("no array")
    status, _, err = tool("set", EXAMPLE, assignment, "-o", tmp_path / "b")
    assert status == 2
    assert message in err


def test_one_tensor_is_set_once(tool, tmp_path):
    status, _, err = tool("set", EXAMPLE, "global_step=1", "global_step=2", "-o", tmp_path / "b")
    assert (status, "one tensor is set twice" in err) == (2, True)
