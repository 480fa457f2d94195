"""tfckpt on variables of distribution strategies, in TensorFlow's own process.

A process that is new, because devices are made before TensorFlow has begun. Where two files are
compared, one is TensorFlow's own and one is ours; see live_snippets.py.
"""

import importlib
import os

import numpy as np
import tensorflow as tf
from live_snippets import content, same_files
from tensorflow.python.distribute.ps_values import AggregatingVariable
from training_snippets import raw

import tfckpt

tf1 = tf.compat.v1
ON_READ = tf.VariableSynchronization.ON_READ
AGGREGATIONS = ("SUM", "MEAN", "ONLY_FIRST_REPLICA")


def two_devices():
    """A strategy over two replicas."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    if not tf.config.get_logical_device_configuration(cpu):
        two = 2 * [tf.config.LogicalDeviceConfiguration()]
        tf.config.set_logical_device_configuration(cpu, two)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def make_eager(strategy, factor):
    """One variable that is the same everywhere, and for each aggregation one that isn't."""
    with strategy.scope():
        made = {"same": tf.Variable([factor, 2 * factor], name="same",
                                    aggregation=tf.VariableAggregation.MEAN)}
        for name in AGGREGATIONS:
            made[name] = tf.Variable(factor, name=name, synchronization=ON_READ,
                                     aggregation=getattr(tf.VariableAggregation, name))
    return made


def everywhere(strategy, made):
    """Each replica's value of each variable."""
    return {name: [value.numpy().tolist() for value in strategy.experimental_local_results(v)]
            for name, v in made.items()}


def mirrored(folder):
    strategy = two_devices()
    first = make_eager(strategy, 4.0)

    @tf.function
    def step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        for name in AGGREGATIONS:
            first[name].assign_add(tf.cast(replica, tf.float32))

    strategy.run(step)
    found = {"kinds": sorted({type(v).__name__ for v in first.values()}),
             "trained": everywhere(strategy, first), "same": same_files(folder, first)}
    ours, theirs = os.path.join(folder, "ours"), os.path.join(folder, "theirs")
    found["stored"] = {key.partition("/")[0]: value.tolist()
                       for key, value in tfckpt.open(ours).items() if not key.startswith("_")}
    names = tfckpt.Saver(list(first.values())).save(None, os.path.join(folder, "names"))
    others = tf1.train.Saver(list(first.values())).save(None, os.path.join(folder, "others"))
    found["same names"] = content(names) == content(others)
    restored = {}
    second = make_eager(strategy, 0.0)
    tfckpt.Checkpoint(**second).read(theirs).assert_consumed()
    restored["theirs here"] = everywhere(strategy, second)
    third = make_eager(strategy, 0.0)
    tf.train.Checkpoint(**third).read(ours).assert_consumed()
    restored["ours there"] = everywhere(strategy, third)
    fourth = make_eager(strategy, 0.0)
    tfckpt.Saver(fourth).restore(None, others)
    restored["by name"] = everywhere(strategy, fourth)
    later = tf.Module()
    status = tfckpt.Checkpoint(later).read(theirs)
    for name, v in make_eager(strategy, 0.0).items():
        setattr(later, name, v)
    status.assert_consumed()
    restored["made later"] = everywhere(strategy, {name: getattr(later, name) for name in first})
    plain = {name: tf.Variable(tf.zeros_like(v)) for name, v in first.items()}
    tfckpt.Checkpoint(**plain).read(ours).assert_consumed()
    found["without a strategy"] = {name: v.numpy().tolist() for name, v in plain.items()}
    found["restored"] = restored["theirs here"]
    found["the same everywhere"] = all(values == found["restored"] for values in restored.values())
    with strategy.scope():
        found["background"] = in_background(folder, first["same"])
    # On parameter servers that several replicas share; a strategy makes it only with GPUs.
    shared = AggregatingVariable(tf.distribute.get_strategy(), tf.Variable([7.0, 8.0]),
                                 tf.VariableAggregation.MEAN)
    found["shared"] = same_files(folder, {"shared": shared})
    shared.get().assign([0.0, 0.0])
    tfckpt.Checkpoint(shared=shared).read(theirs).assert_consumed()
    found["shared restored"] = shared.numpy().tolist()
    return found


def in_background(folder, variable):
    """The value of the call, though all replicas change right after it."""
    manager = tfckpt.CheckpointManager(tfckpt.Checkpoint(v=variable), folder + "/bg", None)
    with tfckpt.BackgroundSaves() as background:
        for number in range(3):
            variable.assign([float(number)] * 2)
            background.save(manager)
            variable.assign([-1.0, -1.0])
    return [tfckpt.open(path)["v"].tolist() for path in manager.checkpoints]


