"""What TensorFlow's own Saver and init_from_checkpoint do; Python 3.7 included.

Values travel as in snippets.py.
"""

import os

import numpy as np
import tensorflow as tf
from saver_scripts import meant, play
from snippets import packed, unpacked

tf1 = tf.compat.v1

# How TensorFlow refuses. A mistake in this file, a NameError say, must not pass for one.
REFUSALS = (ValueError, TypeError, RuntimeError, tf.errors.OpError)


def _save(prefix, tensors, as_list, sharded):
    with tf1.Graph().as_default(), tf1.Session() as session:
        held = {}
        for name, value in tensors.items():
            feed = tf1.placeholder(value["dtype"], value["shape"])
            held[name] = tf1.Variable(feed, name=name if as_list else None, use_resource=True)
            session.run(held[name].initializer, {feed: unpacked(value)})
        saver = tf1.train.Saver(list(held.values()) if as_list else held, sharded=sharded)
        saver.save(session, prefix, write_meta_graph=False, write_state=False)


def save_all(cases):
    """tf.train.Saver of each case: its prefix and its variables, in a dict or by their names."""
    for case in cases:
        _save(case["prefix"], case["tensors"], case.get("as_list", False),
              case.get("sharded", False))


def restore_all(cases):
    """What tf.train.Saver restores in each case, and that it doesn't complain."""
    found = []
    for case in cases:
        with tf1.Graph().as_default(), tf1.Session() as session:
            held = {}
            for name, value in case["tensors"].items():
                dtype = tf.as_dtype(value["dtype"])
                held[name] = tf1.Variable(tf1.zeros(value["shape"], dtype), use_resource=True)
            tf1.train.Saver(held).restore(session, case["prefix"])
            values = session.run(held)
        found.append({name: packed(array, case["tensors"][name]["dtype"])
                      for name, array in values.items()})
    return found


def restore_or_not(prefix, cases):
    """Which of these tf.train.Saver restores: the values, or None where it raises.

    Into reference variables, because it pours values of any shape into resource variables.
    """
    found = []
    for case in cases:
        with tf1.Graph().as_default(), tf1.Session() as session:
            held = {name: tf1.Variable(tf1.zeros(shape, dtype), use_resource=False)
                    for name, (dtype, shape) in case["variables"].items()}
            try:
                tf1.train.Saver(held, reshape=case.get("reshape", False)).restore(session, prefix)
                found.append({name: packed(array, case["variables"][name][0])
                              for name, array in session.run(held).items()})
            except REFUSALS:
                found.append(None)
    return found


def save_objects(prefix):
    """A TF2 checkpoint with an optimizer that has slots, lists, dicts and shared variables."""
    shared = tf.Variable(3.0, name="shared")
    w = tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="dense/w")
    b = tf.Variable([5, 6], dtype="int64", name="dense/b")
    optimizer = tf1.train.AdamOptimizer(0.5, name="Adam")
    optimizer.apply_gradients([(tf.ones_like(w), w), (tf.constant(1.0), shared)])
    one, two = tf.Variable(7.0, name="twice"), tf.Variable(8.0, name="twice")
    checkpoint = tf.train.Checkpoint(
        net={"w": w, "b.x/y": b}, again=[shared, {"w": w}], optimizer=optimizer,
        text=tf.Variable("text", name="text"), one=one, two=two)
    return checkpoint.save(prefix)


class Values(tf.Module):
    """Stores values under names of its own."""

    def __init__(self, values):
        super().__init__()
        self.values = {name: np.float32(value) for name, value in values.items()}

    def _serialize_to_tensors(self):
        return {name: tf.constant(value) for name, value in self.values.items()}

    def _restore_from_tensors(self, restored):
        self.values = {name: float(value.numpy()) for name, value in restored.items()}


def save_values(prefix, objects, variables):
    """tf.train.Saver, eagerly, of objects that store values of their own, and of variables."""
    held = {name: tf.Variable(value) for name, value in variables.items()}
    held.update((name, Values(values)) for name, values in objects.items())
    tf1.train.Saver(held).save(None, prefix, write_state=False)


def restore_values(prefix, objects):
    """What tf.train.Saver gives such objects."""
    held = {name: Values(values) for name, values in objects.items()}
    tf1.train.Saver(held).restore(None, prefix)
    return {name: dict(value.values) for name, value in held.items()}


def keep(parent, script):
    """Plays saves of one tf.train.Saver; the state file and the checkpoints after each."""
    before = os.getcwd()
    os.chdir(parent)
    try:
        with tf1.Graph().as_default(), tf1.Session() as session:
            step = tf1.Variable(0, dtype=tf.int64, name="global_step", use_resource=True)
            session.run(step.initializer)
            saver = tf1.train.Saver([step], **script["options"])

            def save(path, number, options):
                if number is not None:
                    session.run(step.assign(number))
                return saver.save(session, path, None if number is None else step,
                                  write_meta_graph=False, **options)

            return play(save, saver, script)
    finally:
        os.chdir(before)


def assign_all(prefix, cases):
    """tf.train.init_from_checkpoint of each case: the values afterwards, or None if it raises.

    A case has the variables that get_variable makes ([name, dtype, shape, parts], parts 0 for a
    whole), and pairs of the map. A target is a name, or {"variable": name}, or {"parts": name}.
    Variables are reference variables, as in restore_or_not.
    """
    found = []
    for case in cases:
        with tf1.Graph().as_default(), tf1.Session() as session:
            held = {}
            for name, dtype, shape, parts in case["variables"]:
                held[name] = tf1.get_variable(
                    name, shape, dtype, tf1.zeros_initializer(), use_resource=False,
                    partitioner=tf1.fixed_size_partitioner(parts) if parts else None)

            pairs = [(key, meant(target, held)) for key, target in case["pairs"]]
            try:
                tf1.train.init_from_checkpoint(prefix, dict(pairs) if case["mapping"] else pairs)
                session.run(tf1.global_variables_initializer())
                values = session.run({name: tf1.convert_to_tensor(variable)
                                      for name, variable in held.items()})
                found.append({name: np.asarray(value).tolist() for name, value in values.items()})
            except REFUSALS:
                found.append(None)
    return found
