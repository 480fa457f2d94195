"""MonitoredSession and Estimator with tfckpt's saver, in TensorFlow's own process."""

import os

import numpy as np
import tensorflow as tf

import tfckpt
from tfckpt.tensorflow.scaffold import ScaffoldSaver

tf1 = tf.compat.v1
tf1.logging.set_verbosity("ERROR")


def counting():
    """The guide's model: each step adds 2 to ``var``."""
    step = tf1.train.get_or_create_global_step()
    v = tf1.get_variable("var", shape=[], dtype=tf.float32,
                         initializer=tf1.constant_initializer(0))
    return v, step, tf.group(v.assign_add(2), step.assign_add(1))


def checkpoint_of(v, step):
    return tf.train.Checkpoint(var_list={"var": v}, step=step)


def files(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder).replace(os.sep, "/")
                  for at, _, names in os.walk(folder) for name in names
                  if not name.startswith("events.") and name != "graph.pbtxt")


def content(prefix):
    return {key: value.tolist() for key, value in sorted(tfckpt.open(prefix).items())
            if key != "_CHECKPOINTABLE_OBJECT_GRAPH"}


class Listener(tf1.train.CheckpointSaverListener):
    """Notes what a hook tells it."""

    def __init__(self):
        self.told = []

    def before_save(self, session, global_step_value):
        self.told.append(["before", int(global_step_value)])

    def after_save(self, session, global_step_value):
        self.told.append(["after", int(global_step_value)])


def monitored(folder, formats, steps, by="objects", **options):
    """Train some steps in a MonitoredTrainingSession that saves every second step.

    Returns:
        The value and the step at the beginning and at the end, what a listener was told,
        whether an operation was added after the graph was finalized.
    """
    with tf1.Graph().as_default() as graph:
        v, step, train = counting()
        objects = checkpoint_of(v, step) if by == "objects" else None
        saver = ScaffoldSaver(objects, formats=formats, **options)
        scaffold = tf1.train.Scaffold(saver=saver)
        listener = Listener()
        hook = tf1.train.CheckpointSaverHook(folder, save_steps=2, scaffold=scaffold,
                                             listeners=[listener])
        with tf1.train.MonitoredTrainingSession(
                checkpoint_dir=folder, scaffold=scaffold, chief_only_hooks=[hook],
                save_checkpoint_steps=None, save_checkpoint_secs=None,
                save_summaries_steps=None, save_summaries_secs=None) as session:
            operations, finalized = len(graph.get_operations()), graph.finalized
            begin = [float(value) for value in session.run([v, step])]
            for _ in range(steps):
                session.run(train)
            end = [float(value) for value in session.run([v, step])]
        return {"begin": begin, "end": end, "told": listener.told,
                "same saver": scaffold.saver is saver, "finalized": finalized,
                "added": len(graph.get_operations()) - operations}


def found_in_the_graph(folder):
    """A saver in the graph's collection, which a Scaffold without one of its own finds."""
    found = {}
    with tf1.Graph().as_default():
        v, step, train = counting()
        saver = ScaffoldSaver(checkpoint_of(v, step), formats=["tf2"])
        tf1.add_to_collection(tf1.GraphKeys.SAVERS, saver)
        scaffold = tf1.train.Scaffold()
        with tf1.train.MonitoredTrainingSession(checkpoint_dir=folder,
                                                scaffold=scaffold) as session:
            session.run(train)
        found["found"], found["built"] = scaffold.saver is saver, saver.saver_def is not None
    found["saved"] = [os.path.basename(path) for path in
                      tf1.train.get_checkpoint_state(folder).all_model_checkpoint_paths]
    with tf1.Graph().as_default():
        counting()
        for _ in range(2):
            tf1.add_to_collection(tf1.GraphKeys.SAVERS, ScaffoldSaver())
        try:
            tf1.train.Scaffold().finalize()
            found["two"] = "nothing was raised"
        except RuntimeError as error:
            found["two"] = str(error).partition(".")[0]
    return found


class Held(tfckpt.Checkpoint):
    """A checkpoint whose files are written only when they may."""

    def __init__(self, may_write, **objects):
        self.__dict__["may_write"] = may_write
        super().__init__(**objects)

    def prepare_write(self, *args, **kwargs):
        pending = super().prepare_write(*args, **kwargs)

        def write(plan):
            assert self.__dict__["may_write"].wait(60)
            pending.write(plan)

        return pending._replace(write=write)


