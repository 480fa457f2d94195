"""A model with an optimizer's slots, saved and restored in TensorFlow 2."""

import numpy as np
import tensorflow as tf


class _Model(tf.Module):
    def __init__(self, values):
        super().__init__()
        self.layers = [tf.Module(), tf.Module()]
        for layer, value in zip(self.layers, values):
            layer.w = tf.Variable(np.float32(value))


def _build(values, slots, step):
    model = _Model(values)
    optimizer = tf.compat.v1.train.MomentumOptimizer(0.1, 0.9)
    held = [layer.w for layer in model.layers]
    optimizer.apply_gradients([(tf.zeros_like(w), w) for w in held])
    for w, value in zip(held, slots):
        optimizer.get_slot(w, "momentum").assign(np.float32(value))
    counter = tf.Variable(step, dtype=tf.int64)
    return tf.train.Checkpoint(model=model, optimizer=optimizer, step=counter), model, optimizer


def save_structure(prefix):
    checkpoint, _, _ = _build([[1, 2], [3, 4]], [[5, 6], [7, 8]], 3)
    return checkpoint.write(prefix)


def _outcome(check):
    try:
        check()
    except Exception as error:
        return repr(error)
    return "no error"


def restore_structure(prefix):
    checkpoint, model, optimizer = _build([[-1, -1], [-1, -1]], [[0, 0], [0, 0]], 0)
    status = checkpoint.read(prefix)
    values = {"step": int(checkpoint.step)}
    for n, layer in enumerate(model.layers):
        values["layers/%d" % n] = layer.w.numpy().tolist()
        values["slot/%d" % n] = optimizer.get_slot(layer.w, "momentum").numpy().tolist()
    return {"values": values, "nontrivial": _outcome(status.assert_nontrivial_match),
            "existing": _outcome(status.assert_existing_objects_matched),
            "partial": _outcome(status.expect_partial)}


def _with_table():
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    iterator = iter(tf.data.Dataset.range(1, 10))
    return tf.train.Checkpoint(table=table, iterator=iterator), table, iterator


def save_table(prefix):
    checkpoint, table, iterator = _with_table()
    table.insert(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64))
    next(iterator), next(iterator)
    return checkpoint.write(prefix)


def restore_table(prefix):
    checkpoint, table, iterator = _with_table()
    checkpoint.read(prefix).expect_partial()
    keys, values = table.export()
    return {"table": {key.decode(): int(value) for key, value in zip(keys.numpy(), values.numpy())},
            "next": int(next(iterator))}
