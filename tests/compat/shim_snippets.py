"""The models of shim_model_snippets.py in TensorFlow 1.15, and under tfckpt's shim in later ones."""

import zlib

import numpy as np
import tensorflow as tf

import shim_model_snippets

IMAGES = np.linspace(-1, 1, 4 * 8 * 8 * 3).reshape(4, 8, 8, 3).astype("float32") ** 3


def value_of(name, shape, dtype):
    """The same value for a name everywhere; positive, as a variance is."""
    seed = np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF)
    return (seed.random_sample(shape) * 0.5 + 0.1).astype(dtype)


# ---- TensorFlow 1.15

def in_tensorflow_1(case, prefix):
    """The model's variables, outputs, losses and moved averages; its checkpoint at prefix."""
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.constant(IMAGES)
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            outputs = getattr(shim_model_snippets, case)(tf, tf.layers, tf.nn.rnn_cell, images, False)
            losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        for variable in tf.global_variables():
            if variable.dtype.base_dtype == tf.float32:
                session.run(variable.assign(value_of(*_whole(variable))))
        tf.train.Saver().save(session, prefix, write_meta_graph=False)
        found = {"variables": sorted(set(map(_saved_name, tf.global_variables()))),
                 "trainable": sorted(set(map(_saved_name, tf.trainable_variables()))),
                 "projected": {name: float(value) for name, value in session.run({
                     _saved_name(v): sum(tf.reduce_sum(part.constraint(part)) for part in
                                         tf.global_variables()
                                         if _saved_name(part) == _saved_name(v))
                     for v in tf.global_variables() if v.constraint}).items()},
                 "outputs": session.run(outputs).tolist(),
                 "losses": float(sum(session.run(losses)))}
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.constant(IMAGES)
        outputs = getattr(shim_model_snippets, case)(tf, tf.layers, tf.nn.rnn_cell, images, True)
        tf.train.Saver().restore(session, prefix)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        found["trained"] = session.run([outputs, updates])[0].tolist()
        found["moved"] = {v.op.name: session.run(v).tolist() for v in tf.global_variables()
                          if _is_average(v)}
    return found


def _is_average(variable):
    return "/moving_" in variable.name or "/renorm_" in variable.name


def _saved_name(variable):
    info = variable._save_slice_info
    return info.full_name if info else variable.op.name


def _whole(variable):
    return _saved_name(variable), variable.shape.as_list(), "float32"


# ---- under the shim

def _base(kind):
    if kind == "keras3":
        import keras
        return keras.layers.Layer
    if kind == "tf_keras":
        import tf_keras
        return tf_keras.layers.Layer
    return tf.Module if kind == "module" else tf.keras.layers.Layer


def _host(kind, method):
    """An object of a class with a decorated method."""
    from tfckpt.tensorflow.shim import track_tf1_style_variables

    decorated = track_tf1_style_variables(method)
    return type("Model", (_base(kind),), {
        "__call__" if kind == "module" else "call": decorated})()


def _model(kind, case, theirs=False):
    from tfckpt.tensorflow import layers, rnn_cell

    if theirs:  # TensorFlow's own layers, which 2.15 still has
        layers, rnn_cell = tf.compat.v1.layers, tf.compat.v1.nn.rnn_cell

    def call(self, images, training=False):
        return getattr(shim_model_snippets, case)(tf.compat.v1, layers, rnn_cell, images, training)

    return _host(kind, call)


def _names(variables):
    """TF1 names; of Keras 3's own variables their path."""
    return sorted(getattr(v, "path", None) or v.name.split(":")[0] for v in variables)


def under_the_shim(kind, case, prefix, in_function, theirs=False):
    """As in_tensorflow_1, with that one's checkpoint restored by name."""
    from tfckpt.tensorflow.shim import regularization_losses

    images = tf.constant(IMAGES)
    model = _model(kind, case, theirs)
    call = tf.function(model) if in_function else model
    call(images)
    count = len(model.variables)
    tf.train.Checkpoint(model).restore(prefix)
    outputs = call(images)
    losses = [float(loss) for loss in regularization_losses(model)]
    found = {"variables": _names(model.variables), "trainable": _names(model.trainable_variables),
             "outputs": outputs.numpy().tolist(), "losses": sum(losses),
             "projected": {_names([v])[0]: float(tf.reduce_sum(v.constraint(tf.convert_to_tensor(v))))
                           for v in model.variables if v.constraint},
             "own losses": float(sum(getattr(model, "losses", losses))),
             "trained": call(images, training=True).numpy().tolist()}
    found["moved"] = {v.name.split(":")[0]: v.numpy().tolist()
                      for v in model._tf1_style_var_store.variables if _is_average(v)}
    assert len(model.variables) == count, "a later call made new variables"
    return found


