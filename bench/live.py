"""Restore and save a live TensorFlow model of 1 GiB, beside tf.train.Checkpoint, in one process.

``python bench/live.py [ENVIRONMENT]`` starts itself in ``.envs/ENVIRONMENT`` (tf2.21 by default).
Each job is done by both in turn; the medians are printed. Both check every CRC on a restore.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
N, ELEMENTS = 256, 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environment", nargs="?", default="tf2.21")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", help="where to put the checkpoints; by default with temp files")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.inside:
        python = ROOT / ".envs" / args.environment / "bin" / "python"
        subprocess.run([python, __file__, *sys.argv[1:], "--inside"], check=True,
                       env={**os.environ, "PYTHONPATH": str(ROOT / "src"),
                            "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"})
        return
    folder = tempfile.mkdtemp(dir=args.folder)
    try:
        measure(folder, args.runs)
    finally:
        shutil.rmtree(folder)


def measure(folder: str, runs: int) -> None:
    import tensorflow as tf

    import tfckpt

    variables = [tf.Variable(tf.random.normal([1024, ELEMENTS // 1024])) for _ in range(N)]
    module = tf.Module()
    module.layers = variables
    both = {"tfckpt": tfckpt.Checkpoint(model=module),
            "TensorFlow": tf.train.Checkpoint(model=module)}
    path = both["TensorFlow"].write(os.path.join(folder, "ckpt"))
    times: dict[tuple[str, str], list[float]] = {}
    for run in range(runs + 1):
        for name, checkpoint in both.items():
            jobs = {"restore": lambda c=checkpoint: c.read(path).assert_consumed(),
                    "save": lambda c=checkpoint, n=name: c.write(os.path.join(folder, n))}
            for job, work in jobs.items():
                start = time.perf_counter()
                work()
                if run:  # the first warms up
                    times.setdefault((job, name), []).append(time.perf_counter() - start)
    print(f"TensorFlow {tf.__version__}, 1 GiB in {N} variables, medians of {runs}")
    for job in ("restore", "save"):
        ours, theirs = (statistics.median(times[job, name]) for name in both)
        print(f"{job:8} tfckpt {ours:.3f} s   TensorFlow {theirs:.3f} s"
              f"   ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
