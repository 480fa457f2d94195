"""Writes tests/goldens/tf1.15, with TensorFlow 1.15: name-based checkpoints.

python tools/golden_tf1.py FOLDER
"""

import sys

import numpy as np
import tensorflow as tf
from golden_truth import DTYPES, Folder, sample

tf1 = tf.compat.v1


def save(path, values, **saver_options):
    """Save name -> array with a tf.train.Saver."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        variables = {}
        for name, (dtype, array) in values.items():
            held = tf1.placeholder(dtype, array.shape)
            variables[name] = tf1.Variable(held, validate_shape=False, use_resource=True)
            session.run(variables[name].initializer, {held: array})
        saver = tf1.train.Saver(variables, **saver_options)
        saver.save(session, path, write_meta_graph=False, write_state=False)


def main(folder):
    out = Folder(folder, tf.__version__)
    names = ["a", "scoped/c", "block.1/w", "v.Stage/w", "x.S", "über/größe", "with space",
             "Variable", "Variable_1"]
    values = {name: ("float32", np.float32([n, -n, n / 8])) for n, name in enumerate(names)}
    save(out.prefix("names"), values)
    out.record("names", values)

    values = {name: (name, sample(name, [2, 3])) for name in DTYPES["tf1.15"]}
    values.update({"empty": ("float32", np.zeros([0, 4], "float32")),
                   "scalar": ("float64", np.float64(0.1)),
                   "rank5": ("int32", np.arange(32, dtype="int32").reshape(2, 2, 2, 2, 2))})
    save(out.prefix("dtypes"), values)
    out.record("dtypes", values)

    values = {"scalar": ("string", np.array(b"text", object)),
              "vector": ("string", np.array([b"abc", b"", b"\xff\x00", b"x" * 300], object)),
              "none": ("string", np.array([], object))}
    save(out.prefix("strings"), values)
    out.record("strings", values)

    values = {f"v{n}": ("float32", np.float32([n + 0.5] * (n + 2))) for n in range(3)}
    variables = {}
    config = tf1.ConfigProto(device_count={"CPU": 3})
    with tf1.Graph().as_default(), tf1.Session(config=config) as session:
        for n, (name, (_, array)) in enumerate(values.items()):
            with tf1.device(f"/cpu:{n}"):
                variables[name] = tf1.Variable(array)
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(variables, sharded=True)
        saver.save(session, out.prefix("sharded"), write_meta_graph=False, write_state=False)
    out.record("sharded", values)

    with tf1.Graph().as_default(), tf1.Session() as session:
        whole = np.arange(20, dtype="float32").reshape(10, 2)
        part = tf1.get_variable("part", whole.shape, partitioner=tf1.fixed_size_partitioner(3))
        start = 0
        for piece in part:
            rows = piece.shape[0].value
            session.run(piece.assign(whole[start:start + rows]))
            start += rows
        tf1.train.Saver({"part": part}).save(session, out.prefix("sliced"),
                                             write_meta_graph=False, write_state=False)
    out.record("sliced", {"part": ("float32", whole)})

    with tf1.Graph().as_default(), tf1.Session() as session:
        variable = tf1.Variable([1.0, 2.0], name="v")
        session.run(variable.initializer)
        tf1.train.Saver({"v": variable}, write_version=tf1.train.SaverDef.V1).save(
            session, out.prefix("v1.ckpt"), write_meta_graph=False, write_state=False)
    out.close()


if __name__ == "__main__":
    main(sys.argv[1])