def restored_before_the_first_call(kind, case, prefix):
    """Outputs of models whose variables are made after the restore, and tfckpt's report."""
    import tfckpt

    images = tf.constant(IMAGES)
    theirs, ours = _model(kind, case), _model(kind, case)
    tf.train.Checkpoint(theirs).restore(prefix)
    status = tfckpt.Checkpoint(model=ours).restore(prefix)
    outputs = [theirs(images).numpy().tolist(), ours(images).numpy().tolist()]
    return outputs, str(status.assert_consumed().report)


def saved_and_restored_by_name(kind, case, folder, prefix):
    """Names in a checkpoint that tfckpt's Saver wrote of the model's variables; its outputs."""
    import tfckpt

    model = _model(kind, case)
    model(tf.constant(IMAGES))
    variables = [getattr(v, "value", v) if kind == "keras3" else v for v in model.variables]
    saver = tfckpt.Saver(variables)
    saver.restore(None, prefix)
    path = saver.save(None, folder + "/saved", write_meta_graph=False)
    return (sorted(name for name, _ in tf.train.list_variables(path)),
            model(tf.constant(IMAGES)).numpy().tolist())


def numbered(kind):
    """Names of unnamed layers: two methods, called in turn and again, one within the other."""
    from tfckpt.tensorflow import layers
    from tfckpt.tensorflow.shim import track_tf1_style_variables

    class Model(_base(kind)):
        @track_tf1_style_variables
        def encode(self, x):
            return layers.dense(layers.dense(x, 3), 2)

        @track_tf1_style_variables
        def decode(self, x):
            return layers.dense(x, 1)

        @track_tf1_style_variables
        def both(self, x):
            return layers.dense(self.decode(self.encode(x)), 1)

    model = Model()
    x = tf.ones([1, 4])
    for _ in range(2):
        model.decode(model.encode(x))
    model.both(x)
    tf.function(model.both)(x)
    return _names(model.variables)


def nested_layers(kind, inner, folder):
    """A nested model made by get_or_create_layer: made once, tracked with its losses."""
    from tfckpt.tensorflow.shim import get_or_create_layer, regularization_losses

    made = []
    keras = __import__({"keras3": "keras", "tf_keras": "tf_keras"}.get(inner, "tensorflow.keras"),
                       fromlist=["layers"])

    def create():
        made.append(True)
        return keras.Sequential([keras.layers.Dense(2, kernel_regularizer="l2"),
                                 keras.layers.Dense(1)])

    def call(self, x):
        with tf.compat.v1.variable_scope("outer"):
            return get_or_create_layer("head", create)(x) * tf.compat.v1.get_variable("scale", [1])

    model = _host(kind, call)
    for _ in range(2):
        tf.function(model)(tf.ones([2, 3]))
    losses = [float(loss) for loss in regularization_losses(model)]
    head = model._tf1_style_var_store._layers["outer/head"]
    path = tf.train.Checkpoint(model=model).write(folder + "/nested")
    return {"made": len(made), "variables": len(model.variables),
            "loss": sum(losses) / float(sum(head.losses)),
            "own": float(sum(getattr(model, "losses", losses))) / float(sum(head.losses)),
            "keys": sorted(k.split("/.ATTR")[0] for k, _ in tf.train.list_variables(path)
                           if ".ATTRIBUTES" in k)}


def autograph_and_training(kind):
    """A Python `if` of a tensor in the method; gradients reach each variable."""
    def call(self, x):
        # Keras 3 keeps AutoGraph out of its layers.
        if kind != "keras3" and tf.reduce_sum(x) > 0:
            x = 2 * x
        return x @ tf.compat.v1.get_variable("kernel", [3, 1])

    model = _host(kind, call)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x))
        variables = [getattr(v, "value", v) if kind == "keras3" else v
                     for v in model.trainable_variables]
        return loss, tape.gradient(loss, variables)

    return [step(sign * tf.ones([1, 3]))[1][0].numpy().ravel().tolist() for sign in (1, -1)]



