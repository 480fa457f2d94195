"""Seconds that one save of live variables takes: tfckpt's Saver, Checkpoint, both, or a raw write.

python bench/tfckpt_save.py saver|checkpoint|both|raw FOLDER N_TENSORS N_VALUES
"""

import json
import os
import sys
import time

import numpy as np

import tfckpt


def raw(arrays, file):
    """The same bytes into one file, and on disk as a checkpoint is."""
    with open(file, "xb", buffering=1 << 20) as out:
        out.writelines(arrays)
        out.flush()
        os.fsync(out.fileno())


def main(kind, folder, n_tensors, n_values):
    held = {f"model/block_{n // 4:05d}/dense_{n % 4}/kernel": tfckpt.Variable(
        np.full(int(n_values), n, np.float32)) for n in range(int(n_tensors))}
    saver = tfckpt.Saver(held)
    checkpoint = tfckpt.Checkpoint(variables=held)
    arrays = [variable.numpy() for variable in held.values()]
    start = time.perf_counter()
    if kind == "raw":
        raw(arrays, folder + "/raw")
    elif kind == "saver":
        saver.save(None, folder + "/m")
    elif kind == "checkpoint":
        checkpoint.write(folder + "/m")
    else:
        tfckpt.save_both(saver, checkpoint, folder + "/tf1/m", folder + "/tf2/m")
    seconds = time.perf_counter() - start
    files = {entry.inode(): entry for path, _, _ in os.walk(folder) for entry in os.scandir(path)
             if entry.is_file()}
    print(json.dumps({"seconds": seconds, "bytes_on_disk": sum(
        entry.stat().st_blocks * 512 for entry in files.values())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
