"""tfckpt on live Keras models, in TensorFlow's own process. See live_snippets.py.

``which`` says whose: tf.keras of 2.15, tf_keras or Keras 3 of 2.21.
"""

import importlib
import os

import numpy as np
import tensorflow as tf
from live_snippets import content, same_files

import tfckpt

X, Y = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2), np.ones((4, 1), np.float32)


def keras_of(which):
    return tf.keras if which == "tf.keras" else importlib.import_module(which)


def make(keras, optimizer="Adam"):
    """A model that isn't built yet, compiled."""
    model = keras.Sequential([keras.layers.Dense(3, name="first"),
                              keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    if optimizer.startswith("legacy "):
        made = getattr(keras.optimizers.legacy, optimizer[7:])(0.1)
    else:
        made = getattr(keras.optimizers, optimizer)(0.1)
    model.compile(made, "mse", metrics=["mae"])
    return model


def trained(keras, optimizer="Adam", steps=2):
    model = make(keras, optimizer)
    for _ in range(steps):
        model.train_on_batch(X, Y)
    return model


def state(model):
    """All values of a model and its optimizer."""
    variables = model.optimizer.variables
    return [np.asarray(value) for value in
            [*model.get_weights(), *(variables() if callable(variables) else variables)]]


def equal(first, second):
    return len(first) == len(second) and all(map(np.array_equal, first, second))


def models(folder, which, optimizer):
    """Files byte for byte, and a restore that waits for the model to be built."""
    keras = keras_of(which)
    model = trained(keras, optimizer)
    found = {"same": same_files(folder, {"model": model}),
             "same as root": same_files(folder, {}, root=model),
             "same beside": same_files(folder, {"optimizer": model.optimizer, "model": model})}
    path = tfckpt.Checkpoint(model=model).write(os.path.join(folder, "ckpt"))
    later = make(keras, optimizer)
    status = tfckpt.Checkpoint(model=later).read(path)
    later.predict(X, verbose=0)  # builds it, inside a function
    found["weights"] = equal(model.get_weights(), later.get_weights())
    model.train_on_batch(X, Y)
    later.train_on_batch(X, Y)  # makes the optimizer's variables
    status.assert_consumed()
    found["next step"] = equal(state(model), state(later))
    there = make(keras, optimizer)
    theirs = tf.train.Checkpoint(model=there).read(path)
    there.train_on_batch(X, Y)
    theirs.assert_consumed()
    found["theirs"] = equal(state(model), state(there))
    return found


def root_or_child(folder, which):
    """What a model that was saved as a child says to one that is the root, and the other way."""
    import warnings

    keras = keras_of(which)
    model = trained(keras)
    as_child = tfckpt.Checkpoint(model=model).write(os.path.join(folder, "child"))
    as_root = tfckpt.Checkpoint(model).write(os.path.join(folder, "root"))
    said = []
    for checkpoint, path in ((tfckpt.Checkpoint(model), as_child),
                             (tfckpt.Checkpoint(model=model), as_root)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            checkpoint.read(path).expect_partial()
        said += [str(item.message).partition(". ")[2] for item in caught
                 if issubclass(item.category, tfckpt.CheckpointWarning)]
    return said


def save_weights(folder, which):
    """Keras 2's own files in TensorFlow's format, read by us, and ours by it."""
    keras = keras_of(which)
    model = trained(keras)
    theirs = os.path.join(folder, "theirs")
    model.save_weights(theirs)
    later = make(keras)
    status = tfckpt.Checkpoint(later).read(theirs)
    later.predict(X, verbose=0)
    status.assert_existing_objects_matched()
    ours = tfckpt.Checkpoint(model).write(os.path.join(folder, "ours"))
    there = make(keras)
    loaded = there.load_weights(ours)
    there.predict(X, verbose=0)
    loaded.assert_existing_objects_matched()
    inference = keras.Sequential([keras.layers.Dense(3), keras.layers.BatchNormalization(),
                                  keras.layers.Dense(1)])
    weights_only = os.path.join(folder, "weights")
    built = keras.Sequential(model.layers)
    built.build((None, 2))
    built.save_weights(weights_only)
    consumed = tfckpt.Checkpoint(inference).read(weights_only)
    inference.predict(X, verbose=0)
    consumed.assert_consumed()  # right after predict
    return {"same": content(theirs) == content(ours),
            "theirs here": equal(model.get_weights(), later.get_weights()),
            "ours there": equal(model.get_weights(), there.get_weights()),
            "consumed": equal(model.get_weights(), inference.get_weights())}


def names(folder, which):
    """A model's weights in a Saver: the names that a session had, and back."""
    keras = keras_of(which)
    model = trained(keras)
    path = tfckpt.Saver(model.weights).save(None, os.path.join(folder, "m"))
    before = model.get_weights()
    model.set_weights([0 * value for value in before])
    tfckpt.Saver(model.weights).restore(None, path)
    return {"names": [name for name, _ in tfckpt.list_variables(path)][-2:],
            "restored": equal(before, model.get_weights())}


def slots(folder):
    """Slots of a TF1 optimizer: made when the restore finds both, or else when they come."""
    optimizer, v = tf.compat.v1.train.AdamOptimizer(0.1), tf.Variable([1.0, 2.0], name="v")
    optimizer.minimize(lambda: tf.reduce_sum(v * v), var_list=[v])
    checkpoint = tfckpt.Checkpoint(optimizer=optimizer, v=v)
    theirs = tf.train.Checkpoint(optimizer=optimizer, v=v).write(os.path.join(folder, "theirs"))
    path = checkpoint.write(os.path.join(folder, "ours"))
    found = {"same": content(theirs) == content(path)}
    m, power = optimizer.get_slot(v, "m").numpy(), optimizer._get_beta_accumulators()[0].numpy()

    def is_restored(root):
        slot = root.optimizer.get_slot(root.v, "m")
        return slot is not None and bool(np.array_equal(slot.numpy(), m))

    for first, second in (("v", "optimizer"), ("optimizer", "v")):
        root, made = tf.Module(), {"v": lambda: tf.Variable([0.0, 0.0], name="v"),
                                   "optimizer": lambda: tf.compat.v1.train.AdamOptimizer(0.1)}
        status = tfckpt.Checkpoint(root).read(path)
        setattr(root, first, made[first]())
        setattr(root, second, made[second]())
        found[f"{first} first"] = is_restored(root)
        waits = [key for key in status.report.unused if "beta" in key]
        root.optimizer.minimize(lambda v=root.v: tf.reduce_sum(v * 0.0), var_list=[root.v])
        status.assert_consumed()
        got = root.optimizer._get_beta_accumulators()[0].numpy()
        found[f"powers wait, {first} first"] = [len(waits), bool(np.isclose(got, power * 0.9))]
    return found


def slots_later(folder):
    """Slots that the optimizer makes after the restore: in a graph, or because somebody watches
    what variables are made.
    """
    tf1 = tf.compat.v1
    first, v = tf1.train.AdamOptimizer(0.1), tf.Variable([1.0, 2.0], name="v")
    first.minimize(lambda: tf.reduce_sum(v * v), var_list=[v])
    path = tfckpt.Checkpoint(optimizer=first, v=v).write(os.path.join(folder, "ckpt"))
    m = first.get_slot(v, "m").numpy()

    later, w = tf1.train.AdamOptimizer(0.1), tf.Variable([0.0, 0.0], name="v")
    with tf.variable_creator_scope(lambda make, **options: make(**options)):
        status = tfckpt.Checkpoint(optimizer=later, v=w).read(path)
    found = {"eager": [later.get_slot(w, "m") is None]}
    later.apply_gradients([(tf.zeros([2]), w)])  # makes them; a step's decay is TF1's beta
    found["eager"].append(bool(np.allclose(later.get_slot(w, "m").numpy(), 0.9 * m)))
    status.assert_consumed()

    with tf1.Graph().as_default(), tf1.Session() as session:
        optimizer = tf1.train.AdamOptimizer(0.1)
        x = tf1.get_variable("v", initializer=[0.0, 0.0])
        status = tfckpt.Checkpoint(optimizer=optimizer, v=x).read(path)
        found["graph"] = [optimizer.get_slot(x, "m") is None]
        optimizer.minimize(tf.reduce_sum(x * x), var_list=[x])
        session.run(tf1.global_variables_initializer())
        status.assert_consumed().run_restore_ops(session)
        found["graph"].append(bool(np.array_equal(session.run(optimizer.get_slot(x, "m")), m)))
    return found


def sharded(folder):
    """A variable of the ParameterServerStrategy: one tensor in slices."""
    from tensorflow.python.distribute.sharded_variable import ShardedVariable

    def make_one(factor):
        return ShardedVariable([tf.Variable([[factor, 2.0 * factor]], name="emb/part_0"),
                                tf.Variable([[3.0 * factor, 4.0], [5.0, 6.0]], name="emb/part_1")],
                               name="emb")

    first, second = make_one(1.0), make_one(0.0)
    same = same_files(folder, {"emb": first})
    tfckpt.Checkpoint(emb=second).read(os.path.join(folder, "theirs")).assert_consumed()
    others = ShardedVariable([tf.Variable([[0.0, 0.0]], name=f"emb/part_{n}") for n in range(3)],
                             name="emb")
    tfckpt.Checkpoint(emb=others).read(os.path.join(folder, "theirs")).assert_consumed()
    by_name = tfckpt.Saver({"emb": first}).save(None, os.path.join(folder, "names"))
    whole = tf.Variable(tf.zeros([3, 2]))
    tf.compat.v1.train.Saver({"emb": whole}).restore(None, by_name)
    return {"same": same, "values": [part.numpy().tolist() for part in second.variables],
            "in three": [part.numpy().tolist() for part in others.variables],
            "by name": whole.numpy().tolist()}


def callback(folder, which, optimizer, background=False):
    """ModelCheckpoint in both formats; each read by whom it is for."""
    from tfckpt.tensorflow.callbacks import ModelCheckpoint

    keras = keras_of(which)
    model = make(keras, optimizer)
    both = ModelCheckpoint(os.path.join(folder, "e{epoch}"), formats=("tf2", "tf1"),
                           background=background)
    best = ModelCheckpoint(os.path.join(folder, "best", "m"), formats=["tf1"], monitor="loss",
                           save_best_only=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[both, best])
    newest = os.path.join(folder, "e2")
    latest = os.path.basename(tf.train.latest_checkpoint(folder))
    theirs = os.path.join(folder, "theirs")
    model.save_weights(theirs)
    later = make(keras, optimizer)
    loaded = later.load_weights(newest)
    later.train_on_batch(X, Y)
    loaded.assert_existing_objects_matched()
    by_name = dict(tfckpt.list_variables(newest + "-tf1"))
    values = [tfckpt.load_variable(newest + "-tf1", weight.name[:-2]) for weight in model.weights]
    found = {"latest": latest,
             "files": sorted({name.partition(".")[0] for name in os.listdir(folder)}),
             "like save_weights": content(theirs)[0] == content(newest)[0],
             "names": len(by_name) == len(state(model)),
             "by name": equal(values, model.get_weights()),
             "linked": os.stat(newest + "-tf1.data-00000-of-00001").st_nlink > 1,
             "best": os.path.exists(os.path.join(folder, "best", "m.index"))}
    model.train_on_batch(X, Y)
    found["next step"] = equal(state(model), state(later))
    return found


def callback_refusals(folder, which):
    from tfckpt.tensorflow.callbacks import ModelCheckpoint

    messages, model = [], trained(keras_of(which))
    for attempt in (lambda: ModelCheckpoint(folder, formats=("h5",)),
                    lambda: model.fit(X, Y, callbacks=[ModelCheckpoint(folder)])):
        try:
            attempt()
        except tfckpt.UnsupportedError as error:
            messages.append(error.message)
    return messages


def mixed_precision(folder, which):
    """A model of half precision with its loss scale; what is saved of its variables is float32."""
    keras = keras_of(which)
    set_policy = (keras.config.set_dtype_policy if which == "keras"
                  else keras.mixed_precision.set_global_policy)
    set_policy("mixed_float16")
    try:
        found = half(folder, keras)
        if which != "keras":  # which has no sessions
            found["restored"] += half_in_a_session(folder, keras)
        return found
    finally:
        set_policy("float32")


def half(folder, keras):
    def make(value):
        model = keras.Sequential([keras.layers.Dense(2), keras.layers.BatchNormalization()])
        model.build((None, 3))
        optimizer = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.Adam(0.1))
        optimizer.build(model.trainable_variables)
        for variable in [*model.variables, *optimizer_state(optimizer)]:
            dtype = tf.as_dtype(variable.dtype).as_numpy_dtype
            variable.assign(np.full(variable.shape, value, dtype))
        return model, optimizer

    model, optimizer = make(1 / 3)  # which float16 can't hold
    found = {"same": same_files(folder, {"model": model, "optimizer": optimizer})}
    ours, theirs = os.path.join(folder, "ours"), os.path.join(folder, "theirs")
    with tfckpt.open(ours) as source:
        found["dtypes"] = sorted({entry.dtype.name for key, entry in source.index.items()
                                  if key.startswith("model/")})
    expected = [np.asarray(value) for value in model.get_weights()]
    restored = []
    for restore in (lambda **live: tfckpt.Checkpoint(**live).read(theirs).assert_consumed(),
                    lambda **live: tf.train.Checkpoint(**live).read(ours).assert_consumed()):
        later, its = make(0)
        restore(model=later, optimizer=its)
        restored.append(equal(expected, later.get_weights()) and equal(
            *[[np.asarray(value) for value in optimizer_state(one)] for one in (optimizer, its)]))
    weights = model.weights
    names = tfckpt.Saver(weights).save(None, os.path.join(folder, "names"))
    values = [tfckpt.load_variable(names, getattr(weight, "path", weight.name.partition(":")[0]))
              for weight in weights]
    restored.append(equal(expected, values))
    for weight in weights:
        weight.assign(np.zeros(weight.shape, np.float32))
    tfckpt.Saver(weights).restore(None, names)
    restored.append(equal(expected, model.get_weights()))
    found["restored"] = restored
    return found


def half_in_a_session(folder, keras):
    tf1 = tf.compat.v1
    ours, theirs = os.path.join(folder, "graph"), os.path.join(folder, "graph-theirs")
    with tf1.Graph().as_default(), tf1.Session() as session:
        model = keras.Sequential([keras.layers.Dense(2)])
        model.build((None, 3))
        full = [weight._variable for weight in model.weights]
        session.run([weight.initializer for weight in full])
        tfckpt.Checkpoint(model=model).write(ours)
        tf1.train.Checkpoint(model=model).write(theirs)
        before = session.run(full)
        session.run([weight.assign(0 * weight) for weight in full])
        tfckpt.Checkpoint(model=model).read(theirs).assert_consumed().run_restore_ops()
        return [content(ours) == content(theirs), equal(before, session.run(full))]


def optimizer_state(optimizer):
    variables = optimizer.variables
    return list(variables() if callable(variables) else variables)
