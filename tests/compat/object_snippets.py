"""Structures of objects built in TensorFlow 2 from a description, saved and restored there."""

import numpy as np
import tensorflow as tf


class Objects:
    """Builds objects from a description; "ref" makes two places hold one object.

    A description is a number (a variable of that value), or {"kind": "list" | "dict" | "module",
    "id": any, "items": [[name, description], ...]}, or {"ref": id}.
    """

    def __init__(self):
        self.known = {}

    def build(self, what, name="v"):
        if isinstance(what, (int, float)):
            return tf.Variable(np.float32(what), name=name)
        if "ref" in what:
            return self.known[what["ref"]]
        kind, items = what["kind"], what["items"]
        if kind == "module":
            made = tf.Module()
            self.known[what["id"]] = made
            for key, item in items:
                setattr(made, key, self.build(item, key))
            return made
        if kind == "list":
            made = [self.build(item, "item") for _, item in items]
        elif kind == "tuple":
            made = self.known[what["id"]] = tuple(self.build(item, "item") for _, item in items)
        else:
            made = {key: self.build(item, "entry") for key, item in items}
        return made


def checkpoint_of(what, rooted):
    built = Objects().build(what)
    if rooted:
        return tf.train.Checkpoint(built), built
    return tf.train.Checkpoint(**{key: value for key, value in vars(built).items()
                                  if not key.startswith("_")}), built


def save(prefix, what, rooted, counter):
    checkpoint, _keep = checkpoint_of(what, rooted)
    return checkpoint.save(prefix) if counter else checkpoint.write(prefix)


def restore(prefix, what, rooted, counter):
    """Restore into the structure and assert; the values of its variables, in graph order."""
    checkpoint, _keep = checkpoint_of(what, rooted)
    status = checkpoint.restore(prefix) if counter else checkpoint.read(prefix)
    status.assert_consumed()
    status.assert_existing_objects_matched()
    values = {}
    reader = tf.train.load_checkpoint(prefix)
    again = prefix + "-again"
    checkpoint.write(again)
    for key in tf.train.load_checkpoint(again).get_variable_to_shape_map():
        if key.endswith("VARIABLE_VALUE"):
            value = tf.train.load_checkpoint(again).get_tensor(key)
            assert value == reader.get_tensor(key)
            values[key] = float(value)
    return values
