"""Seconds and memory of conversions to files of other frameworks, beside a raw copy of the data.

python bench/files.py [--gib 1] [--folder .bench]

The checkpoint is of random numbers in 258 tensors; it was just written, so all runs read it from
the system's cache. Each conversion ends with what it wrote on the disk, read again and compared
with the source. The copy ends with the bytes on the disk too (fsync), and doesn't look at them.
Medians of five, turn by turn.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from tfckpt.core.arrays import array_output
from tfckpt.core.plan import Plan
from tfckpt.core.writer import write_plan
from tfckpt.format.dtypes import dtype_named

TFCKPT = Path(sys.executable).parent / "tfckpt"
COPY = """
import os, sys
with open(sys.argv[1], "rb") as old, open(sys.argv[2], "xb", buffering=0) as new:
    left = os.fstat(old.fileno()).st_size
    while left:
        left -= os.copy_file_range(old.fileno(), new.fileno(), left)
    os.fsync(new.fileno())
"""
N_TENSORS = 258


def make(prefix: Path, gib: float) -> str:
    """A checkpoint of random numbers.

    Made by another process: Linux starts counting a child's memory at what its parent has.
    """
    pid = os.fork()
    if not pid:
        make_here(prefix, gib)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    return str(prefix)


def make_here(prefix: Path, gib: float) -> None:
    """A checkpoint of random numbers."""
    n_values = int(gib * 2**30) // N_TENSORS // 4
    rng = np.random.default_rng(0)
    float32 = dtype_named("float32")
    outputs = [array_output(f"net/layer_{n}/kernel", rng.random(n_values, np.float32), float32)
               for n in range(N_TENSORS)]
    write_plan(Plan(tuple(outputs), "name-based"), str(prefix), overwrite=True)


def run(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Seconds, and megabytes of memory, of one process; what it writes is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    pid = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    assert status == 0, arguments
    shutil.rmtree(folder)
    return seconds, usage.ru_maxrss / 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--formats", nargs="*", default=["safetensors"])
    options = parser.parse_args()
    compileall.compile_dir(Path(__file__).resolve().parent.parent / "src", quiet=1)
    source = make(options.folder / "files" / "m", options.gib)
    out = options.folder / "files" / "out"
    jobs = {"raw copy": [sys.executable, "-c", COPY, f"{source}.data-00000-of-00001",
                         str(out / "copy")]}
    for name in options.formats:
        jobs[f"convert --to {name}"] = [str(TFCKPT), "convert", source, "--to", name, "-o",
                                        str(out / "m")]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(5):
        for name, arguments in jobs.items():
            os.sync()
            found[name].append(run(arguments, out))
    base = statistics.median(seconds for seconds, _ in found["raw copy"])
    print(f"{'job':<26} {'GiB':>5} {'s':>7} {'x copy':>7} {'MB':>6}")
    for name, runs in found.items():
        seconds = statistics.median(seconds for seconds, _ in runs)
        print(f"{name:<26} {options.gib:5.1f} {seconds:7.3f} {seconds / base:7.2f}"
              f" {max(memory for _, memory in runs):6.0f}", flush=True)
    shutil.rmtree(options.folder / "files")


if __name__ == "__main__":
    main()
