"""tfckpt in a running cluster of parameter servers: all its tasks are in this process.

A process that is new. What TensorFlow writes of a cluster has a data file for each task that has
variables, in no fixed order; so tensors are compared, and the object graph, not files.
"""

import importlib
import os
import socket

import numpy as np
import tensorflow as tf
from training_snippets import raw

import tfckpt

tf1 = tf.compat.v1
_servers = []


def a_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(servers):
    """A cluster of one worker and some parameter servers, in this process."""
    tasks = {"worker": 1, "ps": servers}
    spec = tf.train.ClusterSpec({job: [f"127.0.0.1:{a_port()}" for _ in range(count)]
                                 for job, count in tasks.items()})
    config = tf1.ConfigProto(inter_op_parallelism_threads=4)  # the tasks wait for one another
    _servers.extend(tf.distribute.Server(spec, job_name=job, task_index=index, config=config,
                                         protocol="grpc")
                    for job, count in tasks.items() for index in range(count))
    return spec


def strategy_of(spec, shards):
    partitioners = tf.distribute.experimental.partitioners
    return tf.distribute.experimental.ParameterServerStrategy(
        tf.distribute.cluster_resolver.SimpleClusterResolver(spec, rpc_layer="grpc"),
        variable_partitioner=shards and partitioners.FixedShardsPartitioner(shards))


class Model(tf.Module):
    """A table in shards, a scalar that isn't cut, a count of steps."""

    def __init__(self, factor):
        super().__init__()
        self.table = tf.Variable(factor * np.arange(10, dtype=np.float32).reshape(5, 2),
                                 name="table")
        self.bias = tf.Variable(factor, name="bias", aggregation=tf.VariableAggregation.MEAN)
        self.step = tf.Variable(0, dtype=tf.int64, name="step",
                                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)


def values(model):
    return [np.concatenate([part.numpy() for part in model.table.variables]).tolist(),
            float(model.bias), int(model.step)]


def coordinated(folder):
    """ParameterServerStrategy of TensorFlow 2 with a coordinator, and the same without it."""
    strategy = strategy_of(start(2), 2)
    coordinator = tf.distribute.experimental.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        model = Model(1.0)

    @tf.function
    def step():
        for part in [*model.table.variables, model.bias]:
            part.assign_add(tf.ones_like(part))
        model.step.assign_add(1)

    def train(steps):
        for _ in range(steps):
            coordinator.schedule(step)
        coordinator.join()

    train(3)
    found = {"table": type(model.table).__name__,
             "places": [part.device.partition("/device")[0] for part in model.table.variables]}
    ours, theirs = (os.path.join(folder, name, "ckpt") for name in ("ours", "theirs"))
    ours = tfckpt.Checkpoint(model=model).save(ours)
    theirs = tf.train.Checkpoint(model=model).save(theirs)
    found["same"] = raw(ours) == raw(theirs)
    found["sliced"] = [len(tfckpt.open(path).index["model/table/.ATTRIBUTES/VARIABLE_VALUE"].slices)
                       for path in (ours, theirs)]
    names = tfckpt.Saver({"table": model.table, "bias": model.bias}).save(
        None, os.path.join(folder, "names"))
    found["listed"] = sorted(tfckpt.Saver([model.table, model.bias]).variables)
    found["values"] = values(model)
    restored = []
    for restore in (lambda: tfckpt.Checkpoint(model=model).restore(theirs).assert_consumed(),
                    lambda: tf.train.Checkpoint(model=model).restore(ours).assert_consumed()):
        train(2)
        restore()
        restored.append(values(model))
    train(2)
    tfckpt.Saver({"table": model.table, "bias": model.bias}).restore(None, names)
    restored.append([*values(model)[:2], 3])
    later = tf.Module()
    status = tfckpt.Checkpoint(model=later).restore(theirs)
    with strategy.scope():
        made = Model(0.0)
    for name in ("table", "bias", "step"):
        setattr(later, name, getattr(made, name))
    status.assert_consumed()
    restored.append(values(later))
    found["restored"] = all(value == found["values"] for value in restored)
    whole = Model(0.0)  # without a strategy
    tf.train.Checkpoint(model=whole).restore(ours).assert_consumed()
    by_name = tf.Variable(tf.zeros([5, 2]))
    tf1.train.Saver({"table": by_name}).restore(None, names)
    found["whole"] = [whole.table.numpy().tolist() == found["values"][0],
                      by_name.numpy().tolist() == found["values"][0]]
    from_whole = tfckpt.Checkpoint(model=whole).save(os.path.join(folder, "whole"))
    train(1)
    tfckpt.Checkpoint(model=model).restore(from_whole).assert_consumed()
    found["from whole"] = values(model) == found["values"]
    manager = tfckpt.CheckpointManager(tfckpt.Checkpoint(model=model), folder + "/bg", None)
    with tfckpt.BackgroundSaves() as background:
        for _ in range(3):
            train(1)
            background.save(manager)
            train(1)
    found["background"] = [int(tfckpt.open(path)["model/step"]) for path in manager.checkpoints]
    return {**found, **with_slots(folder, strategy)}


