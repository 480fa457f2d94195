"""Keras models with an optimizer and a layer without weights, under names of choice."""

import numpy as np
import tensorflow as tf


def _build(seed):
    tf.keras.utils.set_random_seed(seed)
    inputs = tf.keras.Input((4,))
    hidden = tf.keras.layers.Dense(3, name="first")(inputs)
    hidden = tf.keras.layers.Activation("tanh")(hidden)
    outputs = tf.keras.layers.Dense(2, name="second")(hidden)
    model = tf.keras.Model(inputs, outputs)
    model.compile(tf.keras.optimizers.Adam(0.1), "mse")
    data = np.random.RandomState(seed).rand(8, 4).astype("float32")
    model.fit(data, data[:, :2], verbose=0)
    return model


def _values(model):
    variables = list(model.variables)
    variables += list(getattr(model.optimizer.variables, "__call__", lambda: model.optimizer.variables)())
    return [np.asarray(variable).tolist() for variable in variables
            if "learning_rate" not in variable.name]


def _checkpoint(model, names, outer):
    held = {names["model"]: model}
    if names.get("optimizer"):
        held[names["optimizer"]] = model.optimizer
    if not outer:
        return tf.train.Checkpoint(**held)
    module = tf.Module()
    for name, value in held.items():
        setattr(module, name, value)
    return tf.train.Checkpoint(**{outer: module})


def save_keras(prefix, model="model", optimizer="optimizer", seed=1):
    built = _build(seed)
    path = _checkpoint(built, {"model": model, "optimizer": optimizer}, None).save(prefix)
    return {"path": path, "values": _values(built)}


def restore_keras(prefix, model="model", optimizer="optimizer", outer=None, check="assert_consumed"):
    built = _build(2)
    status = _checkpoint(built, {"model": model, "optimizer": optimizer}, outer).restore(prefix)
    getattr(status, check)()
    return _values(built)


def save_weights(prefix, seed=1):
    built = _build(seed)
    tf.train.Checkpoint(built).write(prefix)
    return {"values": _values(built)}


def save_modules(prefix, names, seed):
    """Modules with one variable each, below a model."""
    model = tf.Module()
    for n, name in enumerate(names):
        part = tf.Module()
        part.w = tf.Variable([float(seed), float(n)], name="w")
        setattr(model, name, part)
    return tf.train.Checkpoint(model=model).save(prefix)


def restore_modules(prefix, tree):
    """Values of modules at these paths, with assert_consumed."""
    root = {}
    found = {}
    for path in tree:
        holder = root
        parts = path.split("/")
        for part in parts[:-1]:
            holder = holder.setdefault(part, {})
        holder[parts[-1]] = found[path] = tf.Variable([-1.0, -1.0])

    def made(held):
        module = tf.Module()
        for name, value in held.items():
            setattr(module, name, made(value) if isinstance(value, dict) else value)
        return module

    held = {name: made(value) if isinstance(value, dict) else value
            for name, value in root.items()}
    tf.train.Checkpoint(**held).restore(prefix).assert_consumed()
    return {path: variable.numpy().tolist() for path, variable in found.items()}


def restore_by_name(prefix, shapes):
    """A TF1 Saver restores these names."""
    graph = tf.Graph()
    with graph.as_default():
        held = {name: tf.compat.v1.get_variable("v%d" % n, shape, getattr(tf, dtype))
                for n, (name, (dtype, shape)) in enumerate(sorted(shapes.items()))}
        saver = tf.compat.v1.train.Saver(held)
        with tf.compat.v1.Session(graph=graph) as session:
            saver.restore(session, prefix)
            values = session.run(held)
    return {name: np.asarray(value).tolist() for name, value in values.items()}