def one_of_two_workers(folder, index):
    """What a MultiWorkerMirroredStrategy saves; both workers read and write at the same time."""
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    made = make_eager(strategy, 4.0)

    @tf.function
    def step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        for name in AGGREGATIONS:
            made[name].assign_add(tf.cast(replica, tf.float32))

    strategy.run(step)
    own = os.path.join(folder, str(index))
    os.mkdir(own)
    theirs = tf.train.Checkpoint(**made).write(os.path.join(own, "theirs"))
    ours = tfckpt.Checkpoint(**made).write(os.path.join(own, "ours"))
    names = tfckpt.Saver(made).save(None, os.path.join(own, "names"))
    for variable in made.values():
        variable.assign(tf.zeros_like(variable))
    tfckpt.Checkpoint(**made).read(theirs).assert_consumed()
    with tfckpt.open(names) as source:
        stored = {key: value.tolist() for key, value in source.items()}
    return {"same": raw(ours) == raw(theirs), "stored": stored,
            "restored": everywhere(strategy, made)}


def keras_models(folder):
    """A model and its optimizer that were made under a strategy, of each Keras that is here."""
    if tf.__version__.startswith("2.15"):
        return {"tf.keras": keras_model(folder, tf.keras)}
    return {which: keras_model(folder, importlib.import_module(which))
            for which in ("tf_keras", "keras")}


def keras_model(folder, keras):
    strategy = two_devices()

    def make():
        with strategy.scope():
            model = keras.Sequential([keras.layers.Dense(2), keras.layers.BatchNormalization()])
            model.build((None, 3))
            optimizer = keras.optimizers.Adam(0.1)
            optimizer.build(model.trainable_variables)
        return model, optimizer

    model, optimizer = make()
    values = [np.arange(v.size, dtype=np.float32).reshape(v.shape) + 1
              for v in model.get_weights()]
    model.set_weights(values)
    slot = next(v for v in optimizer.variables if len(v.shape) == 2)
    slot.assign(np.full(slot.shape, 5.0, np.float32))
    same = same_files(folder, {"model": model, "optimizer": optimizer})
    path = os.path.join(folder, "ours")
    later, its = make()
    tfckpt.Checkpoint(model=later, optimizer=its).read(path).assert_consumed()
    found = {"same": same,
             "weights": all(map(np.array_equal, values, later.get_weights())),
             "slot": any(len(v.shape) == 2 and bool(np.all(np.asarray(v) == 5.0))
                         for v in its.variables)}
    by_name = tfckpt.Saver(later.weights).save(None, os.path.join(folder, "names"))
    later.set_weights([0 * value for value in values])
    tfckpt.Saver(later.weights).restore(None, by_name)
    found["by name"] = all(map(np.array_equal, values, later.get_weights()))
    return found


def make_graph(value, partitioner=None):
    """The same kinds of variables in a graph, under the current strategy."""
    made = {"same": tf1.get_variable("same", initializer=[value, 2 * value],
                                     aggregation=tf.VariableAggregation.MEAN)}
    for name in AGGREGATIONS:
        made[name] = tf1.get_variable(name, initializer=value, synchronization=ON_READ,
                                      aggregation=getattr(tf.VariableAggregation, name))
    made["step"] = tf1.train.get_or_create_global_step()
    if partitioner:
        made["parts"] = tf1.get_variable(
            "parts", [5, 2], partitioner=partitioner,
            initializer=tf1.constant_initializer(value))
    return made


def parts_of(strategy, made):
    """The variables of all replicas, to be fetched from a session."""
    return {name: list(strategy.experimental_local_results(v)) for name, v in made.items()}


def mirrored_graph(folder, old):
    """Sessions and finalized graphs, with the strategy of TensorFlow 2 or of TensorFlow 1."""
    two_devices()
    kind = tf1.distribute.MirroredStrategy if old else tf.distribute.MirroredStrategy
    found = {}
    ours, theirs = (os.path.join(folder, name) for name in ("ours", "theirs"))
    with tf1.Graph().as_default() as graph:
        strategy = kind(["CPU:0", "CPU:1"])
        with strategy.scope():
            made = make_graph(4.0)
            init = tf1.global_variables_initializer()
            train = strategy.extended.call_for_each_replica(lambda: tf.group(
                *(made[name].assign_add(tf.cast(
                    tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32))
                  for name in AGGREGATIONS)))
            train = tf.group(strategy.experimental_local_results(train))
            checkpoint, by_tf = tfckpt.Checkpoint(**made), tf1.train.Checkpoint(**made)
            mine, other = tfckpt.Saver(), tf1.train.Saver()
        with tf1.Session() as session:
            session.run(init)
            session.run(train)
            checkpoint.save_counter, by_tf.save_counter  # noqa: B018 - made before all is counted
            session.run(by_tf.save_counter.initializer)
            prefixes = (checkpoint.save(ours + "-o", session=session),
                        by_tf.save(theirs + "-o", session=session))
            found["same"] = raw(prefixes[0]) == raw(prefixes[1])
            fetches = parts_of(strategy, made)
            found["trained"] = tolist(session.run(fetches))
            restored = []

            def note(restore):
                session.run(init)
                restore()
                restored.append(tolist(session.run(fetches)))

            note(lambda: checkpoint.restore(prefixes[1]).run_restore_ops(session))
            note(lambda: by_tf.restore(prefixes[0]).run_restore_ops(session))
            graph.finalize()
            operations = len(graph.get_operations())
            mine.save(session, ours)
            other.save(session, theirs, write_meta_graph=False)
            found["same names"] = content(ours) == content(theirs)
            note(lambda: checkpoint.restore(prefixes[1]).run_restore_ops(session))
            note(lambda: mine.restore(session, theirs))
            note(lambda: other.restore(session, ours))
            found["restored"] = restored[0]
            found["the same everywhere"] = all(values == restored[0] for values in restored)
            found["added"] = len(graph.get_operations()) - operations
    with tf1.Graph().as_default():
        strategy = kind(["CPU:0", "CPU:1"])
        with strategy.scope():
            made = make_graph(0.0)
            report = tfckpt.init_from_checkpoint(ours, {"/": "/"})
            warm = tf1.get_variable("warm", [2])
            tfckpt.warm_start({"warm": warm}, ours, var_name_to_prev_var_name={"warm": "same"},
                              vars_to_warm_start="warm")
            init = tf1.global_variables_initializer()
        with tf1.Session() as session:
            session.run(init)
            found["initial"] = tolist(session.run(parts_of(strategy, made))) == restored[0]
            found["warm"] = tolist(session.run(list(strategy.experimental_local_results(warm))))
        found["matched"] = sorted(report.matched)
    return found