def in_the_background(folder):
    """Steps that go on while a save is held; what was saved; a save that fails."""
    import shutil
    import threading

    may_write, found = threading.Event(), {}
    with tf1.Graph().as_default():
        v, step, train = counting()
        table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1, name="table")
        objects = Held(may_write, var_list={"var": v}, step=step, table=table)
        saver = ScaffoldSaver(objects, formats=["tf2", "tf1"], background=True)
        scaffold = tf1.train.Scaffold(saver=saver)
        hook = tf1.train.CheckpointSaverHook(folder, save_steps=2, scaffold=scaffold)
        with tf1.train.MonitoredTrainingSession(
                checkpoint_dir=folder, scaffold=scaffold, chief_only_hooks=[hook],
                hooks=[saver.hook()], save_checkpoint_steps=None, save_checkpoint_secs=None,
                save_summaries_steps=None, save_summaries_secs=None) as session:
            session.run(train)  # the first save is that of the beginning
            found["held"] = [float(session.run(v)), os.path.exists(folder + "/checkpoint")]
            may_write.set()
            session.run(train)
        found["at the end"] = content(folder)
        found["names"] = content(folder + "/tf1")
        found["meta"] = os.path.exists(folder + "/model.ckpt-2.meta")
        found["kept"] = [os.path.basename(path) for path in saver.last_checkpoints]
        with tf1.Session() as session:
            saver.restore(session, folder)
            found["restored"] = float(session.run(v))
            shutil.rmtree(folder + "/tf1")
            with open(folder + "/tf1", "w"):
                pass  # where the other format's folder would be
            tf1.get_default_graph().finalize()
            found["told"] = []
            for _ in range(2):
                try:
                    saver.save(session, folder + "/model.ckpt", global_step=7)
                    found["told"].append("nothing")
                except tfckpt.CheckpointError as error:
                    found["told"].append(type(error).__name__)
            try:
                saver.wait()
            except tfckpt.CheckpointError:
                found["told"].append("and again")
    return found


def raw(prefix):
    """Every tensor with its bytes, the object graph among them.

    TensorFlow puts an object graph into a shard of its own; ours has one shard.
    """
    with tfckpt.open(prefix) as source:
        return {key: (str(value.dtype), value.shape, value.tobytes() if value.shape or
                      value.dtype != object else value[()]) for key, value in source.items()}


def same_as_tensorflows(folder):
    """Whether a session's checkpoints have what those of TensorFlow's own savers have."""
    found = {}
    for name in ("tf1", "tf2"):
        prefixes = []
        for who in ("ours", "theirs"):
            with tf1.Graph().as_default():
                v, step, train = counting()
                theirs = (checkpoint_of(v, step) if name == "tf2" else
                          tf1.train.Saver(sharded=True, defer_build=True))
                saver = (theirs if who == "theirs"
                         else ScaffoldSaver(checkpoint_of(v, step), formats=name))
                scaffold = tf1.train.Scaffold(saver=saver)
                with tf1.train.MonitoredTrainingSession(
                        checkpoint_dir=os.path.join(folder, name, who), scaffold=scaffold,
                        save_checkpoint_steps=1, save_checkpoint_secs=None) as session:
                    session.run(train)
            prefixes.append(os.path.join(folder, name, who, "model.ckpt-1"))
        found[name] = raw(prefixes[0]) == raw(prefixes[1])
    return found


def meta_graph(folder):
    """A graph that was written beside a checkpoint, imported and restored by TensorFlow alone."""
    monitored(folder, ["tf2"], 1)
    path = os.path.join(folder, "model.ckpt-1")
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.train.import_meta_graph(path + ".meta").restore(session, path)
        return float(session.run("var/Read/ReadVariableOp:0"))


def refusals(folder):
    """Messages of what can't be done."""
    def finalized():
        with tf1.Graph().as_default() as graph:
            counting()
            graph.finalize()
            ScaffoldSaver().build()

    def other_variables():
        with tf1.Graph().as_default():
            counting()
            tf1.get_variable("late", [])
            saver = ScaffoldSaver()
            with tf1.train.MonitoredTrainingSession(
                    checkpoint_dir=folder, scaffold=tf1.train.Scaffold(saver=saver)):
                pass

    monitored(folder, ["tf1"], 1)
    messages = []
    for attempt in (lambda: ScaffoldSaver(formats=["tf3"]), lambda: ScaffoldSaver(formats=[]),
                    lambda: ScaffoldSaver(beside="a/b"), lambda: ScaffoldSaver().build(),
                    finalized, other_variables):
        try:
            attempt()
            messages.append("nothing was raised")
        except tfckpt.CheckpointError as error:
            messages.append(str(error).split("\n")[0].replace(folder, "FOLDER"))
    return messages