def keras_trains_and_saves(kind, folder):
    """fit, save_weights and load_weights of a Keras model with a TF1 layer in it.

    Traced again for the smaller batch at the end and to evaluate; Keras 3 has XLA compile it.
    """
    import os

    keras = __import__("keras" if kind == "keras3" else kind, fromlist=["layers"])
    inner = _model(kind, "batch_norm")
    inputs = keras.Input([8, 8, 3])
    model = keras.Model(inputs, inner(inputs))
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", jit_compile=kind == "keras3")
    before = [v.numpy().copy() for v in model.weights]
    images = np.concatenate([IMAGES, IMAGES[:2]])
    model.fit(images, np.zeros([6, 3], "float32"), batch_size=4, epochs=1, verbose=0)
    changed = sum(not np.array_equal(a, b.numpy())
                  for a, b in zip(before, model.weights, strict=True))
    loss = model.evaluate(images[:4], np.zeros([4, 3], "float32"), verbose=0)
    outputs = np.asarray(model(images[:4]))
    path = os.path.join(folder, "m.weights.h5")
    model.save_weights(path)
    again = keras.models.clone_model(model, clone_function=lambda _: _model(kind, "batch_norm"))
    again.load_weights(path)
    return {"weights": len(model.weights), "changed": changed, "loss": float(loss),
            "errors": float(np.mean(outputs ** 2)), "losses": float(sum(model.losses)),
            "loaded": all(np.array_equal(a.numpy(), b.numpy())
                          for a, b in zip(model.weights, again.weights, strict=True))}


def seen_in_parts(kind, folder):
    """A variable that was asked for in parts: how it looks, what is saved, its gradient."""
    import tfckpt

    tf1 = tf.compat.v1

    def call(self, x):
        with tf1.variable_scope("s", partitioner=tf1.min_max_variable_partitioner(
                max_partitions=2, min_slice_size=8)):
            return tf1.get_variable("w", [5], initializer=tf1.zeros_initializer()), tf1.get_variable(
                "small", [1])

    model = _host("module", call)
    w, small = model(0)
    w.assign([tf.constant([1.0, 2.0, 3.0]), tf.constant([4.0, 5.0])])
    w.assign_add(tf.ones([5]))
    w.assign_sub([tf.zeros([3]), tf.ones([2])])
    with tf.GradientTape() as tape:
        rows = tf1.nn.embedding_lookup(model(0)[0], [1, 3])
    gradient = tape.gradient(rows, w.whole)
    path = tfckpt.Saver({"of view": w, "of part": small}).save(None, folder + "/views")
    return {"parts": [part.numpy().tolist() for part in w], "length": [len(w), len(small)],
            "name": w.name, "shape": w.shape.as_list(), "rows": rows.numpy().tolist(),
            "gradient": tf.convert_to_tensor(gradient).numpy().tolist(),
            "variables": _names(model.variables),
            "saved": {name: tf.train.load_variable(path, name).tolist()
                      for name, _ in tf.train.list_variables(path) if name == "of view"}}


def errors():
    """Whole messages of what is refused."""
    from tfckpt.tensorflow import layers, shim

    def message(act):
        try:
            act()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "nothing"

    def other_shape(self):
        tf.compat.v1.get_variable("v", [2])
        tf.compat.v1.get_variable("v", [3])

    def other_dtype(self):
        tf.compat.v1.get_variable("v", [2])
        tf.compat.v1.get_variable("v", [2], tf.float64)

    def no_such(self):
        with tf.compat.v1.variable_scope("s", reuse=True):
            tf.compat.v1.get_variable("v", [2])

    def of_a_value(self, x):
        tf.compat.v1.get_variable("v", initializer=x * 2)

    def badly_cut(self):
        tf.compat.v1.get_variable("v", [2, 2], partitioner=lambda shape, dtype: [2, 2])

    class NoModule:
        call = shim.track_tf1_style_variables(no_such)

    return [
        message(NoModule().call),
        message(lambda: shim.get_or_create_layer("head", list)),
        message(_host("module", other_shape)), message(_host("module", other_dtype)),
        message(lambda: _host_in_function(no_such)),
        message(lambda: _host_in_function(of_a_value, tf.ones([]))),
        message(lambda: layers.dense(tf.ones([1, 1]), 1, activity_regularizer=abs)),
        message(_host("module", badly_cut)),
        message(lambda: layers.batch_normalization(tf.ones([1, 1]), renorm=True,
                                                   renorm_clipping={"max": 1})),
        message(lambda: layers.batch_normalization(tf.ones([1, 1]), virtual_batch_size=1, axis=0)),
    ]