def with_slots(folder, strategy):
    """A table in shards whose optimizer keeps slots, by Keras 2's older optimizers."""
    keras = (tf.keras if tf.__version__.startswith("2.15") else
             importlib.import_module("tf_keras"))

    def make(factor, slots=True):
        with strategy.scope():
            optimizer = keras.optimizers.legacy.Adam(0.1)
            table = tf.Variable(factor * tf.ones([5, 2]), name="table")
            if slots:
                optimizer._create_all_weights(table.variables)
        return {"table": table, "optimizer": optimizer}

    first, second, third = make(3.0), make(0.0), make(0.0, slots=False)
    for number, part in enumerate(first["table"].variables):
        slot = first["optimizer"].get_slot(part, "m")
        slot.assign((number + 1.0) * tf.ones_like(slot))
    ours, theirs = (os.path.join(folder, f"slots-{name}") for name in ("ours", "theirs"))
    tfckpt.Checkpoint(**first).write(ours)
    tf.train.Checkpoint(**first).write(theirs)
    tfckpt.Checkpoint(**second).read(theirs).assert_consumed()
    status = tfckpt.Checkpoint(**third).read(theirs)
    with strategy.scope():
        third["optimizer"]._create_all_weights(third["table"].variables)
    status.assert_consumed()
    restored = [[np.unique(made["optimizer"].get_slot(part, "m").numpy()).tolist()
                 for part in made["table"].variables] for made in (second, third)]
    return {"slots same": raw(ours) == raw(theirs), "slots": restored[0],
            "slots made": restored[1]}


def in_a_graph(folder):
    """TensorFlow 1's ParameterServerStrategy: parts of a graph that are on servers."""
    spec = start(2)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        spec, task_type="worker", task_id=0, rpc_layer="grpc", num_accelerators={"GPU": 0})
    found = {}
    with tf1.Graph().as_default():
        strategy = tf1.distribute.experimental.ParameterServerStrategy(resolver)
        with strategy.scope():
            table = tf1.get_variable("table", initializer=tf.reshape(tf.range(10.0), [5, 2]),
                                     partitioner=tf1.fixed_size_partitioner(2))
            bias = tf1.get_variable("bias", initializer=2.0,
                                    aggregation=tf.VariableAggregation.MEAN)
            step = tf1.train.get_or_create_global_step()
            ours, theirs = tfckpt.Saver(), tf1.train.Saver()
            objects = {"bias": bias, "step": step}
            checkpoint, by_tf = tfckpt.Checkpoint(**objects), tf1.train.Checkpoint(**objects)
        found["kinds"] = [type(v).__name__ for v in (table, bias)]
        found["places"] = [v.device for v in tf1.global_variables()]
        with tf1.Session(_servers[-3].target) as session:
            session.run(tf1.global_variables_initializer())
            mine = ours.save(session, os.path.join(folder, "ours"))
            other = theirs.save(session, os.path.join(folder, "theirs"), write_meta_graph=False)
            found["same names"] = raw(mine) == raw(other)
            watched = tf1.global_variables()
            before = [value.tolist() for value in session.run(watched)]
            zero = tf.group(*(v.assign(tf.zeros_like(v)) for v in watched))
            written = [made.write(os.path.join(folder, f"{name}-o"), session=session)
                       if name == "ours" else made.write(os.path.join(folder, f"{name}-o"),
                                                         session)
                       for name, made in (("ours", checkpoint), ("theirs", by_tf))]
            found["same"] = raw(written[0]) == raw(written[1])
            found["restored"] = []
            for saver, path in ((ours, other), (theirs, mine)):
                session.run(zero)
                saver.restore(session, path)
                found["restored"].append(
                    [value.tolist() for value in session.run(watched)] == before)
            session.run(zero)
            checkpoint.read(written[1]).run_restore_ops(session)
            found["objects"] = [float(session.run(bias))]
    return found