def estimators():
    """The guide's two model functions, with tfckpt's saver."""
    def spec(mode, saver_of):
        v, step, train = counting()
        return tf.estimator.EstimatorSpec(
            mode, predictions=v, train_op=train, loss=tf.constant(1.),
            scaffold=tf1.train.Scaffold(saver=saver_of(v, step)))

    def model_fn_tf1_ckpt(features, labels, mode):
        return spec(mode, lambda v, step: ScaffoldSaver(formats=["tf1"]))

    def model_fn_tf2_ckpt(features, labels, mode):
        return spec(mode, lambda v, step: ScaffoldSaver(checkpoint_of(v, step),
                                                        formats=["tf2", "tf1"]))

    return model_fn_tf1_ckpt, model_fn_tf2_ckpt


def train_fn():
    return tf.data.Dataset.from_tensor_slices(([1, 2, 3], [4, 5, 6]))


def estimator_story(folder):
    """The guide's: a TF1 run, a warm start from it with a TF2 scaffold, a restart."""
    with_tf1, with_tf2 = estimators()
    old, new = os.path.join(folder, "est-tf1"), os.path.join(folder, "est-tf2")
    tf.estimator.Estimator(with_tf1, old).train(train_fn, steps=1)
    est = tf.estimator.Estimator(with_tf2, new, warm_start_from=old)
    est.train(train_fn, steps=1)
    found = {"old": content(tf.train.latest_checkpoint(old)),
             "new": content(est.latest_checkpoint()),
             "value": float(est.get_variable_value("var_list/var/.ATTRIBUTES/VARIABLE_VALUE"))}
    # Another program goes on in the same folder.
    again = tf.estimator.Estimator(with_tf2, new)
    again.train(train_fn, steps=2)
    found["later"] = content(again.latest_checkpoint())
    found["beside"] = content(os.path.join(new, "tf1"))
    found["evaluated"] = {name: float(value)
                          for name, value in again.evaluate(train_fn, steps=1).items()}
    return found


def sixteen(folder):
    """What the guide's text says: 16 after five more steps, if the first run took three."""
    with_tf1, with_tf2 = estimators()
    old, new = os.path.join(folder, "old"), os.path.join(folder, "new")
    tf.estimator.Estimator(with_tf1, old).train(train_fn, steps=3)
    est = tf.estimator.Estimator(with_tf2, new, warm_start_from=old)
    est.train(train_fn, steps=5)
    return {"old": content(tf.train.latest_checkpoint(old)),
            "new": content(est.latest_checkpoint()), "tf1": content(os.path.join(new, "tf1")),
            "keras": in_keras(new),
            "keras from names": in_keras(os.path.join(new, "tf1"))}


