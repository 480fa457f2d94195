"""V1 checkpoints in real TensorFlow; see snippets.py for the form of values."""

import os

import tensorflow as tf
from snippets import packed, tf1, unpacked


def save_v1(path, tensors):
    """The Save operation with the tensors in this order."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        feeds = {tf1.placeholder(v["dtype"], v["shape"]): unpacked(v) for v in tensors.values()}
        session.run(tf.raw_ops.Save(filename=path, tensor_names=list(tensors),
                                    data=list(feeds)), feeds)


def save_v1_slices(path, rows):
    """The SaveSlices operation: (name, shape_and_slice, value) of each row."""
    names, specs, values = zip(*rows)
    with tf1.Graph().as_default(), tf1.Session() as session:
        feeds = {tf1.placeholder(v["dtype"], v["shape"]): unpacked(v) for v in values}
        session.run(tf.raw_ops.SaveSlices(filename=path, tensor_names=list(names),
                                          shapes_and_slices=list(specs), data=list(feeds)), feeds)


def restore_v1(pattern, dtypes):
    """The Restore operation for each name."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        values = session.run({name: tf.raw_ops.Restore(
            file_pattern=pattern, tensor_name=name, dt=tf.as_dtype(dtype))
            for name, dtype in dtypes.items()})
    return {name: packed(values[name], dtype) for name, dtype in dtypes.items()}


def save_partitioned(path, version, sharded, value, parts):
    """A Saver of a partitioned variable ``w`` and of ``b``."""
    os.makedirs(os.path.dirname(path))
    with tf1.Graph().as_default(), tf1.Session() as session:
        whole = tf1.get_variable("w", [len(value), len(value[0])],
                                 partitioner=tf1.fixed_size_partitioner(parts))
        beside = tf1.get_variable("b", [2])
        start = 0
        for part in whole:
            size = int(part.shape[0])
            part.load(value[start:start + size], session)
            start += size
        beside.load([7, 8], session)
        tf1.train.Saver(sharded=sharded, write_version=version).save(
            session, path, write_meta_graph=False)
