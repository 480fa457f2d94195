"""Measures tfckpt against TensorFlow, in turn on the same machine.

``make bench`` runs it. Reading and converting are timed as whole processes; saves of live
variables inside theirs, since making the variables takes longer than saving them. Both sides
do the same job; the table gives the median of each and their ratio, and
``.bench/results.json`` keeps every run. Nothing here passes or fails: the machine decides,
and a figure is only worth its ratio.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench"
OUTPUT = WORK / "output"
TENSORFLOW = ROOT / ".envs" / "tf2.21" / "bin" / "python"
TFCKPT = Path(sys.executable).parent / "tfckpt"
SIZES = {"1 GiB in 256 tensors": (256, 1 << 20), "100,000 small tensors": (100_000, 4)}

Command = list[str]
Run = dict[str, float]


def data(label: str) -> str:
    """Prefix of the source checkpoint of this size, written by TensorFlow once."""
    n_tensors, n_values = SIZES[label]
    prefix = WORK / f"source-{n_tensors}x{n_values}" / "model.ckpt"
    if not prefix.with_name("model.ckpt.index").exists():
        prefix.parent.mkdir(parents=True, exist_ok=True)
        run(tensorflow("make", str(prefix), str(n_tensors), str(n_values)))
    return str(prefix)


def tensorflow(*arguments: str) -> Command:
    return [str(TENSORFLOW), str(ROOT / "bench" / "tensorflow_side.py"), *arguments]


def jobs(prefix: str) -> dict[str, tuple[Command, Command]]:
    """What is compared: tfckpt's command and TensorFlow's."""
    output = str(OUTPUT / "ckpt")
    return {
        "convert TF1 to TF2": ([str(TFCKPT), "convert", prefix, "--to", "tf2", "-o", output],
                               tensorflow("convert", prefix, output)),
        "list": ([str(TFCKPT), "ls", prefix], tensorflow("list", prefix)),
        "load all": ([sys.executable, str(ROOT / "bench" / "tfckpt_load.py"), prefix],
                     tensorflow("load", prefix)),
    }


def run(command: Command) -> Run:
    """Seconds and peak memory of one whole process."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=quiet)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed with status {process.returncode}: {' '.join(command)}")
    unit = 1 if platform.system() == "Darwin" else 1024
    return {"seconds": seconds, "peak_mb": usage.ru_maxrss * unit / 1e6}


def compare(ours: Command, theirs: Command, runs: int) -> dict[str, list[Run]]:
    """Both commands in turn, after one uncounted run of ours (TensorFlow's would be long)."""
    run(ours)
    pairs = [(run(ours), run(theirs)) for _ in range(runs)]
    return {"tfckpt": [pair[0] for pair in pairs], "tensorflow": [pair[1] for pair in pairs]}


def median(runs: list[Run], key: str) -> float:
    return statistics.median(entry[key] for entry in runs)


def saves(label: str) -> dict[str, tuple[Command, Command]]:
    """Saves of live variables: tfckpt's command, and TensorFlow's or the raw write to compare."""
    sizes = [str(n) for n in SIZES[label]]
    ours = [sys.executable, str(ROOT / "bench" / "tfckpt_save.py")]
    out = str(OUTPUT)
    jobs = {
        "Saver.save": ([*ours, "saver", out, *sizes], tensorflow("save", "saver", out, *sizes)),
        "Checkpoint.write": ([*ours, "checkpoint", out, *sizes],
                             tensorflow("save", "checkpoint", out, *sizes)),
    }
    if label.startswith("1 GiB"):
        jobs["both to one"] = ([*ours, "both", out, *sizes], [*ours, "checkpoint", out, *sizes])
        jobs["Saver to raw write"] = ([*ours, "saver", out, *sizes], [*ours, "raw", out, *sizes])
    return jobs


