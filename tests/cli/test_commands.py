from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import EXAMPLE, GOLDENS, ROOT, copy_checkpoint, files_of
from tfckpt.cli.main import run

LONG = """\
v0  float32  [2]   8  shard 0  at 0  cf1f215e
v1  float32  [3]  12  shard 1  at 0  d0890671
v2  float32  [4]  16  shard 2  at 0  9bae3db2
"""


@pytest.fixture
def tool(capsys):
    """Runs the command line in this process; returns status, output and error lines."""
    def call(*arguments):
        try:
            status = run([str(argument) for argument in arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err
    return call


def test_ls_prints_a_line_per_tensor(tool):
    status, out, err = tool("ls", GOLDENS / "tf1.15" / "names")
    assert (status, err) == (0, "")
    assert out == ("Variable    float32  [3]\nVariable_1  float32  [3]\na           float32  [3]\n"
                   "block.1/w   float32  [3]\nscoped/c    float32  [3]\nv.Stage/w   float32  [3]\n"
                   "with space  float32  [3]\nx.S         float32  [3]\nüber/größe  float32  [3]\n")


def test_ls_long_adds_where_the_bytes_are(tool):
    _, out, _ = tool("ls", "--long", GOLDENS / "tf1.15" / "sharded")
    assert out == LONG


def test_ls_shows_object_keys_as_people_say_them(tool):
    _, short, _ = tool("ls", "--include", "scoped", GOLDENS / "tf2.21" / "vars-1")
    _, raw, _ = tool("ls", "--raw", "--include", "scoped", GOLDENS / "tf2.21" / "vars-1")
    assert short == "vars/scoped.Sc  float32  [2]\n"
    assert raw == "vars/scoped.Sc/.ATTRIBUTES/VARIABLE_VALUE  float32  [2]\n"


def test_ls_filters(tool):
    _, out, _ = tool("ls", EXAMPLE, "--include", "^dense", "--exclude", "Adam")
    assert out == "dense/bias    float32  [4]\ndense/kernel  float32  [3,4]\n"
    status, _, err = tool("ls", EXAMPLE, "--include", "(")
    assert status == 2
    assert "'(' is no regular expression" in err


def test_ls_json_tells_everything(tool):
    _, out, _ = tool("ls", "--json", "--include", "^dense/bias$", EXAMPLE)
    entry = json.loads(out)[0]
    assert {k: v for k, v in entry.items() if k not in ("offset", "masked_crc32c")} == {
        "key": "dense/bias", "dtype": "float32", "shape": [4], "bytes": 16, "shard": 0,
        "slices": 0}


def test_ls_escapes_what_a_terminal_must_not_see(tool, tmp_path):
    from tfckpt.core.plan import Plan, given_int64
    from tfckpt.core.writer import write_plan

    write_plan(Plan((given_int64("a\x1b[31m\udcff\n", 1, "little"),), "name-based"),
               str(tmp_path / "m"))
    _, out, _ = tool("ls", tmp_path / "m")
    assert out == "a\\x1b[31m\\xff\\x0a  int64  []\n"


def test_inspect_says_what_a_checkpoint_is(tool):
    status, out, err = tool("inspect", f"{EXAMPLE}.data-00000-of-00001")
    assert status == 0
    assert err == f"note: that is a data shard; using the checkpoint prefix {EXAMPLE}\n"
    assert out == (
        "TensorFlow checkpoint (V2 bundle), name-based (TF1), 1 shard, 712 B, step 7\n"
        "  model       6 tensors   58 values  232 B  float32\n"
        "  optimizer  14 tensors  118 values  472 B  float32 (beta1_power, beta2_power, Adam,"
        " Adam_1)\n"
        "  ema              none\n"
        "  other        1 tensor     1 value    8 B  int64 (global_step)\n"
        "hint: optimizer state is 66 % of the tensors' bytes; `tfckpt strip` leaves it out\n")


def test_inspect_warns_of_a_checkpoint_of_nothing(tool, tmp_path):
    from tfckpt.core.plan import Plan, given_int64, given_string
    from tfckpt.core.writer import write_plan
    from tfckpt.format.objectgraph import OBJECT_GRAPH_KEY, Node, encode_object_graph

    write_plan(Plan((given_string(OBJECT_GRAPH_KEY, encode_object_graph([Node()]), "little"),
                     given_int64("save_counter/.ATTRIBUTES/VARIABLE_VALUE", 1, "little")),
                    "object-based"), str(tmp_path / "m"))
    _, out, _ = tool("inspect", tmp_path / "m")
    assert ("warning: no model tensors here: the object that was saved had nothing attached"
            in out.splitlines())


def test_inspect_warns_of_what_a_copy_lost(tool, tmp_path):
    prefix = copy_checkpoint(EXAMPLE, tmp_path)
    data = tmp_path / "model.ckpt-7.data-00000-of-00001"
    for content in (data.read_bytes()[:-1], b""):
        data.write_bytes(content)
        assert tool("inspect", prefix)[1].splitlines()[-1] == (
            f"warning: 1 of its data files are cut short, the first is {data};"
            " `tfckpt verify` says what is lost")
    (tmp_path / "model.ckpt-7.index").write_bytes(bytes(100))
    assert tool("inspect", prefix)[2].splitlines()[-1] == (
        "It was cut short or is damaged; `tfckpt verify` says what is whole.")


def test_inspect_json(tool):
    _, out, _ = tool("inspect", "--json", EXAMPLE)
    summary = json.loads(out)
    assert (summary["style"], summary["step"], summary["bytes"]) == ("name-based", 7, 712)
    assert summary["groups"]["model"]["tensors"] == 6


def test_show_prints_as_the_guide_does(tool):
    _, out, _ = tool("show", GOLDENS / "tf1.15" / "names", "scoped/c")
    assert out == (f"Checkpoint at '{GOLDENS}/tf1.15/names':\n"
                   "  (key='scoped/c', shape=[3], dtype=float32, value=[ 1.    -1.     0.125])\n")
    _, out, _ = tool("show", EXAMPLE, "global_step")
    assert out.endswith("  (key='global_step', shape=[], dtype=int64, value=7)\n")


def test_show_without_a_key_shows_all_shortened(tool):
    _, out, _ = tool("show", GOLDENS / "tf2.21" / "state")
    assert "value not shown: tensors of dtype variant have no form as an array" in out
    assert "dtype=string, value=[b'" in out
    assert len(out) < 5000
    _, full, _ = tool("show", "--full", GOLDENS / "tf1.15" / "strings", "vector")
    assert "x" * 300 in full


def test_show_json_gives_values(tool):
    _, out, _ = tool("show", "--json", GOLDENS / "tf1.15" / "strings", "vector")
    assert json.loads(out)[0]["value"] == ["abc", "", {"base64": "/wA="}, "x" * 300]
    _, out, _ = tool("show", "--json", GOLDENS / "tf1.15" / "dtypes", "complex64", "bool",
                     "bfloat16")
    assert [len(tensor["value"]) for tensor in json.loads(out)] == [2, 2, 2]


def test_show_of_a_missing_key_offers_the_nearest(tool):
    status, _, err = tool("show", EXAMPLE, "bias")
    assert status == 2
    assert err == ("error: the checkpoint has no such tensor (tensor 'bias')\n"
                   "Nearest: dense/bias, logits/bias.\n")


def test_verify_says_whole_with_status_0(tool):
    status, out, _ = tool("verify", EXAMPLE)
    assert (status, out) == (0, "ok    index; 21 of 21 tensors in 1 shard (checksums, 712 B)\n")
    _, out, _ = tool("verify", "--quick", EXAMPLE)
    assert out == "ok    index; 21 of 21 tensors in 1 shard (sizes)\n"


def test_verify_names_what_is_damaged_with_status_1(tool, tf1):
    data = Path(tf1 + ".data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:700])
    status, out, _ = tool("verify", tf1)
    assert status == 1
    assert re.fullmatch(
        r"FAIL  the data file is 12 bytes short; the last whole tensor is \S+: expected 712 bytes,"
        rf" got 700 \(file {re.escape(str(data))}\)\n      \d tensors?: .*\n"
        r"ok    index; 0 of 1 shard; 20 of 21 tensors \(checksums, \d+ B\)\n"
        rf"hint: `tfckpt salvage {re.escape(tf1)} -o DST` writes what is whole\n", out)
    status, out, _ = tool("verify", "--json", tf1)
    report = json.loads(out)
    assert (status, report["ok"]) == (1, False)
    assert report["damaged"] == report["problems"][0]["tensors"]


def test_verify_of_a_damaged_index_has_status_1(tool, tf1):
    index = Path(tf1 + ".index")
    damaged = bytearray(index.read_bytes())
    damaged[10] ^= 1
    index.write_bytes(damaged)
    status, out, _ = tool("verify", tf1)
    assert status == 1
    assert out.startswith("FAIL  block checksum does not match: expected 0x")


def test_verify_of_nothing_has_status_2(tool, tmp_path):
    status, out, err = tool("verify", tmp_path / "m")
    assert (status, out) == (2, "")
    assert err == (f"error: there is no checkpoint here (file {tmp_path}/m)\n"
                   "No checkpoint is in that folder.\n")


def test_convert_writes_exactly_where_it_is_told(tool, tf1, tmp_path):
    target = tmp_path / "out" / "ckpt"
    status, out, err = tool("convert", tf1, "--to", "tf2", "-o", target)
    assert (status, err) == (0, "")
    assert re.fullmatch(
        rf"{re.escape(tf1)} -> {re.escape(str(target))} \(object-based\)\n"
        r"  21 tensors renamed, their bytes untouched; 2 new; 0 left out\n"
        r"  \S+ckpt\.data-00000-of-00002 +712 B  (linked \((hard link|reflink)\)|copied)\n"
        r"  \S+ckpt\.data-00001-of-00002 +[\d.]+ kB  new\n"
        r"  \S+ckpt\.index +[\d.]+ kB  new\n", out)
    status, out, _ = tool("convert", target, "--to", "tf1", "-o", tmp_path / "back")
    assert status == 0
    assert files_of(str(EXAMPLE))["model.ckpt-7.index"] == files_of(
        str(tmp_path / "back"))["back.index"]


def test_convert_dry_run_prints_the_plan(tool, tmp_path):
    status, out, _ = tool("convert", EXAMPLE, "--to", "tf2", "-o", tmp_path / "m", "--dry_run")
    assert status == 0
    lines = out.splitlines()
    assert ("  dense/kernel          ->  vars/dense.Skernel/.ATTRIBUTES/VARIABLE_VALUE" in lines)
    assert lines[-1] == "Nothing written (--dry-run)."
    assert os.listdir(tmp_path) == []


def test_convert_does_not_overwrite(tool, tf1, tmp_path):
    copy_checkpoint(EXAMPLE, tmp_path, "ckpt")
    status, _, err = tool("convert", tf1, "--to", "tf2", "-o", tmp_path / "ckpt")
    assert status == 2
    assert err == (f"error: there is already a checkpoint (file {tmp_path}/ckpt)\n"
                   "Give another prefix, or allow it with --overwrite.\n")
    assert tool("convert", tf1, "--to", "tf2", "-o", tmp_path / "ckpt", "--overwrite")[0] == 0


def test_convert_shows_ambiguous_names_as_a_table(tool, tmp_path):
    from tfckpt.core.plan import Plan, given_int64, given_string
    from tfckpt.core.writer import write_plan
    from tfckpt.format.objectgraph import (
        OBJECT_GRAPH_KEY,
        Attribute,
        Child,
        Node,
        encode_object_graph,
    )

    keys = [f"{n}/.ATTRIBUTES/VARIABLE_VALUE" for n in "ab"]
    graph = [Node((Child(1, "a"), Child(2, "b"))),
             *(Node(attributes=(Attribute("VARIABLE_VALUE", "w", key),)) for key in keys)]
    write_plan(Plan((*(given_int64(key, 1, "little") for key in keys),
                     given_string(OBJECT_GRAPH_KEY, encode_object_graph(graph), "little")),
                    "object-based"), str(tmp_path / "m"))
    status, _, err = tool("convert", tmp_path / "m", "--to", "tf1", "--names", "full-name", "-o",
                          tmp_path / "out")
    assert status == 2
    assert err == (
        "error: 2 tensors have no name of their own in a name-based checkpoint\n"
        "  'w'  <-  a/.ATTRIBUTES/VARIABLE_VALUE\n"
        "       <-  b/.ATTRIBUTES/VARIABLE_VALUE\n"
        "Nothing was written. Paths are always unique: --names path.\n")


def test_convert_json(tool, tf1, tmp_path):
    _, out, _ = tool("convert", tf1, "--to", "tf2", "-o", tmp_path / "m", "--json")
    report = json.loads(out)
    assert report["style"] == "object-based"
    assert {"key": "vars/dense.Sbias/.ATTRIBUTES/VARIABLE_VALUE", "dtype": "float32", "shape": [4],
            "from": "dense/bias"} in report["outputs"]
    assert [file["how"] for file in report["files"]][1:] == ["new", "new"]


@pytest.mark.parametrize("arguments", [["convert", "a"], ["ls"], ["nonsense"], ["ls", "--nonsense"],
                                       ["convert", "a", "--to", "tf3", "-o", "b"], []])
def test_wrong_usage_has_status_2(tool, arguments):
    assert tool(*arguments)[0] == 2


@pytest.mark.parametrize(("arguments", "said"), [
    # As the rename script that many projects copied is called: PATH is missing, too.
    (["rename", "--checkpoint_dir=a", "--replace_from=b", "--replace_to", "c", "--dry_run"],
     "there is no --checkpoint-dir: the checkpoint stands alone, as in tfckpt rename PATH;"
     " there is no --replace-from: it is --replace FROM=TO;"
     " there is no --replace-to: it is --replace FROM=TO"),
    (["ls", "a", "--tensor_name", "b"],
     "there is no --tensor-name: tfckpt show PATH KEY shows one tensor"),
    (["ls", "a", "--replace_from=b"], "there is no --replace-from"),
    (["average", "a", "--num_last_checkpoints", "5"],
     "there is no --num-last-checkpoints: it is --last N"),
    (["strip", "a", "--output_dir", "b"], "there is no --output-dir: it is -o DST"),
    (["match", "a", "--against", "b", "--ignore-optimizer"],
     "there is no --ignore-optimizer: the optimizer's state counts only with --everything"),
    (["verify", "a", "--latest"], "there is no --latest; did you mean --latest-good?"),
    (["ls", "a", "--nonsense", "--", "--b"], "there is no --nonsense"),
])
def test_an_option_that_is_not_there_is_told_by_the_command_itself(tool, arguments, said):
    status, out, err = tool(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"usage: tfckpt {arguments[0]} ")
    assert err.splitlines()[-1] == f"tfckpt {arguments[0]}: error: {said}"


@pytest.mark.parametrize("arguments", [
    ["convert", EXAMPLE, "--to", "tf2"], ["rename", EXAMPLE, "--replace", "dense=d"],
    ["strip", EXAMPLE], ["select", EXAMPLE, "--keep", "dense"],
    ["cast", EXAMPLE, "--dtype", "bf16"], ["merge", EXAMPLE, "--prefix-1", "a/"],
    ["set", EXAMPLE, "global_step=3"],
    ["reshard", EXAMPLE, "--join"], ["salvage", EXAMPLE]], ids=lambda item: item[0])
def test_a_dry_run_needs_no_output_and_says_what_one_with_an_output_does(
        tool, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    without = tool(*arguments, "--dry_run")
    assert without[0] == 0
    assert tool(*arguments, "--dry-run", "-o", "DST") == without
    assert tool(*arguments, "--dry-run", "--output=DST") == without
    assert list(tmp_path.iterdir()) == []
    assert tool(*arguments)[0] == 2, "without --dry-run there must be an output"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["inspect", "ls", "show", "verify", "convert"])
def test_every_command_has_help_with_examples(tool, command):
    status, out, _ = tool(command, "--help")
    assert status == 0
    assert f"Examples:\n  tfckpt {command} " in out


def test_aliases_and_underscores(tool):
    assert tool("info", EXAMPLE)[1] == tool("inspect", EXAMPLE)[1]
    assert tool("validate", EXAMPLE)[0] == 0
    assert tool("diff", EXAMPLE, EXAMPLE, "--skip_optimizer") == tool(
        "diff", EXAMPLE, EXAMPLE, "--ignore-optimizer")


def tfckpt(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "tfckpt.cli.main", *map(str, arguments)],
                          capture_output=True, text=True, check=False, cwd=ROOT, **options)


def test_the_command_runs_as_a_process():
    done = tfckpt("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"tfckpt \d+\.\d+\.\d+\S*\n", done.stdout)
    python = "import tfckpt; print('tfckpt', tfckpt.__version__)"
    assert done.stdout == subprocess.check_output([sys.executable, "-c", python], text=True)


def test_a_closed_pipe_ends_it_quietly():
    done = subprocess.run(f"{sys.executable} -m tfckpt.cli.main ls {EXAMPLE} | head -1", shell=True,
                          capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stderr == ""


def test_a_check_that_nobody_reads_to_the_end_does_not_say_yes(tmp_path):
    make = f"{sys.executable} -m tfckpt"
    keys = " ".join(f"{'k' * 200}{n}=1" for n in range(400))
    subprocess.run(f"{make} set {EXAMPLE} {keys} -o {tmp_path / 'm'}", shell=True, check=True,
                   capture_output=True, cwd=ROOT)
    for file in tmp_path.glob("m.data-*"):
        file.unlink()
    done = subprocess.run(["bash", "-c", f"{make} verify {tmp_path / 'm'} | head -1;"
                                         " exit ${PIPESTATUS[0]}"],
                          capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_of_few_letters_gets_escapes():
    done = tfckpt("ls", GOLDENS / "tf1.15" / "names",
                  env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert done.returncode == 0
    assert "\\xfcber/gr\\xf6\\xdfe" in done.stdout


def test_colours_only_on_a_terminal():
    assert "\x1b[" not in tfckpt("verify", EXAMPLE).stdout


@pytest.mark.parametrize(("arguments", "message"), [
    (("--to", "keras", "--model", "a:b", "--dtype", "float16", "--ema", "use"),
     "--ema, --dtype can't be given with --to keras"),
    (("--to", "tf2", "--trust_order"),
     "--trust-order can't be given with anything but --to keras and --model"),
    (("--to", "tf2", "--allow-missing"),
     "--allow-missing can't be given with anything but --like and --to keras"),
    (("--to", "legacy", "--map", "m.json"),
     "--map can't be given with state of an optimizer that is converted"),
    (("--like", EXAMPLE, "--include", "dense"), "--include can't be given with --like"),
    (("--to", "legacy", "--exclude", "dense"),
     "--exclude can't be given with state of an optimizer that is converted"),
])
def test_options_that_would_have_no_effect_are_refused(tool, tmp_path, arguments, message):
    assert tool("convert", EXAMPLE, *arguments, "-o", tmp_path / "a.weights.h5") == (
        2, "", f"error: {message}\n")
