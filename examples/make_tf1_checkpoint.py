"""Writes examples/tf1, with TensorFlow 1.15 on Python 3.7: a small trained model.

Two dense layers and Adam, trained for seven steps, saved by tf.train.Saver. Two names are
of the kind that the migration guide's own converter breaks.

    python examples/make_tf1_checkpoint.py examples/tf1
"""

import os
import shutil
import sys

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1


def main(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    rng = np.random.RandomState(0)
    inputs = tf1.constant(rng.randn(5, 3).astype("float32"))
    targets = tf1.constant(rng.randn(5, 2).astype("float32"))

    def variable(name, *shape):
        return tf1.get_variable(name, initializer=rng.randn(*shape).astype("float32"))

    hidden = tf1.nn.relu(inputs @ variable("dense/kernel", 3, 4) + variable("dense/bias", 4))
    hidden = hidden @ variable("block.1/w", 4, 4) @ variable("v.Stage/w", 4, 4)
    outputs = hidden @ variable("logits/kernel", 4, 2) + variable("logits/bias", 2)
    loss = tf1.reduce_mean((outputs - targets) ** 2)
    step = tf1.train.get_or_create_global_step()
    train = tf1.train.AdamOptimizer(0.01).minimize(loss, global_step=step)

    saver = tf1.train.Saver(save_relative_paths=True)
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        for _ in range(7):
            session.run(train)
        saver.save(session, os.path.join(folder, "model.ckpt"), global_step=step,
                   write_meta_graph=False)


if __name__ == "__main__":
    main(sys.argv[1])