def reads() -> dict[str, tuple[str, Command, Command]]:
    """Reads of an index in a warm process, by job: the checkpoint, tfckpt's and TensorFlow's."""
    ours = [sys.executable, str(ROOT / "bench" / "tfckpt_read.py")]
    many = WORK / "source-1000000x1" / "model.ckpt"
    if not many.with_name("model.ckpt.index").exists():
        many.parent.mkdir(parents=True, exist_ok=True)
        run([*ours, "make", str(many), "1000000"])
    listed = data("100,000 small tensors")
    return {
        "listing": ("100,000 small tensors", [*ours, "listing", listed],
                    tensorflow("timed", "listing", listed)),
        "one tensor": ("1,000,000 small tensors", [*ours, "one", str(many)],
                       tensorflow("timed", "one", str(many))),
    }


def time_inside(command: Command) -> Run:
    """Seconds that a script says its save took, without the making of the variables."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    os.sync()  # what the run before left to be written must not count for this one
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=quiet)
    found: Run = json.loads(done.stdout.splitlines()[-1])
    return found


def compare_inside(ours: Command, theirs: Command, runs: int) -> list[tuple[Run, Run]]:
    """Both saves in turn, each first in every other pair: whoever comes second finds memory and
    disk warmed up. One uncounted run before.
    """
    time_inside(theirs)
    pairs = []
    for n in range(runs):
        if n % 2:
            theirs_first = time_inside(theirs)
            pairs.append((time_inside(ours), theirs_first))
        else:
            pairs.append((time_inside(ours), time_inside(theirs)))
    return pairs


def show(job: str, label: str, *cells: str) -> None:
    print(f"{job:20} {label:22}", *(f"{cell:>11}" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="counted runs of each command")
    parser.add_argument("--only", metavar="TEXT", default="", help="jobs with this in their name")
    arguments = parser.parse_args()
    if not TENSORFLOW.exists():
        sys.exit("TensorFlow 2.21 is not here: run make envs")
    results: dict[str, dict[str, list[Run]]] = {}
    # The package as pip installs it: an editable install leaves the byte code to its users.
    compileall.compile_dir(ROOT / "src", quiet=1)
    show("job", "checkpoint", "tfckpt", "TensorFlow", "ratio", "tfckpt", "TensorFlow")
    for label in SIZES:
        for job, (ours, theirs) in jobs(data(label)).items():
            if arguments.only not in f"{job}, {label}":
                continue
            result = results[f"{job}, {label}"] = compare(ours, theirs, arguments.runs)
            mine, its = (median(result[side], "seconds") for side in result)
            memory = [f"{median(runs, 'peak_mb'):.0f} MB" for runs in result.values()]
            show(job, label, f"{mine:.3f} s", f"{its:.2f} s", f"{its / mine:.0f} x", *memory)
    show("reading, warm", "checkpoint", "tfckpt", "TensorFlow", "ratio")
    for job, (label, ours, theirs) in reads().items():
        if arguments.only in f"{job}, {label}":
            pairs = compare_inside(ours, theirs, arguments.runs)
            results[f"{job}, {label}"] = {"tfckpt": [pair[0] for pair in pairs],
                                          "tensorflow": [pair[1] for pair in pairs]}
            mine, its = (median([pair[n] for pair in pairs], "seconds") for n in (0, 1))
            show(job, label, f"{1e3 * mine:.2f} ms", f"{1e3 * its:.2f} ms", f"{its / mine:.1f} x")
    show("saving", "variables", "tfckpt", "compared", "ratio")
    for label in SIZES:
        for job, (ours, theirs) in saves(label).items():
            if arguments.only not in f"{job}, {label}":
                continue
            pairs = compare_inside(ours, theirs, arguments.runs)
            results[f"{job}, {label}"] = {"tfckpt": [pair[0] for pair in pairs],
                                          "compared": [pair[1] for pair in pairs]}
            mine, its = (median([pair[n] for pair in pairs], "seconds") for n in (0, 1))
            show(job, label, f"{mine:.3f} s", f"{its:.3f} s", f"{its / mine:.2f} x")
    shutil.rmtree(OUTPUT, ignore_errors=True)
    (WORK / "results.json").write_text(json.dumps(
        {"machine": platform.platform(), "processors": os.cpu_count(),
         "python": platform.python_version(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
