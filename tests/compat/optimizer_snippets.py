"""The model of the optimizers' fixtures, built, saved, restored and trained for a step.

Runs inside a TensorFlow environment. The hyper-parameters come from a fixture's config.json.
"""

import json
import os

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1


def _config(folder):
    with open(os.path.join(folder, "config.json")) as file:
        return json.load(file)


def _packed(names, values):
    packed = (np.asarray(value).astype("<f4").tobytes().hex() for value in values)
    return dict(zip(names, packed))  # noqa: B905  # Python 3.7 reads this


# ------------------------------------------------------------------------------- Keras 2 and 3

def _keras(config):
    if config["kind"] == "keras3":
        import keras
        return keras
    if not hasattr(tf.keras, "__version__") or tf.__version__ < "2.16":
        return tf.keras
    import tf_keras
    return tf_keras


def _optimizer(keras, config):
    name = config["optimizer"].partition(":")[2].replace("OptimizerV3", "Optimizer")
    place = keras.optimizers
    if name.startswith("LossScale") and config["kind"] != "keras3":
        place = keras.mixed_precision
    elif config["kind"] == "keras2-legacy":
        place = keras.optimizers.legacy
    hyper = config["hyper"]
    if name.startswith("LossScale") and config["kind"] == "keras2-legacy":
        adam = keras.optimizers.legacy.Adam
    elif name.startswith("LossScale") and config["kind"] == "keras2":
        adam = keras.optimizers.Adam
    else:
        return getattr(place, name).from_config(hyper)
    inner = adam.from_config(hyper["inner_optimizer"]["config"])
    return place.LossScaleOptimizer(inner, initial_scale=hyper["initial_scale"],
                                    dynamic_growth_steps=hyper["dynamic_growth_steps"])


def _layers(keras, config, batch_ids):
    """The model, without an optimizer."""
    layers = keras.layers
    emb, pool, dense_a, dense_b = config["names"]
    shapes = config["shapes"]
    length = batch_ids.shape[1]
    first = (layers.InputLayer((length,), dtype="int32")
             if keras is getattr(tf, "keras", None) and tf.__version__ < "2.16"
             else keras.Input((length,), dtype="int32"))
    return keras.Sequential([
        first,
        layers.Embedding(*shapes[0], name=emb, trainable=not config["frozen_embedding"]),
        layers.GlobalAveragePooling1D(name=pool),
        layers.Dense(shapes[1][1], activation=config["activation"], name=dense_a),
        layers.Dense(shapes[3][1], name=dense_b)], name=config["model_name"])


def _model(keras, config, batch_ids):
    """The model, and its optimizer with all its variables."""
    model = _layers(keras, config, batch_ids)
    optimizer = _optimizer(keras, config)
    more = {"jit_compile": False} if config["kind"] != "keras2-legacy" else {}
    model.compile(optimizer=optimizer, loss="mse", run_eagerly=True, **more)
    optimizer = model.optimizer
    if config["kind"] == "keras2-legacy":
        optimizer.iterations  # noqa: B018  # makes it
        getattr(optimizer, "_optimizer", optimizer)._create_all_weights(model.trainable_variables)
    else:
        optimizer.build(model.trainable_variables)
    return model, optimizer


def _checkpoint(config, model, optimizer):
    if config["kind"] == "keras3":
        return tf.train.Checkpoint(model=model, optimizer=optimizer)
    return tf.train.Checkpoint(model=model, optimizer=optimizer,
                               step=tf.Variable(0, dtype=tf.int64, name="step"))


def _weights(model, config):
    return [model.get_layer(name.split("/")[0]).get_weights()[
        0 if name.endswith(("kernel", "embeddings")) else 1] for name in config["weights"]]


def keras_template(folder, prefix):
    """Save the fixture's model and optimizer as they are right after they were built."""
    config = _config(folder)
    keras = _keras(config)
    keras.backend.clear_session()
    ids = np.load(os.path.join(folder, "steps.npz"))["batch_ids"]
    model, optimizer = _model(keras, config, ids)
    return _checkpoint(config, model, optimizer).save(prefix)


def keras_step(folder, prefix, batch):
    """Restore, with the strictest assertion, and train a step on another fixture's batch."""
    config = _config(folder)
    keras = _keras(config)
    keras.backend.clear_session()
    steps = np.load(os.path.join(batch, "steps.npz"))
    model, optimizer = _model(keras, config, steps["batch_ids"])
    checkpoint = _checkpoint(config, model, optimizer)
    checkpoint.restore(prefix).assert_consumed()
    before = _packed(config["weights"], _weights(model, config))
    model.train_on_batch(steps["batch_ids"], steps["batch_y"])
    return {"before": before, "after": _packed(config["weights"], _weights(model, config))}


# -------------------------------------------------------------------------------- TensorFlow 1

def _tf1_graph(config, steps):
    """The loss, the variables by name, what trains, and the objects to save."""
    tf1.set_random_seed(1)
    counter = tf1.train.get_or_create_global_step()
    variables = {}
    for name, shape in zip(config["weights"], config["shapes"]):  # noqa: B905
        scope, last = name.rsplit("/", 1)
        with tf1.variable_scope(scope):
            variables[name] = tf1.get_variable(last, shape, tf.float32)
    emb, kernel_a, bias_a, kernel_b, bias_b = (variables[name] for name in config["weights"])
    x = tf.reduce_mean(tf1.nn.embedding_lookup(emb, tf.constant(steps["batch_ids"])), axis=1)
    x = tf.tanh(tf.matmul(x, kernel_a) + bias_a)
    wrong = tf1.squared_difference(tf.matmul(x, kernel_b) + bias_b, tf.constant(steps["batch_y"]))
    place = tf1.train if hasattr(tf1.train, config["optimizer"]) else tf.contrib.opt
    optimizer = getattr(place, config["optimizer"])(**config["hyper"])
    train = optimizer.minimize(tf.reduce_mean(wrong), global_step=counter,
                               var_list=list(variables.values()))
    if not config["saved_by"].startswith("tf.train.Checkpoint"):
        return variables, train, None
    from tensorflow.python.training.tracking import data_structures
    wrapped = data_structures._wrap_or_unwrap(variables)
    return variables, train, tf.train.Checkpoint(net=wrapped, optimizer=optimizer, step=counter)


