"""Partitioned tensors in real TensorFlow; see snippets.py for the form of values."""

import numpy as np
import tensorflow as tf
from snippets import packed, tf1, unpacked


def run(make):
    """The values of operations, eagerly or in a session."""
    if tf.executing_eagerly():
        return [np.asarray(value) for value in make()]
    with tf1.Graph().as_default(), tf1.Session() as session:
        return session.run(make())


def save_slices(prefix, rows):
    """The SaveV2 operation: (name, shape_and_slice, value) of each row."""
    names, specs, values = zip(*rows)
    args = {"prefix": prefix, "tensor_names": list(names), "shape_and_slices": list(specs)}
    if tf.executing_eagerly():
        tf.raw_ops.SaveV2(tensors=[tf.constant(unpacked(v)) for v in values], **args)
        return
    with tf1.Graph().as_default(), tf1.Session() as session:
        feeds = {tf1.placeholder(v["dtype"], v["shape"]): unpacked(v) for v in values}
        session.run(tf.raw_ops.SaveV2(tensors=list(feeds), **args), feeds)


def restore_slices(prefix, rows):
    """The RestoreV2 operation: (name, shape_and_slice, dtype) of each row."""
    names, specs, dtypes = zip(*rows)
    values = run(lambda: tf.raw_ops.RestoreV2(
        prefix=prefix, tensor_names=list(names), shape_and_slices=list(specs),
        dtypes=[tf.as_dtype(name) for name in dtypes]))
    return [packed(value, dtype) for value, dtype in zip(values, dtypes)]


def max_shard_size_policy(size, tensors):
    """What MaxShardSizePolicy makes of tensors: in each shard, name to slice specs and shapes."""
    from tensorflow.python.checkpoint.sharding import sharding_policies, sharding_util
    from tensorflow.python.framework import device as device_lib

    shardable = [sharding_util.ShardableTensor(
        _tensor_save_spec=None, tensor=tf.constant(unpacked(value)),
        dtype=tf.as_dtype(value["dtype"]), device=device_lib.DeviceSpec(), name=name,
        shape=tf.TensorShape(value["shape"]), slice_spec="", checkpoint_key=name,
        trackable=None) for name, value in tensors.items()]
    shards = sharding_policies.MaxShardSizePolicy(size)(shardable)
    return [{name: {spec: list(value.shape) for spec, value in parts.items()}
             for name, parts in shard.items()} for shard in shards if shard]


def merge(prefixes, target, delete):
    """The MergeV2Checkpoints operation."""
    args = {"checkpoint_prefixes": prefixes, "destination_prefix": target,
            "delete_old_dirs": delete}
    if tf.executing_eagerly():
        tf.raw_ops.MergeV2Checkpoints(**args)
        return
    with tf1.Graph().as_default(), tf1.Session() as session:
        session.run(tf.raw_ops.MergeV2Checkpoints(**args))


def restore_bytes_name(prefix, name):
    """The RestoreV2 operation for a name of any bytes."""
    value, = run(lambda: tf.raw_ops.RestoreV2(
        prefix=prefix, tensor_names=[bytes.fromhex(name)], shape_and_slices=[""],
        dtypes=[tf.float32]))
    return packed(value, "float32")
