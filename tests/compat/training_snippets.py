"""MonitoredSession and Estimator with tfckpt's saver, in TensorFlow's own process."""

import os

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
