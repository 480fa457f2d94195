"""Seconds that reading an index takes in a process that is warm: the median of seven times.

python bench/tfckpt_read.py listing PREFIX      names and shapes of all tensors
python bench/tfckpt_read.py one PREFIX          open, and the value of one tensor
python bench/tfckpt_read.py make PREFIX N       a checkpoint of N small tensors
"""

import json
import statistics
import sys
import time

import numpy as np

import tfckpt


def name(n):
    return f"model/block_{n // 4:06d}/dense_{n % 4}/kernel"


def listing(prefix):
    return len(tfckpt.load_checkpoint(prefix).get_variable_to_shape_map())


def one(prefix):
    with tfckpt.open(prefix) as checkpoint:
        return float(checkpoint[name(400_002)][0])


def make(prefix, count):
    tfckpt.Saver({name(n): tfckpt.Variable(np.float32([n])) for n in range(int(count))}).save(
        None, prefix, write_state=False)


def timed(read, prefix):
    times = []
    for _ in range(8):  # the first finds nothing warm
        start = time.perf_counter()
        read(prefix)
        times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": statistics.median(times[1:])}))


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    if kind == "make":
        make(*arguments)
    else:
        timed({"listing": listing, "one": one}[kind], *arguments)