def tolist(values):
    if isinstance(values, dict):
        return {name: tolist(value) for name, value in values.items()}
    if isinstance(values, list):
        return [tolist(value) for value in values]
    return np.asarray(values).tolist()


def monitored(folder):
    """A MonitoredTrainingSession of a MirroredStrategy with both formats, and one that goes on."""
    from tfckpt.tensorflow.scaffold import ScaffoldSaver

    two_devices()
    found = []
    for formats in (("tf2", "tf1"), ("tf1", "tf2")):
        with tf1.Graph().as_default() as graph:
            strategy = tf1.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
            with strategy.scope():
                step = tf1.train.get_or_create_global_step()
                v = tf1.get_variable("v", initializer=0.0, aggregation=tf.VariableAggregation.SUM)
                total = tf1.get_variable("total", initializer=0.0, synchronization=ON_READ,
                                         aggregation=tf.VariableAggregation.SUM)
                train = strategy.extended.call_for_each_replica(
                    lambda v=v, step=step, total=total: tf.group(
                        v.assign_add(tf.constant(1.0)), total.assign_add(2.0), step.assign_add(1)))
                train = tf.group(strategy.experimental_local_results(train))
                fetches = parts_of(strategy, {"v": v, "total": total, "step": step})
                scaffold = tf1.train.Scaffold(saver=ScaffoldSaver(formats=formats))
                with tf1.train.MonitoredTrainingSession(
                        checkpoint_dir=folder, scaffold=scaffold) as session:
                    operations = len(graph.get_operations())
                    begin = tolist(session.run(fetches))
                    for _ in range(2):
                        session.run(train)
                    found.append([begin, tolist(session.run(fetches))])
                found.append(len(graph.get_operations()) - operations)
    with tfckpt.open(folder) as names:
        return {"found": found, "stored": {name: value.tolist() for name, value in names.items()}}


def estimator(folder):
    """An Estimator on two devices that goes on from its own checkpoint, in the other format.

    TensorFlow's own way to add gradients up waits for ever on a machine of two cores.
    """
    from tfckpt.tensorflow.scaffold import ScaffoldSaver

    two_devices()
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice())

    def model_fn_with(saver_of):
        def model_fn(features, labels, mode):
            step = tf1.train.get_or_create_global_step()
            v = tf1.get_variable("var", initializer=0.0)
            loss = tf.reduce_mean((v - labels) ** 2)
            train = tf1.train.MomentumOptimizer(0.1, 0.9).minimize(loss, step)
            saver = saver_of()
            hooks = [saver.hook()] if isinstance(saver, ScaffoldSaver) else []
            return tf.estimator.EstimatorSpec(
                mode, predictions=v, train_op=train, loss=loss, training_hooks=hooks,
                scaffold=tf1.train.Scaffold(saver=saver))

        return model_fn

    def trained(name, savers, steps):
        config = tf.estimator.RunConfig(train_distribute=strategy, save_summary_steps=None)
        for saver_of, count in zip(savers, steps, strict=True):
            est = tf.estimator.Estimator(model_fn_with(saver_of), os.path.join(folder, name),
                                         config)
            est.train(lambda: tf.data.Dataset.from_tensors(([1.0], [4.0])).repeat(), steps=count)
        return {key.removeprefix("var_list/").partition("/.A")[0]: value.tolist()
                for key, value in tfckpt.open(est.model_dir).items() if not key.startswith("_")}

    theirs = trained("theirs", [lambda: tf1.train.Saver(sharded=True, defer_build=True)], [3])
    ours = trained("ours", [lambda: ScaffoldSaver(formats=("tf1", "tf2"), background=True),
                            lambda: ScaffoldSaver(formats=("tf2", "tf1"))], [2, 1])
    return {"names": sorted(theirs), "same": {key.replace(".S", "/"): value
                                              for key, value in ours.items()} == theirs}
