"""What real TensorFlow is asked to do; runs in its environment, Python 3.7 included.

Values travel as JSON: arrays as {"dtype", "shape", "hex"} of their bytes, strings as lists of hex.
"""

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1


def packed(array, dtype):
    array = np.asarray(array)
    if dtype == "string":
        items = [bytes(item).hex() for item in array.astype(object).reshape(-1)]
        return {"dtype": dtype, "shape": list(array.shape), "hex": items}
    return {"dtype": dtype, "shape": list(array.shape), "hex": array.tobytes().hex()}


def unpacked(value):
    if value["dtype"] == "string":
        items = np.array([bytes.fromhex(item) for item in value["hex"]] + [None], object)[:-1]
        return items.reshape(value["shape"])
    dtype = tf.as_dtype(value["dtype"]).as_numpy_dtype
    return np.frombuffer(bytes.fromhex(value["hex"]), dtype).reshape(value["shape"])


def read_all(prefix):
    """Every tensor as tf.train.load_checkpoint reads it."""
    reader = tf.train.load_checkpoint(prefix)
    return {key: packed(reader.get_tensor(key), dtype.name)
            for key, dtype in reader.get_variable_to_dtype_map().items()
            if dtype != tf.variant}


def restore_tf2(prefix, root, tensors):
    """tf.train.Checkpoint(root={name: variable}).restore(prefix).assert_consumed()."""
    held = {name: tf.Variable(tf.zeros(value["shape"], value["dtype"]) if value["dtype"] != "string"
                              else tf.fill(value["shape"], ""), dtype=value["dtype"])
            for name, value in tensors.items()}
    checkpoint = tf.train.Checkpoint(**{root: held})
    checkpoint.restore(prefix).assert_consumed()
    values = {name: packed(variable.numpy(), tensors[name]["dtype"])
              for name, variable in held.items()}
    return {"values": values, "save_counter": int(checkpoint.save_counter)}


def restore_tf1(prefix, tensors):
    """tf.train.Saver({name: variable}).restore(session, prefix)."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        held = {}
        for name, value in tensors.items():
            dtype = tf.as_dtype(value["dtype"])
            held[name] = tf1.Variable(tf1.zeros(value["shape"], dtype), use_resource=True)
        tf1.train.Saver(held).restore(session, prefix)
        values = session.run(held)
    return {name: packed(array, tensors[name]["dtype"]) for name, array in values.items()}


def save_tf1(prefix, tensors):
    """tf.train.Saver of variables with these names and values."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        held = {}
        for name, value in tensors.items():
            feed = tf1.placeholder(value["dtype"], value["shape"])
            held[name] = tf1.Variable(feed, use_resource=True)
            session.run(held[name].initializer, {feed: unpacked(value)})
        tf1.train.Saver(held).save(session, prefix, write_meta_graph=False, write_state=False)


def save_v2(prefix, tensors):
    """The SaveV2 operation with the tensors in this order."""
    args = {"prefix": prefix, "tensor_names": list(tensors),
            "shape_and_slices": [""] * len(tensors)}
    if tf.executing_eagerly():
        tf.raw_ops.SaveV2(tensors=[tf.constant(unpacked(v)) for v in tensors.values()], **args)
        return
    with tf1.Graph().as_default(), tf1.Session() as session:
        feeds = {tf1.placeholder(v["dtype"], v["shape"]): unpacked(v) for v in tensors.values()}
        session.run(tf.raw_ops.SaveV2(tensors=list(feeds), **args), feeds)


def save_tf2(prefix, root, tensors):
    """tf.train.Checkpoint(root={name: variable}).save; variables named as their keys."""
    held = {name: tf.Variable(unpacked(value), name=name, dtype=value["dtype"])
            for name, value in sorted(tensors.items())}
    return tf.train.Checkpoint(**{root: held}).save(prefix)