def in_keras(model_dir):
    """The same variables in a plain Keras model."""
    from tfckpt.tensorflow.leaving import load

    class Model(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.var = self.add_weight(name="var", shape=[], initializer="zeros")

    model, step = Model(), tf.Variable(0, dtype=tf.int64)
    report = load(model, model_dir, step=step)
    return [float(model.var), int(step), len(report.matched), list(report.unused)]


def warm_started(path, variables, settings):
    """What a graph's variables begin with; as warmstart_snippets.warm_started, with tfckpt."""
    settings = dict(settings)
    settings["var_name_to_vocab_info"] = {
        name: tf1.train.VocabInfo(*info[:5], tf1.constant_initializer(info[5]), info[6])
        for name, info in settings.get("var_name_to_vocab_info", {}).items()}
    with tf1.Graph().as_default() as graph, tf1.Session() as session:
        made = {name: tf1.get_variable(
            name, shape, initializer=tf1.constant_initializer(-1.0), trainable=trainable,
            partitioner=tf1.fixed_size_partitioner(parts) if parts else None)
            for name, shape, parts, trainable in variables}
        try:
            tfckpt.warm_start(None, path, **settings)
        except tfckpt.CheckpointError:
            return "refused"
        assert len(graph.as_graph_def().SerializeToString()) < 100_000
        session.run(tf1.global_variables_initializer())
        return {name: np.asarray(session.run(
            variable.as_tensor() if hasattr(variable, "as_tensor") else variable)).tolist()
            for name, variable in made.items()}


def warm_started_keras(folder, which):
    """A Keras model's layers from a TF1 checkpoint, by names, and words of an embedding."""
    import importlib

    keras = tf.keras if which == "tf.keras" else importlib.import_module(which)
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    path = tfckpt.Saver({name: tf.Variable(value) for name, value in {
        "emb": table, "dense/kernel": np.ones((2, 3), np.float32),
        "dense/bias": np.full(3, 2, np.float32)}.items()}).save(None, os.path.join(folder, "m"))
    for name, words in {"old": "abcd", "new": "dxa"}.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write("\n".join(words))
    embedding, dense, head = (keras.layers.Embedding(3, 2), keras.layers.Dense(3),
                              keras.layers.Dense(1))
    model = keras.Sequential([embedding, dense, head])
    model(np.zeros((1, 2), np.int32))
    head_before = head.get_weights()
    info = tfckpt.VocabInfo(os.path.join(folder, "new"), 3, 0, os.path.join(folder, "old"),
                            backup_initializer=keras.initializers.Constant(9.0))
    names = {"embedding": embedding.weights[0], "dense/kernel": dense.weights[0],
             "dense/bias": dense.weights[1], "head/kernel": head.weights[0]}
    report = tfckpt.warm_start(names, path, "emb|dense", {"embedding": info},
                               {"embedding": "emb"})
    return {"embedding": embedding.get_weights()[0].tolist(),
            "kernel": dense.get_weights()[0].tolist(), "bias": dense.get_weights()[1].tolist(),
            "head": np.array_equal(head_before[0], head.get_weights()[0]),
            "matched": sorted(report.matched), "notes": list(report.notes)}


X = np.random.RandomState(0).rand(8, 4).astype(np.float32)
Y = np.random.RandomState(1).rand(8, 1).astype(np.float32)


def tf1_model(features, labels, optimizer=None):
    """Two dense layers in TF1's manner, their loss, and a step of an optimizer."""
    h = features
    for name, size in (("hidden", 3), ("out", 1)):
        with tf1.variable_scope(name):
            kernel = tf1.get_variable("kernel", [h.shape[-1], size])
            bias = tf1.get_variable("bias", [size], initializer=tf1.zeros_initializer())
            h = tf.matmul(h, kernel) + bias
        h = tf.nn.relu(h) if name == "hidden" else h
    loss = tf.reduce_mean(tf.square(h - labels))
    made = optimizer or tf1.train.AdamOptimizer(0.05)
    train = made.minimize(loss, tf1.train.get_or_create_global_step())
    return loss, train


def train_in_session(folder, steps):
    with tf1.Graph().as_default():
        _, train = tf1_model(tf.constant(X), tf.constant(Y))
        with tf1.train.MonitoredTrainingSession(checkpoint_dir=folder) as session:
            for _ in range(steps):
                session.run(train)


def train_estimator(folder, steps):
    def model_fn(features, labels, mode):
        loss, train = tf1_model(features, labels)
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train)

    tf.estimator.Estimator(model_fn, folder).train(
        lambda: tf.data.Dataset.from_tensors((X, Y)).repeat(), steps=steps)


def keras_model(which, optimizer, **options):
    import importlib

    keras = tf.keras if which == "tf.keras" else importlib.import_module(which)
    optimizers = keras.optimizers.legacy if optimizer.startswith("legacy") else keras.optimizers
    model = keras.Sequential([keras.layers.Dense(3, activation="relu", name="hidden"),
                              keras.layers.Dense(1, name="out")])
    model(X)
    return model, getattr(optimizers, optimizer.removeprefix("legacy "))(0.05, **options)


class Perceptron(tf.Module):
    """The same without Keras, whose variables have no names to go by."""

    def __init__(self):
        super().__init__()
        self.w1, self.b1 = tf.Variable(tf.ones([4, 3])), tf.Variable(tf.zeros([3]))
        self.w2, self.b2 = tf.Variable(tf.ones([3, 1])), tf.Variable(tf.zeros([1]))

    def __call__(self, x):
        return tf.nn.relu(x @ self.w1 + self.b1) @ self.w2 + self.b2

    def parts(self):
        return [self.w1, self.b1, self.w2, self.b2]


