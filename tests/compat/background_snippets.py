"""Training TensorFlow's variables while tfckpt writes their earlier values."""

import numpy as np
import tensorflow as tf

import tfckpt


def trained_meanwhile(folder, in_function):
    """Whether each save has the values of its call, though they change right after it."""
    dense = tf.Variable(tf.zeros([1_000_000]), name="dense")
    rows = tf.Variable(tf.zeros([1000, 100]), name="rows")

    def step():
        dense.assign_add(tf.ones_like(dense))
        dense.assign_sub(0.5 * tf.ones_like(dense))
        rows.scatter_nd_add([[0], [999]], tf.ones([2, 100]))

    train = tf.function(step) if in_function else step
    manager = tfckpt.CheckpointManager(tfckpt.Checkpoint(dense=dense, rows=rows), folder, None)
    with tfckpt.BackgroundSaves() as background:
        for _ in range(8):
            train()
            background.save(manager)
            train()
    return [[np.unique(tfckpt.open(path)["dense"]).tolist(),
             np.unique(tfckpt.open(path)["rows"]).tolist()] for path in manager.checkpoints]


def in_a_session(folder):
    """The same with a Saver of graph variables; what TensorFlow reads of the last two."""
    tf1 = tf.compat.v1
    with tf.Graph().as_default(), tf1.Session() as session:
        variable = tf1.get_variable("v", initializer=tf.zeros([1_000_000]))
        session.run(tf1.global_variables_initializer())
        add = variable.assign_add(tf.ones_like(variable))
        saver = tfckpt.Saver([variable], max_to_keep=2)
        with tfckpt.BackgroundSaves() as background:
            for step in range(4):
                session.run(add)
                background.save(saver, session, folder + "/m", global_step=step)
        return [np.unique(tf.train.load_variable(path, "v")).tolist()
                for path in saver.last_checkpoints]