def _host_in_function(method, *args):
    tf.function(_host("module", method), autograph=False)(*args)


def in_a_tf1_graph(case, prefix):
    """The decorated code and our layers in a graph and session of today's TensorFlow."""
    from tfckpt.tensorflow import layers, rnn_cell
    from tfckpt.tensorflow.shim import track_tf1_style_variables

    tf1 = tf.compat.v1

    class Model(tf.Module):
        @track_tf1_style_variables
        def __call__(self, images, training):
            return getattr(shim_model_snippets, case)(tf1, layers, rnn_cell, images, training)

    with tf.Graph().as_default(), tf1.Session() as session:
        outputs = Model()(tf.constant(IMAGES), False)
        tf1.train.Saver().restore(session, prefix)
        losses = tf1.get_collection(tf1.GraphKeys.REGULARIZATION_LOSSES)
        found = {"variables": sorted(set(map(_saved_name, tf1.global_variables()))),
                 "outputs": session.run(outputs).tolist(),
                 "losses": float(sum(session.run(losses)))}
    with tf.Graph().as_default(), tf1.Session() as session:
        outputs = Model()(tf.constant(IMAGES), True)
        tf1.train.Saver().restore(session, prefix)
        updates = tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)
        found["trained"] = session.run([outputs, updates])[0].tolist()
        found["moved"] = {v.op.name: session.run(v).tolist() for v in tf1.global_variables()
                          if _is_average(v)}
    return found


def saved_by_tensorflows_shim(prefix):
    """An object-based checkpoint of TensorFlow 2.15's own shim; the model's outputs."""
    class Model(tf.Module):
        @tf.compat.v1.keras.utils.track_tf1_style_variables
        def __call__(self, images):
            return shim_model_snippets.reuse(tf.compat.v1, tf.compat.v1.layers, None, images, False)

    model = Model()
    outputs = model(tf.constant(IMAGES)).numpy().tolist()
    return tf.train.Checkpoint(model=model).write(prefix), outputs


def loaded_by_ours(prefix):
    """The outputs of our shim's model with that checkpoint, restored by paths."""
    model = _model("module", "reuse")
    status = tf.train.Checkpoint(model=model).read(prefix)
    outputs = model(tf.constant(IMAGES)).numpy().tolist()
    status.assert_consumed()
    return outputs


def page(text, folder):
    """What each Python block of a page prints, one after the other."""
    import contextlib
    import io
    import os

    names, printed, before = {}, [], os.getcwd()
    os.chdir(folder)
    try:
        for code in text:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, "page", "exec"), names)
            printed.append(out.getvalue())
    finally:
        os.chdir(before)
    return printed


def kept_templates(kind):
    """Names of variables of templates that are made with the object; values of its calls."""
    from tfckpt.tensorflow.shim import track_tf1_style_variables

    tf1 = tf.compat.v1

    class Model(_base(kind)):
        def __init__(self):
            super().__init__()
            self.scale = tf1.make_template("scale", self._scaled, name="w")
            self.shift = tf1.make_template("scale", self._scaled, name="v")

        def _scaled(self, x, name):
            return x * tf1.get_variable(name, [2], initializer=tf1.constant_initializer(3.0))

        @track_tf1_style_variables
        def twice(self, x):
            with tf1.variable_scope("first"):
                x = self.scale(x)
            with tf1.variable_scope("second"):
                x = self.scale(x)
            return x + self.shift(x)

    found = []
    for wrap in (lambda method: method, tf.function):
        model = Model()
        values = [wrap(model.twice)(tf.ones([1, 2])).numpy().tolist() for _ in range(2)]
        values.append(tf.function(model.twice)(tf.ones([2, 2]))[:1].numpy().tolist())
        found.append([_names(model.variables), values])
    return found