NAMES = ["hidden/kernel", "hidden/bias", "out/kernel", "out/bias"]


def leave(folder, trainer, which, optimizer, compiled=False):
    """Train in TF1's manner, take it over, and do the next step on both sides.

    Returns:
        How far the weights are apart then, the steps counted, the report, and how far the model
        was from the trained one before it was loaded.
    """
    from tfckpt.tensorflow.leaving import load

    train = train_estimator if trainer == "estimator" else train_in_session
    train(folder, 4)
    model, keras_optimizer = keras_model(which, optimizer, epsilon=1e-8)  # TF1's; Keras has 1e-7
    if compiled:
        model.compile(optimizer=keras_optimizer, loss="mse")
    before = [np.array(value) for value in model.get_weights()]
    report = load(model, folder, optimizer=None if compiled else keras_optimizer)
    reader = tf.train.load_checkpoint(folder)
    loaded = [reader.get_tensor(name) for name in NAMES]
    found = {"same": all(np.array_equal(a, b)
                         for a, b in zip(loaded, model.get_weights(), strict=True)),
             "before": any(not np.array_equal(a, b) for a, b in zip(before, loaded, strict=True)),
             "iterations": int(keras_optimizer.iterations), "matched": sorted(report.matched),
             "unused": list(report.unused), "notes": list(report.notes)}
    if compiled:
        model.train_on_batch(X, Y)
    else:
        keras_step(model, keras_optimizer, which)
    train(folder, 1)
    reader = tf.train.load_checkpoint(folder)
    found["apart"] = float(max(np.abs(reader.get_tensor(name) - value).max()
                               for name, value in zip(NAMES, model.get_weights(), strict=True)))
    return found


# TF1's optimizer, and Keras's class with what it has other defaults for.
OPTIMIZERS = {
    "momentum": (lambda: tf1.train.MomentumOptimizer(0.05, 0.9), "SGD", {"momentum": 0.9}),
    "Adagrad": (lambda: tf1.train.AdagradOptimizer(0.05), "Adagrad", {"epsilon": 1e-10}),
    "RMSProp": (lambda: tf1.train.RMSPropOptimizer(0.05, momentum=0.9), "RMSprop",
                {"rho": 0.9, "momentum": 0.9, "epsilon": 1e-10}),
    "Ftrl": (lambda: tf1.train.FtrlOptimizer(0.05, l1_regularization_strength=0.01), "Ftrl",
             {"l1_regularization_strength": 0.01}),
}


def leave_with_each(folder):
    """The step after loading, by each optimizer of each Keras that is here.

    Returns:
        By the optimizer and the Keras: the steps counted, what was left, and how far the weights
        are from those of TF1's step.
    """
    from tfckpt.tensorflow.leaving import load

    kinds = ["tf.keras"] if tf.__version__.startswith("2.15") else ["keras", "tf_keras"]
    found = {}
    for name, (old, new, options) in OPTIMIZERS.items():
        with tf1.Graph().as_default(), tf1.Session() as session:
            _, train = tf1_model(tf.constant(X), tf.constant(Y), old())
            session.run(tf1.global_variables_initializer())
            for _ in range(4):
                session.run(train)
            path = tf1.train.Saver().save(session, os.path.join(folder, name, "model"))
            session.run(train)
            after = session.run([f"{name}/Read/ReadVariableOp:0" for name in NAMES])
        for which in kinds:
            for prefix in ("", "legacy ") if which != "keras" else ("",):
                model, optimizer = keras_model(which, prefix + new, **options)
                report = load(model, path, optimizer=optimizer)
                keras_step(model, optimizer, which)
                apart = max(np.abs(a - b).max() for a, b in
                            zip(after, model.get_weights(), strict=True))
                found[f"{name}, {prefix}{which}"] = [int(optimizer.iterations),
                                                     list(report.unused), float(apart)]
    return found


