"""The same jobs done with TensorFlow, one per process; see run.py.

python bench/tensorflow_side.py make PREFIX N_TENSORS N_VALUES
python bench/tensorflow_side.py list|load|convert PREFIX [OUTPUT]
"""

import sys

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


if __name__ == "__main__":
    {"make": make, "list": list_names, "load": load, "convert": convert}[sys.argv[1]](*sys.argv[2:])
