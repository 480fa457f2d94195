"""What saving every step costs a training step: not at all, at once, in the background.

PYTHONPATH=src .envs/tf2.21/bin/python bench/background.py [--batch 512] [--steps 10]

A model of 100 MB (25 matrices of float32) trained by SGD in TensorFlow on all cores. The steps
of the kinds take turns, so that what else the machine does hits all of them; medians.
The time that a step is slowed by depends on how long it is: it is told with the result. So is
what the system takes by itself: a thread that only writes the same bytes, and syncs them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tensorflow as tf

import tfckpt

SIZE, N_LAYERS = 1024, 25  # 25 * 4 MiB


class Writer:
    """Writes variables' bytes in a thread, one write at a time: what a save can't do without."""

    def __init__(self, variables: list[tf.Variable], file: str) -> None:
        self._variables, self._file = variables, file
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self.wait()
        arrays = [variable.numpy() for variable in self._variables]  # copies, as it has to
        self._thread = threading.Thread(target=self._write, args=(arrays,))
        self._thread.start()

    def _write(self, arrays: list[object]) -> None:
        with open(self._file, "wb", buffering=0) as file:
            file.writelines(arrays)
            os.fsync(file.fileno())

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--steps", type=int, default=10, help="of each kind")
    parser.add_argument("--folder", help="where checkpoints go; by default a temporary folder")
    args = parser.parse_args()

    module = tf.Module()
    module.kernels = [tf.Variable(tf.random.normal([SIZE, SIZE]) / 32, name=f"kernel_{n}")
                      for n in range(N_LAYERS)]
    inputs = tf.random.normal([args.batch, SIZE])

    @tf.function
    def train() -> tf.Tensor:
        with tf.GradientTape() as tape:
            x = inputs
            for kernel in module.kernels:
                x = tf.tanh(x @ kernel)
            loss = tf.reduce_mean(x * x)
        for kernel, gradient in zip(module.kernels, tape.gradient(loss, module.kernels),
                                    strict=True):
            kernel.assign_sub(0.01 * gradient)
        return loss

    folder = tempfile.mkdtemp(dir=args.folder)
    manager = tfckpt.CheckpointManager(tfckpt.Checkpoint(module=module), folder, 1)
    background = tfckpt.BackgroundSaves()
    writer = Writer(module.kernels, folder + "/raw")
    saves = {"no save": lambda: None, "save": manager.save,
             "save in the background": lambda: background.save(manager),
             "bytes alone, in a thread": writer.start}
    seconds: dict[str, list[float]] = {name: [] for name in saves}
    calls: list[float] = []
    try:
        train().numpy()
        for _ in range(args.steps):
            for name, save in saves.items():
                # Three in a row, of which the last two are measured: then a save of the step
                # before is still being written, as in a training that saves every step.
                for n in range(3):
                    start = time.perf_counter()
                    train().numpy()
                    trained = time.perf_counter()
                    save()
                    end = time.perf_counter()
                    if n:
                        seconds[name].append(end - start)
                    if n and name == "save in the background":
                        calls.append(end - trained)
                background.wait()
                writer.wait()
    finally:
        shutil.rmtree(folder)
    base = statistics.median(seconds["no save"])
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:24}{1000 * median:8.0f} ms a step{100 * (median / base - 1):+8.1f} %")
    print(f"{'a call of save':24}{1000 * statistics.median(calls):8.1f} ms, with"
          f" {4 * SIZE * SIZE * N_LAYERS / 1e6:.0f} MB in {N_LAYERS} variables")


if __name__ == "__main__":
    main()