def keras_step(model, optimizer, which):
    """One step of training, without compiling anything."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(X) - Y))
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [getattr(v, "value", v) if which == "keras" else v
                                     for v in variables])
    optimizer.apply_gradients(zip(gradients, variables, strict=True))


def leave_for_a_module(folder):
    """A module's variables by their shapes and places, with a step of its own; and refusals."""
    from tfckpt.tensorflow.leaving import load

    train_in_session(folder, 2)
    module, step = Perceptron(), tf.Variable(0, dtype=tf.int64)
    names = dict(zip(NAMES, ("w1", "b1", "w2", "b2"), strict=True))
    names = {name: f"model/{place}" for name, place in names.items()}
    report = load(module, folder, step=step, names=names)
    reader = tf.train.load_checkpoint(folder)
    found = {"same": all(np.array_equal(reader.get_tensor(name), value) for name, value
                         in zip(NAMES, module.parts(), strict=True)),
             "step": int(step), "unused": len(report.unused), "refused": []}
    larger = Perceptron()
    larger.b2 = tf.Variable(tf.zeros([7]), name="b2")
    values = [value.numpy() for value in larger.parts()]
    for model in (larger, tf.Module()):
        try:
            load(model, folder, names=None)
            found["refused"].append("nothing was raised")
        except tfckpt.CheckpointError as error:
            found["refused"].append(str(error).replace(folder, "FOLDER"))
    found["unchanged"] = all(np.array_equal(a, b) for a, b
                             in zip(values, larger.parts(), strict=True))
    return found


def all_kinds(folder, formats):
    """Parts, a table and slots, saved by a run and restored by the next with the other format.

    Returns:
        The values at the end of the first run and at the beginning of the second, and keys.
    """
    found, keys = [], []
    for chosen in (formats, formats[::-1]):
        with tf1.Graph().as_default() as graph:
            step = tf1.train.get_or_create_global_step()
            w = tf1.get_variable("w", [5, 2], partitioner=tf1.fixed_size_partitioner(2))
            table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1, name="table")
            insert = table.insert(["a", "b"], [1, 2]) if not found else tf.no_op()
            loss = tf.reduce_sum(tf.square(w.as_tensor() - 1.0))
            train = tf1.train.AdamOptimizer(0.1).minimize(loss, step)
            fetches = [w.as_tensor(), table.lookup(tf.constant(["a", "b"])), step,
                       *[v for v in tf1.global_variables() if "Adam" in v.op.name]]
            variables = {v.op.name: v for v in tf1.global_variables()}
            ckpt = tf.train.Checkpoint(variables=variables, table=table)
            scaffold = tf1.train.Scaffold(saver=ScaffoldSaver(ckpt, formats=chosen))
            with tf1.train.MonitoredTrainingSession(
                    checkpoint_dir=folder, scaffold=scaffold) as session:
                operations = len(graph.get_operations())
                if not found:
                    session.run(insert)
                    for _ in range(3):
                        session.run(train)
                found.append([np.asarray(value).tolist() for value in session.run(fetches)])
            assert len(graph.get_operations()) == operations
        keys.append(sorted(key for key in tfckpt.open(folder) if "Adam" not in key))
    return {"same": found[0] == found[1], "table": found[1][1], "step": found[1][2], "keys": keys}


def exported(folder):
    """A SavedModel that an Estimator with our saver exports, run by TensorFlow."""
    def model_fn(features, labels, mode):
        v, step, train = counting()
        saver = ScaffoldSaver(checkpoint_of(v, step), formats=["tf2", "tf1"], background=True)
        scaffold = tf1.train.Scaffold(saver=saver)
        outputs = {"out": features["x"] * v}
        return tf.estimator.EstimatorSpec(
            mode, predictions=outputs, train_op=train, loss=tf.constant(1.), scaffold=scaffold,
            training_hooks=[saver.hook()],
            export_outputs={"serving_default": tf.estimator.export.PredictOutput(outputs)})

    est = tf.estimator.Estimator(model_fn, os.path.join(folder, "model"))
    est.train(lambda: tf.data.Dataset.from_tensors(({"x": [1.0]}, [1.0])).repeat(), steps=3)
    predicted = next(est.predict(lambda: tf.data.Dataset.from_tensors({"x": [2.0]})))
    with tf1.Graph().as_default():
        receiver = tf.estimator.export.build_raw_serving_input_receiver_fn(
            {"x": tf1.placeholder(tf.float32, [None])})
    path = est.export_saved_model(os.path.join(folder, "export"), receiver)
    served = tf.saved_model.load(path).signatures["serving_default"](x=tf.constant([5.0]))
    return {"predicted": float(predicted["out"]), "served": served["out"].numpy().tolist()}
