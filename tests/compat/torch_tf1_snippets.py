"""TensorFlow 1's side of test_torch.py: the same models with variables by name."""

import numpy as np
import tensorflow as tf


def resnet(image):
    layers = tf.layers

    def norm(x, name):
        return layers.batch_normalization(x, name=name, epsilon=1e-5)

    def padded(x, by):
        return tf.pad(x, [[0, 0], [by, by], [by, by], [0, 0]])

    x = layers.conv2d(padded(tf.transpose(image, [0, 2, 3, 1]), 2), 8, 5, 2, name="conv1")
    x = layers.max_pooling2d(tf.nn.relu(norm(x, "bn1")), 2, 2)
    for number, (outputs, stride) in enumerate([(8, 1), (12, 2)]):
        with tf.variable_scope("blocks/%d" % number):
            y = layers.conv2d(padded(x, 1), outputs, 3, stride, use_bias=False, name="conv1")
            y = tf.nn.relu(norm(y, "bn1"))
            y = norm(layers.conv2d(padded(y, 1), outputs, 3, use_bias=False, name="conv2"), "bn2")
            if stride > 1:
                x = layers.conv2d(x, outputs, 1, stride, name="short")
            x = tf.nn.relu(x + y)
    x = layers.dense(tf.reduce_mean(x, [1, 2]), 12, tf.nn.relu, name="fc")
    return layers.dense(x, 5, name="head")


def cells(x):
    cell = tf.nn.rnn_cell
    x, _ = tf.nn.dynamic_rnn(cell.BasicLSTMCell(5), x, dtype=tf.float32, scope="rnn")
    deep = cell.MultiRNNCell([cell.LSTMCell(3, forget_bias=0.0), cell.LSTMCell(3, forget_bias=0.0)])
    x, _ = tf.nn.dynamic_rnn(deep, x, dtype=tf.float32, scope="deep")
    x, _ = tf.nn.bidirectional_dynamic_rnn(cell.LSTMCell(2), cell.LSTMCell(2), x, dtype=tf.float32,
                                           scope="two")
    return tf.layers.dense(tf.concat(x, 2), 3, name="dense")


MODELS = {"ResNet": resnet, "Cells": cells}


def restore(folder, kind, path):
    """How far what the graph computes is from what PyTorch did, and the names it asked for."""
    io = np.load(folder + "/io.npz")
    with tf.Graph().as_default(), tf.Session() as sess:
        y = MODELS[kind](tf.constant(io["arr_0"]))
        tf.train.Saver().restore(sess, path)
        stored = {name for name, _ in tf.train.list_variables(path)}
        asked = {variable.op.name for variable in tf.global_variables()}
        return {"far": float(np.abs(sess.run(y) - io["y"]).max()), "same names": stored == asked}


def save(folder, kind, given):
    """A graph with values that are nobody's first ones."""
    random = np.random.RandomState(3)
    with tf.Graph().as_default(), tf.Session() as sess:
        given = np.array(given[0], "f4")
        y = MODELS[kind](tf.constant(given))
        for variable in tf.global_variables():
            value = random.uniform(0.1, 0.9, variable.shape.as_list()) * (
                1 if "variance" in variable.op.name else random.choice([-0.5, 0.5]))
            variable.load(value.astype("f4"), sess)
        np.savez(folder + "/io.npz", given, y=sess.run(y))
        return tf.train.Saver().save(sess, folder + "/model", write_meta_graph=False)
