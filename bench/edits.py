"""Seconds and memory of edits of a big checkpoint: whole processes, medians of three.

python bench/edits.py [--gib 10] [--folder .bench]

The checkpoint holds Adam's state of 86 weights, its data a file with a hole, which takes no
space and is as long as any. Edits that only change keys link it; `cast` and `average`
read and write a tenth of it.
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

from tfckpt.core.index import Entry
from tfckpt.format.bundle import BundleHeader, encode_entry, encode_header
from tfckpt.format.crc32c import crc32c, mask
from tfckpt.format.dtypes import dtype_named
from tfckpt.format.table import encode_table

TFCKPT = Path(sys.executable).parent / "tfckpt"
N_WEIGHTS = 86
"""Each with two slots, so 258 tensors."""


def make(prefix: Path, gib: float) -> str:
    """A checkpoint of zeros, its data a hole."""
    n_values = int(gib * 2**30) // (N_WEIGHTS * 3) // 4
    crc = 0
    zeros = bytes(1 << 20)
    left = 4 * n_values
    while left:
        crc = crc32c(zeros[:min(left, len(zeros))], crc)
        left -= min(left, len(zeros))
    float32 = dtype_named("float32")
    entries, offset = [], 0
    for n in range(N_WEIGHTS):
        for slot in ("", "/Adam", "/Adam_1"):
            entries.append(Entry(f"net/layer_{n}/kernel{slot}", float32, (n_values,), 0, offset,
                                 4 * n_values, mask(crc)))
            offset += 4 * n_values
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{prefix}.data-00000-of-00001", "wb") as data:
        data.truncate(offset)
    write_index(prefix, entries)
    return str(prefix)


def write_index(prefix: Path, entries: list[Entry]) -> None:
    """The index of a bundle of one data file."""
    rows = sorted((entry.key.encode(), encode_entry(entry.as_bundle_entry()))
                  for entry in entries)
    Path(f"{prefix}.index").write_bytes(encode_table(
        [(b"", encode_header(BundleHeader(num_shards=1))), *rows]))


def measure(arguments: list[str], output: Path) -> tuple[float, float]:
    """Median seconds, and megabytes of memory."""
    seconds, memory = [], 0.0
    for _ in range(3):
        shutil.rmtree(output, ignore_errors=True)
        start = time.perf_counter()
        pid = os.posix_spawn(TFCKPT, [str(TFCKPT), *arguments], os.environ, file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)])
        _, status, usage = os.wait4(pid, 0)
        seconds.append(time.perf_counter() - start)
        assert status == 0, arguments
        memory = max(memory, usage.ru_maxrss / 1000)
    return statistics.median(seconds), memory


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=10)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    options = parser.parse_args()
    compileall.compile_dir(Path(__file__).resolve().parent.parent / "src", quiet=1)
    big = make(options.folder / "edits" / "big", options.gib)
    other = make(options.folder / "edits" / "other", options.gib / 10)
    out = options.folder / "edits" / "out"
    target = ["-o", str(out / "m")]
    print(f"{'command':<46} {'GiB':>5} {'s':>7} {'MB':>6}")
    for gib, arguments in (
            (options.gib, ["rename", big, "--strip-prefix", "net/", *target]),
            (options.gib, ["select", big, "--keep", "layer_1", *target]),
            (options.gib, ["strip", big, *target]),
            (options.gib, ["merge", big, other, "--prefix-2", "other/", *target]),
            (options.gib, ["convert", big, "--to", "tf2", *target]),
            (options.gib, ["convert", big, "--to", "legacy", "--iterations", "7", *target]),
            (options.gib / 10, ["cast", other, "--dtype", "bfloat16", *target]),
            (options.gib / 10, ["average", other, other, "--keep-twins", *target])):
        seconds, memory = measure(arguments, out)
        shown = " ".join(word for word in arguments[:-2] if "/edits/" not in word)
        print(f"{shown:<46} {gib:5.1f} {seconds:7.3f} {memory:6.0f}", flush=True)
    shutil.rmtree(options.folder / "edits")


if __name__ == "__main__":
    main()
