"""Writes tests/goldens/tf2.21, with TensorFlow 2.21: object-based checkpoints, newer dtypes.

python tools/golden_tf2.py FOLDER
"""

import sys

import numpy as np
import tensorflow as tf
from golden_truth import DTYPES, Folder, sample


def variable(values, name):
    return tf.Variable(values, name=name)


def read(prefix):
    """Key -> (dtype, array) of what TensorFlow reads back."""
    reader = tf.train.load_checkpoint(prefix)
    return {key: (dtype.name, np.array(reader.get_tensor(key), dtype.as_numpy_dtype))
            for key, dtype in reader.get_variable_to_dtype_map().items() if dtype != tf.variant}


def main(folder):
    out = Folder(folder, tf.__version__)

    names = ["a", "scoped/c", "block.1/w", "v.Stage/w", "x.S", "über/größe"]
    held = {name: variable(np.float32([n, n / 8]), name) for n, name in enumerate(sorted(names))}
    tf.train.Checkpoint(vars=held).save(out.prefix("vars"))
    out.record("vars-1", read(out.prefix("vars-1")))

    module = tf.Module()
    module.layers = [variable(np.ones([2, 3], "float32"), "kernel"),
                     {"deep.er": variable(np.float32(2), "kernel")}]
    module.again = module.layers[0]
    module.me = module
    tf.train.Checkpoint(model=module, step=tf.Variable(5, dtype=tf.int64)).write(
        out.prefix("nested"))
    out.record("nested", read(out.prefix("nested")))

    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    table.insert(["one", "two"], [1, 2])
    iterator = iter(tf.data.Dataset.range(10))
    next(iterator)
    holder = tf.Module()
    holder.table, holder.iterator = table, iterator
    holder.w = variable(np.float32([1.5]), "w")
    tf.train.Checkpoint(model=holder).write(out.prefix("state"))
    out.record("state", read(out.prefix("state")))

    tensors = {name: sample(name, [2, 3]) for name in DTYPES["tf2.21"]}
    tf.raw_ops.SaveV2(prefix=out.prefix("dtypes"), tensor_names=list(tensors),
                      shape_and_slices=[""] * len(tensors),
                      tensors=[tf.constant(array) for array in tensors.values()])
    out.record("dtypes", {name: (name, array) for name, array in tensors.items()})
    out.close()


if __name__ == "__main__":
    main(sys.argv[1])