def _session():
    return tf1.Session(config=tf1.ConfigProto(inter_op_parallelism_threads=1,
                                              intra_op_parallelism_threads=1))


def tf1_template(folder, prefix):
    """Save the fixture's variables as they are right after they were initialized."""
    config = _config(folder)
    steps = np.load(os.path.join(folder, "steps.npz"))
    with tf.Graph().as_default(), _session() as session:
        _, _, checkpoint = _tf1_graph(config, steps)
        session.run(tf1.global_variables_initializer())
        if checkpoint is not None:
            return checkpoint.save(prefix, session=session)
        return tf1.train.Saver().save(session, prefix, write_meta_graph=False)


def tf1_step(folder, prefix, batch):
    """Restore all variables and train a step on another fixture's batch."""
    config = _config(folder)
    steps = np.load(os.path.join(batch, "steps.npz"))
    with tf.Graph().as_default(), _session() as session:
        variables, train, checkpoint = _tf1_graph(config, steps)
        session.run(tf1.global_variables_initializer())
        if checkpoint is None:
            tf1.train.Saver().restore(session, prefix)
        else:
            status = checkpoint.restore(prefix)
            status.assert_consumed()
            status.run_restore_ops(session)
        wanted = [variables[name] for name in config["weights"]]
        before = session.run(wanted)
        session.run(train)
        return {"before": _packed(config["weights"], before),
                "after": _packed(config["weights"], session.run(wanted))}


# ------------------------------------------------------------------------- the model alone

def keras_model_alone(folder, prefix):
    """Weights of the model, without an optimizer, that a checkpoint fills to the last one."""
    config = _config(folder)
    keras = _keras(config)
    keras.backend.clear_session()
    alone = _layers(keras, config, np.load(os.path.join(folder, "steps.npz"))["batch_ids"])
    for weight in alone.weights:
        weight.assign(np.full(weight.shape, 7, "float32"))
    tf.train.Checkpoint(model=alone).restore(prefix).assert_existing_objects_matched()
    return _packed(config["weights"], _weights(alone, config))


def tf1_model_alone(folder, prefix):
    """Weights and step count that a Saver of these alone restores."""
    config = _config(folder)
    with tf.Graph().as_default(), _session() as session:
        counter = tf1.train.get_or_create_global_step()
        wanted = [tf1.get_variable(name, shape, tf.float32)
                  for name, shape in zip(config["weights"], config["shapes"])]  # noqa: B905
        tf1.train.Saver([counter, *wanted]).restore(session, prefix)
        return dict(_packed(config["weights"], session.run(wanted)),
                    step=int(session.run(counter)))


# ---------------------------------------------------------------- a dictionary of variables

def dictionary_step(folder, prefix, batch, kind):
    """Restore ``vars={name: variable}`` and an optimizer, and apply the gradients of step 4."""
    config = _config(folder)
    keras = _keras(config)
    steps = np.load(os.path.join(batch, "steps.npz"))
    names = sorted(config["weights"])
    if kind == "keras3":
        made = {name: keras.Variable(np.zeros_like(steps["weights3/" + name]),
                                     name=name.replace("/", "_")) for name in names}
    else:
        made = {name: tf.Variable(np.zeros_like(steps["weights3/" + name]), name=name)
                for name in names}
    variables = dict(made, global_step=tf.Variable(0, dtype=tf.int64))
    optimizer = _optimizer(keras, config)
    if kind == "keras2-legacy":
        optimizer.iterations  # noqa: B018  # makes it
        optimizer._create_all_weights([made[name] for name in names])
    else:
        optimizer.build([made[name] for name in names])
    checkpoint = tf.train.Checkpoint(vars=variables, optimizer=optimizer)
    checkpoint.restore(prefix).assert_consumed()
    gradients = [tf.constant(steps["grads4/" + name]) for name in names]
    optimizer.apply_gradients([(gradient, made[name])
                               for gradient, name in zip(gradients, names)])  # noqa: B905
    return dict(_packed(names, [variables[name].numpy() for name in names]),
                step=int(variables["global_step"].numpy()))


# ------------------------------------------------------------------ .weights.h5 of Keras 3

def h5_template(folder, path):
    """Save the fixture's model and optimizer as they are right after they were built."""
    config = _config(folder)
    keras = _keras(config)
    keras.backend.clear_session()
    model, _ = _model(keras, config, np.load(os.path.join(folder, "steps.npz"))["batch_ids"])
    model.save_weights(path)
    return path


def h5_step(folder, path, batch):
    """Load weights and optimizer, and train a step on another fixture's batch."""
    config = _config(folder)
    keras = _keras(config)
    keras.backend.clear_session()
    steps = np.load(os.path.join(batch, "steps.npz"))
    model, optimizer = _model(keras, config, steps["batch_ids"])
    model.load_weights(path)
    before = _packed(config["weights"], _weights(model, config))
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    iterations = int(inner._iterations.numpy())
    model.train_on_batch(steps["batch_ids"], steps["batch_y"])
    return {"before": before, "after": _packed(config["weights"], _weights(model, config)),
            "iterations": iterations}
