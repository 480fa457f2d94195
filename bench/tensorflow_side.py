"""The same jobs done with TensorFlow, one per process; see run.py.

python bench/tensorflow_side.py make PREFIX N_TENSORS N_VALUES
python bench/tensorflow_side.py list|load|convert PREFIX [OUTPUT]
"""

import json
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


if __name__ == "__main__":
    {"make": make, "list": list_names, "load": load, "convert": convert, "save": save}[
        sys.argv[1]](*sys.argv[2:])
