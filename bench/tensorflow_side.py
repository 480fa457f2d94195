"""The same jobs done with TensorFlow, one per process; see run.py.

python bench/tensorflow_side.py make PREFIX N_TENSORS N_VALUES
python bench/tensorflow_side.py list|load|convert PREFIX [OUTPUT]
python bench/tensorflow_side.py timed listing|one PREFIX
"""

import json
import statistics
import sys
import time

import numpy as np
import tensorflow as tf


def make(prefix, n_tensors, n_values):
    """A name-based checkpoint of float32 vectors under names like a TF1 model's."""
    rng = np.random.default_rng(0)
    names = [f"model/block_{n // 4:05d}/dense_{n % 4}/kernel" for n in range(int(n_tensors))]
    tensors = [tf.constant(rng.random(int(n_values), np.float32)) for _ in names]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names),
                      tensors=tensors)


def list_names(prefix):
    for name, shape in tf.train.list_variables(prefix):
        print(name, shape)


def load(prefix):
    reader = tf.train.load_checkpoint(prefix)
    held = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    print(len(held))


def convert(prefix, output):
    """The recipe of TensorFlow's guide "Migrating model checkpoints"."""
    reader = tf.train.load_checkpoint(prefix)
    held = {name: tf.Variable(reader.get_tensor(name))
            for name in reader.get_variable_to_dtype_map()}
    print(tf.train.Checkpoint(vars=held).save(output))


def save(kind, folder, n_tensors, n_values):
    """Seconds that one save of variables takes, the variables being there already."""
    held = {f"model/block_{n // 4:05d}/dense_{n % 4}/kernel": tf.Variable(
        np.full(int(n_values), n, np.float32)) for n in range(int(n_tensors))}
    saver = (tf.compat.v1.train.Saver(held) if kind == "saver"
             else tf.train.Checkpoint(variables=held))
    start = time.perf_counter()
    if kind == "saver":
        saver.save(None, folder + "/m")
    else:
        saver.write(folder + "/m")
    print(json.dumps({"seconds": time.perf_counter() - start}))


def listing(prefix):
    return len(tf.train.load_checkpoint(prefix).get_variable_to_shape_map())


def one(prefix):
    """The operation itself: it looks one key up and reads its tensor."""
    value, = tf.raw_ops.RestoreV2(
        prefix=prefix, tensor_names=["model/block_100000/dense_2/kernel"], shape_and_slices=[""],
        dtypes=[tf.float32])
    return float(value[0])


def timed(kind, prefix):
    """Seconds that reading takes in a process that is warm: the median of seven times."""
    times = []
    for _ in range(8):  # the first finds nothing warm
        start = time.perf_counter()
        {"listing": listing, "one": one}[kind](prefix)
        times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": statistics.median(times[1:])}))


if __name__ == "__main__":
    {"make": make, "list": list_names, "load": load, "convert": convert, "save": save,
     "timed": timed}[sys.argv[1]](*sys.argv[2:])
